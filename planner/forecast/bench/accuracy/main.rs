//! Accuracy of the forecasts on real series: rolling origins, nothing later than the origin.
//!
//! `cargo run --release --example accuracy -- HOURLY.csv series.tsv [--horizon HOURS] [--first HOURS] [--raw OUT.csv] [--peers PEERS.csv]
//! [--every N] [--half 0|1] [--pooled] [--days N] [--model FILE]`. Asks for 48 hours, or as many as `--horizon` says, and scores the first `--first` of them;
//! `--days` shows the forecasts only so many days before each origin. HOURLY.csv comes from prepare.py, PEERS.csv from peers.py; `make bench-forecast` runs all three.
//! Each window is forecast from its series alone, where calibration has the least to pool, or with `--pooled` together with the
//! other series that were measured then.

#![allow(clippy::print_stdout)]

mod data;
#[path = "../net.rs"]
mod net;
mod report;
mod score;

use std::{collections::BTreeMap, error::Error, time::Instant};

use data::{Data, Windows, read_peers, read_series, read_windows};

use foremesh_forecast::{
    SeriesInput, forecast_series,
    neural::{Forecaster, Layout},
};
use foremesh_model::{
    History, InferenceSettings, RegionName, Series, SeriesKey, ServiceName, Timestamp,
};
use report::{BASELINE, ENSEMBLE, Scores, WITHOUT_NET, report, write_raw};
use score::{Quantiles, Score, baseline, score};

/// A window is scored where this share of its hours is known.
const KNOWN: f64 = 0.8;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        args.iter()
            .position(|a| a == name)
            .and_then(|i| args.get(i + 1))
    };
    let [hourly, list, ..] = &args[..] else {
        return Err("usage: accuracy HOURLY.csv series.tsv".into());
    };
    let data = read_series(hourly)?;
    let every = option("--every").map_or(Ok(1), |n| n.parse::<usize>())?;
    let pooled = args.iter().any(|a| a == "--pooled");
    let half = option("--half").map(|n| n.parse::<usize>()).transpose()?;
    let windows = read_windows(list, every, half)?;
    let horizon = option("--horizon").map_or(Ok(48), |n| n.parse::<usize>())?;
    let days = option("--days").map(|n| n.parse::<usize>()).transpose()?;
    let first = option("--first").map_or(Ok(horizon), |n| n.parse::<usize>())?;
    let peers = option("--peers")
        .map(|path| read_peers(path))
        .transpose()?
        .unwrap_or_default();

    let model = option("--model")
        .map(|path| net::load(path, &InferenceSettings::default()))
        .transpose()?;
    let forecaster = model
        .as_ref()
        .map(|model| Forecaster::new(model, Layout::HOURLY));
    let of = |name: &str, series: &Data, origin: i64, others: &[(&str, &Data)], net| {
        forecast(name, series, origin, horizon, days, others, net)
    };
    let mut scores = Scores::new();
    let mut moves = Vec::new();
    for (name, origin) in &windows {
        let series = &data[name];
        let past = series.until(*origin);
        let from = past.len();
        let actual = &series.values[from..series.values.len().min(from + first)];
        let known = actual.iter().filter(|v| !v.is_nan()).count();
        if (known as f64) < KNOWN * first as f64 {
            continue;
        }
        let mut of_window = vec![(
            BASELINE.to_owned(),
            score(past, actual, &baseline(past, first), 0.0),
        )];
        let started = Instant::now();
        let others = if pooled {
            together(&data, &windows, *origin)
        } else {
            vec![]
        };
        let forecast = of(name, series, *origin, &others, forecaster)?;
        let ms = started.elapsed().as_secs_f64() * 1e3;
        for (method, quantiles, weight) in forecast.1 {
            let scored = score(past, actual, &quantiles, 0.0);
            of_window.push((method, Score { weight, ..scored }));
        }
        if let Ok(path) = std::env::var("ACC_DUMP") {
            use std::io::Write as _;
            let mut f = std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)?;
            for (h, a) in actual.iter().enumerate() {
                if a.is_nan() {
                    continue;
                }
                let q = &forecast.0[h];
                writeln!(
                    f,
                    "{name},{origin},{h},{a},{},{},{},{}",
                    q[2], q[6], q[10], q[12]
                )?;
            }
        }
        of_window.push((ENSEMBLE.to_owned(), score(past, actual, &forecast.0, ms)));
        if forecaster.is_some() {
            let started = Instant::now();
            let (alone, _) = of(name, series, *origin, &others, None)?;
            let ms = started.elapsed().as_secs_f64() * 1e3;
            of_window.push((WITHOUT_NET.to_owned(), score(past, actual, &alone, ms)));
        }
        for (peer, by_window) in &peers {
            if let Some((quantiles, ms)) = by_window.get(&(name.clone(), *origin)) {
                of_window.push((peer.clone(), score(past, actual, quantiles, *ms)));
            }
        }
        scores.insert((name.clone(), *origin), of_window);
        let others = if pooled {
            together(&data, &windows, *origin - 24)
        } else {
            vec![]
        };
        let yesterday = of(name, series, origin - 24, &others, forecaster)?.0;
        moves.extend((24..horizon.min(48)).map(|hour| {
            (
                ((forecast.0[hour - 24][12] + 1e-9) / (yesterday[hour][12] + 1e-9))
                    .ln()
                    .abs(),
                (name.clone(), *origin),
            )
        }));
    }
    if let Some(path) = option("--raw") {
        write_raw(path, &scores)?;
    }
    report(&scores);
    if moves.is_empty() {
        return Ok(());
    }
    let mut sizes: Vec<f64> = moves.iter().map(|(size, _)| *size).collect();
    sizes.sort_by(f64::total_cmp);
    println!(
        "\nStability: |Δ log q0.99| of the same hour between origins a day apart: median {:.3}, 0.9 quantile {:.3}",
        sizes[sizes.len() / 2],
        sizes[sizes.len() * 9 / 10]
    );
    Ok(())
}

