//! One ensemble on three grids: five minutes, hours, days.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use foremesh_forecast::{
    ForecastError, SeriesForecast, SeriesInput, Step, forecast_series,
    neural::{Forecaster, Layout, contract},
};
use foremesh_model::{
    History, InferenceSettings, RegionName, Series, SeriesKey, ServiceName, Timestamp,
    random::{mix, uniform},
};
use foremesh_onnx::{Inference, Surroundings, read_model};

/// A Monday, 00:00 UTC.
const START_S: i64 = 491_856 * 3600;

fn key() -> SeriesKey {
    SeriesKey::requests(
        RegionName::new("here").unwrap(),
        ServiceName::new("shop").unwrap(),
    )
}

fn history(step_s: i64, values: Vec<f64>) -> History {
    let mut history = History::default();
    let series = Series {
        start: Timestamp::from_second(START_S).unwrap(),
        step_s: step_s as u32,
        values,
    };
    history.series.insert(key(), series);
    history
}

fn input(history: &History, step: Step, horizon: u32) -> SeriesInput<'_> {
    SeriesInput {
        history,
        as_of: None,
        step,
        horizon,
        forecaster: None,
        events: &[],
        business_metrics: None,
    }
}

fn forecast(step: Step, values: Vec<f64>, horizon: u32) -> SeriesForecast {
    let history = history(step.seconds(), values);
    let mut all = forecast_series(&input(&history, step, horizon)).unwrap();
    all.remove(&key()).unwrap()
}

fn median(forecast: &SeriesForecast, ahead: usize) -> f64 {
    forecast.quantiles_rps[ahead][6]
}

fn is_sound(forecast: &SeriesForecast, most: f64, what: &str) {
    for (ahead, levels) in forecast.quantiles_rps.iter().enumerate() {
        let sound = levels.iter().all(|v| (0.0..=most).contains(v)) && levels.is_sorted();
        assert!(sound, "{what}, step {ahead}: {levels:?}");
    }
}

/// A shop by day and week, quiet at weekends, with noise that one step hands on to the next. Each value is the mean of its step.
fn shop(step: Step, days: usize, seed: u64) -> Vec<f64> {
    let of_day = (86_400 / step.seconds()) as usize;
    let kept = 0.95f64.powf(step.seconds() as f64 / 3600.0);
    let mut carried = 0.0;
    (0..days * of_day)
        .map(|at| {
            let day = if of_day == 1 {
                0.0
            } else {
                ((at as f64 + 0.5) / of_day as f64 * std::f64::consts::TAU).sin()
            };
            let weekend = f64::from(u8::from(at / of_day % 7 >= 5));
            let noise = uniform(mix(seed, at as u64)) - 0.5;
            carried = kept * carried + (1.0 - kept.powi(2)).sqrt() * 0.4 * noise;
            (4.0 + 0.8 * day - 0.7 * weekend + carried).exp()
        })
        .collect()
}

#[test]
fn whatever_a_history_holds_every_grid_answers() {
    for step in Step::ALL {
        let day = (86_400 / step.seconds()) as usize;
        let most = step.most_horizon();
        let gaps: Vec<f64> = shop(step, 40, 1)
            .into_iter()
            .enumerate()
            .map(|(at, rate)| {
                if at % 5 == 0 || at / day == 11 {
                    f64::NAN
                } else {
                    rate
                }
            })
            .collect();
        let mut wrong = shop(step, 20, 2);
        wrong[3] = f64::INFINITY;
        wrong[9] = -4.0;
        wrong[11] = 1e300;
        let mut leaps = vec![0.5; 40 * day];
        leaps[39 * day / 2] = 500.0;
        for (what, values) in [
            ("one value", vec![3.0]),
            ("three values", vec![3.0, 5.0, 4.0]),
            ("fifty values", shop(step, 50, 3)[..50].to_vec()),
            ("a day", shop(step, 1, 4)),
            ("ten days", shop(step, 10, 5)),
            ("nothing but nothing", vec![0.0; 30 * day]),
            ("one value again and again", vec![7.0; 30 * day]),
            ("gaps", gaps),
            ("what cannot be", wrong),
            ("a leap", leaps),
        ] {
            for horizon in [1, most] {
                let said = forecast(step, values.clone(), horizon);
                let what = format!("{what} in steps of {step}");
                assert_eq!(said.quantiles_rps.len(), horizon as usize, "{what}");
                assert_eq!(i64::from(said.step_s), step.seconds());
                is_sound(&said, 1e7, &what);
            }
        }
        let nothing = forecast(step, vec![0.0; 30 * day], most);
        assert!(
            nothing.quantiles_rps.iter().flatten().all(|v| *v < 1e-3),
            "{step}"
        );
        let constant = forecast(step, vec![7.0; 30 * day], most);
        assert!((median(&constant, 0) - 7.0).abs() < 0.01, "{step}");
    }
}

#[test]
fn of_ten_years_only_what_is_kept_counts() {
    for step in Step::ALL {
        let (year, week) = (364, 7 * (86_400 / step.seconds()) as usize);
        let years = shop(step, 10 * year, 6);
        let kept = years[years.len() - step.kept_weeks() * week..].to_vec();
        let (all, recent) = (forecast(step, years, 10), forecast(step, kept, 10));
        assert_eq!(all.quantiles_rps, recent.quantiles_rps, "{step}");
    }
}

