//! `foremesh forecast` as a user meets it: rows come while it still forecasts, and a reader may leave.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

const SERVICES: usize = 300;

/// Hours of many services in two regions; every service has its own hour of the day and size.
fn history(folder: &Path, hours: i64) {
    let mut text = "timestamp,region,service,requests_per_second\n".to_owned();
    for service in 0..SERVICES as i64 {
        for hour in 0..hours {
            let at = foremesh_model::Timestamp::from_second(1_772_409_600 + 3600 * hour).unwrap();
            let busy = ((hour + service) % 24 - 12).abs();
            let rate = (1 + service) * (5 + busy) + hour * 7919 % 13;
            let region = ["east", "west"][service as usize % 2];
            writeln!(text, "{at},{region},shop-{service:03},{rate}").unwrap();
        }
    }
    fs::write(folder.join("history.csv"), text).unwrap();
}

fn forecast(folder: &Path, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_foremesh"))
        .args(["forecast", "--history", "history.csv"])
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn whole(folder: &Path, arguments: &[&str]) -> String {
    let output = forecast(folder, arguments).wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn rows_come_by_region_and_service_while_the_rest_is_still_forecast() {
    let folder = tempfile::tempdir().unwrap();
    history(folder.path(), 240);
    // All rows fit in the pipe: a program that wrote them at its end would be gone once the first can be read.
    let arguments = ["--horizon", "1h", "--format", "csv"];
    let mut child = forecast(folder.path(), &arguments);
    let mut rows = BufReader::with_capacity(1024, child.stdout.take().unwrap()).lines();
    let header = rows.next().unwrap().unwrap();
    assert!(
        header.starts_with("region,service,timestamp,q0.01,"),
        "{header}"
    );
    let first = rows.next().unwrap().unwrap();
    assert!(
        child.try_wait().unwrap().is_none(),
        "ended before its first row was read"
    );
    assert!(
        first.starts_with("east,shop-000,2026-03-12T00:00:00Z,"),
        "{first}"
    );
    let rows: Vec<String> = std::iter::once(first)
        .chain(rows.map(|row| row.unwrap()))
        .collect();
    assert!(child.wait().unwrap().success());
    assert_eq!(rows.len(), SERVICES);
    let keys: Vec<&str> = rows.iter().map(|row| &row[..13]).collect();
    assert!(keys.is_sorted(), "{keys:?}");
    let again = whole(folder.path(), &arguments);
    assert_eq!(again, format!("{header}\n{}\n", rows.join("\n")));
}

#[test]
fn memory_does_not_hold_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    history(folder.path(), 48);
    let arguments = [
        "--horizon",
        "14d",
        "--forecaster",
        "none",
        "--format",
        "json",
    ];
    let mut child = forecast(folder.path(), &arguments);
    let mut out = child.stdout.take().unwrap();
    let rows = SERVICES * 336;
    // Until so few are left that the program cannot have ended: more than a pipe holds.
    let (mut seen, mut text, mut part) = (0, 0, vec![0; 1 << 16]);
    let mut last = Vec::new();
    while seen < rows - 1000 {
        let length = out.read(&mut part).unwrap();
        assert!(length > 0, "{seen} rows");
        text += length;
        seen += part[..length].iter().filter(|byte| **byte == b'T').count();
    }
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let most = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let most_bytes = 1024
        * most
            .trim()
            .trim_end_matches(" kB")
            .parse::<usize>()
            .unwrap();
    out.read_to_end(&mut last).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(
        most_bytes < text,
        "{most_bytes} bytes of memory for {text} of text"
    );
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    history(folder.path(), 100);
    for format in ["csv", "json", "text"] {
        let mut child = forecast(folder.path(), &["--forecaster", "none", "--format", format]);
        let mut first = [0];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{format}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{format}");
    }
}

#[test]
fn json_is_one_array_and_text_one_table_for_each_series() {
    let folder = tempfile::tempdir().unwrap();
    history(folder.path(), 100);
    let arguments = ["--horizon", "2h", "--forecaster", "none", "--format"];
    let said: Value =
        serde_json::from_str(&whole(folder.path(), &[&arguments[..], &["json"]].concat())).unwrap();
    let rows = said.as_array().unwrap();
    assert_eq!(rows.len(), 2 * SERVICES);
    assert_eq!(rows[1]["service"], "shop-000");
    assert_eq!(rows[1]["timestamp"], "2026-03-06T05:00:00Z");
    assert!(rows[1]["quantiles"]["q0.99"].as_f64().unwrap() > 0.0);
    let text = whole(folder.path(), &[&arguments[..], &["text"]].concat());
    let mut tables = text.split("\n\n");
    let first: Vec<&str> = tables.next().unwrap().lines().collect();
    assert!(first[0].starts_with("east shop-000"), "{first:?}");
    assert!(first[2].starts_with("2026-03-06T05:00:00Z"), "{first:?}");
    assert_eq!(tables.count(), SERVICES - 1);
}

#[test]
fn steps_are_what_is_asked_and_no_finer_than_the_history() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut text = "timestamp,region,service,requests_per_second\n".to_owned();
    for minute in 0..4 * 1440 {
        let at = foremesh_model::Timestamp::from_second(1_772_409_600 + 60 * minute).unwrap();
        writeln!(
            text,
            "{at},east,shop,{}",
            50 + (minute / 60 % 24 - 12).abs() + minute % 7
        )
        .unwrap();
    }
    fs::write(folder.join("history.csv"), text).unwrap();
    for (step, horizon, count, second) in [
        ("5m", "30m", 6, "2026-03-06T00:05:00Z"),
        ("1h", "2d", 48, "2026-03-06T01:00:00Z"),
        ("1d", "14d", 14, "2026-03-07T00:00:00Z"),
    ] {
        let said = whole(
            folder,
            &["--step", step, "--horizon", horizon, "--format", "csv"],
        );
        let rows: Vec<&str> = said.lines().skip(1).collect();
        assert_eq!(rows.len(), count);
        assert!(
            rows[1].starts_with(&format!("east,shop,{second},")),
            "{}",
            rows[1]
        );
    }
    let refused = |arguments: &[&str]| {
        let output = forecast(folder, arguments).wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let said = refused(&["--step", "5m", "--horizon", "3d"]);
    assert!(said.contains("the horizon is 3d: with steps of 5m it must lie between 5m and 48h; steps of 1h reach further"), "{said}");
    let said = refused(&["--step", "1d", "--horizon", "36h"]);
    assert!(
        said.contains("the horizon is 36h: with steps of 1d it must be a whole number"),
        "{said}"
    );
    let said = refused(&["--step", "10m"]);
    assert!(said.contains("write 5m, 1h or 1d"), "{said}");
    let said = refused(&[
        "--step",
        "1d",
        "--horizon",
        "1d",
        "--forecaster",
        "net.onnx",
    ]);
    assert!(said.contains("cannot forecast days"), "{said}");
    let hourly = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/forecaster-1h.onnx");
    let said = refused(&[
        "--step",
        "5m",
        "--horizon",
        "1h",
        "--forecaster",
        hourly.to_str().unwrap(),
    ]);
    assert!(said.contains("foremesh.forecaster.300s"), "{said}");
    history(folder, 48);
    let said = refused(&["--step", "5m", "--horizon", "1h"]);
    assert!(
        said.contains("the history of shop-000 in region east has steps of 1h"),
        "{said}"
    );
}

#[test]
fn series_of_which_little_or_nothing_is_known_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut text = "timestamp,region,service,requests_per_second\n".to_owned();
    // 27 weeks of hours, of which each service has what it is called after.
    let hours = 27 * 168;
    for hour in 0..hours {
        let at = foremesh_model::Timestamp::from_second(1_772_409_600 + 3600 * hour).unwrap();
        let busy = 50 + (hour % 24 - 12).abs();
        for (service, value) in [
            ("empty", None),
            ("long", Some(busy)),
            (
                "rests",
                (hour >= hours - 1000).then_some(if hour % 24 == 3 { 9 } else { 0 }),
            ),
            ("silent", (hour >= hours - 1000).then_some(0)),
            ("three", (hour >= hours - 3).then_some(busy)),
            ("flat", (hour >= hours - 1000).then_some(7)),
        ] {
            let value = value.map_or(String::new(), |value| value.to_string());
            writeln!(text, "{at},east,{service},{value}").unwrap();
        }
    }
    fs::write(folder.join("history.csv"), text).unwrap();
    let output = forecast(folder, &["--horizon", "2h", "--format", "csv"])
        .wait_with_output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let rows = String::from_utf8(output.stdout).unwrap();
    assert_eq!(rows.lines().count(), 1 + 5 * 2, "{rows}");
    let said = String::from_utf8(output.stderr).unwrap();
    for line in [
        "caution: history.csv: east/empty: 4536 rows without any value: it is left out",
        "note: east long: its history is longer than 26 weeks",
        "note: east rests: it rests more than half of the time",
        "caution: east silent: it shows no request at all",
        "caution: east three: less than two weeks of its history are known",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    assert!(!said.contains("east flat"), "{said}");
    // What is forecast as nothing is nothing, and what never changes stays as it is.
    let of = |service: &str| -> Vec<f64> {
        let rows = rows.lines().filter(|row| row.contains(service));
        let cells = rows.flat_map(|row| row.split(',').skip(3).map(|cell| cell.parse().unwrap()));
        cells.collect()
    };
    assert!(of("silent").iter().all(|value| *value < 0.01));
    assert!(of("flat").iter().all(|value| (6.0..8.0).contains(value)));
}

#[test]
fn a_model_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    history(folder, 48);
    let whole = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/forecaster-1h.onnx");
    let bytes = fs::read(whole).unwrap();
    fs::write(folder.join("cut.onnx"), &bytes[..bytes.len() / 2]).unwrap();
    fs::write(folder.join("text.onnx"), "no model at all").unwrap();
    let policy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/policy.onnx");
    fs::copy(policy, folder.join("policy.onnx")).unwrap();
    for (model, cause) in [
        ("nowhere.onnx", "no such file"),
        ("cut.onnx", "cut.onnx"),
        ("text.onnx", "text.onnx"),
        ("policy.onnx", "foremesh.forecaster"),
    ] {
        let output = forecast(folder, &["--forecaster", model])
            .wait_with_output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{model}");
        assert!(output.stdout.is_empty(), "{model}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.contains(cause) && said.contains(model),
            "{model}: {said}"
        );
    }
}

