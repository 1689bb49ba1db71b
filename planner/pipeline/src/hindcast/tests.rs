//! A region that launches into a history of two others: what its plan may know, and what the replay shows.

use std::{fmt::Write, fs};

use super::*;

const LAUNCHED: &str = "2026-11-22T06:00:00Z";

/// Three weeks of two regions, hourly, and a third from the 22nd on. `change` answers the rate that is written for (region, instant, rate).
fn history(change: &dyn Fn(&str, Timestamp, f64) -> f64) -> String {
    let mut text = String::from("timestamp,region,service,requests_per_second\n");
    let starts: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
    let launched: Timestamp = LAUNCHED.parse().unwrap();
    for hour in 0..23 * 24i64 {
        let at = Timestamp::from_second(starts.as_second() + hour * 3600).unwrap();
        let daily = (hour as f64 - 6.0) / 24.0 * std::f64::consts::TAU;
        let wiggle = ((hour * 7919) % 13) as f64 / 100.0;
        for (region, size) in [("eu-1", 60.0), ("eu-2", 90.0), ("eu-3", 75.0)] {
            if region == "eu-3" && at < launched {
                continue;
            }
            let rate = size * (1.0 + 0.7 * daily.sin() + wiggle);
            writeln!(
                text,
                "{at},{region},shop/web,{:.1}",
                change(region, at, rate)
            )
            .unwrap();
        }
    }
    text
}

fn asked() -> PlanRequest {
    serde_json::from_value(serde_json::json!({
        "provider": { "history": "history.csv", "graph": ["graph.json", "live.yaml"] },
        "predictive_region": {
            "region": "eu-9", "timezone": "UTC", "as_of": "2026-11-23T00:00:00Z", "go_live": "2026-11-23T00:00:00Z",
        },
        "mesh_profile": { "slo": { "latency_ms": 400, "availability": 0.99 } },
    }))
    .unwrap()
}

const GRAPH: &str = r#"{
  "services": [
    { "name": "shop/web", "entry": true, "capacity": { "service_time_mean_ms": 20, "concurrency": 4 } },
    { "name": "shop/cart", "capacity": { "service_time_mean_ms": 40, "concurrency": 4 } }
  ],
  "edges": [{ "caller": "shop/web", "callee": "shop/cart", "fan_out": 1.0 }]
}"#;

/// One instance of the cart, which does 100 requests a second and is asked for 130.
const LIVE: &str = "apiVersion: apps/v1
kind: Deployment
metadata: { name: cart, namespace: shop }
spec:
  replicas: 1
  selector: { matchLabels: { app: cart } }
  template:
    metadata: { labels: { app: cart } }
    spec: { containers: [{ name: cart, image: cart }] }
---
apiVersion: v1
kind: Service
metadata: { name: cart, namespace: shop }
spec:
  selector: { app: cart }
  ports: [{ name: http, port: 8080 }]
";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("graph.json"), GRAPH).unwrap();
    fs::write(folder.path().join("live.yaml"), LIVE).unwrap();
    folder
}

fn request() -> HindcastRequest {
    HindcastRequest {
        donors: [("eu-1", 1.2), ("eu-2", 0.8)]
            .map(|(region, share)| (RegionName::new(region).unwrap(), share))
            .into(),
        hours: Some(8),
        minutes: Some(1),
        replications: 2,
        ..HindcastRequest::of(RegionName::new("eu-3").unwrap())
    }
}

/// Sources remember their paths, so that what is to be compared stands in one folder.
fn run_in(
    folder: &Path,
    history: &str,
    request: &HindcastRequest,
) -> Result<Hindcast, PipelineError> {
    fs::write(folder.join("history.csv"), history).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime
        .unwrap()
        .block_on(hindcast(&asked(), folder, request, &Default::default()))
}

fn run(history: &str, request: &HindcastRequest) -> Result<Hindcast, PipelineError> {
    run_in(folder().path(), history, request)
}

fn unchanged(_: &str, _: Timestamp, rate: f64) -> f64 {
    rate
}

fn row(found: &Hindcast, who: Contestant) -> &HindcastRow {
    found.rows.iter().find(|row| row.contestant == who).unwrap()
}

