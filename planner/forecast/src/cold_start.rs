//! A region without history: donors' demand in local time × a log-normal share.
//!
//! The share is given; how far off it may be is read from how the services of regions differ from each other: if service A has
//! twice the traffic here that it has there, and B three times, then a share for both is off by some fifth. Donors are mixed as
//! distributions, not averaged: where they disagree, the forecast is wide. The mixture is drawn on a fixed grid of quantiles
//! (donor × share × demand), so that it has no sampling noise and equal inputs give equal bytes.
//! After go-live the region's first hours move the share (Bayes: normal prior on its logarithm).

use std::collections::BTreeMap;

use foremesh_model::{QUANTILE_LEVELS, RegionName, ServiceName};
use statrs::distribution::{ContinuousCDF, Normal};

use crate::{
    quantiles::{self, Levels},
    steps::Steps,
};

/// Standard deviation of the logarithm of a share where nothing shows it: off by a third either way in two cases of three.
pub(crate) const ASSUMED_SPREAD: f64 = 0.3;
/// Comparisons between regions that weigh as much as the assumed spread.
const PRIOR_COMPARISONS: f64 = 4.0;
/// Hours of the end of a history that tell its level.
const LEVEL_HOURS: usize = 28 * 24;
const FEWEST_LEVEL_HOURS: usize = 24;
/// The share drifts: however long the region has been watched, this much spread is left.
const DRIFT: f64 = 0.05;
/// Hours after go-live that err together.
const HOURS_OF_AN_OBSERVATION: f64 = 6.0;
const LEAST_NOISE: f64 = 0.15;
/// Points of the grid for the share and for the demand of a donor.
const SHARE_POINTS: usize = 15;
const DEMAND_POINTS: usize = 41;
/// Where the grid ends, in standard deviations.
const GRID_END: f64 = 3.4;

/// The logarithm of what a share must be multiplied by: normal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct LogShare {
    pub mean: f64,
    pub spread: f64,
}

/// The level of a series: the mean of its last four weeks.
pub(crate) fn level(hourly: &Steps) -> Option<f64> {
    let recent = &hourly.values[hourly.values.len().saturating_sub(LEVEL_HOURS)..];
    let known: Vec<f64> = recent.iter().copied().filter(|v| !v.is_nan()).collect();
    (known.len() >= FEWEST_LEVEL_HOURS)
        .then(|| known.iter().sum::<f64>() / known.len() as f64)
        .filter(|mean| *mean > 0.0)
}

/// The spread of the log-share of a service, from levels by region and service: what is left of the logarithms when each
/// region's and each service's mean are taken out. Also answers how many comparisons show it.
pub(crate) fn share_spread(levels: &BTreeMap<(&RegionName, &ServiceName), f64>) -> (f64, usize) {
    let mut by_service: BTreeMap<&ServiceName, Vec<(&RegionName, f64)>> = BTreeMap::new();
    for ((region, service), level) in levels {
        by_service
            .entry(service)
            .or_default()
            .push((region, level.ln()));
    }
    by_service.retain(|_, regions| regions.len() > 1);
    let mut by_region: BTreeMap<&RegionName, (f64, f64)> = BTreeMap::new();
    let centred = by_service.values().flat_map(|regions| {
        let mean = regions.iter().map(|(_, l)| l).sum::<f64>() / regions.len() as f64;
        regions.iter().map(move |(region, l)| (*region, l - mean))
    });
    let centred: Vec<(&RegionName, f64)> = centred.collect();
    for (region, value) in &centred {
        let sum = by_region.entry(region).or_default();
        sum.0 += value;
        sum.1 += 1.0;
    }
    let squares: f64 = centred
        .iter()
        .map(|(region, value)| {
            let (sum, count) = by_region.get(region).copied().unwrap_or((0.0, 1.0));
            (value - sum / count).powi(2)
        })
        .sum();
    let parameters = by_service.len() + by_region.len() - usize::from(!by_region.is_empty());
    let comparisons = centred.len().saturating_sub(parameters);
    // The ratio of two regions carries the deviation of both.
    let variance = (2.0 * squares + PRIOR_COMPARISONS * ASSUMED_SPREAD.powi(2))
        / (comparisons as f64 + PRIOR_COMPARISONS);
    (variance.sqrt(), comparisons)
}

/// The spread of each donor's log-share, from what donors say of the region's level (logarithms of level × share): where they disagree by
/// more than `spread` explains, the region is taken to be one more draw of what they were drawn from. A mixture of n kernels at the
/// donors has the variance of a new draw, d²·(1 + 1/n), when each kernel has 2·d²/n of it.
pub(crate) fn spread_of_donors(spread: f64, log_levels: &[f64]) -> f64 {
    let n = log_levels.len() as f64;
    if n < 2.0 {
        return spread;
    }
    let mean = log_levels.iter().sum::<f64>() / n;
    let variance = log_levels.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (spread.powi(2) + 2.0 * (variance - spread.powi(2)).max(0.0) / n).sqrt()
}

