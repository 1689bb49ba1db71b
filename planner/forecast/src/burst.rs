//! What hours hide: the highest minute above the hour's mean, and how requests bunch within a second.

use foremesh_model::{Series, Timestamp};

use crate::{quantiles, steps::is_rate};

/// Stands where no history is finer than an hour: a quarter above the hour's mean.
pub(crate) const ASSUMED_PEAK_TO_MEAN: f64 = 1.25;
/// Stands where no history is finer than an hour: twice the variance of Poisson arrivals.
pub(crate) const ASSUMED_DISPERSION: f64 = 2.0;
/// Days of history that are looked at.
const DAYS: i64 = 28;
/// Hours that must be known.
const FEWEST_HOURS: usize = 12;
const MOST_PEAK_TO_MEAN: f64 = 20.0;
const MOST_DISPERSION: f64 = 1000.0;

/// What hours hide.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Burst {
    /// Highest step of an hour ÷ mean of the hour, at its 0.95 quantile over the busier half of the hours.
    pub peak_to_mean: f64,
    /// Variance ÷ mean of the requests of one second.
    pub dispersion: f64,
}

/// Measures a series that is finer than an hour; `None` where it is not, or shows too few hours.
///
/// The dispersion is read from differences of neighbouring steps, which leaves the day's course out. Over a step of Δ seconds at
/// rate λ, Poisson arrivals give the rate a variance of λ/Δ; what is above it is taken for a movement of the rate itself, which a
/// second shows as well: dispersion = 1 + (excess variance)/λ, since a second's variance is λ + excess.
pub(crate) fn measure(series: &Series, as_of: Timestamp) -> Option<Burst> {
    let step = i64::from(series.step_s.max(1));
    if step * 3 > 3600 {
        return None;
    }
    let start = series.start.as_second();
    let ended = (as_of.as_second().saturating_sub(start)).div_euclid(step);
    let until = usize::try_from(ended).unwrap_or(0).min(series.values.len());
    let from = until.saturating_sub((DAYS * 86_400 / step) as usize);
    let fewest = (3600 / step / 2).max(2) as usize;
    let mut hours: Vec<(f64, f64)> = Vec::new();
    let (mut squares, mut differences, mut rate_sum, mut rates) = (0.0, 0usize, 0.0, 0usize);
    let (mut hour, mut sum, mut count, mut highest) = (i64::MIN, 0.0, 0usize, 0.0f64);
    let mut before = f64::NAN;
    for (index, value) in series.values[from..until].iter().enumerate() {
        let this_hour = (start + (from + index) as i64 * step).div_euclid(3600);
        if this_hour != hour {
            if count >= fewest && sum > 0.0 {
                hours.push((sum / count as f64, highest));
            }
            (hour, sum, count, highest) = (this_hour, 0.0, 0, 0.0);
        }
        if !is_rate(*value) {
            before = f64::NAN;
            continue;
        }
        if !before.is_nan() {
            // One jump (a restart, a fault of the telemetry) is no burst: differences beyond the rate itself do not count.
            let difference = value - before;
            squares += difference.powi(2).min(value.max(before).powi(2));
            differences += 1;
        }
        before = *value;
        rate_sum += value;
        rates += 1;
        sum += value;
        count += 1;
        highest = highest.max(*value);
    }
    if count >= fewest && sum > 0.0 {
        hours.push((sum / count as f64, highest));
    }
    if hours.len() < FEWEST_HOURS || differences == 0 {
        return None;
    }
    let mut means: Vec<f64> = hours.iter().map(|(mean, _)| *mean).collect();
    let middle = quantiles::median(&mut means);
    let mut ratios: Vec<f64> = hours
        .iter()
        .filter(|(mean, _)| *mean >= middle)
        .map(|(mean, high)| high / mean)
        .collect();
    ratios.sort_by(f64::total_cmp);
    let rate = rate_sum / rates.max(1) as f64;
    let excess = (squares / differences as f64 / 2.0 - rate / step as f64).max(0.0);
    Some(Burst {
        peak_to_mean: quantiles::of_sorted(&ratios, 0.95).clamp(1.0, MOST_PEAK_TO_MEAN),
        dispersion: (1.0 + excess / rate.max(1e-9)).min(MOST_DISPERSION),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_and_bunching_are_measured() {
        // Each hour has one minute at 30 and 59 at 10; the mean is 10 + 20/60.
        let values: Vec<f64> = (0..24 * 60)
            .map(|minute| if minute % 60 == 7 { 30.0 } else { 10.0 })
            .collect();
        let series = Series {
            start: Timestamp::UNIX_EPOCH,
            step_s: 60,
            values,
        };
        let burst = measure(&series, Timestamp::from_second(86_400).unwrap()).unwrap();
        assert!((burst.peak_to_mean - 30.0 / (10.0 + 20.0 / 60.0)).abs() < 1e-9);
        assert!(burst.dispersion > 1.0);
        assert_eq!(
            measure(&series, Timestamp::from_second(3600).unwrap()),
            None
        );
        let hourly = Series {
            step_s: 3600,
            ..series
        };
        assert_eq!(measure(&hourly, Timestamp::MAX), None);
    }
}
