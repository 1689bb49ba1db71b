//! One series through all methods: the elementwise median of their quantiles, moved a little towards those that did best.
//!
//! A method's quantiles are its medians plus the quantiles of its own backtest errors at that distance. The combination starts at the
//! elementwise median of these, which one bad method cannot move, and shrinks towards the average weighted by backtest.

use foremesh_model::QUANTILE_LEVELS;

use crate::{
    backtest,
    methods::{self, Method, Rows, Task},
    quantiles::{self, LEVEL_10, LEVEL_50, LEVEL_90, Levels},
    scale::LogScale,
};

/// How far the combination goes from the median towards the weighted average.
const TOWARDS_WEIGHTED: f64 = 0.3;
/// Methods whose error is this much above the best (ratio) have a weight of 1/e.
const WEIGHT_WIDTH: f64 = 0.05;
/// Errors that a group of the horizon needs; groups with fewer use the last one that has them.
const FEWEST_ERRORS: usize = 12;

/// A backtest error of the combination, in units of its own spread at that point.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScaledError {
    /// Index of the hour in the history.
    pub hour: usize,
    /// Hours ahead of the origin, from 0.
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
    /// Its weight in the weighted average.
    pub weight: f64,
}

/// A series forecast, before calibration; all on the forecasting scale.
#[derive(Debug, Clone)]
pub(crate) struct Combined {
    pub scale: LogScale,
    pub median: Vec<f64>,
    /// From the median down to the 0.1 quantile.
    pub below: Vec<f64>,
    /// From the median up to the 0.9 quantile.
    pub above: Vec<f64>,
    pub errors: Vec<ScaledError>,
    pub methods: Vec<MethodForecast>,
}

/// Forecasts `horizon` hours after `values` (NaN is a gap); `hour_of_week` covers both. `None` where nothing is known.
pub(crate) fn combine(values: &[f64], hour_of_week: &[u16], horizon: usize) -> Option<Combined> {
    if hour_of_week.len() < values.len() + horizon || values.iter().all(|v| v.is_nan()) {
        return None;
    }
    let scale = LogScale::of(values);
    let z: Vec<f64> = values.iter().map(|v| scale.forward(*v)).collect();
    let origins = backtest::origins(z.len());
    let task = Task {
        z: &z,
        hour_of_week,
        origins: &origins,
        horizon,
    };
    let fitted: Vec<(&'static str, Rows)> = methods::all()
        .iter()
        .filter_map(|method| Some((method.name(), Method::forecast(method.as_ref(), &task)?)))
        .collect();
    let offsets: Vec<Vec<Levels>> = fitted
        .iter()
        .map(|(_, rows)| error_levels(&task, rows))
        .collect();
    let weights = weights(&task, &fitted);
    let mix = |levels: &mut Vec<f64>| -> f64 {
        let weighted: f64 = levels
            .iter()
            .zip(&weights)
            .map(|(value, weight)| value * weight)
            .sum();
        let median = quantiles::median(levels);
        median + TOWARDS_WEIGHTED * (weighted - median)
    };
    let mut column = Vec::with_capacity(fitted.len());
    let mut at = |origin: usize, ahead: usize, level: usize| -> f64 {
        let group = backtest::group(ahead);
        column.clear();
        column.extend(
            fitted
                .iter()
                .zip(&offsets)
                .map(|((_, rows), offsets)| rows.row(origin)[ahead] + offsets[group][level]),
        );
        mix(&mut column)
    };
    let floor = 1e-6;
    let mut errors = Vec::new();
    for (index, &origin) in origins.iter().enumerate() {
        for (ahead, actual) in z[origin..].iter().take(horizon).enumerate() {
            if actual.is_nan() {
                continue;
            }
            let median = at(index, ahead, LEVEL_50);
            let error = actual - median;
            let edge = at(index, ahead, if error > 0.0 { LEVEL_90 } else { LEVEL_10 });
            errors.push(ScaledError {
                hour: origin + ahead,
                ahead,
                error: error / (edge - median).abs().max(floor),
            });
        }
    }
    let last = origins.len() - 1;
    let (mut median, mut below, mut above) = (vec![], vec![], vec![]);
    for ahead in 0..horizon {
        let middle = at(last, ahead, LEVEL_50);
        median.push(middle);
        below.push((middle - at(last, ahead, LEVEL_10)).max(floor));
        above.push((at(last, ahead, LEVEL_90) - middle).max(floor));
    }
    let methods = fitted
        .iter()
        .zip(&offsets)
        .zip(&weights)
        .map(|(((name, rows), offsets), weight)| MethodForecast {
            name,
            levels: (0..horizon)
                .map(|ahead| {
                    offsets[backtest::group(ahead)].map(|offset| rows.row(last)[ahead] + offset)
                })
                .collect(),
            weight: *weight,
        })
        .collect();
    Some(Combined {
        scale,
        median,
        below,
        above,
        errors,
        methods,
    })
}

fn weights(task: &Task<'_>, fitted: &[(&'static str, Rows)]) -> Vec<f64> {
    let losses: Vec<f64> = fitted
        .iter()
        .map(|(_, rows)| methods::mean_error(task, rows))
        .collect();
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    let raw: Vec<f64> = losses
        .iter()
        .map(|loss| {
            if best > 0.0 {
                (-(loss / best - 1.0) / WEIGHT_WIDTH).exp()
            } else {
                1.0
            }
        })
        .collect();
    let total: f64 = raw.iter().sum();
    raw.iter().map(|weight| weight / total).collect()
}

/// The quantiles of a method's backtest errors for each group of the horizon.
fn error_levels(task: &Task<'_>, rows: &Rows) -> Vec<Levels> {
    let groups = backtest::group(task.horizon.max(1) - 1) + 1;
    let mut errors: Vec<Vec<f64>> = vec![Vec::new(); groups];
    for (index, &origin) in task.origins.iter().enumerate() {
        for (ahead, (forecast, actual)) in rows.row(index).iter().zip(&task.z[origin..]).enumerate()
        {
            if !actual.is_nan() {
                errors[backtest::group(ahead)].push(actual - forecast);
            }
        }
    }
    let mut levels = vec![[0.0; QUANTILE_LEVELS.len()]; groups];
    let mut latest = None;
    for (levels, errors) in levels.iter_mut().zip(&mut errors) {
        if errors.len() >= FEWEST_ERRORS || latest.is_none() {
            errors.sort_unstable_by(f64::total_cmp);
            latest = Some(quantiles::levels_of_sorted(errors));
        }
        if let Some(latest) = latest {
            *levels = latest;
        }
    }
    levels
}
