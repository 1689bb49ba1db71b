//! A loaded model: what goes in and comes out is held against the contract on each run.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::OnceLock};

use serde::Serialize;

use crate::{
    check::ModelFile,
    contract::{Contract, Dimension, Port},
    error::InferenceError,
    file::read_model,
    inference::Inference,
    runtime::{Failure, RuntimeIdentity, Session},
    tensor::{ElementType, Tensor},
};

/// What a result depends on beside the inputs: a profile records it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct ModelIdentity {
    /// Name and version of the contract.
    pub contract: String,
    /// SHA-256 of the model file, in hexadecimal digits.
    pub sha256: String,
    /// Who computes.
    pub runtime: RuntimeIdentity,
}

/// `foremesh.forecaster 1, SHA-256 0123456789ab, tract 0.23.9 on cpu`
impl fmt::Display for ModelIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.sha256.get(..12).unwrap_or(&self.sha256);
        write!(f, "{}, SHA-256 {digits}, {}", self.contract, self.runtime)
    }
}

/// A model, ready to run. Threads may share it.
pub struct Model {
    origin: String,
    contract: Contract,
    file: ModelFile,
    identity: ModelIdentity,
    session: Box<dyn Session>,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Model({}: {})", self.origin, self.identity)
    }
}

impl Model {
    pub(crate) fn new(
        origin: &str,
        contract: &Contract,
        file: ModelFile,
        runtime: &RuntimeIdentity,
        session: Box<dyn Session>,
    ) -> Self {
        let identity = ModelIdentity {
            contract: contract.to_string(),
            sha256: file.sha256.clone(),
            runtime: runtime.clone(),
        };
        Self {
            origin: origin.into(),
            contract: contract.clone(),
            file,
            identity,
            session,
        }
    }

