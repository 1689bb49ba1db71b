//! The families of call graphs, and which of them nothing is trained on.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::ScenarioError;

/// A way in which call graphs come about. Training and evaluation are split by family: what is learned on one way of
/// calling has to hold on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Tiers: the web calls a middle of several layers, the middle calls stores; calls skip layers now and then.
    Layered,
    /// Services join one by one and prefer callers that call much already; a few shared leaves are called from everywhere.
    Attachment,
    /// Trees: every service has one caller, and few have most of the calls.
    Tree,
    /// Services joined one by one, of which groups call each other in circles.
    Circles,
    /// Several entries (web, mobile, partners), each a back-end for a front-end, over the same domain services with stores of their own.
    Frontends,
    /// Chains of stages with side calls, which split and meet in shared stores.
    Pipelines,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 6] = [
        Self::Layered,
        Self::Attachment,
        Self::Tree,
        Self::Circles,
        Self::Frontends,
        Self::Pipelines,
    ];
    /// The families that a policy may be trained on.
    pub const TRAINING: [Self; 4] = [Self::Layered, Self::Attachment, Self::Tree, Self::Circles];
    /// The families that are kept for evaluation.
    pub const HELD_OUT: [Self; 2] = [Self::Frontends, Self::Pipelines];

    /// Its name in files and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Layered => "layered",
            Self::Attachment => "attachment",
            Self::Tree => "tree",
            Self::Circles => "circles",
            Self::Frontends => "frontends",
            Self::Pipelines => "pipelines",
        }
    }

    /// Whether a policy may be trained on it.
    #[must_use]
    pub fn trains(self) -> bool {
        Self::TRAINING.contains(&self)
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Family {
    type Err = ScenarioError;
    fn from_str(name: &str) -> Result<Self, ScenarioError> {
        let known = || Self::ALL.map(Self::as_str).join(", ");
        Self::ALL
            .into_iter()
            .find(|family| family.as_str() == name)
            .ok_or_else(|| ScenarioError::Family {
                name: name.into(),
                known: known(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_trains_or_is_held_out() {
        for family in Family::ALL {
            assert_ne!(family.trains(), Family::HELD_OUT.contains(&family));
            assert_eq!(family.to_string().parse(), Ok(family));
        }
        let unknown = "rings".parse::<Family>().unwrap_err().to_string();
        assert!(unknown.contains("rings") && unknown.contains("layered"));
    }
}
