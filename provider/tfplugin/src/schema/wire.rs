//! Schemas as messages.

use super::{Attribute, AttributeKind, Block, Mode, Nested, NestedBlock, Nesting, Schema};
use crate::proto;

impl Schema {
    pub(crate) fn to_proto(&self) -> proto::Schema {
        proto::Schema {
            version: self.version,
            block: Some(block(&self.block, self.version)),
        }
    }
}

fn block(block_: &Block, version: i64) -> proto::SchemaBlock {
    proto::SchemaBlock {
        version,
        attributes: block_.attributes.iter().map(attribute).collect(),
        block_types: block_.blocks.iter().map(nested_block).collect(),
        description: block_.description.clone(),
        description_kind: proto::StringKind::Markdown.into(),
        deprecated: block_.deprecation.is_some(),
        deprecation_message: block_.deprecation.clone().unwrap_or_default(),
    }
}

fn nested_block(nested: &NestedBlock) -> proto::SchemaNestedBlock {
    let (nesting, limited) = match nested.nesting {
        Nesting::Single => (proto::NestedBlockNesting::Single, false),
        Nesting::List => (proto::NestedBlockNesting::List, true),
        Nesting::Set => (proto::NestedBlockNesting::Set, true),
        Nesting::Map => (proto::NestedBlockNesting::Map, false),
    };
    // Of a single block core wants both limits equal: 0 and 0 for optional, 1 and 1 for required.
    let max_items = if limited {
        nested.max_items
    } else {
        nested.min_items
    };
    proto::SchemaNestedBlock {
        type_name: nested.name.clone(),
        block: Some(block(&nested.block, 0)),
        nesting: nesting.into(),
        min_items: nested.min_items.into(),
        max_items: max_items.into(),
    }
}

fn attribute(attribute_: &Attribute) -> proto::SchemaAttribute {
    // Type and nested type exclude each other on the wire.
    let (ty, nested_type) = match &attribute_.kind {
        AttributeKind::Type(ty) => (ty.to_bytes(), None),
        AttributeKind::Nested(nested) => (Vec::new(), Some(object(nested))),
    };
    proto::SchemaAttribute {
        name: attribute_.name.clone(),
        r#type: ty,
        nested_type,
        description: attribute_.description.clone(),
        description_kind: proto::StringKind::Markdown.into(),
        required: attribute_.mode == Mode::Required,
        optional: matches!(attribute_.mode, Mode::Optional | Mode::OptionalComputed),
        computed: attribute_.is_computed(),
        sensitive: attribute_.sensitive,
        deprecated: attribute_.deprecation.is_some(),
        write_only: attribute_.write_only,
        deprecation_message: attribute_.deprecation.clone().unwrap_or_default(),
    }
}

fn object(nested: &Nested) -> proto::SchemaObject {
    proto::SchemaObject {
        attributes: nested.attributes().iter().map(attribute).collect(),
        nesting: match nested {
            Nested::Single(_) => proto::ObjectNesting::Single,
            Nested::List(_) => proto::ObjectNesting::List,
            Nested::Set(_) => proto::ObjectNesting::Set,
            Nested::Map(_) => proto::ObjectNesting::Map,
        }
        .into(),
        ..Default::default()
    }
}
