//! The training: proximal policy optimisation (Schulman et al., *Proximal policy optimization algorithms*, 2017) of one actor for all services.
//!
//! A region is planned at one look, so an episode has one step: there is nothing to bootstrap, and the mean return of several plans of the same region on
//! the same minutes is the baseline (no critic: it would have to learn what these samples measure). What a service's own instances cost is
//! its own return; minutes that are not kept are everybody's. Their price follows what is kept (dual ascent), until the regions together keep what is
//! asked.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use burn::{
    module::Module,
    optim::GradientsParams,
    tensor::{Device, Tensor, TensorData},
};
use foremesh_model::random::{mix, uniform};
use foremesh_policy::gnn::{ACTIONS, Minute, Network, States};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{
    cases::Case,
    held::{Held, Shown, evaluate},
    net::{Gnn, Inputs, Size},
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
    /// Regions that are drawn to learn on.
    pub regions: usize,
    /// Updates in all.
    pub updates: u64,
    /// Regions of an update.
    pub batch: usize,
    /// Plans that are tried of each, half of them mirrored.
    pub plans: usize,
    /// Minutes that a plan is tried on.
    pub minutes: usize,
    /// Steps of the optimiser for an update.
    pub epochs: usize,
    /// How far the odds of an action may move in an update.
    pub clip: f64,
    /// Learning rate at its highest.
    pub learning_rate: f64,
    /// Deviation of tried answers from the net's, at first and at last.
    pub deviation: [f64; 2],
    /// Share of minutes that may be missed.
    pub missed: f64,
    /// Updates between evaluations.
    pub evaluate_every: u64,
    /// Seed of the first weights, the regions and all that is tried.
    pub seed: u64,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            size: Size::SMALL,
            regions: 3000,
            updates: 8000,
            batch: 16,
            plans: 16,
            minutes: 80,
            epochs: 2,
            clip: 0.2,
            learning_rate: 1e-3,
            deviation: [0.4, 0.1],
            missed: 0.004,
            evaluate_every: 100,
            seed: 1,
        }
    }
}

/// A point of the learning curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Updates done.
    pub step: u64,
    /// Cost of the net's plans since the last point, not made safe, ÷ the safe rule's, geometric mean.
    pub tried_cost: f64,
    /// Share of minutes that they missed.
    pub tried_missed: f64,
    /// Price of a missed minute, in costs of the safe rule.
    pub price: f64,
    /// Cost of the averaged net's plans, made safe, on regions held back ÷ that of the best one answer for all services, geometric mean.
    pub cost: f64,
    /// Share of minutes that they miss there, on minutes that took no part in making them safe.
    pub missed: f64,
    /// Share of minutes that they would miss if they were not made safe.
    pub unguarded_missed: f64,
    /// Seconds of work so far.
    pub seconds: f64,
}

impl Point {
    /// The less the better: cost, and what is missed beyond what may be.
    #[must_use]
    pub fn loss(&self) -> f64 {
        self.cost.ln() + 4.0 * (self.missed - 0.006).max(0.0)
    }
}

/// What a training leaves.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The averaged weights of the best evaluation.
    pub net: Gnn,
    /// The learning curve.
    pub curve: Vec<Point>,
    /// All updates were done; else the time was up.
    pub done: bool,
}

/// What a training is given.
pub struct Job<'j, 'a> {
    /// How it is done.
    pub recipe: Recipe,
    /// Regions to learn on.
    pub cases: &'j [Case<'a>],
    /// Regions that are never learned on.
    pub held: &'j [Held<'a>],
    /// Where checkpoints are kept; None: nowhere.
    pub folder: Option<PathBuf>,
    /// The time it may take in this run; None: no limit.
    pub time: Option<Duration>,
    /// Where the net is computed.
    pub device: Device,
    /// Hears of every point of the curve.
    pub progress: &'j mut dyn FnMut(&Point, u64),
}

/// A region's part of an update.
struct Tried {
    /// `[plan][service][action]`, as deviations of a standard normal.
    draws: Vec<Vec<[f32; ACTIONS]>>,
    /// `[plan][service]`.
    advantages: Vec<Vec<f32>>,
    /// What the net's own answers cost, of the safe rule's, and the share of minutes that they miss.
    cost: f64,
    missed: f64,
}

fn deviation(recipe: &Recipe, update: u64) -> f64 {
    let [first, last] = recipe.deviation;
    let passed = update as f64 / recipe.updates.max(1) as f64;
    first * (last / first).powf(passed.min(1.0))
}

