//! Regions that no training sees, and what plans show there.

use foremesh_model::random::mix;
use foremesh_policy::gnn::{Minute, Network, Searched, States};
use rayon::prelude::*;

use super::{cases::Case, net::Gnn};

/// Trials of the search that the net is measured against, for each region: about those of its seven services.
const SEARCH_TRIALS: usize = 1_400;

/// What a region that is held back is measured with.
pub struct Held<'a> {
    /// The region, with the minutes that plans are made safe on.
    pub case: Case<'a>,
    /// Minutes that they are judged on.
    pub others: Vec<Minute>,
    /// The best one answer for all services.
    pub uniform: Searched,
    /// Its cost for an hour, on the minutes that plans are judged on.
    pub uniform_cost: f64,
}

impl<'a> Held<'a> {
    /// Holds a region back. `minutes`: paths of demand to judge plans on, and minutes of each. None where none can be drawn.
    pub fn of(case: Case<'a>, seed: u64, [paths, each]: [usize; 2]) -> Option<Self> {
        let others = case.region.minutes(mix(seed, 2), paths, each).ok()?;
        let uniform = case.region.uniform(&case.minutes);
        let shown = uniform.plan.judged(&case.region, &others);
        Some(Self {
            uniform_cost: shown.cost_per_hour,
            others,
            case,
            uniform,
        })
    }

    /// What a plan shows here: the logarithm of its cost, of the best one answer's, and the share of minutes that it misses.
    fn shown(&self, found: &Searched) -> [f64; 2] {
        let judged = found.plan.judged(&self.case.region, &self.others);
        let cost = judged.cost_per_hour / self.uniform_cost.max(1e-9);
        [cost.ln(), 1.0 - judged.kept]
    }
}

/// What plans cost and miss on regions held back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shown {
    /// Cost, made safe, ÷ that of the best one answer for all services, geometric mean.
    pub cost: f64,
    /// Share of minutes that they miss, on minutes that took no part in making them safe.
    pub missed: f64,
    /// Share of minutes that they would miss if they were not made safe.
    pub unguarded_missed: f64,
}

impl Shown {
    fn of(each: &[[f64; 3]]) -> Self {
        let mean = |i: usize| each.iter().map(|s| s[i]).sum::<f64>() / each.len().max(1) as f64;
        Self {
            cost: mean(0).exp(),
            missed: mean(1),
            unguarded_missed: mean(2),
        }
    }
}

/// What a net's plans show. None where it answers no numbers.
pub fn evaluate(net: &Gnn, held: &[Held<'_>]) -> Option<Shown> {
    // A net is asked on one thread, plans are tried on all.
    let said: Option<Vec<_>> = held
        .iter()
        .map(|held| Some(States::answers(&net.answer(&held.case.states).ok()?)))
        .collect();
    let each: Vec<[f64; 3]> = held
        .par_iter()
        .zip(said?)
        .map(|(held, answers)| {
            let region = &held.case.region;
            let [cost, missed] = held.shown(&region.secured(&answers, &held.case.minutes, 1.0));
            let bare = region.plan(&answers).judged(region, &held.others);
            [cost, missed, 1.0 - bare.kept]
        })
        .collect();
    Some(Shown::of(&each))
}

/// What is found service by service, from the best one answer: see [`foremesh_policy::gnn::Region::searched`]. Second, the trials of a region, mean.
pub fn searched(held: &[Held<'_>]) -> (Shown, f64) {
    let found: Vec<(usize, [f64; 3])> = held
        .par_iter()
        .map(|held| {
            let Case {
                region, minutes, ..
            } = &held.case;
            let most = held.uniform.trials + SEARCH_TRIALS;
            let found = region.searched(held.uniform.clone(), minutes, most);
            let [cost, missed] = held.shown(&found);
            (found.trials, [cost, missed, missed])
        })
        .collect();
    let trials = found.iter().map(|(trials, _)| *trials as f64).sum::<f64>();
    let each: Vec<[f64; 3]> = found.iter().map(|(_, shown)| *shown).collect();
    (Shown::of(&each), trials / found.len().max(1) as f64)
}
