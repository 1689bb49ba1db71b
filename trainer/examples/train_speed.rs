//! How fast the forecaster trains here: windows a second, drawn and learned from.

#![allow(clippy::print_stdout)]

use std::{error::Error, path::Path, time::Instant};

use burn::tensor::Device;
use foremesh_forecast::neural::Layout;
use foremesh_trainer::{
    corpus,
    forecaster::{Diet, Job, Point, Recipe, Source, checkpoint_folder, train},
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let steps: u64 = arguments.first().map_or(Ok(20), |n| n.parse())?;
    let seed: u64 = arguments.get(1).map_or(Ok(1), |n| n.parse())?;
    let folder = arguments.get(2);
    let layout = Layout::HOURLY;
    let real = corpus::read(Path::new("../shared/data"), layout.step_s)?;
    let source = Source::new(layout, &real, Diet::default(), seed);
    let started = Instant::now();
    let drawn = source.samples(0, 256);
    println!(
        "{:.0} windows a second drawn",
        drawn.inputs.windows as f64 / started.elapsed().as_secs_f64()
    );
    let others = Source::new(layout, &[], Diet::default(), 999);
    let synthetic = others.samples(0, 512);
    let held_back = source.held_back(&real);
    println!(
        "{} synthetic and {} real windows to validate on",
        synthetic.inputs.windows, held_back.inputs.windows
    );
    let recipe = Recipe {
        steps,
        seed,
        evaluate_every: (steps / 4).clamp(1, 250),
        ..Recipe::default()
    };
    let job = Job {
        layout,
        recipe,
        source: &source,
        validation: [&synthetic, &held_back],
        start: None,
        judge: Point::validation,
        folder: folder.map(|folder| checkpoint_folder(Path::new(folder), "forecaster")),
        time: None,
        device: Device::flex(),
        progress: &mut |point, of| {
            println!(
                "{} of {of}: training {:.4}, synthetic {:.4}, real {:?}, {:.0} s",
                point.step, point.training, point.synthetic, point.real, point.seconds
            );
        },
    };
    let started = Instant::now();
    let trained = train(job)?;
    println!(
        "{:?} after {} points, {:.2} s a step",
        trained.ended,
        trained.curve.len(),
        started.elapsed().as_secs_f64() / steps as f64
    );
    Ok(())
}
