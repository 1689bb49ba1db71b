//! Cold starts on real series: the history of a region withheld, its demand forecast from donors alone.
//!
//! `cargo run --release --workspace --example cold_start -- COLD.csv [--model FILE] [--raw OUT.csv]`; COLD.csv comes from `prepare.py --cold`.
//! Donors and shares are chosen without the target: all other regions that were measured then (at most four, those that opened last), each with a share of 1: the region is taken to be as large as they are. The baseline is the mean of the same donors
//! in the same local hour of the last week that was known, as one number for all quantiles.

#![allow(clippy::print_stdout)]

#[path = "net.rs"]
mod net;

use std::{collections::BTreeMap, error::Error, fs};

use foremesh_forecast::{
    DaysOff, ForecastInput, forecast_region,
    neural::{Forecaster, Layout},
    pinball,
};
use foremesh_model::{
    History, InferenceSettings, QUANTILE_LEVELS, RegionName, RegionRequest, Series, SeriesKey,
    ServiceName, Timestamp,
};

const HORIZON: usize = 168;
const WEEK: i64 = 168;
/// Hours of a donor before a target opens.
const DONOR_HOURS: usize = 72;
const MOST_DONORS: usize = 4;
/// Hours of a target that must be known after it opens.
const TARGET_HOURS: usize = 40;
/// Openings of a target whose real opening is not in the data.
const OPENINGS: usize = 12;

type Hours = BTreeMap<i64, f64>;
type Sets = BTreeMap<String, BTreeMap<String, Hours>>;

/// By set and target: the scores of each of its openings, by method.
type Scores<'a> = BTreeMap<(&'a str, &'a str), Vec<Vec<(&'static str, Score)>>>;

/// One opening: set, target, hour, donors with their shares.
struct Opening<'a> {
    set: &'a str,
    target: &'a str,
    at: i64,
    donors: Vec<&'a str>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Score {
    loss: f64,
    covered_80: f64,
    covered_99: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        let at = args.iter().position(|a| a == name)?;
        args.get(at + 1)
    };
    let [file, ..] = &args[..] else {
        return Err("usage: cold_start COLD.csv [--model FILE] [--raw OUT.csv]".into());
    };
    let sets = read(file)?;
    let model = option("--model")
        .map(|path| net::load(path, Layout::HOURLY, &InferenceSettings::default()))
        .transpose()?;
    let forecaster = model
        .as_ref()
        .map(|model| Forecaster::new(model, Layout::HOURLY));
    let mut raw = String::from("set,target,hour,method,relative_loss,covered_80,covered_99\n");
    let mut scores = Scores::new();
    for opening in openings(&sets) {
        let series = &sets[opening.set];
        let actual: Vec<f64> = (0..HORIZON as i64)
            .map(|ahead| value(&series[opening.target], opening.at + ahead))
            .collect();
        let base = score(&actual, &baseline(series, &opening));
        let relative = |quantiles: &[Vec<f64>]| {
            let own = score(&actual, quantiles);
            Score {
                loss: own.loss / base.loss,
                ..own
            }
        };
        let mut methods = vec![(
            "donors and share",
            relative(&forecast(series, &opening, None)?),
        )];
        if forecaster.is_some() {
            methods.push((
                "with the net",
                relative(&forecast(series, &opening, forecaster)?),
            ));
        }
        for (method, score) in &methods {
            raw += &format!(
                "{},{},{},{method},{:.4},{:.4},{:.4}\n",
                opening.set,
                opening.target,
                opening.at,
                score.loss,
                score.covered_80,
                score.covered_99
            );
        }
        scores
            .entry((opening.set, opening.target))
            .or_default()
            .push(methods);
    }
    if let Some(path) = option("--raw") {
        fs::write(path, raw)?;
    }
    report(&scores);
    Ok(())
}

