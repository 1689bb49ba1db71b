//! The training itself: batches from a thread of their own, AdamW with a cosine, averaged weights, checkpoints, early stopping.

use std::{
    path::{Path, PathBuf},
    sync::mpsc::sync_channel,
    time::{Duration, Instant},
};

use burn::{
    module::Module,
    optim::GradientsParams,
    tensor::{Device, Tensor, TensorData},
};
use foremesh_forecast::neural::{GLOBAL_FEATURES, Layout, TOKEN_FEATURES};
use serde::{Deserialize, Serialize};

use super::{
    loss::pinball,
    model::{Inputs, Mixer, Size},
    sample::{Samples, Source},
};
use crate::{
    TrainError,
    learning::{Average, Checkpoint, Schedule, adam_w, load, save},
};

/// How a net is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The net's size.
    pub size: Size,
    /// Steps of the optimiser in all.
    pub steps: u64,
    /// Windows of a step.
    pub batch: usize,
    /// Learning rate at its highest.
    pub learning_rate: f64,
    /// Steps over which it rises from 0.
    pub warm_up: u64,
    /// What the weights shrink by, times the learning rate.
    pub weight_decay: f64,
    /// Steps between evaluations.
    pub evaluate_every: u64,
    /// Evaluations without a better one after which training ends.
    pub patience: u32,
    /// Seed of the first weights and of all windows.
    pub seed: u64,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            size: Size::SMALL,
            steps: 8000,
            batch: 128,
            learning_rate: 1e-3,
            warm_up: 200,
            weight_decay: 0.01,
            evaluate_every: 250,
            patience: 12,
            seed: 1,
        }
    }
}

/// A point of the learning curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Steps done.
    pub step: u64,
    /// Mean loss of the training windows since the last point.
    pub training: f64,
    /// Loss of the averaged weights on synthetic windows that are never trained on.
    pub synthetic: f64,
    /// Loss on real windows that are never trained on, where there are any.
    pub real: Option<f64>,
    /// Seconds of work so far.
    pub seconds: f64,
}

impl Point {
    /// What decides which weights are kept: the mean of both validations, or the one there is.
    #[must_use]
    pub fn validation(&self) -> f64 {
        self.real
            .map_or(self.synthetic, |real| 0.5 * (self.synthetic + real))
    }

    /// The loss on real windows, or the one there is: where nothing but real series is to say which weights are kept.
    #[must_use]
    pub fn on_real(&self) -> f64 {
        self.real.unwrap_or(self.synthetic)
    }
}

/// What a training leaves.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The averaged weights of the best evaluation.
    pub net: Mixer,
    /// The learning curve.
    pub curve: Vec<Point>,
    /// Losses of the net that training began with, where one was given. Where no later point was better, it is `net` as well.
    pub start: Option<Point>,
    /// Why it ended.
    pub ended: Ended,
}

/// Why a training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All steps were done.
    Done,
    /// It no longer got better.
    Stopped,
    /// Its time was up; it can go on from its checkpoint.
    Time,
}

/// What a training is given.
pub struct Job<'a> {
    /// What the net sees and answers.
    pub layout: Layout,
    /// How it is trained.
    pub recipe: Recipe,
    /// Where its windows come from.
    pub source: &'a Source,
    /// Windows that are never trained on: synthetic, real.
    pub validation: [&'a Samples; 2],
    /// The net that training begins with, on a device with automatic differentiation; None: one that has learned nothing.
    pub start: Option<Mixer>,
    /// What decides which weights are kept, the least being best: [`Point::validation`], or what matters more.
    pub judge: fn(&Point) -> f64,
    /// Where checkpoints are kept; None: nowhere.
    pub folder: Option<PathBuf>,
    /// The time it may take in this run; None: no limit.
    pub time: Option<Duration>,
    /// Where the net is computed.
    pub device: Device,
    /// Hears of every point of the curve.
    pub progress: &'a mut dyn FnMut(&Point, u64),
}

/// Windows evaluated at once.
const EVALUATED: usize = 128;

pub(super) fn inputs(samples: &Samples, layout: Layout, device: &Device) -> Inputs {
    let batch = &samples.inputs;
    let tokens = |values: &[f32], tokens: usize| {
        let shape = [batch.windows, tokens, TOKEN_FEATURES];
        Tensor::<3>::from_data(TensorData::new(values.to_vec(), shape), device)
    };
    Inputs {
        history: tokens(&batch.history, layout.history_tokens),
        horizon: tokens(&batch.horizon, layout.horizon_tokens),
        global: Tensor::from_data(
            TensorData::new(batch.global.clone(), [batch.windows, GLOBAL_FEATURES]),
            device,
        ),
    }
}

fn outcome(samples: &Samples, layout: Layout, device: &Device) -> [Tensor<2>; 2] {
    let shape = [samples.inputs.windows, layout.horizon()];
    [&samples.targets, &samples.weights]
        .map(|values| Tensor::from_data(TensorData::new(values.clone(), shape), device))
}

