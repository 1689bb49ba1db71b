//! Episodes: rounds of turning knobs and looking, many at once.

use foremesh_model::random::mix;
use foremesh_policy::{
    drill::{Drill, KNOBS, Sight, Steps},
    gnn::States,
};
use rayon::prelude::*;

use crate::TrainError;

/// Rounds of an episode.
pub const ROUNDS: usize = 4;

/// What a service does with each knob in a round: 0 leaves it, 1 a step down, 2 a step up.
pub(super) type Moves = [u8; KNOBS];

/// What cannot be bought with fewer requests missed under faults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Prices {
    /// Of a share of requests missed without a fault beyond what the plan misses, in shares missed under faults.
    pub undisturbed: f64,
    /// Of the cost of the plan's instances, in shares missed under faults.
    pub cost: f64,
}

/// What chance may make of requests that are missed without a fault.
const TOLERANCE: f64 = 5e-4;

/// An episode as far as it has come.
pub(super) struct Episode<'d, 'a> {
    pub drill: &'d Drill<'a>,
    pub seed: u64,
    pub steps: Vec<Steps>,
    pub sight: Sight,
    planned_misses: f64,
    loss: f64,
    prices: Prices,
}

impl<'d, 'a> Episode<'d, 'a> {
    /// Begins at the plan as it is. What it shows is looked at once for all that begin with it.
    pub fn begin(drill: &'d Drill<'a>, seed: u64, prices: Prices) -> Result<Self, TrainError> {
        let steps = vec![[0; KNOBS]; drill.services()];
        let sight = look(drill, &steps, seed)?;
        let mut episode = Self {
            planned_misses: sight.missed_undisturbed(),
            drill,
            seed,
            steps,
            sight,
            loss: 0.0,
            prices,
        };
        episode.loss = episode.loss_now();
        Ok(episode)
    }

    /// Another that begins where this one stands.
    pub fn copy(&self) -> Self {
        Self {
            drill: self.drill,
            seed: self.seed,
            steps: self.steps.clone(),
            sight: self.sight.clone(),
            planned_misses: self.planned_misses,
            loss: self.loss,
            prices: self.prices,
        }
    }

    /// What is missed without a fault beyond what the plan misses.
    pub fn excess(&self) -> f64 {
        (self.sight.missed_undisturbed() - self.planned_misses - TOLERANCE).max(0.0)
    }

    fn loss_now(&self) -> f64 {
        self.sight.missed_disturbed()
            + self.prices.undisturbed * self.excess()
            + self.prices.cost * self.drill.extra_cost(&self.steps)
    }

    /// What is missed under faults, with what else has its price.
    pub fn loss(&self) -> f64 {
        self.loss
    }

    /// What it would be with knobs at these steps.
    pub fn at(&self, steps: Vec<Steps>) -> Result<Self, TrainError> {
        let mut there = self.copy();
        there.sight = look(self.drill, &steps, self.seed)?;
        there.steps = steps;
        there.loss = there.loss_now();
        Ok(there)
    }

    pub fn states(&self, round: usize) -> States {
        let passed = round as f64 / ROUNDS as f64;
        self.drill.states(&self.steps, &self.sight, passed)
    }

    /// Turns knobs and looks; returns the reward.
    pub fn turn(&mut self, moves: &[Moves]) -> Result<f64, TrainError> {
        let before = self.steps.clone();
        for (s, moves) in moves.iter().enumerate() {
            for (k, moved) in moves.iter().enumerate() {
                if allowed(self.drill, &self.steps, s, k, *moved) {
                    self.steps[s][k] += by(*moved);
                }
            }
        }
        if self.steps == before {
            return Ok(0.0);
        }
        self.sight = look(self.drill, &self.steps, self.seed)?;
        let before = self.loss;
        self.loss = self.loss_now();
        Ok(before - self.loss)
    }
}

/// The step of a move.
pub(super) fn by(moved: u8) -> i8 {
    match moved {
        1 => -1,
        2 => 1,
        _ => 0,
    }
}

/// Whether a knob may do so where it stands.
pub(super) fn allowed(drill: &Drill<'_>, steps: &[Steps], s: usize, k: usize, moved: u8) -> bool {
    let [lowest, highest] = drill.ranges()[s][k];
    let then = steps[s][k] + by(moved);
    moved == 0 || (lowest..=highest).contains(&then)
}

pub(super) fn look(drill: &Drill<'_>, steps: &[Steps], seed: u64) -> Result<Sight, TrainError> {
    let said = |cause: foremesh_policy::PolicyError| TrainError::Scenario(cause.to_string());
    drill.look(steps, seed).map_err(said)
}

/// Episodes in which every region begins `copies` times, all of a region on the same random numbers.
pub(super) fn begin_all<'d, 'a>(
    drills: &[&'d Drill<'a>],
    copies: usize,
    key: u64,
    prices: Prices,
) -> Result<Vec<Episode<'d, 'a>>, TrainError> {
    let begun: Result<Vec<Vec<Episode<'d, 'a>>>, TrainError> = drills
        .par_iter()
        .enumerate()
        .map(|(i, drill)| {
            let first = Episode::begin(drill, mix(key, i as u64), prices)?;
            let copies = (1..copies).map(|_| first.copy()).collect::<Vec<_>>();
            Ok(std::iter::once(first).chain(copies).collect())
        })
        .collect();
    Ok(begun?.into_iter().flatten().collect())
}

/// One round of all; rewards.
pub(super) fn turn_all(
    episodes: &mut [Episode<'_, '_>],
    moves: &[Vec<Moves>],
) -> Result<Vec<f64>, TrainError> {
    episodes
        .par_iter_mut()
        .zip(moves)
        .map(|(episode, moves)| episode.turn(moves))
        .collect()
}
