//! Settings tried in the simulation at the demand that is bought, in the hour in which most requests come and in the one in which
//! instances are busiest.
//!
//! Formulas and simulation differ by a tenth in a 99th percentile, now and then by more, and whoever looks for the cheapest that the
//! formulas allow finds where they are too kind. What is chosen has therefore passed here, or did no worse than the floor.

use foremesh_model::{Settings, random::mix};
use foremesh_simulate::{
    Arrivals, EntryLoad, PlanAssumptions, RunOptions, SimulateError, from_plan, replicate,
};
use rayon::prelude::*;

use super::level::BOUGHT_SCORE;
use crate::{
    PolicyInput,
    ground::Ground,
    sampling::{BOUGHT, LEVELS},
    sizing::Sizing,
};

/// Visits of services that a window simulates: half a second of work.
const VISITS: f64 = 1_000_000.0;
/// Requests of a window, whatever their visits: fewer say nothing of a 99th percentile.
const REQUESTS: [f64; 2] = [5_000.0, 100_000.0];
/// Seconds of a window: an entry with little traffic is not simulated for a day.
const SECONDS: [f64; 2] = [5.0, 1_800.0];
/// Seconds before the measurement.
const WARM_UP_S: f64 = 5.0;
/// Hours in which a candidate is tried.
pub(crate) const HOURS: usize = 2;
/// Sets the trials' random numbers apart from those of reports: what chose is not what judges.
const PURPOSE: u64 = 0x0074_7269_616c;

/// What an entry showed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shown {
    /// Share of the answered requests that took longer than the objective.
    pub slow: f64,
    /// Share of requests that failed.
    pub failed: f64,
}

/// What settings showed, `[hour tried][entry]`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Trial {
    pub shown: Vec<Vec<Shown>>,
}

impl Trial {
    /// Tries settings in their hardest hours.
    pub(crate) fn of(
        input: &PolicyInput<'_>,
        ground: &Ground<'_>,
        sizing: &Sizing,
        settings: &Settings,
    ) -> Result<Self, SimulateError> {
        let shown = hardest_hours(input, ground, sizing)
            .into_par_iter()
            .map(|hour| window(input, ground, settings, hour))
            .collect::<Result<_, _>>()?;
        Ok(Self { shown })
    }

    /// Whether every objective is kept in every hour, or missed by no more than the floor misses it in the hour in which it does worst.
    pub(crate) fn passes(&self, ground: &Ground<'_>, floor: Option<&Self>) -> bool {
        ground.entries.iter().enumerate().all(|(e, entry)| {
            let worst = |trial: &Self, of: fn(&Shown) -> f64| {
                let values = trial.shown.iter().map(|hour| of(&hour[e]));
                values.fold(0.0, f64::max)
            };
            let allowed = |least: f64, of: fn(&Shown) -> f64| {
                least.max(floor.map_or(0.0, |floor| worst(floor, of)))
            };
            let slow = allowed(1.0 - entry.slo.percentile / 100.0, |shown| shown.slow);
            let failed = allowed(1.0 - entry.slo.availability, |shown| shown.failed);
            worst(self, |shown| shown.slow) <= slow && worst(self, |shown| shown.failed) <= failed
        })
    }
}

/// The hour in which most requests come, and the one in which an instance has most to do.
fn hardest_hours(input: &PolicyInput<'_>, ground: &Ground<'_>, sizing: &Sizing) -> Vec<usize> {
    let hours = 0..sizing.by_hour.len();
    let most = |of: &dyn Fn(usize) -> f64, but: Option<usize>| {
        let hours = hours.clone().filter(|hour| Some(*hour) != but);
        hours.max_by(|a, b| of(*a).total_cmp(&of(*b)).then(b.cmp(a)))
    };
    let requests = |hour: usize| entry_rates(input, ground, hour).iter().sum();
    let busy = |hour: usize| {
        let rates = ground.rates_at(hour, BOUGHT_SCORE);
        let each = rates.iter().zip(&sizing.by_hour[hour]);
        each.zip(ground.stations.iter().zip(&sizing.services))
            .filter(|(_, (station, _))| !station.stateful)
            .map(|((rate, n), (station, sized))| {
                rate / (f64::from(n + sized.standby) * station.saturation_rps)
            })
            .fold(0.0, f64::max)
    };
    let first = most(&requests, None);
    let second = most(&busy, first);
    first.into_iter().chain(second).take(HOURS).collect()
}

fn window(
    input: &PolicyInput<'_>,
    ground: &Ground<'_>,
    settings: &Settings,
    hour: usize,
) -> Result<Vec<Shown>, SimulateError> {
    let rates = entry_rates(input, ground, hour);
    let loads: Vec<EntryLoad> = ground
        .entries
        .iter()
        .zip(&rates)
        .map(|(entry, rps)| {
            let name = ground.name(entry.node);
            let dispersion = entry
                .demands
                .iter()
                .map(|d| d.dispersion)
                .fold(1.0, f64::max);
            EntryLoad {
                entry: name.clone(),
                arrivals: Arrivals::Poisson {
                    step_s: 3600.0,
                    rates_rps: vec![*rps],
                    dispersion,
                },
            }
        })
        .collect();
    let all: f64 = rates.iter().sum();
    let visits: f64 = ground
        .entries
        .iter()
        .zip(&rates)
        .map(|(entry, rps)| rps * entry.visits.iter().sum::<f64>())
        .sum();
    let requests = (VISITS * all / visits.max(1e-9)).clamp(REQUESTS[0], REQUESTS[1]);
    let options = RunOptions {
        measured_s: (requests / all.max(1e-9)).clamp(SECONDS[0], SECONDS[1]),
        warm_up_s: WARM_UP_S,
        seed: mix(input.demand.seed, PURPOSE),
    };
    let assumptions = PlanAssumptions {
        cost: input.request.cost,
        ..PlanAssumptions::default()
    };
    let mesh = from_plan(
        input.graph,
        settings,
        &loads,
        &[],
        hour as u32,
        &assumptions,
    )?;
    let report = replicate(&mesh, &options, 1)?;
    Ok(ground
        .entries
        .iter()
        .map(|entry| {
            let seen = report.entries.get(ground.name(entry.node).as_str());
            seen.map_or(
                Shown {
                    slow: 0.0,
                    failed: 0.0,
                },
                |seen| Shown {
                    slow: 1.0 - seen.good_rps.mean / seen.answered_rps.mean.max(1e-12),
                    failed: 1.0 - seen.availability.mean,
                },
            )
        })
        .collect())
}

/// Requests a second of every entry: each at the quantile that is bought, all at once.
fn entry_rates(input: &PolicyInput<'_>, ground: &Ground<'_>, hour: usize) -> Vec<f64> {
    let entries = ground.entries.iter();
    entries
        .map(|entry| {
            let demands = entry.demands.iter();
            demands
                .map(|demand| input.demand.peak_rps(demand, hour as u32, LEVELS[BOUGHT]))
                .sum()
        })
        .collect()
}
