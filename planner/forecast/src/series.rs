//! Every series of a history on its own: the command `foremesh forecast`, and the benchmark.

use std::collections::BTreeMap;

use foremesh_model::{History, METRIC_REQUESTS_PER_SECOND, SeriesKey, Timestamp};
use jiff::tz::TimeZone;
use rayon::prelude::*;

use crate::{
    calibrate::Shapes,
    combine::{self, Combined},
    error::{ForecastError, MOST_HORIZON_HOURS},
    hourly::{Calendar, Hourly, start_of},
};

/// The forecast of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesForecast {
    /// When the first step begins.
    pub starts: Timestamp,
    /// Seconds of a step.
    pub step_s: u32,
    /// `quantiles_rps[step][level]` for [`foremesh_model::QUANTILE_LEVELS`], in requests a second; never falling with the level.
    pub quantiles_rps: Vec<Vec<f64>>,
    /// What each method alone says, in the order of reports.
    pub methods: Vec<MethodQuantiles>,
}

/// What one method alone says, uncalibrated.
#[derive(Debug, Clone, PartialEq)]
pub struct MethodQuantiles {
    /// Its name.
    pub name: &'static str,
    /// Its weight in the weighted average, 0 … 1, from the backtest.
    pub weight: f64,
    /// `quantiles_rps[step][level]`, in requests a second.
    pub quantiles_rps: Vec<Vec<f64>>,
}

/// Forecasts every series of requests a second, `horizon_steps` hours ahead of `as_of`, or of each series' own end without it.
/// Weekly and daily profiles are those of UTC. Nothing is drawn today: the seed is kept for methods that will.
///
/// # Errors
/// [`ForecastError::Horizon`] and [`ForecastError::EmptyHistory`].
pub fn forecast_series(
    history: &History,
    as_of: Option<Timestamp>,
    horizon_steps: u32,
    _seed: u64,
) -> Result<BTreeMap<SeriesKey, SeriesForecast>, ForecastError> {
    if !(1..=MOST_HORIZON_HOURS).contains(&horizon_steps) {
        return Err(ForecastError::Horizon(u64::from(horizon_steps)));
    }
    let horizon = horizon_steps as usize;
    let combined: Vec<(&SeriesKey, i64, usize, Combined)> = history
        .series
        .par_iter()
        .filter(|(key, _)| key.metric == METRIC_REQUESTS_PER_SECOND)
        .filter_map(|(key, series)| {
            let known_until = as_of.unwrap_or_else(|| series.end());
            let hourly = Hourly::of(series, known_until);
            let starts = as_of.map_or(hourly.next_hour(), |at| {
                (at.as_second() + 3599).div_euclid(3600)
            });
            let lead = usize::try_from(starts - hourly.next_hour()).unwrap_or(0);
            let calendar = Calendar::new(
                &TimeZone::UTC,
                hourly.first_hour,
                hourly.next_hour() + (lead + horizon) as i64,
            );
            let hour_of_week =
                calendar.slice(hourly.first_hour, hourly.values.len() + lead + horizon);
            let combined = combine::combine(&hourly.values, hour_of_week, lead + horizon)?;
            Some((key, starts, lead, combined))
        })
        .collect();
    if combined.is_empty() {
        let as_of = as_of.or_else(|| history.series.values().map(|s| s.end()).max());
        return Err(ForecastError::EmptyHistory {
            as_of: as_of.unwrap_or(Timestamp::UNIX_EPOCH),
        });
    }
    let shapes = Shapes::learn(combined.iter().map(|(.., combined)| combined));
    Ok(combined
        .par_iter()
        .map(|(key, starts, lead, combined)| {
            let quantiles = shapes.apply(combined);
            let rows = |levels: &[[f64; 14]]| {
                levels[*lead..]
                    .iter()
                    .map(|levels| levels.to_vec())
                    .collect()
            };
            let forecast = SeriesForecast {
                starts: start_of(*starts),
                step_s: 3600,
                quantiles_rps: rows(&quantiles),
                methods: combined
                    .methods
                    .iter()
                    .map(|method| MethodQuantiles {
                        name: method.name,
                        weight: method.weight,
                        quantiles_rps: method.levels[*lead..]
                            .iter()
                            .map(|levels| levels.map(|z| combined.scale.back(z)).to_vec())
                            .collect(),
                    })
                    .collect(),
            };
            ((*key).clone(), forecast)
        })
        .collect())
}
