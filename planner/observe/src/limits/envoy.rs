//! Limits in Envoy's own words: what any part of its configuration sets
//! (<https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/cluster/v3/circuit_breaker.proto> and its neighbours).

use super::{
    found::{Binding, Found, either},
    nouns::{LimitField, LimitValue},
};
use crate::yaml::{Node, Value};

const THRESHOLDS: [(LimitField, &[&str]); 6] = {
    use LimitField as F;
    [
        (F::MaxConnections, &["max_connections"]),
        (F::MaxPendingRequests, &["max_pending_requests"]),
        (F::MaxRequests, &["max_requests"]),
        (F::MaxRetries, &["max_retries"]),
        (
            F::RetryBudgetPercent,
            &["retry_budget", "budget_percent", "value"],
        ),
        (
            F::RetryBudgetMinConcurrency,
            &["retry_budget", "min_retry_concurrency"],
        ),
    ]
};

const CLUSTER: [(LimitField, &[&str]); 7] = {
    use LimitField as F;
    [
        (F::ConnectTimeoutMs, &["connect_timeout"]),
        (
            F::ConsecutiveErrors,
            &["outlier_detection", "consecutive_5xx"],
        ),
        (
            F::ConsecutiveGatewayErrors,
            &["outlier_detection", "consecutive_gateway_failure"],
        ),
        (F::EjectionIntervalMs, &["outlier_detection", "interval"]),
        (
            F::BaseEjectionTimeMs,
            &["outlier_detection", "base_ejection_time"],
        ),
        (
            F::MaxEjectionPercent,
            &["outlier_detection", "max_ejection_percent"],
        ),
        (
            F::MinHealthPercent,
            &["common_lb_config", "healthy_panic_threshold", "value"],
        ),
    ]
};

/// What a route action sets; a retry policy may also stand on its own.
const ROUTE: [(LimitField, &[&str]); 4] = {
    use LimitField as F;
    [
        (F::RequestTimeoutMs, &["timeout"]),
        (F::RetryAttempts, &["retry_policy", "num_retries"]),
        (F::PerTryTimeoutMs, &["retry_policy", "per_try_timeout"]),
        (F::RetryOn, &["retry_policy", "retry_on"]),
    ]
};

const BUCKET: [(LimitField, &[&str]); 3] = {
    use LimitField as F;
    [
        (F::RateLimitMaxTokens, &["max_tokens"]),
        (F::RateLimitTokensPerFill, &["tokens_per_fill"]),
        (F::RateLimitFillIntervalMs, &["fill_interval"]),
    ]
};

/// Whether any of it is a limit.
pub(super) fn sets_limits(node: &Node) -> bool {
    let mut found = Found::default();
    let nobody = foremesh_model::ServiceName::new("any")
        .into_iter()
        .collect();
    limits(
        &Binding::new("", String::new(), nobody, ""),
        node,
        &mut found,
    );
    !found.limits.values.is_empty() || !found.warnings.is_empty()
}

/// Everything that a patch sets, whatever part of the configuration it is.
pub(super) fn limits(binding: &Binding, node: &Node, found: &mut Found) {
    cluster(binding, node, found);
    route(binding, node, found);
    if let Some(action) = node.get("route").filter(|n| !n.fields().is_empty()) {
        route(&binding.below("route"), action, found);
    }
    token_buckets(binding, node, found);
}

/// What a cluster sets.
pub(super) fn cluster(binding: &Binding, node: &Node, found: &mut Found) {
    for (field, path) in CLUSTER {
        found.read(binding, field, node, path);
    }
    let per_connection = [
        "common_http_protocol_options",
        "max_requests_per_connection",
    ];
    found.read(
        binding,
        LimitField::MaxRequestsPerConnection,
        node,
        &per_connection,
    );
    for options in [
        "typed_extension_protocol_options",
        "typedExtensionProtocolOptions",
    ] {
        for (name, inner) in node.get(options).map_or(&[][..], Node::fields) {
            let below = binding.below(options).below(name);
            found.read(
                &below,
                LimitField::MaxRequestsPerConnection,
                inner,
                &per_connection,
            );
        }
    }
    for balancer in ["least_request", "round_robin"] {
        let slow = [
            &format!("{balancer}_lb_config") as &str,
            "slow_start_config",
            "slow_start_window",
        ];
        found.read(binding, LimitField::WarmupMs, node, &slow);
    }
    found.read(binding, LimitField::LoadBalancing, node, &["lb_policy"]);
    let policies = either(node, &["load_balancing_policy", "policies"]).map_or(&[][..], Node::list);
    if let Some((at, extension)) = policies
        .iter()
        .enumerate()
        .find_map(|(at, policy)| Some((at, either(policy, &["typed_extension_config"])?)))
        && let Some(name) = extension.get("name").and_then(Node::scalar)
    {
        let path = format!("load_balancing_policy.policies[{at}].typed_extension_config");
        let below = binding.below(&path);
        let short = name.rsplit('.').next().unwrap_or(&name).to_uppercase();
        let (line, path) = (extension.line, below.path.clone());
        found.keep(
            &below,
            LimitField::LoadBalancing,
            LimitValue::Text(short),
            line,
            path,
        );
        for config in ["typed_config", "typedConfig"] {
            if let Some(inner) = extension.get(config) {
                let slow = ["slow_start_config", "slow_start_window"];
                found.read(&below.below(config), LimitField::WarmupMs, inner, &slow);
            }
        }
    }
    for breakers in ["circuit_breakers", "circuitBreakers"] {
        let thresholds = node
            .at(&[breakers, "thresholds"])
            .map_or(&[][..], Node::list);
        for (number, threshold) in thresholds.iter().enumerate() {
            let mut part = binding.below(&format!("{breakers}.thresholds[{number}]"));
            if let Some(priority) = threshold.get("priority").and_then(Node::scalar)
                && priority != "DEFAULT"
            {
                part = part.part(format!("priority {priority}"));
            }
            for (field, path) in THRESHOLDS {
                found.read(&part, field, threshold, path);
            }
        }
    }
}

/// What a route action or a virtual host sets.
pub(super) fn route(binding: &Binding, node: &Node, found: &mut Found) {
    for (field, path) in ROUTE {
        found.read(binding, field, node, path);
    }
}

/// Every token bucket below a node.
pub(super) fn token_buckets(binding: &Binding, node: &Node, found: &mut Found) {
    match &node.value {
        Value::Map(fields) => {
            for (key, inner) in fields {
                let mut below = binding.below(key);
                if matches!(key.as_str(), "token_bucket" | "tokenBucket") {
                    if let Some(words) = descriptor_words(node) {
                        below = below.part(words);
                    }
                    for (field, path) in BUCKET {
                        found.read(&below, field, inner, path);
                    }
                } else {
                    token_buckets(&below, inner, found);
                }
            }
        }
        Value::List(items) => {
            for (number, inner) in items.iter().enumerate() {
                token_buckets(&binding.below(&format!("[{number}]")), inner, found);
            }
        }
        _ => {}
    }
}

/// Which requests a bucket beside a descriptor's entries is for.
fn descriptor_words(node: &Node) -> Option<String> {
    let entries = node.list_at(&["entries"]);
    let words: Vec<String> = entries
        .iter()
        .filter_map(|entry| {
            let key = entry.get("key").and_then(Node::scalar)?;
            Some(match entry.get("value").and_then(Node::scalar) {
                Some(value) => format!("{key}={value}"),
                None => key,
            })
        })
        .collect();
    (!words.is_empty()).then(|| format!("descriptor {}", words.join(",")))
}
