//! The search: the objectives of the floor for less.
//!
//! The floor plans by rules that are safe everywhere: 70 to 80% busy, a tenth of the objective in reserve, an instance on standby beside
//! every service. The search keeps what the rules are for and drops the rules. For every hour it looks for the cheapest instances that
//!
//! - keep every objective at the demand that is bought, no instance busier than its rate limit admits;
//! - keep them at the median demand when any one instance of a service is lost (of those that are not deferrable);
//! - are worth it: demand above the 0.99 quantile is planned for where the minutes that it would violate cost more than the instances.

mod admission;
mod choose;
mod hour;
mod level;
mod trial;

use foremesh_model::Criticality;
use rayon::prelude::*;

pub(crate) use self::{
    admission::refusable,
    choose::{SHARES, TRUSTED_SHARE, choose, tries},
    hour::{Allocation, Asked},
    level::BOUGHT_SCORE,
    trial::{Yardstick, unseen},
};
use crate::{
    Method,
    candidates::smoothed,
    ground::Ground,
    limits::rate_limit_rps,
    schedule::smooth,
    size::Target,
    sizing::{Sized, Sizing},
};

/// Normal scores of the demand that an hour is planned for, as long as each is worth more than the one before: the quantiles 0.99, 0.998
/// and 0.9995.
const SCORES: [f64; 3] = [BOUGHT_SCORE, 2.878, 3.29];

/// Changes of one service that exchanges may try in all hours together: a second or two of work on a processor.
const CHANGES: usize = 200_000;

/// What is asked of the search.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// Share of the objective's latency, and of what the rate limits admit, that is planned with; the rest is for what the formulas do
    /// not know.
    pub share: f64,
    /// What a violated minute costs.
    pub violation_per_minute: f64,
}

/// What the search found, and what greedy additions alone would have been.
pub(crate) struct Searched {
    pub sizing: Sizing,
    /// Instances by hour, as a schedule that an autoscaler can follow.
    pub greedy: Vec<Vec<u32>>,
}

/// Looks for cheaper instances than the floor's, in every hour.
pub(crate) fn size(ground: &Ground<'_>, floor: &Sizing, options: &Options) -> Searched {
    let by_hour: Vec<Found> = (0..ground.demand.hours())
        .into_par_iter()
        .map(|hour| best_of_hour(ground, hour, options))
        .collect();
    let services = floor
        .services
        .iter()
        .enumerate()
        .map(|(s, sized)| {
            let found: Vec<u32> = by_hour.iter().map(|found| found.instances[s]).collect();
            Sized {
                schedule: smooth(&found, sized.ahead, ground.stations[s].max_instances),
                needs: by_hour.iter().map(|found| found.needs[s]).collect(),
                standby: 0,
                bears_loss: Some(by_hour.iter().all(|found| found.bears_loss[s])),
                ..sized.clone()
            }
        })
        .collect();
    let greedy: Vec<Vec<u32>> = by_hour.into_iter().map(|found| found.greedy).collect();
    Searched {
        sizing: Sizing::of(
            ground,
            Method::Search {
                share: options.share,
            },
            services,
        ),
        greedy: smoothed(ground, floor, &greedy),
    }
}

/// Instances of an hour.
struct Found {
    instances: Vec<u32>,
    /// What greedy additions alone would have been.
    greedy: Vec<u32>,
    /// What is left of them where only the objectives at the demand that is bought count.
    needs: Vec<u32>,
    /// Whether they keep the objectives at the demand that was asked.
    kept: bool,
    /// Of each service, whether the objectives are kept without one of them.
    bears_loss: Vec<bool>,
}

fn best_of_hour(ground: &Ground<'_>, hour: usize, options: &Options) -> Found {
    let loss = Loss::of(ground, ground.rates_at(hour, 0.0));
    let worth = |found: &Found, score: f64| {
        let kept = found.kept.then_some(score);
        let violated = ground.violated_share(hour, &found.instances, kept);
        ground.cost_of(&found.instances) + 60.0 * options.violation_per_minute * violated
    };
    let mut best = at_score(ground, hour, SCORES[0], &loss, options);
    let mut best_worth = worth(&best, SCORES[0]);
    for score in &SCORES[1..] {
        let found = at_score(ground, hour, *score, &loss, options);
        let found_worth = worth(&found, *score);
        if found_worth >= best_worth {
            break;
        }
        (best, best_worth) = (found, found_worth);
    }
    let asked = Asked::of(ground, hour, BOUGHT_SCORE, 1.0, |_, admitted| admitted);
    let mut needs = Allocation::new(ground, &asked, best.instances.clone());
    needs.shrink();
    best.needs = needs.instances;
    best
}

