//! The one door to ONNX: writes model files, checks them, finds a runtime, loads a model, runs a batch on CPU or GPU.

mod builder;
mod contract;
pub mod proto;
mod tensor;

pub use builder::{Attribute, BuildError, GraphBuilder, IR_VERSION, OPSET, Value};
pub use contract::{
    Contract, Dimension, KEY_CONTRACT, KEY_CONTRACT_VERSION, KEY_GRAPH_SHA256, Port,
};
pub use tensor::{ElementType, Elements, ShapeError, Tensor};

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