/// The share after `pairs` of hours (own, what the share foretold for it) were seen.
pub(crate) fn update(prior: LogShare, pairs: &[(f64, f64)]) -> LogShare {
    let ratios: Vec<f64> = pairs
        .iter()
        .map(|(own, foretold)| (own / foretold).ln())
        .filter(|ratio| ratio.is_finite())
        .collect();
    if ratios.is_empty() {
        return prior;
    }
    let count = ratios.len() as f64;
    let mean = ratios.iter().sum::<f64>() / count;
    let noise = ratios
        .iter()
        .map(|ratio| (ratio - mean).powi(2))
        .sum::<f64>()
        / count;
    let observations = (count / HOURS_OF_AN_OBSERVATION).max(0.5);
    let seen = observations / noise.max(LEAST_NOISE.powi(2));
    let before = 1.0 / prior.spread.powi(2).max(1e-9);
    LogShare {
        mean: (prior.mean * before + mean * seen) / (before + seen),
        spread: (1.0 / (before + seen) + DRIFT.powi(2)).sqrt(),
    }
}

/// Mixes donors for one hour: each a (quantiles in requests a second × given share, log-share) of equal weight.
pub(crate) struct Mixer {
    /// Standard normal deviates and their weights.
    shares: [(f64, f64); SHARE_POINTS],
    /// For each point of the demand: the level below it and how far towards the next.
    demands: [(usize, f64, f64); DEMAND_POINTS],
    points: Vec<(f64, f64)>,
}

impl Mixer {
    pub fn new() -> Self {
        let normal = Normal::standard();
        // Points are denser in the tails than draws would be: equal steps of the normal, each weighted by its probability.
        let point = |i: usize, n: usize| {
            let half = GRID_END / n as f64;
            let x = (2 * i + 1) as f64 * half - GRID_END;
            (x, normal.cdf(x + half) - normal.cdf(x - half))
        };
        let shares = std::array::from_fn(|i| point(i, SHARE_POINTS));
        let demands = std::array::from_fn(|i| {
            let (x, weight) = point(i, DEMAND_POINTS);
            let level = normal.cdf(x);
            let above = QUANTILE_LEVELS
                .partition_point(|l| *l < level)
                .clamp(1, QUANTILE_LEVELS.len() - 1);
            let (low, high) = (
                normal.inverse_cdf(QUANTILE_LEVELS[above - 1]),
                normal.inverse_cdf(QUANTILE_LEVELS[above]),
            );
            (
                above - 1,
                ((x - low) / (high - low)).clamp(-0.5, 1.5),
                weight,
            )
        });
        Self {
            shares,
            demands,
            points: Vec::new(),
        }
    }

