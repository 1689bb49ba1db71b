//! Business metrics in forecasts of series.

use super::*;

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

#[test]
fn days_that_begin_at_local_midnight_are_the_days_they_mostly_lie_in() {
    let step = Step::Day;
    let (days, ahead) = (140, 3);
    let by_day = spend(step, days + ahead);
    let truth = following(demand(step, days + ahead), &by_day, 0.8, 0);
    let history = history(vec![(
        key("here", "requests_per_second"),
        series(step, truth[..days].to_vec()),
    )]);
    // Midnight an hour east and five hours west of UTC.
    for begins_s in [-3600, 5 * 3600] {
        let plan = Series {
            start: Timestamp::from_second(MONDAY * 86_400 + begins_s).unwrap(),
            ..series(step, by_day.clone())
        };
        let metrics = self::history(vec![(key("here", "spend"), plan)]);
        let (with, warnings) = told(&SeriesInput {
            business_metrics: Some(&metrics),
            ..asked(&history, step, ahead)
        });
        assert!(has(&warnings, "business_metric_followed"), "{warnings:?}");
        assert!(!has(&warnings, "business_metric_ends"), "{warnings:?}");
        for (levels, truth) in with.quantiles_rps.iter().zip(&truth[days..]) {
            let off = (levels[MEDIAN] / truth).ln().abs();
            assert!(off < 0.1, "{begins_s}: {off}");
        }
    }
}
