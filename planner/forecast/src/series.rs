//! Every series of a history on its own: the command `foremesh forecast`, and the benchmark.

mod read;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
};

use foremesh_model::{
    Event, History, METRIC_REQUESTS_PER_SECOND, Series, SeriesKey, Severity, Timestamp, Warning,
};

use crate::{
    blend::{self, Part, Width},
    business::BusinessMetrics,
    calibrate::Shapes,
    check::check_events,
    error::ForecastError,
    events::{self, Occurrences},
    intermittent,
    neural::Forecaster,
    notes::Notes,
    step::Step,
    steps::Steps,
};

use self::read::Read;

/// Series that the calibration learns from; more would tell it little, and nothing can be handed over before they are done.
pub const POOLED: usize = 128;
/// Series that are forecast before they are handed over. What they are is independent of it.
const AT_ONCE: usize = 64;

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

/// What is asked of the series of a history.
#[derive(Debug, Clone, Copy)]
pub struct SeriesInput<'a> {
    /// Everything measured; only requests a second are forecast.
    pub history: &'a History,
    /// The instant after which nothing is looked at; None: each series' own end.
    pub as_of: Option<Timestamp>,
    /// The steps that are forecast; those of the history must be as fine.
    pub step: Step,
    /// Steps ahead, 1 … [`Step::most_horizon`].
    pub horizon: u32,
    /// The net that joins the statistical methods, of a layout with these steps; None: they forecast alone.
    pub forecaster: Option<Forecaster<'a>>,
    /// What moved demand in the past, and what will.
    pub events: &'a [Event],
    /// Other metrics of the same regions and services, at most [`crate::MOST_BUSINESS_METRICS`]; unlike the history they are looked at beyond its end, where their
    /// values are what is planned.
    pub business_metrics: Option<&'a History>,
}

/// What the calibration learned from some series, for all.
struct Pool {
    shapes: Shapes,
    width: Width,
}

/// Every series of requests a second, forecast; see [`forecast_each`].
///
/// # Errors
/// Those of [`forecast_each`].
pub fn forecast_series(
    input: &SeriesInput<'_>,
) -> Result<BTreeMap<SeriesKey, SeriesForecast>, ForecastError> {
    let mut all = BTreeMap::new();
    forecast_each(input, &mut |key, forecast| {
        all.insert(key.clone(), forecast);
        ControlFlow::Continue(())
    })?;
    Ok(all)
}

