//! The shipped net among the statistical methods: it helps on what it should know, and stands whatever a history holds.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, path::Path};

use foremesh_forecast::{
    DaysOff, ForecastInput, SeriesForecast, SeriesInput, Step, forecast_region, forecast_series,
    neural::{Forecaster, Layout, contract},
    pinball,
};
use foremesh_model::{
    History, InferenceSettings, RegionName, RegionRequest, Series, SeriesKey, ServiceName,
    Timestamp,
    random::{mix, uniform},
};
use foremesh_onnx::{Inference, Model, Surroundings, read_model};

/// A Monday, 00:00 UTC.
const START_HOUR: i64 = 491_856;

fn shipped() -> Model {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/forecaster-1h.onnx");
    let inference = Inference::discover(&InferenceSettings::default(), Surroundings::default());
    let bytes = read_model(&path).unwrap();
    inference
        .load(&bytes, "shipped", &contract(Layout::HOURLY))
        .unwrap()
}

fn key(region: &str) -> SeriesKey {
    SeriesKey::requests(
        RegionName::new(region).unwrap(),
        ServiceName::new("shop").unwrap(),
    )
}

fn hourly(values: Vec<f64>) -> Series {
    Series {
        start: Timestamp::from_second(START_HOUR * 3600).unwrap(),
        step_s: 3600,
        values,
    }
}

fn forecast(values: Vec<f64>, horizon: u32, net: Option<Forecaster<'_>>) -> SeriesForecast {
    let mut history = History::default();
    history.series.insert(key("here"), hourly(values));
    let mut all = forecast_series(&SeriesInput {
        history: &history,
        as_of: None,
        step: Step::Hour,
        horizon,
        forecaster: net,
        events: &[],
        business_metrics: None,
    })
    .unwrap();
    all.remove(&key("here")).unwrap()
}

/// A shop by day and week, with noise that one day hands on to the next.
fn shop(hours: usize, seed: u64) -> Vec<f64> {
    let mut carried = 0.0;
    (0..hours)
        .map(|hour| {
            let day = (hour as f64 / 24.0 * std::f64::consts::TAU).sin();
            let weekend = f64::from(u8::from(hour % 168 >= 120));
            carried = 0.95 * carried + 0.06 * (uniform(mix(seed, hour as u64)) - 0.5);
            (4.0 + 0.8 * day - 0.5 * weekend + carried).exp()
        })
        .collect()
}

fn loss(forecast: &SeriesForecast, actual: &[f64]) -> f64 {
    let hours = forecast.quantiles_rps.iter().zip(actual);
    hours.map(|(levels, actual)| pinball(levels, *actual)).sum()
}

fn is_sound(forecast: &SeriesForecast, what: &str) {
    for (hour, levels) in forecast.quantiles_rps.iter().enumerate() {
        assert!(
            levels.iter().all(|v| v.is_finite() && *v >= 0.0),
            "{what}, hour {hour}: {levels:?}"
        );
        assert!(
            levels.windows(2).all(|pair| pair[0] <= pair[1]),
            "{what}, hour {hour}: {levels:?}"
        );
    }
}

#[test]
fn a_week_of_history_is_enough_for_the_net_to_help() {
    let model = shipped();
    let net = Forecaster::new(&model, Layout::HOURLY);
    let ratio = |days: usize| {
        let (mut with, mut without) = (0.0, 0.0);
        for seed in 0..8 {
            let all = shop(days * 24 + 72, seed);
            let (past, ahead) = all.split_at(days * 24);
            with += loss(&forecast(past.to_vec(), 72, Some(net)), ahead);
            without += loss(&forecast(past.to_vec(), 72, None), ahead);
        }
        with / without
    };
    // The methods have seen each weekday once.
    assert!(ratio(8) < 0.8, "{}", ratio(8));
    // A plain series of six weeks is what they are made for: the net must do no harm worth speaking of.
    assert!(ratio(42) < 1.1, "{}", ratio(42));
}

#[test]
fn the_weights_of_all_methods_sum_to_one() {
    let model = shipped();
    let forecast = forecast(
        shop(1500, 3),
        24,
        Some(Forecaster::new(&model, Layout::HOURLY)),
    );
    let net = forecast.methods.last().unwrap();
    assert_eq!(net.name, "neural");
    assert!(net.weight > 0.05 && net.weight < 0.95, "{}", net.weight);
    let sum: f64 = forecast.methods.iter().map(|m| m.weight).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{sum}");
}

