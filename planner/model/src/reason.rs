//! Why a value is what it is, and who carries it out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who makes a value true.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Executor {
    /// Written by `terraform apply`; holds until the next one.
    Apply,
    /// Followed hour by hour by the autoscaler's schedule.
    Autoscaler,
    /// Moved by the controller after go-live.
    Controller,
}

/// Why a value is what it is: the rule, what went in, and a sentence for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// The rule that gave the value, for example `littles_law` or `binomial_tail`.
    pub rule: String,
    /// One sentence with the numbers that went in.
    pub text: String,
    /// The numbers that went in, by name with unit, for machines.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub inputs: std::collections::BTreeMap<String, f64>,
    /// Who carries the value out.
    pub executor: Executor,
}

impl Reason {
    /// A reason whose value is written by `terraform apply`.
    pub fn new<'a>(
        rule: &str,
        text: impl Into<String>,
        inputs: impl IntoIterator<Item = (&'a str, f64)>,
    ) -> Self {
        Self {
            rule: rule.into(),
            text: text.into(),
            inputs: inputs
                .into_iter()
                .map(|(name, value)| (name.into(), value))
                .collect(),
            executor: Executor::Apply,
        }
    }

    /// The same reason, carried out by `executor`.
    #[must_use]
    pub fn by(mut self, executor: Executor) -> Self {
        self.executor = executor;
        self
    }
}
