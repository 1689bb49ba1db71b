//! Blocks: attributes and, below them, further blocks (`service { … }`).

use std::collections::BTreeMap;

use super::Attribute;
use crate::value::{Type, Value};

/// The attributes and nested blocks between a pair of braces.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Block {
    /// Its attributes.
    pub attributes: Vec<Attribute>,
    /// Its nested blocks.
    pub blocks: Vec<NestedBlock>,
    /// What it means, in Markdown.
    pub description: String,
    /// If deprecated: what to use instead.
    pub deprecation: Option<String>,
}

impl Block {
    /// An empty block.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Describes it, in Markdown.
    #[must_use]
    pub fn description(mut self, markdown: impl Into<String>) -> Self {
        self.description = markdown.into();
        self
    }

    /// Marks it as deprecated and says what to use instead.
    #[must_use]
    pub fn deprecated(mut self, message: impl Into<String>) -> Self {
        self.deprecation = Some(message.into());
        self
    }

    /// Adds an attribute.
    #[must_use]
    pub fn attribute(mut self, attribute: Attribute) -> Self {
        self.attributes.push(attribute);
        self
    }

    /// Adds attributes.
    #[must_use]
    pub fn attributes(mut self, attributes: impl IntoIterator<Item = Attribute>) -> Self {
        self.attributes.extend(attributes);
        self
    }

    /// Adds a kind of nested block.
    #[must_use]
    pub fn block(mut self, block: NestedBlock) -> Self {
        self.blocks.push(block);
        self
    }

    /// The object type of its values.
    #[must_use]
    pub fn object_type(&self) -> Type {
        let attributes = self
            .attributes
            .iter()
            .map(|attribute| (attribute.name.clone(), attribute.value_type()));
        let blocks = self
            .blocks
            .iter()
            .map(|block| (block.name.clone(), block.value_type()));
        Type::object(attributes.chain(blocks))
    }

    /// The value of which everything is unset: attributes null, blocks absent.
    #[must_use]
    pub fn empty_value(&self) -> Value {
        let attributes = self
            .attributes
            .iter()
            .map(|attribute| (attribute.name.clone(), Value::Null));
        let blocks = self.blocks.iter().map(|block| {
            let absent = match block.nesting {
                Nesting::Single => Value::Null,
                Nesting::List | Nesting::Set => Value::List(Vec::new()),
                Nesting::Map => Value::Map(BTreeMap::new()),
            };
            (block.name.clone(), absent)
        });
        Value::Map(attributes.chain(blocks).collect())
    }
}

/// How often a nested block may stand, and what its values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nesting {
    /// Once at most: an object, or null.
    Single,
    /// A list of objects, in the order of the configuration.
    List,
    /// A set of objects.
    Set,
    /// A map of objects by the block's label.
    Map,
}

/// A kind of nested block.
#[derive(Debug, Clone, PartialEq)]
pub struct NestedBlock {
    /// The word before the brace.
    pub name: String,
    /// How often it may stand.
    pub nesting: Nesting,
    /// What it holds.
    pub block: Block,
    /// How often it must stand; for [`Nesting::Single`] 0 or 1.
    pub min_items: u32,
    /// How often it may stand; 0 is without limit.
    pub max_items: u32,
}

impl NestedBlock {
    fn new(name: impl Into<String>, nesting: Nesting, block: Block) -> Self {
        Self {
            name: name.into(),
            nesting,
            block,
            min_items: 0,
            max_items: u32::from(nesting == Nesting::Single),
        }
    }

    /// A block that stands at most once.
    pub fn single(name: impl Into<String>, block: Block) -> Self {
        Self::new(name, Nesting::Single, block)
    }

    /// Blocks whose order counts.
    pub fn list(name: impl Into<String>, block: Block) -> Self {
        Self::new(name, Nesting::List, block)
    }

    /// Blocks whose order does not count.
    pub fn set(name: impl Into<String>, block: Block) -> Self {
        Self::new(name, Nesting::Set, block)
    }

    /// Blocks with one label each.
    pub fn map(name: impl Into<String>, block: Block) -> Self {
        Self::new(name, Nesting::Map, block)
    }

    /// How often it must stand at least.
    #[must_use]
    pub fn min_items(mut self, count: u32) -> Self {
        self.min_items = count;
        self
    }

    /// How often it may stand at most.
    #[must_use]
    pub fn max_items(mut self, count: u32) -> Self {
        self.max_items = count;
        self
    }

    /// The type of its values.
    #[must_use]
    pub fn value_type(&self) -> Type {
        let object = self.block.object_type();
        match self.nesting {
            Nesting::Single => object,
            Nesting::List => Type::list(object),
            Nesting::Set => Type::set(object),
            Nesting::Map => Type::map(object),
        }
    }
}
