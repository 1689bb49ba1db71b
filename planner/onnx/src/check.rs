//! Holds a model file against its contract before any runtime sees it.
//!
//! Runtimes say "invalid graph" where a user needs "this is the policy's model, not the forecaster's"; and they are not made for
//! foreign bytes. Whatever the bytes are, the answer is an error or a [`ModelFile`]: nothing here panics.

use std::collections::BTreeMap;

use prost::Message;
use sha2::{Digest, Sha256};

use crate::{
    contract::{Contract, Dimension, KEY_CONTRACT, KEY_CONTRACT_VERSION, KEY_GRAPH_SHA256, Port},
    error::ModelError,
    hex,
    proto::{DimensionValue, GraphProto, ModelProto, TensorProto, TensorTypeProto, ValueInfoProto},
    tensor::ElementType,
};

/// Bytes that a model may have.
pub const MOST_MODEL_BYTES: u64 = 256 * 1024 * 1024;

/// Versions of the file format that both runtimes read.
const FILE_FORMATS: std::ops::RangeInclusive<i64> = 4..=10;

/// What a model file says about itself, once it is known to keep its contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFile {
    /// SHA-256 of the file, in hexadecimal digits.
    pub sha256: String,
    /// All metadata: the contract, and what the trainer wrote beside it.
    pub metadata: BTreeMap<String, String>,
    /// The program that wrote the file, with its version.
    pub producer: String,
}

/// Reads a model's own account of itself and holds it against the contract. `origin` names the bytes in errors.
///
/// # Errors
/// Whatever [`ModelError`] has a variant for, but for files that cannot be read.
pub fn check(bytes: &[u8], origin: &str, contract: &Contract) -> Result<ModelFile, ModelError> {
    let at = || origin.to_owned();
    if bytes.len() as u64 > MOST_MODEL_BYTES {
        return Err(ModelError::TooLarge {
            origin: at(),
            bytes: bytes.len() as u64,
        });
    }
    if bytes.is_empty() {
        return Err(ModelError::Empty { origin: at() });
    }
    let model = ModelProto::decode(bytes).map_err(|cause| ModelError::NotOnnx {
        origin: at(),
        cause: cause.to_string(),
    })?;
    let Some(graph) = &model.graph else {
        return Err(ModelError::NoGraph { origin: at() });
    };
    if !FILE_FORMATS.contains(&model.ir_version) {
        return Err(ModelError::FileFormat {
            origin: at(),
            found: model.ir_version,
            oldest: *FILE_FORMATS.start(),
            newest: *FILE_FORMATS.end(),
        });
    }
    let metadata: BTreeMap<String, String> = model
        .metadata_props
        .iter()
        .map(|entry| (entry.key.clone(), entry.value.clone()))
        .collect();
    named_contract(&metadata, origin, contract)?;
    if let Some(wanted) = metadata.get(KEY_GRAPH_SHA256) {
        let found = hex(&Sha256::digest(graph.encode_to_vec()));
        if found != *wanted {
            return Err(ModelError::Damaged {
                origin: at(),
                found,
                wanted: wanted.clone(),
            });
        }
    }
    operators(&model, origin, contract)?;
    inside(graph, origin)?;
    let constants = |name: &str| {
        graph
            .initializer
            .iter()
            .any(|constant| constant.name == name)
    };
    let inputs: Vec<&ValueInfoProto> = graph
        .input
        .iter()
        .filter(|input| !constants(&input.name))
        .collect();
    ports("input", &inputs, &contract.inputs, origin, contract)?;
    let outputs: Vec<&ValueInfoProto> = graph.output.iter().collect();
    ports("output", &outputs, &contract.outputs, origin, contract)?;
    Ok(ModelFile {
        sha256: hex(&Sha256::digest(bytes)),
        metadata,
        producer: format!("{} {}", model.producer_name, model.producer_version)
            .trim()
            .to_owned(),
    })
}

