//! Ways of refining settings: a team by itself, a team that says where to search, and what both are judged beside.

use burn::tensor::Device;
use foremesh_model::random::{mix, uniform};
use foremesh_policy::{
    drill::{Drill, KNOBS, Knob, MOVES, Moves, Prices, ROUNDS, Steps, by, refine},
    gnn::{Network, NetworkError, States},
};
use rayon::prelude::*;

use super::{
    agents::Team,
    batch::Moment,
    episode::{begin_all, turn_all, unseen},
    judge::{Held, Settled},
    recipe::Learner,
    train::{Taken, act},
};
use crate::TrainError;

/// What a team settles on: in each region the best moment of an episode in which it does what it holds for best.
pub(super) fn settled_by(
    held: &Held<'_, '_>,
    team: &Team,
    learner: Learner,
    device: &Device,
) -> Result<Settled, TrainError> {
    let mut episodes = begin_all(&held.drills, 1, held.seed, Prices::OF_PLANS)?;
    let mut best = episodes.clone();
    for round in 0..ROUNDS {
        let moments: Vec<Moment> = episodes.iter().map(|e| Moment::of(e, round)).collect();
        let done = act(team, learner, &moments, Taken::Best, device)
            .ok_or(TrainError::Diverged { step: 0 })?;
        let moves: Vec<Vec<Moves>> = done.into_iter().map(|done| done.moves).collect();
        turn_all(&mut episodes, &moves)?;
        for (best, episode) in best.iter_mut().zip(&episodes) {
            if episode.loss() < best.loss() {
                *best = episode.clone();
            }
        }
    }
    let settled = best
        .into_iter()
        .map(|best| (best.steps().to_vec(), 1 + ROUNDS));
    Ok(settled.collect())
}

/// What a plan settles on whose settings are refined, [`refine`], in the order that somebody prefers for each region.
pub(super) fn refined<N: Network>(
    held: &Held<'_, '_>,
    network: impl Fn(u64) -> N + Sync,
    looks: usize,
) -> Result<Settled, TrainError> {
    let drills = held.drills.par_iter().enumerate();
    drills
        .map(|(i, drill)| {
            let seed = mix(mix(held.seed, i as u64), 0x9e);
            let outcome = refine(drill, &network(i as u64), seed, looks).map_err(unseen)?;
            let planned = || vec![[0; KNOBS]; drill.services()];
            let steps = outcome
                .refined
                .map_or_else(planned, |refined| refined.steps);
            Ok((steps, outcome.looks))
        })
        .collect()
}

/// Prefers the same at every service of every region.
#[derive(Debug, Clone)]
pub(super) struct Alike([f32; KNOBS * MOVES]);

