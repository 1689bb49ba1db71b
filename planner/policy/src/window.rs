//! Settings in the simulation for a while: an hour of the plan, a level of its demand, and what goes wrong.

use foremesh_model::{Fault, Settings};
use foremesh_simulate::{
    Arrivals, EntryLoad, PlanAssumptions, RunOptions, SimulateError, from_plan, replicate,
};

use crate::{
    PolicyInput,
    ground::{Entry, Ground},
};

/// What is simulated.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    pub hour: usize,
    /// The quantile of every entry's demand, all at once.
    pub level: f64,
    /// With times from the very start.
    pub faults: Vec<Fault>,
    /// Seconds that are simulated first and not measured.
    pub warm_up_s: f64,
    pub measured_s: f64,
    pub seed: u64,
}

/// What an entry showed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Shown {
    /// Share of the answered requests that took longer than the objective.
    pub slow: f64,
    /// Share of requests that failed.
    pub failed: f64,
}

/// Simulates settings and answers what each of [`Ground::entries`] showed.
pub(crate) fn simulate(
    input: &PolicyInput<'_>,
    ground: &Ground<'_>,
    settings: &Settings,
    window: &Window,
) -> Result<Vec<Shown>, SimulateError> {
    let rates = entry_rates(input, ground, window.hour, window.level);
    // Nothing is set where requests enter at what keeps state, and nothing of it is simulated.
    let is_set = |entry: &Entry<'_>| settings.entries.contains_key(ground.name(entry.node));
    if !ground.entries.iter().any(is_set) {
        return Ok(vec![Shown::default(); ground.entries.len()]);
    }
    let entries = ground.entries.iter();
    let loads: Vec<EntryLoad> = entries
        .zip(&rates)
        .filter(|(entry, _)| is_set(entry))
        .map(|(entry, rps)| EntryLoad {
            entry: ground.name(entry.node).clone(),
            arrivals: Arrivals::Poisson {
                step_s: 3600.0,
                rates_rps: vec![*rps],
                dispersion: entry
                    .demands
                    .iter()
                    .map(|d| d.dispersion)
                    .fold(1.0, f64::max),
            },
        })
        .collect();
    let options = RunOptions {
        measured_s: window.measured_s,
        warm_up_s: window.warm_up_s,
        seed: window.seed,
    };
    let assumptions = PlanAssumptions {
        cost: input.request.cost,
        ..PlanAssumptions::default()
    };
    let hour = window.hour as u32;
    let mesh = from_plan(
        input.graph,
        settings,
        &loads,
        &window.faults,
        hour,
        &assumptions,
    )?;
    let report = replicate(&mesh, &options, 1)?;
    let entries = ground.entries.iter();
    Ok(entries
        .map(|entry| {
            let seen = report.entries.get(ground.name(entry.node).as_str());
            seen.map_or(Shown::default(), |seen| Shown {
                slow: 1.0 - seen.good_rps.mean / seen.answered_rps.mean.max(1e-12),
                failed: 1.0 - seen.availability.mean,
            })
        })
        .collect())
}

/// Requests a second of every entry at a level, the peak within the hour included.
pub(crate) fn entry_rates(
    input: &PolicyInput<'_>,
    ground: &Ground<'_>,
    hour: usize,
    level: f64,
) -> Vec<f64> {
    let entries = ground.entries.iter();
    entries
        .map(|entry| {
            let demands = entry.demands.iter();
            demands
                .map(|demand| input.demand.peak_rps(demand, hour as u32, level))
                .sum()
        })
        .collect()
}

/// Visits of services a second that these rates of the entries make.
pub(crate) fn visits_rps(ground: &Ground<'_>, rates_rps: &[f64]) -> f64 {
    let entries = ground.entries.iter().zip(rates_rps);
    entries
        .map(|(entry, rps)| rps * entry.visits.iter().sum::<f64>())
        .sum()
}

/// The hour in which most requests come at a level.
pub(crate) fn busiest_hour(input: &PolicyInput<'_>, ground: &Ground<'_>, level: f64) -> usize {
    let all = |hour: usize| -> f64 { entry_rates(input, ground, hour, level).iter().sum() };
    let hours = 0..ground.demand.hours();
    hours
        .max_by(|a, b| all(*a).total_cmp(&all(*b)).then(b.cmp(a)))
        .unwrap_or(0)
}
