//! What business metrics that are known ahead are worth: services forecast with them and without. `cargo run --release --workspace --example
//! known_ahead -- [HOURLY.csv COLD.csv]`, which is `make bench-known-ahead`; both files come from planner/forecast/bench/prepare.py (the second with `--cold`).
//!
//! - Services of the synthetic prior with drivers that work at once, later, or not at all; no training draws these.
//! - The same services with the drivers of another one, which say nothing: what believing chance costs.
//! - Zones of an energy market, each with the next zone's demand as its metric; series of requests, each with the next one's. Nobody plans
//!   another's demand: this only shows what real series with a common cause, or with none, make of it.

#![allow(clippy::print_stdout)]

use std::{collections::BTreeMap, error::Error, fs, ops::Range};

use foremesh_forecast::{
    SeriesInput, Step, forecast_series,
    neural::{Forecaster, Layout, contract},
    pinball,
};
use foremesh_model::{
    History, InferenceSettings, QUANTILE_LEVELS, RegionName, Series, SeriesKey, ServiceName,
    Timestamp,
};
use foremesh_onnx::{Inference, Surroundings, read_model};
use foremesh_trainer::prior::Prior;

/// No training draws from it.
const SEED: u64 = 0x6b6e_6f77_6e61_6865;
const SERVICES: usize = 300;
const AHEAD: usize = 168;
/// Origins of a real series, weeks apart.
const ORIGINS: i64 = 12;
/// Hours that a series must have before an origin.
const LEAST_PAST: i64 = 6 * 168;
/// A Monday, 00:00 UTC, in hours since 1970.
const MONDAY: i64 = 491_856;

/// A series with what came, and metrics beside it, by hour since 1970.
struct Case {
    /// Cases of one series count as one together.
    series: String,
    first: i64,
    origin: i64,
    demand: Vec<f64>,
    metrics: Vec<Vec<f64>>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let inference = Inference::discover(&InferenceSettings::default(), Surroundings::default());
    let bytes = read_model("models/forecaster-1h.onnx".as_ref())?;
    let contract = contract(Layout::HOURLY);
    let model = inference.load(&bytes, "forecaster-1h.onnx", &contract)?;
    let net = Forecaster::new(&model, Layout::HOURLY);
    println!(
        "| | hours ahead | series | loss, with ÷ without | 95% | worst | 80% covers, with | without |"
    );
    println!("|---|---:|---:|---:|---|---:|---:|---:|");
    for weeks in [6, 12, 26] {
        let cases = of_prior(weeks * 168);
        report(&format!("synthetic, {weeks} weeks"), &cases, net)?;
        let foreign = with_next(cases, |case| case.metrics.clone());
        report(
            &format!("… metrics of another, {weeks} weeks"),
            &foreign,
            net,
        )?;
    }
    for path in &args {
        for (set, series) in read(path)? {
            let cases = of_real(&series);
            if cases.len() > 1 {
                report(&format!("{set}, the next one's demand"), &cases, net)?;
            }
        }
    }
    Ok(())
}

fn of_prior(past: usize) -> Vec<Case> {
    let prior = Prior::new(SEED, 3600);
    let tracks = (0..).map(|index| (index, prior.draw(index, past + AHEAD)));
    let driven = tracks.filter(|(_, track)| !track.metrics.is_empty());
    let wide = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect();
    let case = |(index, track): (u64, foremesh_trainer::Track)| {
        let first = MONDAY + i64::from(track.first_step_of_week);
        Case {
            series: format!("service-{index}"),
            first,
            origin: first + past as i64,
            demand: wide(&track.demand),
            metrics: track.metrics.iter().map(|metric| wide(metric)).collect(),
        }
    };
    driven.take(SERVICES).map(case).collect()
}

/// The same cases with what is made of the next one as metrics.
fn with_next(mut cases: Vec<Case>, of: impl Fn(&Case) -> Vec<Vec<f64>>) -> Vec<Case> {
    let next: Vec<Vec<Vec<f64>>> = cases
        .iter()
        .cycle()
        .skip(1)
        .take(cases.len())
        .map(of)
        .collect();
    for (case, metrics) in cases.iter_mut().zip(next) {
        case.metrics = metrics;
    }
    cases
}

/// Values by hour since 1970.
type Hours = BTreeMap<i64, f64>;

/// Series by set; a file without sets is one.
fn read(path: &str) -> Result<BTreeMap<String, BTreeMap<String, Hours>>, Box<dyn Error>> {
    let mut sets: BTreeMap<String, BTreeMap<String, Hours>> = BTreeMap::new();
    for line in fs::read_to_string(path)?.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let [.., series, hour, value] = fields[..] else {
            return Err(format!("{path}: {line:?} has too few fields").into());
        };
        let set = if fields.len() > 3 {
            fields[0]
        } else {
            "requests"
        };
        let of_set = sets.entry(set.into()).or_default();
        of_set
            .entry(series.into())
            .or_default()
            .insert(hour.parse()?, value.parse()?);
    }
    Ok(sets)
}

