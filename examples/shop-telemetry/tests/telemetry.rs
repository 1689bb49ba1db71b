//! What the examples rely on: the same bytes for the same seed, and the shop's habits in the rows.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, fs, path::Path};

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                all.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    all
}

fn generated(seed: u64) -> BTreeMap<String, Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    shop_telemetry::generate(seed, folder.path()).unwrap();
    files(folder.path())
}

/// Mean requests a second of the web shop in a region over the rows whose time starts with one of `hours`.
fn mean(history: &[u8], region: &str, hours: &[&str]) -> f64 {
    let mut rows = csv::Reader::from_reader(history);
    let values: Vec<f64> = rows
        .records()
        .map(Result::unwrap)
        .filter(|row| &row[1] == region && &row[2] == "shop/frontend")
        .filter(|row| hours.iter().any(|hour| row[0].starts_with(hour)))
        .map(|row| row[3].parse().unwrap())
        .collect();
    assert!(!values.is_empty(), "no row of {region} at {hours:?}");
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let (first, again, other) = (generated(7), generated(7), generated(8));
    assert_eq!(first.len(), 1 + 3 + 8 + 1 + 1 + 1);
    assert!(first == again);
    assert_ne!(first["history.csv"], other["history.csv"]);
    assert_ne!(
        first["traces/eu-west-1.json"],
        other["traces/eu-west-1.json"]
    );
    assert_eq!(first["manifests/cart.yaml"], other["manifests/cart.yaml"]);
}

#[test]
fn evenings_are_local_the_sale_is_seen_and_rows_go_on_after_the_examples_as_of() {
    let files = generated(7);
    let history = &files["history.csv"];
    // 20:00 in Dublin (UTC in winter) and in New York (UTC-5) on a Tuesday.
    for (region, evening, night) in [
        ("eu-west-1", "2026-11-17T20", "2026-11-17T03"),
        ("us-east-1", "2026-11-18T01", "2026-11-17T08"),
    ] {
        let ratio = mean(history, region, &[evening]) / mean(history, region, &[night]);
        assert!((6.0..12.0).contains(&ratio), "{region}: {ratio}");
    }
    // Saturday of the sale against the Saturdays around it; in Dublin both lie in summer time.
    let sale = mean(history, "eu-west-1", &["2026-10-24T19"]);
    let before = mean(history, "eu-west-1", &["2026-10-17T19", "2026-10-10T19"]);
    assert!((1.4..1.75).contains(&(sale / before)), "{}", sale / before);
    assert!(mean(history, "eu-central-1", &["2026-11-30T23"]) > 0.0);
}

#[test]
fn samples_for_prometheus_stand_series_by_series() {
    let folder = tempfile::tempdir().unwrap();
    let (history, samples) = (folder.path().join("h.csv"), folder.path().join("s.txt"));
    fs::write(
        &history,
        "timestamp,region,service,requests_per_second\n\
         2026-10-05T00:00:00Z,a,x,1.50\n2026-10-05T00:00:00Z,b,x,2\n2026-10-05T00:15:00Z,a,x,3\n",
    )
    .unwrap();
    shop_telemetry::openmetrics(&history, &samples).unwrap();
    assert_eq!(
        fs::read_to_string(samples).unwrap(),
        "# TYPE shop_requests_per_second gauge\n\
         shop_requests_per_second{region=\"a\",service=\"x\"} 1.50 1791158400\n\
         shop_requests_per_second{region=\"a\",service=\"x\"} 3 1791159300\n\
         shop_requests_per_second{region=\"b\",service=\"x\"} 2 1791158400\n\
         # EOF\n"
    );
}

#[test]
fn traces_hold_whole_trees_whose_calls_match_the_table() {
    let files = generated(7);
    let mut served: BTreeMap<String, f64> = BTreeMap::new();
    let mut called: BTreeMap<(String, String), f64> = BTreeMap::new();
    for region in shop_telemetry::shop::REGIONS {
        let traces: Vec<Vec<serde_json::Value>> =
            serde_json::from_slice(&files[&format!("traces/{}.json", region.name)]).unwrap();
        for trace in traces {
            let ids: Vec<_> = trace.iter().map(|span| span["id"].as_str()).collect();
            for span in &trace {
                let parent = span["parentId"].as_str();
                assert!(parent.is_none() || ids.contains(&parent));
                let name = |end: &str| span[end]["serviceName"].as_str().unwrap().to_owned();
                if span["kind"] == "SERVER" {
                    *served.entry(name("localEndpoint")).or_default() += 1.0;
                } else {
                    *called
                        .entry((name("localEndpoint"), name("remoteEndpoint")))
                        .or_default() += 1.0;
                }
            }
        }
    }
    for service in shop_telemetry::shop::SERVICES {
        for (callee, calls) in service.calls {
            let seen =
                called[&(service.name.to_owned(), (*callee).to_owned())] / served[service.name];
            assert!(
                (seen - calls).abs() < 0.12,
                "{} -> {callee}: {seen} for {calls}",
                service.name
            );
        }
    }
}

#[test]
fn many_entries_have_as_many_rows_as_asked_and_a_graph_that_names_them() {
    let folder = tempfile::tempdir().unwrap();
    shop_telemetry::generate_many(7, 30, 2, folder.path()).unwrap();
    let files = files(folder.path());
    let rows = files["history.csv"].iter().filter(|b| **b == b'\n').count();
    assert_eq!(rows, 1 + 30 * 48);
    let graph: serde_json::Value = serde_json::from_slice(&files["graph.json"]).unwrap();
    assert_eq!(graph["services"].as_array().unwrap().len(), 33);
    let edges = graph["edges"].as_array().unwrap();
    let mut pairs: Vec<_> = edges
        .iter()
        .map(|edge| (edge["caller"].to_string(), edge["callee"].to_string()))
        .collect();
    pairs.sort();
    pairs.dedup();
    assert_eq!(pairs.len(), edges.len());
}
