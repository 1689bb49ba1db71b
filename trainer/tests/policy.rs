//! The policy's net says the same in training and in every runtime, learns, and goes on where it was broken off.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::{path::Path, time::Duration};

use burn::{module::Module, tensor::Device};
use foremesh_model::InferenceSettings;
use foremesh_onnx::{Inference, Surroundings, read_model};
use foremesh_policy::{
    PolicyInput,
    gnn::{Network, Region, States, contract},
};
use foremesh_scenarios::{Family, scenario};
use foremesh_trainer::{
    TrainError,
    policy::{Gnn, Options, Point, Recipe, Report, Size, export, run},
};

const SMALL: Size = Size {
    width: 12,
    message: 8,
    hidden: 16,
    layers: 2,
};

/// Regions of several families and sizes in one batch; one of them without a call.
fn states() -> States {
    let mut states = States::default();
    for (family, services) in [
        (Family::Layered, 1),
        (Family::Circles, 9),
        (Family::Frontends, 40),
    ] {
        let scenario = scenario(family, services, 7).unwrap();
        let input = PolicyInput {
            graph: &scenario.graph,
            demand: &scenario.demand,
            request: &scenario.request,
        };
        states.append(&States::of(&Region::of(&input).unwrap()));
    }
    states
}

fn said_by(settings: &InferenceSettings, file: &[u8], states: &States) -> Vec<f32> {
    let inference = Inference::discover(settings, Surroundings::of_process());
    let model = inference.load(file, "test.onnx", &contract()).unwrap();
    model.answer(states).unwrap()
}

/// The largest difference, of the largest number.
fn off(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let largest = a.iter().fold(0.0f32, |most, a| most.max(a.abs()));
    let pairs = a.iter().zip(b);
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / largest
}

#[test]
fn training_and_every_runtime_say_the_same() {
    let device = Device::flex();
    device.seed(3);
    let net = Gnn::new(SMALL, &device.clone().autodiff()).valid();
    let states = states();
    let trained = net.answer(&states).unwrap();
    assert!(trained.iter().any(|answer| answer.abs() > 1e-3));
    let file = export(&net, &[("made", "by a test".into())]).unwrap();
    let embedded = said_by(&InferenceSettings::default(), &file, &states);
    let embedded = off(&trained, &embedded);
    assert!(embedded < 1e-4, "embedded: {embedded}");

    let Some(settings) = common::onnx_runtime() else {
        return;
    };
    let other = off(&trained, &said_by(&settings, &file, &states));
    assert!(other < 1e-4, "ONNX Runtime: {other}");
    // The one inside the program.
    let shipped = shipped();
    let embedded = said_by(&InferenceSettings::default(), &shipped, &states);
    let other = off(&embedded, &said_by(&settings, &shipped, &states));
    assert!(other < 1e-4, "shipped: {other}");
}

/// The net inside the program.
fn shipped() -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/policy.onnx");
    read_model(Path::new(path)).unwrap()
}

#[test]
fn the_shipped_net_decides_something_and_says_what_it_learned_on() {
    let inference = Inference::discover(&InferenceSettings::default(), Surroundings::of_process());
    let model = inference.load(&shipped(), "shipped", &contract()).unwrap();
    assert_eq!(model.most_services(), Some(24));
    let answers = model.answer(&states()).unwrap();
    let each = answers.len() / states().services;
    for answer in 0..each {
        let [least, most] = [f32::min, f32::max].map(|of| {
            let all = answers.iter().skip(answer).step_by(each);
            all.copied().reduce(of).unwrap()
        });
        // Services differ, and none is off the scale of normal scores.
        let said = format!("{answer}: {least} to {most}");
        assert!(most - least > 0.2 && least > -4.0 && most < 4.0, "{said}");
    }
}

#[test]
fn what_is_said_of_a_region_does_not_depend_on_the_others_of_a_batch() {
    let device = Device::flex();
    device.seed(3);
    let net = Gnn::new(SMALL, &device.clone().autodiff()).valid();
    let all = net.answer(&states()).unwrap();
    let scenario = scenario(Family::Frontends, 40, 7).unwrap();
    let input = PolicyInput {
        graph: &scenario.graph,
        demand: &scenario.demand,
        request: &scenario.request,
    };
    let alone = net
        .answer(&States::of(&Region::of(&input).unwrap()))
        .unwrap();
    assert!(off(&alone, &all[all.len() - alone.len()..]) < 1e-4);
}

fn recipe() -> Recipe {
    Recipe {
        size: SMALL,
        regions: 40,
        updates: 8,
        batch: 4,
        plans: 4,
        minutes: 12,
        evaluate_every: 4,
        ..Recipe::default()
    }
}

fn trained(
    folder: &Path,
    recipe: Recipe,
    time: Option<Duration>,
    points: &mut Vec<Point>,
) -> Result<Report, TrainError> {
    let options = Options {
        recipe,
        held_back: 40,
        output: folder.into(),
        device: foremesh_trainer::cpu(),
        time,
        command: "a test".into(),
    };
    run(&options, &mut |point, _| points.push(*point))
}

#[test]
fn broken_off_it_goes_on_as_if_it_had_not_been() {
    let (whole, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut points = Vec::new();
    let report = trained(whole.path(), recipe(), None, &mut points).unwrap();
    assert!(report.done && points.len() == 2);
    // No time: it ends after the first update, whatever the machine.
    let first = trained(broken.path(), recipe(), Some(Duration::ZERO), &mut points).unwrap();
    assert!(!first.done && first.curve.len() == 1);
    let second = trained(broken.path(), recipe(), None, &mut points).unwrap();
    assert!(second.done);
    let model = |folder: &Path| std::fs::read(folder.join("policy.onnx")).unwrap();
    let loaded = |bytes: &[u8]| said_by(&InferenceSettings::default(), bytes, &states());
    let (a, b) = (loaded(&model(whole.path())), loaded(&model(broken.path())));
    assert!(off(&a, &b) < 1e-4);
    let other = Recipe {
        seed: 2,
        ..recipe()
    };
    let refused = trained(broken.path(), other, None, &mut points).unwrap_err();
    assert!(refused.to_string().contains("another recipe"), "{refused}");
}
