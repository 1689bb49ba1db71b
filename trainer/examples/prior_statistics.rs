//! What synthetic tracks and real series look like, side by side, by the hour and by five minutes: `cargo run --release -p
//! foremesh-trainer --example prior_statistics -- DATA_DIR [HOURLY.csv] [--by-family]`. HOURLY.csv comes from planner/forecast/bench/prepare.py; the series of
//! it that must not train (wsd) are one more column, to be looked at only.
//!
//! Real series are seen as training sees them: nothing that the benchmark tests. Synthetic ones are cut to the same three weeks.

#![allow(clippy::print_stdout)]

use std::{collections::BTreeMap, error::Error, fs, path::Path};

use foremesh_trainer::{Track, corpus, prior::Prior};

const TRACKS: u64 = 3_000;
const DAYS: usize = 21;
const LEAST_DAYS: usize = 7;
/// Rates are compared in ln(rate + this part of the mean): zeros have no logarithm.
const FLOOR: f64 = 0.02;

const NAMES: [&str; 16] = [
    "autocorrelation of ln demand, 24 h",
    "autocorrelation of ln demand, 168 h",
    "p99 / median",
    "median / p5",
    "dispersion of counts (variance / mean)",
    "share of zeros",
    "weekend / weekday",
    "|ln(week on week)|, median",
    "|ln(week on week)|, p90",
    "mean error of a week back / of a day back",
    "noise: deviation of ln residuals",
    "noise: autocorrelation of residuals, 1 step",
    "noise: autocorrelation of residuals, 24 h",
    "noise: skewness of residuals",
    "noise: tail index of the largest 5% (Hill)",
    "correlation with the first donor",
];

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(folder) = args.first() else {
        return Err("usage: prior_statistics DATA_DIR [HOURLY.csv] [--by-family]".into());
    };
    let table = args.get(1).filter(|arg| !arg.starts_with("--"));
    let by_family = args.iter().any(|arg| arg == "--by-family");
    for step_s in [3600, 300] {
        compare(
            step_s,
            Path::new(folder),
            table.map(String::as_str),
            by_family,
        )?;
    }
    Ok(())
}

/// Rows of statistics, each under the name of what it was taken from.
type Rows = Vec<(String, Vec<f64>)>;

fn compare(
    step_s: u32,
    folder: &Path,
    table: Option<&str>,
    by_family: bool,
) -> Result<(), Box<dyn Error>> {
    let a_day = 86_400 / step_s as usize;
    let prior = Prior::new(1, step_s);
    let synthetic: Rows = (0..TRACKS)
        .map(|index| prior.draw(index, DAYS * a_day))
        .map(|track| (track.family.clone(), of(&track)))
        .collect();
    let real: Rows = corpus::read(folder, step_s)?
        .iter()
        .filter(|real| real.trains_until >= LEAST_DAYS * a_day)
        .filter(|real| !real.track.cluster.contains("sparse"))
        .map(|real| (real.track.family.clone(), of(&real.training())))
        .collect();
    let other = match table {
        Some(path) if step_s == 3600 => untrained(path)?,
        _ => Vec::new(),
    };
    println!(
        "Steps of {step_s} s: {} synthetic tracks, {} real series that may train, {} that may not (wsd). Each: 10%, median, 90%;\n\
         then how many of the real ones that may train lie within the synthetic 5% … 95%.\n",
        synthetic.len(),
        real.len(),
        other.len()
    );
    println!(
        "{:<46} {:^26} {:^26} {:^26} {:>7}",
        "", "synthetic", "real, may train", "real, may not (wsd)", "within"
    );
    for (place, name) in NAMES.iter().enumerate() {
        let (drawn, seen) = (column(&synthetic, place), column(&real, place));
        let (low, high) = (quantile(&drawn, 0.05), quantile(&drawn, 0.95));
        let within = seen.iter().filter(|v| (low..=high).contains(*v)).count();
        println!(
            "{name:<46} {} {} {} {within:>3}/{}",
            three(&drawn),
            three(&seen),
            three(&column(&other, place)),
            seen.len()
        );
    }
    println!();
    if by_family {
        for (place, name) in NAMES.iter().enumerate() {
            println!("{name}");
            for family in Prior::families() {
                let rows: Rows = synthetic
                    .iter()
                    .filter(|(f, _)| f == family)
                    .cloned()
                    .collect();
                println!("  {family:<20} {}", three(&column(&rows, place)));
            }
            for (series, row) in &real {
                println!(
                    "  {series:<20} {:>8.3}",
                    row.get(place).unwrap_or(&f64::NAN)
                );
            }
        }
    }
    Ok(())
}

