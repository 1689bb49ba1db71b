//! One series through all methods: the elementwise median of their quantiles, moved halfway towards those that did best.
//!
//! A method's quantiles are its medians plus the quantiles of its own backtest errors at that distance, moved towards those at all
//! distances. The combination starts at the elementwise median of these, which one bad method cannot move, and shrinks towards the
//! average weighted by backtest. How good its spread is shows at each origin of the backtest with that origin's own errors left out.

use crate::{
    Step, backtest,
    methods::{self, Method, Rows, SharedSeasons, Task},
    outliers,
    quantiles::{self, LEVEL_10, LEVEL_50, LEVEL_90, Levels},
    scale::LogScale,
};

/// How far the combination goes from the median towards the weighted average.
const TOWARDS_WEIGHTED: f64 = 0.5;
/// The same within the first six hours of five-minute steps, which few of the methods know anything of: their median knows nothing.
const TOWARDS_WEIGHTED_NEAR: f64 = 1.0;
/// Methods whose error is this much above the best (ratio) have a weight of 1/e.
const WEIGHT_WIDTH: f64 = 0.05;
/// The same within the first six hours of five-minute steps: the backtest shows few of them.
const WEIGHT_WIDTH_NEAR: f64 = 0.1;
/// Origins whose errors in one group of the horizon weigh as much as the errors of all groups together: a group of 35 origins
/// shows few independent errors, and a spread that wobbles from group to group is paid for in the tail.
const GROUP_PRIOR_ORIGINS: f64 = 40.0;
/// The same for the size of what is minutes ahead.
const SIZE_PRIOR_ORIGINS: f64 = 5.0;
/// Errors that must be left without an origin's own to say how wide its forecast would have been.
const FEWEST_ERRORS: usize = 12;
/// A spread is at least this share of the root mean square error on its side: a series that rests nine days in ten has a 0.9
/// quantile of nothing, and an error in units of nothing would rule the tail.
const LEAST_SPREAD: f64 = 0.25;

/// A backtest error of the combination, in units of its own spread at that point.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScaledError {
    /// Index of the step in the history.
    pub at: usize,
    /// Steps ahead of the origin, from 0.
    pub ahead: usize,
    /// (actual − median) ÷ the distance from the median to the 0.9 quantile (errors above) or to the 0.1 quantile (below).
    pub error: f64,
}

/// What a method says on its own.
#[derive(Debug, Clone)]
pub(crate) struct MethodForecast {
    pub name: &'static str,
    /// Quantiles by hour, on the forecasting scale.
    pub levels: Vec<Levels>,
    /// Its weight in the weighted average, at the furthest distances.
    pub weight: f64,
}

/// A series forecast, before calibration; all on the forecasting scale.
#[derive(Debug, Clone)]
pub(crate) struct Combined {
    /// The grid that it is on.
    pub step: Step,
    pub scale: LogScale,
    pub median: Vec<f64>,
    /// From the median down to the 0.1 quantile.
    pub below: Vec<f64>,
    /// From the median up to the 0.9 quantile.
    pub above: Vec<f64>,
    pub errors: Vec<ScaledError>,
    pub methods: Vec<MethodForecast>,
    /// What it said from some of the backtest's origins, rising.
    pub backtest: Vec<PastForecast>,
}

/// What the combination said from an origin of the backtest, as far as it is known what came.
#[derive(Debug, Clone)]
pub(crate) struct PastForecast {
    /// Index of the first hour that was not known.
    pub origin: usize,
    pub median: Vec<f64>,
    pub below: Vec<f64>,
    pub above: Vec<f64>,
}

