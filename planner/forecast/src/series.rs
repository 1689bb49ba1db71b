//! Every series of a history on its own: the command `foremesh forecast`, and the benchmark.

use std::collections::BTreeMap;

use foremesh_model::{History, METRIC_REQUESTS_PER_SECOND, SeriesKey, Timestamp};
use jiff::tz::TimeZone;
use rayon::prelude::*;

use crate::{
    blend::{self, Blended, Known},
    calibrate::Shapes,
    combine::{self, Combined},
    error::{ForecastError, MOST_HORIZON_HOURS},
    hourly::{Calendar, Hourly, start_of},
    neural::Forecaster,
    quantiles::Levels,
};

/// The net's name in reports.
const NEURAL: &str = "neural";

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
    /// Its weight, 0 … 1, from the backtest: the net's against all others together, theirs in their weighted average.
    pub weight: f64,
    /// `quantiles_rps[step][level]`, in requests a second.
    pub quantiles_rps: Vec<Vec<f64>>,
}

/// A series and what the statistical methods say of it.
struct Read<'a> {
    key: &'a SeriesKey,
    starts: i64,
    /// Hours between the end of the history and the first that is asked for.
    lead: usize,
    hourly: Hourly,
    calendar: Calendar,
    combined: Combined,
}

/// Forecasts every series of requests a second, `horizon_steps` hours ahead of `as_of`, or of each series' own end without it; with
/// `forecaster`, a net joins the statistical methods. Weekly and daily profiles are those of UTC. Nothing is drawn today: the seed is kept
/// for methods that will.
///
/// # Errors
/// [`ForecastError::Horizon`], [`ForecastError::EmptyHistory`] and [`ForecastError::Neural`].
pub fn forecast_series(
    history: &History,
    as_of: Option<Timestamp>,
    horizon_steps: u32,
    _seed: u64,
    forecaster: Option<Forecaster<'_>>,
) -> Result<BTreeMap<SeriesKey, SeriesForecast>, ForecastError> {
    if !(1..=MOST_HORIZON_HOURS).contains(&horizon_steps) {
        return Err(ForecastError::Horizon(u64::from(horizon_steps)));
    }
    let horizon = horizon_steps as usize;
    let read: Vec<Read<'_>> = history
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
            let hour_of_week = hours_of_week(&calendar, &hourly, lead + horizon);
            let combined = combine::combine(&hourly.values, hour_of_week, lead + horizon)?;
            Some(Read {
                key,
                starts,
                lead,
                hourly,
                calendar,
                combined,
            })
        })
        .collect();
    if read.is_empty() {
        let as_of = as_of.or_else(|| history.series.values().map(|s| s.end()).max());
        return Err(ForecastError::EmptyHistory {
            as_of: as_of.unwrap_or(Timestamp::UNIX_EPOCH),
        });
    }
    let shapes = Shapes::learn(read.iter().map(|read| &read.combined));
    let known: Vec<Option<Known<'_>>> = read
        .iter()
        .map(|read| {
            Some(Known {
                combined: &read.combined,
                values: &read.hourly.values,
                hour_of_week: hours_of_week(&read.calendar, &read.hourly, read.lead + horizon),
                day_off: &[],
            })
        })
        .collect();
    let blended = blend::blend(forecaster, &shapes, &known)?;
    Ok(read
        .into_iter()
        .zip(blended.into_iter().flatten())
        .map(|(read, blended)| (read.key.clone(), read.answer(blended)))
        .collect())
}

fn hours_of_week<'a>(calendar: &'a Calendar, hourly: &Hourly, ahead: usize) -> &'a [u16] {
    calendar.slice(hourly.first_hour, hourly.values.len() + ahead)
}

impl Read<'_> {
    fn answer(self, blended: Blended) -> SeriesForecast {
        let rows = |levels: &[Levels]| -> Vec<Vec<f64>> {
            let from = self.lead.min(levels.len());
            levels[from..]
                .iter()
                .map(|levels| levels.to_vec())
                .collect()
        };
        let of_net = blended.net.as_ref().map_or(0.0, |(_, weight)| *weight);
        let statistical = self.combined.methods.iter().map(|method| {
            let levels: Vec<Levels> = method
                .levels
                .iter()
                .map(|levels| levels.map(|z| self.combined.scale.back(z)))
                .collect();
            MethodQuantiles {
                name: method.name,
                weight: (1.0 - of_net) * method.weight,
                quantiles_rps: rows(&levels),
            }
        });
        let net = blended.net.iter().map(|(levels, weight)| MethodQuantiles {
            name: NEURAL,
            weight: *weight,
            quantiles_rps: rows(levels),
        });
        SeriesForecast {
            starts: start_of(self.starts),
            step_s: 3600,
            quantiles_rps: rows(&blended.levels),
            methods: statistical.chain(net).collect(),
        }
    }
}