fn of_real(set: &BTreeMap<String, Hours>) -> Vec<Case> {
    let names: Vec<&String> = set.keys().collect();
    let mut cases = Vec::new();
    for (place, name) in names.iter().enumerate() {
        let (own, next) = (&set[*name], &set[names[(place + 1) % names.len()]]);
        let (Some((first, _)), Some((last, _))) = (own.first_key_value(), own.last_key_value())
        else {
            continue;
        };
        let (Some((from, _)), Some((until, _))) = (next.first_key_value(), next.last_key_value())
        else {
            continue;
        };
        let end = *last.min(until) + 1 - AHEAD as i64;
        for back in 0..ORIGINS {
            let origin = end - back * AHEAD as i64;
            let first = *first.max(&(origin - 26 * 168));
            if origin - first.max(*from) < LEAST_PAST {
                continue;
            }
            let over = |hours: &Hours| -> Vec<f64> {
                let at = |hour| hours.get(&hour).copied().unwrap_or(f64::NAN);
                (first..origin + AHEAD as i64).map(at).collect()
            };
            cases.push(Case {
                series: (*name).clone(),
                first,
                origin,
                demand: over(own),
                metrics: vec![over(next)],
            });
        }
    }
    cases
}

/// Weighted quantile losses of a case over the first two days and the week, and the share of hours within the 80% interval.
struct Score {
    losses: [f64; 2],
    covered: f64,
}

fn scores(cases: &[Case], net: Forecaster<'_>, with: bool) -> Result<Vec<Score>, Box<dyn Error>> {
    let (mut history, mut metrics) = (History::default(), History::default());
    let key = |index: usize, metric: &str| -> Result<SeriesKey, Box<dyn Error>> {
        Ok(SeriesKey {
            region: RegionName::new("here")?,
            service: ServiceName::new(format!("case-{index:05}"))?,
            metric: metric.into(),
        })
    };
    for (index, case) in cases.iter().enumerate() {
        let series = |values: &[f64]| -> Result<Series, Box<dyn Error>> {
            Ok(Series {
                start: Timestamp::from_second(case.first * 3600)?,
                step_s: 3600,
                values: values.to_vec(),
            })
        };
        let past = usize::try_from(case.origin - case.first)?;
        history.series.insert(
            key(index, "requests_per_second")?,
            series(&case.demand[..past])?,
        );
        for (place, metric) in case.metrics.iter().enumerate() {
            metrics
                .series
                .insert(key(index, &format!("metric_{place}"))?, series(metric)?);
        }
    }
    let forecasts = forecast_series(&SeriesInput {
        history: &history,
        as_of: None,
        step: Step::Hour,
        horizon: AHEAD as u32,
        forecaster: Some(net),
        events: &[],
        business_metrics: with.then_some(&metrics),
    })?;
    let level = |level: f64| QUANTILE_LEVELS.iter().position(|l| *l == level);
    let (low, high) = (level(0.1).ok_or("no 0.1")?, level(0.9).ok_or("no 0.9")?);
    let score = |(index, case): (usize, &Case)| -> Result<Score, Box<dyn Error>> {
        let rows = &forecasts[&key(index, "requests_per_second")?].quantiles_rps;
        let past = usize::try_from(case.origin - case.first)?;
        let actual = &case.demand[past..];
        let within = |hours: Range<usize>| {
            let rows = rows.iter().zip(actual).take(hours.end);
            rows.filter(|(_, actual)| !actual.is_nan())
        };
        let loss = |hours: usize| {
            within(0..hours)
                .map(|(levels, actual)| pinball(levels, *actual))
                .sum::<f64>()
        };
        let inside = within(0..AHEAD)
            .filter(|(levels, actual)| (levels[low]..=levels[high]).contains(actual));
        Ok(Score {
            losses: [loss(48), loss(AHEAD)],
            covered: inside.count() as f64 / within(0..AHEAD).count().max(1) as f64,
        })
    };
    cases.iter().enumerate().map(score).collect()
}

fn report(name: &str, cases: &[Case], net: Forecaster<'_>) -> Result<(), Box<dyn Error>> {
    let (with, without) = (scores(cases, net, true)?, scores(cases, net, false)?);
    let covered = |scores: &[Score]| {
        100.0 * scores.iter().map(|s| s.covered).sum::<f64>() / scores.len() as f64
    };
    for (place, hours) in [48, AHEAD].into_iter().enumerate() {
        let mut sums: BTreeMap<&str, [f64; 2]> = BTreeMap::new();
        for ((case, with), without) in cases.iter().zip(&with).zip(&without) {
            let sums = sums.entry(&case.series).or_default();
            sums[0] += with.losses[place];
            sums[1] += without.losses[place];
        }
        let logs: Vec<f64> = sums
            .values()
            .filter(|[a, b]| *a > 0.0 && *b > 0.0)
            .map(|[a, b]| (a / b).ln())
            .collect();
        let count = logs.len() as f64;
        let mean = logs.iter().sum::<f64>() / count;
        let squares: f64 = logs.iter().map(|log| (log - mean).powi(2)).sum();
        let error = (squares / (count - 1.0).max(1.0) / count).sqrt();
        let worst = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        println!(
            "| {name} | {hours} | {count} | {:.3} | {:.3} to {:.3} | {:.2} | {:.1}% | {:.1}% |",
            mean.exp(),
            (mean - 1.96 * error).exp(),
            (mean + 1.96 * error).exp(),
            worst.exp(),
            covered(&with),
            covered(&without),
        );
    }
    Ok(())
}
