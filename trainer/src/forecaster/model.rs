//! The net: tokens of a day, mixed along time and along features (TSMixer: Chen et al. 2023), that answers quantiles of the residual.
//!
//! Every token of history and of the horizon becomes one vector; blocks mix them along time, one matrix for all features, then along
//! features, one matrix for all tokens. The horizon's vectors become quantiles of each step: the median, and softplus increments away from it,
//! so that they never cross.

use burn::{
    module::{Initializer, Module, Param},
    nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig},
    tensor::{Device, Tensor, TensorData, activation::relu},
};
use foremesh_forecast::neural::{
    GLOBAL_FEATURES, LEVELS, Layout, MEDIAN, TOKEN_FEATURES, TOKEN_STEPS,
};
use foremesh_model::QUANTILE_LEVELS;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

/// The size of a net.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Numbers of a token's vector.
    pub width: usize,
    /// Hidden numbers of a mix along time.
    pub time_hidden: usize,
    /// Hidden numbers of a mix along features.
    pub feature_hidden: usize,
    /// Blocks.
    pub blocks: usize,
}

impl Size {
    /// What trains on two cores in an hour or two.
    pub const SMALL: Size = Size {
        width: 96,
        time_hidden: 64,
        feature_hidden: 192,
        blocks: 4,
    };
}

/// One mix along time and one along features.
#[derive(Module, Debug)]
pub struct Block {
    pub(super) before_time: LayerNorm,
    pub(super) time_in: Linear,
    pub(super) time_out: Linear,
    pub(super) before_features: LayerNorm,
    pub(super) features_in: Linear,
    pub(super) features_out: Linear,
}

/// The forecaster's net.
#[derive(Module, Debug)]
pub struct Mixer {
    pub(super) history: Linear,
    pub(super) horizon: Linear,
    pub(super) global: Linear,
    pub(super) place: Param<Tensor<2>>,
    pub(super) blocks: Vec<Block>,
    pub(super) before_head: LayerNorm,
    pub(super) head: Linear,
}

/// What a net reads.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// `[windows, history tokens, TOKEN_FEATURES]`.
    pub history: Tensor<3>,
    /// `[windows, horizon tokens, TOKEN_FEATURES]`.
    pub horizon: Tensor<3>,
    /// `[windows, GLOBAL_FEATURES]`.
    pub global: Tensor<2>,
}

/// From the head's numbers of a step, of which all but the median are increments, to quantiles: a matrix of 14 × 14.
pub(super) fn increments_to_levels() -> Vec<f32> {
    let mut matrix = vec![0.0; LEVELS * LEVELS];
    for level in 0..LEVELS {
        matrix[MEDIAN * LEVELS + level] = 1.0;
        let away = if level < MEDIAN {
            level..MEDIAN
        } else {
            MEDIAN + 1..level + 1
        };
        for increment in away {
            matrix[increment * LEVELS + level] = if level < MEDIAN { -1.0 } else { 1.0 };
        }
    }
    matrix
}

/// 1 at the median, 0 elsewhere.
pub(super) fn median_mask() -> Vec<f32> {
    (0..LEVELS)
        .map(|level| f32::from(u8::from(level == MEDIAN)))
        .collect()
}

/// What the head says before it has learned anything: a standard normal.
fn normal_head() -> Vec<f32> {
    let normal = Normal::standard();
    let at = |level: usize| normal.inverse_cdf(QUANTILE_LEVELS[level]);
    let one = (0..LEVELS).map(|level| {
        let increment: f64 = match level {
            MEDIAN => return 0.0,
            below if below < MEDIAN => at(below + 1) - at(below),
            above => at(above) - at(above - 1),
        };
        // The inverse of softplus.
        increment.exp_m1().ln() as f32
    });
    let one: Vec<f32> = one.collect();
    one.repeat(TOKEN_STEPS)
}

impl Mixer {
    /// A net that has learned nothing, on a device with automatic differentiation; `device.seed` says which.
    pub fn new(layout: Layout, size: Size, device: &Device) -> Self {
        let linear = |from: usize, to: usize| LinearConfig::new(from, to).init(device);
        let norm = || LayerNormConfig::new(size.width).init(device);
        let blocks = (0..size.blocks).map(|_| Block {
            before_time: norm(),
            time_in: linear(layout.tokens(), size.time_hidden),
            time_out: linear(size.time_hidden, layout.tokens()),
            before_features: norm(),
            features_in: linear(size.width, size.feature_hidden),
            features_out: linear(size.feature_hidden, size.width),
        });
        let blocks = blocks.collect();
        let mut head = LinearConfig::new(size.width, TOKEN_STEPS * LEVELS)
            .with_initializer(Initializer::Normal {
                mean: 0.0,
                std: 0.01,
            })
            .init(device);
        head.bias = Some(Param::from_tensor(
            Tensor::<1>::from_data(
                TensorData::new(normal_head(), [TOKEN_STEPS * LEVELS]),
                device,
            )
            .require_grad(),
        ));
        let place = Initializer::Normal {
            mean: 0.0,
            std: 0.02,
        };
        Self {
            history: linear(TOKEN_FEATURES, size.width),
            horizon: linear(TOKEN_FEATURES, size.width),
            global: linear(GLOBAL_FEATURES, size.width),
            place: place.init([layout.tokens(), size.width], device),
            blocks,
            before_head: norm(),
            head,
        }
    }

    /// Quantiles of the residual, `[windows, steps ahead, LEVELS]`, rising with the level.
    pub fn forward(&self, inputs: &Inputs) -> Tensor<3> {
        let [windows, history_tokens, _] = inputs.history.dims();
        let [_, horizon_tokens, _] = inputs.horizon.dims();
        let tokens = Tensor::cat(
            vec![
                self.history.forward(inputs.history.clone()),
                self.horizon.forward(inputs.horizon.clone()),
            ],
            1,
        );
        let global = self.global.forward(inputs.global.clone());
        let mut x = tokens + self.place.val().unsqueeze::<3>() + global.unsqueeze_dim::<3>(1);
        for block in &self.blocks {
            let along_time = block.before_time.forward(x.clone()).swap_dims(1, 2);
            let mixed = block
                .time_out
                .forward(relu(block.time_in.forward(along_time)));
            x = x + mixed.swap_dims(1, 2);
            let features = block.before_features.forward(x.clone());
            let mixed = relu(block.features_in.forward(features));
            x = x + block.features_out.forward(mixed);
        }
        let ahead = x.narrow(1, history_tokens, horizon_tokens);
        let said = self.head.forward(self.before_head.forward(ahead));
        let said = said.reshape([windows, horizon_tokens * TOKEN_STEPS, LEVELS]);
        let device = said.device();
        let mask = Tensor::<1>::from_data(TensorData::new(median_mask(), [LEVELS]), &device);
        let mask = mask.unsqueeze::<3>();
        let matrix = TensorData::new(increments_to_levels(), [LEVELS, LEVELS]);
        let matrix = Tensor::<2>::from_data(matrix, &device);
        // softplus(x) = relu(x) + ln(1 + e^−|x|), which never overflows.
        let increments = relu(said.clone()) + said.clone().abs().neg().exp().log1p();
        let steps = said.clone() * mask.clone() + increments * (mask.neg() + 1.0);
        steps.matmul(matrix.unsqueeze::<3>())
    }
}
