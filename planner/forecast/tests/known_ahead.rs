//! What is known ahead moves forecasts: events, with a known uplift or one that is learned, and business metrics that demand follows. On all three grids,
//! and in a region's forecast.

#![allow(clippy::unwrap_used)]

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

#[test]
fn an_event_lifts_its_steps_and_no_others_on_every_grid() {
    for (step, days) in [(Step::FiveMinutes, 42), (Step::Hour, 42), (Step::Day, 70)] {
        let day = a_day(step);
        let history = history(vec![(
            key("here", "requests_per_second"),
            series(step, demand(step, days)),
        )]);
        let plain = asked(&history, step, 2 * day);
        let from = days as f64 + 1.0;
        let events = [event("sale", from, from + 1.0, Some(1.8))];
        let (without, _) = told(&plain);
        let (with, warnings) = told(&SeriesInput {
            events: &events,
            ..plain
        });
        assert_eq!(warnings, told(&plain).1, "{step}");
        assert_eq!(
            with.quantiles_rps[..day],
            without.quantiles_rps[..day],
            "{step}"
        );
        for at in day..2 * day {
            assert!(
                (ratio(&with, &without, at) - 1.8).abs() < 1e-9,
                "{step}, {at}"
            );
        }
        for (with, without) in with.methods.iter().zip(&without.methods) {
            let ratio = with.quantiles_rps[day][MEDIAN] / without.quantiles_rps[day][MEDIAN];
            assert!((ratio - 1.8).abs() < 1e-9, "{step}, {}", with.name);
        }
        // A part of a step moves its mean by that part.
        let half = [event("sale", from, from + 0.5 / day as f64, Some(2.0))];
        let (with, _) = told(&SeriesInput {
            events: &half,
            ..plain
        });
        assert!((ratio(&with, &without, day) - 1.5).abs() < 1e-9, "{step}");
    }
}

#[test]
fn an_uplift_is_learned_from_past_events_of_the_name_on_every_grid() {
    for (step, days) in [(Step::FiveMinutes, 42), (Step::Hour, 42), (Step::Day, 70)] {
        let day = a_day(step);
        let clean = demand(step, days);
        let mut values = clean.clone();
        let past = [20, 30];
        for sale in past {
            values[sale * day..(sale + 1) * day]
                .iter_mut()
                .for_each(|value| *value *= 2.0);
        }
        let of = |values: Vec<f64>| {
            history(vec![(
                key("here", "requests_per_second"),
                series(step, values),
            )])
        };
        let (clean, shown) = (of(clean), of(values));
        let (plain, _) = told(&asked(&clean, step, 2 * day));
        let of = |day: f64| event("sale", day, day + 1.0, None);
        let events = [of(20.0), of(30.0), of(days as f64)];
        let input = SeriesInput {
            events: &events,
            ..asked(&shown, step, 2 * day)
        };
        let (with, warnings) = told(&input);
        assert!(has(&warnings, "event_learned"), "{step}: {warnings:?}");
        let uplift = ratio(&with, &plain, day / 2);
        assert!((1.6..2.1).contains(&uplift), "{step}: {uplift}");
        // What the sales did to the past is no part of the days without one.
        assert!(
            (ratio(&with, &plain, day + day / 2) - 1.0).abs() < 0.05,
            "{step}"
        );

        let unknown = [event("launch", days as f64, days as f64 + 1.0, None)];
        let (with, warnings) = told(&SeriesInput {
            events: &unknown,
            ..input
        });
        assert!(has(&warnings, "event_unknown"), "{step}: {warnings:?}");
        assert_eq!(
            with,
            told(&SeriesInput {
                events: &[],
                ..input
            })
            .0
        );
    }
}

#[test]
fn an_event_that_was_announced_later_moves_nothing() {
    let step = Step::Hour;
    let history = history(vec![(
        key("here", "requests_per_second"),
        series(step, demand(step, 42)),
    )]);
    let plain = asked(&history, step, 24);
    let since = |day: f64| {
        let known_since = Some(at_day(day));
        let events = [Event {
            known_since,
            ..event("sale", 42.0, 43.0, Some(3.0))
        }];
        told(&SeriesInput {
            events: &events,
            ..plain
        })
        .0
    };
    assert_eq!(since(42.5), told(&plain).0);
    assert!(ratio(&since(42.0), &told(&plain).0, 5) > 2.9);
    // As of an earlier instant it was not known yet.
    let earlier = SeriesInput {
        as_of: Some(at_day(41.0)),
        ..plain
    };
    let events = [Event {
        known_since: Some(at_day(41.5)),
        ..event("sale", 41.0, 42.0, Some(3.0))
    }];
    assert_eq!(
        told(&SeriesInput {
            events: &events,
            ..earlier
        })
        .0,
        told(&earlier).0
    );
}