/// Quantiles of the ensemble, and of each method its name, quantiles and weight.
type Forecast = (Quantiles, Vec<(String, Quantiles, f64)>);

fn forecast(
    name: &str,
    series: &Data,
    origin: i64,
    horizon: usize,
    days: Option<usize>,
    others: &[(&str, &Data)],
    forecaster: Option<Forecaster<'_>>,
) -> Result<Forecast, Box<dyn Error>> {
    let mut history = History::default();
    let region = RegionName::new("bench")?;
    let key = |name: &str| -> Result<SeriesKey, Box<dyn Error>> {
        Ok(SeriesKey::requests(region.clone(), ServiceName::new(name)?))
    };
    for (name, data) in others.iter().copied().chain([(name, series)]) {
        let known = data.until(origin);
        let hidden = days.map_or(0, |days| known.len().saturating_sub(days * 24));
        let start = Timestamp::from_second((data.first_hour + hidden as i64) * 3600)?;
        let values = known[hidden..].to_vec();
        history.series.insert(
            key(name)?,
            Series {
                start,
                step_s: 3600,
                values,
            },
        );
    }
    let as_of = Timestamp::from_second(origin * 3600)?;
    let mut forecasts = forecast_series(&SeriesInput {
        history: &history,
        as_of: Some(as_of),
        horizon_hours: horizon as u32,
        forecaster,
    })?;
    let forecast = forecasts.remove(&key(name)?).ok_or("no forecast")?;
    let methods = forecast
        .methods
        .into_iter()
        .map(|m| (m.name.to_owned(), m.quantiles_rps, m.weight))
        .collect();
    Ok((forecast.quantiles_rps, methods))
}

/// The other series of the list that were measured at an origin, for calibration together.
fn together<'a>(
    data: &'a BTreeMap<String, Data>,
    windows: &Windows,
    origin: i64,
) -> Vec<(&'a str, &'a Data)> {
    data.iter()
        .filter(|(name, series)| {
            windows.iter().any(|(listed, _)| listed == *name)
                && (series.first_hour + 21 * 24..series.first_hour + series.values.len() as i64)
                    .contains(&origin)
        })
        .map(|(name, series)| (name.as_str(), series))
        .collect()
}
