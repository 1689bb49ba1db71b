//! Up to which demand the instances of an hour keep the objectives, and how likely more is.

use foremesh_simulate::analytic::normal_tail;

use super::hour::{Allocation, Asked};
use crate::{ground::Ground, sampling::LEVELS};

/// The normal score of the level that is bought.
pub(crate) const BOUGHT_SCORE: f64 = 2.326;
/// The normal scores of [`LEVELS`].
const LEVEL_SCORES: [f64; LEVELS.len()] = [0.0, 1.645, BOUGHT_SCORE, 3.090];
/// Beyond it nothing is looked at: one hour in thirty thousand.
const MOST_SCORE: f64 = 4.0;
/// The last step is a thirtieth of a standard deviation.
const BISECTIONS: usize = 7;

impl Ground<'_> {
    /// Requests a second at every service, the peak within the hour included, at a normal score of the hour's demand.
    pub(crate) fn rates_at(&self, hour: usize, score: f64) -> Vec<f64> {
        let services = 0..self.services.len();
        services
            .map(|service| self.rate_at(hour, service, score))
            .collect()
    }

    /// The same at one service: linear between the levels that are known, and on beyond them.
    pub(crate) fn rate_at(&self, hour: usize, service: usize, score: f64) -> f64 {
        let above = LEVEL_SCORES
            .partition_point(|knot| *knot < score)
            .clamp(1, LEVEL_SCORES.len() - 1);
        let (low, high) = (LEVEL_SCORES[above - 1], LEVEL_SCORES[above]);
        let weight = (score - low) / (high - low);
        let known = |level: usize| self.demand.mean_rps[level][hour][service];
        let (low, high) = (known(above - 1), known(above));
        (low + weight * (high - low)).max(0.0) * self.demand.peak[hour][service]
    }

    /// The share of an hour's time in which demand is expected to be more than its instances keep the objectives at: 1 where they do not
    /// at the median. They are known to keep them at `kept`, where that is given.
    pub(crate) fn violated_share(&self, hour: usize, instances: &[u32], kept: Option<f64>) -> f64 {
        let entry_ms: Vec<f64> = self.entries.iter().map(|e| e.slo.latency_ms).collect();
        let keeps = |score: f64| {
            let rates_rps = self.rates_at(hour, score);
            let admitted = self.admits(&rates_rps, instances);
            let asked = Asked {
                rates_rps,
                entry_ms: entry_ms.clone(),
                fewest: Vec::new(),
            };
            admitted && Allocation::new(self, &asked, instances.to_vec()).holds()
        };
        if kept.is_none() && !keeps(0.0) {
            return 1.0;
        }
        if keeps(MOST_SCORE) {
            return normal_tail(MOST_SCORE);
        }
        let (mut low, mut high) = (kept.unwrap_or(0.0), MOST_SCORE);
        for _ in 0..BISECTIONS {
            let middle = 0.5 * (low + high);
            if keeps(middle) {
                low = middle;
            } else {
                high = middle;
            }
        }
        normal_tail(low)
    }
}
