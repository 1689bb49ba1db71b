//! Quantiles of samples, and the tail beyond what samples show.

use foremesh_model::QUANTILE_LEVELS;

/// One value for each of [`QUANTILE_LEVELS`].
pub(crate) type Levels = [f64; QUANTILE_LEVELS.len()];

pub(crate) const LEVEL_10: usize = 2;
pub(crate) const LEVEL_50: usize = 6;
pub(crate) const LEVEL_90: usize = 10;
const LEVEL_95: usize = 11;
/// Quantile 0.9 of the standard normal.
pub(crate) const NORMAL_90: f64 = 1.2816;

/// The quantile of a sorted sample, linear between plotting positions (i − ½)/n (Hyndman & Fan's type 5); 0 of an empty one.
pub(crate) fn of_sorted(sorted: &[f64], level: f64) -> f64 {
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else {
        return 0.0;
    };
    let position = level * sorted.len() as f64 - 0.5;
    if position <= 0.0 {
        return *first;
    }
    let below = position.floor() as usize;
    match sorted.get(below + 1) {
        Some(above) => sorted[below] + (above - sorted[below]) * (position - below as f64),
        None => *last,
    }
}

/// All levels of a sorted sample.
pub(crate) fn levels_of_sorted(sorted: &[f64]) -> Levels {
    QUANTILE_LEVELS.map(|level| of_sorted(sorted, level))
}

/// All levels of a sorted sample, the ones above 0.95 from a generalised Pareto distribution fitted to what lies above the 0.95
/// quantile (probability-weighted moments, Hosking & Wallis 1987), its shape shrunk to `PRIOR_SHAPE` where few exceed. Errors
/// are logarithms of rates: an exponential tail of theirs, shape 0, is a power law of the rate already.
pub(crate) fn levels_with_tail(sorted: &[f64]) -> Levels {
    const PRIOR_SHAPE: f64 = 0.0;
    const SHAPES: (f64, f64) = (-0.3, 0.2);
    const PRIOR_EXCEEDANCES: f64 = 30.0;
    let mut levels = levels_of_sorted(sorted);
    let threshold = levels[LEVEL_95];
    let above: Vec<f64> = sorted[sorted.partition_point(|v| *v <= threshold)..]
        .iter()
        .map(|v| v - threshold)
        .collect();
    let count = above.len() as f64;
    if above.len() < 5 {
        return levels;
    }
    let mean = above.iter().sum::<f64>() / count;
    let weighted = above
        .iter()
        .enumerate()
        .map(|(i, x)| x * (1.0 - (i as f64 + 0.65) / count))
        .sum::<f64>()
        / count;
    if mean <= 0.0 || mean <= 2.0 * weighted {
        return levels;
    }
    let fitted = 2.0 - mean / (mean - 2.0 * weighted);
    let shape = ((fitted * count + PRIOR_SHAPE * PRIOR_EXCEEDANCES) / (count + PRIOR_EXCEEDANCES))
        .clamp(SHAPES.0, SHAPES.1);
    // With the shape fixed, the mean of the excesses gives the scale.
    let scale = mean * (1.0 - shape);
    for (level, value) in QUANTILE_LEVELS
        .iter()
        .zip(levels.iter_mut())
        .skip(LEVEL_95 + 1)
    {
        let beyond = (1.0 - level) / (1.0 - QUANTILE_LEVELS[LEVEL_95]);
        *value = threshold
            + if shape.abs() < 1e-6 {
                -scale * beyond.ln()
            } else {
                scale / shape * (beyond.powf(-shape) - 1.0)
            };
    }
    levels
}

/// The sum of the pinball losses of all levels.
pub fn pinball(levels: &[f64], actual: f64) -> f64 {
    QUANTILE_LEVELS
        .iter()
        .zip(levels)
        .map(|(level, value)| {
            let off = actual - value;
            off * if off > 0.0 { *level } else { level - 1.0 }
        })
        .sum()
}

/// Makes levels rise: each at least the one below it, starting from the median outwards.
pub(crate) fn make_rising(levels: &mut Levels) {
    for i in (0..LEVEL_50).rev() {
        levels[i] = levels[i].min(levels[i + 1]);
    }
    for i in LEVEL_50 + 1..levels.len() {
        levels[i] = levels[i].max(levels[i - 1]);
    }
}

/// The median of a few values, which are reordered; 0 of none.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => 0.5 * (values[n / 2 - 1] + values[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_answer_their_own_quantiles() {
        let sorted: Vec<f64> = (0..1000).map(|i| f64::from(i) + 0.5).collect();
        assert!((of_sorted(&sorted, 0.5) - 500.0).abs() < 1e-9);
        assert!((of_sorted(&sorted, 0.99) - 990.0).abs() < 1e-9);
        assert_eq!(of_sorted(&[], 0.5), 0.0);
        assert_eq!(of_sorted(&[3.0], 0.999), 3.0);
    }

    #[test]
    fn the_tail_of_an_exponential_is_found() {
        // 1/(1-p) at plotting positions: a perfect exponential sample.
        let sorted: Vec<f64> = (0..2000)
            .map(|i| -(1.0 - (f64::from(i) + 0.5) / 2000.0).ln())
            .collect();
        let levels = levels_with_tail(&sorted);
        assert!((levels[12] / 100f64.ln() - 1.0).abs() < 0.05, "{levels:?}");
        assert!((levels[13] / 1000f64.ln() - 1.0).abs() < 0.12, "{levels:?}");
    }
}
