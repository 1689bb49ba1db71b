//! The mean of the last weeks, corrected by how far the last hours, the last day and the last week are off it.
//!
//! Expected is the mean of the same hour of the week over the last four weeks. What comes is regressed on today's anomalies (the
//! differences from expected): of the last three hours, the last day, the last week, the same hour one day and one week before the
//! target. One set of coefficients for each group of distances, ridge towards zero. Few coefficients, so one fit serves all origins. In steps of five
//! minutes the last step and the last quarter of an hour are there as well, and groups begin with the first step.

use super::{Method, Rows, Task};
use crate::{Step, linear::NormalEquations};

const WEEKS: usize = 4;
const FEATURES: usize = 7;
/// Ridge, in units of the mean square of a feature, per row.
const RIDGE: f64 = 0.02;

/// Coefficients where there are too few rows.
const UNFITTED: [f64; FEATURES] = [0.1, 0.2, 0.3, 0.0, 0.0, 0.0, 0.0];

/// Distances, in steps, at which another set of coefficients begins.
fn groups(step: Step) -> &'static [usize] {
    match step {
        Step::FiveMinutes => &[0, 1, 3, 6, 12, 36, 72, 144, 288],
        Step::Hour => &[0, 6, 12, 24, 48, 96],
        Step::Day => &[0, 1, 2, 4, 7],
    }
}

/// Features that a grid has.
fn features(step: Step) -> usize {
    if step == Step::FiveMinutes {
        FEATURES
    } else {
        5
    }
}

/// Every so many steps are a row of the fit (no multiple of a day's or a week's divisors, so that all occur).
fn row_spacing(step: Step) -> usize {
    match step {
        Step::FiveMinutes => 23,
        Step::Hour => 7,
        Step::Day => 1,
    }
}

/// Anomaly regression.
pub(crate) struct AnomalyRegression;

impl Method for AnomalyRegression {
    fn name(&self) -> &'static str {
        "anomaly regression"
    }

    fn forecast(&self, task: &Task<'_>) -> Option<Rows> {
        if task.z.len() < 2 * task.step.week() {
            return None;
        }
        let history = Anomalies::of(task.step, task.z);
        let groups = groups(task.step);
        let coefficients: Vec<[f64; FEATURES]> = (0..groups.len())
            .map(|group| history.fit(group, task.horizon))
            .collect();
        let mut rows = Rows::new(task);
        for (index, &origin) in task.origins.iter().enumerate() {
            let state = history.state(origin);
            for (ahead, value) in rows.row_mut(index).iter_mut().enumerate() {
                let expected = history.expected(origin, origin + ahead);
                let features = history.features(&state, origin, origin + ahead);
                let coefficients = &coefficients[group_of(groups, ahead)];
                *value = expected
                    + features
                        .iter()
                        .zip(coefficients)
                        .map(|(f, c)| f * c)
                        .sum::<f64>();
            }
        }
        Some(rows)
    }
}

fn group_of(groups: &[usize], ahead: usize) -> usize {
    groups.partition_point(|from| *from <= ahead) - 1
}

/// A history with running sums, so that any mean costs two look-ups.
struct Anomalies<'a> {
    step: Step,
    z: &'a [f64],
    /// z less what was expected of that step from the weeks before it; 0 where unknown.
    anomaly: Vec<f64>,
    sums: Vec<(f64, f64)>,
    typical: f64,
}

/// Mean anomalies of the last three hours (or step), day, week, quarter of an hour and step before an origin.
struct State {
    hours: f64,
    day: f64,
    week: f64,
    quarter: f64,
    last: f64,
}

