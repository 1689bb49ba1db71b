//! What refined settings are worth: on regions held back, on random numbers that no look had.

use foremesh_model::random::mix;
use foremesh_policy::drill::{Drill, KNOBS, Sight, Steps};
use rayon::prelude::*;
use serde::Serialize;

use super::episode::look;
use crate::TrainError;

/// Random numbers that settings are judged on.
const SEEDS: u64 = 2;
/// What is missed more or less by this is told.
const FELT: f64 = 0.002;
/// What a way of refining is worth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
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
    pub drills: Vec<&'d Drill<'a>>,
    pub seed: u64,
    /// Of each region and seed that judges.
    planned: Vec<Vec<Sight>>,
}

/// What was settled on, by region, and looks that it took.
pub(super) type Settled = Vec<(Vec<Steps>, usize)>;

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

    /// What settings that were settled on are worth.
    pub fn worth(&self, settled: &Settled) -> Result<Judged, TrainError> {
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
