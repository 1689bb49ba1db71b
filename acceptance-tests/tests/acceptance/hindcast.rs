//! `foremesh hindcast`: the quickstart's launched region and a real one, planned as of the day before, what came replayed.

use foremesh_acceptance_tests::{Finished, HistoryFile, Workspace, foremesh, need_shared};
use serde_json::Value;

use crate::shop::{rewrite_history, shop};

const QUICKSTART: [&str; 9] = [
    "hindcast",
    "eu-west-2",
    "--request",
    "request.yaml",
    "--timezone=Europe/London",
    "--donor=eu-west-1=1.5",
    "--donor=eu-central-1=2.4",
    "--minutes=1",
    "--replications=2",
];

fn hindcast(workspace: &Workspace, arguments: &[&str], more: &[&str]) -> Finished {
    foremesh(workspace.path(), &[arguments, more].concat())
}

fn read(run: &Finished) -> Value {
    assert!(matches!(run.code, Some(0 | 2)), "{run}");
    serde_json::from_str(&run.stdout).unwrap()
}

/// A number of a contestant: `instance_cost`, `violation_minutes`.
fn of(found: &Value, contestant: &str, field: &str) -> f64 {
    let rows = found["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row["contestant"] == contestant);
    row.unwrap()["report"][field]["mean"].as_f64().unwrap()
}

#[test]
fn the_quickstarts_launch_is_replayed_and_no_later_row_moves_its_plan() {
    let workspace = shop();
    let json = ["--format=json", "--hours=3"];
    let run = hindcast(&workspace, &QUICKSTART, &json);
    let found = read(&run);
    assert_eq!(found["launched"], "2026-11-26T06:00:00Z");
    assert_eq!(found["as_of"], "2026-11-25T06:00:00Z");
    assert_eq!(found["rows"].as_array().unwrap().len(), 5);
    assert!(of(&found, "hindsight", "instance_cost") < of(&found, "ours", "instance_cost"));
    assert_eq!(of(&found, "ours", "violation_minutes"), 0.0);
    assert_eq!(run.code, Some(0));
    assert_eq!(run.stdout, hindcast(&workspace, &QUICKSTART, &json).stdout);
    let text = hindcast(&workspace, &QUICKSTART, &["--hours=1"]).expect_code(0);
    for words in [
        "planned as of 2026-11-25T06:00:00Z from eu-central-1 × 2.4, eu-west-1 × 1.5",
        "instances cost",
        "hindsight",
    ] {
        assert!(text.stdout.contains(words), "{text}");
    }

    // Half of everything after the day before launch: another outcome, the same plan.
    rewrite_history(&workspace, |at, rate| {
        Some(if at < "2026-11-25T06:00:00Z" {
            rate
        } else {
            rate / 2.0
        })
    });
    let halved = read(&hindcast(&workspace, &QUICKSTART, &json));
    assert_eq!(halved["plan_sha256"], found["plan_sha256"]);
    assert!(of(&halved, "hindsight", "instance_cost") < of(&found, "hindsight", "instance_cost"));
}

#[test]
fn what_cannot_be_replayed_is_named() {
    let workspace = shop();
    let said = |arguments: &[&str], words: &str| {
        let start = ["hindcast", "--request", "request.yaml"];
        let run = hindcast(&workspace, &start, arguments).expect_code(1);
        assert!(run.stderr.contains(words), "{run}");
    };
    said(
        &["mars-1"],
        "no region mars-1; it has eu-central-1, eu-west-1, eu-west-2, us-east-1",
    );
    said(
        &["eu-west-2", "--launched=2026-12-24T00:00:00Z"],
        "lies outside the history of eu-west-2, which begins at 2026-11-26T06:00:00Z",
    );
    said(
        &["eu-west-2", "--launched=2026-11-30T23:30:00Z"],
        "less than an hour after its launch",
    );
    said(&["eu-west-2", "--hours=200"], "holds 114 whole hours");
    said(
        &["us-east-1"],
        "a plan needs a donor with at least 24 hours",
    );
    said(&["eu-west-2", "--donor=eu-west-1"], "write region=share");
    said(&["eu-west-2", "--minutes=7"], "windows fill hours");
}

#[test]
fn a_service_that_really_began_in_august_2017_is_replayed() {
    let wsd = need_shared!("data/wsd");
    let workspace = shop();
    let observe = [
        "observe",
        "telemetry/manifests",
        "telemetry/traces",
        "-o",
        "graph.json",
    ];
    foremesh(workspace.path(), &observe).expect_code(0);
    let mut history = HistoryFile::new("shop/frontend");
    for (region, files) in [
        ("svc18", [93, 94]),
        ("svc21", [105, 106]),
        ("svc22", [111, 112]),
    ] {
        for file in files {
            history.add_wsd(region, &wsd.join(format!("{file}.csv.gz")), 8.0);
        }
    }
    workspace.write("telemetry/history.csv", history.text());
    let request = workspace.read("request.yaml");
    let request = request.replace("Europe/Paris", "Asia/Shanghai");
    workspace.write(
        "request.yaml",
        request.replace("telemetry/traces", "graph.json"),
    );
    let arguments = [
        "hindcast",
        "svc18",
        "--request=request.yaml",
        "--format=json",
        "--hours=3",
        "--minutes=1",
        "--replications=2",
    ];
    let found = read(&hindcast(&workspace, &arguments, &[]));
    assert_eq!(found["launched"], "2017-08-09T18:16:00Z");
    // Nobody said how large it would be; both donors are about as large, and so is it.
    assert_eq!(found["donors_from"], "all_regions");
    let forecast = &found["forecast"]["shop/frontend"];
    assert_eq!(forecast["hours_above_bought"], 0, "{forecast}");
    assert_eq!(of(&found, "ours", "violation_minutes"), 0.0);
    assert!(of(&found, "hindsight", "instance_cost") < of(&found, "ours", "instance_cost"));
}
