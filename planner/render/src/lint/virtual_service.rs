//! Istio's VirtualService.

use serde_json::Value;

use super::{
    Problems,
    words::{seconds, unknown_retry_conditions},
};

pub(super) fn check(spec: &Value, problems: &mut Problems) {
    let empty = Vec::new();
    let routes = spec["http"].as_array().unwrap_or(&empty);
    for (index, http) in routes.iter().enumerate() {
        route(http, problems);
        let matches_all = http["match"].as_array().is_none_or(Vec::is_empty);
        if matches_all && index + 1 < routes.len() {
            problems.warning(
                "unreachable-route",
                "http",
                format!(
                    "route {} matches everything, so the {} after it are never reached: put it last",
                    name(http, index),
                    routes.len() - index - 1
                ),
            );
            break;
        }
    }
    let last_matches_some = routes
        .last()
        .is_some_and(|last| last["match"].as_array().is_some_and(|m| !m.is_empty()));
    if last_matches_some && !catches_all(routes) {
        problems.warning(
            "no-default-route",
            "http",
            "every route has a match: a request that meets none is answered with 404; add a last route without match",
        );
    }
}

fn catches_all(routes: &[Value]) -> bool {
    let everything = |uri: &Value| uri["prefix"] == "/" || uri["regex"] == ".*";
    routes.iter().any(|http| {
        http["match"].as_array().is_none_or(|matches| {
            matches.iter().any(|one| {
                one.as_object().is_some_and(|fields| {
                    fields.keys().all(|key| key == "uri") && everything(&one["uri"])
                })
            })
        })
    })
}

fn name(http: &Value, index: usize) -> String {
    http["name"]
        .as_str()
        .map_or_else(|| (index + 1).to_string(), |name| format!("{name:?}"))
}

fn route(http: &Value, problems: &mut Problems) {
    let retries = &http["retries"];
    if let Some(retry_on) = retries["retryOn"].as_str() {
        let unknown = unknown_retry_conditions(retry_on);
        if !unknown.is_empty() {
            problems.error(
                "retry-on",
                "retryOn",
                format!("retryOn knows no {}: Envoy passes over it in silence; use for example connect-failure,refused-stream,unavailable", unknown.join(", ")),
            );
        }
    }
    let duration = |value: &Value| value.as_str().and_then(seconds);
    if let (Some(attempt), Some(whole)) = (
        duration(&retries["perTryTimeout"]),
        duration(&http["timeout"]),
    ) && attempt > whole
        && whole > 0.0
    {
        problems.error(
            "per-try-timeout",
            "perTryTimeout",
            format!("perTryTimeout {attempt}s is longer than timeout {whole}s, so no attempt is ever followed by another: shorten perTryTimeout"),
        );
    }
    weights(http, problems);
}

fn weights(http: &Value, problems: &mut Problems) {
    let Some(destinations) = http["route"].as_array() else {
        return;
    };
    let weights: Vec<i64> = destinations
        .iter()
        .map(|destination| destination["weight"].as_i64().unwrap_or(0))
        .collect();
    let sum: i64 = weights.iter().sum();
    if destinations.len() > 1 && sum == 0 {
        problems.error(
            "weights-zero",
            "route",
            "no destination has a weight, so nothing is routed: give weights that sum to 100",
        );
    } else if destinations.len() > 1 && sum != 100 {
        problems.warning(
            "weights-sum",
            "weight",
            format!("the weights sum to {sum}: Istio takes them as proportions, not as percent; make them sum to 100"),
        );
    }
}
