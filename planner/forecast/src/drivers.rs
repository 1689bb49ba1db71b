//! What business metrics do to one series: demand follows a driver, at once or some hours later, as a power of it.
//!
//! Demand and metric are both held against what the weeks around would have led one to expect, so that neither trend nor week is taken for the
//! driver's work. The elasticity is fitted at the lag that explains most, far residuals counting less (Huber 1964); its error is what
//! leaving out one week after another leaves of it (delete-one-group jackknife), and within three of these errors it is taken for chance. What a driver did is
//! taken out of the history before anything is forecast, and what it will do is put on all methods together.

use std::collections::BTreeMap;

use foremesh_model::Severity;

use crate::{
    Step, business::BusinessMetric, events::LogUplift, linear::NormalEquations, notes::Notes,
    quantiles, scale::LogScale, steps::Steps,
};

/// Hours by which demand may follow.
const LAGS_HOURS: [usize; 8] = [0, 1, 2, 3, 6, 12, 24, 48];
/// Weeks of history from which anything is learned.
const FEWEST_WEEKS: usize = 5;
/// Errors of an elasticity within which it is chance.
const CHANCE: f64 = 3.0;
/// Demand follows with the square of a driver at most: beyond, a plan that leaves what was seen would be a gamble.
const MOST_ELASTICITY: f64 = 2.0;
/// Rounds of the robust fit, and the residuals, in median ones, from which a step counts less.
const ROUNDS: usize = 4;
const FAR: f64 = 3.0;
/// Keeps a driver that never moved from having any elasticity; of a step.
const RIDGE: f64 = 1e-6;

/// One metric's part.
#[derive(Debug, Clone)]
struct Driver {
    /// Shifted logarithm less its mean over the history, from the history's first step; a step that is not known has the last one's value, 0 before there is one.
    log: Vec<f64>,
    lag: usize,
    elasticity: f64,
    error: f64,
}

/// What business metrics do to a series.
#[derive(Debug, Clone)]
pub(crate) struct Driven<'a> {
    first: i64,
    /// By name, with whether it is known to the end of what is asked. None: it explains nothing.
    metrics: BTreeMap<&'a str, (Option<Driver>, bool)>,
}

impl<'a> Driven<'a> {
    /// Learns from a history and from metrics that begin with it and reach to the end of what is asked.
    pub fn learn(step: Step, clean: &Steps, metrics: Vec<BusinessMetric<'a>>) -> Self {
        let mut all: BTreeMap<&str, (Option<Driver>, bool)> = metrics
            .iter()
            .map(|metric| {
                (
                    metric.name,
                    (None, metric.values.last().is_some_and(|v| !v.is_nan())),
                )
            })
            .collect();
        for (name, driver) in drivers(step, clean, metrics).unwrap_or_default() {
            if let Some((slot, _)) = all.get_mut(name) {
                *slot = Some(driver);
            }
        }
        Self {
            first: clean.first,
            metrics: all,
        }
    }

    /// Whether there is any metric.
    pub fn is_empty(&self) -> bool {
        self.metrics.is_empty()
    }

    /// What the metrics do to a step since 1970.
    pub fn at(&self, at: i64) -> LogUplift {
        let (mut mean, mut variance) = (0.0, 0.0);
        for driver in self
            .metrics
            .values()
            .filter_map(|(driver, _)| driver.as_ref())
        {
            let from = usize::try_from(at - self.first - driver.lag as i64).ok();
            let log = from.map_or(0.0, |from| {
                let value = driver.log.get(from).or(driver.log.last());
                value.copied().unwrap_or_default()
            });
            mean += driver.elasticity * log;
            variance += (driver.error * log).powi(2);
        }
        LogUplift {
            mean,
            spread: variance.sqrt(),
            occurrences: 0,
        }
    }

    /// A history without what the metrics did.
    pub fn without(&self, steps: &Steps) -> Steps {
        let values = (steps.first..).zip(&steps.values);
        Steps {
            first: steps.first,
            values: values
                .map(|(at, value)| value / self.at(at).mean.exp())
                .collect(),
        }
    }

