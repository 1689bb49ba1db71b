//! Layers as ONNX writes them.

use burn::{
    nn::{LayerNorm, Linear},
    tensor::Tensor,
};
use foremesh_onnx::{Contract, GraphBuilder, Value};

use crate::TrainError;

/// Added to variances, as burn does.
const EPSILON: f32 = 1e-5;

pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data = tensor.into_data_as::<f32>();
    data.try_to_vec::<f32>().unwrap_or_default()
}

pub(crate) fn linear(graph: &mut GraphBuilder, name: &str, x: &Value, layer: &Linear) -> Value {
    let sizes = layer.weight.val().dims();
    let bias = layer.bias.as_ref().map(|bias| values(bias.val()));
    let bias = bias.unwrap_or_else(|| vec![0.0; sizes[1]]);
    graph.linear(name, x, sizes, &values(layer.weight.val()), &bias)
}

pub(crate) fn norm(graph: &mut GraphBuilder, name: &str, x: &Value, layer: &LayerNorm) -> Value {
    let scale = values(layer.gamma.val());
    let bias = layer.beta.as_ref().map(|beta| values(beta.val()));
    let bias = bias.unwrap_or_else(|| vec![0.0; scale.len()]);
    graph.layer_norm(name, x, &scale, &bias, EPSILON)
}

/// The file of a net whose answer this is. `metadata` is what a reader may want to know of how it was made.
pub(crate) fn finish(
    mut graph: GraphBuilder,
    contract: &Contract,
    answer: &Value,
    metadata: &[(&str, String)],
) -> Result<Vec<u8>, TrainError> {
    for port in &contract.outputs {
        graph.output(port.clone(), answer);
    }
    for (key, text) in metadata {
        graph.metadata(key, text);
    }
    let producer = ("foremesh-trainer", env!("CARGO_PKG_VERSION"));
    graph
        .finish(contract, producer)
        .map_err(|cause| TrainError::Export(cause.to_string()))
}