/// Forecasts every series of requests a second and hands each to `each` as soon as it is there, in the order of their keys; `each` may end
/// it. Weekly and daily profiles are those of UTC.
///
/// The calibration learns from many series at once and must wait for them: it learns from [`POOLED`] of them, evenly spread over their order. All others are
/// forecast and handed over some at a time, so that neither time to the first nor memory grows with their number. Equal inputs give
/// equal answers, whatever the number of threads. Returns what is to beware of: series of which nothing is known, or little.
///
/// # Errors
/// [`ForecastError::SeriesHorizon`], [`ForecastError::Coarse`], [`ForecastError::NetStep`], [`ForecastError::EventTimes`], [`ForecastError::EventUplift`],
/// [`ForecastError::BusinessMetrics`], [`ForecastError::EmptyHistory`] and [`ForecastError::Neural`].
pub fn forecast_each(
    input: &SeriesInput<'_>,
    each: &mut dyn FnMut(&SeriesKey, SeriesForecast) -> ControlFlow<()>,
) -> Result<Vec<Warning>, ForecastError> {
    input.check()?;
    let mut notes = Notes::of("series");
    let all: Vec<(&SeriesKey, &Series)> = input
        .history
        .series
        .iter()
        .filter(|(key, _)| key.metric == METRIC_REQUESTS_PER_SECOND)
        .filter(|(key, series)| input.is_known(key, series, &mut notes))
        .collect();
    if all.is_empty() {
        let as_of = input
            .as_of
            .or_else(|| input.history.series.values().map(Series::end).max());
        return Err(ForecastError::EmptyHistory {
            as_of: as_of.unwrap_or(Timestamp::UNIX_EPOCH),
        });
    }
    let pooled: BTreeSet<usize> = (0..all.len().min(POOLED))
        .map(|place| place * all.len() / all.len().min(POOLED))
        .collect();
    let metrics = BusinessMetrics::of(input.business_metrics)?;
    let is_of = |key: &SeriesKey| metrics.has(&key.region, &key.service);
    metrics.note_unmatched(all.iter().any(|(key, _)| is_of(key)), "history", &mut notes);
    let occurrences = input.occurrences(&all, &metrics);
    let chosen: Vec<(&SeriesKey, &Series)> = pooled.iter().map(|place| all[*place]).collect();
    let read = input.read(&chosen, &metrics);
    let shapes = Shapes::learn(input.step, read.iter().flatten().map(|read| &read.combined));
    let parts = input.parts(&shapes, &read)?;
    let width = Width::learn(input.step, parts.iter().flatten());
    let pool = Pool { shapes, width };
    let mut done: BTreeMap<usize, (Option<Read<'_>>, Option<Part>)> = pooled
        .into_iter()
        .zip(read.into_iter().zip(parts))
        .collect();

    for from in (0..all.len()).step_by(AT_ONCE) {
        let places = from..all.len().min(from + AT_ONCE);
        let missing: Vec<(&SeriesKey, &Series)> = places
            .clone()
            .filter(|place| !done.contains_key(place))
            .map(|place| all[place])
            .collect();
        let read = input.read(&missing, &metrics);
        let parts = input.parts(&pool.shapes, &read)?;
        let mut new = read.into_iter().zip(parts);
        let (read, parts): (Vec<_>, Vec<_>) = places
            .filter_map(|place| done.remove(&place).or_else(|| new.next()))
            .unzip();
        let blended = blend::finish(&input.known(&read), parts, &pool.width);
        for (read, blended) in read.into_iter().zip(blended) {
            let (Some(read), Some(blended)) = (read, blended) else {
                continue;
            };
            let forecast = read.answer(input, &blended, &occurrences, &mut notes);
            if each(read.key, forecast).is_break() {
                return Ok(notes.finish());
            }
        }
    }
    Ok(notes.finish())
}

impl SeriesInput<'_> {
    fn check(&self) -> Result<(), ForecastError> {
        check_events(self.events)?;
        let step = self.step;
        if !(1..=step.most_horizon()).contains(&self.horizon) {
            return Err(ForecastError::SeriesHorizon {
                horizon_s: step.seconds() * i64::from(self.horizon),
                step,
            });
        }
        if let Some(forecaster) = self.forecaster
            && i64::from(forecaster.layout().step_s) != step.seconds()
        {
            return Err(ForecastError::NetStep {
                of_net_s: i64::from(forecaster.layout().step_s),
                step,
            });
        }
        let coarse = self.history.series.iter().find(|(key, series)| {
            key.metric == METRIC_REQUESTS_PER_SECOND && i64::from(series.step_s) > step.seconds()
        });
        coarse.map_or(Ok(()), |(key, series)| {
            Err(ForecastError::Coarse {
                region: key.region.clone(),
                service: key.service.clone(),
                step_s: i64::from(series.step_s),
                step,
            })
        })
    }

    fn known_until(&self, series: &Series) -> Timestamp {
        self.as_of.unwrap_or_else(|| series.end())
    }

    /// Whether anything is known of a series by then; says where that is nothing, or so little that it is forecast in another way.
    fn is_known(&self, key: &SeriesKey, series: &Series, notes: &mut Notes) -> bool {
        let step = self.step;
        let steps = Steps::of(step, series, self.known_until(series));
        let mut note = |severity, code, text: String| {
            notes.about(
                severity,
                code,
                format!("{} {}", key.region, key.service),
                text,
            );
        };
        if steps.values.is_empty() {
            let text = "nothing is known of it by then: it is left out";
            note(Severity::Caution, "nothing_known", text.into());
            return false;
        }
        let known = steps.values.iter().filter(|value| !value.is_nan());
        if known.clone().all(|value| *value == 0.0) {
            let text = "it shows no request at all: its demand is forecast as nothing";
            note(Severity::Caution, "no_requests", text.into());
        } else if known.count() < 2 * step.week() {
            let text = "less than two weeks of its history are known: no weekly profile can be learned and the quantiles are mostly assumed";
            note(Severity::Caution, "short_history", text.into());
        } else if intermittent::rests(step, &steps.values) {
            let text = "it rests more than half of the time: whether it is busy and how busy it is are forecast apart, without the methods and the net";
            note(Severity::Note, "intermittent", text.into());
        }
        let read_s = step.kept_weeks() as i64 * 7 * 86_400;
        if self.known_until(series).as_second() - series.start.as_second() > read_s {
            let text = format!(
                "its history is longer than {} weeks: only the last are read",
                step.kept_weeks()
            );
            note(Severity::Note, "long_history", text);
        }
        true
    }

    /// What past events without a known uplift did to all series.
    fn occurrences(
        &self,
        all: &[(&SeriesKey, &Series)],
        metrics: &BusinessMetrics<'_>,
    ) -> Occurrences {
        let mut occurrences = Occurrences::new();
        if self.events.iter().any(|event| event.uplift.is_none()) {
            for (key, series) in all {
                let known = self.history_of(key, series, metrics);
                let (measured, clean) = (&known.measured, &known.clean);
                let of = (&key.region, &key.service);
                events::learn(
                    &mut occurrences,
                    self.step,
                    measured,
                    clean,
                    &known.events,
                    of,
                );
            }
        }
        occurrences
    }

    fn parts(
        &self,
        shapes: &Shapes,
        read: &[Option<Read<'_>>],
    ) -> Result<Vec<Option<Part>>, ForecastError> {
        Ok(blend::parts(self.forecaster, shapes, &self.known(read))?)
    }
}
