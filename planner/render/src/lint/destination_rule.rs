//! Istio's DestinationRule.

use serde_json::Value;

use super::Problems;

/// Istio's own default for a limit, which is none.
const NO_LIMIT: i64 = 2_147_483_647;

pub(super) fn check(spec: &Value, problems: &mut Problems) {
    let whole = Rule {
        policy: &spec["trafficPolicy"],
        in_mesh: in_mesh(spec["host"].as_str().unwrap_or_default()),
    };
    policy(whole.policy, whole, problems);
    for subset in array(&spec["subsets"]) {
        // What a subset does not set comes from the whole rule.
        policy(&subset["trafficPolicy"], whole, problems);
    }
}

/// What every part of one rule is judged by.
#[derive(Clone, Copy)]
struct Rule<'a> {
    /// The policy of the whole rule.
    policy: &'a Value,
    /// Whether the host is called by workloads of the mesh.
    in_mesh: bool,
}

/// A Kubernetes service, by its short or its full name, or a wildcard over such. Istio completes names without a dot alone.
fn in_mesh(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    !host.is_empty()
        && (!host.contains('.')
            || host.ends_with(".local")
            || host.split('.').any(|label| label == "svc"))
}

fn policy(policy: &Value, whole: Rule<'_>, problems: &mut Problems) {
    let ejection = [policy, whole.policy]
        .into_iter()
        .map(|policy| &policy["outlierDetection"])
        .find(|ejection| !ejection.is_null());
    balancer(&policy["loadBalancer"], ejection.is_some(), problems);
    if whole.in_mesh && policy["loadBalancer"]["consistentHash"]["useSourceIp"] == true {
        problems.warning(
            "hash-source-address",
            "useSourceIp",
            "in a caller's own proxy the source address is the calling pod's, so each pod sends all its requests to one instance: hash a \
             request header (httpHeaderName), or use simple: LEAST_REQUEST",
        );
    }
    self::ejection(&policy["outlierDetection"], problems);
    let budget = &policy["retryBudget"];
    if budget.is_object() && budget["percent"].is_null() {
        problems.warning(
            "retry-budget-percent",
            "retryBudget",
            "the retry budget has no percent: before Istio 1.29.2 its default was 0.2%; write percent: 20 or what is meant",
        );
    }
    limits(&policy["connectionPool"], problems);
    for port in array(&policy["portLevelSettings"]) {
        self::policy(port, whole, problems);
    }
}

fn balancer(balancer: &Value, ejects: bool, problems: &mut Problems) {
    let locality = &balancer["localityLbSetting"];
    let distributes = !array(&locality["distribute"]).is_empty();
    let fails_over = !array(&locality["failover"]).is_empty()
        || !array(&locality["failoverPriority"]).is_empty();
    if distributes && fails_over {
        problems.error(
            "distribute-and-failover",
            "localityLbSetting",
            "distribute and failover exclude each other: Istio refuses the rule at its webhook or ignores one of them; keep one",
        );
    }
    if fails_over && !ejects {
        problems.error(
            "failover-without-ejection",
            "localityLbSetting",
            "failover needs outlierDetection: without it no instance is ever seen as unhealthy and traffic stays; add outlierDetection",
        );
    }
    for share in array(&locality["distribute"]) {
        let sum: f64 = share["to"]
            .as_object()
            .into_iter()
            .flat_map(|to| to.values())
            .filter_map(Value::as_f64)
            .sum();
        if sum != 100.0 {
            problems.error(
                "distribute-sum",
                "distribute",
                format!(
                    "the shares from {} sum to {sum}, not to 100: make them sum to 100",
                    share["from"].as_str().unwrap_or("?")
                ),
            );
        }
    }
    let simple = balancer["simple"].as_str().unwrap_or("LEAST_REQUEST");
    let warms = !balancer["warmup"].is_null() || !balancer["warmupDurationSecs"].is_null();
    let hashes = !balancer["consistentHash"].is_null();
    if warms && (hashes || matches!(simple, "RANDOM" | "PASSTHROUGH")) {
        let name = if hashes { "consistentHash" } else { simple };
        problems.error(
            "warmup-balancer",
            "warmup",
            format!("warm-up does nothing with {name}: use LEAST_REQUEST or ROUND_ROBIN, or remove warmup"),
        );
    }
    if !balancer["warmupDurationSecs"].is_null() {
        problems.warning(
            "warmup-deprecated",
            "warmupDurationSecs",
            "warmupDurationSecs is deprecated: write warmup.duration",
        );
    }
}

fn ejection(ejection: &Value, problems: &mut Problems) {
    let percent = |field: &str| ejection[field].as_i64();
    match percent("maxEjectionPercent") {
        Some(value) if !(0..=100).contains(&value) => problems.error(
            "ejection-percent",
            "maxEjectionPercent",
            format!("maxEjectionPercent is {value}: write 0 … 99"),
        ),
        Some(100) => problems.warning(
            "ejection-everything",
            "maxEjectionPercent",
            "maxEjectionPercent 100 lets every instance be ejected at once: leave some in, for example 50",
        ),
        _ => {}
    }
    if let Some(value) = percent("minHealthPercent")
        && !(0..=100).contains(&value)
    {
        problems.error(
            "min-health-percent",
            "minHealthPercent",
            format!("minHealthPercent is {value}: write 0 … 100"),
        );
    }
}

fn limits(pool: &Value, problems: &mut Problems) {
    let fields: [(&'static str, &Value); 4] = [
        ("maxConnections", &pool["tcp"]["maxConnections"]),
        (
            "http1MaxPendingRequests",
            &pool["http"]["http1MaxPendingRequests"],
        ),
        ("http2MaxRequests", &pool["http"]["http2MaxRequests"]),
        ("maxRetries", &pool["http"]["maxRetries"]),
    ];
    for (field, value) in fields {
        match value.as_i64() {
            Some(0) => problems.warning(
                "limit-zero",
                field,
                format!("{field}: 0 means no limit at all: write 1 or more"),
            ),
            Some(value) if value < 0 => problems.error(
                "limit-negative",
                field,
                format!("{field} is {value}: write 1 or more"),
            ),
            Some(value) if value >= NO_LIMIT => problems.warning(
                "limit-none",
                field,
                format!(
                    "{field} is {value}, which limits nothing: write what the callee can serve"
                ),
            ),
            _ => {}
        }
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
