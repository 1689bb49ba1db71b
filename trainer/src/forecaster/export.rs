//! A trained net as an ONNX file, operation by operation what [`Mixer::forward`] does.

use foremesh_forecast::neural::{LEVELS, Layout, TOKEN_STEPS, contract};
use foremesh_onnx::{Attribute, GraphBuilder, Value};

use super::model::{Mixer, increments_to_levels, median_mask};
use crate::{
    TrainError,
    learning::onnx::{finish, linear, norm, values},
};

/// The ONNX file of a net. `metadata` is what a reader may want to know of how it was made.
///
/// # Errors
/// [`TrainError::Export`] when the net does not fit the layout's contract.
pub fn export(
    net: &Mixer,
    layout: Layout,
    metadata: &[(&str, String)],
) -> Result<Vec<u8>, TrainError> {
    let contract = contract(layout);
    let mut graph = GraphBuilder::new("forecaster");
    let ports: Vec<Value> = contract
        .inputs
        .iter()
        .map(|port| graph.input(port.clone()))
        .collect();
    let [history, horizon, global] = &ports[..] else {
        return Err(TrainError::Export("the contract has other inputs".into()));
    };
    let of_history = linear(&mut graph, "history", history, &net.history);
    let of_horizon = linear(&mut graph, "horizon", horizon, &net.horizon);
    let axis = |axis: i64| [("axis", Attribute::Int(axis))];
    let tokens = graph.node("Concat", &[&of_history, &of_horizon], &axis(1));
    let of_global = linear(&mut graph, "global", global, &net.global);
    let one = graph.integers(&[1]);
    let of_global = graph.node("Unsqueeze", &[&of_global, &one], &[]);
    let [places, width] = net.place.val().dims();
    let place = graph.f32("place", &[1, places, width], &values(net.place.val()));
    let x = graph.node("Add", &[&tokens, &place], &[]);
    let mut x = graph.node("Add", &[&x, &of_global], &[]);
    let swapped = [("perm", Attribute::Ints(vec![0, 2, 1]))];
    for (i, block) in net.blocks.iter().enumerate() {
        let named = |part: &str| format!("block{i}.{part}");
        let normed = norm(&mut graph, &named("before_time"), &x, &block.before_time);
        let along_time = graph.node("Transpose", &[&normed], &swapped);
        let hidden = linear(&mut graph, &named("time_in"), &along_time, &block.time_in);
        let hidden = graph.node("Relu", &[&hidden], &[]);
        let mixed = linear(&mut graph, &named("time_out"), &hidden, &block.time_out);
        let mixed = graph.node("Transpose", &[&mixed], &swapped);
        x = graph.node("Add", &[&x, &mixed], &[]);
        let normed = norm(
            &mut graph,
            &named("before_features"),
            &x,
            &block.before_features,
        );
        let hidden = linear(
            &mut graph,
            &named("features_in"),
            &normed,
            &block.features_in,
        );
        let hidden = graph.node("Relu", &[&hidden], &[]);
        let mixed = linear(
            &mut graph,
            &named("features_out"),
            &hidden,
            &block.features_out,
        );
        x = graph.node("Add", &[&x, &mixed], &[]);
    }
    let from = graph.integers(&[layout.history_tokens as i64]);
    let to = graph.integers(&[layout.tokens() as i64]);
    let ahead = graph.node("Slice", &[&x, &from, &to, &one], &[]);
    let normed = norm(&mut graph, "before_head", &ahead, &net.before_head);
    let said = linear(&mut graph, "head", &normed, &net.head);
    let steps = (layout.horizon_tokens * TOKEN_STEPS) as i64;
    let shape = graph.integers(&[-1, steps, LEVELS as i64]);
    let said = graph.node("Reshape", &[&said, &shape], &[]);
    let mask = median_mask();
    let others: Vec<f32> = mask.iter().map(|m| 1.0 - m).collect();
    let mask = graph.f32("median", &[LEVELS], &mask);
    let others = graph.f32("others", &[LEVELS], &others);
    let median = graph.node("Mul", &[&said, &mask], &[]);
    let increments = graph.node("Softplus", &[&said], &[]);
    let increments = graph.node("Mul", &[&increments, &others], &[]);
    let steps = graph.node("Add", &[&median, &increments], &[]);
    let matrix = graph.f32("levels", &[LEVELS, LEVELS], &increments_to_levels());
    let quantiles = graph.node("MatMul", &[&steps, &matrix], &[]);
    finish(graph, &contract, &quantiles, metadata)
}
