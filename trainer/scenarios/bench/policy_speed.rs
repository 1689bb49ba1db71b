//! How long one look of the learned policy takes, by runtime and number of services: `make bench-policy-speed`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{path::Path, time::Instant};

use foremesh_model::{InferenceSettings, RuntimeKind};
use foremesh_onnx::{Inference, Model, Surroundings, read_model};
use foremesh_policy::{
    PolicyInput,
    gnn::{Network, Region, States, contract},
};
use foremesh_scenarios::{Family, scenario};

const ROUNDS: usize = 15;

fn states(services: usize) -> States {
    let scenario = scenario(Family::Frontends, services, 11).unwrap();
    let input = PolicyInput {
        graph: &scenario.graph,
        demand: &scenario.demand,
        request: &scenario.request,
    };
    States::of(&Region::of(&input).unwrap())
}

fn loaded(settings: &InferenceSettings, file: &[u8]) -> Option<(String, Model)> {
    let inference = Inference::discover(settings, Surroundings::of_process());
    let name = inference.runtime().ok()?.to_string();
    Some((
        name,
        inference.load(file, "policy.onnx", &contract()).unwrap(),
    ))
}

/// Median and least milliseconds.
fn milliseconds(mut work: impl FnMut()) -> [f64; 2] {
    work();
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            work();
            started.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    [times[ROUNDS / 2], times[0]]
}

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let file = read_model(&root.join("models/policy.onnx")).unwrap();
    let library =
        root.join(".cache/tools/onnxruntime/1.31.1/onnxruntime/capi/libonnxruntime.so.1.31.1");
    let onnxruntime = |threads| InferenceSettings {
        runtime: RuntimeKind::Onnxruntime,
        library: Some(library.display().to_string()),
        threads: Some(threads),
        ..InferenceSettings::default()
    };
    let models: Vec<(String, Model)> =
        [InferenceSettings::default(), onnxruntime(1), onnxruntime(2)]
            .iter()
            .zip(["", ", 1 thread", ", 2 threads"])
            .filter_map(|(settings, threads)| {
                let (name, model) = loaded(settings, &file)?;
                Some((name + threads, model))
            })
            .collect();
    // More than a thousand: several regions at once, which is as much work.
    let thousand = states(1000);
    let mut twenty_thousand = States::default();
    for _ in 0..20 {
        twenty_thousand.append(&thousand);
    }
    println!("| services | calls | runtime | median ms | least ms |\n|---:|---:|---|---:|---:|");
    for states in [states(20), states(100), thousand, twenty_thousand] {
        for (name, model) in &models {
            let [median, least] = milliseconds(|| drop(model.answer(&states).unwrap()));
            println!(
                "| {} | {} | {name} | {median:.2} | {least:.2} |",
                states.services,
                states.caller.len()
            );
        }
    }
}
