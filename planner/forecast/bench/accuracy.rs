//! Accuracy of the forecasts on real series: rolling origins, 48 hours ahead, nothing later than the origin.
//!
//! `cargo run --release -p foremesh-forecast --example accuracy -- HOURLY.csv series.tsv [--raw OUT.csv] [--peers PEERS.csv]
//! [--every N] [--half 0|1] [--pooled] [--model FILE]`. HOURLY.csv comes from prepare.py, PEERS.csv from peers.py; `make bench-forecast` runs all three.
//! Each window is forecast from its series alone, where calibration has the least to pool, or with `--pooled` together with the
//! other series that were measured then.

#![allow(clippy::print_stdout)]

use std::{collections::BTreeMap, error::Error, fmt::Write as _, fs, path::Path, time::Instant};

use foremesh_forecast::{
    forecast_series,
    neural::{Forecaster, Layout, contract},
};
use foremesh_model::{
    History, InferenceSettings, QUANTILE_LEVELS, RegionName, Series, SeriesKey, ServiceName,
    Timestamp,
};
use foremesh_onnx::{Inference, Model, Surroundings, read_model};

const HORIZON: usize = 48;
const WEEK: usize = 168;
const BASELINE: &str = "seasonal naive (168 h)";
const ENSEMBLE: &str = "foremesh ensemble";

type Quantiles = Vec<Vec<f64>>;
type Windows = Vec<(String, i64)>;
/// A method's score and the baseline's on the same window.
type Pair = (Score, Score);
type OfSeries<'a> = dyn Fn(&[Pair]) -> f64 + 'a;

/// What one method scores on one window.
#[derive(Debug, Clone, Copy, Default)]
struct Score {
    mase: f64,
    weighted_quantile_loss: f64,
    covered_80: f64,
    covered_99: f64,
    pinball_99: f64,
    width_99: f64,
    ms: f64,
    /// A method's weight in the ensemble's weighted average, by its backtest.
    weight: f64,
}

struct Data {
    first_hour: i64,
    values: Vec<f64>,
}

