//! Settings tried in the simulation at the demand that is bought, in the hour in which most requests come and in the one in which
//! instances are busiest. A trial ends as soon as it has surely been failed. It is never passed early: what goes
//! wrong often begins with a rare thing, an instance taken out of rotation by a run of errors, whose work the others cannot take.
//!
//! Formulas and simulation differ by a tenth in a 99th percentile, now and then by more, and whoever looks for the cheapest that the
//! formulas allow finds where they are too kind. What is chosen has therefore passed here, or did no worse than the floor.

use foremesh_model::{Settings, random::mix};
use foremesh_simulate::SimulateError;
use rayon::prelude::*;

use super::level::BOUGHT_SCORE;
use crate::{
    PolicyInput,
    autoscaler::standing,
    ground::Ground,
    sampling::{BOUGHT, LEVELS},
    sizing::Sizing,
    window::{Allowed, Shown, Unseen, Window, busiest_hour, entry_rates, visits_rps, watch},
};

/// Visits of services that a window simulates: half a second of work.
const VISITS: f64 = 1_000_000.0;
/// Requests of a window, whatever their visits: fewer say nothing of a 99th percentile.
const REQUESTS: [f64; 2] = [5_000.0, 100_000.0];
/// Shares of a window after which a trial may have been failed.
const LOOKS: [f64; 3] = [0.125, 0.25, 0.5];
/// Seconds of a window: an entry with little traffic is not simulated for a day.
const SECONDS: [f64; 2] = [2.0, 1_800.0];
/// Seconds before the measurement, at most, and as a share of it: queues are as they stay after some of their longest waits.
const WARM_UP_S: f64 = 5.0;
const WARM_UP_SHARE: f64 = 0.25;
/// Hours in which a candidate is tried.
pub(crate) const HOURS: usize = 2;
/// Sets the trials' random numbers apart from those of reports: what chose is not what judges.
const PURPOSE: u64 = 0x0074_7269_616c;

/// What settings showed, `[hour tried][entry]`.
type Trial = Vec<Vec<Shown>>;

/// What others are compared with: what the floor shows, and what each entry may therefore miss.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Yardstick {
    floor_keeps: bool,
    /// What its objective allows, or what the floor misses in the hour in which it does worst.
    allowed: Vec<Allowed>,
}

impl Yardstick {
    pub(crate) fn of(
        input: &PolicyInput<'_>,
        ground: &Ground<'_>,
        floor: &Sizing,
        settings: &Settings,
    ) -> Result<Self, SimulateError> {
        let floor = tried(input, ground, floor, settings, None)?;
        let by_objectives: Vec<Allowed> = ground
            .entries
            .iter()
            .map(|entry| Allowed::by(&entry.slo))
            .collect();
        let floor_keeps = keeps(&floor, &by_objectives);
        let entries = by_objectives.into_iter().enumerate();
        let allowed = entries
            .map(|(e, allowed)| floor.iter().fold(allowed, |a, hour| a.or(&hour[e])))
            .collect();
        Ok(Self {
            floor_keeps,
            allowed,
        })
    }

    /// Whether the floor keeps every objective.
    pub(crate) fn floor_keeps(&self) -> bool {
        self.floor_keeps
    }

    /// Whether settings keep every objective in their hardest hours, or miss it by no more than the floor does in the hour in which it does worst.
    pub(crate) fn passed_by(
        &self,
        input: &PolicyInput<'_>,
        ground: &Ground<'_>,
        sizing: &Sizing,
        settings: &Settings,
    ) -> Result<bool, SimulateError> {
        let trial = tried(input, ground, sizing, settings, Some(&self.allowed))?;
        Ok(keeps(&trial, &self.allowed))
    }
}

/// Tries settings in their hardest hours: in each to the end, or until more is surely missed than is allowed.
fn tried(
    input: &PolicyInput<'_>,
    ground: &Ground<'_>,
    sizing: &Sizing,
    settings: &Settings,
    allowed: Option<&[Allowed]>,
) -> Result<Trial, SimulateError> {
    hardest_hours(input, ground, sizing)
        .into_par_iter()
        .map(|hour| {
            let rates = ground.rates_at(hour, BOUGHT_SCORE);
            let settings = standing(ground, settings, hour, &rates);
            let window = window(input, ground, hour);
            watch(input, ground, &settings, &window, |watched| {
                let looks = allowed.map_or(&[][..], |_| &LOOKS);
                for share in looks {
                    let shown = watched.seen(share * window.measured_s).entries;
                    let mut entries = shown.iter().zip(allowed.into_iter().flatten());
                    if entries.any(|(shown, allowed)| allowed.surely_missed(shown)) {
                        return shown;
                    }
                }
                watched.seen(window.measured_s).entries
            })
        })
        .collect()
}

/// Whether no entry misses more than it may in any hour.
fn keeps(trial: &Trial, allowed: &[Allowed]) -> bool {
    let mut hours = trial.iter();
    hours.all(|hour| hour.iter().zip(allowed).all(|(shown, a)| shown.within(*a)))
}

/// Why nothing can be tried, in whatever hours; None: everything can.
pub(crate) fn unseen(input: &PolicyInput<'_>, ground: &Ground<'_>) -> Option<Unseen> {
    let hours = 0..ground.demand.hours();
    let windows: Vec<Window> = hours.map(|hour| window(input, ground, hour)).collect();
    Unseen::of(input, ground, &windows)
}

/// The hour in which most requests come, and the one in which an instance has most to do.
fn hardest_hours(input: &PolicyInput<'_>, ground: &Ground<'_>, sizing: &Sizing) -> Vec<usize> {
    let first = busiest_hour(input, ground, LEVELS[BOUGHT]);
    let busy = |hour: usize| {
        let rates = ground.rates_at(hour, BOUGHT_SCORE);
        let each = rates.iter().zip(&sizing.by_hour[hour]);
        each.zip(ground.stations.iter().zip(&sizing.services))
            .filter(|(_, (station, _))| !station.stateful)
            .map(|((rate, n), (station, sized))| {
                rate / (f64::from(n + sized.standby) * station.bearable_rps())
            })
            .fold(0.0, f64::max)
    };
    let others = (0..sizing.by_hour.len()).filter(|hour| *hour != first);
    let second = others.max_by(|a, b| busy(*a).total_cmp(&busy(*b)).then(b.cmp(a)));
    std::iter::once(first).chain(second).take(HOURS).collect()
}

/// A time that is long enough for the entries' 99th percentiles.
fn window(input: &PolicyInput<'_>, ground: &Ground<'_>, hour: usize) -> Window {
    let level = LEVELS[BOUGHT];
    let rates = entry_rates(input, ground, hour, level);
    let all: f64 = rates.iter().sum();
    let visits = visits_rps(ground, &rates);
    let requests = (VISITS * all / visits.max(1e-9)).clamp(REQUESTS[0], REQUESTS[1]);
    let measured_s = (requests / all.max(1e-9)).clamp(SECONDS[0], SECONDS[1]);
    Window {
        hour,
        level,
        faults: Vec::new(),
        warm_up_s: (WARM_UP_SHARE * measured_s).min(WARM_UP_S),
        measured_s,
        seed: mix(input.demand.seed, PURPOSE),
    }
}