/// Forecasts `horizon` steps after `values` (NaN is a gap); `step_of_week` covers both. `None` where nothing is known.
pub(crate) fn combine(
    step: Step,
    values: &[f64],
    step_of_week: &[u16],
    horizon: usize,
) -> Option<Combined> {
    if step_of_week.len() < values.len() + horizon || values.iter().all(|v| v.is_nan()) {
        return None;
    }
    let scale = LogScale::of(values);
    let z: Vec<f64> = values.iter().map(|v| scale.forward(*v)).collect();
    let origins = backtest::origins(step, z.len());
    let seasons = SharedSeasons::new();
    let task = Task {
        step,
        seasons: &seasons,
        z: &z,
        step_of_week,
        origins: &origins,
        horizon,
    };
    let weakened = outliers::weakened(step, &z, step_of_week);
    let learned_from = Task {
        z: &weakened,
        ..task
    };
    let fitted: Vec<(&'static str, Rows)> = methods::all()
        .iter()
        .filter_map(|method| {
            let rows = Method::forecast(method.as_ref(), &learned_from)?;
            Some((method.name(), rows))
        })
        .collect();
    let errors_of: Vec<Errors> = fitted
        .iter()
        .map(|(_, rows)| Errors::of(&task, rows))
        .collect();
    let offsets_without = |left_out: Option<usize>| -> Vec<Vec<Levels>> {
        errors_of
            .iter()
            .map(|errors| errors.levels(left_out))
            .collect()
    };
    let offsets = offsets_without(None);
    let parts = backtest::parts(step);
    let weights: Vec<Vec<f64>> = (0..parts.len())
        .map(|part| weights(&task, &fitted, part))
        .collect();
    let mix = |levels: &mut Vec<f64>, part: usize| -> f64 {
        let weighted: f64 = levels
            .iter()
            .zip(&weights[part])
            .map(|(value, weight)| value * weight)
            .sum();
        let median = quantiles::median(levels);
        let towards = if part + 1 < parts.len() {
            TOWARDS_WEIGHTED_NEAR
        } else {
            TOWARDS_WEIGHTED
        };
        median + towards * (weighted - median)
    };
    let mut column = Vec::with_capacity(fitted.len());
    let mut at = |offsets: &[Vec<Levels>], origin: usize, ahead: usize, level: usize| -> f64 {
        let group = backtest::group(step, ahead);
        column.clear();
        column.extend(
            fitted
                .iter()
                .zip(offsets)
                .map(|((_, rows), offsets)| rows.row(origin)[ahead] + offsets[group][level]),
        );
        mix(&mut column, backtest::part(step, ahead))
    };
    // Step, steps ahead, error, spread on the error's side.
    let mut raw: Vec<(usize, usize, f64, f64)> = Vec::new();
    let mut backtest: Vec<PastForecast> = Vec::new();
    for (index, &origin) in origins.iter().enumerate() {
        // What an origin's own errors say was not known there: its spread comes from the other origins.
        if !errors_of.iter().all(|e| e.others(index) >= FEWEST_ERRORS) {
            continue;
        }
        let offsets = offsets_without(Some(index));
        if backtest::is_kept(index, origins.len()) {
            let steps = 0..(z.len() - origin).min(horizon);
            let mut row = |level: usize| -> Vec<f64> {
                steps
                    .clone()
                    .map(|ahead| at(&offsets, index, ahead, level))
                    .collect()
            };
            backtest.push(PastForecast {
                origin,
                median: row(LEVEL_50),
                below: row(LEVEL_10),
                above: row(LEVEL_90),
            });
        }
        for (ahead, actual) in z[origin..].iter().take(horizon).enumerate() {
            if actual.is_nan() {
                continue;
            }
            let median = at(&offsets, index, ahead, LEVEL_50);
            let error = actual - median;
            let side = if error > 0.0 { LEVEL_90 } else { LEVEL_10 };
            let edge = at(&offsets, index, ahead, side);
            raw.push((origin + ahead, ahead, error, (edge - median).abs()));
        }
    }
    let least = |of_side: fn(f64) -> f64| -> f64 {
        let squares: f64 = raw
            .iter()
            .map(|(.., error, _)| of_side(*error).powi(2))
            .sum();
        (LEAST_SPREAD * (squares / raw.len().max(1) as f64).sqrt()).max(1e-6)
    };
    let (least_above, least_below) = (least(|e| e.max(0.0)), least(|e| e.min(0.0)));
    let errors = raw
        .iter()
        .map(|(at, ahead, error, spread)| {
            let least = if *error > 0.0 {
                least_above
            } else {
                least_below
            };
            ScaledError {
                at: *at,
                ahead: *ahead,
                error: error / spread.max(least),
            }
        })
        .collect();
    for row in &mut backtest {
        for (ahead, median) in row.median.iter().enumerate() {
            row.below[ahead] = (median - row.below[ahead]).max(least_below);
            row.above[ahead] = (row.above[ahead] - median).max(least_above);
        }
    }
    let last = origins.len() - 1;
    let (mut median, mut below, mut above) = (vec![], vec![], vec![]);
    for ahead in 0..horizon {
        let middle = at(&offsets, last, ahead, LEVEL_50);
        median.push(middle);
        below.push((middle - at(&offsets, last, ahead, LEVEL_10)).max(least_below));
        above.push((at(&offsets, last, ahead, LEVEL_90) - middle).max(least_above));
    }
    let methods = fitted
        .iter()
        .zip(&offsets)
        .zip(weights.last().into_iter().flatten())
        .map(|(((name, rows), offsets), weight)| MethodForecast {
            name,
            levels: (0..horizon)
                .map(|ahead| {
                    offsets[backtest::group(step, ahead)]
                        .map(|offset| rows.row(last)[ahead] + offset)
                })
                .collect(),
            weight: *weight,
        })
        .collect();
    Some(Combined {
        step,
        scale,
        median,
        below,
        above,
        errors,
        methods,
        backtest,
    })
}

/// The weights of the methods within one of [`backtest::parts`].
fn weights(task: &Task<'_>, fitted: &[(&'static str, Rows)], part: usize) -> Vec<f64> {
    let parts = backtest::parts(task.step);
    let from = parts.get(part).copied().unwrap_or(0);
    let to = parts.get(part + 1).copied().unwrap_or(usize::MAX);
    let losses: Vec<f64> = fitted
        .iter()
        .map(|(_, rows)| methods::mean_error_within(task, rows, from..to))
        .collect();
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    let width = if part + 1 < parts.len() {
        WEIGHT_WIDTH_NEAR
    } else {
        WEIGHT_WIDTH
    };
    let raw: Vec<f64> = losses
        .iter()
        .map(|loss| {
            if best > 0.0 {
                (-(loss / best - 1.0) / width).exp()
            } else {
                1.0
            }
        })
        .collect();
    let total: f64 = raw.iter().sum();
    raw.iter().map(|weight| weight / total).collect()
}

