//! How the errors of entries and of neighbouring hours move together, read from the backtest.

use std::collections::BTreeMap;

use crate::combine::Combined;

/// Scaled errors beyond this count as this: one burst must not make a correlation.
const CLIP: f64 = 3.0;
/// Days ahead whose errors tell what entries have in common.
const HOURS_AHEAD: usize = 24;
/// Pairs that weigh as much as the assumed correlation.
const PRIOR_PAIRS: f64 = 48.0;
const ASSUMED_AUTOCORRELATION: f64 = 0.8;
const MOST_AUTOCORRELATION: f64 = 0.99;
/// Share of an entry's uncertainty that is common where nothing shows it.
pub(crate) const ASSUMED_LOADING: f64 = 0.5;
/// Entries and hours that weigh as much as the assumed loading.
const PRIOR_HOURS: f64 = 96.0;

/// The correlation of the errors of neighbouring hours of one forecast, 0 … 0.99.
pub(crate) fn autocorrelation<'a>(series: impl Iterator<Item = &'a Combined>) -> f64 {
    let (mut products, mut squares, mut pairs) = (0.0, 0.0, 0.0);
    for combined in series {
        for pair in combined.errors.windows(2) {
            if pair[1].ahead == pair[0].ahead + 1 && pair[1].at == pair[0].at + 1 {
                let (a, b) = (
                    pair[0].error.clamp(-CLIP, CLIP),
                    pair[1].error.clamp(-CLIP, CLIP),
                );
                products += a * b;
                squares += 0.5 * (a * a + b * b);
                pairs += 1.0;
            }
        }
    }
    let measured = if squares > 0.0 {
        products / squares
    } else {
        0.0
    };
    ((measured * pairs + ASSUMED_AUTOCORRELATION * PRIOR_PAIRS) / (pairs + PRIOR_PAIRS))
        .clamp(0.0, MOST_AUTOCORRELATION)
}

/// The loading of each entry on what all have in common, −1 … 1: with loadings l, two entries' errors correlate by l·l'.
/// `first_hours` are the hours since 1970 at which the entries' histories begin.
pub(crate) fn common_loadings(series: &[(&Combined, i64)]) -> Vec<f64> {
    let standardised: Vec<BTreeMap<i64, f64>> = series
        .iter()
        .map(|(combined, first)| by_hour(combined, *first))
        .collect();
    let mut sums: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
    for (hour, error) in standardised.iter().flatten() {
        let sum = sums.entry(*hour).or_default();
        sum.0 += error;
        sum.1 += 1.0;
    }
    // The mean correlation of each entry with the others.
    let mean_correlations: Vec<(f64, f64)> = standardised
        .iter()
        .map(|errors| {
            let (mut product, mut pairs) = (0.0, 0.0);
            for (hour, error) in errors {
                let (sum, count) = sums.get(hour).copied().unwrap_or_default();
                product += error * (sum - error);
                pairs += count - 1.0;
            }
            (
                if pairs > 0.0 { product / pairs } else { 0.0 },
                errors.len() as f64 * f64::from(u8::from(pairs > 0.0)),
            )
        })
        .collect();
    let count = mean_correlations.len().max(1) as f64;
    let overall = mean_correlations.iter().map(|(c, _)| c).sum::<f64>() / count;
    mean_correlations
        .iter()
        .map(|(correlation, hours)| {
            // c_e = l_e · mean(l) and mean(c) = mean(l)²: exact for equal loadings.
            let measured = if overall > 1e-3 {
                (correlation / overall.sqrt()).clamp(-1.0, 1.0)
            } else {
                0.0
            };
            ((measured * hours + ASSUMED_LOADING * PRIOR_HOURS) / (hours + PRIOR_HOURS))
                .clamp(-1.0, 1.0)
        })
        .collect()
}

/// Errors of at most a day ahead, by hour since 1970, with mean 0 and variance 1.
fn by_hour(combined: &Combined, first_hour: i64) -> BTreeMap<i64, f64> {
    let mut errors: BTreeMap<i64, f64> = combined
        .errors
        .iter()
        .filter(|e| e.ahead < HOURS_AHEAD)
        .map(|e| (first_hour + e.at as i64, e.error.clamp(-CLIP, CLIP)))
        .collect();
    let count = errors.len().max(1) as f64;
    let mean = errors.values().sum::<f64>() / count;
    let deviation = (errors.values().map(|e| (e - mean).powi(2)).sum::<f64>() / count).sqrt();
    for error in errors.values_mut() {
        *error = if deviation > 0.0 {
            (*error - mean) / deviation
        } else {
            0.0
        };
    }
    errors
}