impl Data {
    fn until(&self, origin: i64) -> &[f64] {
        let end = usize::try_from(origin - self.first_hour)
            .unwrap_or(0)
            .min(self.values.len());
        &self.values[..end]
    }
}

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
    let peers = option("--peers")
        .map(|path| read_peers(path))
        .transpose()?
        .unwrap_or_default();

    let model = option("--model")
        .map(|path| -> Result<Model, Box<dyn Error>> {
            let settings = InferenceSettings::default();
            let inference = Inference::discover(&settings, Surroundings::of_process());
            let bytes = read_model(Path::new(path))?;
            Ok(inference.load(&bytes, path, &contract(Layout::HOURLY))?)
        })
        .transpose()?;
    let forecaster = model
        .as_ref()
        .map(|model| Forecaster::new(model, Layout::HOURLY));
    let of = |name: &str, series: &Data, origin: i64, others: &[(&str, &Data)]| {
        forecast(name, series, origin, others, forecaster)
    };
    let mut scores: BTreeMap<(String, i64), Vec<(String, Score)>> = BTreeMap::new();
    let mut moves = Vec::new();
    for (name, origin) in &windows {
        let series = &data[name];
        let past = series.until(*origin);
        let from = past.len();
        let actual = &series.values[from..from + HORIZON];
        let mut of_window = vec![(
            BASELINE.to_owned(),
            score(past, actual, &baseline(past), 0.0),
        )];
        let started = Instant::now();
        let others = if pooled {
            together(&data, &windows, *origin)
        } else {
            vec![]
        };
        let forecast = of(name, series, *origin, &others)?;
        let ms = started.elapsed().as_secs_f64() * 1e3;
        for (method, quantiles, weight) in forecast.1 {
            let scored = score(past, actual, &quantiles, 0.0);
            of_window.push((method, Score { weight, ..scored }));
        }
        of_window.push((ENSEMBLE.to_owned(), score(past, actual, &forecast.0, ms)));
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
        let yesterday = of(name, series, origin - 24, &others)?.0;
        moves.extend((24..HORIZON).map(|hour| {
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
    others: &[(&str, &Data)],
    forecaster: Option<Forecaster<'_>>,
) -> Result<Forecast, Box<dyn Error>> {
    let mut history = History::default();
    let region = RegionName::new("bench")?;
    let key = |name: &str| -> Result<SeriesKey, Box<dyn Error>> {
        Ok(SeriesKey::requests(region.clone(), ServiceName::new(name)?))
    };
    for (name, data) in others.iter().copied().chain([(name, series)]) {
        let start = Timestamp::from_second(data.first_hour * 3600)?;
        let values = data.until(origin).to_vec();
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
    let mut forecasts = forecast_series(&history, Some(as_of), HORIZON as u32, 1, forecaster)?;
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

/// Last week, with the quantiles of what a week changed in the history. The hour of a gap is taken from the week before it.
fn baseline(past: &[f64]) -> Quantiles {
    let lag = |at: usize| {
        let mut at = at.checked_sub(WEEK)?;
        loop {
            if let Some(value) = past.get(at).filter(|v| !v.is_nan()) {
                return Some(*value);
            }
            at = at.checked_sub(WEEK)?;
        }
    };
    let mut changes: Vec<f64> = (WEEK..past.len())
        .map(|i| past[i] - past[i - WEEK])
        .filter(|change| !change.is_nan())
        .collect();
    changes.sort_by(f64::total_cmp);
    let quantile = |level: f64| {
        let position = (level * changes.len() as f64 - 0.5).clamp(0.0, changes.len() as f64 - 1.0);
        let (low, high) = (
            changes[position.floor() as usize],
            changes[position.ceil() as usize],
        );
        low + (high - low) * position.fract()
    };
    let offsets = QUANTILE_LEVELS.map(quantile);
    (0..HORIZON)
        .map(|ahead| {
            let point = lag(past.len() + ahead).unwrap_or(0.0);
            // The point forecast is last week itself, whatever the median change is.
            let mut levels: Vec<f64> = offsets
                .iter()
                .map(|offset| (point + offset).max(0.0))
                .collect();
            levels[6] = point;
            levels.sort_by(f64::total_cmp);
            levels
        })
        .collect()
}

fn score(past: &[f64], actual: &[f64], quantiles: &Quantiles, ms: f64) -> Score {
    let naive: Vec<f64> = (WEEK..past.len())
        .map(|i| (past[i] - past[i - WEEK]).abs())
        .filter(|change| !change.is_nan())
        .collect();
    let scale = naive.iter().sum::<f64>() / naive.len() as f64;
    let (mut result, mut count, mut total, mut loss) = (
        Score {
            ms,
            ..Score::default()
        },
        0.0,
        0.0,
        0.0,
    );
    for (actual, levels) in actual.iter().zip(quantiles) {
        if actual.is_nan() {
            continue;
        }
        count += 1.0;
        total += actual;
        let pinball = |level: f64, value: f64| {
            if *actual >= value {
                level * (actual - value)
            } else {
                (1.0 - level) * (value - actual)
            }
        };
        loss += QUANTILE_LEVELS
            .iter()
            .zip(levels)
            .map(|(level, value)| 2.0 * pinball(*level, *value))
            .sum::<f64>()
            / QUANTILE_LEVELS.len() as f64;
        result.mase += (actual - levels[6]).abs();
        result.covered_80 += f64::from(u8::from((levels[2]..=levels[10]).contains(actual)));
        result.covered_99 += f64::from(u8::from(*actual <= levels[12]));
        result.pinball_99 += 2.0 * pinball(0.99, levels[12]);
        result.width_99 += levels[12] - levels[6];
    }
    result.mase /= count * scale;
    result.weighted_quantile_loss = loss / total;
    result.covered_80 /= count;
    result.covered_99 /= count;
    result.pinball_99 /= total;
    result.width_99 /= total;
    result
}

/// MASE, WQL and pin99 are geometric means over the series of each series' mean, relative to the baseline's; MASEw and WQLw over
/// windows. 80% is the share of hours between the 0.1 and the 0.9 quantile, 0.99 of hours up to that quantile, worst that
/// of the worst series. wid99 is the distance from the median to the 0.99 quantile in units of the mean demand.
fn report(scores: &BTreeMap<(String, i64), Vec<(String, Score)>>) {
    let mut methods: Vec<&str> = Vec::new();
    for (name, _) in scores.values().flatten() {
        if !methods.contains(&name.as_str()) {
            methods.push(name);
        }
    }
    let of = |window: &[(String, Score)], method: &str| {
        window
            .iter()
            .find(|(name, _)| name == method)
            .map(|(_, s)| *s)
    };
    println!(
        "{:30} {:>6} {:>6} | {:>6} {:>6} | {:>5} {:>5} {:>5} | {:>6} {:>6} | {:>6} {:>6}",
        "method",
        "MASE",
        "WQL",
        "MASEw",
        "WQLw",
        "80%",
        "0.99",
        "worst",
        "pin99",
        "wid99",
        "ms",
        "weight"
    );
    for method in &methods {
        let mut by_series: BTreeMap<&str, Vec<Pair>> = BTreeMap::new();
        for ((series, _), window) in scores {
            if let (Some(own), Some(base)) = (of(window, method), of(window, BASELINE)) {
                by_series.entry(series).or_default().push((own, base));
            }
        }
        let mean = |pairs: &[Pair], pick: &dyn Fn(&Pair) -> f64| {
            pairs.iter().map(pick).sum::<f64>() / pairs.len() as f64
        };
        let series_mean = |of_series: &OfSeries| {
            by_series
                .values()
                .map(|pairs| of_series(pairs))
                .sum::<f64>()
                / by_series.len() as f64
        };
        let ratio = |pick: fn(&Score) -> f64| {
            series_mean(&|pairs| (mean(pairs, &|p| pick(&p.0)) / mean(pairs, &|p| pick(&p.1))).ln())
                .exp()
        };
        let ratio_of_windows = |pick: fn(&Score) -> f64| {
            series_mean(&|pairs| mean(pairs, &|p| (pick(&p.0) / pick(&p.1)).ln())).exp()
        };
        let average = |pick: fn(&Score) -> f64| series_mean(&|pairs| mean(pairs, &|p| pick(&p.0)));
        let worst = by_series
            .values()
            .map(|pairs| mean(pairs, &|p| p.0.covered_99))
            .fold(1.0, f64::min);
        println!(
            "{method:30} {:6.3} {:6.3} | {:6.3} {:6.3} | {:5.1} {:5.1} {:5.1} | {:6.3} {:6.3} | {:6.1} {:6.3}",
            ratio(|s| s.mase),
            ratio(|s| s.weighted_quantile_loss),
            ratio_of_windows(|s| s.mase),
            ratio_of_windows(|s| s.weighted_quantile_loss),
            100.0 * average(|s| s.covered_80),
            100.0 * average(|s| s.covered_99),
            100.0 * worst,
            ratio(|s| s.pinball_99),
            average(|s| s.width_99),
            average(|s| s.ms),
            average(|s| s.weight),
        );
    }
    println!("\nThe ensemble, each series:");
    let mut by_series: BTreeMap<&str, Vec<Pair>> = BTreeMap::new();
    for ((series, _), window) in scores {
        if let (Some(own), Some(base)) = (of(window, ENSEMBLE), of(window, BASELINE)) {
            by_series.entry(series).or_default().push((own, base));
        }
    }
    for (series, pairs) in by_series {
        let sum =
            |pick: &dyn Fn(&Pair) -> f64| pairs.iter().map(pick).sum::<f64>() / pairs.len() as f64;
        println!(
            "{series:14} MASE {:.3} (relative {:.3}) WQL {:.3} (relative {:.3}) 80% {:5.1} 0.99 {:5.1}",
            sum(&|p| p.0.mase),
            sum(&|p| p.0.mase) / sum(&|p| p.1.mase),
            sum(&|p| p.0.weighted_quantile_loss),
            sum(&|p| p.0.weighted_quantile_loss) / sum(&|p| p.1.weighted_quantile_loss),
            100.0 * sum(&|p| p.0.covered_80),
            100.0 * sum(&|p| p.0.covered_99),
        );
    }
}

fn write_raw(
    path: &str,
    scores: &BTreeMap<(String, i64), Vec<(String, Score)>>,
) -> Result<(), Box<dyn Error>> {
    let mut text = String::from(
        "series,origin_hour,method,mase,weighted_quantile_loss,covered_80,covered_99,pinball_99,width_99,ms\n",
    );
    for ((series, origin), window) in scores {
        for (method, s) in window {
            writeln!(
                text,
                "{series},{origin},{method},{:.5},{:.5},{:.4},{:.4},{:.5},{:.5},{:.1}",
                s.mase,
                s.weighted_quantile_loss,
                s.covered_80,
                s.covered_99,
                s.pinball_99,
                s.width_99,
                s.ms
            )?;
        }
    }
    Ok(fs::write(path, text)?)
}

fn read_series(path: &str) -> Result<BTreeMap<String, Data>, Box<dyn Error>> {
    let mut points: BTreeMap<String, BTreeMap<i64, f64>> = BTreeMap::new();
    for line in fs::read_to_string(path)?.lines().skip(1) {
        let mut cells = line.split(',');
        let (Some(name), Some(hour), Some(value)) = (cells.next(), cells.next(), cells.next())
        else {
            return Err(format!("{path}: {line:?} has fewer than three cells").into());
        };
        points
            .entry(name.to_owned())
            .or_default()
            .insert(hour.parse()?, value.parse()?);
    }
    Ok(points
        .into_iter()
        .filter_map(|(name, hours)| {
            let (first_hour, last) = (*hours.keys().next()?, *hours.keys().next_back()?);
            let values = (first_hour..=last)
                .map(|hour| hours.get(&hour).copied().unwrap_or(f64::NAN))
                .collect();
            Some((name, Data { first_hour, values }))
        })
        .collect())
}

fn read_windows(path: &str, every: usize, half: Option<usize>) -> Result<Windows, Box<dyn Error>> {
    let mut windows = Vec::new();
    let text = fs::read_to_string(path)?;
    let rows = text.lines().skip(1).filter(|line| !line.starts_with('#'));
    for (index, line) in rows.enumerate() {
        let mut cells = line.split('\t');
        let (Some(name), Some(origins)) = (cells.next(), cells.nth(1)) else {
            return Err(format!("{path}: {line:?} has fewer than three cells").into());
        };
        if half.is_some_and(|half| index % 2 != half) {
            continue;
        }
        for origin in origins.split(',').step_by(every) {
            windows.push((name.to_owned(), origin.parse()?));
        }
    }
    Ok(windows)
}

type Peers = BTreeMap<String, BTreeMap<(String, i64), (Quantiles, f64)>>;

/// Lines of peers.py: method, series, origin, ms, then 48 × 14 quantiles.
fn read_peers(path: &str) -> Result<Peers, Box<dyn Error>> {
    let mut peers = Peers::new();
    for line in fs::read_to_string(path)?.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let [method, series, origin, ms, ref values @ ..] = cells[..] else {
            return Err(format!("{path}: a line has fewer than four cells").into());
        };
        let values = values
            .iter()
            .map(|v| v.parse())
            .collect::<Result<Vec<f64>, _>>()?;
        let quantiles = values
            .chunks_exact(QUANTILE_LEVELS.len())
            .map(<[f64]>::to_vec)
            .collect();
        peers.entry(method.to_owned()).or_default().insert(
            (series.to_owned(), origin.parse()?),
            (quantiles, ms.parse()?),
        );
    }
    Ok(peers)
}
