//! What will be asked of a region: quantiles for each entry service and step.

mod encoding;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{RegionName, ServiceName, Timestamp};

/// The version of [`Demand::encode`]'s text.
pub const DEMAND_FORMAT_VERSION: u32 = 1;

/// The levels at which demand is forecast. Capacity is bought at 0.99.
pub const QUANTILE_LEVELS: [f64; 14] = [
    0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999,
];

/// How the demand of entries and of neighbouring steps moves together: a Gaussian copula. The latent normal of entry e at
/// step t is `l·Z(t) + √(1−l²)·W(e,t)` with `l` the entry's [`EntryDemand::common_loading`]; Z and every W are
/// autoregressive of order one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Dependence {
    /// Correlation of the latent normals of neighbouring steps, 0 … 1.
    pub autocorrelation: f64,
}

/// The demand of one entry service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EntryDemand {
    /// Requests a second, mean over the step: `quantiles_rps[step][level]` for [`QUANTILE_LEVELS`]; never falling with the level.
    pub quantiles_rps: Vec<Vec<f64>>,
    /// What the highest minute (or finest step of the history) of an hour is above the hour's mean, as a ratio at its 0.95 quantile; at least 1.
    pub peak_to_mean: f64,
    /// Variance ÷ mean of the requests of one second (index of dispersion): 1 for Poisson arrivals, more for bursts.
    pub dispersion: f64,
    /// Share of the entry's uncertainty that all entries have in common, −1 … 1.
    pub common_loading: f64,
}

/// What will be asked of a region. Internal services follow through the graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Demand {
    /// The region.
    pub region: RegionName,
    /// Its IANA time zone.
    pub timezone: String,
    /// The instant after which nothing was known.
    pub as_of: Timestamp,
    /// When the first step begins.
    pub starts: Timestamp,
    /// Seconds of a step.
    pub step_s: u32,
    /// The entry services, by name; all have the same number of steps.
    pub entries: BTreeMap<ServiceName, EntryDemand>,
    /// How entries and steps move together.
    pub dependence: Dependence,
    /// Seed of the sample paths.
    pub seed: u64,
    /// Who made it: method and version, for the record.
    pub method: String,
}

impl Demand {
    /// How many steps the demand has.
    pub fn steps(&self) -> usize {
        self.entries
            .values()
            .map(|entry| entry.quantiles_rps.len())
            .max()
            .unwrap_or(0)
    }

    /// The instant at which a step begins.
    pub fn at(&self, step: usize) -> Timestamp {
        let seconds = self
            .starts
            .as_second()
            .saturating_add(step as i64 * i64::from(self.step_s));
        Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
    }

    /// Requests a second of one of its entries in an hour after the start, at a quantile level (0 … 1): the highest step of the hour, at the
    /// peak within it.
    pub fn peak_rps(&self, entry: &EntryDemand, hour: u32, level: f64) -> f64 {
        let step_s = self.step_s.max(1);
        let steps_of_hour = (3600 / step_s).max(1) as usize;
        let from = hour as usize * 3600 / step_s as usize;
        let highest = (from..from + steps_of_hour).map(|step| entry.at_level(step, level));
        highest.fold(0.0, f64::max) * entry.peak_to_mean.max(1.0)
    }

    /// The same demand with every number on the grid that [`Demand::encode`] keeps (about 1% apart), so that encoding and
    /// decoding lose nothing. Everything that reads demand reads this form.
    #[must_use]
    pub fn canonical(mut self) -> Self {
        for entry in self.entries.values_mut() {
            for step in &mut entry.quantiles_rps {
                for value in step.iter_mut() {
                    *value = encoding::value_of(encoding::code_of(*value));
                }
            }
            let round = |v: f64| (v * 1000.0).round() / 1000.0;
            entry.peak_to_mean = round(entry.peak_to_mean);
            entry.dispersion = round(entry.dispersion);
            entry.common_loading = round(entry.common_loading);
        }
        self.dependence.autocorrelation =
            (self.dependence.autocorrelation * 1000.0).round() / 1000.0;
        self
    }
}

impl EntryDemand {
    /// The demand at a quantile `level` (0 … 1) in each step, in requests a second.
    pub fn by_step(&self, level: f64) -> impl Iterator<Item = f64> + '_ {
        (0..self.quantiles_rps.len()).map(move |step| self.at_level(step, level))
    }

    /// The demand at a quantile `level` (0 … 1) of a step, in requests a second: linear between the forecast levels, the outermost
    /// ones beyond them. 0 where the step does not exist.
    pub fn at_level(&self, step: usize, level: f64) -> f64 {
        let Some(values) = self
            .quantiles_rps
            .get(step)
            .filter(|values| !values.is_empty())
        else {
            return 0.0;
        };
        let last = values.len().min(QUANTILE_LEVELS.len()) - 1;
        let above = QUANTILE_LEVELS[..=last].partition_point(|l| *l < level);
        if above == 0 {
            return values[0];
        }
        if above > last {
            return values[last];
        }
        let (from, to) = (QUANTILE_LEVELS[above - 1], QUANTILE_LEVELS[above]);
        if to == level {
            return values[above];
        }
        values[above - 1] + (values[above] - values[above - 1]) * (level - from) / (to - from)
    }
}
