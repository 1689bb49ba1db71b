//! What training makes small: the pinball loss of all quantiles, in units of each series' own spread.

use burn::tensor::{Device, Tensor, TensorData, activation::relu};
use foremesh_forecast::neural::{LEVELS, TOKEN_STEPS};
use foremesh_model::QUANTILE_LEVELS;

/// Targets further away than this many spreads count as this far.
pub(super) const MOST_TARGET: f32 = 12.0;

/// What a level counts: instances are bought at 0.99.
fn level_weight(level: f64) -> f32 {
    if level >= 0.99 { 2.0 } else { 1.0 }
}

/// What a step ahead counts: most plans are about the first days.
pub(super) fn step_weight(step: usize) -> f32 {
    match step / TOKEN_STEPS {
        0..2 => 1.0,
        2..7 => 0.6,
        _ => 0.3,
    }
}

/// The mean loss of answers `[windows, steps, LEVELS]` to targets `[windows, steps]` with weights of the same shape, of which 0 stands for a gap.
pub(super) fn pinball(answers: Tensor<3>, targets: Tensor<2>, weights: Tensor<2>) -> Tensor<1> {
    let device = answers.device();
    let off = targets.unsqueeze_dim::<3>(2) - answers;
    let levels = row(QUANTILE_LEVELS.map(|level| level as f32), &device);
    let level_weights = row(QUANTILE_LEVELS.map(level_weight), &device);
    // max(τ·d, (τ − 1)·d) = τ·d + relu(−d)
    let losses = (off.clone() * levels + relu(off.neg())) * level_weights;
    let total = weights.clone().sum();
    let weighted = losses.sum_dim(2).squeeze_dim::<2>(2) * weights;
    weighted.sum() / (total + 1e-6) / LEVELS as f32
}

fn row(values: [f32; LEVELS], device: &Device) -> Tensor<3> {
    Tensor::<1>::from_data(TensorData::new(values.to_vec(), [LEVELS]), device).unsqueeze::<3>()
}