#[test]
fn what_the_live_settings_break_the_plan_keeps_and_hindsight_is_cheapest() {
    let folder = folder();
    let found = run_in(folder.path(), &history(&unchanged), &request()).unwrap();
    assert_eq!(found.launched.to_string(), LAUNCHED);
    assert_eq!(found.as_of.to_string(), "2026-11-21T06:00:00Z");
    let [live, ours, hindsight] = [Contestant::Live, Contestant::Ours, Contestant::Hindsight]
        .map(|who| &row(&found, who).report);
    // From about 09:00 to 16:00 the one cart gets more than it can do.
    assert!(
        !live.holds && live.violation_minutes.mean > 150.0,
        "{:?}",
        live.violation_minutes
    );
    assert!(ours.holds && ours.violation_minutes.mean < 1.0, "{ours:?}");
    assert!(hindsight.holds, "{hindsight:?}");
    assert!(hindsight.instance_cost.mean < ours.instance_cost.mean);
    let hardest = found.hard_hours.first().unwrap();
    assert!(hardest.violation_minutes[0] > 59.0 && hardest.violation_minutes[1] < 1.0);
    assert!((2..8).contains(&hardest.hour), "{hardest:?}");
    assert!(
        found
            .notes
            .iter()
            .any(|note| note.starts_with("shop/web: no manifest says")),
        "{:?}",
        found.notes
    );
    assert!(found.arrivals.contains("Poisson within a second"));
    // The same again is the same, bit by bit.
    let again = run_in(folder.path(), &history(&unchanged), &request()).unwrap();
    assert_eq!(found, again);
}

#[test]
fn nothing_after_the_day_before_launch_moves_the_plan_and_what_came_moves_the_outcome() {
    let folder = folder();
    let before = run_in(folder.path(), &history(&unchanged), &request()).unwrap();
    let twice = |_: &str, at: Timestamp, rate: f64| match at < before.as_of {
        true => rate,
        false => rate * 2.0,
    };
    let after = run_in(folder.path(), &history(&twice), &request()).unwrap();
    assert_eq!(before.plan_sha256, after.plan_sha256);
    let cost = |found: &Hindcast| row(found, Contestant::Hindsight).report.instance_cost.mean;
    assert!(cost(&after) > 1.2 * cost(&before));

    // What was known does move it.
    let known = |region: &str, _: Timestamp, rate: f64| match region {
        "eu-2" => rate * 2.0,
        _ => rate,
    };
    let moved = run_in(folder.path(), &history(&known), &request()).unwrap();
    assert_ne!(before.plan_sha256, moved.plan_sha256);
}

#[test]
fn without_donors_a_region_is_planned_as_a_middling_one() {
    let request = HindcastRequest {
        donors: BTreeMap::new(),
        hours: Some(2),
        minutes: Some(1),
        ..request()
    };
    let found = run(&history(&unchanged), &request).unwrap();
    assert_eq!(found.donors_from, DonorsFrom::AllRegions);
    let share = |donor: &str| found.donors[&RegionName::new(donor).unwrap()];
    // As large as the geometric mean of 60 and 90.
    assert!(
        (share("eu-1") / share("eu-2") - 1.5).abs() < 0.01,
        "{:?}",
        found.donors
    );
    assert!((share("eu-1") - (90.0f64 / 60.0).sqrt()).abs() < 0.01);
}

#[test]
fn what_is_missing_is_named_with_how_to_mend_it() {
    let said =
        |request: HindcastRequest| run(&history(&unchanged), &request).unwrap_err().to_string();
    let region = |name: &str| RegionName::new(name).unwrap();
    let wrong = said(HindcastRequest {
        region: region("eu-7"),
        ..request()
    });
    assert!(
        wrong.contains("no region eu-7; it has eu-1, eu-2, eu-3"),
        "{wrong}"
    );
    // A region that was there from the start has nobody to be planned from.
    let first = said(HindcastRequest {
        region: region("eu-1"),
        donors: BTreeMap::new(),
        ..request()
    });
    assert!(
        first.contains("no other region has any history by then"),
        "{first}"
    );
    let early = said(HindcastRequest {
        region: region("eu-1"),
        donors: [(region("eu-2"), 0.7)].into(),
        launched: Some("2026-11-02T12:00:00Z".parse().unwrap()),
        ..request()
    });
    assert!(
        early.contains("eu-2 has 12 hours of history by then"),
        "{early}"
    );
    let minutes = said(HindcastRequest {
        minutes: Some(7),
        ..request()
    });
    assert!(minutes.contains("windows fill hours"), "{minutes}");
    let outside = said(HindcastRequest {
        launched: Some("2026-12-24T00:00:00Z".parse().unwrap()),
        ..request()
    });
    assert!(
        outside.contains("lies outside the history of eu-3"),
        "{outside}"
    );
}

#[test]
fn an_old_region_is_planned_as_if_it_had_just_launched() {
    let folder = folder();
    let request = HindcastRequest {
        region: RegionName::new("eu-1").unwrap(),
        donors: [(RegionName::new("eu-2").unwrap(), 0.67)].into(),
        launched: Some("2026-11-20T00:00:00Z".parse().unwrap()),
        hours: Some(2),
        minutes: Some(1),
        ..request()
    };
    let before = run_in(folder.path(), &history(&unchanged), &request).unwrap();
    // Its own history is not looked at, however far back it goes.
    let own = |region: &str, at: Timestamp, rate: f64| match region == "eu-1" && at < before.as_of {
        true => rate * 3.0,
        false => rate,
    };
    let after = run_in(folder.path(), &history(&own), &request).unwrap();
    assert_eq!(before.plan_sha256, after.plan_sha256);
}
