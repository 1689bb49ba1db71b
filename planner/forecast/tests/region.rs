//! A region's forecast end to end: own history, donors, events, bad input, and what may not move a byte.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use foremesh_forecast::{DaysOff, ForecastError, ForecastInput, RegionForecast, forecast_region};
use foremesh_model::{
    Event, History, RegionName, RegionRequest, Series, SeriesKey, ServiceName, Timestamp,
};

const AS_OF_HOUR: i64 = 500_000; // Friday, 2027-01-15 08:00 UTC

fn region(name: &str) -> RegionName {
    RegionName::new(name).unwrap()
}

fn service(name: &str) -> ServiceName {
    ServiceName::new(name).unwrap()
}

fn hour(hour: i64) -> Timestamp {
    Timestamp::from_second(hour * 3600).unwrap()
}

/// A rate with a day, a weekend and a little noise that repeats nowhere; `shift` hours later than UTC.
fn measured(hour: i64, scale: f64, shift: i64) -> f64 {
    let noise = ((hour as f64 * 12.9898 + scale).sin() * 43_758.545).fract() * 0.1;
    rate(hour, scale, shift) * (1.0 + noise)
}

/// The same without noise.
fn rate(hour: i64, scale: f64, shift: i64) -> f64 {
    let local = hour - shift;
    let day = (f64::from((local % 24) as i32) / 24.0 * std::f64::consts::TAU - 2.0).sin();
    let weekend = if (local / 24 + 3) % 7 >= 5 { 0.6 } else { 1.0 };
    scale * weekend * (1.5 + day)
}

fn series(days: i64, scale: f64, shift: i64) -> Series {
    let first = AS_OF_HOUR - days * 24;
    Series {
        start: hour(first),
        step_s: 3600,
        values: (first..AS_OF_HOUR)
            .map(|h| measured(h, scale, shift))
            .collect(),
    }
}

fn history(series: Vec<(&str, &str, Series)>) -> History {
    History {
        series: series
            .into_iter()
            .map(|(r, s, series)| (SeriesKey::requests(region(r), service(s)), series))
            .collect(),
    }
}

fn request(name: &str) -> RegionRequest {
    RegionRequest {
        region: region(name),
        timezone: "UTC".into(),
        as_of: hour(AS_OF_HOUR),
        go_live: hour(AS_OF_HOUR),
        horizon_hours: 72,
        donors: BTreeMap::new(),
        donor_timezones: BTreeMap::new(),
        holidays: vec![],
        donor_holidays: BTreeMap::new(),
        share_uncertainty: None,
        events: vec![],
        seed: 1,
    }
}

fn forecast(
    history: &History,
    request: &RegionRequest,
    entries: &[&str],
) -> Result<RegionForecast, ForecastError> {
    let entries: Vec<ServiceName> = entries.iter().map(|e| service(e)).collect();
    forecast_region(&ForecastInput {
        history,
        request,
        entries: &entries,
        forecaster: None,
        days_off: &DaysOff::default(),
        business_metrics: None,
    })
}

fn median(forecast: &RegionForecast, entry: &str, step: usize) -> f64 {
    forecast.demand.entries[entry].quantiles_rps[step][6]
}

fn codes(forecast: &RegionForecast) -> Vec<&str> {
    forecast.warnings.iter().map(|w| w.code.as_str()).collect()
}

#[test]
fn a_region_with_history_is_forecast_from_it() {
    let history = history(vec![("paris", "shop", series(60, 100.0, 0))]);
    let forecast = forecast(&history, &request("paris"), &["shop"]).unwrap();
    assert_eq!(forecast.demand.steps(), 72);
    assert_eq!(forecast.demand.starts, hour(AS_OF_HOUR));
    for step in 0..72 {
        let truth = rate(AS_OF_HOUR + step as i64, 100.0, 0);
        let levels = &forecast.demand.entries["shop"].quantiles_rps[step];
        assert!(
            (levels[6] / truth - 1.0).abs() < 0.15,
            "step {step}: {} {truth}",
            levels[6]
        );
        assert!(
            levels[13] > truth && levels[0] < truth && levels[12] < 1.6 * truth,
            "{levels:?} {truth}"
        );
    }
    assert_eq!(codes(&forecast), ["peak_assumed"]);
}

