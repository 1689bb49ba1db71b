//! Exponential smoothing with two seasons (Taylor 2003, "Short-term electricity demand forecasting using double seasonal
//! exponential smoothing", JORS 54), with an autoregressive carry-over of the last error.
//!
//! State: a level, a daily profile, a weekly profile of what the daily one leaves, and the last error. A profile's gain starts
//! as that of a running mean (1, 1/2, 1/3 …) and falls to its constant, so no start values are needed and a week that was never
//! seen adds nothing. An innovation is clipped at a multiple of the usual one: a burst moves no level. A gap moves nothing.
//! Each set of gains costs one pass; their forecasts are averaged with weights that fall with their errors over the horizon,
//! so that a day more of history cannot flip the choice.

use std::ops::Range;

use super::{Method, Rows, Task};

#[derive(Debug, Clone, Copy)]
struct Gains {
    level: f64,
    daily: f64,
    weekly: f64,
    /// What of the last error is left an hour later, as the level's gain is that of an hour.
    carry: f64,
}

/// Double seasonal exponential smoothing.
pub(crate) struct DoubleSeasonal {
    name: &'static str,
    grid: Vec<Gains>,
}

/// Innovations beyond this many usual ones are clipped.
const CLIP: f64 = 3.0;
/// Sets of gains whose error is this much above the best (ratio) have a weight of 1/e.
const WEIGHT_WIDTH: f64 = 0.03;

impl DoubleSeasonal {
    /// With the weekly profile.
    pub fn weekly() -> Self {
        let mut grid = Vec::new();
        for level in [0.003, 0.01, 0.03] {
            for daily in [0.02, 0.08, 0.25] {
                for weekly in [0.08, 0.25] {
                    for carry in [0.7, 0.92] {
                        grid.push(Gains {
                            level,
                            daily,
                            weekly,
                            carry,
                        });
                    }
                }
            }
        }
        Self {
            name: "double seasonal",
            grid,
        }
    }

    /// With the daily profile only, which follows the last days closely.
    pub fn daily() -> Self {
        let mut grid = Vec::new();
        for level in [0.003, 0.01, 0.03] {
            for daily in [0.08, 0.2, 0.4] {
                for carry in [0.7, 0.92] {
                    grid.push(Gains {
                        level,
                        daily,
                        weekly: 0.0,
                        carry,
                    });
                }
            }
        }
        Self {
            name: "daily smoothing",
            grid,
        }
    }
}

impl Method for DoubleSeasonal {
    fn name(&self) -> &'static str {
        self.name
    }

    fn forecast(&self, task: &Task<'_>) -> Option<Rows> {
        let runs: Vec<Rows> = self.grid.iter().map(|gains| run(task, *gains)).collect();
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
        Some(mixed)
    }
}

/// Mean absolute error over all origins and steps that are known by now.
pub(crate) fn mean_error(task: &Task<'_>, rows: &Rows) -> f64 {
    mean_error_within(task, rows, 0..usize::MAX)
}

/// The same over steps of the horizon.
pub(crate) fn mean_error_within(task: &Task<'_>, rows: &Rows, ahead: Range<usize>) -> f64 {
    let (from, count_of) = (ahead.start, ahead.end.saturating_sub(ahead.start));
    let (mut sum, mut count) = (0.0, 0u32);
    for (index, &origin) in task.origins.iter().enumerate() {
        let row = rows.row(index).iter().zip(&task.z[origin..]);
        for (forecast, actual) in row.skip(from).take(count_of) {
            if !actual.is_nan() {
                sum += (forecast - actual).abs();
                count += 1;
            }
        }
    }
    if count == 0 {
        0.0
    } else {
        sum / f64::from(count)
    }
}

fn run(task: &Task<'_>, gains: Gains) -> Rows {
    let mut rows = Rows::new(task);
    let (day, week) = (task.step.day(), task.step.week());
    let gains = Gains {
        level: task.step.gain(gains.level),
        carry: task.step.carry(gains.carry),
        ..gains
    };
    // Steps over which the usual innovation is learned: two days of hours.
    let (early, usually) = (task.step.hours(48).max(14) as u32, task.step.gain(0.01));
    let (mut level, mut daily, mut weekly) = (0.0, vec![0.0; day], vec![0.0; week]);
    let (mut seen, mut seen_daily, mut seen_weekly) = (0u32, vec![0u32; day], vec![0u32; week]);
    let (mut carried, mut usual) = (0.0, f64::NAN);
    let mut origins = task.origins.iter().enumerate().peekable();
    for at in 0..=task.z.len() {
        while let Some((index, _)) = origins.next_if(|(_, origin)| **origin == at) {
            let mut carry = carried;
            for (value, slot) in rows.row_mut(index).iter_mut().zip(&task.step_of_week[at..]) {
                let slot = usize::from(*slot) % week;
                *value = level + daily[slot % day] + weekly[slot] + carry;
                carry *= gains.carry;
            }
        }
        let Some(z) = task.z.get(at) else { break };
        if z.is_nan() {
            carried *= gains.carry;
            continue;
        }
        let slot = usize::from(task.step_of_week[at]) % week;
        let (day_slot, expected) = (slot % day, level + daily[slot % day] + weekly[slot]);
        if seen == 0 {
            level = *z;
            seen = 1;
            continue;
        }
        let mut innovation = z - expected - carried;
        if usual.is_nan() {
            usual = innovation.abs();
        } else if seen > early {
            let most = CLIP * usual.max(1e-9);
            usual += usually * (innovation.abs().min(2.0 * most) - usual);
            innovation = innovation.clamp(-most, most);
        } else {
            usual += (innovation.abs() - usual) / f64::from(seen);
        }
        seen += 1;
        seen_daily[day_slot] += 1;
        level += gains.level.max(1.0 / f64::from(seen)) * innovation;
        daily[day_slot] += gains.daily.max(0.6 / f64::from(seen_daily[day_slot])) * innovation;
        if gains.weekly > 0.0 {
            seen_weekly[slot] += 1;
            weekly[slot] += gains.weekly.max(0.6 / f64::from(seen_weekly[slot] + 1)) * innovation;
        }
        let error = z - level - daily[day_slot] - weekly[slot];
        carried =
            gains.carry * error.clamp(-2.0 * CLIP * usual.max(1e-9), 2.0 * CLIP * usual.max(1e-9));
    }
    rows
}
