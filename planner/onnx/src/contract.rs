//! What a model file must be: a name, a version, the operators it may use, what goes in and what comes out.
//!
//! A model states the name and version of its contract in its metadata; the code that runs it holds the [`Contract`] it was
//! written against. [`crate::check`] compares the two before any runtime sees the file.

use std::{fmt, ops::RangeInclusive};

use crate::{
    proto::{
        DimensionProto, DimensionValue, TensorShapeProto, TensorTypeProto, TypeProto,
        ValueInfoProto,
    },
    tensor::ElementType,
};

/// Key of a model's metadata: the name of the contract that it keeps.
pub const KEY_CONTRACT: &str = "foremesh.contract";
/// Key of a model's metadata: the version of that contract.
pub const KEY_CONTRACT_VERSION: &str = "foremesh.contract_version";
/// Key of a model's metadata: the SHA-256 of its graph, so that a damaged weight is found.
pub const KEY_GRAPH_SHA256: &str = "foremesh.graph_sha256";

/// A dimension of an input or an output.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// Always this long.
    Fixed(usize),
    /// As long as each run says; the same name is the same length everywhere in one run.
    Symbolic(String),
}

impl From<usize> for Dimension {
    fn from(length: usize) -> Self {
        Self::Fixed(length)
    }
}

impl From<&str> for Dimension {
    fn from(name: &str) -> Self {
        Self::Symbolic(name.into())
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(length) => write!(f, "{length}"),
            Self::Symbolic(name) => f.write_str(name),
        }
    }
}

/// An input or an output of a model.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// What its elements are.
    pub element_type: ElementType,
    /// Its dimensions; none for a single number.
    pub dimensions: Vec<Dimension>,
}

impl Port {
    /// An input or an output. Dimensions are lengths (`24.into()`) or names (`"batch".into()`).
    pub fn new(
        name: impl Into<String>,
        element_type: ElementType,
        dimensions: impl IntoIterator<Item = Dimension>,
    ) -> Self {
        Self {
            name: name.into(),
            element_type,
            dimensions: dimensions.into_iter().collect(),
        }
    }

    /// As a model file says it.
    pub(crate) fn to_proto(&self) -> ValueInfoProto {
        let dim = self.dimensions.iter().map(|dimension| {
            let value = match dimension {
                Dimension::Fixed(length) => {
                    DimensionValue::Length(i64::try_from(*length).unwrap_or(i64::MAX))
                }
                Dimension::Symbolic(name) => DimensionValue::Name(name.clone()),
            };
            DimensionProto { value: Some(value) }
        });
        ValueInfoProto {
            name: self.name.clone(),
            r#type: Some(TypeProto {
                tensor_type: Some(TensorTypeProto {
                    elem_type: self.element_type.data_type() as i32,
                    shape: Some(TensorShapeProto { dim: dim.collect() }),
                }),
            }),
        }
    }
}

/// `f32[batch, 24]`
impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dimensions: Vec<String> = self.dimensions.iter().map(Dimension::to_string).collect();
        write!(f, "{}[{}]", self.element_type, dimensions.join(", "))
    }
}

/// What a model file must be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Contract {
    /// Its name, for example `foremesh.forecaster`.
    pub name: String,
    /// Its version: another one is another contract.
    pub version: u32,
    /// Versions of ONNX's own operators that a model may use.
    pub opset: RangeInclusive<i64>,
    /// What goes in.
    pub inputs: Vec<Port>,
    /// What comes out, in the order in which results are given.
    pub outputs: Vec<Port>,
}

impl Contract {
    /// A contract without inputs and outputs. Operators: opset 17, which is written here, and 18, the newest that tract is tested with.
    pub fn new(name: impl Into<String>, version: u32) -> Self {
        Self {
            name: name.into(),
            version,
            opset: 17..=18,
            inputs: Vec::new(),
            outputs: Vec::new(),
        }
    }

    /// The same with one more input.
    #[must_use]
    pub fn input(mut self, port: Port) -> Self {
        self.inputs.push(port);
        self
    }

    /// The same with one more output.
    #[must_use]
    pub fn output(mut self, port: Port) -> Self {
        self.outputs.push(port);
        self
    }
}

/// `foremesh.forecaster 1`
impl fmt::Display for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}
