//! Times both runtimes on models of about 0.4 million weights, for one row, ten and a hundred. `make bench-onnx`.
//!
//! Arguments: the library of ONNX Runtime, and where each single time is written as CSV. Runtimes take turns, so that a slow minute of the
//! machine is everybody's.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

#[path = "../tests/models/mod.rs"]
mod models;

use std::{fmt::Write, time::Instant};

use foremesh_model::{InferenceSettings, RuntimeKind};
use foremesh_onnx::{Inference, Model, Surroundings, Tensor};
use models::{Draws, Example};

const ROUNDS: usize = 25;

fn inference(runtime: RuntimeKind, library: &str, threads: u32) -> Inference {
    let settings = InferenceSettings {
        runtime,
        library: Some(library.into()),
        threads: Some(threads),
        ..InferenceSettings::default()
    };
    Inference::discover(&settings, Surroundings::default())
}

fn milliseconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64() * 1e3
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The halves of a batch, each on a thread of its own: what a caller with more rows than threads does.
fn in_halves(model: &Model, halves: &[Vec<(&str, Tensor)>]) {
    std::thread::scope(|scope| {
        for half in halves {
            scope.spawn(|| model.run(half).unwrap());
        }
    });
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(library), Some(raw_file)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: inference_speed LIBRARY RAW.csv");
        std::process::exit(1);
    };
    let runtimes = [
        inference(RuntimeKind::Embedded, &library, 1),
        inference(RuntimeKind::Onnxruntime, &library, 1),
        inference(RuntimeKind::Onnxruntime, &library, 2),
    ];
    let mut raw = String::from("model,runtime,rows,round,milliseconds\n");
    println!(
        "| model | runtime | load | 1 row, median (least) | 10 rows | 100 rows | a row of 100 |"
    );
    println!("|---|---|---:|---:|---:|---:|---:|");
    for example in [models::mlp(), models::mixer()] {
        let loaded: Vec<(String, f64, Model)> =
            runtimes.iter().map(|r| load(r, &example)).collect();
        let mut rows: Vec<(String, String)> = loaded
            .iter()
            .map(|(name, load, _)| (name.clone(), format!("{load:.1} ms")))
            .collect();
        rows.push((format!("{}, rows on 2 threads", rows[0].0), String::new()));
        let mut last = vec![0.0; rows.len()];
        for count in [1_usize, 10, 100] {
            let inputs = (example.inputs)(&mut Draws::new(9), count);
            let half = |seed| (example.inputs)(&mut Draws::new(seed), (count / 2).max(1));
            let halves = if count > 1 {
                vec![half(1), half(2)]
            } else {
                vec![half(1)]
            };
            let mut times = vec![Vec::new(); rows.len()];
            for round in 0..=ROUNDS {
                for (index, (name, _)) in rows.iter().enumerate() {
                    let time = milliseconds(|| match loaded.get(index) {
                        Some((_, _, model)) => drop(model.run(&inputs).unwrap()),
                        None => in_halves(&loaded[0].2, &halves),
                    });
                    // The first run warms up.
                    if round > 0 {
                        times[index].push(time);
                        writeln!(raw, "{},{name},{count},{round},{time:.4}", example.name).unwrap();
                    }
                }
            }
            for (index, row) in rows.iter_mut().enumerate() {
                last[index] = median(&mut times[index]);
                // On a machine where others are at work the least says more than the median.
                let least = times[index].first().copied().unwrap_or_default();
                write!(row.1, " | {:.2} ({least:.2}) ms", last[index]).unwrap();
            }
        }
        for ((name, cells), hundred) in rows.iter().zip(last) {
            println!(
                "| {} ({} kB) | {name} | {cells} | {:.3} ms |",
                example.name,
                example.bytes.len() / 1000,
                hundred / 100.0
            );
        }
    }
    std::fs::write(raw_file, raw).unwrap();
}

fn load(inference: &Inference, example: &Example) -> (String, f64, Model) {
    let name = inference.runtime().unwrap().to_string();
    let mut model = None;
    let time = milliseconds(|| {
        let loaded = inference.load(&example.bytes, example.name, &example.contract);
        model = Some(loaded.unwrap());
    });
    (name, time, model.unwrap())
}