impl Ground<'_> {
    /// The cost of instances for an hour.
    pub(crate) fn cost_of(&self, instances: &[u32]) -> f64 {
        let each = instances.iter().zip(&self.stations);
        each.map(|(n, station)| f64::from(*n) * station.cost_per_hour)
            .sum()
    }

    pub(crate) fn searched_target(&self, share: f64) -> Target {
        let limits: Vec<f64> = self.stations.iter().map(rate_limit_rps).collect();
        let mut target = self.needed_target(&limits);
        for instance_rps in &mut target.instance_rps {
            *instance_rps *= share;
        }
        Target {
            entry_ms: self.entry_targets(share),
            ..target
        }
    }

    /// Whether a service must do without any one of its instances.
    pub(crate) fn must_bear_loss(&self, service: usize) -> bool {
        self.reached[service]
            && !self.stations[service].stateful
            && self.services[service].criticality != Criticality::Deferrable
    }
}

impl Asked {
    /// What an hour asks at a normal score of its demand; `fewest` of a service and the instances that admit its requests.
    fn of(
        ground: &Ground<'_>,
        hour: usize,
        score: f64,
        share: f64,
        fewest: impl Fn(usize, u32) -> u32,
    ) -> Self {
        let target = ground.searched_target(share);
        let rates_rps = ground.rates_at(hour, score);
        let fewest = (0..rates_rps.len())
            .map(|s| {
                let station = &ground.stations[s];
                let stable = ground.stable(s, rates_rps[s], &target);
                let admitted = match station.stateful {
                    true => stable,
                    false => ground.admitting(s, rates_rps[s], stable),
                };
                fewest(s, admitted)
                    .max(station.min_instances)
                    .min(station.max_instances)
            })
            .collect();
        Self {
            rates_rps,
            entry_ms: target.entry_ms,
            fewest,
        }
    }
}

/// The cheapest instances that keep every objective at a demand.
fn at_score(ground: &Ground<'_>, hour: usize, score: f64, loss: &Loss, options: &Options) -> Found {
    let target = ground.searched_target(options.share);
    let asked = Asked::of(
        ground,
        hour,
        score,
        options.share,
        |s, admitted| match ground.must_bear_loss(s) {
            true => {
                let left = ground.stable(s, loss.asked.rates_rps[s], &target);
                admitted.max(left.max(1) + 1)
            }
            false => admitted,
        },
    );
    let start = ground.allocate(&asked.rates_rps, &target, Some(&asked.fewest));
    let greedy = loss.bear(ground, start.clone()).instances;
    let mut allocation = Allocation::new(ground, &asked, start);
    allocation.shrink();
    allocation.left = CHANGES / ground.demand.hours().max(1);
    allocation.exchange();
    allocation.shrink();
    let kept = allocation.holds();
    Found {
        kept: kept && ground.admits(&asked.rates_rps, &allocation.instances),
        greedy,
        ..loss.bear(ground, allocation.instances)
    }
}

/// These instances and as many more as it takes to keep the objectives at a demand when any one of a service is lost; also, of each service,
/// whether they are.
pub(crate) fn bearing_loss(
    ground: &Ground<'_>,
    rates_rps: Vec<f64>,
    instances: Vec<u32>,
) -> (Vec<u32>, Vec<bool>) {
    let found = Loss::of(ground, rates_rps).bear(ground, instances);
    (found.instances, found.bears_loss)
}

/// The loss of an instance at a demand.
struct Loss {
    asked: Asked,
}

impl Loss {
    fn of(ground: &Ground<'_>, rates_rps: Vec<f64>) -> Self {
        Self {
            asked: Asked::of_objectives(ground, rates_rps),
        }
    }

    /// Adds instances where the loss of one would break an objective that is kept with all of them; where one is missed with all of them,
    /// no loss is borne.
    fn bear(&self, ground: &Ground<'_>, instances: Vec<u32>) -> Found {
        let mut bears_loss = vec![false; instances.len()];
        let mut all = Allocation::new(ground, &self.asked, instances);
        let kept = all.holds();
        for (s, bears) in bears_loss.iter_mut().enumerate() {
            if !ground.must_bear_loss(s) {
                continue;
            }
            loop {
                let alive = all.instances[s] > 1 && (!kept || all.holds_with(s, -1));
                *bears = kept && alive;
                if alive || all.instances[s] >= ground.stations[s].max_instances {
                    break;
                }
                all.add(s);
            }
        }
        Found {
            instances: all.instances,
            greedy: Vec::new(),
            needs: Vec::new(),
            kept: false,
            bears_loss,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
