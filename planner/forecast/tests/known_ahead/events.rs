//! Events in forecasts of series: with a known uplift, or one that is learned.

use super::*;

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
fn a_short_event_that_did_nothing_is_learned_to_do_nothing() {
    // Demand grows by 2% a day: the weeks before are less than the last days, of an event's day four hours would be much more.
    let (step, days) = (Step::Day, 70);
    let grows = demand(step, days).into_iter().enumerate();
    let grown = grows
        .map(|(day, value)| value * 1.02f64.powi(day as i32))
        .collect();
    let history = history(vec![(
        key("here", "requests_per_second"),
        series(step, grown),
    )]);
    let plain = asked(&history, step, 2);
    let four_hours = |day: f64| event("news", day + 0.5, day + 0.5 + 1.0 / 6.0, None);
    let events = [four_hours(66.0), four_hours(68.0), four_hours(70.0)];
    let (with, warnings) = told(&SeriesInput {
        events: &events,
        ..plain
    });
    assert!(has(&warnings, "event_learned"), "{warnings:?}");
    let moved = ratio(&with, &told(&plain).0, 0);
    assert!((moved - 1.0).abs() < 0.02, "{moved}");
}

#[test]
fn an_event_of_a_thousand_years_is_an_event() {
    let step = Step::FiveMinutes;
    let history = history(vec![(
        key("here", "requests_per_second"),
        series(step, demand(step, 42)),
    )]);
    let plain = asked(&history, step, 12);
    let age = |uplift| event("age", -300_000.0, 300_000.0, uplift);
    for known in [Some(2.0), None] {
        let events = [age(known)];
        let (with, _) = told(&SeriesInput {
            events: &events,
            ..plain
        });
        // It was there in all of the past too: nothing changes.
        let moved = ratio(&with, &told(&plain).0, 0);
        assert!((moved - 1.0).abs() < 1e-3, "{moved}");
    }
}
