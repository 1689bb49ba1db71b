//! The one door to ONNX: writes model files, checks them, finds a runtime, loads a model, runs a batch on CPU or GPU.
//!
//! ```
//! use foremesh_model::InferenceSettings;
//! use foremesh_onnx::{Contract, ElementType::F32, GraphBuilder, Inference, Port, Surroundings, Tensor};
//!
//! let contract = Contract::new("example.double", 1)
//!     .input(Port::new("x", F32, ["batch".into()]))
//!     .output(Port::new("y", F32, ["batch".into()]));
//!
//! // What a trainer does.
//! let mut graph = GraphBuilder::new("double");
//! let x = graph.input(contract.inputs[0].clone());
//! let y = graph.node("Add", &[&x, &x], &[]);
//! graph.output(contract.outputs[0].clone(), &y);
//! let file = graph.finish(&contract, ("example", "1.0"))?;
//!
//! // What a forecaster does.
//! let inference = Inference::discover(&InferenceSettings::default(), Surroundings::of_process());
//! let model = inference.load(&file, "double.onnx", &contract)?;
//! let answers = model.run(&[("x", Tensor::f32([2], vec![1.0, 2.5])?)])?;
//! assert_eq!(answers[0].as_f32(), Some([2.0, 5.0].as_slice()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Like `observe`, this crate touches what is outside: it reads model files ([`read_model`]), looks for a library and loads it. Stages that compute
//! ([`Model`] handed in) do not.

mod builder;
mod check;
mod constants;
mod contract;
mod discovery;
mod error;
mod file;
mod inference;
mod model;
pub mod proto;
mod report;
mod runtime;
mod tensor;

pub use builder::{Attribute, BuildError, GraphBuilder, IR_VERSION, OPSET, Value};
pub use check::{MOST_MODEL_BYTES, ModelFile, check};
pub use constants::constants;
pub use contract::{
    Contract, Dimension, KEY_CONTRACT, KEY_CONTRACT_VERSION, KEY_GRAPH_SHA256, Port,
};
pub use discovery::{Candidate, FoundIn, Surroundings, VARIABLE, VARIABLE_ORT, candidates};
pub use error::{InferenceError, ModelError};
pub use file::read_model;
pub use inference::Inference;
pub use model::{LazyModel, Model, ModelIdentity, ModelSource};
pub use report::{
    CandidateReport, ChoiceReport, DeviceReport, EmbeddedReport, LibraryReport, RuntimeReport,
};
pub use runtime::{Failure, Runtime, RuntimeIdentity, Session, contained};
pub use tensor::{ElementType, Elements, ShapeError, Tensor};

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
