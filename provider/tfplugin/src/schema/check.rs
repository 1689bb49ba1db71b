//! Finds what Terraform would refuse in a schema, with a message that names the place.
//!
//! Core checks too, but reports a fault only as "provider bug" when the provider is first used.

use std::collections::BTreeSet;

use super::{Attribute, AttributeKind, Block, Nested, Nesting, Schema};
use crate::value::{Path, Type};

/// A fault in a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("schema of {of}, at {path}: {message}")]
pub struct SchemaError {
    /// What the schema is of: a type name, or `provider`.
    pub of: String,
    /// The attribute or block that is wrong.
    pub path: Path,
    /// What is wrong.
    pub message: &'static str,
}

/// Names that Terraform's language has taken for itself in every resource and data block.
const RESERVED_IN_RESOURCES: [&str; 7] = [
    "connection",
    "count",
    "depends_on",
    "for_each",
    "lifecycle",
    "provider",
    "provisioner",
];
/// Names that it has taken in the provider block.
const RESERVED_IN_PROVIDER: [&str; 2] = ["alias", "version"];

impl Schema {
    /// Checks the schema of a resource or data source (`of` is its type name) or of the provider (`of` is `provider`).
    ///
    /// # Errors
    /// The first fault that Terraform would refuse the provider for.
    pub fn check(&self, of: &str) -> Result<(), SchemaError> {
        let reserved: &[&str] = if of == "provider" {
            &RESERVED_IN_PROVIDER
        } else {
            &RESERVED_IN_RESOURCES
        };
        let fault = |(path, message)| SchemaError {
            of: of.to_owned(),
            path,
            message,
        };
        let names = self
            .block
            .attributes
            .iter()
            .map(|a| &a.name)
            .chain(self.block.blocks.iter().map(|b| &b.name));
        if let Some(name) = names
            .into_iter()
            .find(|name| reserved.contains(&name.as_str()))
        {
            return Err(fault((
                Path::attribute(name),
                "the name is reserved by Terraform",
            )));
        }
        block(&self.block, &Path::root(), false).map_err(fault)
    }
}

type Fault = (Path, &'static str);

fn block(block_: &Block, at: &Path, in_collection: bool) -> Result<(), Fault> {
    let mut seen = BTreeSet::new();
    attributes(&block_.attributes, at, in_collection, &mut seen)?;
    for nested in &block_.blocks {
        let here = at.clone().attr(&nested.name);
        name(&nested.name, &here, &mut seen)?;
        if nested.max_items != 0 && nested.min_items > nested.max_items {
            return Err((here, "min_items is greater than max_items"));
        }
        if nested.nesting == Nesting::Single && (nested.min_items > 1 || nested.max_items != 1) {
            return Err((here, "a single block stands at most once"));
        }
        if nested.nesting == Nesting::Map && (nested.min_items > 0 || nested.max_items > 0) {
            return Err((here, "a map of blocks has no limits"));
        }
        block(
            &nested.block,
            &here,
            in_collection || nested.nesting != Nesting::Single,
        )?;
    }
    Ok(())
}

fn attributes<'a>(
    list: &'a [Attribute],
    at: &Path,
    in_collection: bool,
    seen: &mut BTreeSet<&'a str>,
) -> Result<(), Fault> {
    for attribute in list {
        let here = at.clone().attr(&attribute.name);
        name(&attribute.name, &here, seen)?;
        if attribute.write_only && !at.is_root() {
            return Err((here, "a write-only attribute stands in the outermost block"));
        }
        if attribute.write_only && attribute.is_computed() {
            return Err((
                here,
                "a write-only attribute comes from the configuration and cannot be computed",
            ));
        }
        match &attribute.kind {
            AttributeKind::Type(ty) if in_collection && has_dynamic(ty) => {
                return Err((
                    here,
                    "a dynamic type cannot stand inside a list, set or map of objects",
                ));
            }
            AttributeKind::Type(_) => {}
            AttributeKind::Nested(nested) => {
                let in_collection = in_collection || !matches!(nested, Nested::Single(_));
                attributes(
                    nested.attributes(),
                    &here,
                    in_collection,
                    &mut BTreeSet::new(),
                )?;
            }
        }
    }
    Ok(())
}

fn name<'a>(name: &'a str, here: &Path, seen: &mut BTreeSet<&'a str>) -> Result<(), Fault> {
    let valid = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if !name
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
        || !name.bytes().all(valid)
    {
        Err((
            here.clone(),
            "a name is made of lower case letters, digits and underscores, and starts with no digit",
        ))
    } else if !seen.insert(name) {
        Err((here.clone(), "the name stands twice"))
    } else {
        Ok(())
    }
}

fn has_dynamic(ty: &Type) -> bool {
    match ty {
        Type::Dynamic => true,
        Type::Bool | Type::String | Type::Number => false,
        Type::List(element) | Type::Set(element) | Type::Map(element) => has_dynamic(element),
        Type::Tuple(elements) => elements.iter().any(has_dynamic),
        Type::Object(object) => object.attributes.values().any(has_dynamic),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::NestedBlock;

    fn fault(schema: Schema) -> String {
        schema.check("shop_cart").unwrap_err().to_string()
    }

    #[test]
    fn faults_are_named_with_their_place() {
        let text = |name: &str| Attribute::optional(name, Type::String);
        insta::assert_snapshot!(fault(Schema::new().attribute(text("Upper"))),
            @"schema of shop_cart, at Upper: a name is made of lower case letters, digits and underscores, and starts with no digit");
        insta::assert_snapshot!(fault(Schema::new().attribute(text("a")).attribute(text("a"))),
            @"schema of shop_cart, at a: the name stands twice");
        insta::assert_snapshot!(fault(Schema::new().attribute(text("count"))),
            @"schema of shop_cart, at count: the name is reserved by Terraform");
        let dynamic = Attribute::optional("any", Type::Dynamic);
        insta::assert_snapshot!(
            fault(Schema::new().block(NestedBlock::list("rule", Block::new().attribute(dynamic.clone())))),
            @"schema of shop_cart, at rule.any: a dynamic type cannot stand inside a list, set or map of objects");
        insta::assert_snapshot!(
            fault(Schema::new().block(NestedBlock::list("rule", Block::new()).min_items(2).max_items(1))),
            @"schema of shop_cart, at rule: min_items is greater than max_items");
        insta::assert_snapshot!(
            fault(Schema::new().attribute(Attribute::optional_computed("key", Type::String).write_only())),
            @"schema of shop_cart, at key: a write-only attribute comes from the configuration and cannot be computed");
        insta::assert_snapshot!(
            fault(Schema::new().block(NestedBlock::list("rule", Block::new().attribute(text("key").write_only())))),
            @"schema of shop_cart, at rule.key: a write-only attribute stands in the outermost block");
        let single = NestedBlock::single("rule", Block::new().attribute(dynamic));
        assert_eq!(Schema::new().block(single).check("shop_cart"), Ok(()));
    }
}