    pub fn mix(&mut self, donors: &[(Levels, LogShare)]) -> Levels {
        self.points.clear();
        for (levels, share) in donors {
            for (z, of_share) in self.shares {
                let factor = (share.mean + share.spread * z).exp();
                for (below, towards, weight) in self.demands {
                    let value = levels[below] + towards * (levels[below + 1] - levels[below]);
                    self.points
                        .push((value.max(0.0) * factor, weight * of_share));
                }
            }
        }
        self.points.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let total: f64 = self.points.iter().map(|(_, weight)| weight).sum();
        let mut levels = [0.0; QUANTILE_LEVELS.len()];
        let (mut reached, mut before) = (0.0, (0.0, 0.0));
        let mut points = self.points.iter().peekable();
        for (level, value) in QUANTILE_LEVELS.iter().zip(levels.iter_mut()) {
            // A point stands at the middle of its weight.
            while let Some((at, weight)) =
                points.next_if(|(_, weight)| (reached + weight / 2.0) / total <= *level)
            {
                before = (*at, (reached + weight / 2.0) / total);
                reached += weight;
            }
            *value = match points.peek() {
                Some((at, weight)) => {
                    let here = (reached + weight / 2.0) / total;
                    let from = if before.1 > 0.0 { before.0 } else { *at };
                    from + (at - from) * ((level - before.1) / (here - before.1)).clamp(0.0, 1.0)
                }
                None => before.0,
            };
        }
        quantiles::make_rising(&mut levels);
        levels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(value: f64) -> Levels {
        [value; QUANTILE_LEVELS.len()]
    }

    #[test]
    fn a_certain_donor_with_an_uncertain_share_is_log_normal() {
        let share = LogShare {
            mean: 0.0,
            spread: 0.3,
        };
        let levels = Mixer::new().mix(&[(flat(100.0), share)]);
        assert!((levels[6] / 100.0 - 1.0).abs() < 0.02, "{levels:?}");
        assert!(
            (levels[10] / (100.0 * (0.3f64 * 1.2816).exp()) - 1.0).abs() < 0.05,
            "{levels:?}"
        );
        assert!(levels.windows(2).all(|pair| pair[0] <= pair[1]));
    }

    #[test]
    fn a_certain_share_gives_the_donor_back() {
        let normal = Normal::new(100.0, 10.0).unwrap();
        let donor = QUANTILE_LEVELS.map(|level| normal.inverse_cdf(level));
        let levels = Mixer::new().mix(&[(
            donor,
            LogShare {
                mean: 0.0,
                spread: 0.0,
            },
        )]);
        for (level, (mixed, own)) in QUANTILE_LEVELS.iter().zip(levels.iter().zip(donor)) {
            assert!((mixed / own - 1.0).abs() < 0.02, "{level}: {mixed} {own}");
        }
    }

    #[test]
    fn donors_that_disagree_make_it_wide() {
        let share = LogShare {
            mean: 0.0,
            spread: 0.05,
        };
        let agree = Mixer::new().mix(&[(flat(100.0), share), (flat(100.0), share)]);
        let disagree = Mixer::new().mix(&[(flat(50.0), share), (flat(200.0), share)]);
        assert!(disagree[10] / disagree[2] > 2.0 * agree[10] / agree[2]);
    }

    #[test]
    fn a_region_beside_donors_that_differ_is_one_more_of_them() {
        // Donors of sizes drawn from a log-normal: a new one lies between the 0.1 and the 0.9 quantile in four cases of five.
        use foremesh_model::random::{mix, uniform};
        let normal = Normal::standard();
        let draw =
            |case: u64, i: u64| normal.inverse_cdf(uniform(mix(case, i)).clamp(1e-9, 1.0 - 1e-9));
        let cases = 2000;
        let inside = (0..cases)
            .filter(|case| {
                let logs: Vec<f64> = (0..4).map(|i| draw(*case, i)).collect();
                let spread = spread_of_donors(0.1, &logs);
                let share = LogShare { mean: 0.0, spread };
                let donors: Vec<(Levels, LogShare)> =
                    logs.iter().map(|log| (flat(log.exp()), share)).collect();
                let levels = Mixer::new().mix(&donors);
                (levels[2]..=levels[10]).contains(&draw(*case, 9).exp())
            })
            .count();
        let covered = inside as f64 / cases as f64;
        assert!((0.7..0.85).contains(&covered), "{covered}");
        // Donors that agree as well as their shares are known stay as they were.
        assert_eq!(spread_of_donors(0.3, &[1.0, 1.1]), 0.3);
        assert_eq!(spread_of_donors(0.3, &[1.0]), 0.3);
    }

    #[test]
    fn the_first_hours_move_the_share() {
        let prior = LogShare {
            mean: 0.0,
            spread: 0.3,
        };
        let hours: Vec<(f64, f64)> = (0..48).map(|_| (150.0, 100.0)).collect();
        let few = update(prior, &hours[..3]);
        let many = update(prior, &hours);
        assert!(few.mean > 0.0 && few.mean < many.mean && many.mean < 1.5f64.ln());
        assert!((many.mean / 1.5f64.ln() - 1.0).abs() < 0.1, "{many:?}");
        assert!(many.spread < few.spread && few.spread < prior.spread);
        assert_eq!(update(prior, &[(0.0, 100.0)]), prior);
    }

    #[test]
    fn regions_that_differ_alike_have_a_small_spread() {
        let regions: Vec<RegionName> = ["a", "b", "c"].map(|r| RegionName::new(r).unwrap()).into();
        let services: Vec<ServiceName> = (0..8)
            .map(|s| ServiceName::new(format!("s{s}")).unwrap())
            .collect();
        let levels = |wobble: f64| {
            let mut levels = BTreeMap::new();
            for (r, region) in regions.iter().enumerate() {
                for (s, service) in services.iter().enumerate() {
                    let sign = if (r + s) % 2 == 0 { 1.0 } else { -1.0 };
                    levels.insert(
                        (region, service),
                        (r + 1) as f64 * (s + 1) as f64 * 10.0 * f64::exp(sign * wobble),
                    );
                }
            }
            share_spread(&levels)
        };
        assert!(
            levels(0.0).0 < 0.2 && levels(1.0).0 > 0.9,
            "{:?} {:?}",
            levels(0.0),
            levels(1.0)
        );
        assert_eq!(share_spread(&BTreeMap::new()), (ASSUMED_SPREAD, 0));
    }
}
