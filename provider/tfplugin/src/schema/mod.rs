//! Schemas: what a configuration may say, declared once and sent to Terraform as it expects it.

mod attribute;
mod block;
mod check;
mod deprecation;
mod locate;
mod wire;

pub use attribute::{Attribute, AttributeKind, Mode, Nested};
pub use block::{Block, NestedBlock, Nesting};
pub use check::SchemaError;
pub(crate) use locate::Place;

use crate::value::{Type, Value};

/// The schema of a provider, resource or data source.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Schema {
    /// Counts up when a stored state must be upgraded; see [`crate::Resource::upgrade`].
    pub version: i64,
    /// The attributes and blocks.
    pub block: Block,
}

impl Schema {
    /// An empty schema of version 0.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the version.
    #[must_use]
    pub fn version(mut self, version: i64) -> Self {
        self.version = version;
        self
    }

    /// Describes it, in Markdown.
    #[must_use]
    pub fn description(mut self, markdown: impl Into<String>) -> Self {
        self.block = self.block.description(markdown);
        self
    }

    /// Marks it as deprecated and says what to use instead.
    #[must_use]
    pub fn deprecated(mut self, message: impl Into<String>) -> Self {
        self.block = self.block.deprecated(message);
        self
    }

    /// Adds an attribute.
    #[must_use]
    pub fn attribute(mut self, attribute: Attribute) -> Self {
        self.block = self.block.attribute(attribute);
        self
    }

    /// Adds attributes.
    #[must_use]
    pub fn attributes(mut self, attributes: impl IntoIterator<Item = Attribute>) -> Self {
        self.block = self.block.attributes(attributes);
        self
    }

    /// Adds a kind of nested block.
    #[must_use]
    pub fn block(mut self, block: NestedBlock) -> Self {
        self.block = self.block.block(block);
        self
    }

    /// The object type of its values.
    #[must_use]
    pub fn object_type(&self) -> Type {
        self.block.object_type()
    }

    /// The value of which everything is unset, as a start for an import.
    #[must_use]
    pub fn empty_value(&self) -> Value {
        self.block.empty_value()
    }
}
