//! Methods on what is left when the seasons are taken out: MSTL + ETS, and theta. They share one set of decompositions.
//!
//! The decomposition is MSTL (Bandara, Hyndman & Bergmeir 2021) with periods of a day and a week, by stlrs through augurs. It looks at
//! both sides of an hour, so one of the whole history would tell the backtest what comes: it is made anew for every week of origins,
//! from the weeks before, and its last cycle goes on. Sparse loess points (jumps) make one cost 0.2 ms where augurs' MSTL with a
//! search of ETS models takes 37. The smoothing of what is left is by hand, because augurs' ETS can neither be run through origins nor
//! live with gaps: both are one recursion.

use augurs::mstl::stlrs::{MstlParams, StlParams};

use super::{Method, Rows, Task, mean_error, seasonal_naive};
use crate::Step;

/// Weeks that one decomposition looks at.
const WINDOW_WEEKS: usize = 8;
/// Origins that share one decomposition.
const SHARED: usize = 7;
/// Gains of the level that are tried.
const GAINS: [f64; 5] = [0.02, 0.05, 0.12, 0.3, 0.6];
const WEIGHT_WIDTH: f64 = 0.03;

/// The sum of the seasons, as it was known at some origins.
#[derive(Debug)]
pub(crate) struct Seasons {
    step: Step,
    /// First origin that it serves.
    from: usize,
    /// Start of the window.
    start: usize,
    season: Vec<f64>,
}

impl Seasons {
    fn of(step: Step, z: &[f64], origin: usize) -> Option<Self> {
        let (day, week) = (step.day(), step.week());
        let start = origin.saturating_sub(WINDOW_WEEKS * week);
        let start = start + (origin - start) % week;
        let mut filled: Vec<f64> = z[start..origin].to_vec();
        for at in 0..filled.len() {
            if filled[at].is_nan() {
                filled[at] = seasonal_naive::before(&filled[..at], at, day)
                    .or_else(|| filled.iter().copied().find(|v| !v.is_nan()))?;
            }
        }
        // Where a step is a day, the week is the only season.
        let periods: &[usize] = match (day > 1, filled.len() >= 2 * week) {
            (true, true) => &[day, week],
            (true, false) => &[day],
            (false, true) => &[week],
            (false, false) => return None,
        };
        if filled.len() < 2 * day {
            return None;
        }
        let mut stl = StlParams::new();
        stl.seasonal_jump(10).trend_jump(day).low_pass_jump(day);
        let mut mstl = MstlParams::new();
        mstl.stl_params(stl);
        let decomposed = mstl.fit(&filled, periods).ok()?;
        let season = (0..filled.len())
            .map(|at| decomposed.seasonal().iter().map(|part| part[at]).sum())
            .collect();
        Some(Self {
            step,
            from: origin,
            start,
            season,
        })
    }

    /// The season of an hour; after the window its last cycle goes on.
    fn at(&self, hour: usize) -> f64 {
        let (day, week) = (self.step.day(), self.step.week());
        let period = if self.season.len() >= week { week } else { day };
        let index = hour - self.start;
        let length = self.season.len();
        let index = if index < length {
            index
        } else {
            length - period + (index - length) % period
        };
        self.season[index]
    }
}

/// All decompositions that the origins of a task need; none in the second week: two cycles of a week are not there yet, and a day's
/// alone would carry Friday into Saturday, which the other methods have seen once.
fn decompositions(task: &Task<'_>) -> Option<Vec<Seasons>> {
    let week = task.step.week();
    if (week..2 * week).contains(&task.z.len()) {
        return None;
    }
    // The last origin is forecast for good: its decomposition is its own, and the groups count back from it.
    let mut origins: Vec<usize> = task.origins.iter().rev().copied().step_by(SHARED).collect();
    origins.push(*task.origins.first()?);
    origins.sort_unstable();
    origins.dedup();
    let all: Vec<Seasons> = origins
        .iter()
        .filter_map(|origin| Seasons::of(task.step, task.z, *origin))
        .collect();
    (!all.is_empty()).then_some(all)
}

