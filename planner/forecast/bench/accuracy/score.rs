//! What a forecast scores on a window, and last week and the last value as baselines.

use foremesh_forecast::Step;
use foremesh_model::QUANTILE_LEVELS;

fn week(step: Step) -> usize {
    (7 * 86_400 / step.seconds()) as usize
}

/// `[step][level]`, requests a second.
pub type Quantiles = Vec<Vec<f64>>;

/// What one method scores on one window.
#[derive(Debug, Clone, Copy, Default)]
pub struct Score {
    pub mase: f64,
    pub weighted_quantile_loss: f64,
    pub covered_80: f64,
    pub covered_99: f64,
    pub pinball_99: f64,
    pub width_99: f64,
    pub ms: f64,
    /// A method's weight in the ensemble's weighted average, by its backtest.
    pub weight: f64,
}

/// The quantiles of what so many steps changed in a history.
fn changes(past: &[f64], steps: usize) -> [f64; QUANTILE_LEVELS.len()] {
    let mut changes: Vec<f64> = (steps..past.len())
        .map(|i| past[i] - past[i - steps])
        .filter(|change| !change.is_nan())
        .collect();
    changes.sort_by(f64::total_cmp);
    QUANTILE_LEVELS.map(|level| {
        let position = (level * changes.len() as f64 - 0.5).clamp(0.0, changes.len() as f64 - 1.0);
        let (low, high) = (
            changes[position.floor() as usize],
            changes[position.ceil() as usize],
        );
        low + (high - low) * position.fract()
    })
}

/// Levels around a point forecast, which stays what it is whatever the median change.
fn around(point: f64, offsets: &[f64]) -> Vec<f64> {
    let mut levels: Vec<f64> = offsets
        .iter()
        .map(|offset| (point + offset).max(0.0))
        .collect();
    levels[6] = point;
    levels.sort_by(f64::total_cmp);
    levels
}

/// The last known value, with the quantiles of what as many steps changed in the history; beyond the first dozen their number in steps of a quarter.
pub fn last_value(past: &[f64], horizon: usize) -> Quantiles {
    let point = past.iter().rev().copied().find(|v| !v.is_nan());
    let (mut offsets, mut of) = (changes(past, 1), 1);
    (1..=horizon)
        .map(|ahead| {
            if ahead <= 12 || ahead * 4 > of * 5 {
                (offsets, of) = (changes(past, ahead), ahead);
            }
            around(point.unwrap_or(0.0), &offsets)
        })
        .collect()
}

/// Last week, with the quantiles of what a week changed in the history. The step of a gap is taken from the week before it.
pub fn baseline(step: Step, past: &[f64], horizon: usize) -> Quantiles {
    let week = week(step);
    let lag = |at: usize| {
        let mut at = at.checked_sub(week)?;
        loop {
            if let Some(value) = past.get(at).filter(|v| !v.is_nan()) {
                return Some(*value);
            }
            at = at.checked_sub(week)?;
        }
    };
    let offsets = changes(past, week);
    (0..horizon)
        .map(|ahead| {
            let point = lag(past.len() + ahead).unwrap_or(0.0);
            around(point, &offsets)
        })
        .collect()
}

/// Scores quantiles on what came; steps that are not known are left out.
pub fn score(step: Step, past: &[f64], actual: &[f64], quantiles: &Quantiles, ms: f64) -> Score {
    let week = week(step);
    let naive: Vec<f64> = (week..past.len())
        .map(|i| (past[i] - past[i - week]).abs())
        .filter(|change| !change.is_nan())
        .collect();
    let scale = naive.iter().sum::<f64>() / naive.len() as f64;
    let (mut result, mut count, mut total, mut loss) = (
        Score {
            ms,
            ..Score::default()
        },
        0.0,
        0.0,
        0.0,
    );
    for (actual, levels) in actual.iter().zip(quantiles) {
        if actual.is_nan() {
            continue;
        }
        count += 1.0;
        total += actual;
        let pinball = |level: f64, value: f64| {
            if *actual >= value {
                level * (actual - value)
            } else {
                (1.0 - level) * (value - actual)
            }
        };
        loss += QUANTILE_LEVELS
            .iter()
            .zip(levels)
            .map(|(level, value)| 2.0 * pinball(*level, *value))
            .sum::<f64>()
            / QUANTILE_LEVELS.len() as f64;
        result.mase += (actual - levels[6]).abs();
        result.covered_80 += f64::from(u8::from((levels[2]..=levels[10]).contains(actual)));
        result.covered_99 += f64::from(u8::from(*actual <= levels[12]));
        result.pinball_99 += 2.0 * pinball(0.99, levels[12]);
        result.width_99 += levels[12] - levels[6];
    }
    result.mase /= count * scale;
    result.weighted_quantile_loss = loss / total;
    result.covered_80 /= count;
    result.covered_99 /= count;
    result.pinball_99 /= total;
    result.width_99 /= total;
    result
}
