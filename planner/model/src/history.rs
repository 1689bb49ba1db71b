//! What was measured: regular series by (region, service, metric), with explicit gaps.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{RegionName, ServiceName, Timestamp};

/// The metric that demand is forecast from.
pub const METRIC_REQUESTS_PER_SECOND: &str = "requests_per_second";

/// Requests a second above which a value is taken for a fault of the telemetry.
pub const MOST_REQUESTS_PER_SECOND: f64 = 1e12;

/// What a series measures, where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SeriesKey {
    /// The region.
    pub region: RegionName,
    /// The service.
    pub service: ServiceName,
    /// The metric, named with its unit.
    pub metric: String,
}

impl SeriesKey {
    /// The series of requests a second of a service in a region.
    pub fn requests(region: RegionName, service: ServiceName) -> Self {
        Self {
            region,
            service,
            metric: METRIC_REQUESTS_PER_SECOND.into(),
        }
    }
}

/// Why a series was refused.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum HistoryError {
    /// No step.
    #[error("the step of a series is 0 seconds: a series needs a step")]
    Step,
    /// An instant that appears twice with different values.
    #[error("{0} appears twice: keep one row for each timestamp, region and service")]
    Duplicate(Timestamp),
}

/// A regular series: one value each step from `start`; NaN is a gap. A value stands for the mean over the step that
/// begins at its instant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// The instant of the first value.
    pub start: Timestamp,
    /// Seconds between values.
    pub step_s: u32,
    /// The values; NaN is a gap.
    pub values: Vec<f64>,
}

impl Series {
    /// Puts points in any order on a regular grid; what no point covers is a gap. The step is the most common distance
    /// of neighbours (the smallest of equals); points between grid instants go to the one before.
    ///
    /// # Errors
    /// [`HistoryError::Duplicate`] for two points of one instant.
    pub fn from_points(mut points: Vec<(Timestamp, f64)>) -> Result<Self, HistoryError> {
        points.sort_by_key(|(at, _)| *at);
        if let Some(pair) = points.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(HistoryError::Duplicate(pair[0].0));
        }
        let Some((start, _)) = points.first().copied() else {
            return Ok(Self {
                start: Timestamp::UNIX_EPOCH,
                step_s: 3600,
                values: Vec::new(),
            });
        };
        let mut distances: BTreeMap<i64, usize> = BTreeMap::new();
        for pair in points.windows(2) {
            *distances
                .entry((pair[1].0.as_second() - pair[0].0.as_second()).max(1))
                .or_default() += 1;
        }
        let step = distances
            .iter()
            .max_by_key(|(step, count)| (**count, -**step))
            .map_or(3600, |(step, _)| *step);
        let step_s = u32::try_from(step).unwrap_or(u32::MAX);
        // A grid that starts on a whole step keeps series of one source aligned with each other.
        let first = start.as_second().div_euclid(step) * step;
        let last = points.last().map_or(first, |(at, _)| at.as_second());
        let length = ((last - first) / step + 1).max(0) as usize;
        let (mut sums, mut counts) = (vec![0.0; length], vec![0u32; length]);
        for (at, value) in points {
            let slot = ((at.as_second() - first) / step) as usize;
            if value.is_finite() {
                sums[slot] += value;
                counts[slot] += 1;
            }
        }
        let values = sums
            .iter()
            .zip(&counts)
            .map(|(sum, n)| {
                if *n == 0 {
                    f64::NAN
                } else {
                    sum / f64::from(*n)
                }
            })
            .collect();
        let start = Timestamp::from_second(first).unwrap_or(start);
        Ok(Self {
            start,
            step_s,
            values,
        })
    }

    /// The instant of the value at `index`.
    pub fn at(&self, index: usize) -> Timestamp {
        let seconds = self
            .start
            .as_second()
            .saturating_add(index as i64 * i64::from(self.step_s));
        Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
    }

    /// The instant at which the last step ends.
    pub fn end(&self) -> Timestamp {
        self.at(self.values.len())
    }

    /// How many values are gaps.
    pub fn gaps(&self) -> usize {
        self.values.iter().filter(|v| v.is_nan()).count()
    }

    /// The series as it was known at `as_of`: only steps that had ended by then.
    #[must_use]
    pub fn until(&self, as_of: Timestamp) -> Self {
        let ended =
            (as_of.as_second() - self.start.as_second()).div_euclid(i64::from(self.step_s.max(1)));
        let keep = usize::try_from(ended).unwrap_or(0).min(self.values.len());
        Self {
            values: self.values[..keep].to_vec(),
            ..*self
        }
    }

    /// The means over longer steps that begin at whole multiples of `step_s` since 1970. A long step of which fewer
    /// than half of its values are known is a gap. A step that is not a multiple of this series' own answers a copy.
    #[must_use]
    pub fn resample(&self, step_s: u32) -> Self {
        if self.step_s == 0 || step_s <= self.step_s || !step_s.is_multiple_of(self.step_s) {
            return self.clone();
        }
        let (step, ratio) = (i64::from(step_s), (step_s / self.step_s) as usize);
        let first = self.start.as_second().div_euclid(step) * step;
        let lead = ((self.start.as_second() - first) / i64::from(self.step_s)) as usize;
        let length = (lead + self.values.len()).div_ceil(ratio);
        let mut values = Vec::with_capacity(length);
        for long in 0..length {
            let from = (long * ratio).saturating_sub(lead);
            let to = ((long + 1) * ratio)
                .saturating_sub(lead)
                .min(self.values.len());
            let known: Vec<f64> = self.values[from..to]
                .iter()
                .copied()
                .filter(|v| !v.is_nan())
                .collect();
            values.push(if known.len() * 2 < ratio {
                f64::NAN
            } else {
                known.iter().sum::<f64>() / known.len() as f64
            });
        }
        Self {
            start: Timestamp::from_second(first).unwrap_or(self.start),
            step_s,
            values,
        }
    }
}

