//! Every leaf of the settings reaches a rendered file: what is planned and silently dropped would be believed to be set.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::shop;
use foremesh_model::Settings;
use foremesh_render::{RenderOptions, Target, render};
use serde_json::Value;

fn rendered(
    settings: &Settings,
    options: &[RenderOptions],
) -> Result<BTreeMap<String, String>, String> {
    let mut all = BTreeMap::new();
    for (index, options) in options.iter().enumerate() {
        for target in [Target::Istio, Target::Envoy, Target::Autoscaling] {
            for (path, text) in render(settings, target, options).map_err(|e| e.to_string())? {
                // The header names stage and region whatever is set.
                let body: String = text
                    .lines()
                    .filter(|line| !line.starts_with('#'))
                    .map(|line| format!("{line}\n"))
                    .collect();
                all.insert(format!("{index}/{target}/{path}"), body);
            }
        }
    }
    Ok(all)
}

fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, child) in fields {
                let key = key.replace('~', "~0").replace('/', "~1");
                leaves(child, &format!("{path}/{key}"), found);
            }
        }
        Value::Array(values) if !values.is_empty() => {
            for (index, child) in values.iter().enumerate() {
                leaves(child, &format!("{path}/{index}"), found);
            }
        }
        _ => found.push(path.into()),
    }
}

/// Other values for a leaf, of which at least one must be accepted and change something.
fn others(path: &str, value: &Value) -> Vec<Value> {
    let text = |words: &[&str]| words.iter().map(|word| Value::from(*word)).collect();
    match value {
        Value::Number(number) => {
            let number = number.as_f64().unwrap();
            [
                number + 1.0,
                number - 1.0,
                number * 2.0,
                number / 2.0,
                number + 0.25,
            ]
            .into_iter()
            .filter(|other| *other >= 0.0)
            .map(|other| {
                if other.fract() == 0.0 {
                    Value::from(other as u64)
                } else {
                    Value::from(other)
                }
            })
            .collect()
        }
        Value::String(_) if path.ends_with("/protocol") => text(&["http", "grpc", "tcp", "http2"]),
        Value::String(_) if path.ends_with("/criticality") => text(&["deferrable", "standard"]),
        Value::String(_) if path.ends_with("/load_balancing") => {
            text(&["random", "least_request", "maglev"])
        }
        Value::String(_) if path.ends_with("/proxy_mode") => text(&["none", "sidecar"]),
        Value::String(_) if path.ends_with("/timezone") => text(&["Asia/Tokyo"]),
        Value::String(_) if path.ends_with("/starts") => text(&["2026-12-05T09:00:00Z"]),
        Value::String(_) if path.ends_with("/locality") => text(&["eu-west-3/z"]),
        Value::String(_) if path.ends_with("/instances") => text(&["0:7,3:50,5:7"]),
        Value::String(_) if path.contains("/retry_on/") => text(&["cancelled"]),
        Value::String(_) => text(&["us-east-1"]),
        Value::Array(_) if path.ends_with("/retry_on") => vec![serde_json::json!(["reset"])],
        other => panic!("{path}: no other value for {other}"),
    }
}

