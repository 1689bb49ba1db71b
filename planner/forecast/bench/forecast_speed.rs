//! Time to forecast a region: 1,000 entry services with 90 hourly days of history, all methods, backtest and calibration.
//!
//! `cargo run --release --example forecast_speed [-- [--horizon HOURS] [--entries N] [--model FILE] [--runtime NAME] [--library PATH]]`.
//! Prints wall time, and the highest memory that the process had resident.

#![allow(clippy::print_stdout)]

#[path = "net.rs"]
mod net;

use std::{collections::BTreeMap, error::Error, fs, time::Instant};

use foremesh_forecast::{
    DaysOff, ForecastInput, forecast_region,
    neural::{Forecaster, Layout},
};
use foremesh_model::{
    History, InferenceSettings, RegionName, RegionRequest, Series, SeriesKey, ServiceName,
    Timestamp,
};
use rand::{RngExt as _, SeedableRng as _};

const HOURS: i64 = 90 * 24;
const AS_OF_HOUR: i64 = 500_000;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let option = |name: &str| {
        let at = args.iter().position(|a| a == name)?;
        args.get(at + 1)
    };
    let horizon_hours = option("--horizon").map_or(Ok(48), |n| n.parse::<u32>())?;
    let count = option("--entries").map_or(Ok(1000), |n| n.parse::<usize>())?;
    let model = option("--model")
        .map(|path| {
            let settings = InferenceSettings {
                runtime: option("--runtime").map_or(Ok(Default::default()), |r| r.parse())?,
                library: option("--library").cloned(),
                ..InferenceSettings::default()
            };
            net::load(path, Layout::HOURLY, &settings)
        })
        .transpose()?;
    let region = RegionName::new("paris")?;
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let mut history = History::default();
    let mut entries = Vec::new();
    for index in 0..count {
        let entry = ServiceName::new(format!("entry-{index}"))?;
        let (scale, peak) = (10f64.powf(random.random_range(0.0..3.0)), index % 24);
        let mut drift = 0.0;
        let values = (AS_OF_HOUR - HOURS..AS_OF_HOUR)
            .map(|hour| {
                let day = ((hour % 24) as f64 - peak as f64) / 24.0 * std::f64::consts::TAU;
                let weekend = if (hour / 24 + 3) % 7 >= 5 { 0.7 } else { 1.0 };
                drift = 0.98 * drift + random.random_range(-0.05..0.05);
                scale * weekend * (1.5 + day.cos()) * f64::exp(drift)
            })
            .collect();
        let start = Timestamp::from_second((AS_OF_HOUR - HOURS) * 3600)?;
        let series = Series {
            start,
            step_s: 3600,
            values,
        };
        history
            .series
            .insert(SeriesKey::requests(region.clone(), entry.clone()), series);
        entries.push(entry);
    }
    let as_of = Timestamp::from_second(AS_OF_HOUR * 3600)?;
    let request = RegionRequest {
        region,
        timezone: "Europe/Paris".into(),
        as_of,
        go_live: as_of,
        horizon_hours,
        donors: BTreeMap::new(),
        donor_timezones: BTreeMap::new(),
        holidays: vec![],
        donor_holidays: BTreeMap::new(),
        share_uncertainty: None,
        events: vec![],
        seed: 1,
    };
    let started = Instant::now();
    let forecast = forecast_region(&ForecastInput {
        history: &history,
        request: &request,
        entries: &entries,
        forecaster: model
            .as_ref()
            .map(|model| Forecaster::new(model, Layout::HOURLY)),
        days_off: &DaysOff::default(),
        business_metrics: None,
    })?;
    let elapsed = started.elapsed().as_secs_f64();
    println!(
        "{} entries × {} days, {horizon_hours} hours ahead: {elapsed:.2} s on {} threads, {:.1} ms an entry",
        forecast.demand.entries.len(),
        HOURS / 24,
        rayon::current_num_threads(),
        elapsed * 1e3 / count as f64
    );
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for line in status.lines().filter(|line| line.starts_with("VmHWM")) {
        println!("{line}");
    }
    Ok(())
}
