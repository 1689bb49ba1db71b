//! Warnings, gathered so that five hundred entries with one cause make one warning.

use std::collections::BTreeMap;

use foremesh_model::{ServiceName, Severity, Warning};

/// Up to this many entries with one cause are warned of by name.
const MOST_SINGLE: usize = 3;

/// Collects warnings by cause.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    by_cause: BTreeMap<(Severity, &'static str, String), Vec<ServiceName>>,
    single: Vec<Warning>,
}

impl Notes {
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

    /// A warning about an entry; `text` must be the same for all entries with this cause.
    pub fn about(
        &mut self,
        severity: Severity,
        code: &'static str,
        entry: &ServiceName,
        text: impl Into<String>,
    ) {
        self.by_cause
            .entry((severity, code, text.into()))
            .or_default()
            .push(entry.clone());
    }

    /// All warnings, the worst first.
    pub fn finish(self) -> Vec<Warning> {
        let mut warnings = self.single;
        for ((severity, code, text), entries) in self.by_cause {
            let warn = |subject: String, text: String| Warning {
                severity,
                code: code.into(),
                subject,
                text,
            };
            if entries.len() <= MOST_SINGLE {
                warnings.extend(
                    entries
                        .iter()
                        .map(|entry| warn(entry.to_string(), text.clone())),
                );
            } else {
                let first: Vec<&str> = entries
                    .iter()
                    .take(MOST_SINGLE)
                    .map(ServiceName::as_str)
                    .collect();
                let of = format!(
                    "{} entries ({}, …): {text}",
                    entries.len(),
                    first.join(", ")
                );
                warnings.push(warn("entries".into(), of));
            }
        }
        warnings.sort();
        warnings.dedup();
        warnings
    }
}
