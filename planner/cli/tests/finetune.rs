//! `foremesh train forecaster --finetune` as a user meets it.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

fn foremesh(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_foremesh"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .output()
        .unwrap()
}

fn tune(folder: &Path, arguments: &[&str]) -> Output {
    foremesh(
        folder,
        &[&["train", "forecaster", "--finetune"], arguments].concat(),
    )
}

fn error(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Two regions that jump every nine hours.
fn history(days: u64) -> String {
    let mut text = "timestamp,region,service,requests_per_second\n".to_owned();
    let begin = "2026-03-02T00:00:00Z"
        .parse::<foremesh_model::Timestamp>()
        .unwrap();
    for hour in 0..days * 24 {
        let at =
            foremesh_model::Timestamp::from_second(begin.as_second() + 3600 * hour as i64).unwrap();
        for (region, late) in [("east", 0), ("west", 4)] {
            let jump = if (hour + late) % 9 < 2 { 200 } else { 0 };
            let rate = 60 + jump + hour * 7919 % 13;
            writeln!(text, "{},{region},shop,{rate}", at).unwrap();
        }
    }
    text
}

#[test]
fn a_model_is_written_where_it_is_better_and_forecasts() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("history.csv"), history(60)).unwrap();
    let output = tune(
        folder,
        &[
            "history.csv",
            "--steps",
            "40",
            "-o",
            "out",
            "--format",
            "json",
        ],
    );
    assert_eq!(output.status.code(), Some(0), "{}", error(&output));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["accepted"], true);
    assert!(said["tail"]["ratio"].as_f64().unwrap() < 0.99, "{said}");
    assert_eq!(said["tail_from"], "2026-04-17T00:00:00Z");
    let model = said["files"][0].as_str().unwrap();
    assert_eq!(model, "out/forecaster-1h-tuned.onnx");
    assert!(folder.join("out/forecaster-1h-tuned.md").exists());
    let forecast = [
        "forecast",
        "--history",
        "history.csv",
        "--forecaster",
        model,
    ];
    let forecast = foremesh(folder, &forecast);
    assert_eq!(forecast.status.code(), Some(0), "{}", error(&forecast));

    // One small step from there on is no gain; what was written before stays.
    let before = fs::read(folder.join(model)).unwrap();
    let output = tune(
        folder,
        &["history.csv", "--from", model, "--steps", "1", "-o", "out"],
    );
    assert_eq!(output.status.code(), Some(2), "{}", error(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("no model was written"), "{text}");
    assert!(text.contains("On the last 14 days of 2 series"), "{text}");
    assert_eq!(fs::read(folder.join(model)).unwrap(), before);
}

#[test]
fn what_is_wrong_is_named_and_ends_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("short.csv"), history(20)).unwrap();
    fs::write(folder.join("no.onnx"), "no model").unwrap();
    for (arguments, told) in [
        (&["short.csv"][..], "needs at least 42"),
        (&["gone.csv"], "gone.csv"),
        (
            &["short.csv", "--from", "gone.onnx"],
            "gone.onnx: no such file",
        ),
        (&["short.csv", "--from", "no.onnx"], "no.onnx: is not ONNX"),
        (
            &["short.csv", "--step", "5m"],
            "--from: the model inside the program is one of hours",
        ),
        (&["short.csv", "--synthetic", "2"], "--synthetic"),
        (&["short.csv", "--data", "."], "--data"),
    ] {
        let output = tune(folder, arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let said = error(&output);
        assert!(said.contains(told), "{arguments:?}: {said}");
    }
    assert!(!folder.join("models").exists());
}