/// The mean loss of a net on windows, computed a part at a time; NaN of none.
fn evaluate(net: &Mixer, samples: &Samples, layout: Layout, device: &Device) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for part in samples.parts(EVALUATED) {
        let answers = net.forward(&inputs(&part, layout, device));
        let [targets, weights] = outcome(&part, layout, device);
        let loss: f32 = pinball(answers, targets, weights).into_scalar();
        sum += f64::from(loss) * part.inputs.windows as f64;
        count += part.inputs.windows as f64;
    }
    sum / count
}

/// Trains a net, from its checkpoint where there is one, else from the one that is given, else from nothing.
///
/// # Errors
/// [`TrainError`] when a checkpoint cannot be read or written, or belongs to another recipe.
pub fn train(job: Job<'_>) -> Result<Trained, TrainError> {
    let Job {
        layout, ref recipe, ..
    } = job;
    let plain = job.device.clone();
    let device = job.device.clone().autodiff();
    plain.seed(recipe.seed);
    let given = job.start.is_some();
    let blank = || Mixer::new(layout, recipe.size, &device);
    let mut net = job.start.unwrap_or_else(blank);
    let mut optimiser = adam_w(recipe.weight_decay, 1.0);
    let schedule = Schedule {
        rising: recipe.warm_up,
        steps: recipe.steps,
        least: 0.01,
    };
    let mut average = Average::of(&net, 0);
    let mut best = net.valid();
    let mut state = Checkpoint::begin(recipe);
    if let Some(folder) = &job.folder
        && let Some(found) = load(folder, recipe, &net)?
    {
        net = found.net;
        optimiser = optimiser.load_record(found.optimiser);
        average = Average::of(&found.average, found.state.step);
        best = found.best.valid();
        state = found.state;
    }
    let losses = |net: &Mixer| -> [f64; 2] {
        job.validation
            .map(|samples| evaluate(net, samples, layout, &plain))
    };
    let point = |step: u64, training: f64, [synthetic, real]: [f64; 2], seconds: f64| Point {
        step,
        training,
        synthetic,
        real: Some(real).filter(|loss| loss.is_finite()),
        seconds,
    };
    let start = (given && state.step == 0).then(|| point(0, f64::NAN, losses(&best), 0.0));
    if let Some(start) = &start {
        state.best = (job.judge)(start);
    }
    let started = Instant::now();
    let before = state.seconds;
    let (sender, receiver) = sync_channel::<Samples>(2);
    let (source, batch, first) = (job.source.clone(), recipe.batch, state.step);
    let steps = recipe.steps;
    let drawing = std::thread::spawn(move || {
        for step in first..steps {
            let samples = source.samples(step * batch as u64, batch);
            if sender.send(samples).is_err() {
                return;
            }
        }
    });
    let mut ended = Ended::Done;
    let (mut sum, mut count) = (0.0, 0.0);
    for samples in receiver {
        let answers = net.forward(&inputs(&samples, layout, &device));
        let [targets, weights] = outcome(&samples, layout, &device);
        let loss = pinball(answers, targets, weights);
        let value: f32 = loss.clone().into_scalar();
        if !value.is_finite() {
            return Err(TrainError::Diverged { step: state.step });
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &net);
        net = optimiser.step(
            recipe.learning_rate * schedule.at(state.step),
            net,
            gradients,
        );
        state.step += 1;
        sum += f64::from(value);
        count += 1.0;
        average.add(&net, state.step);
        let out_of_time = job.time.is_some_and(|time| started.elapsed() >= time);
        if !state.step.is_multiple_of(recipe.evaluate_every)
            && state.step < recipe.steps
            && !out_of_time
        {
            continue;
        }
        state.seconds = before + started.elapsed().as_secs_f64();
        let averaged = average.net(net.valid());
        let point = point(state.step, sum / count, losses(&averaged), state.seconds);
        (sum, count) = (0.0, 0.0);
        state.curve.push(point);
        if (job.judge)(&point) < state.best {
            state.best = (job.judge)(&point);
            state.not_better = 0;
            best = averaged.clone();
        } else {
            state.not_better += 1;
        }
        if let Some(folder) = &job.folder {
            let (net, optimiser) = (net.valid(), optimiser.to_record());
            save(folder, &state, [net, averaged, best.clone()], optimiser)?;
        }
        (job.progress)(&point, recipe.steps);
        if state.not_better >= recipe.patience {
            ended = Ended::Stopped;
            break;
        }
        if out_of_time && state.step < recipe.steps {
            ended = Ended::Time;
            break;
        }
    }
    // Windows that end too early are no training that is done.
    if let Err(panic) = drawing.join() {
        std::panic::resume_unwind(panic);
    }
    Ok(Trained {
        net: best,
        curve: state.curve,
        start,
        ended,
    })
}

/// Where the checkpoints of a model lie in a folder.
#[must_use]
pub fn checkpoint_folder(models: &Path, name: &str) -> PathBuf {
    models.join(format!(".{name}.checkpoint"))
}
