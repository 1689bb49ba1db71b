//! The statistical methods and the net together: quantile by quantile, weighted by how both did in the backtest, their width calibrated last.
//!
//! Two calibrated forecasts whose errors differ are best averaged by quantile (Vincentisation; Lichtendahl, Grushka-Cockayne & Winkler
//! 2013): the average is as sharp as its parts, where a mixture of distributions would be wider than both. The net answers from a few of the
//! backtest's origins only, because a window costs more than all statistical methods of an origin; what so few say of the weight and of
//! the width is shrunk, towards equal parts and towards what all series together say. They say it of the first two days, where one origin's window
//! hardly overlaps the next one's; further ahead both hold as well, and the width grows with the distance ([`crate::distance`]).

use rayon::prelude::*;

use crate::{
    Step,
    calibrate::Shapes,
    combine::Combined,
    distance, intermittent,
    neural::{Answer, Forecaster, NeuralError, Window},
    quantiles::{self, LEVEL_10, LEVEL_50, LEVEL_90, Levels, pinball},
};

/// The weight of the net where no backtest says more.
const PRIOR_WEIGHT: f64 = 0.5;
/// A part whose loss is this much above the other's (logarithm) has 1/e of its odds.
const WEIGHT_WIDTH: f64 = 0.2;
/// Hours of backtest that weigh as much as the prior.
const WEIGHT_PRIOR_HOURS: usize = 96;
/// Hours of backtest whose width weighs as much as what is known without: nothing for all series together, all for each of them.
const WIDTH_PRIOR_HOURS: usize = 480;
/// Furthest that backtests may stretch or squeeze a forecast.
const MOST_STRETCH: f64 = 2.0;
/// Series that are answered at once: with their origins about what the net runs in one go.
const SERIES_AT_ONCE: usize = 8;

/// A series that the statistical methods have forecast.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    pub combined: &'a Combined,
    /// Its history, requests a second; NaN is a gap.
    pub values: &'a [f64],
    /// Local step of the week of each step of the history, and of those that are forecast after it.
    pub step_of_week: &'a [u16],
    /// 1 on days off, from the first step of the history to the net's horizon after it; empty: none is known.
    pub day_off: &'a [u8],
}

/// Calibrated quantiles by hour in requests a second.
#[derive(Debug, Clone)]
pub(crate) struct Blended {
    pub levels: Vec<Levels>,
    /// What the net says alone, and its weight; `None` where it was not asked.
    pub net: Option<(Vec<Levels>, f64)>,
}

/// Calibrates each series, with the net where there is one. An entry that is `None` stays so.
pub(crate) fn blend(
    forecaster: Option<Forecaster<'_>>,
    shapes: &Shapes,
    series: &[Option<Known<'_>>],
) -> Result<Vec<Option<Blended>>, NeuralError> {
    let parts = parts(forecaster, shapes, series)?;
    let width = Width::learn(shapes.step(), parts.iter().flatten());
    Ok(finish(series, parts, &width))
}

/// What the backtests of many series together say of the width.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Width {
    step: Step,
    stretch: f64,
}

impl Width {
    /// Learns from series that were forecast together.
    pub fn learn<'a>(step: Step, parts: impl Iterator<Item = &'a Part>) -> Self {
        let mut all: Vec<f64> = parts.flat_map(|part| part.errors.iter().copied()).collect();
        Self {
            step,
            stretch: stretch(step, &mut all, 1.0),
        }
    }
}

