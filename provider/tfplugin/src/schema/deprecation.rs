//! Warnings about what is configured and deprecated. Core knows the mark but leaves the warning to the provider.

use super::{AttributeKind, Block};
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    schema::{Attribute, Nesting},
    value::{Path, Value},
};

impl Block {
    /// A warning for each deprecated attribute and block that `config` sets.
    pub(crate) fn deprecations(&self, config: &Value) -> Diagnostics {
        let mut warnings = Diagnostics::new();
        if let Some(message) = &self.deprecation {
            warnings.push(Diagnostic::warning("Deprecated", message));
        }
        in_block(self, config, &Path::root(), &mut warnings);
        warnings
    }
}

fn in_block(block: &Block, config: &Value, at: &Path, warnings: &mut Diagnostics) {
    in_attributes(&block.attributes, config, at, warnings);
    for nested in &block.blocks {
        let here = at.clone().attr(&nested.name);
        for (path, element) in elements(
            config.get(&nested.name),
            &here,
            nested.nesting != Nesting::Single,
        ) {
            if let Some(message) = &nested.block.deprecation {
                warnings.push(Diagnostic::warning("Deprecated block", message).at(path.clone()));
            }
            in_block(&nested.block, element, &path, warnings);
        }
    }
}

fn in_attributes(attributes: &[Attribute], config: &Value, at: &Path, warnings: &mut Diagnostics) {
    for attribute in attributes {
        let (value, here) = (
            config.get(&attribute.name),
            at.clone().attr(&attribute.name),
        );
        if value.is_null() {
            continue;
        }
        if let Some(message) = &attribute.deprecation {
            warnings.push(Diagnostic::warning("Deprecated attribute", message).at(here.clone()));
        }
        if let AttributeKind::Nested(nested) = &attribute.kind {
            let collection = !matches!(nested, super::Nested::Single(_));
            for (path, element) in elements(value, &here, collection) {
                in_attributes(nested.attributes(), element, &path, warnings);
            }
        }
    }
}

/// The objects of a block or nested attribute, of which there may be one or many, with their paths.
fn elements<'v>(value: &'v Value, at: &Path, collection: bool) -> Vec<(Path, &'v Value)> {
    match value {
        Value::Map(_) if !collection => vec![(at.clone(), value)],
        Value::Map(map) => map
            .iter()
            .map(|(key, element)| (at.clone().key(key), element))
            .collect(),
        Value::List(list) => list
            .iter()
            .enumerate()
            .map(|(i, element)| (at.clone().index(i), element))
            .collect(),
        _ => Vec::new(),
    }
}