/// Loss is the weighted quantile loss relative to the baseline's: geometric means over openings, over targets, over sets; coverage likewise in
/// arithmetic means.
fn report(scores: &Scores<'_>) {
    let count = scores.values().flatten().map(Vec::len).max().unwrap_or(0);
    println!(
        "{:12} {:12} {:20} {:>6} {:>6} {:>6}",
        "set", "target", "method", "loss", "80%", "0.99"
    );
    for method in 0..count {
        let mut by_set: BTreeMap<&str, Vec<(f64, f64, f64)>> = BTreeMap::new();
        let mut name = "";
        for ((set, target), openings) in scores {
            let n = openings.len() as f64;
            let mean = |of: fn(&Score) -> f64| {
                openings
                    .iter()
                    .map(|methods| of(&methods[method].1))
                    .sum::<f64>()
                    / n
            };
            let row = (
                mean(|s| s.loss.ln()),
                mean(|s| s.covered_80),
                mean(|s| s.covered_99),
            );
            name = openings[0][method].0;
            println!(
                "{set:12} {target:12} {name:20} {:6.3} {:6.1} {:6.1}",
                row.0.exp(),
                100.0 * row.1,
                100.0 * row.2
            );
            by_set.entry(set).or_default().push(row);
        }
        let means: Vec<(f64, f64, f64)> = by_set
            .iter()
            .map(|(set, rows)| {
                let row = average(rows);
                println!(
                    "{set:12} {:12} {name:20} {:6.3} {:6.1} {:6.1}",
                    "all",
                    row.0.exp(),
                    100.0 * row.1,
                    100.0 * row.2
                );
                row
            })
            .collect();
        let row = average(&means);
        println!(
            "{:12} {:12} {name:20} {:6.3} {:6.1} {:6.1}\n",
            "all",
            "",
            row.0.exp(),
            100.0 * row.1,
            100.0 * row.2
        );
    }
}

fn average(rows: &[(f64, f64, f64)]) -> (f64, f64, f64) {
    let n = rows.len() as f64;
    let sum = rows
        .iter()
        .fold((0.0, 0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2));
    (sum.0 / n, sum.1 / n, sum.2 / n)
}

fn value(series: &Hours, hour: i64) -> f64 {
    series.get(&hour).copied().unwrap_or(f64::NAN)
}

/// Where targets open: at their real start where others were measured before, else (zones of the energy market, one web service)
/// at hours spread over all that others and they have in common.
fn openings(sets: &Sets) -> Vec<Opening<'_>> {
    let mut all = Vec::new();
    for (set, series) in sets {
        for (target, values) in series {
            let (Some(first), Some(last)) = (values.keys().next(), values.keys().next_back())
            else {
                continue;
            };
            let at: Vec<i64> = match set.as_str() {
                "servegen" => vec![*first],
                "wsd" if target != "wsd-18" => continue,
                _ => {
                    let begun = series.values().filter_map(|s| s.keys().next()).max();
                    let from = begun.copied().unwrap_or(*first) + 28 * 24;
                    let span = last - HORIZON as i64 - from;
                    (0..OPENINGS as i64)
                        .map(|i| from + i * span / (OPENINGS as i64 - 1))
                        .collect()
                }
            };
            for at in at {
                let donors = donors(series, target, at);
                let known = (0..HORIZON as i64)
                    .filter(|h| values.contains_key(&(at + h)))
                    .count();
                if !donors.is_empty() && known >= TARGET_HOURS {
                    all.push(Opening {
                        set,
                        target,
                        at,
                        donors,
                    });
                }
            }
        }
    }
    all
}

fn level(series: &Hours, before: i64) -> Option<f64> {
    let recent: Vec<f64> = series
        .range(before - 28 * 24..before)
        .map(|(_, v)| *v)
        .collect();
    let mean = recent.iter().sum::<f64>() / recent.len().max(1) as f64;
    (recent.len() >= DONOR_HOURS && mean > 0.0).then_some(mean)
}

fn donors<'a>(series: &'a BTreeMap<String, Hours>, target: &str, at: i64) -> Vec<&'a str> {
    let mut known: Vec<(i64, &str)> = series
        .iter()
        .filter(|(name, values)| *name != target && level(values, at).is_some())
        .filter_map(|(name, values)| Some((*values.keys().next()?, name.as_str())))
        .collect();
    known.sort_by_key(|(first, name)| (std::cmp::Reverse(*first), *name));
    known.truncate(MOST_DONORS);
    let mut chosen: Vec<&str> = known.into_iter().map(|(_, name)| name).collect();
    chosen.sort_unstable();
    chosen
}

