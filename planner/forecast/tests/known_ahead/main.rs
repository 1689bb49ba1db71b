//! What is known ahead moves forecasts: events, with a known uplift or one that is learned, and business metrics that demand follows. On all three grids,
//! and in a region's forecast.

#![allow(clippy::unwrap_used)]

mod events;
mod metrics;
mod region;

use std::{collections::BTreeMap, ops::ControlFlow};

use foremesh_forecast::{
    DaysOff, ForecastError, ForecastInput, MOST_BUSINESS_METRICS, RegionForecast, SeriesForecast,
    SeriesInput, Step, forecast_each, forecast_region, forecast_series,
};
use foremesh_model::{
    Event, History, RegionName, RegionRequest, Series, SeriesKey, ServiceName, Timestamp, Warning,
    random::{mix, uniform},
};

/// A Monday, 00:00 UTC, in days since 1970.
const MONDAY: i64 = 20_494;
const MEDIAN: usize = 6;

fn key(region: &str, metric: &str) -> SeriesKey {
    SeriesKey {
        region: RegionName::new(region).unwrap(),
        service: ServiceName::new("shop").unwrap(),
        metric: metric.into(),
    }
}

/// Series of steps from the Monday on.
fn series(step: Step, values: Vec<f64>) -> Series {
    Series {
        start: Timestamp::from_second(MONDAY * 86_400).unwrap(),
        step_s: step.seconds() as u32,
        values,
    }
}

fn a_day(step: Step) -> usize {
    (86_400 / step.seconds()) as usize
}

/// By step of so many days: a week of demand with noise.
fn demand(step: Step, days: usize) -> Vec<f64> {
    let day = a_day(step);
    (0..days * day)
        .map(|at| {
            let of_day = (at as f64 / day as f64 * std::f64::consts::TAU).sin();
            let weekend = if at / day % 7 >= 5 { 0.7 } else { 1.0 };
            let noise = 1.0 + 0.04 * (uniform(mix(7, at as u64)) - 0.5);
            100.0 * weekend * (1.5 + 0.5 * of_day) * noise
        })
        .collect()
}

/// Spend that is doubled or more on some days, at random.
fn spend(step: Step, days: usize) -> Vec<f64> {
    let on = |day: usize| uniform(mix(11, day as u64)) < 0.25;
    let day = a_day(step);
    (0..days * day)
        .map(|at| {
            if on(at / day) {
                1000.0 * (2.0 + uniform(mix(12, (at / day) as u64)))
            } else {
                1000.0
            }
        })
        .collect()
}

/// Demand that follows spend by a power, some steps later.
fn following(demand: Vec<f64>, spend: &[f64], elasticity: f64, lag: usize) -> Vec<f64> {
    let followed = demand.into_iter().enumerate();
    followed
        .map(|(at, value)| value * (spend[at.saturating_sub(lag)] / 1000.0).powf(elasticity))
        .collect()
}

fn history(of: Vec<(SeriesKey, Series)>) -> History {
    History {
        series: of.into_iter().collect(),
    }
}

fn asked(history: &History, step: Step, horizon: usize) -> SeriesInput<'_> {
    SeriesInput {
        history,
        as_of: None,
        step,
        horizon: horizon as u32,
        forecaster: None,
        events: &[],
        business_metrics: None,
    }
}

fn told(input: &SeriesInput<'_>) -> (SeriesForecast, Vec<Warning>) {
    let mut all = Vec::new();
    let warnings = forecast_each(input, &mut |_, forecast| {
        all.push(forecast);
        ControlFlow::Continue(())
    });
    (all.remove(0), warnings.unwrap())
}

fn has(warnings: &[Warning], code: &str) -> bool {
    warnings.iter().any(|warning| warning.code == code)
}

fn at_day(day: f64) -> Timestamp {
    Timestamp::from_second(MONDAY * 86_400 + (day * 86_400.0) as i64).unwrap()
}

fn event(name: &str, from: f64, to: f64, uplift: Option<f64>) -> Event {
    Event {
        name: name.into(),
        starts: at_day(from),
        ends: at_day(to),
        uplift,
        known_since: None,
        services: vec![],
        regions: vec![],
    }
}

/// The median of a step with what is known, in units of the median without.
fn ratio(with: &SeriesForecast, without: &SeriesForecast, step: usize) -> f64 {
    with.quantiles_rps[step][MEDIAN] / without.quantiles_rps[step][MEDIAN]
}