#[test]
fn days_of_the_week_are_learned_on_every_grid() {
    for step in Step::ALL {
        let day = (86_400 / step.seconds()) as usize;
        // It ends with a Thursday: Saturday's noon against Friday's.
        let horizon = step.most_horizon().min(2 * day as u32);
        let said = forecast(step, shop(step, 6 * 7 + 4, 7), horizon);
        let ratio = median(&said, day + day / 2) / median(&said, day / 2);
        assert!((ratio.ln() + 0.7).abs() < 0.15, "{step}: {ratio}");
    }
}

#[test]
fn minutes_ahead_the_last_minutes_count() {
    // The last hours are twice as busy as the weeks before.
    let mut values = shop(Step::FiveMinutes, 28, 8);
    let usual = forecast(Step::FiveMinutes, values.clone(), 288);
    let from = values.len() - 36;
    for value in &mut values[from..] {
        *value *= 2.0;
    }
    let busy = forecast(Step::FiveMinutes, values, 288);
    let ratio = |ahead: usize| median(&busy, ahead) / median(&usual, ahead);
    assert!(ratio(0) > 1.5, "{}", ratio(0));
    assert!(ratio(287) < ratio(0), "{} {}", ratio(0), ratio(287));
    let width =
        |ahead: usize| (usual.quantiles_rps[ahead][10] / usual.quantiles_rps[ahead][2]).ln();
    assert!(width(0) < 0.8 * width(200), "{} {}", width(0), width(200));
}

#[test]
fn grids_agree_on_what_both_show() {
    let minutes = shop(Step::FiveMinutes, 35, 9);
    let fine = history(300, minutes);
    let of = |step: Step, horizon: u32| {
        let mut all = forecast_series(&input(&fine, step, horizon)).unwrap();
        all.remove(&key()).unwrap()
    };
    let (five, hour, day) = (
        of(Step::FiveMinutes, 288),
        of(Step::Hour, 24),
        of(Step::Day, 1),
    );
    assert_eq!((five.starts, hour.starts), (hour.starts, day.starts));
    let mean = |said: &SeriesForecast, from: usize, count: usize| {
        (from..from + count).map(|at| median(said, at)).sum::<f64>() / count as f64
    };
    for at in 0..24 {
        let ratio = mean(&five, 12 * at, 12) / median(&hour, at);
        assert!((0.75..1.33).contains(&ratio), "hour {at}: {ratio}");
    }
    let ratio = mean(&hour, 0, 24) / median(&day, 0);
    assert!((0.85..1.18).contains(&ratio), "{ratio}");
}

#[test]
fn threads_do_not_move_a_byte() {
    for step in Step::ALL {
        let mut all = History::default();
        for seed in 0..6 {
            let one = history(step.seconds(), shop(step, 21 + seed as usize, seed));
            let series = one.series.into_values().next().unwrap();
            let region = RegionName::new(format!("r{seed}")).unwrap();
            let key = SeriesKey::requests(region, ServiceName::new("shop").unwrap());
            all.series.insert(key, series);
        }
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let pool = pool.build().unwrap();
            pool.install(|| forecast_series(&input(&all, step, 12)).unwrap())
        };
        assert_eq!(on(1), on(3), "{step}");
    }
}

#[test]
fn a_history_that_ended_long_ago_is_forecast_at_its_hour_of_the_week() {
    for step in Step::ALL {
        let history = history(step.seconds(), shop(step, 28, 10));
        let later = |weeks: i64| {
            let at = START_S + (28 + 7 * weeks) * 86_400;
            let input = SeriesInput {
                as_of: Some(Timestamp::from_second(at).unwrap()),
                ..input(&history, step, 7)
            };
            let said = forecast_series(&input).unwrap().remove(&key()).unwrap();
            assert_eq!(said.starts.as_second(), at);
            said.quantiles_rps
        };
        assert_eq!(later(60), later(600), "{step}");
    }
}

#[test]
fn each_wrong_request_has_its_own_words() {
    let said = |history: &History, step: Step, horizon: u32| -> String {
        let refused: Result<_, ForecastError> = forecast_series(&input(history, step, horizon));
        refused.unwrap_err().to_string()
    };
    let hours = history(3600, shop(Step::Hour, 20, 11));
    let text = said(&hours, Step::FiveMinutes, 12);
    assert!(
        text.contains("shop in region here has steps of 1h"),
        "{text}"
    );
    let text = said(&hours, Step::Hour, 337);
    assert!(text.contains("must lie between 1h and 14d"), "{text}");
    let text = said(&hours, Step::Day, 15);
    assert!(
        text.contains("is 15d") && text.contains("between 1d and 14d"),
        "{text}"
    );
    let minutes = history(300, shop(Step::FiveMinutes, 20, 11));
    let text = said(&minutes, Step::FiveMinutes, 577);
    assert!(text.contains("between 5m and 48h; steps of 1h"), "{text}");
    assert!(said(&minutes, Step::Hour, 0).contains("is 0h"));

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/forecaster-1h.onnx");
    let inference = Inference::discover(&InferenceSettings::default(), Surroundings::default());
    let model = inference
        .load(
            &read_model(&path).unwrap(),
            "hours",
            &contract(Layout::HOURLY),
        )
        .unwrap();
    let refused = forecast_series(&SeriesInput {
        forecaster: Some(Forecaster::new(&model, Layout::HOURLY)),
        ..input(&minutes, Step::FiveMinutes, 12)
    });
    let text = refused.unwrap_err().to_string();
    assert_eq!(text, "the net forecasts steps of 1h, not of 5m");
}
