//! Accuracy of the forecasts on real series: rolling origins, nothing later than the origin.
//!
//! `cargo run --release --example accuracy -- STEPS.csv series.tsv [--step 5m|1h|1d] [--horizon STEPS] [--first STEPS,…] [--raw OUT.csv] [--peers PEERS.csv]
//! [--every N] [--half 0|1] [--origins N] [--pooled] [--days N] [--model FILE]`. Asks for 48 steps, or as many as `--horizon` says, and scores the first `--first` of them;
//! `--origins N` takes N origins a few hours apart for each of the list; `--days` shows the forecasts only so many days before each origin. STEPS.csv comes from prepare.py, PEERS.csv from peers.py; `make bench-forecast` runs all three.
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
    SeriesInput, Step, forecast_series,
    neural::{Forecaster, Layout},
};
use foremesh_model::{
    History, InferenceSettings, RegionName, Series, SeriesKey, ServiceName, Timestamp,
};
use report::{BASELINE, ENSEMBLE, LAST_VALUE, Scores, WITHOUT_NET, report, write_raw};
use score::{Quantiles, Score, baseline, last_value, score};

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
    let step = option("--step").map_or(Ok(Step::Hour), |text| text.parse())?;
    let origins = option("--origins").map_or(Ok(1), |n| n.parse::<usize>())?;
    let windows = read_windows(list, step, every, half, origins)?;
    let horizon = option("--horizon").map_or(Ok(48), |n| n.parse::<usize>())?;
    let days = option("--days").map(|n| n.parse::<usize>()).transpose()?;
    let firsts = option("--first").map_or(Ok(vec![horizon]), |list| {
        list.split(',').map(str::parse::<usize>).collect()
    })?;
    let peers = option("--peers")
        .map(|path| read_peers(path))
        .transpose()?
        .unwrap_or_default();

    let layout = match step {
        Step::FiveMinutes => Layout::FIVE_MINUTES,
        _ => Layout::HOURLY,
    };
    let model = option("--model")
        .map(|path| net::load(path, layout, &InferenceSettings::default()))
        .transpose()?;
    let forecaster = model.as_ref().map(|model| Forecaster::new(model, layout));
    let of = |name: &str, series: &Data, origin: i64, others: &[(&str, &Data)], net| {
        let asked = Asked {
            step,
            horizon,
            days,
        };
        forecast(name, series, origin, asked, others, net)
    };
    let mut scores = vec![Scores::new(); firsts.len()];
    let mut moves = Vec::new();
    for (name, origin) in &windows {
        // Not every series is as fine as the steps.
        let Some(series) = data.get(name) else {
            continue;
        };
        let past = series.until(*origin);
        let from = past.len();
        let ahead = |first: usize| &series.values[from..series.values.len().min(from + first)];
        let is_known = |first: usize| {
            let known = ahead(first).iter().filter(|v| !v.is_nan()).count();
            known as f64 >= KNOWN * first as f64
        };
        if !firsts.iter().any(|first| is_known(*first)) {
            continue;
        }
        // By method: its quantiles, the time it took, its weight.
        let mut of_window: Vec<(String, Quantiles, f64, f64)> = vec![
            (BASELINE.into(), baseline(step, past, horizon), 0.0, 0.0),
            (LAST_VALUE.into(), last_value(past, horizon), 0.0, 0.0),
        ];
        let started = Instant::now();
        let others = if pooled {
            together(&data, &windows, *origin)
        } else {
            vec![]
        };
        let forecast = of(name, series, *origin, &others, forecaster)?;
        let ms = started.elapsed().as_secs_f64() * 1e3;
        for (method, quantiles, weight) in forecast.1 {
            of_window.push((method, quantiles, 0.0, weight));
        }
        of_window.push((ENSEMBLE.into(), forecast.0.clone(), ms, 0.0));
        if forecaster.is_some() {
            let started = Instant::now();
            let (alone, _) = of(name, series, *origin, &others, None)?;
            let ms = started.elapsed().as_secs_f64() * 1e3;
            of_window.push((WITHOUT_NET.into(), alone, ms, 0.0));
        }
        for (peer, by_window) in &peers {
            if let Some((quantiles, ms)) = by_window.get(&(name.clone(), *origin)) {
                of_window.push((peer.clone(), quantiles.clone(), *ms, 0.0));
            }
        }
        for (first, scores) in firsts.iter().zip(&mut scores) {
            if !is_known(*first) {
                continue;
            }
            let scored = of_window.iter().map(|(method, quantiles, ms, weight)| {
                let scored = score(step, past, ahead(*first), quantiles, *ms);
                let weight = *weight;
                (method.clone(), Score { weight, ..scored })
            });
            scores.insert((name.clone(), *origin), scored.collect());
        }
        if step != Step::Hour || horizon <= 24 {
            continue;
        }
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
    if let (Some(path), Some(scores)) = (option("--raw"), scores.first()) {
        write_raw(path, scores)?;
    }
    for (first, scores) in firsts.iter().zip(&scores) {
        println!("first {first} steps of {step}");
        report(scores);
    }
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

/// What is asked of each window.
#[derive(Clone, Copy)]
struct Asked {
    step: Step,
    horizon: usize,
    days: Option<usize>,
}

fn forecast(
    name: &str,
    series: &Data,
    origin: i64,
    asked: Asked,
    others: &[(&str, &Data)],
    forecaster: Option<Forecaster<'_>>,
) -> Result<Forecast, Box<dyn Error>> {
    let Asked {
        step,
        horizon,
        days,
    } = asked;
    let a_day = (86_400 / step.seconds()) as usize;
    let mut history = History::default();
    let region = RegionName::new("bench")?;
    let key = |name: &str| -> Result<SeriesKey, Box<dyn Error>> {
        Ok(SeriesKey::requests(region.clone(), ServiceName::new(name)?))
    };
    for (name, data) in others.iter().copied().chain([(name, series)]) {
        let known = data.until(origin);
        let hidden = days.map_or(0, |days| known.len().saturating_sub(days * a_day));
        let start = Timestamp::from_second((data.first + hidden as i64) * step.seconds())?;
        let values = known[hidden..].to_vec();
        history.series.insert(
            key(name)?,
            Series {
                start,
                step_s: step.seconds() as u32,
                values,
            },
        );
    }
    let as_of = Timestamp::from_second(origin * step.seconds())?;
    let mut forecasts = forecast_series(&SeriesInput {
        history: &history,
        as_of: Some(as_of),
        step,
        horizon: horizon as u32,
        forecaster,
        events: &[],
        business_metrics: None,
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
                && (series.first + 21 * 24..series.first + series.values.len() as i64)
                    .contains(&origin)
        })
        .map(|(name, series)| (name.as_str(), series))
        .collect()
}