#[test]
fn demand_that_follows_a_metric_is_forecast_with_it_on_every_grid() {
    for (step, days, lag) in [
        (Step::FiveMinutes, 49, 36),
        (Step::Hour, 84, 6),
        (Step::Day, 140, 1),
    ] {
        let day = a_day(step);
        let ahead = 2 * day;
        let all = days + 2;
        let spend = spend(step, all);
        let mut spend_planned = spend.clone();
        // Planned: the first day as ever, the second with three times the spend.
        spend_planned[days * day..(days + 1) * day].fill(1000.0);
        spend_planned[(days + 1) * day..].fill(3000.0);
        let truth = following(demand(step, all), &spend_planned, 0.8, lag);
        let past = following(demand(step, days), &spend, 0.8, lag);
        let history = history(vec![(
            key("here", "requests_per_second"),
            series(step, past),
        )]);
        let metrics = self::history(vec![(key("here", "spend"), series(step, spend_planned))]);
        let plain = asked(&history, step, ahead);
        let input = SeriesInput {
            business_metrics: Some(&metrics),
            ..plain
        };
        let (with, warnings) = told(&input);
        assert!(
            has(&warnings, "business_metric_followed"),
            "{step}: {warnings:?}"
        );
        assert!(
            !has(&warnings, "business_metric_ends"),
            "{step}: {warnings:?}"
        );
        let off = |forecast: &SeriesForecast| -> f64 {
            let steps = forecast.quantiles_rps.iter().zip(&truth[days * day..]);
            steps
                .map(|(levels, truth)| (levels[MEDIAN] / truth).ln().abs())
                .sum::<f64>()
                / ahead as f64
        };
        let (with, without) = (off(&with), off(&told(&plain).0));
        assert!(
            with < 0.12 && with < 0.5 * without,
            "{step}: {with} and {without}"
        );
    }
}

#[test]
fn a_metric_that_says_nothing_moves_nothing() {
    let step = Step::Hour;
    let history = history(vec![(
        key("here", "requests_per_second"),
        series(step, demand(step, 84)),
    )]);
    let plain = asked(&history, step, 48);
    let metrics =
        |metric: Vec<f64>| self::history(vec![(key("here", "spend"), series(step, metric))]);
    let constant = vec![5.0; 90 * 24];
    let nothing = vec![0.0; 90 * 24];
    let unknown = vec![f64::NAN; 90 * 24];
    let late: Vec<f64> = spend(step, 90)
        .into_iter()
        .enumerate()
        .map(|(at, v)| if at < 70 * 24 { f64::NAN } else { v })
        .collect();
    for metric in [spend(step, 90), constant, nothing, unknown, late, vec![]] {
        let metrics = metrics(metric);
        let (with, warnings) = told(&SeriesInput {
            business_metrics: Some(&metrics),
            ..plain
        });
        assert_eq!(with, told(&plain).0);
        assert!(has(&warnings, "business_metric_idle"), "{warnings:?}");
    }
    // Nor does one of a service that is not there, which is said.
    let elsewhere = self::history(vec![(key("there", "spend"), series(step, spend(step, 90)))]);
    let (with, warnings) = told(&SeriesInput {
        business_metrics: Some(&elsewhere),
        ..plain
    });
    assert_eq!(with, told(&plain).0);
    assert!(has(&warnings, "business_metrics_unmatched"), "{warnings:?}");
}

#[test]
fn a_plan_that_ends_early_holds_its_last_value_and_says_so() {
    let step = Step::Hour;
    let spend = spend(step, 84);
    let past = following(demand(step, 84), &spend, 0.8, 0);
    let history = history(vec![(
        key("here", "requests_per_second"),
        series(step, past),
    )]);
    let mut held = spend.clone();
    held.resize(86 * 24, spend[spend.len() - 1]);
    let of = |metric: &[f64]| {
        let metrics = self::history(vec![(key("here", "spend"), series(step, metric.to_vec()))]);
        told(&SeriesInput {
            business_metrics: Some(&metrics),
            ..asked(&history, step, 48)
        })
    };
    let ((ended, warnings), (told, none)) = (of(&spend), of(&held));
    assert_eq!(ended, told);
    assert!(has(&warnings, "business_metric_ends") && !has(&none, "business_metric_ends"));
}

#[test]
fn a_wild_plan_stays_finite_and_in_order() {
    let step = Step::Hour;
    let mut planned = spend(step, 86);
    let past = following(demand(step, 84), &planned, 1.9, 0);
    let history = history(vec![(
        key("here", "requests_per_second"),
        series(step, past),
    )]);
    planned[84 * 24..85 * 24].fill(1e12);
    planned[85 * 24..].fill(0.0);
    let metrics = self::history(vec![(key("here", "spend"), series(step, planned))]);
    let all = forecast_series(&SeriesInput {
        business_metrics: Some(&metrics),
        ..asked(&history, step, 48)
    })
    .unwrap();
    for levels in all.values().flat_map(|forecast| &forecast.quantiles_rps) {
        assert!(
            levels.iter().all(|v| v.is_finite() && *v >= 0.0),
            "{levels:?}"
        );
        assert!(
            levels.windows(2).all(|pair| pair[0] <= pair[1]),
            "{levels:?}"
        );
    }
}