fn named_contract(
    metadata: &BTreeMap<String, String>,
    origin: &str,
    contract: &Contract,
) -> Result<(), ModelError> {
    let Some(found) = metadata.get(KEY_CONTRACT) else {
        return Err(ModelError::NoContract {
            origin: origin.into(),
            wanted: contract.to_string(),
        });
    };
    if *found != contract.name {
        return Err(ModelError::OtherContract {
            origin: origin.into(),
            found: found.clone(),
            wanted: contract.name.clone(),
        });
    }
    let version = metadata.get(KEY_CONTRACT_VERSION);
    if version.and_then(|text| text.parse().ok()) != Some(contract.version) {
        return Err(ModelError::ContractVersion {
            origin: origin.into(),
            contract: contract.name.clone(),
            found: version.map_or_else(|| "(none)".into(), Clone::clone),
            wanted: contract.version,
        });
    }
    Ok(())
}

/// ONNX's own operators, of a version that the contract allows, and no others.
fn operators(model: &ModelProto, origin: &str, contract: &Contract) -> Result<(), ModelError> {
    let own = |domain: &str| domain.is_empty() || domain == "ai.onnx";
    let mut known = false;
    for set in &model.opset_import {
        if !own(&set.domain) {
            return Err(ModelError::UnknownDomain {
                origin: origin.into(),
                domain: set.domain.clone(),
            });
        }
        if !contract.opset.contains(&set.version) {
            return Err(ModelError::Opset {
                origin: origin.into(),
                found: set.version,
                oldest: *contract.opset.start(),
                newest: *contract.opset.end(),
            });
        }
        known = true;
    }
    if !known {
        return Err(ModelError::NoOpset {
            origin: origin.into(),
        });
    }
    let mut stranger = None;
    every_graph(model.graph.as_ref(), &mut |graph| {
        let found = graph.node.iter().find(|node| !own(&node.domain));
        stranger = stranger
            .take()
            .or_else(|| found.map(|node| node.domain.clone()));
    });
    match stranger {
        None => Ok(()),
        Some(domain) => Err(ModelError::UnknownDomain {
            origin: origin.into(),
            domain,
        }),
    }
}

/// All weights are in this file, and as many as their dimensions say: runtimes take memory by the dimensions.
fn inside(graph: &GraphProto, origin: &str) -> Result<(), ModelError> {
    let mut found = None;
    every_graph(Some(graph), &mut |graph| {
        let in_nodes = graph.node.iter().flat_map(|node| &node.attribute);
        let constants = in_nodes
            .flat_map(|attribute| attribute.t.iter().chain(&attribute.tensors))
            .chain(&graph.initializer);
        for constant in constants {
            let error = if constant.data_location != 0 || !constant.external_data.is_empty() {
                ModelError::ExternalData {
                    origin: origin.into(),
                    constant: constant.name.clone(),
                }
            } else if fits(constant) {
                continue;
            } else {
                ModelError::Constant {
                    origin: origin.into(),
                    constant: constant.name.clone(),
                    dimensions: constant.dims.clone(),
                }
            };
            found.get_or_insert(error);
        }
    });
    found.map_or(Ok(()), Err)
}

fn fits(constant: &TensorProto) -> bool {
    let elements = constant.dims.iter().try_fold(1_usize, |all, length| {
        all.checked_mul(usize::try_from(*length).ok()?)
    });
    let Some(elements) = elements else {
        return false;
    };
    // Elements of types that are not declared here are counted by their bytes where they are raw, and by the runtime elsewhere.
    let element = ElementType::of(constant.data_type);
    let bytes = element.map(|element| match element {
        ElementType::F32 => 4,
        ElementType::I64 => 8,
    });
    match (constant.raw_data.len(), bytes) {
        (0, Some(_)) => constant.float_data.len().max(constant.int64_data.len()) == elements,
        (0, None) => true,
        (raw, Some(bytes)) => elements.checked_mul(bytes) == Some(raw),
        (raw, None) => elements <= raw.saturating_mul(8),
    }
}