/// The medians of one service by hour.
fn medians(rows: &str, service: &str) -> Vec<f64> {
    let of_service = rows.lines().filter(|row| row.contains(service));
    let median = |row: &str| row.split(',').nth(9).unwrap().parse().unwrap();
    of_service.map(median).collect()
}

#[test]
fn what_is_known_ahead_moves_what_it_touches() {
    let folder = tempfile::tempdir().unwrap();
    history(folder.path(), 240);
    let at =
        |hour: i64| foremesh_model::Timestamp::from_second(1_772_409_600 + 3600 * hour).unwrap();
    let sale = |from, to| {
        let services = ["shop-000", "shop-001"];
        serde_json::json!({"name": "sale", "starts": at(from), "ends": at(to), "uplift": 2, "services": services})
    };
    let events = serde_json::json!([sale(250, 252)]).to_string();
    fs::write(folder.path().join("events.json"), events).unwrap();
    let plain = ["--horizon", "24h", "--format", "csv"];
    let (without, with) = (
        whole(folder.path(), &plain),
        whole(
            folder.path(),
            &[&plain[..], &["--events", "events.json"]].concat(),
        ),
    );
    for service in ["shop-000", "shop-001"] {
        let (without, with) = (medians(&without, service), medians(&with, service));
        let lifted: Vec<usize> = (0..24)
            .filter(|hour| (with[*hour] / without[*hour] - 2.0).abs() < 1e-3)
            .collect();
        assert_eq!(lifted, [10, 11], "{service}");
    }
    let others = |rows: &str| -> Vec<String> {
        let others = rows
            .lines()
            .filter(|row| !row.contains("shop-000") && !row.contains("shop-001"));
        others.map(str::to_owned).collect()
    };
    assert_eq!(others(&with), others(&without));

    // What cannot be read is an error that names it.
    for (option, text, said) in [
        (
            "--events",
            r#"{"name": "sale"}"#,
            "an object where a list of events is needed",
        ),
        (
            "--business-metrics",
            "timestamp,region,service\n",
            "the column of a metric, such as active_users, is missing",
        ),
    ] {
        fs::write(folder.path().join("wrong"), text).unwrap();
        let output = forecast(folder.path(), &[option, "wrong"])
            .wait_with_output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(said) && error.contains("wrong"), "{error}");
    }
}

