//! The constants of a model file: what a trainer needs to go on from a model that it wrote.

use std::collections::BTreeMap;

use prost::Message;

use crate::{
    check::{ModelFile, check},
    contract::Contract,
    error::ModelError,
    proto::{ModelProto, TensorProto},
    tensor::Tensor,
};

/// Checks a model file as [`check`] does, and reads its constants of numbers, by name. Constants of whole numbers (axes, shapes) are left out.
///
/// # Errors
/// Those of [`check`].
pub fn constants(
    bytes: &[u8],
    origin: &str,
    contract: &Contract,
) -> Result<(ModelFile, BTreeMap<String, Tensor>), ModelError> {
    let file = check(bytes, origin, contract)?;
    let model = ModelProto::decode(bytes).map_err(|cause| ModelError::NotOnnx {
        origin: origin.into(),
        cause: cause.to_string(),
    })?;
    let all = model.graph.unwrap_or_default().initializer;
    let numbers = all.into_iter().filter(|constant| {
        constant.data_type == crate::tensor::ElementType::F32.data_type() as i32
    });
    let mut found = BTreeMap::new();
    for constant in numbers {
        let tensor = tensor(&constant).ok_or_else(|| ModelError::Constant {
            origin: origin.into(),
            constant: constant.name.clone(),
            dimensions: constant.dims.clone(),
        })?;
        found.insert(constant.name, tensor);
    }
    Ok((file, found))
}

fn tensor(constant: &TensorProto) -> Option<Tensor> {
    let lengths = constant.dims.iter();
    let shape: Vec<usize> = lengths
        .map(|length| usize::try_from(*length).ok())
        .collect::<Option<_>>()?;
    let values = if constant.raw_data.is_empty() {
        constant.float_data.clone()
    } else {
        let (each, rest) = constant.raw_data.as_chunks::<4>();
        if !rest.is_empty() {
            return None;
        }
        each.iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect()
    };
    Tensor::f32(shape, values).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Port, builder::GraphBuilder, tensor::ElementType::F32};

    #[test]
    fn what_was_written_is_read_back() {
        let contract = Contract::new("test.scaled", 1)
            .input(Port::new("x", F32, ["batch".into(), 2.into()]))
            .output(Port::new("y", F32, ["batch".into(), 3.into()]));
        let mut graph = GraphBuilder::new("scaled");
        let x = graph.input(contract.inputs[0].clone());
        let weights = [0.5, -1.0, f32::MIN_POSITIVE, 3.0, 4.0, 5.0];
        let y = graph.linear("layer", &x, [2, 3], &weights, &[7.0; 3]);
        graph.integers(&[4, 5]);
        graph.output(contract.outputs[0].clone(), &y);
        graph.metadata("made", "by a test");
        let file = graph.finish(&contract, ("test", "0")).unwrap();
        let (said, found) = constants(&file, "scaled.onnx", &contract).unwrap();
        assert_eq!(said.metadata["made"], "by a test");
        let names: Vec<&str> = found.keys().map(String::as_str).collect();
        assert_eq!(names, ["layer.bias", "layer.weight"]);
        assert_eq!(found["layer.weight"].shape(), [2, 3]);
        assert_eq!(found["layer.weight"].as_f32(), Some(&weights[..]));

        let mut broken = file.clone();
        let at = broken
            .windows(4)
            .position(|bytes| bytes == 7f32.to_le_bytes())
            .unwrap();
        broken[at] ^= 1;
        let said = constants(&broken, "scaled.onnx", &contract);
        assert!(matches!(said, Err(ModelError::Damaged { .. })), "{said:?}");
    }
}