#[test]
fn whatever_a_history_holds_the_quantiles_are_sound() {
    let model = shipped();
    let net = Forecaster::new(&model, Layout::HOURLY);
    let gaps: Vec<f64> = shop(900, 1)
        .into_iter()
        .enumerate()
        .map(|(hour, rate)| if hour % 5 == 0 { f64::NAN } else { rate })
        .collect();
    let mut wrong = shop(700, 2);
    wrong[3] = f64::INFINITY;
    wrong[9] = -4.0;
    wrong[12] = 1e300;
    let mut rests = vec![0.0; 800];
    rests.iter_mut().step_by(37).for_each(|rate| *rate = 900.0);
    for (what, values) in [
        ("three hours", vec![5.0, 7.0, 6.0]),
        ("one hour", vec![5.0]),
        ("constant", vec![40.0; 2000]),
        ("silence", vec![0.0; 2000]),
        ("gaps", gaps),
        ("what cannot be", wrong),
        ("rests and leaps", rests),
        ("tiny", shop(600, 4).iter().map(|v| v * 1e-9).collect()),
        ("huge", shop(600, 5).iter().map(|v| v * 1e8).collect()),
        ("ten years", shop(87_600, 6)),
    ] {
        for horizon in [1, 48, 336] {
            is_sound(&forecast(values.clone(), horizon, Some(net)), what);
        }
    }
}

#[test]
fn beyond_the_nets_reach_its_last_week_is_repeated() {
    // A history that ended ten days before the instant: the net sees four days of what is asked for, the end of its second week.
    let model = shipped();
    let mut history = History::default();
    let values = shop(60 * 24, 8);
    history.series.insert(key("here"), hourly(values));
    let as_of = Timestamp::from_second((START_HOUR + 70 * 24) * 3600).unwrap();
    let net = Some(Forecaster::new(&model, Layout::HOURLY));
    let all = forecast_series(&SeriesInput {
        history: &history,
        as_of: Some(as_of),
        step: Step::Hour,
        horizon: 336,
        forecaster: net,
        events: &[],
        business_metrics: None,
    })
    .unwrap();
    let forecast = &all[&key("here")];
    is_sound(forecast, "far ahead");
    let of_net = &forecast.methods.last().unwrap().quantiles_rps;
    assert_eq!(of_net.len(), 336);
    for hour in 0..168 {
        assert_eq!(of_net[hour], of_net[hour + 168]);
        assert_ne!(of_net[hour], of_net[hour + 12]);
    }
}

#[test]
fn threads_and_neighbours_do_not_move_a_byte() {
    let model = shipped();
    let net = Some(Forecaster::new(&model, Layout::HOURLY));
    let mut history = History::default();
    for seed in 0..20 {
        history.series.insert(
            key(&format!("r{seed:02}")),
            hourly(shop(800 + 11 * seed as usize, seed)),
        );
    }
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            forecast_series(&SeriesInput {
                history: &history,
                as_of: None,
                step: Step::Hour,
                horizon: 48,
                forecaster: net,
                events: &[],
                business_metrics: None,
            })
            .unwrap()
        })
    };
    assert_eq!(on(1), on(3));
}

fn opening(donors: &[(&str, f64)], share_uncertainty: Option<f64>) -> RegionRequest {
    let as_of = Timestamp::from_second((START_HOUR + 60 * 24) * 3600).unwrap();
    RegionRequest {
        region: RegionName::new("new").unwrap(),
        timezone: "UTC".into(),
        as_of,
        go_live: as_of,
        horizon_hours: 168,
        donors: donors
            .iter()
            .map(|(region, share)| (RegionName::new(*region).unwrap(), *share))
            .collect(),
        donor_timezones: BTreeMap::new(),
        holidays: vec![],
        donor_holidays: BTreeMap::new(),
        share_uncertainty,
        events: vec![],
        seed: 1,
    }
}

#[test]
fn an_opening_region_follows_its_donors_week_at_its_share() {
    let model = shipped();
    let mut history = History::default();
    let all = shop(60 * 24 + 168, 9);
    history
        .series
        .insert(key("old"), hourly(all[..60 * 24].to_vec()));
    let entry = ServiceName::new("shop").unwrap();
    let forecast = forecast_region(&ForecastInput {
        history: &history,
        request: &opening(&[("old", 0.25)], Some(0.2)),
        entries: std::slice::from_ref(&entry),
        forecaster: Some(Forecaster::new(&model, Layout::HOURLY)),
        days_off: &DaysOff::default(),
        business_metrics: None,
    })
    .unwrap();
    assert!(
        forecast.demand.method.contains("SHA-256"),
        "{}",
        forecast.demand.method
    );
    let hours = &forecast.demand.entries[&entry].quantiles_rps;
    let off: f64 = hours
        .iter()
        .zip(&all[60 * 24..])
        .map(|(levels, donor)| (levels[6] / (0.25 * donor)).ln().abs())
        .sum::<f64>()
        / 168.0;
    assert!(off < 0.2, "{off}");
    // An uncertain share is wider than the donor's own noise.
    assert!(hours.iter().all(|levels| levels[10] / levels[2] > 1.3));
}