/// Calibrates the width of each series; one that mostly rests is forecast apart. An entry that is `None` stays so.
pub(crate) fn finish(
    series: &[Option<Known<'_>>],
    parts: Vec<Option<Part>>,
    width: &Width,
) -> Vec<Option<Blended>> {
    series
        .par_iter()
        .zip(parts)
        .map(|(known, part)| {
            let (known, mut part) = (known.as_ref()?, part?);
            let stretch = stretch(width.step, &mut part.errors, width.stretch);
            for levels in &mut part.levels {
                let median = levels[LEVEL_50];
                *levels = levels.map(|level| median + stretch * (level - median));
            }
            distance::widen(width.step, &mut part.levels, known.values.len());
            let horizon = part.levels.len();
            let resting =
                intermittent::levels(width.step, known.values, known.step_of_week, horizon);
            Some(Blended {
                levels: resting.unwrap_or_else(|| back(known.combined, &part.levels)),
                net: part
                    .net
                    .map(|net| (back(known.combined, &net), part.weight)),
            })
        })
        .collect()
}

fn back(combined: &Combined, levels: &[Levels]) -> Vec<Levels> {
    levels
        .iter()
        .map(|levels| levels.map(|z| combined.scale.back(z)))
        .collect()
}

/// What a series' width must be multiplied by so that four errors of five lie between the 0.1 and the 0.9 quantile, moved towards
/// `prior`. `errors` are distances from the median in units of the distance to that quantile.
fn stretch(step: Step, errors: &mut [f64], prior: f64) -> f64 {
    errors.sort_unstable_by(f64::total_cmp);
    let count = errors.len() as f64;
    let seen = quantiles::of_sorted(errors, 0.8).clamp(1.0 / MOST_STRETCH, MOST_STRETCH);
    if errors.is_empty() {
        return prior;
    }
    let own = count / (count + step.hours(WIDTH_PRIOR_HOURS) as f64);
    (own * seen.ln() + (1.0 - own) * prior.ln()).exp()
}

/// One series before its width is calibrated; quantiles on the forecasting scale.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    levels: Vec<Levels>,
    net: Option<Vec<Levels>>,
    weight: f64,
    /// See [`stretch`]; none without a net: the methods' own calibration is all there is.
    errors: Vec<f64>,
}

/// Joins methods and net of each series. An entry that is `None` stays so.
pub(crate) fn parts(
    forecaster: Option<Forecaster<'_>>,
    shapes: &Shapes,
    series: &[Option<Known<'_>>],
) -> Result<Vec<Option<Part>>, NeuralError> {
    let Some(forecaster) = forecaster else {
        let alone = |known: &Known<'_>| Part {
            levels: shapes.apply(known.combined),
            net: None,
            weight: 0.0,
            errors: Vec::new(),
        };
        return Ok(series
            .par_iter()
            .map(|known| known.as_ref().map(alone))
            .collect());
    };
    let parts: Vec<Vec<Option<Part>>> = series
        .par_chunks(SERIES_AT_ONCE)
        .map(|chunk| parts_of(forecaster, shapes, chunk))
        .collect::<Result<_, _>>()?;
    Ok(parts.into_iter().flatten().collect())
}