/// Everything measured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// The series, in order of (region, service, metric).
    pub series: BTreeMap<SeriesKey, Series>,
}

impl History {
    /// The series of requests a second of a service in a region.
    pub fn requests(&self, region: &RegionName, service: &ServiceName) -> Option<&Series> {
        self.series
            .get(&SeriesKey::requests(region.clone(), service.clone()))
    }

    /// The regions that have any series.
    pub fn regions(&self) -> BTreeSet<&RegionName> {
        self.series.keys().map(|key| &key.region).collect()
    }

    /// The services with requests a second in a region, in order of name.
    pub fn services(&self, region: &RegionName) -> Vec<&ServiceName> {
        self.series
            .keys()
            .filter(|key| key.region == *region && key.metric == METRIC_REQUESTS_PER_SECOND)
            .map(|key| &key.service)
            .collect()
    }

    /// The history as it was known at `as_of`; series that had not begun are left out.
    #[must_use]
    pub fn until(&self, as_of: Timestamp) -> Self {
        let series = self
            .series
            .iter()
            .map(|(key, series)| (key.clone(), series.until(as_of)))
            .filter(|(_, series)| !series.values.is_empty())
            .collect();
        Self { series }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn points_in_any_order_become_a_grid_with_gaps() {
        let series = Series::from_points(vec![
            (at(300), 4.0),
            (at(60), 1.0),
            (at(120), 2.0),
            (at(180), 3.0),
        ])
        .unwrap();
        assert_eq!((series.start, series.step_s), (at(60), 60));
        assert_eq!(series.values.len(), 5);
        assert!(series.values[3].is_nan());
        assert_eq!(series.gaps(), 1);
        assert_eq!(series.end(), at(360));
        assert_eq!(
            Series::from_points(vec![(at(0), 1.0), (at(0), 1.0)]),
            Err(HistoryError::Duplicate(at(0)))
        );
    }

    #[test]
    fn nothing_after_as_of_remains() {
        let series = Series {
            start: at(0),
            step_s: 60,
            values: vec![1.0, 2.0, 3.0],
        };
        assert_eq!(series.until(at(119)).values, [1.0]);
        assert_eq!(series.until(at(120)).values, [1.0, 2.0]);
        assert_eq!(series.until(at(-5)).values, [0.0; 0]);
    }

    #[test]
    fn resampling_needs_half_of_the_values() {
        let series = Series {
            start: at(1800),
            step_s: 1800,
            values: vec![1.0, 2.0, 4.0, f64::NAN, f64::NAN, 5.0, f64::NAN],
        };
        let hourly = series.resample(3600);
        assert_eq!(hourly.start, at(0));
        assert_eq!(hourly.values.len(), 4);
        assert_eq!(hourly.values[..2], [1.0, 3.0]);
        assert!(hourly.values[2].is_nan());
        assert_eq!(hourly.values[3], 5.0);
    }
}
