//! What nodes of a graph take: values, and settings of operators.

use crate::proto::{AttributeProto, AttributeType};

/// A value of a graph: an input, a constant or what a node gives.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Value(pub(super) String);

impl Value {
    /// Stands for an optional input that is left out.
    pub fn none() -> Self {
        Self(String::new())
    }

    /// Its name in the file.
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// A setting of an operator.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// A whole number.
    Int(i64),
    /// Whole numbers.
    Ints(Vec<i64>),
    /// A number.
    Float(f32),
    /// Numbers.
    Floats(Vec<f32>),
    /// A text.
    Text(String),
}

impl Attribute {
    pub(super) fn into_proto(self, name: &str) -> AttributeProto {
        let mut proto = AttributeProto {
            name: name.into(),
            ..AttributeProto::default()
        };
        let kind = match self {
            Self::Int(value) => {
                proto.i = value;
                AttributeType::Int
            }
            Self::Ints(values) => {
                proto.ints = values;
                AttributeType::Ints
            }
            Self::Float(value) => {
                proto.f = value;
                AttributeType::Float
            }
            Self::Floats(values) => {
                proto.floats = values;
                AttributeType::Floats
            }
            Self::Text(text) => {
                proto.s = text.into_bytes();
                AttributeType::String
            }
        };
        proto.set_type(kind);
        proto
    }
}