#[test]
fn donors_speak_in_local_time_times_their_share() {
    // Tokyo lives nine hours ahead of UTC: its noon is at 03:00 UTC.
    let history = history(vec![
        ("london", "shop", series(60, 400.0, 0)),
        ("tokyo", "shop", series(60, 800.0, -9)),
    ]);
    let mut request = request("paris");
    request.donors = [(region("london"), 0.25), (region("tokyo"), 0.125)].into();
    request.donor_timezones = [
        (region("london"), "UTC".into()),
        (region("tokyo"), "Asia/Tokyo".into()),
    ]
    .into();
    let forecast = forecast(&history, &request, &["shop"]).unwrap();
    for step in 0..72 {
        let truth = rate(AS_OF_HOUR + step as i64, 100.0, 0);
        let levels = &forecast.demand.entries["shop"].quantiles_rps[step];
        assert!(
            (levels[6] / truth - 1.0).abs() < 0.2,
            "step {step}: {} {truth}",
            levels[6]
        );
        // Nobody knows the share: the forecast is wider than a donor's own.
        assert!(levels[10] / levels[6] > 1.25, "{levels:?}");
    }
    assert!(codes(&forecast).contains(&"cold_start") && codes(&forecast).contains(&"share_spread"));
    assert!(forecast.demand.dependence.autocorrelation > 0.8);
    // Whoever is sure of the shares says so, and buys less.
    request.share_uncertainty = Some(0.05);
    let sure = self::forecast(&history, &request, &["shop"]).unwrap();
    let width = |forecast: &RegionForecast| {
        let levels = &forecast.demand.entries["shop"].quantiles_rps[12];
        levels[12] / levels[6]
    };
    assert!(
        width(&sure) < 0.75 * width(&forecast),
        "{} {}",
        width(&sure),
        width(&forecast)
    );
}

#[test]
fn the_first_days_after_go_live_correct_the_share() {
    // The share said 100, the region has 150.
    let both = history(vec![
        ("london", "shop", series(60, 400.0, 0)),
        ("paris", "shop", series(3, 150.0, 0)),
    ]);
    let mut request = request("paris");
    request.donors = [(region("london"), 0.25)].into();
    let after = forecast(&both, &request, &["shop"]).unwrap();
    let alone = forecast(
        &history(vec![("london", "shop", series(60, 400.0, 0))]),
        &request,
        &["shop"],
    )
    .unwrap();
    let truth = rate(AS_OF_HOUR + 30, 150.0, 0);
    assert!(
        (median(&after, "shop", 30) / truth - 1.0).abs() < 0.12,
        "{} {truth}",
        median(&after, "shop", 30)
    );
    assert!((median(&alone, "shop", 30) / truth - 2.0 / 3.0).abs() < 0.1);
    let width =
        |f: &RegionForecast| f.demand.entries["shop"].quantiles_rps[30][10] / median(f, "shop", 30);
    assert!(width(&after) < width(&alone));
}

fn event(name: &str, from: i64, to: i64, uplift: Option<f64>) -> Event {
    Event {
        name: name.into(),
        starts: hour(from),
        ends: hour(to),
        uplift,
        known_since: None,
        services: vec![],
        regions: vec![],
    }
}

#[test]
fn events_multiply_and_are_learned() {
    let mut shop = series(60, 100.0, 0);
    let sale = AS_OF_HOUR - 20 * 24;
    for h in sale..sale + 12 {
        shop.values[(h - AS_OF_HOUR + 60 * 24) as usize] *= 2.0;
    }
    let history = history(vec![("paris", "shop", shop)]);
    let plain = {
        let mut request = request("paris");
        request.events = vec![event("sale", sale, sale + 12, Some(2.0))];
        forecast(&history, &request, &["shop"]).unwrap()
    };
    let mut request = request("paris");
    request.events = vec![
        event("sale", sale, sale + 12, Some(2.0)),
        event("sale", AS_OF_HOUR + 10, AS_OF_HOUR + 20, Some(1.8)),
    ];
    let known = forecast(&history, &request, &["shop"]).unwrap();
    assert!((median(&known, "shop", 15) / median(&plain, "shop", 15) - 1.8).abs() < 0.02);
    assert!((median(&known, "shop", 25) / median(&plain, "shop", 25) - 1.0).abs() < 1e-9);

    request.events = vec![
        event("sale", sale, sale + 12, None),
        event("sale", AS_OF_HOUR + 10, AS_OF_HOUR + 20, None),
    ];
    let learned = forecast(&history, &request, &["shop"]).unwrap();
    let uplift = median(&learned, "shop", 15) / median(&plain, "shop", 15);
    assert!((1.4..2.05).contains(&uplift), "{uplift}");
    assert!(codes(&learned).contains(&"event_learned"));

    request.events = vec![event("launch", AS_OF_HOUR + 10, AS_OF_HOUR + 20, None)];
    let unknown = forecast(&history, &request, &["shop"]).unwrap();
    assert!(codes(&unknown).contains(&"event_unknown"));
}