impl<'a> Anomalies<'a> {
    fn of(step: Step, z: &'a [f64]) -> Self {
        let mut known: Vec<f64> = z.iter().copied().filter(|v| !v.is_nan()).collect();
        let typical = crate::quantiles::median(&mut known);
        let mut history = Self {
            step,
            z,
            anomaly: vec![f64::NAN; z.len()],
            sums: vec![(0.0, 0.0)],
            typical,
        };
        for (at, value) in z.iter().enumerate() {
            if !value.is_nan() && at >= step.week() {
                history.anomaly[at] = value - history.expected(at, at);
            }
            let (sum, count) = history.sums[at];
            let anomaly = history.anomaly[at];
            history.sums.push(if anomaly.is_nan() {
                (sum, count)
            } else {
                (sum + anomaly, count + 1.0)
            });
        }
        history
    }

    /// The mean of the same step in the last four weeks that are known at `origin`.
    fn expected(&self, origin: usize, target: usize) -> f64 {
        let period = self.step.week();
        let back = (target - origin) / period + 1;
        let (mut sum, mut count) = (0.0, 0u32);
        for week in back..back + 2 * WEEKS {
            let Some(at) = target.checked_sub(week * period) else {
                break;
            };
            if !self.z[at].is_nan() {
                sum += self.z[at];
                count += 1;
            }
            if count as usize == WEEKS {
                break;
            }
        }
        if count == 0 {
            self.typical
        } else {
            sum / f64::from(count)
        }
    }

    fn mean(&self, from: usize, to: usize) -> f64 {
        let ((low, few), (high, many)) = (self.sums[from], self.sums[to]);
        if many > few {
            (high - low) / (many - few)
        } else {
            0.0
        }
    }

    fn state(&self, origin: usize) -> State {
        let mean = |steps: usize| self.mean(origin.saturating_sub(steps), origin);
        State {
            hours: mean(self.step.hours(3)),
            day: mean(self.step.day()),
            week: mean(self.step.week()),
            quarter: mean(3),
            last: mean(1),
        }
    }

    fn features(&self, state: &State, origin: usize, target: usize) -> [f64; FEATURES] {
        let ahead = target - origin;
        let (day, week) = (self.step.day(), self.step.week());
        // A day's neighbours are other days of the week.
        let aside = if day == 1 { 0 } else { self.step.hours(1) };
        let around = |back: usize| {
            let Some(at) = target.checked_sub(back) else {
                return 0.0;
            };
            self.mean(at.saturating_sub(aside), (at + aside + 1).min(origin))
        };
        [
            state.hours,
            state.day,
            state.week,
            around((ahead / day + 1) * day),
            around((ahead / week + 1) * week),
            state.quarter,
            state.last,
        ]
    }

    fn fit(&self, group: usize, horizon: usize) -> [f64; FEATURES] {
        let groups = groups(self.step);
        let from = groups[group];
        let to = groups
            .get(group + 1)
            .copied()
            .unwrap_or(from + self.step.hours(72))
            .min(horizon);
        let used = features(self.step);
        let mut equations = NormalEquations::new(used);
        let mut count = 0.0;
        let mut row = 0;
        for origin in (2 * self.step.week()..self.z.len()).step_by(row_spacing(self.step)) {
            let state = self.state(origin);
            row += 1;
            // Three distances of the group for each origin, others at each.
            for part in 0..3 {
                let width = to.saturating_sub(from).max(1);
                let ahead = from + (row * 5 + part * width / 3) % width;
                let Some(actual) = self.z.get(origin + ahead).filter(|v| !v.is_nan()) else {
                    continue;
                };
                let features = self.features(&state, origin, origin + ahead);
                let deviation = actual - self.expected(origin, origin + ahead);
                equations.add(&features, deviation, 1.0);
                count += 1.0;
            }
        }
        if count < 20.0 {
            return UNFITTED;
        }
        let ridge =
            RIDGE * (0..used).map(|i| equations.square(i)).sum::<f64>() / used as f64 + 1e-9;
        let Some(solved) = equations.solve(|_| ridge) else {
            return UNFITTED;
        };
        let mut coefficients = [0.0; FEATURES];
        coefficients[..used].copy_from_slice(&solved);
        coefficients
    }
}