/// A method's backtest errors, rising, each with the index of its origin.
struct Errors {
    step: Step,
    by_group: Vec<Vec<(f64, usize)>>,
    all: Vec<(f64, usize)>,
}

impl Errors {
    fn of(task: &Task<'_>, rows: &Rows) -> Self {
        let step = task.step;
        let groups = backtest::group(step, task.horizon.max(1) - 1) + 1;
        let mut by_group: Vec<Vec<(f64, usize)>> = vec![Vec::new(); groups];
        for (index, &origin) in task.origins.iter().enumerate() {
            let row = rows.row(index).iter().zip(&task.z[origin..]);
            for (ahead, (forecast, actual)) in row.enumerate() {
                if !actual.is_nan() {
                    by_group[backtest::group(step, ahead)].push((actual - forecast, index));
                }
            }
        }
        let mut all = by_group.concat();
        for errors in by_group.iter_mut().chain([&mut all]) {
            errors.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        }
        Self {
            step,
            by_group,
            all,
        }
    }

    /// How many errors other origins have.
    fn others(&self, origin: usize) -> usize {
        self.all.iter().filter(|(_, of)| *of != origin).count()
    }

    /// Their quantiles in each group, moved towards those of all groups, without the errors of the origin that is left out.
    fn levels(&self, left_out: Option<usize>) -> Vec<Levels> {
        let mut kept = Vec::new();
        let mut levels_of = |errors: &[(f64, usize)]| {
            kept.clear();
            let others = errors.iter().filter(|(_, of)| left_out != Some(*of));
            kept.extend(others.map(|(error, _)| *error));
            let size = kept.iter().map(|error| error.abs()).sum::<f64>();
            let count = kept.len() as f64;
            (
                quantiles::levels_of_sorted(&kept),
                count,
                size / count.max(1.0),
            )
        };
        let (all, _, size_of_all) = levels_of(&self.all);
        self.by_group
            .iter()
            .enumerate()
            .map(|(group, errors)| {
                let (of_group, count, size) = levels_of(errors);
                let origins = count / backtest::group_steps(self.step, group);
                let own = origins / (origins + GROUP_PRIOR_ORIGINS);
                // Minutes ahead errors are a fraction of what they are hours ahead: the shape is taken from all, their size is their own.
                let scale =
                    if size > 0.0 && size_of_all > 0.0 && backtest::is_near(self.step, group) {
                        let own = origins / (origins + SIZE_PRIOR_ORIGINS);
                        (own * (size / size_of_all).ln()).exp()
                    } else {
                        1.0
                    };
                std::array::from_fn(|level| {
                    own * of_group[level] + (1.0 - own) * scale * all[level]
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn combined_of(values: &[f64]) -> Combined {
        let steps: Vec<u16> = (0..values.len() + 48)
            .map(|hour| (hour % 168) as u16)
            .collect();
        combine(Step::Hour, values, &steps, 48).unwrap()
    }

    #[test]
    fn an_origins_own_errors_do_not_widen_its_spread() {
        let errors = Errors {
            step: Step::Hour,
            by_group: vec![vec![
                (-1.0, 0),
                (-1.0, 1),
                (1.0, 0),
                (1.0, 1),
                (50.0, 2),
                (90.0, 2),
            ]],
            all: vec![
                (-1.0, 0),
                (-1.0, 1),
                (1.0, 0),
                (1.0, 1),
                (50.0, 2),
                (90.0, 2),
            ],
        };
        assert_eq!(errors.others(2), 4);
        assert_eq!(errors.levels(Some(2))[0][LEVEL_90], 1.0);
        assert!(errors.levels(None)[0][LEVEL_90] > 50.0);
    }

    #[test]
    fn a_group_of_few_origins_takes_most_of_its_spread_from_all() {
        let few = Errors {
            step: Step::Hour,
            by_group: vec![vec![(10.0, 0); 6], vec![(0.0, 0); 6]],
            all: vec![(0.0, 0); 12],
        };
        let level = few.levels(None)[0][LEVEL_90];
        assert!(
            (level - 10.0 / (1.0 + GROUP_PRIOR_ORIGINS)).abs() < 1e-12,
            "{level}"
        );
    }

    #[test]
    fn a_series_that_rests_and_leaps_keeps_finite_errors() {
        // Three leaps to a hundredfold in five weeks of rest: the 0.9 quantile of all errors is nothing.
        let mut values = vec![1.0; 35 * 24];
        for day in [16, 21, 30] {
            values[day * 24 + 5] = 100.0;
        }
        let combined = combined_of(&values);
        let most = combined.errors.iter().map(|e| e.error).fold(0.0, f64::max);
        assert!(most > 1.0 && most < 1e3, "{most}");
    }

    #[test]
    fn too_few_errors_say_nothing_of_spread() {
        assert!(combined_of(&[3.0; 4]).errors.is_empty());
        assert!(!combined_of(&[3.0; 500]).errors.is_empty());
    }
}