/// Why no mesh and no autoscaler reads a leaf. The targets `hcl` and `ansible`, which hand every value on, are not asked.
fn excuse(path: &str, settings: &Value) -> Option<&'static str> {
    let parts: Vec<String> = path
        .split('/')
        .skip(1)
        .map(|part| part.replace("~1", "/"))
        .collect();
    let (group, name) = (parts[0].as_str(), parts.get(1).map_or("", String::as_str));
    let field = parts
        .iter()
        .skip(2)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join("/");
    let callee = name.split("->").last().unwrap_or_default();
    let tcp = settings["services"][callee]["protocol"] == "tcp";
    let in_retries = field.starts_with("retries/");
    match group {
        "format_version" => Some("the version of the settings' own shape"),
        "ramp" if !field.is_empty() && field != "percent" => {
            Some("names a stage; what it lets in is its percent")
        }
        _ if field.ends_with("_caller_proxies") => Some("what the limits were derived from"),
        _ if field.ends_with("needed_concurrent_requests")
            || field == "needs/concurrent_requests" =>
        {
            Some("a floor for adopted values, not a setting")
        }
        "stateful_services" if field == "instances" || field == "max_connections" => {
            Some("a fact about what is left as it is")
        }
        "stateful_services" if field == "proxy_mode" => {
            Some("says whether limits can be set for its own calls; it makes none here")
        }
        "entries" if field.starts_with("slo/") => {
            Some("the objective that the other values were derived from")
        }
        "entries" if field == "failover/1" => {
            Some("Istio names one region to fail over to; more need addresses")
        }
        "services" if settings["services"][name]["proxy_mode"] == "none" => {
            Some("handled by no proxy: only where it is called and its instances are set")
        }
        "services" if tcp && (field.starts_with("rate_limit/") || field.starts_with("needs/")) => {
            Some("opaque TCP has no requests to count")
        }
        "services" if field.starts_with("warm_up/") && !warms_up(&settings["services"][name]) => {
            Some("the balancer cannot warm up, or the time is 0")
        }
        "edges" if tcp && (in_retries || field.contains("timeout")) => {
            Some("opaque TCP has no timeouts and no retries")
        }
        "edges" if in_retries && settings["edges"][name]["retries"]["attempts"] == 0 => {
            Some("nothing is tried again")
        }
        "edges"
            if field == "per_try_timeout_ms"
                && settings["edges"][name]["retries"]["attempts"] == 0 =>
        {
            Some("nothing is tried again")
        }
        _ => None,
    }
}

fn warms_up(service: &Value) -> bool {
    service["warm_up"]["duration_s"] != 0
        && ["least_request", "round_robin"]
            .iter()
            .any(|name| service["load_balancing"] == *name)
}

#[test]
fn every_leaf_changes_a_file() {
    let stage_2 = r#"{"stage":2,"prometheus_address":"http://prometheus:9090"}"#;
    let addresses = r#"{"stage":1,"failover_addresses":{"eu-west-1":{"shop/frontend":{"host":"w.example","port":1}}}}"#;
    let sidecars = r#"{"namespace_sidecars":{"shop":"","ads":""}}"#;
    let options: Vec<RenderOptions> = ["{}", r#"{"stage":1}"#, stage_2, addresses, sidecars]
        .iter()
        .map(|text| serde_json::from_str(text).unwrap())
        .collect();
    let settings = serde_json::to_value(shop()).unwrap();
    let before = rendered(&shop(), &options).unwrap();
    let mut paths = Vec::new();
    leaves(&settings, "", &mut paths);
    assert!(paths.len() > 150, "{}", paths.len());
    let mut dropped = Vec::new();
    let mut excused = BTreeSet::new();
    for path in paths {
        let value = settings.pointer(&path).unwrap();
        let changes = others(&path, value)
            .into_iter()
            .filter(|other| other != value)
            .any(|other| {
                let mut changed = settings.clone();
                *changed.pointer_mut(&path).unwrap() = other;
                if let Some((entry, index)) = path
                    .strip_suffix("/percent")
                    .and_then(|rest| rest.rsplit_once('/'))
                    && entry.ends_with("localities")
                {
                    // The shares must go on summing to 100.
                    let sibling =
                        format!("{entry}/{}/percent", 1 - index.parse::<usize>().unwrap());
                    let rest = 100 - changed.pointer(&path).unwrap().as_u64().unwrap_or(100);
                    *changed.pointer_mut(&sibling).unwrap() = rest.into();
                }
                serde_json::from_value::<Settings>(changed)
                    .ok()
                    .and_then(|changed| rendered(&changed, &options).ok())
                    .is_some_and(|after| after != before)
            });
        match excuse(&path, &settings) {
            _ if changes => {}
            Some(reason) => {
                excused.insert(reason);
            }
            None => dropped.push(path),
        }
    }
    assert!(dropped.is_empty(), "no file shows a change of {dropped:#?}");
    assert_eq!(
        excused.len(),
        13,
        "an excuse that nothing needs: {excused:#?}"
    );
}