impl Alike {
    /// By what single turns are worth on average on regions to learn on.
    pub fn learned(drills: &[&Drill<'_>], seed: u64) -> Result<Self, TrainError> {
        let begun = begin_all(drills, 1, seed, Prices::OF_PLANS)?;
        let gains: Result<Vec<Vec<(usize, f64)>>, TrainError> = begun
            .par_iter()
            .map(|episode| {
                let turns = episode.drill().turns(episode.steps()).into_iter();
                turns
                    .map(|(s, k, moved)| {
                        let mut steps = episode.steps().to_vec();
                        steps[s][k] += by(moved);
                        let there = episode.at(steps).map_err(unseen)?;
                        let gain = episode.loss() - there.loss();
                        Ok((k * MOVES + usize::from(moved), gain))
                    })
                    .collect()
            })
            .collect();
        let mut sums = [[0.0; 2]; KNOBS * MOVES];
        for (place, gain) in gains?.into_iter().flatten() {
            sums[place][0] += gain;
            sums[place][1] += 1.0;
        }
        Ok(Self(
            sums.map(|[sum, count]| (sum / f64::max(count, 1.0)) as f32),
        ))
    }

    /// The three that are preferred most.
    pub fn told(&self) -> String {
        let mut order: Vec<usize> = (0..self.0.len())
            .filter(|place| place % MOVES > 0)
            .collect();
        order.sort_by(|a, b| self.0[*b].total_cmp(&self.0[*a]));
        let first = order.iter().take(3).map(|place| {
            let step = by((place % MOVES) as u8);
            format!("{} {step:+}", Knob::ALL[place / MOVES].word())
        });
        first.collect::<Vec<_>>().join(", ")
    }
}

impl Network for Alike {
    fn answer(&self, states: &States) -> Result<Vec<f32>, NetworkError> {
        Ok(self.0.repeat(states.services))
    }
}

/// Prefers at random.
#[derive(Debug)]
pub(super) struct AtRandom(pub u64);

impl Network for AtRandom {
    fn answer(&self, states: &States) -> Result<Vec<f32>, NetworkError> {
        let places = (0..(states.services * KNOBS * MOVES) as u64).map(|place| {
            // Nothing is worth more than leaving it: no round turns anything.
            match place % MOVES as u64 {
                0 => 0.0,
                _ => -uniform(mix(self.0, place)) as f32 - 1e-6,
            }
        });
        Ok(places.collect())
    }
}

fn within(drill: &Drill<'_>, wanted: &Steps) -> Vec<Steps> {
    let ranges = drill.ranges().iter();
    ranges
        .map(|range| {
            let mut steps = *wanted;
            for (step, [lowest, highest]) in steps.iter_mut().zip(range) {
                *step = (*step).clamp(*lowest, *highest);
            }
            steps
        })
        .collect()
}

/// One answer for all services: up to three turns, each the one that helps most on regions to learn on.
pub(super) fn one_answer(drills: &[&Drill<'_>], seed: u64) -> Result<Steps, TrainError> {
    let begun = begin_all(drills, 1, seed, Prices::OF_PLANS)?;
    let loss = |steps: &Steps| -> Result<f64, TrainError> {
        let each: Result<Vec<f64>, TrainError> = begun
            .par_iter()
            .map(|e| Ok(e.at(within(e.drill(), steps)).map_err(unseen)?.loss()))
            .collect();
        Ok(each?.into_iter().sum())
    };
    let mut best = [0; KNOBS];
    let mut least = loss(&best)?;
    for _ in 0..3 {
        let from = best;
        for k in 0..Knob::ALL.len() {
            for by in [-1, 1] {
                let mut steps = from;
                steps[k] += by;
                let found = loss(&steps)?;
                if found < least {
                    (best, least) = (steps, found);
                }
            }
        }
        if best == from {
            break;
        }
    }
    Ok(best)
}

/// One answer for all services, as far as each region lets it.
pub(super) fn answered(held: &Held<'_, '_>, steps: &Steps) -> Settled {
    let drills = held.drills.iter();
    drills.map(|drill| (within(drill, steps), 0)).collect()
}

/// What a local search settles on: one knob of one service at a time, at random, kept where it helps.
pub(super) fn local(held: &Held<'_, '_>, looks: usize) -> Result<Settled, TrainError> {
    let begun = begin_all(&held.drills, 1, held.seed, Prices::OF_PLANS)?;
    begun
        .par_iter()
        .enumerate()
        .map(|(i, episode)| {
            let mut best = episode.clone();
            // What was tried and did not help is not tried again before something else did.
            let mut turns = best.drill().turns(best.steps());
            for n in 0..looks as u64 {
                if turns.is_empty() {
                    break;
                }
                let drawn = mix(mix(held.seed, 0x0010_ca10 + i as u64), n);
                let at = (uniform(drawn) * turns.len() as f64) as usize;
                let (s, k, moved) = turns.swap_remove(at.min(turns.len() - 1));
                let mut steps = best.steps().to_vec();
                steps[s][k] += by(moved);
                let there = best.at(steps).map_err(unseen)?;
                if there.loss() < best.loss() {
                    best = there;
                    turns = best.drill().turns(best.steps());
                }
            }
            Ok((best.steps().to_vec(), 1 + looks))
        })
        .collect()
}