/// Visits a graph and those within its nodes.
fn every_graph(graph: Option<&GraphProto>, visit: &mut impl FnMut(&GraphProto)) {
    let mut left: Vec<&GraphProto> = graph.into_iter().collect();
    while let Some(graph) = left.pop() {
        visit(graph);
        let attributes = graph.node.iter().flat_map(|node| &node.attribute);
        left.extend(attributes.flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs)));
    }
}

fn ports(
    direction: &'static str,
    found: &[&ValueInfoProto],
    wanted: &[Port],
    origin: &str,
    contract: &Contract,
) -> Result<(), ModelError> {
    for port in wanted {
        let Some(value) = found.iter().find(|value| value.name == port.name) else {
            let names: Vec<&str> = found.iter().map(|value| value.name.as_str()).collect();
            return Err(ModelError::MissingPort {
                origin: origin.into(),
                direction,
                name: port.name.clone(),
                contract: contract.to_string(),
                has: if names.is_empty() {
                    "none".into()
                } else {
                    names.join(", ")
                },
            });
        };
        if !is(value, port) {
            return Err(ModelError::PortShape {
                origin: origin.into(),
                direction,
                name: port.name.clone(),
                found: told(value),
                wanted: port.to_string(),
                contract: contract.to_string(),
            });
        }
    }
    let known = |value: &&&ValueInfoProto| wanted.iter().any(|port| port.name == value.name);
    let extra = found.iter().find(|value| !known(value));
    // Where all names are known and there are too many, one of them stands there twice.
    let twice = || {
        let value = found.get(wanted.len())?;
        Some(format!("{} twice", value.name))
    };
    match extra.map(|value| value.name.clone()).or_else(twice) {
        None => Ok(()),
        Some(name) => Err(ModelError::ExtraPort {
            origin: origin.into(),
            direction,
            name,
            contract: contract.to_string(),
        }),
    }
}

fn tensor_type(value: &ValueInfoProto) -> Option<&TensorTypeProto> {
    value.r#type.as_ref()?.tensor_type.as_ref()
}

fn is(value: &ValueInfoProto, port: &Port) -> bool {
    let Some(tensor) = tensor_type(value) else {
        return false;
    };
    let Some(shape) = &tensor.shape else {
        return false;
    };
    let same = |(found, wanted): (Option<&DimensionValue>, &Dimension)| match (found, wanted) {
        (Some(DimensionValue::Length(found)), Dimension::Fixed(wanted)) => {
            usize::try_from(*found) == Ok(*wanted)
        }
        (Some(DimensionValue::Name(found)), Dimension::Symbolic(wanted)) => found == wanted,
        _ => false,
    };
    ElementType::of(tensor.elem_type) == Some(port.element_type)
        && shape.dim.len() == port.dimensions.len()
        && shape
            .dim
            .iter()
            .map(|dimension| dimension.value.as_ref())
            .zip(&port.dimensions)
            .all(same)
}

/// What a model says of one of its inputs or outputs.
fn told(value: &ValueInfoProto) -> String {
    let Some(tensor) = tensor_type(value) else {
        return "no tensor".into();
    };
    let element = ElementType::of(tensor.elem_type).map_or_else(
        || format!("(element type {})", tensor.elem_type),
        |element| element.to_string(),
    );
    let Some(shape) = &tensor.shape else {
        return format!("{element} of unknown dimensions");
    };
    let dimensions = shape.dim.iter().map(|dimension| match &dimension.value {
        Some(DimensionValue::Length(length)) => length.to_string(),
        Some(DimensionValue::Name(name)) => name.clone(),
        None => "?".into(),
    });
    format!("{element}[{}]", dimensions.collect::<Vec<_>>().join(", "))
}
