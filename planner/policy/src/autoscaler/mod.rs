//! A schedule and what an autoscaler does beyond it, chosen together.
//!
//! A schedule must be right about the demand that may come; an autoscaler follows the demand that came, late by what it takes to see it and to
//! start an instance. For each service the two are weighed on minutes drawn from the forecast ([`minutes`]): the fewest instances of each hour
//! and the requests a second that one instance is given before more are asked for, which together cost least, a minute in which the
//! instances that are there are asked for more than they may be ([`carried`]) at its price ([`law`]). What a service that starts slowly would
//! miss, its schedule holds; what starts at once is left to the autoscaler.
//!
//! Services share objectives: how much of one each may use follows from its price (Lagrange multipliers: what uses more than its objective in
//! the worst minutes becomes dearer from round to round, what leaves some cheaper). Of all rounds the one counts that costs least.

mod carried;
mod choose;
mod law;
mod loss;
mod minutes;

use foremesh_model::{Schedule, Settings};
use rayon::prelude::*;

use self::law::Contest;
pub use self::minutes::Minute;
pub(crate) use self::{
    choose::choose,
    law::MOST_SCORE,
    loss::with_loss_borne,
    minutes::{Draw, PATHS, REACTION_S, drawn, drawn_as},
};
use crate::{ground::Ground, sizing::Sizing};

/// The first price of an entry's whole latency that is not nothing, as a multiple of what the region's instances cost an hour.
const FIRST_WORTH: f64 = 0.1;
/// Rounds in which prices of latency are mended; before them one without prices.
const ROUNDS: usize = 8;
/// The power of what an entry uses of its objective by which its price is mended at first.
const FIRST_POWER: f64 = 8.0;
/// Share of the minutes in which an entry may use more than its objective, where prices are mended.
const WORST_MINUTES: f64 = 0.002;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// Share of objectives and limits that is planned with.
    pub share: f64,
    /// What a violated minute costs.
    pub violation_per_minute: f64,
}

/// What is expected of a sizing over the horizon.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expectation {
    /// Instance hours of each service.
    pub instance_hours: Vec<f64>,
    pub instance_cost: f64,
    /// Minutes in which an objective is violated.
    pub violation_minutes: f64,
    /// Requests a second that one instance of each service is asked, in all but the worst minutes.
    pub instance_rps: Vec<f64>,
}

/// The cheapest schedules and targets.
pub(crate) fn size(
    ground: &Ground<'_>,
    floor: &Sizing,
    minutes: &[Minute],
    options: &Options,
) -> Sizing {
    let contest = Contest::of(ground, floor, minutes, options);
    let mut best: Option<(f64, Sizing)> = None;
    let mut worths = vec![0.0; ground.entries.len()];
    for round in 0..=ROUNDS {
        let mut sizing = contest.sizing(&worths);
        let (expected, used) = expectation(ground, &sizing, minutes, options.share);
        let cost =
            expected.instance_cost + options.violation_per_minute * expected.violation_minutes;
        sizing.expectation = Some(expected);
        if best.as_ref().is_none_or(|(least, _)| cost < *least) {
            best = Some((cost, sizing));
        }
        if round == 0 {
            // Where every objective is kept though latency costs nothing, nothing is to be mended.
            if used.iter().all(|used| *used <= 1.0) {
                break;
            }
            worths.fill(FIRST_WORTH * contest.cost_per_hour);
            continue;
        }
        let power = FIRST_POWER * (1.0 - (round - 1) as f64 / ROUNDS as f64);
        for (worth, used) in worths.iter_mut().zip(&used) {
            *worth *= used.powf(power).clamp(0.1, 10.0);
        }
    }
    best.map_or_else(|| floor.clone(), |(_, sizing)| sizing)
}

/// What a sizing is expected to cost and to miss; also the part that each entry uses, in all but the worst minutes, of the share of its objective
/// that is planned with.
pub(crate) fn expectation(
    ground: &Ground<'_>,
    sizing: &Sizing,
    minutes: &[Minute],
    share: f64,
) -> (Expectation, Vec<f64>) {
    struct Judged {
        instances: Vec<u32>,
        /// By entry, the part of its objective's latency.
        used: Vec<f64>,
        kept: bool,
    }
    let targets = ground.entry_targets(share);
    let judged: Vec<Judged> = minutes
        .par_iter()
        .map(|minute| {
            let services = sizing.services.iter().zip(&minute.seen_rps);
            let instances: Vec<u32> = services
                .map(|(sized, seen)| sized.at(minute.hour, *seen) + sized.standby)
                .collect();
            let whole = ground.latencies(&instances, &minute.now_rps);
            let latencies: Vec<f64> = ground
                .entries
                .iter()
                .map(|entry| entry.quantile.of(whole[entry.node]))
                .collect();
            let mut entries = ground.entries.iter().zip(&latencies);
            Judged {
                kept: ground.admits(&minute.now_rps, &instances)
                    && entries.all(|(entry, latency)| *latency <= entry.slo.latency_ms),
                used: latencies.iter().zip(&targets).map(|(l, t)| l / t).collect(),
                instances,
            }
        })
        .collect();
    let each = ground.demand.hours() as f64 / judged.len().max(1) as f64;
    let mut instance_hours = vec![0.0; ground.services.len()];
    let mut violated = 0u32;
    for minute in &judged {
        for (sum, n) in instance_hours.iter_mut().zip(&minute.instances) {
            *sum += each * f64::from(*n);
        }
        violated += u32::from(!minute.kept);
    }
    let used = (0..targets.len())
        .map(|e| but_worst(judged.iter().map(|minute| minute.used[e])).unwrap_or(1.0))
        .collect();
    let instance_rps = (0..ground.services.len())
        .map(|s| {
            let each = judged.iter().zip(minutes);
            let asked = each.map(|(j, m)| m.now_rps[s] / f64::from(j.instances[s].max(1)));
            but_worst(asked).unwrap_or(0.0)
        })
        .collect();
    let prices = ground.stations.iter().map(|station| station.cost_per_hour);
    let expected = Expectation {
        instance_cost: instance_hours
            .iter()
            .zip(prices)
            .map(|(n, price)| n * price)
            .sum(),
        instance_hours,
        violation_minutes: 60.0 * each * f64::from(violated),
        instance_rps,
    };
    (expected, used)
}

/// The highest of what minutes show, the worst of them left out; None of no minutes.
fn but_worst(shown: impl Iterator<Item = f64>) -> Option<f64> {
    let mut shown: Vec<f64> = shown.collect();
    let last = shown.len().checked_sub(1)?;
    let at = ((1.0 - WORST_MINUTES) * shown.len() as f64) as usize;
    let (_, value, _) = shown.select_nth_unstable_by(at.min(last), f64::total_cmp);
    Some(*value)
}

/// The settings as their autoscalers have left them in an hour once they have seen these rates for a while.
pub(crate) fn standing(
    ground: &Ground<'_>,
    settings: &Settings,
    hour: usize,
    seen_rps: &[f64],
) -> Settings {
    let mut settings = settings.clone();
    for (s, seen) in seen_rps.iter().enumerate() {
        let Some(service) = settings.services.get_mut(ground.name(s)) else {
            continue;
        };
        if let Some(scaled) = service.autoscaling {
            let there = service.instances.at(hour as u32).max(scaled.asks(*seen));
            service.instances = Schedule::from_hours(&[there]);
        }
    }
    settings
}