/// Tries plans of a region about the net's answers.
fn tried(
    case: &Case<'_>,
    answers: &[f32],
    recipe: &Recipe,
    deviation: f64,
    price: f64,
    key: u64,
) -> Tried {
    let services = case.region.services();
    let mut random = ChaCha8Rng::seed_from_u64(key);
    let from = (uniform(mix(key, 1)) * case.minutes.len() as f64) as usize;
    let minutes: Vec<Minute> = (case.minutes.iter().cycle())
        .skip(from)
        .take(recipe.minutes)
        .cloned()
        .collect();
    let mut draws: Vec<Vec<[f32; ACTIONS]>> = Vec::with_capacity(recipe.plans);
    for plan in 0..recipe.plans {
        let drawn: Vec<[f32; ACTIONS]> = match plan % 2 {
            0 => (0..services)
                .map(|_| [(); ACTIONS].map(|()| StandardNormal.sample(&mut random)))
                .collect(),
            _ => draws[plan - 1]
                .iter()
                .map(|pair| pair.map(|z| -z))
                .collect(),
        };
        draws.push(drawn);
    }
    let judged: Vec<_> = draws
        .iter()
        .map(|draws| {
            let answers: Vec<[f64; ACTIONS]> = (answers.chunks_exact(ACTIONS))
                .zip(draws)
                .map(|(mean, draw)| {
                    [0, 1].map(|a| f64::from(mean[a]) + deviation * f64::from(draw[a]))
                })
                .collect();
            case.region.plan(&answers).judged(&case.region, &minutes)
        })
        .collect();
    let said: Vec<[f64; ACTIONS]> = States::answers(answers);
    let unmoved = case.region.plan(&said).judged(&case.region, &minutes);
    let count = judged.len().max(1) as f64;
    let unit = case.rule.judged.cost_per_hour.max(1e-9);
    let missed = 1.0 - judged.iter().map(|j| j.kept).sum::<f64>() / count;
    let mean_cost: Vec<f64> = (0..services)
        .map(|s| {
            judged
                .iter()
                .map(|j| j.service_cost_per_hour[s])
                .sum::<f64>()
                / count
        })
        .collect();
    let advantages = judged
        .iter()
        .map(|j| {
            let shared = price * (j.kept - (1.0 - missed));
            let own = j.service_cost_per_hour.iter().zip(&mean_cost);
            own.map(|(cost, mean)| (shared - (cost - mean) / unit) as f32)
                .collect()
        })
        .collect();
    Tried {
        draws,
        advantages,
        cost: unmoved.cost_per_hour / unit,
        missed: 1.0 - unmoved.kept,
    }
}

/// One step of the optimiser's loss: how much better the better plans become, within the clip.
fn loss(
    net: &Gnn,
    inputs: &Inputs,
    before: &Tensor<2>,
    [draws, advantages]: [&Tensor<3>; 2],
    deviation: f64,
    clip: f64,
) -> Tensor<1> {
    // Answers were before + deviation · draw; the logarithm of their odds under the net of now against the net of before.
    let moved = (net.forward(inputs) - before.clone()) / deviation;
    let moved = moved.unsqueeze::<3>();
    let now = (draws.clone() - moved).square();
    let odds = (draws.clone().square() - now).sum_dim(2).mul_scalar(0.5);
    let ratio = odds.clamp(-4.0, 4.0).exp();
    let free = ratio.clone() * advantages.clone();
    let bound = ratio.clamp(1.0 - clip, 1.0 + clip) * advantages.clone();
    free.min_pair(bound).mean().neg()
}

