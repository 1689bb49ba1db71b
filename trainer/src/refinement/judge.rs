//! What refined settings are worth: on regions held back, on random numbers that no look had, beside other ways of refining.

use burn::tensor::Device;
use foremesh_model::random::{mix, uniform};
use foremesh_policy::drill::{Drill, KNOBS, Knob, Sight, Steps};
use rayon::prelude::*;

use super::{
    agents::Team,
    batch::Moment,
    episode::{Episode, Moves, Prices, ROUNDS, allowed, begin_all, by, look, turn_all},
    recipe::Learner,
    train::{Taken, act},
};
use crate::TrainError;

/// Random numbers that settings are judged on.
const SEEDS: u64 = 2;
/// What is missed more or less by this is told.
const FELT: f64 = 0.002;
/// Prices while settings are looked for: of what a plan must not do at all, high ones.
const PRICES: Prices = Prices {
    undisturbed: 10.0,
    cost: 0.2,
};

/// What a way of refining is worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// What is missed under faults ÷ what the plan as it is misses, all regions together.
    pub missed: f64,
    /// What instances cost more, as a share, on average.
    pub cost: f64,
    /// Share of requests missed more without a fault, on average.
    pub undisturbed: f64,
    /// Regions in which at least 0.2% of requests fewer are missed under faults, and more.
    pub better: usize,
    /// Regions in which at least 0.2% of requests more are.
    pub worse: usize,
    /// Looks at a region before it is settled, on average.
    pub looks: f64,
}

/// Regions that are never learned on.
pub(super) struct Held<'d, 'a> {
    drills: Vec<&'d Drill<'a>>,
    seed: u64,
    /// Of each region and seed that judges.
    planned: Vec<Vec<Sight>>,
}

/// What was settled on, by region, and looks that it took.
type Settled = Vec<(Vec<Steps>, usize)>;

impl<'d, 'a> Held<'d, 'a> {
    pub fn of(drills: &'d [Drill<'a>], seed: u64) -> Result<Self, TrainError> {
        let drills: Vec<&Drill<'_>> = drills.iter().collect();
        let nothing: Settled = drills
            .iter()
            .map(|d| (vec![[0; KNOBS]; d.services()], 0))
            .collect();
        let planned = judging(&drills, seed, &nothing)?;
        Ok(Self {
            drills,
            seed,
            planned,
        })
    }

    pub fn len(&self) -> usize {
        self.drills.len()
    }

    fn worth(&self, settled: &Settled) -> Result<Judged, TrainError> {
        let seen = judging(&self.drills, self.seed, settled)?;
        let mean = |sights: &[Sight], of: fn(&Sight) -> f64| {
            sights.iter().map(of).sum::<f64>() / sights.len().max(1) as f64
        };
        let mut sums = [0.0; 3];
        let (mut better, mut worse) = (0, 0);
        for (seen, planned) in seen.iter().zip(&self.planned) {
            let now = mean(seen, Sight::missed_disturbed);
            let then = mean(planned, Sight::missed_disturbed);
            sums[0] += now;
            sums[1] += then;
            sums[2] +=
                mean(seen, Sight::missed_undisturbed) - mean(planned, Sight::missed_undisturbed);
            better += usize::from(now < then - FELT);
            worse += usize::from(now > then + FELT);
        }
        let count = self.drills.len().max(1) as f64;
        let costs = self.drills.iter().zip(settled);
        let cost: f64 = costs
            .map(|(drill, (steps, _))| drill.extra_cost(steps))
            .sum();
        let looks: usize = settled.iter().map(|(_, looks)| looks).sum();
        Ok(Judged {
            missed: sums[0] / sums[1].max(1e-9),
            cost: cost / count,
            undisturbed: sums[2] / count,
            better,
            worse,
            looks: looks as f64 / count,
        })
    }
}

