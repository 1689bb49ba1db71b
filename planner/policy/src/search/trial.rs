//! Settings tried in the simulation: a window at the demand that is bought, in the hours in which the formulas see the least left of an
//! objective.
//!
//! Formulas and simulation differ by a tenth in a 99th percentile, now and then by more, and whoever looks for the cheapest that the
//! formulas allow finds where they are too kind. What is chosen has therefore passed here, or did no worse than the floor.

use foremesh_model::{Settings, random::mix};
use foremesh_simulate::{
    Arrivals, EntryLoad, PlanAssumptions, RunOptions, SimulateError, from_plan, replicate,
};
use rayon::prelude::*;

use super::level::BOUGHT_SCORE;
use crate::{PolicyInput, ground::Ground, sizing::Sizing};

/// Visits of services that a window simulates: a second of work, or less.
const VISITS: f64 = 600_000.0;
/// Requests of a window, whatever their visits: fewer say nothing of a 99th percentile.
const REQUESTS: [f64; 2] = [2_000.0, 20_000.0];
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
        let shown = hardest_hours(ground, sizing)
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

/// The hours in which the largest share of an objective is used, the worst first.
fn hardest_hours(ground: &Ground<'_>, sizing: &Sizing) -> Vec<usize> {
    let used = |hour: usize| {
        let latencies = sizing.expected.entry_ms[hour].iter().zip(&ground.entries);
        latencies
            .map(|(latency, entry)| latency / entry.slo.latency_ms)
            .fold(0.0, f64::max)
    };
    let mut hours: Vec<(f64, usize)> = (0..sizing.by_hour.len()).map(|h| (used(h), h)).collect();
    hours.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    hours
        .into_iter()
        .take(HOURS)
        .map(|(_, hour)| hour)
        .collect()
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

/// Requests a second of every entry such that all of them together ask for as much work as is bought: each at the same level of its own
/// demand.
fn entry_rates(input: &PolicyInput<'_>, ground: &Ground<'_>, hour: usize) -> Vec<f64> {
    let work = |rates: &[f64]| -> f64 {
        let holding = |s: usize| {
            let station = &ground.stations[s];
            if station.is_boundless() {
                0.0
            } else {
                station.holding_ms
            }
        };
        let each = ground.entries.iter().zip(rates);
        each.map(|(entry, rps)| {
            let visits = entry.visits.iter().enumerate();
            rps * visits.map(|(s, v)| v * holding(s)).sum::<f64>()
        })
        .sum()
    };
    let at = |level: f64| -> Vec<f64> {
        let entries = ground.entries.iter();
        entries
            .map(|entry| {
                let demands = entry.demands.iter();
                demands
                    .map(|demand| input.demand.peak_rps(demand, hour as u32, level))
                    .sum()
            })
            .collect()
    };
    let bought: f64 = ground
        .rates_at(hour, BOUGHT_SCORE)
        .iter()
        .zip(&ground.stations)
        .filter(|(_, station)| !station.is_boundless())
        .map(|(rate, station)| rate * station.holding_ms)
        .sum();
    let (mut low, mut high) = (0.5, 0.999);
    for _ in 0..12 {
        let middle = 0.5 * (low + high);
        if work(&at(middle)) < bought {
            low = middle;
        } else {
            high = middle;
        }
    }
    at(0.5 * (low + high))
}