    /// Says which metrics the series follows; `subject` is what notes call it.
    pub fn note(&self, subject: &str, notes: &mut Notes) {
        for (name, (driver, known)) in &self.metrics {
            if driver.is_none() {
                let text = format!(
                    "business metric {name} explains nothing of its demand beyond chance, or fewer than {FEWEST_WEEKS} weeks of both are known: it moves nothing here"
                );
                notes.about(Severity::Note, "business_metric_idle", subject, text);
                continue;
            }
            let text = format!(
                "demand follows business metric {name}: what it did is taken out of the history, what it will do is put on the forecast"
            );
            notes.about(Severity::Note, "business_metric_followed", subject, text);
            if !known {
                let text = format!(
                    "business metric {name} ends before what is forecast does: its last value is taken to hold; give it to the end"
                );
                notes.about(Severity::Caution, "business_metric_ends", subject, text);
            }
        }
    }
}

/// The metrics that a history follows beyond chance; `None` where that cannot be told.
fn drivers<'a>(
    step: Step,
    clean: &Steps,
    metrics: Vec<BusinessMetric<'a>>,
) -> Option<Vec<(&'a str, Driver)>> {
    if metrics.is_empty() || clean.known() < FEWEST_WEEKS * step.week() {
        return None;
    }
    let target: Vec<f64> = (clean.first..)
        .zip(&clean.values)
        .map(|(at, value)| {
            clean
                .around(step, at)
                .map_or(f64::NAN, |around| (value / around).ln())
        })
        .map(|deviation| {
            if deviation.is_finite() {
                deviation
            } else {
                f64::NAN
            }
        })
        .collect();
    let (names, found): (Vec<&str>, Vec<(Driver, Vec<f64>)>) = metrics
        .into_iter()
        .filter_map(|metric| {
            Some((
                metric.name,
                at_best_lag(step, clean.first, metric.values, &target)?,
            ))
        })
        .unzip();
    let features: Vec<&[f64]> = found
        .iter()
        .map(|(_, deviations)| deviations.as_slice())
        .collect();
    let fit = robust(&features, &target)?;
    let errors = jackknife(step, &features, &target, &fit)?;
    let believed = names
        .into_iter()
        .zip(found)
        .zip(fit.coefficients.iter().zip(errors));
    let believed = believed.filter_map(|((name, (driver, _)), (elasticity, error))| {
        let kept = 1.0 - (CHANCE * error / elasticity).powi(2);
        let driver = Driver {
            elasticity: (elasticity * kept).clamp(-MOST_ELASTICITY, MOST_ELASTICITY),
            error,
            ..driver
        };
        (kept > 0.0).then_some((name, driver))
    });
    Some(believed.collect())
}

/// A metric with the lag at which it alone explains most, and its deviations at that lag from what the weeks around would have led one to expect.
fn at_best_lag(
    step: Step,
    first: i64,
    mut values: Vec<f64>,
    target: &[f64],
) -> Option<(Driver, Vec<f64>)> {
    let past = target.len();
    let known: Vec<bool> = values.iter().map(|value| !value.is_nan()).collect();
    let both = target
        .iter()
        .zip(&known)
        .filter(|(t, known)| !t.is_nan() && **known);
    if both.count() < FEWEST_WEEKS * step.week() {
        return None;
    }
    let from = known.iter().position(|known| *known)?;
    let mut last = values[from];
    for value in &mut values[from..] {
        if value.is_nan() {
            *value = last;
        }
        last = *value;
    }
    let scale = LogScale::of(values.get(..past)?);
    let mut log: Vec<f64> = values.iter().map(|value| scale.forward(*value)).collect();
    let mean = log.get(from..past)?.iter().sum::<f64>() / (past - from) as f64;
    // Before it is known it did what it does on the mean.
    log[..from].fill(mean);
    log.iter_mut().for_each(|log| *log -= mean);
    let shown = |i: usize| if known[i] { log[i].exp() } else { f64::NAN };
    let grid = Steps {
        first,
        values: (0..past).map(shown).collect(),
    };
    let deviations: Vec<f64> = (first..)
        .zip(&grid.values)
        .map(|(at, value)| {
            let around = grid.around(step, at);
            around.map_or(f64::NAN, |around| (value / around).ln())
        })
        .collect();
    let mut lags: Vec<usize> = LAGS_HOURS
        .iter()
        .map(|hours| if *hours == 0 { 0 } else { step.hours(*hours) })
        .collect();
    lags.dedup();
    let later = |lag: usize| -> Vec<f64> {
        let unknown = std::iter::repeat_n(f64::NAN, lag);
        unknown
            .chain(deviations.iter().copied())
            .take(past)
            .collect()
    };
    let best = lags
        .into_iter()
        .filter_map(|lag| Some((robust(&[&later(lag)], target)?.explained, lag)))
        .reduce(|best, other| if other.0 > best.0 { other } else { best });
    let (_, lag) = best?;
    let driver = Driver {
        log,
        lag,
        elasticity: 0.0,
        error: 0.0,
    };
    Some((driver, later(lag)))
}

