//! The mean of the last weeks, corrected by how far the last hours, the last day and the last week are off it.
//!
//! Expected is the mean of the same hour of the week over the last four weeks. What comes is regressed on today's anomalies (the
//! differences from expected): of the last three hours, the last day, the last week, the same hour one day and one week before the
//! target. One set of coefficients for each group of distances, ridge towards zero. Few coefficients, so one fit serves all origins.

use super::{Method, Rows, Task};
use crate::linear::NormalEquations;

const WEEKS: usize = 4;
const WEEK: usize = 168;
const FEATURES: usize = 5;
/// Distances, in hours, at which another set of coefficients begins.
const GROUPS: [usize; 6] = [0, 6, 12, 24, 48, 96];
/// Ridge, in units of the mean square of a feature, per row.
const RIDGE: f64 = 0.02;
/// Every so many hours are a row of the fit (no multiple of a day's divisors, so that all hours occur).
const ROW_SPACING: usize = 7;

/// Coefficients where there are too few rows.
const UNFITTED: [f64; FEATURES] = [0.1, 0.2, 0.3, 0.0, 0.0];

/// Anomaly regression.
pub(crate) struct AnomalyRegression;

impl Method for AnomalyRegression {
    fn name(&self) -> &'static str {
        "anomaly regression"
    }

    fn forecast(&self, task: &Task<'_>) -> Option<Rows> {
        if task.z.len() < 2 * WEEK {
            return None;
        }
        let history = Anomalies::of(task.z);
        let coefficients: Vec<[f64; FEATURES]> = (0..GROUPS.len())
            .map(|group| history.fit(group, task.horizon))
            .collect();
        let mut rows = Rows::new(task);
        for (index, &origin) in task.origins.iter().enumerate() {
            let state = history.state(origin);
            for (ahead, value) in rows.row_mut(index).iter_mut().enumerate() {
                let expected = history.expected(origin, origin + ahead);
                let features = history.features(&state, origin, origin + ahead);
                let coefficients = &coefficients[group_of(ahead)];
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

fn group_of(ahead: usize) -> usize {
    GROUPS.partition_point(|from| *from <= ahead) - 1
}

/// A history with running sums, so that any mean costs two look-ups.
struct Anomalies<'a> {
    z: &'a [f64],
    /// z less what was expected of that hour from the weeks before it; 0 where unknown.
    anomaly: Vec<f64>,
    sums: Vec<(f64, f64)>,
    typical: f64,
}

/// Mean anomalies of the last three hours, day and week before an origin.
struct State {
    hours: f64,
    day: f64,
    week: f64,
}

impl<'a> Anomalies<'a> {
    fn of(z: &'a [f64]) -> Self {
        let mut known: Vec<f64> = z.iter().copied().filter(|v| !v.is_nan()).collect();
        let typical = crate::quantiles::median(&mut known);
        let mut history = Self {
            z,
            anomaly: vec![f64::NAN; z.len()],
            sums: vec![(0.0, 0.0)],
            typical,
        };
        for (at, value) in z.iter().enumerate() {
            if !value.is_nan() && at >= WEEK {
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

    /// The mean of the same hour in the last four weeks that are known at `origin`.
    fn expected(&self, origin: usize, target: usize) -> f64 {
        let back = (target - origin) / WEEK + 1;
        let (mut sum, mut count) = (0.0, 0u32);
        for week in back..back + 2 * WEEKS {
            let Some(at) = target.checked_sub(week * WEEK) else {
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
        let mean = |hours: usize| self.mean(origin.saturating_sub(hours), origin);
        State {
            hours: mean(3),
            day: mean(24),
            week: mean(168),
        }
    }

    fn features(&self, state: &State, origin: usize, target: usize) -> [f64; FEATURES] {
        let ahead = target - origin;
        let around = |back: usize| {
            let Some(at) = target.checked_sub(back) else {
                return 0.0;
            };
            self.mean(at.saturating_sub(1), (at + 2).min(origin))
        };
        [
            state.hours,
            state.day,
            state.week,
            around((ahead / 24 + 1) * 24),
            around((ahead / WEEK + 1) * WEEK),
        ]
    }

    fn fit(&self, group: usize, horizon: usize) -> [f64; FEATURES] {
        let from = GROUPS[group];
        let to = GROUPS
            .get(group + 1)
            .copied()
            .unwrap_or(from + 72)
            .min(horizon);
        let mut equations = NormalEquations::new(FEATURES);
        let mut count = 0.0;
        let mut row = 0;
        for origin in (2 * WEEK..self.z.len()).step_by(ROW_SPACING) {
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
        let ridge = RIDGE * (0..FEATURES).map(|i| equations.square(i)).sum::<f64>()
            / FEATURES as f64
            + 1e-9;
        equations
            .solve(|_| ridge)
            .and_then(|c| c.try_into().ok())
            .unwrap_or(UNFITTED)
    }
}
