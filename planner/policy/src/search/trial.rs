//! Settings tried in the simulation at the demand that is bought, in the hour in which most requests come and in the one in which
//! instances are busiest.
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
    window::{Allowed, Shown, Unseen, Window, busiest_hour, entry_rates, simulate, visits_rps},
};

/// Visits of services that a window simulates: half a second of work.
const VISITS: f64 = 1_000_000.0;
/// Requests of a window, whatever their visits: fewer say nothing of a 99th percentile.
const REQUESTS: [f64; 2] = [5_000.0, 100_000.0];
/// Seconds of a window: an entry with little traffic is not simulated for a day.
const SECONDS: [f64; 2] = [2.0, 1_800.0];
/// Seconds before the measurement, at most.
const WARM_UP_S: f64 = 5.0;
/// Hours in which a candidate is tried.
pub(crate) const HOURS: usize = 2;
/// Sets the trials' random numbers apart from those of reports: what chose is not what judges.
const PURPOSE: u64 = 0x0074_7269_616c;

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
            .map(|hour| {
                let rates = ground.rates_at(hour, BOUGHT_SCORE);
                let settings = standing(ground, settings, hour, &rates);
                let seen = simulate(input, ground, &settings, &window(input, ground, hour))?;
                Ok(seen.entries)
            })
            .collect::<Result<_, SimulateError>>()?;
        Ok(Self { shown })
    }

    /// Whether every objective is kept in every hour, or missed by no more than the floor misses it in the hour in which it does worst.
    pub(crate) fn passes(&self, ground: &Ground<'_>, floor: Option<&Self>) -> bool {
        ground.entries.iter().enumerate().all(|(e, entry)| {
            let yardstick = floor.into_iter().flat_map(|floor| &floor.shown);
            let allowed = yardstick.fold(Allowed::by(&entry.slo), |allowed, hour| {
                allowed.or(&hour[e])
            });
            self.shown.iter().all(|hour| hour[e].within(allowed))
        })
    }
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
                rate / (f64::from(n + sized.standby) * station.saturation_rps)
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
        warm_up_s: measured_s.min(WARM_UP_S),
        measured_s,
        seed: mix(input.demand.seed, PURPOSE),
    }
}
