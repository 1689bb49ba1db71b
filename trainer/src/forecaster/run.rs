//! From options to files: reads the real series, trains, writes the model, its card and its learning curve.

use std::{fmt::Write as _, path::PathBuf, time::Duration};

use burn::{module::Module, tensor::Device};
use foremesh_forecast::neural::Layout;

use super::{
    export::export,
    sample::{Diet, Samples, Source},
    train::{Ended, Job, Point, Recipe, Trained, checkpoint_folder, train},
};
use crate::{
    TrainError, corpus,
    learning::{Line, draw, facts, made, some_of, write_model},
};

/// Synthetic windows that are held back.
const HELD_BACK: usize = 512;
/// Their seed, which no training may have.
const HELD_BACK_SEED: u64 = u64::MAX;

/// What is trained, on what, and where it goes.
#[derive(Debug, Clone)]
pub struct Options {
    /// What the net sees and answers.
    pub layout: Layout,
    /// How it is trained.
    pub recipe: Recipe,
    /// What it is trained on.
    pub diet: Diet,
    /// The folder of public data sets; None: synthetic windows alone.
    pub data: Option<PathBuf>,
    /// The folder that the files are written to.
    pub output: PathBuf,
    /// Where the net is computed.
    pub device: Device,
    /// The time this run may take; None: no limit.
    pub time: Option<Duration>,
    /// The command, for the card.
    pub command: String,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Report {
    /// Why it ended.
    pub ended: Ended,
    /// The learning curve.
    pub curve: Vec<Point>,
    /// The best point of it, whose weights were kept.
    pub best: Point,
    /// Weights of the net.
    pub weights: usize,
    /// Bytes of the model file.
    pub bytes: usize,
    /// What was written: model, card, curve.
    pub files: [PathBuf; 3],
}

/// The name of a layout's model.
#[must_use]
pub fn model_name(layout: Layout) -> &'static str {
    if layout == Layout::FIVE_MINUTES {
        "forecaster-5m"
    } else {
        "forecaster-1h"
    }
}

/// Trains a forecaster, from its checkpoint where there is one, and writes the best weights so far.
///
/// # Errors
/// [`TrainError`], one variant for each cause.
pub fn run(options: &Options, progress: &mut dyn FnMut(&Point, u64)) -> Result<Report, TrainError> {
    let Options {
        layout,
        recipe,
        diet,
        ..
    } = options;
    let real = match &options.data {
        Some(folder) => corpus::read(folder, layout.step_s)?,
        None => Vec::new(),
    };
    let source = Source::new(*layout, &real, *diet, recipe.seed);
    let synthetic = held_back_synthetic(*layout);
    let held_back = source.held_back(&real);
    let name = model_name(*layout);
    // Where nothing synthetic is trained on, nothing synthetic chooses either.
    let judge = if diet.synthetic > 0.0 {
        Point::validation
    } else {
        Point::on_real
    };
    let trained = train(Job {
        layout: *layout,
        recipe: recipe.clone(),
        source: &source,
        validation: [&synthetic, &held_back],
        start: None,
        judge,
        folder: Some(checkpoint_folder(&options.output, name)),
        time: options.time,
        device: options.device.clone(),
        progress,
    })?;
    let best = trained
        .curve
        .iter()
        .min_by(|a, b| judge(a).total_cmp(&judge(b)))
        .copied()
        .ok_or(TrainError::NothingTrained)?;
    let metadata = [
        ("foremesh.command", options.command.clone()),
        ("foremesh.seed", recipe.seed.to_string()),
        ("foremesh.steps", best.step.to_string()),
    ];
    let file = export(&trained.net, *layout, &metadata)?;
    let curve = drawn(name, &trained.curve)?;
    let trains = real.iter().filter(|real| real.trains_until > 0).count();
    let card = card(options, &trained, best, &file, trains);
    let files = write_model(&options.output, name, &file, &card, &curve)?;
    Ok(Report {
        ended: trained.ended,
        weights: trained.net.num_params(),
        curve: trained.curve,
        best,
        bytes: file.len(),
        files,
    })
}

/// The picture of a forecaster's learning curve.
pub(super) fn drawn(name: &str, curve: &[Point]) -> Result<String, TrainError> {
    let line = |name, loss: fn(&Point) -> f64| Line {
        name,
        points: curve.iter().map(|p| (p.step, loss(p))).collect(),
    };
    let lines = [
        line("training windows", |p| p.training),
        line("synthetic windows held back", |p| p.synthetic),
        line("real windows held back", |p| p.real.unwrap_or(f64::NAN)),
    ];
    let title = format!("{name}: learning curve");
    draw(&title, "pinball loss, in spreads", &lines)
}

/// The synthetic windows that no training sees.
pub(super) fn held_back_synthetic(layout: Layout) -> Samples {
    Source::new(layout, &[], Diet::default(), HELD_BACK_SEED).samples(0, HELD_BACK)
}

fn told(loss: Option<f64>) -> String {
    loss.map_or_else(|| "none".into(), |loss| format!("{loss:.4}"))
}

/// What whoever runs a model wants to know of it.
fn card(options: &Options, trained: &Trained, best: Point, file: &[u8], series: usize) -> String {
    let Options { layout, recipe, .. } = options;
    let name = model_name(layout.to_owned());
    let days = |steps: usize| steps as f64 * f64::from(layout.step_s) / 86_400.0;
    let mut card = format!(
        "# {name}\n\nA forecaster of requests a second in steps of {} s: sees {:.0} days of a series, its donors, known events, holidays and \
         business metrics, and answers 14 quantiles for each of the next {:.0} days' steps.\n\n",
        layout.step_s,
        days(layout.history()),
        days(layout.horizon()),
    );
    let ended = match trained.ended {
        Ended::Done => "all steps done",
        Ended::Stopped => "stopped early: no longer better",
        Ended::Time => "time was up; the same command goes on",
    };
    let net = format!(
        "TSMixer: {} blocks, width {}, {} weights",
        recipe.size.blocks,
        recipe.size.width,
        trained.net.num_params()
    );
    let mut rows = made(name, file, net, &options.command, recipe.seed);
    rows.extend([
        (
            "training",
            format!(
                "{} of {} steps of {} windows ({ended}); weights of step {} kept; {:.1} hours",
                trained.curve.last().map_or(0, |p| p.step),
                recipe.steps,
                recipe.batch,
                best.step,
                trained.curve.last().map_or(0.0, |p| p.seconds) / 3600.0,
            ),
        ),
        (
            "data",
            match series {
                0 => "synthetic windows alone".into(),
                _ => format!(
                    "{:.0}% synthetic windows; {series} real series (NAB, Microsoft cloud monitoring, ServeGen, NASA): groups of which the benchmark tests one up to where it begins, the others up to three quarters",
                    options.diet.synthetic * 100.0
                ),
            },
        ),
        (
            "pinball loss, in spreads",
            format!(
                "{:.4} on synthetic windows held back, {} on real ones",
                best.synthetic,
                told(best.real)
            ),
        ),
    ]);
    card += &facts(&rows);
    card + &curve_table(name, &trained.curve)
}

/// The curve's picture, and some of its points.
pub(super) fn curve_table(name: &str, curve: &[Point]) -> String {
    let mut card = format!("\n![learning curve]({name}.svg)\n\n");
    card += "| step | training | synthetic held back | real held back |\n|---:|---:|---:|---:|\n";
    for point in some_of(curve) {
        let _ = writeln!(
            card,
            "| {} | {:.4} | {:.4} | {} |",
            point.step,
            point.training,
            point.synthetic,
            told(point.real)
        );
    }
    card
}
