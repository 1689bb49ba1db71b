//! Errors and warnings as Terraform shows them to its user.

use crate::{
    proto,
    schema::{Block, Place},
    value::{Path, Step, ValueError},
};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Stops the operation.
    Error,
    /// Is shown, and stops nothing.
    Warning,
}

/// One message: a summary (the title), a detail (the cause, and how to mend it) and the attribute it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// The title, in one line.
    pub summary: String,
    /// The cause, and how to mend it.
    pub detail: String,
    /// The attribute it is about; the root if it is about the whole block.
    pub path: Path,
}

impl Diagnostic {
    /// An error about the whole block.
    pub fn error(summary: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            summary: summary.into(),
            detail: detail.into(),
            path: Path::root(),
        }
    }

    /// A warning about the whole block.
    pub fn warning(summary: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(summary, detail)
        }
    }

    /// The same about one attribute: `.at("region")`, `.at(Path::attribute("services").key("cart"))`.
    #[must_use]
    pub fn at(mut self, path: impl Into<Path>) -> Self {
        self.path = path.into();
        self
    }

    /// The message, its path understood by the schema of what it is about.
    fn to_proto(&self, block: &Block) -> proto::Diagnostic {
        let Place { full, shown } = block.locate(&self.path);
        let said = full == shown || self.detail.contains(&full.to_string());
        proto::Diagnostic {
            severity: match self.severity {
                Severity::Error => proto::Severity::Error,
                Severity::Warning => proto::Severity::Warning,
            }
            .into(),
            summary: self.summary.clone(),
            detail: if said {
                self.detail.clone()
            } else {
                format!("{full}: {}", self.detail)
            },
            attribute: (!shown.is_root()).then(|| path_to_proto(&shown)),
        }
    }
}

impl From<ValueError> for Diagnostic {
    /// A value of the provider's own making that does not fit the schema is a fault of the provider.
    fn from(error: ValueError) -> Self {
        Self::error(
            "Invalid value from the provider",
            format!("{}. This is a bug in the provider.", error.message),
        )
        .at(error.path)
    }
}

pub(crate) fn path_to_proto(path: &Path) -> proto::AttributePath {
    use proto::AttributePathSelector as Selector;
    let step = |step: &Step| proto::AttributePathStep {
        selector: Some(match step {
            Step::Attribute(name) => Selector::AttributeName(name.clone()),
            Step::Key(key) => Selector::ElementKeyString(key.clone()),
            Step::Index(index) => Selector::ElementKeyInt(*index),
        }),
    };
    proto::AttributePath {
        steps: path.steps().iter().map(step).collect(),
    }
}

/// Messages in the order in which they arose. As an error of a `Result` it holds at least one error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Adds others after those here.
    pub fn append(&mut self, other: impl Into<Diagnostics>) {
        self.0.extend(other.into().0);
    }

    /// Is an error among them?
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.0
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// `Err` if an error is among them, else `Ok` with the warnings.
    ///
    /// # Errors
    /// At least one of the diagnostics is an error.
    pub fn into_result(self) -> Result<Self, Self> {
        if self.has_errors() {
            Err(self)
        } else {
            Ok(self)
        }
    }

    pub(crate) fn to_proto(&self, block: &Block) -> Vec<proto::Diagnostic> {
        self.0
            .iter()
            .map(|diagnostic| diagnostic.to_proto(block))
            .collect()
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

impl From<ValueError> for Diagnostics {
    fn from(error: ValueError) -> Self {
        Diagnostic::from(error).into()
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(diagnostics: I) -> Self {
        Self(diagnostics.into_iter().collect())
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