fn column(rows: &Rows, place: usize) -> Vec<f64> {
    let mut values: Vec<f64> = rows
        .iter()
        .filter_map(|(_, row)| row.get(place).copied())
        .filter(|v| v.is_finite())
        .collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The series of the benchmark's table that must not train, three weeks of each.
fn untrained(path: &str) -> Result<Rows, Box<dyn Error>> {
    let mut series: BTreeMap<String, Vec<(i64, f32)>> = BTreeMap::new();
    for line in fs::read_to_string(path)?.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        if let [name, hour, value] = cells[..]
            && name.starts_with("wsd-")
        {
            let values = series.entry(name.to_owned()).or_default();
            values.push((hour.parse()?, value.parse()?));
        }
    }
    Ok(series
        .into_iter()
        .map(|(name, values)| {
            let first = values.first().map_or(0, |(hour, _)| *hour);
            let mut demand = vec![f32::NAN; DAYS * 24];
            for (hour, value) in values {
                if let Some(entry) = demand.get_mut((hour - first) as usize) {
                    *entry = value;
                }
            }
            let row = of(&Track {
                family: name.clone(),
                cluster: name.clone(),
                step_s: 3600,
                first_step_of_week: ((first + 3 * 24 + 8) % 168) as u32,
                calendar_known: true,
                day_off: vec![0; demand.len()],
                event_log_uplift: vec![0.0; demand.len()],
                demand,
                metrics: Vec::new(),
                donors: Vec::new(),
            });
            (name, row)
        })
        .collect())
}

fn of(track: &Track) -> Vec<f64> {
    let day = 86_400 / track.step_s as usize;
    let week = 7 * day;
    let rates: Vec<f64> = track.demand.iter().map(|v| f64::from(*v)).collect();
    let mut known: Vec<f64> = rates.iter().copied().filter(|v| v.is_finite()).collect();
    known.sort_by(f64::total_cmp);
    let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
    if known.len() < LEAST_DAYS * day / 2 || mean <= 0.0 {
        return vec![f64::NAN; NAMES.len()];
    }
    let logs: Vec<f64> = rates.iter().map(|v| (v + FLOOR * mean).ln()).collect();
    let variance = known.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / known.len() as f64;
    let residuals = residuals(track, &logs);
    let spread = deviation(&residuals);
    let skewness = average(residuals.iter().map(|v| (v / spread).powi(3)));
    let mut weekly: Vec<f64> = logs
        .iter()
        .skip(week)
        .zip(&logs)
        .map(|(now, then)| (now - then).abs())
        .filter(|v| v.is_finite())
        .collect();
    weekly.sort_by(f64::total_cmp);
    let by_weekend = |weekend: bool| {
        average(rates.iter().enumerate().filter_map(|(step, rate)| {
            (track.step_of_week(step) as usize / day >= 5)
                .eq(&weekend)
                .then_some(*rate)
        }))
    };
    let median = quantile(&known, 0.5);
    vec![
        autocorrelation(&logs, day),
        autocorrelation(&logs, week),
        quantile(&known, 0.99) / median,
        median / quantile(&known, 0.05),
        variance / mean * f64::from(track.step_s),
        known.iter().filter(|v| **v == 0.0).count() as f64 / known.len() as f64,
        by_weekend(true) / by_weekend(false),
        quantile(&weekly, 0.5),
        quantile(&weekly, 0.9),
        error_of(&rates, week) / error_of(&rates, day),
        spread,
        autocorrelation(&residuals, 1),
        autocorrelation(&residuals, day),
        skewness,
        hill(&residuals),
        with_donor(track, &logs),
    ]
}

