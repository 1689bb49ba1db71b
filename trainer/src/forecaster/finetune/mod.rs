//! A model trained further on a user's own history, and kept only where it forecasts the part that it has not seen better.
//!
//! The candidate is a function of the history before its tail, of the model it begins with and of a seed. The tail is looked at once, by
//! the comparison, and nothing is chosen on it but whether the candidate is written.

mod card;
mod score;

use std::{
    fs,
    path::{Path, PathBuf},
};

use burn::{module::Module, tensor::Device};
use foremesh_model::History;

pub use score::{Comparison, SeriesScore};

use super::{
    export::export,
    import::import,
    model::Mixer,
    run::{drawn, held_back_synthetic, model_name},
    sample::{Diet, Source},
    train::{Ended, Job, Point, Recipe, train},
};
use crate::{
    TrainError,
    corpus::{
        Real,
        own::{self, OwnHistory},
    },
    learning::{write, write_model},
};
use foremesh_forecast::neural::Layout;

/// Windows that say when to stop, of all series together.
const MOST_VALIDATED: usize = 1024;
/// Losses on synthetic windows that rise by so much are worth a word.
const FORGOTTEN: f64 = 0.03;

/// What is trained further, how, and where it goes.
#[derive(Debug, Clone)]
pub struct Tuning {
    /// What the net sees and answers.
    pub layout: Layout,
    /// The model file to begin with.
    pub start: Vec<u8>,
    /// What errors and the card call it.
    pub start_name: String,
    /// How it is trained; the size is that of the model.
    pub recipe: Recipe,
    /// What it is trained on.
    pub diet: Diet,
    /// The folder that the files are written to.
    pub output: PathBuf,
    /// Where the net is computed.
    pub device: Device,
    /// The command, for the card.
    pub command: String,
}

impl Tuning {
    /// Steps, where the user names none.
    pub const STEPS: u64 = 400;

    /// A few hundred careful steps.
    #[must_use]
    pub fn recipe(steps: u64, seed: u64) -> Recipe {
        Recipe {
            steps,
            batch: 64,
            learning_rate: 3e-4,
            warm_up: steps / 20,
            evaluate_every: (steps / 16).max(1),
            patience: 5,
            seed,
            ..Recipe::default()
        }
    }

    /// A third of what the net learned from at first keeps it from forgetting.
    #[must_use]
    pub fn diet(synthetic: f64) -> Diet {
        Diet {
            synthetic,
            mixed: 0.2,
        }
    }

    /// Share of synthetic windows, where the user names none.
    pub const SYNTHETIC: f64 = 0.3;
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Tuned {
    /// Why training ended.
    pub ended: Ended,
    /// Losses of the model it began with, on windows that say when to stop.
    pub start: Point,
    /// The best point after it; None: no step was better, and the candidate is the model itself.
    pub best: Option<Point>,
    /// The learning curve.
    pub curve: Vec<Point>,
    /// Both models on the tail, which neither has seen.
    pub tail: Comparison,
    /// The candidate.
    pub candidate: Mixer,
    /// The history as it was split.
    pub history: OwnHistory,
    /// SHA-256 of the model it began with.
    pub start_sha256: String,
    /// What was written: model, card, curve. None: the candidate was not better.
    pub files: Option<[PathBuf; 3]>,
}

impl Tuned {
    /// By how much the loss on synthetic windows that are held back rose (0.05: 5 %), where that is worth a word.
    #[must_use]
    pub fn forgotten(&self) -> Option<f64> {
        let rose = self.best?.synthetic / self.start.synthetic - 1.0;
        Some(rose).filter(|rose| *rose > FORGOTTEN)
    }
}

/// The name of a layout's model that was trained further.
#[must_use]
pub fn tuned_name(layout: Layout) -> String {
    format!("{}-tuned", model_name(layout))
}

/// Trains a model further on a history, and writes it with its card and curve where it is better on the last fifth, of which it has seen nothing.
///
/// # Errors
/// [`TrainError`], one variant for each cause.
pub fn finetune(
    history: &History,
    tuning: &Tuning,
    progress: &mut dyn FnMut(&Point, u64),
) -> Result<Tuned, TrainError> {
    let layout = tuning.layout;
    let start = import(&tuning.start, &tuning.start_name, layout, &tuning.device)?;
    let history = own::split(history, layout.step_s)?;
    writable(&tuning.output)?;
    let recipe = Recipe {
        size: start.size,
        ..tuning.recipe.clone()
    };
    let before_tail: Vec<Real> = history.series.iter().map(own::Own::before_tail).collect();
    let source = Source::new(layout, &before_tail, tuning.diet, recipe.seed);
    let synthetic = held_back_synthetic(layout);
    let validation = source.held_back_every(&before_tail, validated_every(&before_tail, layout));
    let trained = train(Job {
        layout,
        recipe: recipe.clone(),
        source: &source,
        validation: [&synthetic, &validation],
        start: Some(start.net.clone()),
        // The user's series alone: what is forgotten is told apart.
        judge: Point::on_real,
        folder: None,
        time: None,
        device: tuning.device.clone(),
        progress,
    })?;
    let began = trained.start.ok_or(TrainError::NothingTrained)?;
    let best = trained
        .curve
        .iter()
        .filter(|point| point.on_real() < began.on_real())
        .min_by(|a, b| a.on_real().total_cmp(&b.on_real()))
        .copied();
    let nets = [&start.net.valid(), &trained.net];
    let tail = score::compare(nets, &history, layout, &tuning.device, recipe.seed);
    let mut tuned = Tuned {
        ended: trained.ended,
        start: began,
        best,
        curve: trained.curve,
        tail,
        candidate: trained.net,
        history,
        start_sha256: start.file.sha256,
        files: None,
    };
    if best.is_some() && tuned.tail.is_better() {
        tuned.files = Some(write_all(&tuned, tuning, &recipe)?);
    }
    Ok(tuned)
}

/// Steps between windows that say when to stop.
fn validated_every(series: &[Real], layout: Layout) -> usize {
    let steps: usize = series
        .iter()
        .map(|series| series.track.steps() - series.trains_until)
        .sum();
    (layout.day() / 2).max(steps / MOST_VALIDATED)
}

fn write_all(tuned: &Tuned, tuning: &Tuning, recipe: &Recipe) -> Result<[PathBuf; 3], TrainError> {
    let name = tuned_name(tuning.layout);
    let metadata = [
        ("foremesh.command", tuning.command.clone()),
        ("foremesh.seed", recipe.seed.to_string()),
        (
            "foremesh.steps",
            tuned.best.map_or(0, |p| p.step).to_string(),
        ),
        ("foremesh.tuned_from", tuned.start_sha256.clone()),
    ];
    let file = export(&tuned.candidate, tuning.layout, &metadata)?;
    let curve = drawn(&name, &tuned.curve)?;
    let card = card::card(tuned, tuning, recipe, &file);
    write_model(&tuning.output, &name, &file, &card, &curve)
}

/// Finds out before the work whether a folder can be written to.
fn writable(folder: &Path) -> Result<(), TrainError> {
    let probe = folder.join(".foremesh-writable");
    write(&probe, b"")?;
    fs::remove_file(&probe).map_err(|cause| TrainError::Write {
        path: probe,
        cause: cause.to_string(),
    })
}
