//! The runtime inside the program: tract.
//!
//! A model is optimised once, with its free dimensions left free. Optimised anew for each batch it was 5 to 15% faster (40% for a
//! single row) and cost 2 to 12 ms each time and a second copy of the weights; and a row's answer then
//! depended on how many others were asked for. Left free, it does not (`tests/parity.rs`).
//!
//! tract panics on some models that it cannot compute, so that every call is contained.

use std::{io::Cursor, sync::Arc};

use foremesh_model::DeviceKind;
use tract_onnx::prelude::{
    DatumType, Framework, InferenceModelExt, IntoRunnable, TValue, TVec, Tensor as TractTensor,
    TractError, TractResult, TypedRunnableModel, tract_itertools::Itertools,
};

use super::{Failure, Runtime, RuntimeIdentity, Session, contained};
use crate::{
    contract::Contract,
    tensor::{Elements, Tensor},
};

/// tract's version: the one that Cargo.toml pins.
pub(crate) const VERSION: &str = "0.23.9";

/// tract.
pub(crate) struct Embedded {
    identity: RuntimeIdentity,
}

impl Embedded {
    pub(crate) fn new() -> Self {
        Self {
            identity: RuntimeIdentity {
                name: "tract",
                version: VERSION.into(),
                device: DeviceKind::Cpu,
                threads: 1,
            },
        }
    }
}

impl Runtime for Embedded {
    fn identity(&self) -> &RuntimeIdentity {
        &self.identity
    }

    fn load(&self, bytes: &[u8], contract: &Contract) -> Result<Box<dyn Session>, Failure> {
        let plan = calm(|| {
            let names = |ports: &[crate::contract::Port]| {
                ports.iter().map(|port| port.name.clone()).collect_vec()
            };
            let mut model = tract_onnx::onnx().model_for_read(&mut Cursor::new(bytes))?;
            model.set_input_names(names(&contract.inputs))?;
            model.select_outputs_by_name(names(&contract.outputs))?;
            model.into_optimized()?.into_runnable()
        })?;
        Ok(Box::new(EmbeddedSession { plan }))
    }
}

struct EmbeddedSession {
    plan: Arc<TypedRunnableModel>,
}

impl Session for EmbeddedSession {
    fn run(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>, Failure> {
        calm(|| {
            let inputs: TVec<TValue> = inputs
                .iter()
                .map(|tensor| into_tract(tensor))
                .try_collect()?;
            self.plan.run(inputs)?.iter().map(from_tract).collect()
        })
    }
}

/// Runs a piece of tract; its errors and panics become texts.
fn calm<T>(work: impl FnOnce() -> TractResult<T>) -> Result<T, Failure> {
    match contained(work) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Failure::Refused(chain(&error))),
        Err(panic) => Err(Failure::Panicked(panic)),
    }
}

/// An error and its causes on one line.
fn chain(error: &TractError) -> String {
    let causes: Vec<String> = error.chain().map(|cause| cause.to_string()).collect();
    causes.join(": ").replace('\n', " ")
}

fn into_tract(tensor: &Tensor) -> TractResult<TValue> {
    Ok(match tensor.elements() {
        Elements::F32(values) => TractTensor::from_shape(tensor.shape(), values)?.into(),
        Elements::I64(values) => TractTensor::from_shape(tensor.shape(), values)?.into(),
    })
}

/// Dimensions that tract computed with are whole numbers of its own kind.
fn from_tract(value: &TValue) -> TractResult<Tensor> {
    let shape = value.shape().to_vec();
    let tensor = if value.datum_type() == DatumType::F32 {
        let values = value.try_as_plain_ram()?.as_slice::<f32>()?.to_vec();
        Tensor::f32(shape, values)
    } else {
        let whole = value.cast_to::<i64>()?;
        let values = whole.try_as_plain_ram()?.as_slice::<i64>()?.to_vec();
        Tensor::i64(shape, values)
    };
    Ok(tensor?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_one_that_is_built() {
        let workspace = include_str!("../../../../Cargo.toml");
        assert!(workspace.contains(&format!("tract-onnx = {{ version = \"={VERSION}\"")));
    }
}
