//! Where in a value something lies: `services["cart"].ports[0]`.

use std::fmt;

/// One step from a value into a part of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// An attribute of an object or block.
    Attribute(String),
    /// An element of a map.
    Key(String),
    /// An element of a list, set or tuple, counted from 0.
    Index(i64),
}

/// A way from the root of a configuration or state to one of its parts. Its `Display` is what a user would write in
/// HCL: `services["cart"].ports[0]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<Step>);

impl Path {
    /// The root itself.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// A path that starts at the attribute `name`.
    #[must_use]
    pub fn attribute(name: impl Into<String>) -> Self {
        Self::root().attr(name)
    }

    /// The path continued by an attribute.
    #[must_use]
    pub fn attr(self, name: impl Into<String>) -> Self {
        self.step(Step::Attribute(name.into()))
    }

    /// The path continued by the key of a map.
    #[must_use]
    pub fn key(self, key: impl Into<String>) -> Self {
        self.step(Step::Key(key.into()))
    }

    /// The path continued by the index of a list, set or tuple.
    #[must_use]
    pub fn index(self, index: usize) -> Self {
        self.step(Step::Index(i64::try_from(index).unwrap_or(i64::MAX)))
    }

    /// The path continued by any step.
    #[must_use]
    pub fn step(mut self, step: Step) -> Self {
        self.0.push(step);
        self
    }

    /// The steps, outermost first.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Is this the root itself?
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn push(&mut self, step: Step) {
        self.0.push(step);
    }

    /// Puts a step before all others: errors learn their path on the way out, so that success costs nothing.
    pub(crate) fn prepend(&mut self, step: Step) {
        self.0.insert(0, step);
    }
}

impl FromIterator<Step> for Path {
    fn from_iter<I: IntoIterator<Item = Step>>(steps: I) -> Self {
        Self(steps.into_iter().collect())
    }
}

impl From<&str> for Path {
    /// The attribute of that name; the text is not parsed.
    fn from(name: &str) -> Self {
        Self::attribute(name)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Attribute(name) if i == 0 => f.write_str(name)?,
                Step::Attribute(name) => write!(f, ".{name}")?,
                Step::Key(key) => write!(f, "[{key:?}]")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// A value that does not fit its type, or bytes that are no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", if path.is_root() { String::new() } else { format!("{path}: ") })]
pub struct ValueError {
    /// The part that is wrong.
    pub path: Path,
    /// What is wrong with it.
    pub message: String,
}

impl ValueError {
    /// An error at the root; [`ValueError::inside`] moves it.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            path: Path::root(),
            message: message.into(),
        }
    }

    pub(crate) fn inside(mut self, step: Step) -> Self {
        self.path.prepend(step);
        self
    }
}