fn parts_of(
    forecaster: Forecaster<'_>,
    shapes: &Shapes,
    chunk: &[Option<Known<'_>>],
) -> Result<Vec<Option<Part>>, NeuralError> {
    let histories: Vec<Vec<f32>> = chunk
        .iter()
        .map(|known| {
            let values = known.as_ref().map_or(&[][..], |known| known.values);
            values.iter().map(|value| *value as f32).collect()
        })
        .collect();
    let mut windows = Vec::new();
    for (known, history) in chunk.iter().zip(&histories) {
        let Some(known) = known else { continue };
        windows.extend(origins(known).map(|origin| Window {
            history: &history[..origin],
            step_of_week: u32::from(known.step_of_week[origin]),
            day_off: known.day_off,
            event_log_uplift: &[],
            metrics: &[],
            donors: &[],
            share_spread: 0.0,
        }));
    }
    let mut answers = forecaster.answer(&windows)?.into_iter();
    Ok(chunk
        .iter()
        .map(|known| {
            let known = known.as_ref()?;
            let of_origin: Vec<Option<Answer>> =
                answers.by_ref().take(origins(known).count()).collect();
            Some(part(
                known,
                shapes,
                &of_origin,
                forecaster.layout().horizon(),
            ))
        })
        .collect())
}

/// Where the net answers from: the backtest's origins that were kept, and the end.
fn origins<'a>(known: &'a Known<'_>) -> impl Iterator<Item = usize> + 'a {
    let past = known.combined.backtest.iter().map(|row| row.origin);
    past.chain([known.values.len()])
}

fn part(known: &Known<'_>, shapes: &Shapes, answers: &[Option<Answer>], reach: usize) -> Part {
    let combined = known.combined;
    let own = shapes.of_series(combined);
    let statistical = shapes.apply(combined);
    let said = |answer: &Answer, ahead: usize| -> Levels {
        answer
            .quantiles_rps(ahead)
            .map(|rate| combined.scale.forward(rate))
    };
    // Loss of both, and both forecasts of each hour of the backtest's first days with what came.
    let (mut loss_statistical, mut loss_net) = (0.0, 0.0);
    let mut seen: Vec<(Levels, Levels, f64)> = Vec::new();
    let near = distance::near(combined.step);
    for (row, answer) in combined.backtest.iter().zip(answers) {
        let Some(answer) = answer else { continue };
        for ahead in 0..row.median.len().min(reach).min(near) {
            let actual = known.values[row.origin + ahead];
            if actual.is_nan() {
                continue;
            }
            let of_methods = shapes.levels(
                &own,
                ahead,
                row.median[ahead],
                row.below[ahead],
                row.above[ahead],
            );
            let of_net = said(answer, ahead);
            loss_statistical += pinball(&of_methods.map(|z| combined.scale.back(z)), actual);
            loss_net += pinball(&of_net.map(|z| combined.scale.back(z)), actual);
            seen.push((of_methods, of_net, combined.scale.forward(actual)));
        }
    }
    let (count, prior) = (seen.len(), combined.step.hours(WEIGHT_PRIOR_HOURS));
    let trust = count as f64 / (count + prior) as f64;
    let weight = weight(loss_statistical, loss_net, trust);
    let at = |a: &Levels, b: &Levels| -> Levels {
        std::array::from_fn(|level| (1.0 - weight) * a[level] + weight * b[level])
    };
    let errors = seen.iter().map(|(of_methods, of_net, actual)| {
        let levels = at(of_methods, of_net);
        let error = actual - levels[LEVEL_50];
        let side = if error > 0.0 { LEVEL_90 } else { LEVEL_10 };
        let unit = (levels[side] - levels[LEVEL_50]).abs().max(1e-6);
        error.abs() / unit
    });
    let errors = errors.collect();
    let net: Option<Vec<Levels>> = answers.last().and_then(Option::as_ref).map(|answer| {
        (0..statistical.len())
            .map(|ahead| said(answer, within_reach(combined.step, ahead, reach)))
            .collect()
    });
    let levels = match &net {
        None => statistical,
        Some(net) => statistical.iter().zip(net).map(|(a, b)| at(a, b)).collect(),
    };
    Part {
        levels,
        net,
        weight,
        errors,
    }
}

/// The step whose answer stands for one that may lie beyond the net's reach: that of its last week at the same step of the week, or of its last day
/// where it reaches no week. A weight that fell towards the end instead would move every far hour a little with each day that passes.
pub(crate) fn within_reach(step: Step, ahead: usize, reach: usize) -> usize {
    let period = if reach >= step.week() {
        step.week()
    } else {
        step.day()
    };
    if ahead < reach {
        ahead
    } else {
        reach.saturating_sub(period) + (ahead - reach) % period
    }
}

/// The net's weight from the losses of both; `trust` is what they count against the prior, 0 … 1.
fn weight(statistical: f64, net: f64, trust: f64) -> f64 {
    if statistical <= 0.0 || net <= 0.0 {
        return PRIOR_WEIGHT;
    }
    let odds = (PRIOR_WEIGHT / (1.0 - PRIOR_WEIGHT)).ln()
        - trust * (net / statistical).ln() / WEIGHT_WIDTH;
    1.0 / (1.0 + (-odds).exp())
}