#[test]
fn an_event_that_was_announced_later_moves_no_byte() {
    let history = history(vec![("paris", "shop", series(60, 100.0, 0))]);
    let with = |known_since: Option<i64>| {
        let mut request = request("paris");
        request.events = vec![Event {
            known_since: known_since.map(hour),
            ..event("sale", AS_OF_HOUR + 10, AS_OF_HOUR + 20, Some(3.0))
        }];
        forecast(&history, &request, &["shop"]).unwrap()
    };
    let none = forecast(&history, &request("paris"), &["shop"]).unwrap();
    assert_eq!(with(Some(AS_OF_HOUR + 1)), none);
    assert_eq!(with(Some(AS_OF_HOUR)), with(None));
    assert_ne!(with(None), none);
}

#[test]
fn nothing_after_as_of_and_no_thread_count_moves_a_byte() {
    let mut early = vec![];
    for i in 0..6 {
        let mut shop = series(40, 50.0 + f64::from(i) * 10.0, 0);
        early.push((format!("s{i}"), shop.clone()));
        shop.values.clear();
    }
    let base = history(
        early
            .iter()
            .map(|(name, s)| ("paris", name.as_str(), s.clone()))
            .collect(),
    );
    let later = history(
        early
            .iter()
            .map(|(name, s)| {
                let mut longer = s.clone();
                longer.values.extend([1e6, f64::NAN, 0.0, -3.0]);
                ("paris", name.as_str(), longer)
            })
            .chain([(
                "oslo",
                "later",
                Series {
                    start: hour(AS_OF_HOUR + 5),
                    step_s: 3600,
                    values: vec![1.0; 50],
                },
            )])
            .collect(),
    );
    let entries = ["s0", "s1", "s2", "s3", "s4", "s5"];
    let first = forecast(&base, &request("paris"), &entries).unwrap();
    assert_eq!(
        forecast(&later, &request("paris"), &entries).unwrap(),
        first
    );
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let again = pool.install(|| forecast(&base, &request("paris"), &entries).unwrap());
        assert_eq!(again.demand.encode(), first.demand.encode());
        assert_eq!(again, first);
    }
}

#[test]
fn a_quiet_day_moves_little() {
    let long = series(60, 100.0, 0);
    let history = history(vec![("paris", "shop", long)]);
    let mut request = request("paris");
    request.go_live = hour(AS_OF_HOUR);
    let today = forecast(&history, &request, &["shop"]).unwrap();
    request.as_of = hour(AS_OF_HOUR - 24);
    let yesterday = forecast(&history, &request, &["shop"]).unwrap();
    let mut moves: Vec<f64> = today.demand.entries["shop"]
        .quantiles_rps
        .iter()
        .zip(&yesterday.demand.entries["shop"].quantiles_rps)
        .map(|(a, b)| (a[12] / b[12]).ln().abs())
        .collect();
    moves.sort_by(f64::total_cmp);
    assert!(moves[36] < 0.04 && moves[71] < 0.1, "{moves:?}");
}

#[test]
fn each_bad_request_has_its_own_words() {
    let data = history(vec![("london", "shop", series(60, 400.0, 0))]);
    let refuse = |change: &dyn Fn(&mut RegionRequest)| {
        let mut request = request("paris");
        request.donors = [(region("london"), 0.25)].into();
        change(&mut request);
        forecast(&data, &request, &["shop"])
            .unwrap_err()
            .to_string()
    };
    let mut errors = vec![
        refuse(&|r| r.donors.clear()),
        refuse(&|r| r.donors = [(region("atlantis"), 0.5)].into()),
        refuse(&|r| r.donors = [(region("london"), f64::NAN)].into()),
        refuse(&|r| r.share_uncertainty = Some(2.5)),
        refuse(&|r| r.go_live = hour(AS_OF_HOUR - 1)),
        refuse(&|r| r.go_live = hour(AS_OF_HOUR + 15 * 24)),
        refuse(&|r| r.horizon_hours = 0),
        refuse(&|r| r.horizon_hours = 337),
        refuse(&|r| r.timezone = "Europe/Pari".into()),
        refuse(&|r| r.donor_timezones = [(region("london"), "GMT+25".into())].into()),
        refuse(&|r| r.events = vec![event("sale", AS_OF_HOUR, AS_OF_HOUR, None)]),
        refuse(&|r| r.events = vec![event("sale", AS_OF_HOUR, AS_OF_HOUR + 1, Some(-1.0))]),
        refuse(&|r| (r.as_of, r.go_live) = (hour(0), hour(1))),
    ];
    errors.push(
        forecast(&data, &request("london"), &["cart"])
            .unwrap_err()
            .to_string(),
    );
    errors.push(
        forecast(&data, &request("london"), &[])
            .unwrap_err()
            .to_string(),
    );
    insta::assert_snapshot!(errors.join("\n"));
}