    /// What its results depend on beside the inputs.
    pub fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    /// What its trainer wrote beside it.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.file.metadata
    }

    /// The contract that it keeps.
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// Runs it once: tensors by the names of the contract's inputs, in any order; answers in the order of its outputs.
    ///
    /// # Errors
    /// Inputs that do not fit the contract or each other, a runtime that gives up, answers that do not fit the contract.
    pub fn run(&self, inputs: &[(&str, Tensor)]) -> Result<Vec<Tensor>, InferenceError> {
        let mut lengths = BTreeMap::new();
        let mut ordered = Vec::with_capacity(inputs.len());
        for port in &self.contract.inputs {
            let mut named = inputs.iter().filter(|(name, _)| *name == port.name);
            let (Some((_, tensor)), None) = (named.next(), named.next()) else {
                return Err(self.wrong_inputs(inputs));
            };
            self.fits("input", port, tensor, &mut lengths)?;
            ordered.push(tensor);
        }
        if inputs.len() != ordered.len() {
            return Err(self.wrong_inputs(inputs));
        }
        if let Some(nothing) = self.nothing(&lengths) {
            return Ok(nothing);
        }
        let origin = || self.origin.clone();
        let runtime = || self.identity.runtime.to_string();
        let outputs = self
            .session
            .run(&ordered)
            .map_err(|failure| match failure {
                Failure::Refused(cause) => InferenceError::Run {
                    origin: origin(),
                    runtime: runtime(),
                    cause,
                },
                Failure::Panicked(cause) => InferenceError::Panicked {
                    origin: origin(),
                    runtime: runtime(),
                    cause,
                },
            })?;
        if outputs.len() != self.contract.outputs.len() {
            return Err(InferenceError::Run {
                origin: origin(),
                runtime: runtime(),
                cause: format!(
                    "it gave {} outputs in place of {}",
                    outputs.len(),
                    self.contract.outputs.len()
                ),
            });
        }
        for (port, tensor) in self.contract.outputs.iter().zip(&outputs) {
            self.fits("output", port, tensor, &mut lengths)?;
        }
        Ok(outputs)
    }

    /// The answer to a batch of none, which ONNX Runtime refuses for some models: every output has no elements.
    fn nothing(&self, lengths: &BTreeMap<String, usize>) -> Option<Vec<Tensor>> {
        let outputs = self.contract.outputs.iter().map(|port| {
            let shape: Option<Vec<usize>> = port
                .dimensions
                .iter()
                .map(|dimension| match dimension {
                    Dimension::Fixed(length) => Some(*length),
                    Dimension::Symbolic(name) => lengths.get(name).copied(),
                })
                .collect();
            match port.element_type {
                ElementType::F32 => Tensor::f32(shape?, Vec::new()).ok(),
                ElementType::I64 => Tensor::i64(shape?, Vec::new()).ok(),
            }
        });
        outputs.collect()
    }

    fn wrong_inputs(&self, inputs: &[(&str, Tensor)]) -> InferenceError {
        let wanted: Vec<&str> = self
            .contract
            .inputs
            .iter()
            .map(|port| port.name.as_str())
            .collect();
        let found: Vec<&str> = inputs.iter().map(|(name, _)| *name).collect();
        InferenceError::Inputs {
            origin: self.origin.clone(),
            wanted: wanted.join(", "),
            found: if found.is_empty() {
                "none".into()
            } else {
                found.join(", ")
            },
        }
    }

    /// Whether a tensor is what the contract says, with the lengths that symbols have in this run.
    fn fits(
        &self,
        direction: &'static str,
        port: &Port,
        tensor: &Tensor,
        lengths: &mut BTreeMap<String, usize>,
    ) -> Result<(), InferenceError> {
        let same = port.element_type == tensor.element_type()
            && port.dimensions.len() == tensor.shape().len()
            && port.dimensions.iter().zip(tensor.shape()).all(
                |(dimension, length)| match dimension {
                    Dimension::Fixed(wanted) => wanted == length,
                    Dimension::Symbolic(name) => {
                        lengths.entry(name.clone()).or_insert(*length) == length
                    }
                },
            );
        if same {
            return Ok(());
        }
        let known: Vec<String> = port
            .dimensions
            .iter()
            .map(|dimension| match dimension {
                Dimension::Symbolic(name) => match lengths.get(name) {
                    Some(length) => format!("{name} = {length}"),
                    None => name.clone(),
                },
                Dimension::Fixed(length) => length.to_string(),
            })
            .collect();
        Err(InferenceError::TensorShape {
            origin: self.origin.clone(),
            direction,
            name: port.name.clone(),
            found: format!("{}{:?}", tensor.element_type(), tensor.shape()),
            wanted: format!("{}[{}]", port.element_type, known.join(", ")),
        })
    }
}

/// Where a model's bytes come from.
#[derive(Debug, Clone)]
pub enum ModelSource {
    /// A file.
    File(PathBuf),
    /// Bytes inside the program, with a name for errors.
    Inside {
        /// What errors call it.
        name: &'static str,
        /// The model file.
        bytes: &'static [u8],
    },
}

/// A model that is loaded when it is first asked for, once. Threads may share it.
#[derive(Debug)]
pub struct LazyModel {
    inference: Inference,
    source: ModelSource,
    contract: Contract,
    loaded: OnceLock<Result<Model, InferenceError>>,
}

impl LazyModel {
    /// Names a model; nothing is read or loaded.
    pub fn new(inference: Inference, source: ModelSource, contract: Contract) -> Self {
        Self {
            inference,
            source,
            contract,
            loaded: OnceLock::new(),
        }
    }

    /// The model. Whoever asks first waits for it to load; an error stays.
    ///
    /// # Errors
    /// Those of [`Inference::load`] and [`read_model`].
    pub fn get(&self) -> Result<&Model, InferenceError> {
        let loaded = self.loaded.get_or_init(|| match &self.source {
            ModelSource::Inside { name, bytes } => self.inference.load(bytes, name, &self.contract),
            ModelSource::File(path) => {
                let bytes = read_model(path)?;
                let origin = path.display().to_string();
                self.inference.load(&bytes, &origin, &self.contract)
            }
        });
        loaded.as_ref().map_err(Clone::clone)
    }
}
