//! Warnings, gathered so that five hundred entries or series with one cause make one warning.

use std::collections::BTreeMap;

use foremesh_model::{Severity, Warning};

/// Up to this many with one cause are warned of by name.
const MOST_SINGLE: usize = 3;

/// Collects warnings by cause.
#[derive(Debug)]
pub(crate) struct Notes {
    /// What is warned of, in the plural.
    whats: &'static str,
    by_cause: BTreeMap<(Severity, &'static str, String), Vec<String>>,
    single: Vec<Warning>,
}

impl Notes {
    /// Warnings of such things, named in the plural.
    pub fn of(whats: &'static str) -> Self {
        Self {
            whats,
            by_cause: BTreeMap::new(),
            single: Vec::new(),
        }
    }

    /// A warning about one thing.
    pub fn add(
        &mut self,
        severity: Severity,
        code: &str,
        subject: impl ToString,
        text: impl Into<String>,
    ) {
        self.single.push(Warning {
            severity,
            code: code.into(),
            subject: subject.to_string(),
            text: text.into(),
        });
    }

    /// A warning about one of many; `text` must be the same for all with this cause.
    pub fn about(
        &mut self,
        severity: Severity,
        code: &'static str,
        one: impl ToString,
        text: impl Into<String>,
    ) {
        self.by_cause
            .entry((severity, code, text.into()))
            .or_default()
            .push(one.to_string());
    }

    /// All warnings, the worst first.
    pub fn finish(self) -> Vec<Warning> {
        let mut warnings = self.single;
        for ((severity, code, text), all) in self.by_cause {
            let warn = |subject: String, text: String| Warning {
                severity,
                code: code.into(),
                subject,
                text,
            };
            if all.len() <= MOST_SINGLE {
                warnings.extend(all.into_iter().map(|one| warn(one, text.clone())));
            } else {
                let first = all[..MOST_SINGLE].join(", ");
                let of = format!("{} {} ({first}, …): {text}", all.len(), self.whats);
                warnings.push(warn(self.whats.into(), of));
            }
        }
        warnings.sort();
        warnings.dedup();
        warnings
    }
}