#[test]
fn more_metrics_than_can_be_told_apart_are_refused_by_name() {
    let step = Step::Hour;
    let history = history(vec![(
        key("here", "requests_per_second"),
        series(step, demand(step, 42)),
    )]);
    let of = |count: usize| {
        let metric = |at| {
            (
                key("here", &format!("metric_{at}")),
                series(step, spend(step, 42)),
            )
        };
        let metrics = self::history((0..count).map(metric).collect());
        forecast_series(&SeriesInput {
            business_metrics: Some(&metrics),
            ..asked(&history, step, 24)
        })
    };
    assert!(of(MOST_BUSINESS_METRICS).is_ok());
    let refused = of(MOST_BUSINESS_METRICS + 1).unwrap_err();
    assert!(matches!(refused, ForecastError::BusinessMetrics { .. }));
    assert!(
        refused.to_string().contains("metric_0, metric_1"),
        "{refused}"
    );
}

fn region(history: &History, metrics: Option<&History>, donors: &[(&str, f64)]) -> RegionForecast {
    let as_of = at_day(84.0);
    let request = RegionRequest {
        region: RegionName::new("here").unwrap(),
        timezone: "UTC".into(),
        as_of,
        go_live: at_day(85.0),
        horizon_hours: 48,
        donors: donors
            .iter()
            .map(|(donor, share)| (RegionName::new(*donor).unwrap(), *share))
            .collect(),
        donor_timezones: BTreeMap::new(),
        holidays: vec![],
        donor_holidays: BTreeMap::new(),
        share_uncertainty: None,
        events: vec![],
        seed: 1,
    };
    forecast_region(&ForecastInput {
        history,
        request: &request,
        entries: &[ServiceName::new("shop").unwrap()],
        forecaster: None,
        days_off: &DaysOff::default(),
        business_metrics: metrics,
    })
    .unwrap()
}

#[test]
fn a_region_follows_its_metrics_and_a_donor_its_own() {
    let step = Step::Hour;
    let mut planned = spend(step, 88);
    let past = following(demand(step, 84), &planned, 0.8, 0);
    // Nothing but the day of go-live has more spend.
    planned[84 * 24..].fill(1000.0);
    planned[85 * 24..86 * 24].fill(3000.0);
    let of = |name: &str| {
        let history = history(vec![(
            key(name, "requests_per_second"),
            series(step, past.clone()),
        )]);
        let metrics = self::history(vec![(key(name, "spend"), series(step, planned.clone()))]);
        (history, metrics)
    };
    for (name, donors) in [("here", &[][..]), ("there", &[("there", 0.5)][..])] {
        let (history, metrics) = of(name);
        let with = region(&history, Some(&metrics), donors);
        assert!(
            has(&with.warnings, "business_metric_followed"),
            "{:?}",
            with.warnings
        );
        let entry = &with.demand.entries["shop"].quantiles_rps;
        let share = if donors.is_empty() { 1.0 } else { 0.5 };
        let expected = demand(step, 88);
        for (hour, factor) in [
            (6, 3f64.powf(0.8)),
            (18, 3f64.powf(0.8)),
            (30, 1.0),
            (42, 1.0),
        ] {
            let median = entry[hour][MEDIAN] / share;
            let truth = factor * expected[85 * 24 + hour];
            assert!(
                (median / truth).ln().abs() < 0.15,
                "{name}, {hour}: {median} for {truth}"
            );
        }
        let without = region(&history, None, donors);
        let elsewhere = of("nowhere").1;
        let unmatched = region(&history, Some(&elsewhere), donors);
        assert_eq!(unmatched.demand, without.demand);
        assert!(has(&unmatched.warnings, "business_metrics_unmatched"));
    }
}

#[test]
fn a_day_of_a_plan_is_its_own_day_and_counts_to_its_end() {
    let step = Step::Hour;
    let days = 84;
    // Days of the plan begin at 23:00 UTC, the day before; the last is the one that is forecast in part.
    let by_day: Vec<f64> = spend(Step::Day, days + 2);
    let of_hour = |hour: usize| by_day[(hour + 1) / 24];
    let by_hour: Vec<f64> = (0..(days + 1) * 24).map(of_hour).collect();
    let truth = following(demand(step, days + 1), &by_hour, 0.8, 0);
    let history = history(vec![(
        key("here", "requests_per_second"),
        series(step, truth[..days * 24].to_vec()),
    )]);
    let plan = Series {
        start: Timestamp::from_second(MONDAY * 86_400 - 3600).unwrap(),
        step_s: 86_400,
        values: by_day[..=days].to_vec(),
    };
    let metrics = self::history(vec![(key("here", "spend"), plan)]);
    let (with, warnings) = told(&SeriesInput {
        business_metrics: Some(&metrics),
        ..asked(&history, step, 10)
    });
    assert!(has(&warnings, "business_metric_followed"), "{warnings:?}");
    assert!(!has(&warnings, "business_metric_ends"), "{warnings:?}");
    for (hour, levels) in with.quantiles_rps.iter().enumerate() {
        let off = (levels[MEDIAN] / truth[days * 24 + hour]).ln().abs();
        assert!(off < 0.1, "{hour}: {off}");
    }
}