#[test]
fn demand_follows_what_is_planned() {
    let folder = tempfile::tempdir().unwrap();
    let (weeks, planned) = (8, 2);
    let (mut shown, mut metrics) = (String::new(), String::new());
    // Users change from day to day; requests follow them three hours later.
    let users = |hour: i64| match hour.div_euclid(24) {
        day if day >= weeks * 7 => 4000,
        day => 1000 + 700 * (day * 7919 % 5),
    };
    for hour in 0..24 * (weeks * 7 + planned) {
        let at = foremesh_model::Timestamp::from_second(1_772_409_600 + 3600 * hour).unwrap();
        let busy = 5 + (hour % 24 - 12).abs();
        writeln!(metrics, "{at},east,shop,{}", users(hour)).unwrap();
        if hour < 24 * weeks * 7 {
            let rate = busy * users(hour - 3) / 10 + hour * 7919 % 13;
            writeln!(shown, "{at},east,shop,{rate}").unwrap();
        }
    }
    for (file, columns, rows) in [
        ("history.csv", "requests_per_second", shown),
        ("plan.csv", "active_users", metrics),
    ] {
        fs::write(
            folder.path().join(file),
            format!("timestamp,region,service,{columns}\n{rows}"),
        )
        .unwrap();
    }
    let arguments = [
        "--horizon",
        "48h",
        "--format",
        "csv",
        "--business-metrics",
        "plan.csv",
    ];
    let output = forecast(folder.path(), &arguments)
        .wait_with_output()
        .unwrap();
    let notes = String::from_utf8_lossy(&output.stderr);
    assert!(
        notes.contains("demand follows business metric active_users"),
        "{notes}"
    );
    let medians = medians(&String::from_utf8(output.stdout).unwrap(), "shop");
    for (hour, median) in medians.iter().enumerate().skip(3) {
        let truth = (5 + (hour as i64 % 24 - 12).abs()) * 400;
        assert!(
            (median / truth as f64).ln().abs() < 0.1,
            "{hour}: {median} for {truth}"
        );
    }
}
