//! What the net says in training is what its file says in every runtime.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use burn::{
    module::Module,
    tensor::{Device, TensorData},
};
use foremesh_forecast::neural::{
    GLOBAL, GLOBAL_FEATURES, HISTORY, HORIZON, LEVELS, Layout, TOKEN_FEATURES, contract,
};
use foremesh_model::InferenceSettings;
use foremesh_onnx::{Inference, Surroundings, Tensor};
use foremesh_trainer::forecaster::{Diet, Inputs, Mixer, Samples, Size, Source, export, import};

const SMALL: Size = Size {
    width: 16,
    time_hidden: 12,
    feature_hidden: 24,
    blocks: 2,
};

fn inputs_of(samples: &Samples, layout: Layout, device: &Device) -> Inputs {
    let batch = &samples.inputs;
    let tokens = |values: &[f32], tokens: usize| {
        let shape = [batch.windows, tokens, TOKEN_FEATURES];
        burn::tensor::Tensor::<3>::from_data(TensorData::new(values.to_vec(), shape), device)
    };
    let global = TensorData::new(batch.global.clone(), [batch.windows, GLOBAL_FEATURES]);
    Inputs {
        history: tokens(&batch.history, layout.history_tokens),
        horizon: tokens(&batch.horizon, layout.horizon_tokens),
        global: burn::tensor::Tensor::from_data(global, device),
    }
}

fn said_by(
    settings: &InferenceSettings,
    file: &[u8],
    layout: Layout,
    samples: &Samples,
) -> Vec<f32> {
    let inference = Inference::discover(settings, Surroundings::of_process());
    let model = inference
        .load(file, "test.onnx", &contract(layout))
        .unwrap();
    let batch = &samples.inputs;
    let tokens = |values: &[f32], tokens: usize| {
        Tensor::f32([batch.windows, tokens, TOKEN_FEATURES], values.to_vec()).unwrap()
    };
    let global = Tensor::f32([batch.windows, GLOBAL_FEATURES], batch.global.clone()).unwrap();
    let answers = model
        .run(&[
            (HISTORY, tokens(&batch.history, layout.history_tokens)),
            (HORIZON, tokens(&batch.horizon, layout.horizon_tokens)),
            (GLOBAL, global),
        ])
        .unwrap();
    answers[0].as_f32().unwrap().to_vec()
}

fn furthest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

/// A net and a file say the same of windows, whoever computes the file.
fn all_say_the_same(net: &Mixer, file: &[u8], layout: Layout, device: &Device) {
    let samples = Source::new(layout, &[], Diet::default(), 5).samples(0, 7);
    let inputs = inputs_of(&samples, layout, device);
    let trained: Vec<f32> = net
        .forward(&inputs)
        .into_data_as::<f32>()
        .try_to_vec()
        .unwrap();
    assert_eq!(trained.len(), 7 * layout.horizon() * LEVELS);
    // Quantiles never cross.
    assert!(
        trained
            .chunks(LEVELS)
            .all(|q| q.windows(2).all(|p| p[0] <= p[1]))
    );
    let embedded = said_by(&InferenceSettings::default(), file, layout, &samples);
    let off = furthest(&trained, &embedded);
    assert!(off < 1e-4, "embedded: {off}");

    let Some(settings) = common::onnx_runtime() else {
        return;
    };
    let off = furthest(&trained, &said_by(&settings, file, layout, &samples));
    assert!(off < 1e-4, "ONNX Runtime: {off}");
}

#[test]
fn training_and_every_runtime_say_the_same() {
    for layout in [Layout::HOURLY, Layout::FIVE_MINUTES] {
        let device = Device::flex();
        device.seed(3);
        let net = Mixer::new(layout, SMALL, &device.clone().autodiff()).valid();
        let file = export(&net, layout, &[("made", "by a test".into())]).unwrap();
        all_say_the_same(&net, &file, layout, &device);
    }
}

#[test]
fn of_the_shipped_model_too() {
    let device = Device::flex();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/forecaster-1h.onnx");
    let file = std::fs::read(path).unwrap();
    let imported = import(&file, path, Layout::HOURLY, &device).unwrap();
    all_say_the_same(&imported.net.valid(), &file, Layout::HOURLY, &device);
}