fn baseline(series: &BTreeMap<String, Hours>, opening: &Opening<'_>) -> Vec<Vec<f64>> {
    (0..HORIZON as i64)
        .map(|ahead| {
            let hour = opening.at + ahead;
            let values: Vec<f64> = opening
                .donors
                .iter()
                .filter_map(|donor| {
                    let weeks = 1..5;
                    weeks
                        .map(|back| value(&series[*donor], hour - back * WEEK))
                        .find(|v| !v.is_nan())
                        .or_else(|| level(&series[*donor], opening.at))
                })
                .collect();
            vec![values.iter().sum::<f64>() / values.len() as f64; QUANTILE_LEVELS.len()]
        })
        .collect()
}

fn forecast(
    series: &BTreeMap<String, Hours>,
    opening: &Opening<'_>,
    forecaster: Option<Forecaster<'_>>,
) -> Result<Vec<Vec<f64>>, Box<dyn Error>> {
    let entry = ServiceName::new("entry")?;
    let mut history = History::default();
    let mut donors = BTreeMap::new();
    for name in &opening.donors {
        let region = RegionName::new(name.to_lowercase())?;
        let known = series[*name].range(..opening.at);
        let (Some((first, _)), Some((last, _))) = (known.clone().next(), known.clone().next_back())
        else {
            continue;
        };
        let values = (*first..=*last)
            .map(|hour| value(&series[*name], hour))
            .collect();
        let start = Timestamp::from_second(first * 3600)?;
        history.series.insert(
            SeriesKey::requests(region.clone(), entry.clone()),
            Series {
                start,
                step_s: 3600,
                values,
            },
        );
        donors.insert(region, 1.0);
    }
    let as_of = Timestamp::from_second(opening.at * 3600)?;
    let request = RegionRequest {
        region: RegionName::new("opening")?,
        timezone: "UTC".into(),
        as_of,
        go_live: as_of,
        horizon_hours: HORIZON as u32,
        donors,
        donor_timezones: BTreeMap::new(),
        holidays: vec![],
        donor_holidays: BTreeMap::new(),
        share_uncertainty: None,
        events: vec![],
        seed: 1,
    };
    let forecast = forecast_region(&ForecastInput {
        history: &history,
        request: &request,
        entries: std::slice::from_ref(&entry),
        forecaster,
        days_off: &DaysOff::default(),
        business_metrics: None,
    })?;
    let demand = forecast
        .demand
        .entries
        .into_values()
        .next()
        .ok_or("no demand")?;
    Ok(demand.quantiles_rps)
}

fn score(actual: &[f64], quantiles: &[Vec<f64>]) -> Score {
    let mut score = Score::default();
    let (mut count, mut total) = (0.0, 0.0);
    for (actual, levels) in actual.iter().zip(quantiles).filter(|(a, _)| !a.is_nan()) {
        count += 1.0;
        total += actual;
        score.loss += 2.0 * pinball(levels, *actual) / QUANTILE_LEVELS.len() as f64;
        score.covered_80 += f64::from(u8::from((levels[2]..=levels[10]).contains(actual)));
        score.covered_99 += f64::from(u8::from(*actual <= levels[12]));
    }
    score.loss /= total;
    score.covered_80 /= count;
    score.covered_99 /= count;
    score
}

fn read(file: &str) -> Result<Sets, Box<dyn Error>> {
    let mut sets = Sets::new();
    for line in fs::read_to_string(file)?.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let [set, series, hour, value] = cells[..] else {
            return Err(format!("{file}: {line:?} has not four cells").into());
        };
        let of_set = sets.entry(set.to_owned()).or_default();
        let of_series = of_set.entry(series.to_owned()).or_default();
        of_series.insert(hour.parse()?, value.parse()?);
    }
    Ok(sets)
}
