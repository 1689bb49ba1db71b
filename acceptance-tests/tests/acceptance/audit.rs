//! `foremesh audit` on the manifests of the quickstart: what a newcomer sees first.

use foremesh_acceptance_tests::foremesh;
use insta::assert_snapshot;
use serde_json::Value;

use crate::shop::shop;

const AUDIT: [&str; 8] = [
    "audit",
    "telemetry/manifests",
    "--graph",
    "telemetry/traces",
    "--history",
    "telemetry/history.csv",
    "--catalogue",
    "telemetry/catalogue.yaml",
];

/// The sources of a plan serve an audit: the same telemetry, graph and catalogue without naming them again.
#[test]
fn a_plans_request_names_the_sources() {
    let workspace = shop();
    let named = foremesh(workspace.path(), &AUDIT).expect_code(2);
    let arguments = ["audit", "telemetry/manifests", "--request", "request.yaml"];
    let request = foremesh(workspace.path(), &arguments).expect_code(2);
    assert_eq!(named.stdout, request.stdout);
    // So they do from another folder, with all files that a request may name beside them.
    let text = workspace.read("request.yaml");
    let more = "provider:\n  events: [{ source: telemetry/events.json }]\n  business_metrics: telemetry/plan.csv\n  inference: { refinement_model: none }\n";
    workspace.write("more.yaml", text.replacen("provider:\n", more, 1));
    workspace.write("telemetry/events.json", "[]");
    workspace.write(
        "telemetry/plan.csv",
        "timestamp,region,service,users\n2026-11-01T00:00:00Z,eu-west-1,shop/frontend,5\n",
    );
    std::fs::create_dir(workspace.join("elsewhere")).unwrap();
    let arguments = [
        "audit",
        "../telemetry/manifests",
        "--request",
        "../more.yaml",
    ];
    let elsewhere = foremesh(&workspace.join("elsewhere"), &arguments).expect_code(2);
    assert_eq!(
        elsewhere.stdout.replace("../telemetry", "telemetry"),
        named.stdout
    );
    let neither = foremesh(workspace.path(), &["audit", "telemetry/manifests"]).expect_code(1);
    assert!(neither.stderr.contains("--history"), "{neither}");
}

#[test]
fn rows_are_refused_where_there_are_none() {
    let workspace = shop();
    let arguments = ["--format", "csv", "plan", "request.yaml", "-o", "plan"];
    let run = foremesh(workspace.path(), &arguments).expect_code(1);
    assert_eq!(
        run.stderr.trim(),
        "error: --format csv: only `foremesh forecast` and `foremesh audit` print rows: use --format json (machines) or text (people)"
    );
    assert!(!workspace.join("plan").exists());
}

#[test]
fn the_quickstarts_own_limits_do_not_fit_its_demand() {
    let workspace = shop();
    let run = foremesh(workspace.path(), &AUDIT).expect_code(2);
    assert_snapshot!("quickstart-audit", run.stdout);
    // What the README shows of it is said word for word.
    let readme = include_str!("../../../README.md");
    let shown = readme
        .split("```text\n")
        .find(|part| part.starts_with("severe"));
    let shown = shown.and_then(|part| part.split("```").next()).unwrap();
    assert!(run.stdout.contains(shown), "the README shows:\n{shown}");

    // The same for machines, each finding with its place.
    let json = foremesh(
        workspace.path(),
        &[&AUDIT[..], &["--format", "json"]].concat(),
    );
    let found: Value = serde_json::from_str(&json.expect_code(2).stdout).unwrap();
    let findings = found["findings"].as_array().unwrap();
    let cart = findings
        .iter()
        .find(|finding| finding["field"] == "maxConnections")
        .unwrap();
    assert_eq!(cart["severity"], "severe");
    assert!(cart["needs"].as_f64().unwrap() > cart["has"].as_f64().unwrap());
    let place = cart["place"].as_str().unwrap();
    let (file, line) = place.rsplit_once(':').unwrap();
    let text = workspace.read(file);
    let line = text
        .lines()
        .nth(line.parse::<usize>().unwrap() - 1)
        .unwrap();
    assert_eq!(line.trim(), "maxConnections: 4");
}
