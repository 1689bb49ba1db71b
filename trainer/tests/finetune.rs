//! A model is trained further on a history, and kept only where it is better on what it has not seen.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use burn::module::Module;
use foremesh_model::{History, RegionName, Series, SeriesKey, ServiceName, Timestamp};
use foremesh_trainer::{
    TrainError, cpu,
    forecaster::{
        Layout, Mixer, Point, Recipe, Size, Tuned, Tuning, export, finetune, import, tuned_name,
    },
    prior::Prior,
};

const LAYOUT: Layout = Layout::HOURLY;
const SHIPPED: &[u8] = include_bytes!("../../models/forecaster-1h.onnx");

fn history(series: &[(&str, Vec<f64>)]) -> History {
    let of = |(region, values): &(&str, Vec<f64>)| {
        let region = RegionName::new(*region).unwrap();
        let series = Series {
            start: Timestamp::from_second(1_700_006_400).unwrap(),
            step_s: 3600,
            values: values.clone(),
        };
        (
            SeriesKey::requests(region, ServiceName::new("shop").unwrap()),
            series,
        )
    };
    History {
        series: series.iter().map(of).collect(),
    }
}

/// Noise of so much, the same each time.
fn noise(hour: usize, seed: usize) -> f64 {
    let mut x = (hour * 31 + seed) as u64 ^ 0x9E37_79B9_7F4A_7C15;
    for _ in 0..3 {
        x = (x ^ (x >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    }
    (x >> 40) as f64 / (1u64 << 24) as f64 - 0.5
}

fn daily(hours: usize, seed: usize) -> Vec<f64> {
    let rate = |hour: usize| {
        let day = (hour as f64 / 24.0 * std::f64::consts::TAU).sin();
        100.0 * (1.5 + day) * (1.0 + 0.2 * noise(hour, seed))
    };
    (0..hours).map(rate).collect()
}

/// A day, and on top of it a batch job that runs for two hours of every nine.
fn every_nine_hours(hours: usize, seed: usize) -> Vec<f64> {
    let days = daily(hours, seed);
    let runs = |hour: usize| if (hour + seed) % 9 < 2 { 300.0 } else { 0.0 };
    (0..hours).map(|hour| days[hour] + runs(hour)).collect()
}

fn tuning(start: &[u8], folder: &Path, recipe: Recipe) -> Tuning {
    Tuning {
        layout: LAYOUT,
        start: start.to_vec(),
        start_name: "start.onnx".into(),
        recipe,
        diet: Tuning::diet(Tuning::SYNTHETIC),
        output: folder.to_owned(),
        device: cpu(),
        command: "foremesh train forecaster --finetune FILE".into(),
    }
}

fn tuned(history: &History, tuning: &Tuning) -> Result<Tuned, TrainError> {
    finetune(history, tuning, &mut |_: &Point, _| {})
}

#[test]
fn a_pattern_that_the_shipped_model_cannot_know_is_learned() {
    let folder = tempfile::tempdir().unwrap();
    let hours = 100 * 24;
    let history = history(&[
        ("east", every_nine_hours(hours, 0)),
        ("west", every_nine_hours(hours, 4)),
    ]);
    let recipe = Recipe {
        batch: 32,
        evaluate_every: 25,
        learning_rate: 1e-3,
        ..Tuning::recipe(50, 1)
    };
    let tuned = tuned(&history, &tuning(SHIPPED, folder.path(), recipe)).unwrap();
    assert!(tuned.tail.is_better(), "{:?}", tuned.tail);
    assert!(tuned.tail.ratio < 0.9, "{:?}", tuned.tail);
    let [model, card, curve] = tuned.files.unwrap();
    assert!(curve.exists());
    let file = std::fs::read(&model).unwrap();
    let read = import(&file, "tuned", LAYOUT, &cpu()).unwrap();
    assert_eq!(
        read.file.metadata["foremesh.tuned_from"],
        tuned.start_sha256
    );
    let card = std::fs::read_to_string(card).unwrap();
    for told in [
        tuned.start_sha256.as_str(),
        read.file.sha256.as_str(),
        "2 series from 2023-11-15 to 2024-02-23; nothing from 2024-02-03 on",
        "| east shop |",
    ] {
        assert!(card.contains(told), "{told}: {card}");
    }
}

#[test]
fn what_has_learned_nothing_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    // Six services of which the net learns nothing, because it takes no steps worth the name.
    let prior = Prior::new(4711, 3600);
    let names = ["a", "b", "c", "d", "e", "f"];
    let series: Vec<(&str, Vec<f64>)> = (0..)
        .zip(names)
        .map(|(number, name)| {
            let demand = prior.draw(number, 100 * 24).demand;
            (name, demand.iter().map(|rate| f64::from(*rate)).collect())
        })
        .collect();
    let recipe = Recipe {
        batch: 32,
        evaluate_every: 15,
        learning_rate: 1e-12,
        ..Tuning::recipe(30, 1)
    };
    let tuned = tuned(&history(&series), &tuning(SHIPPED, folder.path(), recipe)).unwrap();
    assert!(tuned.files.is_none(), "{:?}", tuned.tail);
    assert!((tuned.tail.ratio - 1.0).abs() < 1e-3, "{:?}", tuned.tail);
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

fn tiny() -> Vec<u8> {
    let device = cpu();
    device.seed(5);
    let size = Size {
        width: 8,
        time_hidden: 8,
        feature_hidden: 8,
        blocks: 1,
    };
    let net = Mixer::new(LAYOUT, size, &device.autodiff()).valid();
    export(&net, LAYOUT, &[]).unwrap()
}

fn short() -> Recipe {
    Recipe {
        batch: 8,
        evaluate_every: 5,
        learning_rate: 1e-2,
        ..Tuning::recipe(10, 1)
    }
}

#[test]
fn nothing_of_the_tail_reaches_the_candidate() {
    let folder = tempfile::tempdir().unwrap();
    let start = tiny();
    let hours = 70 * 24;
    let run = |change: f64| {
        let regions = ["east", "west"];
        let series: Vec<(&str, Vec<f64>)> = (0..)
            .zip(regions)
            .map(|(seed, region)| {
                let mut values = every_nine_hours(hours, seed);
                for value in &mut values[56 * 24..] {
                    *value *= change;
                }
                (region, values)
            })
            .collect();
        let tuned = tuned(&history(&series), &tuning(&start, folder.path(), short())).unwrap();
        (
            export(&tuned.candidate, LAYOUT, &[]).unwrap(),
            tuned.tail.candidate,
        )
    };
    let ((one, loss), (other, other_loss)) = (run(1.0), run(3.0));
    assert!(one == other, "the candidate saw the tail");
    assert!(one != start, "nothing was learned");
    assert!(other_loss > loss, "{other_loss} {loss}");
}

#[test]
fn what_cannot_be_used_is_refused_before_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let start = tiny();
    let whole = history(&[("east", daily(70 * 24, 1))]);
    let file = folder.path().join("a-file");
    std::fs::write(&file, "").unwrap();
    let error = tuned(&whole, &tuning(&start, &file.join("below"), short())).unwrap_err();
    assert!(matches!(error, TrainError::Write { .. }), "{error}");

    let with = |history: &History, start: &[u8]| {
        tuned(history, &tuning(start, folder.path(), short())).unwrap_err()
    };
    let short = with(&history(&[("east", daily(20 * 24, 1))]), &start);
    assert!(
        matches!(short, TrainError::HistoryTooShort { .. }),
        "{short}"
    );
    let nothing = with(&history(&[("east", vec![f64::NAN; 2000])]), &start);
    assert!(matches!(nothing, TrainError::NoSeries { .. }), "{nothing}");
    let damaged = with(&whole, &start[..start.len() - 9]);
    assert!(matches!(damaged, TrainError::Model(_)), "{damaged}");
    assert!(!folder.path().join(tuned_name(LAYOUT) + ".onnx").exists());
}