/// Exponential smoothing of the level after MSTL: ETS(A,N,N), its gain weighted by backtest.
pub(crate) struct MstlEts;

impl Method for MstlEts {
    fn name(&self) -> &'static str {
        "MSTL + ETS"
    }

    fn forecast(&self, task: &Task<'_>) -> Option<Rows> {
        let seasons = task.seasons.get_or_init(|| decompositions(task)).as_ref()?;
        let runs: Vec<Rows> = GAINS
            .iter()
            .map(|gain| smooth(task, seasons, *gain, 0.0))
            .collect();
        Some(mixed(task, &runs))
    }
}

/// Theta after MSTL (Assimakopoulos & Nikolopoulos 2000; as smoothing with half the slope as drift, Hyndman & Billah 2003).
pub(crate) struct Theta;

impl Method for Theta {
    fn name(&self) -> &'static str {
        "theta"
    }

    fn forecast(&self, task: &Task<'_>) -> Option<Rows> {
        let seasons = task.seasons.get_or_init(|| decompositions(task)).as_ref()?;
        let runs: Vec<Rows> = GAINS
            .iter()
            .map(|gain| smooth(task, seasons, *gain, 0.5))
            .collect();
        Some(mixed(task, &runs))
    }
}

fn mixed(task: &Task<'_>, runs: &[Rows]) -> Rows {
    let losses: Vec<f64> = runs.iter().map(|rows| mean_error(task, rows)).collect();
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    let weights: Vec<f64> = losses
        .iter()
        .map(|loss| {
            if best > 0.0 {
                (-(loss / best - 1.0) / WEIGHT_WIDTH).exp()
            } else {
                1.0
            }
        })
        .collect();
    let total: f64 = weights.iter().sum();
    let mut mixed = Rows::new(task);
    for (rows, weight) in runs
        .iter()
        .zip(&weights)
        .filter(|(_, weight)| **weight > 1e-3)
    {
        for (value, part) in mixed.values.iter_mut().zip(&rows.values) {
            *value += weight / total * part;
        }
    }
    mixed
}

/// Forecasts level + drift × slope of the window + season from each origin.
fn smooth(task: &Task<'_>, all: &[Seasons], gain: f64, drift: f64) -> Rows {
    let gain = task.step.gain(gain);
    let mut rows = Rows::new(task);
    let mut which = usize::MAX;
    let (mut level, mut slope, mut at) = (f64::NAN, 0.0, 0);
    for (index, &origin) in task.origins.iter().enumerate() {
        let serving = all
            .iter()
            .rposition(|seasons| seasons.from <= origin)
            .unwrap_or(0);
        let seasons = &all[serving];
        if which != serving {
            // Another decomposition: its level is that of its own window.
            (which, level, at) = (serving, f64::NAN, seasons.start);
            slope = if drift > 0.0 {
                slope_of(task.z, seasons)
            } else {
                0.0
            };
        }
        for hour in at..origin {
            let left = task.z[hour] - seasons.at(hour);
            if !left.is_nan() {
                level = if level.is_nan() {
                    left
                } else {
                    level + gain * (left - level)
                };
            }
        }
        at = origin.max(at);
        let from = if level.is_nan() { 0.0 } else { level };
        for (ahead, value) in rows.row_mut(index).iter_mut().enumerate() {
            *value = from
                + drift * slope * (ahead + 1) as f64
                + seasons.at((origin + ahead).max(seasons.start));
        }
    }
    rows
}

/// The least-squares slope of what is left in the window, by hour.
fn slope_of(z: &[f64], seasons: &Seasons) -> f64 {
    let end = seasons.start + seasons.season.len();
    let (mut n, mut x, mut y, mut xx, mut xy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (hour, value) in z.iter().enumerate().take(end).skip(seasons.start) {
        let left = value - seasons.at(hour);
        if !left.is_nan() {
            let t = (hour - seasons.start) as f64;
            n += 1.0;
            x += t;
            y += left;
            xx += t * t;
            xy += t * left;
        }
    }
    let spread = n * xx - x * x;
    if spread > 0.0 {
        (n * xy - x * y) / spread
    } else {
        0.0
    }
}
