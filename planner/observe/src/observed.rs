//! A value that was read, with what its reader wants to be known: partial data is used, and said.

use foremesh_model::{Severity, Warning};

/// A value that was read from outside, with warnings about what was assumed, left out or mended.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed<T> {
    /// The value.
    pub value: T,
    /// What to beware of, in a stable order.
    pub warnings: Vec<Warning>,
}

impl<T> Observed<T> {
    /// A value that needs no warning.
    pub fn clean(value: T) -> Self {
        Self {
            value,
            warnings: Vec::new(),
        }
    }

    /// The same warnings with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Observed<U> {
        Observed {
            value: change(self.value),
            warnings: self.warnings,
        }
    }
}

/// Something was assumed or left out that may move the plan.
pub(crate) fn caution(code: &str, subject: impl Into<String>, text: impl Into<String>) -> Warning {
    warning(Severity::Caution, code, subject, text)
}

/// Good to know.
pub(crate) fn note(code: &str, subject: impl Into<String>, text: impl Into<String>) -> Warning {
    warning(Severity::Note, code, subject, text)
}

fn warning(
    severity: Severity,
    code: &str,
    subject: impl Into<String>,
    text: impl Into<String>,
) -> Warning {
    Warning {
        severity,
        code: code.into(),
        subject: subject.into(),
        text: text.into(),
    }
}

/// What is wrong with a file, for a warning whose subject names the file already.
pub(crate) fn of_file(file: &str, error: &impl ToString) -> String {
    let text = error.to_string();
    let behind = text.strip_prefix(file);
    let rest = behind.and_then(|rest| rest.strip_prefix(", ").or(rest.strip_prefix(": ")));
    rest.map_or_else(|| text.clone(), str::to_owned)
}

/// `1 row`, `2 rows`.
pub(crate) fn count(number: usize, one: &str) -> String {
    if number == 1 {
        format!("1 {one}")
    } else {
        format!("{number} {one}s")
    }
}