/// What is left of the logarithm without the mean of its hour of the day, working days and weekends apart; three weeks do not
/// tell an hour of the week.
fn residuals(track: &Track, logs: &[f64]) -> Vec<f64> {
    let day = 86_400 / track.step_s as usize;
    let a_hour = day / 24;
    let slot = |step: usize| {
        let of_week = track.step_of_week(step) as usize;
        of_week % day / a_hour + if of_week / day >= 5 { 24 } else { 0 }
    };
    let mut sums = [(0.0, 0.0); 48];
    for (step, log) in logs.iter().enumerate().filter(|(_, log)| log.is_finite()) {
        sums[slot(step)].0 += log;
        sums[slot(step)].1 += 1.0;
    }
    logs.iter()
        .enumerate()
        .map(|(step, log)| {
            let (sum, count) = sums[slot(step)];
            log - sum / count
        })
        .collect()
}

/// Mean absolute difference of rates so many steps apart.
fn error_of(rates: &[f64], apart: usize) -> f64 {
    let later = rates.iter().skip(apart);
    average(later.zip(rates).map(|(now, then)| (now - then).abs()))
}

/// The correlation of ln demand with that of the first donor.
fn with_donor(track: &Track, logs: &[f64]) -> f64 {
    let Some(donor) = track.donors.first() else {
        return f64::NAN;
    };
    let mean = average(donor.iter().map(|v| f64::from(*v)));
    let pairs: Vec<(f64, f64)> = donor
        .iter()
        .map(|v| (f64::from(*v) + FLOOR * mean).ln())
        .zip(logs.iter().copied())
        .filter(|(a, b)| a.is_finite() && b.is_finite())
        .collect();
    let (a, b): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
    let (mean_a, mean_b) = (average(a.iter().copied()), average(b.iter().copied()));
    let both = average(a.iter().zip(&b).map(|(x, y)| (x - mean_a) * (y - mean_b)));
    both / (deviation(&a) * deviation(&b))
}

fn average(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values
        .filter(|v| v.is_finite())
        .fold((0.0, 0.0), |(sum, count), v| (sum + v, count + 1.0));
    if count > 0.0 { sum / count } else { f64::NAN }
}

fn deviation(values: &[f64]) -> f64 {
    let mean = average(values.iter().copied());
    average(values.iter().map(|v| (v - mean).powi(2))).sqrt()
}

fn autocorrelation(values: &[f64], apart: usize) -> f64 {
    let mean = average(values.iter().copied());
    let variance = average(values.iter().map(|v| (v - mean).powi(2)));
    if values.len() < apart * 2 || variance < 1e-12 {
        return f64::NAN;
    }
    let later = values.iter().skip(apart);
    average(later.zip(values).map(|(a, b)| (a - mean) * (b - mean))) / variance
}

/// Hill's estimate from the largest twentieth of what residuals say of the rate.
fn hill(residuals: &[f64]) -> f64 {
    let mut sizes: Vec<f64> = residuals
        .iter()
        .copied()
        .filter(|v| v.is_finite())
        .collect();
    sizes.sort_by(|a, b| b.total_cmp(a));
    let count = sizes.len() / 20;
    match sizes.get(count) {
        Some(floor) if count > 4 => 1.0 / average(sizes.iter().take(count).map(|v| v - floor)),
        _ => f64::NAN,
    }
}

fn quantile(sorted: &[f64], level: f64) -> f64 {
    let place = (sorted.len().saturating_sub(1)) as f64 * level;
    let (Some(left), Some(right)) = (
        sorted.get(place.floor() as usize),
        sorted.get(place.ceil() as usize),
    ) else {
        return f64::NAN;
    };
    left + (right - left) * place.fract()
}

fn three(sorted: &[f64]) -> String {
    let cell = |level| {
        let value = quantile(sorted, level);
        if value.is_nan() {
            format!("{:>8}", "-")
        } else if value.abs() >= 1000.0 {
            format!("{value:>8.1e}")
        } else {
            format!("{value:>8.3}")
        }
    };
    format!("{} {} {}", cell(0.1), cell(0.5), cell(0.9))
}