fn judging(
    drills: &[&Drill<'_>],
    seed: u64,
    settled: &Settled,
) -> Result<Vec<Vec<Sight>>, TrainError> {
    let each = drills.par_iter().zip(settled).enumerate();
    each.map(|(i, (drill, (steps, _)))| {
        let seeds = 0..SEEDS;
        seeds
            .map(|n| look(drill, steps, mix(mix(seed, i as u64), 0xA000 + n)))
            .collect()
    })
    .collect()
}

/// The best moment of an episode, the plan as it was among them.
#[derive(Clone)]
struct Best {
    loss: f64,
    steps: Vec<Steps>,
}

impl Best {
    fn of(episode: &Episode<'_, '_>) -> Self {
        Self {
            loss: episode.loss(),
            steps: episode.steps.clone(),
        }
    }

    fn see(&mut self, episode: &Episode<'_, '_>) {
        if episode.loss() < self.loss {
            *self = Self::of(episode);
        }
    }
}

/// What a team settles on: in each region the best moment of an episode in which it does what it holds for best, and of so many in which it draws.
fn settled_by(
    held: &Held<'_, '_>,
    team: &Team,
    learner: Learner,
    samples: usize,
    device: &Device,
) -> Result<Settled, TrainError> {
    let mut settled: Vec<Option<Best>> = held.drills.iter().map(|_| None).collect();
    for sample in 0..=samples as u64 {
        let mut episodes = begin_all(&held.drills, 1, held.seed, PRICES)?;
        let mut best: Vec<Best> = episodes.iter().map(Best::of).collect();
        for round in 0..ROUNDS {
            let moments: Vec<Moment> = episodes
                .iter()
                .map(|e| Moment::of(e.drill, &e.steps, e.states(round)))
                .collect();
            let taken = match sample {
                0 => Taken::Best,
                _ => Taken::Drawn {
                    random: 0.5,
                    key: mix(mix(held.seed, sample), round as u64),
                },
            };
            let done = act(team, learner, &moments, taken, device)
                .ok_or(TrainError::Diverged { step: 0 })?;
            let moves: Vec<Vec<Moves>> = done.into_iter().map(|done| done.moves).collect();
            turn_all(&mut episodes, &moves)?;
            for (best, episode) in best.iter_mut().zip(&episodes) {
                best.see(episode);
            }
        }
        for (settled, best) in settled.iter_mut().zip(best) {
            if settled.as_ref().is_none_or(|known| best.loss < known.loss) {
                *settled = Some(best);
            }
        }
    }
    let looks = 1 + ROUNDS * (1 + samples);
    Ok(settled
        .into_iter()
        .flatten()
        .map(|best| (best.steps, looks))
        .collect())
}

/// What a team is worth at one go.
pub(super) fn judged(
    held: &Held<'_, '_>,
    team: &Team,
    learner: Learner,
    device: &Device,
) -> Result<Judged, TrainError> {
    held.worth(&settled_by(held, team, learner, 0, device)?)
}

/// What a team is worth where it may draw as well.
pub(super) fn judged_drawing(
    held: &Held<'_, '_>,
    team: &Team,
    learner: Learner,
    samples: usize,
    device: &Device,
) -> Result<Judged, TrainError> {
    held.worth(&settled_by(held, team, learner, samples, device)?)
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
    let begun = begin_all(drills, 1, seed, PRICES)?;
    let loss = |steps: &Steps| -> Result<f64, TrainError> {
        let each: Result<Vec<f64>, TrainError> = begun
            .par_iter()
            .map(|e| e.loss_at(within(e.drill, steps)))
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

/// What one answer for all services is worth.
pub(super) fn judged_one_answer(held: &Held<'_, '_>, steps: &Steps) -> Result<Judged, TrainError> {
    let settled = held.drills.iter().map(|drill| (within(drill, steps), 0));
    held.worth(&settled.collect())
}

/// What a local search is worth: one knob of one service at a time, at random, kept where it helps.
pub(super) fn judged_search(held: &Held<'_, '_>, looks: usize) -> Result<Judged, TrainError> {
    let begun = begin_all(&held.drills, 1, held.seed, PRICES)?;
    let settled: Result<Settled, TrainError> = begun
        .par_iter()
        .enumerate()
        .map(|(i, episode)| {
            let (drill, mut best) = (episode.drill, Best::of(episode));
            let turns_of = |best: &Best| -> Vec<(usize, usize, u8)> {
                let places = (0..drill.services()).flat_map(|s| (0..KNOBS).map(move |k| (s, k)));
                places
                    .flat_map(|(s, k)| [1, 2].map(|moved| (s, k, moved)))
                    .filter(|(s, k, moved)| allowed(drill, &best.steps, *s, *k, *moved))
                    .collect()
            };
            // What was tried and did not help is not tried again before something else did.
            let mut turns = turns_of(&best);
            for n in 0..looks as u64 {
                if turns.is_empty() {
                    break;
                }
                let drawn = mix(mix(held.seed, 0x0010_ca10 + i as u64), n);
                let at = (uniform(drawn) * turns.len() as f64) as usize;
                let (s, k, moved) = turns.swap_remove(at.min(turns.len() - 1));
                let mut steps = best.steps.clone();
                steps[s][k] += by(moved);
                let loss = episode.loss_at(steps.clone())?;
                if loss < best.loss {
                    best = Best { loss, steps };
                    turns = turns_of(&best);
                }
            }
            Ok((best.steps, 1 + looks))
        })
        .collect();
    held.worth(&settled?)
}
