//! What a runtime is: one trait, two implementations.

mod contained;
#[cfg(feature = "embedded")]
pub(crate) mod embedded;
#[cfg(feature = "onnxruntime")]
pub(crate) mod onnxruntime;

pub use contained::contained;

use std::fmt;

use foremesh_model::DeviceKind;
use serde::Serialize;

use crate::{contract::Contract, tensor::Tensor};

/// Who computes, in which version and where: with the model's hash, what a result depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct RuntimeIdentity {
    /// `tract` or `ONNX Runtime`.
    pub name: &'static str,
    /// Its version.
    pub version: String,
    /// `cpu` or `cuda`; never `auto`.
    pub device: DeviceKind,
    /// Threads that one operation is computed with: another number moves the last digits.
    pub threads: u32,
}

/// `ONNX Runtime 1.31.1 on cpu`, or `on cpu with 2 threads`
impl fmt::Display for RuntimeIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} on {}", self.name, self.version, self.device)?;
        match self.threads {
            1 => Ok(()),
            threads => write!(f, " with {threads} threads"),
        }
    }
}

/// How a runtime failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It says what is wrong.
    Refused(String),
    /// It panicked; the panic was caught.
    Panicked(String),
}

/// Something that can load models.
pub trait Runtime: Send + Sync {
    /// Who it is.
    fn identity(&self) -> &RuntimeIdentity;

    /// Loads a model that is known to keep its contract.
    ///
    /// # Errors
    /// Where the runtime does not take the model.
    fn load(&self, bytes: &[u8], contract: &Contract) -> Result<Box<dyn Session>, Failure>;
}

/// A model in a runtime.
pub trait Session: Send + Sync {
    /// Runs the model once. Inputs and outputs are in the contract's order; inputs fit the contract.
    ///
    /// # Errors
    /// Where the runtime gives up.
    fn run(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>, Failure>;
}
