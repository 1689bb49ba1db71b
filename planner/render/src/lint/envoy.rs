//! Envoy's own configuration, in a bootstrap and in the payload of Istio's EnvoyFilter, which no schema checks.

use serde_json::{Map, Value};

use super::{
    Problems,
    words::{seconds, unknown_retry_conditions},
};

const LOCAL_RATE_LIMIT: &str = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit";
/// The shortest refill interval that Envoy accepts.
const SHORTEST_FILL_S: f64 = 0.05;
/// The fields of that filter.
const LOCAL_RATE_LIMIT_FIELDS: [&str; 18] = [
    "@type",
    "stat_prefix",
    "status",
    "token_bucket",
    "filter_enabled",
    "filter_enforced",
    "request_headers_to_add_when_not_enforced",
    "response_headers_to_add",
    "descriptors",
    "stage",
    "local_rate_limit_per_downstream_connection",
    "local_cluster_rate_limit",
    "enable_x_ratelimit_headers",
    "vh_rate_limits",
    "always_consume_default_token_bucket",
    "rate_limited_as_resource_exhausted",
    "rate_limits",
    "max_dynamic_descriptors",
];
const TOKEN_BUCKET_FIELDS: [&str; 3] = ["max_tokens", "tokens_per_fill", "fill_interval"];

pub(super) fn check_filter(spec: &Value, problems: &mut Problems) {
    for patch in spec["configPatches"].as_array().into_iter().flatten() {
        let value = &patch["patch"]["value"];
        walk(value, problems);
    }
}

pub(super) fn check_bootstrap(bootstrap: &Value, problems: &mut Problems) {
    walk(&bootstrap["static_resources"], problems);
}

/// Every object of a configuration, whatever it stands in.
fn walk(value: &Value, problems: &mut Problems) {
    match value {
        Value::Object(fields) => {
            object(fields, problems);
            fields.values().for_each(|value| walk(value, problems));
        }
        Value::Array(values) => values.iter().for_each(|value| walk(value, problems)),
        _ => {}
    }
}

fn object(fields: &Map<String, Value>, problems: &mut Problems) {
    let text = |field: &str| fields.get(field).and_then(Value::as_str);
    let kind = text("@type").unwrap_or_default();
    let typed = |name: &str| kind.strip_prefix("type.googleapis.com/") == Some(name);
    if typed(LOCAL_RATE_LIMIT) {
        rate_limit(fields, problems);
    }
    if let Some(retry_on) = text("retry_on") {
        let unknown = unknown_retry_conditions(retry_on);
        if !unknown.is_empty() {
            problems.error(
                "retry-on",
                "retry_on",
                format!(
                    "retry_on knows no {}: Envoy passes over it in silence",
                    unknown.join(", ")
                ),
            );
        }
    }
    if let Some(policy) = fields.get("retry_policy") {
        let attempt = policy["per_try_timeout"].as_str().and_then(seconds);
        let whole = text("timeout").and_then(seconds);
        if let (Some(attempt), Some(whole)) = (attempt, whole)
            && attempt > whole
            && whole > 0.0
        {
            problems.error(
                "per-try-timeout",
                "per_try_timeout",
                format!("per_try_timeout {attempt}s is longer than the route's timeout {whole}s: shorten it"),
            );
        }
    }
    if let Some(detection) = fields.get("outlier_detection")
        && detection["max_ejection_percent"].as_i64() == Some(100)
    {
        problems.warning(
            "ejection-everything",
            "max_ejection_percent",
            "max_ejection_percent 100 lets every instance be ejected at once: leave some in",
        );
    }
    if let Some(policy) = fields.get("preconnect_policy") {
        preconnect(fields, policy, problems);
    }
}

fn rate_limit(fields: &Map<String, Value>, problems: &mut Problems) {
    let unknown = fields
        .keys()
        .find(|field| !LOCAL_RATE_LIMIT_FIELDS.contains(&field.as_str()));
    if let Some(field) = unknown {
        problems.error(
            "unknown-field",
            "typed_config",
            format!("the local rate limit has no field {field:?}: Envoy refuses the whole configuration; remove it"),
        );
    }
    for field in ["filter_enabled", "filter_enforced"] {
        if fields.get(field).is_none_or(Value::is_null) {
            problems.error(
                "rate-limit-never-acts",
                "typed_config",
                format!("without {field} the local rate limit acts on 0% of the requests: set its default_value to 100 / HUNDRED"),
            );
        }
    }
    let Some(bucket) = fields.get("token_bucket").and_then(Value::as_object) else {
        return;
    };
    if let Some(field) = bucket
        .keys()
        .find(|field| !TOKEN_BUCKET_FIELDS.contains(&field.as_str()))
    {
        problems.error(
            "unknown-field",
            "token_bucket",
            format!("a token bucket has no field {field:?}: remove it"),
        );
    }
    let interval = bucket
        .get("fill_interval")
        .and_then(Value::as_str)
        .and_then(seconds);
    if interval.is_none_or(|interval| interval < SHORTEST_FILL_S) {
        problems.error(
            "fill-interval",
            "fill_interval",
            "fill_interval must be 0.05s or longer: Envoy refuses shorter ones",
        );
    }
    let tokens =
        |field: &str, otherwise: u64| bucket.get(field).map_or(Some(otherwise), Value::as_u64);
    let (most, fill) = (tokens("max_tokens", 0), tokens("tokens_per_fill", 1));
    if most.is_none_or(|most| most == 0) || fill.is_none_or(|fill| fill == 0) {
        problems.error(
            "token-bucket-empty",
            "token_bucket",
            "max_tokens and tokens_per_fill must be whole numbers greater than 0",
        );
    } else if most < fill {
        problems.warning(
            "token-bucket-small",
            "max_tokens",
            "max_tokens is less than tokens_per_fill, so a refill overflows and the rate is lower than it says: raise max_tokens",
        );
    }
}

fn preconnect(cluster: &Map<String, Value>, policy: &Value, problems: &mut Problems) {
    for field in [
        "per_upstream_preconnect_ratio",
        "predictive_preconnect_ratio",
    ] {
        let ratio = policy[field]
            .as_f64()
            .or_else(|| policy[field]["value"].as_f64());
        if ratio.is_some_and(|ratio| !(1.0..=3.0).contains(&ratio)) {
            problems.error(
                "preconnect-ratio",
                "preconnect_policy",
                format!("{field} must lie between 1 and 3"),
            );
        }
    }
    let balancer = cluster
        .get("lb_policy")
        .and_then(Value::as_str)
        .unwrap_or("ROUND_ROBIN");
    if !policy["predictive_preconnect_ratio"].is_null()
        && !matches!(balancer, "ROUND_ROBIN" | "RANDOM")
    {
        problems.error(
            "preconnect-balancer",
            "predictive_preconnect_ratio",
            format!("connections cannot be foreseen with {balancer}: use ROUND_ROBIN or RANDOM, or per_upstream_preconnect_ratio"),
        );
    }
}
