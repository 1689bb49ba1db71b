//! What refined settings are worth: on regions held back, on random numbers that no look had.

use foremesh_model::random::{mix, uniform};
use foremesh_policy::drill::{Drill, KNOBS, Sight, Steps};
use rayon::prelude::*;
use serde::Serialize;

use super::episode::unseen;
use crate::TrainError;

/// Random numbers that settings are judged on.
const SEEDS: u64 = 2;
/// Times that regions are drawn anew for an interval.
const RESAMPLED: u64 = 1000;
/// What is missed more or less by this is told.
const FELT: f64 = 0.002;
/// What a way of refining is worth.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// What is missed under faults ÷ what the plan as it is misses, all regions together.
    pub missed: f64,
    /// Where that ratio lies with 90% if other such regions had been drawn: a bootstrap over regions.
    pub missed_between: [f64; 2],
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
    /// Share of requests missed under faults, by region.
    #[serde(skip)]
    by_region: Vec<f64>,
}

impl Judged {
    /// Where what is missed ÷ what another misses lies with 90%, regions drawn with replacement and both judged on the same.
    #[must_use]
    pub fn beside(&self, other: &Self, seed: u64) -> [f64; 2] {
        let pairs = self.by_region.iter().zip(&other.by_region);
        let pairs: Vec<[f64; 2]> = pairs.map(|(a, b)| [*a, *b]).collect();
        between(&pairs, seed)
    }
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
        let mut undisturbed = 0.0;
        let mut pairs = Vec::with_capacity(seen.len());
        let (mut better, mut worse) = (0, 0);
        for (seen, planned) in seen.iter().zip(&self.planned) {
            let now = mean(seen, Sight::missed_disturbed);
            let then = mean(planned, Sight::missed_disturbed);
            pairs.push([now, then]);
            undisturbed +=
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
            by_region: pairs.iter().map(|[now, _]| *now).collect(),
            missed: ratio(pairs.iter()),
            missed_between: between(&pairs, self.seed),
            cost: cost / count,
            undisturbed: undisturbed / count,
            better,
            worse,
            looks: looks as f64 / count,
        })
    }
}

fn ratio<'p>(pairs: impl Iterator<Item = &'p [f64; 2]>) -> f64 {
    let sums = pairs.fold([0.0; 2], |sums, pair| {
        [sums[0] + pair[0], sums[1] + pair[1]]
    });
    sums[0] / sums[1].max(1e-9)
}

/// The 5% and the 95% quantile of the ratio, regions drawn with replacement.
fn between(pairs: &[[f64; 2]], seed: u64) -> [f64; 2] {
    if pairs.is_empty() {
        return [f64::NAN; 2];
    }
    let mut ratios: Vec<f64> = (0..RESAMPLED)
        .map(|n| {
            let key = mix(seed, 0xB007 + n);
            let drawn = (0..pairs.len() as u64).map(|i| {
                let at = (uniform(mix(key, i)) * pairs.len() as f64) as usize;
                &pairs[at.min(pairs.len() - 1)]
            });
            ratio(drawn)
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    let at = |share: f64| ratios[(share * (ratios.len() - 1) as f64).round() as usize];
    [at(0.05), at(0.95)]
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
            .map(|n| {
                let seed = mix(mix(seed, i as u64), 0xA000 + n);
                drill.look(steps, seed).map_err(unseen)
            })
            .collect()
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_ratio_holds_it_and_is_wide_where_one_region_makes_it() {
        let even = vec![[0.9, 1.0]; 40];
        for end in between(&even, 1) {
            assert!((end - 0.9).abs() < 1e-9);
        }
        let mut one = vec![[1.0, 1.0]; 40];
        one[0] = [0.0, 20.0];
        let [low, high] = between(&one, 1);
        let whole = ratio(one.iter());
        assert!(
            low < whole && whole < high && high > 0.95,
            "{low} {whole} {high}"
        );
    }
}
