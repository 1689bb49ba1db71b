//! Business metrics: what is planned or known ahead (active users, planned spend) and may drive demand, put on the grid of a series.
//!
//! What their own later values say is taken as known at the instant of the forecast, so they come from a plan and not from what was measured
//! afterwards. What a metric does to a series is learned in [`crate::drivers`].

use std::{collections::BTreeSet, ops::Range};

use foremesh_model::{
    History, METRIC_REQUESTS_PER_SECOND, RegionName, Series, SeriesKey, ServiceName, Severity,
};

use crate::{Step, error::ForecastError, notes::Notes, steps::is_rate};

/// Most business metrics: each more is one more that may seem to explain by chance.
pub const MOST_BUSINESS_METRICS: usize = 8;

/// The metrics of a file, by name.
#[derive(Debug, Clone)]
pub(crate) struct BusinessMetrics<'a> {
    known: Option<&'a History>,
    names: Vec<&'a str>,
}

/// One metric of a service.
#[derive(Debug, Clone)]
pub(crate) struct BusinessMetric<'a> {
    pub name: &'a str,
    /// By step of the range that was asked for; NaN is a gap.
    pub values: Vec<f64>,
}

impl<'a> BusinessMetrics<'a> {
    /// All metrics but requests a second.
    ///
    /// # Errors
    /// [`ForecastError::BusinessMetrics`] for more than [`MOST_BUSINESS_METRICS`].
    pub fn of(known: Option<&'a History>) -> Result<Self, ForecastError> {
        let keys = known.into_iter().flat_map(|known| known.series.keys());
        let names: BTreeSet<&str> = keys
            .map(|key| key.metric.as_str())
            .filter(|name| *name != METRIC_REQUESTS_PER_SECOND)
            .collect();
        if names.len() > MOST_BUSINESS_METRICS {
            let names = names.into_iter().collect::<Vec<_>>().join(", ");
            return Err(ForecastError::BusinessMetrics { names });
        }
        Ok(Self {
            known,
            names: names.into_iter().collect(),
        })
    }

    /// Says that no row is of what is forecast.
    pub fn note_unmatched(&self, matched: bool, subject: &str, notes: &mut Notes) {
        if !self.names.is_empty() && !matched {
            let text = "no row of the business metrics is of a region and service that is forecast: name them as the history does; a region that opens follows its donors' metrics";
            notes.add(
                Severity::Caution,
                "business_metrics_unmatched",
                subject,
                text,
            );
        }
    }

    fn find(
        &self,
        (region, service): (&RegionName, &ServiceName),
        name: &str,
    ) -> Option<&'a Series> {
        let key = |service: ServiceName| SeriesKey {
            region: region.clone(),
            service,
            metric: name.into(),
        };
        let all = &self.known?.series;
        all.get(&key(service.clone()))
            .or_else(|| all.get(&key(ServiceName::new(service.short()).ok()?)))
    }

    /// Whether a service in a region has any.
    pub fn has(&self, region: &RegionName, service: &ServiceName) -> bool {
        let mut names = self.names.iter();
        names.any(|name| self.find((region, service), name).is_some())
    }

    /// The metrics of a service in a region over a range of steps since 1970.
    pub fn over(
        &self,
        step: Step,
        of: (&RegionName, &ServiceName),
        range: &Range<i64>,
    ) -> Vec<BusinessMetric<'a>> {
        let of_name = |name: &&'a str| {
            Some(BusinessMetric {
                name,
                values: laid(step, self.find(of, name)?, range),
            })
        };
        self.names.iter().filter_map(of_name).collect()
    }
}

/// A series over a range of steps since 1970: the mean of what has its middle in a step, so that a day that begins at local midnight is that day; a value that is longer
/// than a step stands for each step that begins in it, to its own end. What is negative or not finite is a gap. Histories are read otherwise (`Steps::of`): of them
/// nothing counts that had not ended.
fn laid(step: Step, series: &Series, range: &Range<i64>) -> Vec<f64> {
    let (on, own) = (step.seconds(), i64::from(series.step_s.max(1)));
    let length = usize::try_from(range.end - range.start).unwrap_or(0);
    let (mut sums, mut counts) = (vec![0.0; length], vec![0u32; length]);
    for (index, value) in series.values.iter().enumerate() {
        let from = series.start.as_second() + index as i64 * own;
        let touched = if own <= on {
            let at = (from + own / 2).div_euclid(on);
            at..at + 1
        } else {
            (from + on - 1).div_euclid(on)..(from + own + on - 1).div_euclid(on)
        };
        for at in touched.start.max(range.start)..touched.end.min(range.end) {
            if is_rate(*value) {
                sums[(at - range.start) as usize] += value;
                counts[(at - range.start) as usize] += 1;
            }
        }
    }
    let means = sums.into_iter().zip(counts);
    means.map(|(sum, n)| sum / f64::from(n)).collect()
}
