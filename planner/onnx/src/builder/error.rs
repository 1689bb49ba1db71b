//! What a graph cannot be written with.

use thiserror::Error;

use crate::tensor::ShapeError;

/// What a graph cannot be written with.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BuildError {
    /// Weights that do not fit their dimensions.
    #[error("constant {name}: {source}")]
    Shape {
        /// The constant.
        name: String,
        /// What does not fit.
        source: ShapeError,
    },
    /// Weights that are not numbers: training went wrong.
    #[error(
        "constant {name}: element {index} is NaN: a model with such a weight answers NaN; look at the training's loss"
    )]
    NotANumber {
        /// The constant.
        name: String,
        /// Which element.
        index: usize,
    },
    /// Two values of one name.
    #[error("{name} names two values: inputs, outputs and constants need names of their own")]
    Name {
        /// The name.
        name: String,
    },
    /// A value that this graph does not have.
    #[error("node {node} reads {value}, which this graph does not compute")]
    UnknownValue {
        /// The node.
        node: String,
        /// What it reads.
        value: String,
    },
    /// A graph that gives nothing.
    #[error("the graph has no output")]
    NoOutput,
    /// Inputs or outputs that are not the contract's.
    #[error("the graph has the {direction} {has}, the contract {contract} asks for {wants}")]
    Contract {
        /// `inputs` or `outputs`.
        direction: &'static str,
        /// What the graph has.
        has: String,
        /// What the contract asks for.
        wants: String,
        /// Name and version of the contract.
        contract: String,
    },
}
