//! Quantiles of counts: how many requests are in flight, or arrive within a second, at a given level of confidence.
//!
//! A mean alone is exceeded about half of the time. Counts are Poisson for independent arrivals and negative binomial where
//! their variance is `dispersion` times their mean. Written by hand for speed and for real-valued, over-dispersed means in one
//! recursion; statrs' discrete inverse searches by bisection over a continued fraction.

use super::normal_score;

/// Above this mean the Cornish–Fisher expansion is within one count of the exact quantile.
const EXACT_BELOW: f64 = 400.0;

/// The fewest `n` that a count of this mean and index of dispersion (variance ÷ mean, at least 1) does not exceed with
/// probability `level`.
pub fn count_quantile(mean: f64, dispersion: f64, level: f64) -> u32 {
    if mean.is_nan() || mean <= 0.0 {
        return 0;
    }
    let dispersion = if dispersion.is_finite() {
        dispersion.max(1.0)
    } else {
        1.0
    };
    if mean < EXACT_BELOW {
        exact(mean, dispersion, level)
    } else {
        // Cornish & Fisher 1938, first order; the skewness of a negative binomial is (2·dispersion − 1) / deviation.
        let deviation = (mean * dispersion).sqrt();
        let z = normal_score(level);
        let value = mean + z * deviation + (z * z - 1.0) / 6.0 * (2.0 * dispersion - 1.0);
        value.max(mean).ceil().min(f64::from(u32::MAX)) as u32
    }
}

fn exact(mean: f64, dispersion: f64, level: f64) -> u32 {
    // P(k+1)/P(k) = q·(r + k)/(k + 1) with q = 1 − 1/dispersion and r·q = mean/dispersion; q → 0 is the Poisson's mean/(k+1).
    let excess = dispersion - 1.0;
    let (first, q, rq) = if excess > 1e-6 {
        let r = mean / excess;
        (
            (-r * dispersion.ln()).exp(),
            excess / dispersion,
            mean / dispersion,
        )
    } else {
        ((-mean).exp(), 0.0, mean)
    };
    let (mut probability, mut cumulated) = (first, first);
    let mut count = 0u32;
    let most = (mean + 60.0 * (mean * dispersion).sqrt() + 60.0 * dispersion) as u32;
    while cumulated < level && count < most {
        probability *= (rq + q * f64::from(count)) / f64::from(count + 1);
        count += 1;
        cumulated += probability;
    }
    count
}

/// The fewest errors in a row after which ejecting an instance is right: with a baseline error rate of `error_rate` over
/// `requests` requests, runs of that length are expected less than `false_alarms` times (each request starts a run of k
/// errors with probability (1 − e)·eᵏ).
pub fn consecutive_errors(error_rate: f64, requests: f64, false_alarms: f64) -> u32 {
    let e = error_rate.clamp(1e-9, 0.999);
    let runs = (requests.max(1.0) * (1.0 - e)).max(1e-12);
    ((false_alarms / runs).ln() / e.ln()).ceil().max(1.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn poisson_quantiles_are_the_tables() {
        // P(X ≤ 3 | 2) = 0.857, P(X ≤ 6 | 2) = 0.9955; P(X ≤ 20 | 10) = 0.9984, P(X ≤ 18 | 10) = 0.9928.
        assert_eq!(count_quantile(2.0, 1.0, 0.85), 3);
        assert_eq!(count_quantile(2.0, 1.0, 0.99), 6);
        assert_eq!(count_quantile(10.0, 1.0, 0.99), 18);
        assert_eq!(count_quantile(10.0, 1.0, 0.998), 20);
        assert_eq!(count_quantile(0.0, 1.0, 0.99), 0);
        assert_eq!(count_quantile(f64::NAN, 1.0, 0.99), 0);
    }

    #[test]
    fn a_limit_at_the_mean_is_exceeded_a_third_of_the_time() {
        // Two calls expected: P(X > 2) = 0.323. The reason why limits are quantiles.
        assert!(count_quantile(2.0, 1.0, 0.67) == 2 && count_quantile(2.0, 1.0, 0.68) == 3);
    }

    #[test]
    fn the_geometric_case_is_exact() {
        // r = 1, dispersion 5: P(X ≤ n) = 1 − 0.8^(n+1); 0.99 first at n = 20.
        assert_eq!(count_quantile(4.0, 5.0, 0.99), 20);
    }

    #[test]
    fn both_ways_meet() {
        for dispersion in [1.0, 2.0, 10.0] {
            let (low, high) = (
                exact(399.0, dispersion, 0.999),
                count_quantile(400.0, dispersion, 0.999),
            );
            assert!(
                (f64::from(high) / f64::from(low) - 1.0).abs() < 0.02,
                "{dispersion}: {low} {high}"
            );
        }
    }

    #[test]
    fn runs_of_errors() {
        // 1% errors, 10 rps for a day: 864000·0.99·0.01^k < 0.01 from k = 4 on.
        assert_eq!(consecutive_errors(0.01, 864_000.0, 0.01), 4);
        assert_eq!(consecutive_errors(0.5, 864_000.0, 0.01), 26);
    }

    proptest! {
        #[test]
        fn grows_with_everything(mean in 0.01f64..2000.0, dispersion in 1.0f64..20.0, level in 0.5f64..0.9999) {
            let q = count_quantile(mean, dispersion, level);
            prop_assert!(count_quantile(mean * 1.2, dispersion, level) + 1 >= q);
            prop_assert!(count_quantile(mean, dispersion, level + (1.0 - level) / 2.0) >= q);
        }
    }
}