/// Trains a net, from its checkpoint where there is one, else from nothing.
///
/// # Errors
/// [`TrainError`] when a checkpoint cannot be read or written, or belongs to another recipe; when the net diverges.
pub fn train(job: Job<'_, '_>) -> Result<Trained, TrainError> {
    let Job { ref recipe, .. } = job;
    let plain = job.device.clone();
    let device = job.device.clone().autodiff();
    plain.seed(recipe.seed);
    if job.cases.is_empty() {
        let what = "to learn on";
        return Err(TrainError::NothingToLearn { drawn: 0, what });
    }
    let mut net = Gnn::new(recipe.size, &device);
    let mut optimiser = adam_w(1e-4, 0.5);
    let schedule = Schedule {
        rising: 50,
        steps: recipe.updates,
        least: 0.05,
    };
    let mut average = Average::of(&net, 0);
    let mut best = net.valid();
    let mut state: Checkpoint<Recipe, Point> = Checkpoint::begin(recipe);
    if let Some(folder) = &job.folder
        && let Some(found) = load(folder, recipe, &net)?
    {
        net = found.net;
        optimiser = optimiser.load_record(found.optimiser);
        average = Average::of(&found.average, found.state.step);
        best = found.best.valid();
        state = found.state;
    }
    let mut price = state.curve.last().map_or(5.0, |point| point.price);
    let started = Instant::now();
    let before = state.seconds;
    let mut done = true;
    let (mut sums, mut count) = ([0.0; 2], 0.0);
    while state.step < recipe.updates {
        let update = state.step;
        let key = mix(mix(recipe.seed, 0x7261), update);
        // Small regions first, all of them from the middle on.
        let known = (update as f64 / recipe.updates as f64 * 2.0 + 0.2).min(1.0);
        let among = ((job.cases.len() as f64 * known) as usize).max(1);
        let chosen: Vec<&Case<'_>> = (0..recipe.batch as u64)
            .map(|i| &job.cases[((uniform(mix(key, i)) * among as f64) as usize).min(among - 1)])
            .collect();
        let mut states = States::default();
        for case in &chosen {
            states.append(&case.states);
        }
        let deviation = deviation(recipe, update);
        let said = net
            .valid()
            .answer(&states)
            .map_err(|_| TrainError::Diverged { step: update })?;
        let mut rest = &said[..];
        let parts: Vec<(&Case<'_>, &[f32], u64)> = (chosen.iter().zip(0..))
            .map(|(case, i)| {
                let (own, others) = rest.split_at(case.states.services * ACTIONS);
                rest = others;
                (*case, own, mix(key, 0x100 + i))
            })
            .collect();
        let all: Vec<Tried> = parts
            .into_par_iter()
            .map(|(case, own, key)| tried(case, own, recipe, deviation, price, key))
            .collect();
        let [draws, advantages] = tensors(&all, recipe.plans, states.services, &device);
        let inputs = Inputs::of(&states, &device);
        let shape = [states.services, ACTIONS];
        let start = Tensor::<2>::from_data(TensorData::new(said, shape), &device);
        for _ in 0..recipe.epochs {
            let targets = [&draws, &advantages];
            let loss = loss(&net, &inputs, &start, targets, deviation, recipe.clip);
            let gradients = GradientsParams::from_grads(loss.backward(), &net);
            net = optimiser.step(recipe.learning_rate * schedule.at(update), net, gradients);
        }
        state.step += 1;
        average.add(&net, state.step);
        let regions = all.len() as f64;
        let missed = all.iter().map(|t| t.missed).sum::<f64>() / regions;
        sums[0] += all.iter().map(|t| t.cost.max(1e-9).ln()).sum::<f64>() / regions;
        sums[1] += missed;
        count += 1.0;
        // What is tried misses more than what it is tried about; the price follows what the net itself misses.
        price = (price
            * (0.02 * ((missed - recipe.missed) / recipe.missed).clamp(-1.0, 1.0)).exp())
        .clamp(0.5, 200.0);
        let out_of_time = job.time.is_some_and(|time| started.elapsed() >= time);
        if !state.step.is_multiple_of(recipe.evaluate_every)
            && state.step < recipe.updates
            && !out_of_time
        {
            continue;
        }
        state.seconds = before + started.elapsed().as_secs_f64();
        let averaged = average.net(net.valid());
        let Shown {
            cost,
            missed,
            unguarded_missed,
        } = evaluate(&averaged, job.held).ok_or(TrainError::Diverged { step: state.step })?;
        let point = Point {
            step: state.step,
            tried_cost: (sums[0] / count).exp(),
            tried_missed: sums[1] / count,
            price,
            cost,
            missed,
            unguarded_missed,
            seconds: state.seconds,
        };
        (sums, count) = ([0.0; 2], 0.0);
        state.curve.push(point);
        if point.loss() < state.best {
            state.best = point.loss();
            best = averaged.clone();
        }
        if let Some(folder) = &job.folder {
            let (net, optimiser) = (net.valid(), optimiser.to_record());
            save(folder, &state, [net, averaged, best.clone()], optimiser)?;
        }
        (job.progress)(&point, recipe.updates);
        if out_of_time && state.step < recipe.updates {
            done = false;
            break;
        }
    }
    Ok(Trained {
        net: best,
        curve: state.curve,
        done,
    })
}

/// Draws and advantages, `[plans, services, actions]` and `[plans, services, 1]`; advantages in units of their deviation.
fn tensors(all: &[Tried], plans: usize, services: usize, device: &Device) -> [Tensor<3>; 2] {
    let mut draws = Vec::with_capacity(plans * services * ACTIONS);
    let mut advantages = Vec::with_capacity(plans * services);
    for plan in 0..plans {
        for tried in all {
            draws.extend(tried.draws[plan].iter().flatten().copied());
            advantages.extend(tried.advantages[plan].iter().copied());
        }
    }
    let squares: f32 = advantages.iter().map(|a| a * a).sum();
    let unit = (squares / advantages.len().max(1) as f32).sqrt().max(1e-9);
    for advantage in &mut advantages {
        *advantage = (*advantage / unit).clamp(-5.0, 5.0);
    }
    let tensor = |values: Vec<f32>, last: usize| {
        Tensor::<3>::from_data(TensorData::new(values, [plans, services, last]), device)
    };
    [tensor(draws, ACTIONS), tensor(advantages, 1)]
}