/// A fit through the origin.
struct Fit {
    coefficients: Vec<f64>,
    /// What each step counts; 0 where it is not known.
    weights: Vec<f64>,
    /// Part of the squares that it explains.
    explained: f64,
}

/// Least squares in which far residuals count less; `None` without features.
fn robust(features: &[&[f64]], target: &[f64]) -> Option<Fit> {
    if features.is_empty() {
        return None;
    }
    let is_known = |i: usize| !target[i].is_nan() && features.iter().all(|x| !x[i].is_nan());
    let known: Vec<usize> = (0..target.len()).filter(|i| is_known(*i)).collect();
    let mut fit = Fit {
        coefficients: Vec::new(),
        weights: vec![0.0; target.len()],
        explained: 0.0,
    };
    known.iter().for_each(|i| fit.weights[*i] = 1.0);
    for _ in 0..ROUNDS {
        fit.coefficients = solved(features, target, &fit.weights, |_| true)?;
        let residuals: Vec<f64> = known
            .iter()
            .map(|i| {
                let said = features
                    .iter()
                    .zip(&fit.coefficients)
                    .map(|(x, b)| b * x[*i]);
                target[*i] - said.sum::<f64>()
            })
            .collect();
        let weighted = |of: &dyn Fn(usize) -> f64| -> f64 {
            let steps = known.iter().enumerate();
            steps
                .map(|(place, i)| fit.weights[*i] * of(place).powi(2))
                .sum()
        };
        let all = weighted(&|place| target[known[place]]);
        fit.explained = if all > 0.0 {
            1.0 - weighted(&|place| residuals[place]) / all
        } else {
            0.0
        };
        let mut sizes: Vec<f64> = residuals.iter().map(|residual| residual.abs()).collect();
        let typical = quantiles::median(&mut sizes).max(1e-6);
        for (i, residual) in known.iter().zip(&residuals) {
            fit.weights[*i] = (FAR * typical / residual.abs().max(1e-12)).min(1.0);
        }
    }
    Some(fit)
}

/// Standard errors of the coefficients, by leaving out one week after another.
fn jackknife(step: Step, features: &[&[f64]], target: &[f64], fit: &Fit) -> Option<Vec<f64>> {
    let week = step.week();
    let weeks = target.len().div_ceil(week);
    let without: Vec<Vec<f64>> = (0..weeks)
        .map(|left_out| solved(features, target, &fit.weights, |i| i / week != left_out))
        .collect::<Option<_>>()?;
    let count = weeks as f64;
    let error = |place: usize| {
        let mean = without.iter().map(|b| b[place]).sum::<f64>() / count;
        let squares: f64 = without.iter().map(|b| (b[place] - mean).powi(2)).sum();
        ((count - 1.0) / count * squares).sqrt()
    };
    Some((0..features.len()).map(error).collect())
}

/// Weighted least squares over some of the steps.
fn solved(
    features: &[&[f64]],
    target: &[f64],
    weights: &[f64],
    of: impl Fn(usize) -> bool,
) -> Option<Vec<f64>> {
    let mut equations = NormalEquations::new(features.len());
    let mut row = vec![0.0; features.len()];
    for (i, weight) in weights.iter().enumerate() {
        if *weight > 0.0 && of(i) {
            row.iter_mut()
                .zip(features)
                .for_each(|(value, x)| *value = x[i]);
            equations.add(&row, target[i], *weight);
        }
    }
    equations.solve(|_| RIDGE * target.len() as f64)
}
