//! What a forecast scores on a window, and last week as the baseline.

use foremesh_model::QUANTILE_LEVELS;

/// Hours of a week.
pub const WEEK: usize = 168;

/// `[hour][level]`, requests a second.
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

/// Last week, with the quantiles of what a week changed in the history. The hour of a gap is taken from the week before it.
pub fn baseline(past: &[f64], horizon: usize) -> Quantiles {
    let lag = |at: usize| {
        let mut at = at.checked_sub(WEEK)?;
        loop {
            if let Some(value) = past.get(at).filter(|v| !v.is_nan()) {
                return Some(*value);
            }
            at = at.checked_sub(WEEK)?;
        }
    };
    let mut changes: Vec<f64> = (WEEK..past.len())
        .map(|i| past[i] - past[i - WEEK])
        .filter(|change| !change.is_nan())
        .collect();
    changes.sort_by(f64::total_cmp);
    let quantile = |level: f64| {
        let position = (level * changes.len() as f64 - 0.5).clamp(0.0, changes.len() as f64 - 1.0);
        let (low, high) = (
            changes[position.floor() as usize],
            changes[position.ceil() as usize],
        );
        low + (high - low) * position.fract()
    };
    let offsets = QUANTILE_LEVELS.map(quantile);
    (0..horizon)
        .map(|ahead| {
            let point = lag(past.len() + ahead).unwrap_or(0.0);
            // The point forecast is last week itself, whatever the median change is.
            let mut levels: Vec<f64> = offsets
                .iter()
                .map(|offset| (point + offset).max(0.0))
                .collect();
            levels[6] = point;
            levels.sort_by(f64::total_cmp);
            levels
        })
        .collect()
}

/// Scores quantiles on what came; hours that are not known are left out.
pub fn score(past: &[f64], actual: &[f64], quantiles: &Quantiles, ms: f64) -> Score {
    let naive: Vec<f64> = (WEEK..past.len())
        .map(|i| (past[i] - past[i - WEEK]).abs())
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
