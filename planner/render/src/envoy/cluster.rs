//! Clusters: the limits, ejection and balancing of one upstream.

use foremesh_model::{ConnectionSettings, LoadBalancing, Protocol, ServiceSettings};
use serde_json::{Map, Value, json};

use super::filters::socket;
use crate::{
    Address, RenderOptions,
    document::{number, protobuf_seconds},
    policy::{self, Pool, RetryBudget},
};

/// Longest that a proxy waits for a connection; an attempt that is shorter shortens it.
pub(super) const CONNECT_TIMEOUT_MS: u32 = 1000;
/// Envoy's own default for the longest ejection, which must not lie below the first.
const LONGEST_EJECTION_S: u32 = 300;

/// Where a part of an upstream's instances is reached.
pub(super) struct Group {
    pub(super) address: Address,
    /// `region/zone/sub-zone`, as far as known.
    pub(super) locality: String,
    /// Share among the groups of the same priority, where the groups have shares.
    pub(super) weight: Option<u32>,
    /// 0 is used first.
    pub(super) priority: u32,
}

/// An upstream.
pub(super) struct Upstream<'a> {
    pub(super) name: &'a str,
    pub(super) service: &'a ServiceSettings,
    pub(super) groups: Vec<Group>,
    pub(super) pool: Pool,
    pub(super) budget: Option<RetryBudget>,
    pub(super) connect_timeout_ms: u32,
}

/// The application beside its proxy: limits alone; there is nothing to choose among and nothing to eject.
pub(super) fn local(upstream: &Upstream<'_>) -> Map<String, Value> {
    let protocol = upstream.service.protocol;
    let mut cluster = Map::new();
    cluster.insert("name".into(), json!(upstream.name));
    cluster.insert("type".into(), json!("STRICT_DNS"));
    cluster.insert("dns_lookup_family".into(), json!("V4_PREFERRED"));
    cluster.insert(
        "connect_timeout".into(),
        json!(protobuf_seconds(upstream.connect_timeout_ms.into())),
    );
    cluster.insert("circuit_breakers".into(), circuit_breakers(upstream));
    cluster.insert(
        "load_assignment".into(),
        json!({ "cluster_name": upstream.name, "endpoints": endpoints(&upstream.groups) }),
    );
    if protocol != Protocol::Tcp {
        let version = match protocol {
            Protocol::Http2 | Protocol::Grpc => "http2_protocol_options",
            Protocol::Http | Protocol::Tcp => "http_protocol_options",
        };
        cluster.insert(
            "typed_extension_protocol_options".into(),
            json!({
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": { version: {} },
                },
            }),
        );
    }
    cluster
}

/// A service that is called.
pub(super) fn remote(upstream: &Upstream<'_>, options: &RenderOptions) -> Map<String, Value> {
    let service = upstream.service;
    let weighted = upstream.groups.iter().any(|group| group.weight.is_some());
    let mut cluster = local(upstream);
    cluster.insert("outlier_detection".into(), outlier_detection(service));
    cluster.insert(
        "common_lb_config".into(),
        json!({ "healthy_panic_threshold": { "value": service.outlier_ejection.min_health_percent } }),
    );
    cluster.insert(
        "load_balancing_policy".into(),
        load_balancing(service, options, weighted),
    );
    if service.preconnect_ratio > 1.0 {
        cluster.insert(
            "preconnect_policy".into(),
            json!({ "per_upstream_preconnect_ratio": number(service.preconnect_ratio) }),
        );
    }
    cluster
}

/// A service that keeps state: how connections are opened to it, and how many where that is known. Envoy's own limit of 1024 is
/// lifted elsewhere, because nobody chose it.
pub(super) fn left_alone(
    name: &str,
    address: &Address,
    region: &str,
    connection: &ConnectionSettings,
) -> Value {
    let limit = connection.max_connections.unwrap_or(u32::MAX);
    let group = Group {
        address: address.clone(),
        locality: region.into(),
        weight: None,
        priority: 0,
    };
    json!({
        "name": name,
        "type": "STRICT_DNS",
        "dns_lookup_family": "V4_PREFERRED",
        "connect_timeout": protobuf_seconds(connection.connect_timeout_ms.into()),
        "circuit_breakers": { "thresholds": [{
            "priority": "DEFAULT",
            "max_connections": limit,
            "max_pending_requests": limit,
            "max_requests": u32::MAX,
            "max_retries": 1,
            "track_remaining": true,
        }] },
        "load_assignment": { "cluster_name": name, "endpoints": endpoints(&[group]) },
    })
}

fn circuit_breakers(upstream: &Upstream<'_>) -> Value {
    let pool = upstream.pool;
    let mut threshold = json!({
        "priority": "DEFAULT",
        "max_connections": pool.max_connections,
        "max_pending_requests": pool.max_pending_requests,
        "max_requests": pool.max_concurrent_requests,
        "max_retries": pool.max_concurrent_retries,
        "track_remaining": true,
    });
    if let (Some(budget), Some(fields)) = (upstream.budget, threshold.as_object_mut()) {
        fields.insert(
            "retry_budget".into(),
            json!({
                "budget_percent": { "value": number(budget.percent) },
                "min_retry_concurrency": budget.min_concurrent,
            }),
        );
    }
    json!({ "thresholds": [threshold] })
}

/// Ejection by errors in a row alone; by success rate is off, as in Istio, because the plan derives no threshold for it.
fn outlier_detection(service: &ServiceSettings) -> Value {
    let ejection = service.outlier_ejection;
    let seconds = |value: u32| protobuf_seconds(u64::from(value) * 1000);
    json!({
        "consecutive_5xx": ejection.consecutive_errors,
        "enforcing_consecutive_5xx": 100,
        "consecutive_gateway_failure": ejection.consecutive_errors,
        "enforcing_consecutive_gateway_failure": 100,
        "enforcing_success_rate": 0,
        "interval": seconds(ejection.interval_s),
        "base_ejection_time": seconds(ejection.base_ejection_s),
        "max_ejection_time": seconds(ejection.base_ejection_s.max(LONGEST_EJECTION_S)),
        "max_ejection_percent": ejection.max_ejection_percent,
    })
}

fn load_balancing(service: &ServiceSettings, options: &RenderOptions, weighted: bool) -> Value {
    let balancing = policy::load_balancing(service, options);
    let (name, kind) = match balancing {
        LoadBalancing::LeastRequest => ("least_request", "LeastRequest"),
        LoadBalancing::RoundRobin => ("round_robin", "RoundRobin"),
        LoadBalancing::Random => ("random", "Random"),
        LoadBalancing::RingHash => ("ring_hash", "RingHash"),
        LoadBalancing::Maglev => ("maglev", "Maglev"),
    };
    let mut config = Map::new();
    config.insert(
        "@type".into(),
        json!(format!(
            "type.googleapis.com/envoy.extensions.load_balancing_policies.{name}.v3.{kind}"
        )),
    );
    if policy::warms_up(service, options) {
        config.insert(
            "slow_start_config".into(),
            json!({
                "slow_start_window": protobuf_seconds(u64::from(service.warm_up.duration_s) * 1000),
                "aggression": {
                    "default_value": number(service.warm_up.aggression),
                    "runtime_key": "foremesh.warm_up.aggression",
                },
                "min_weight_percent": { "value": service.warm_up.minimum_percent },
            }),
        );
    }
    if weighted {
        let field = match balancing {
            LoadBalancing::RingHash | LoadBalancing::Maglev => "locality_weighted_lb_config",
            _ => "locality_lb_config",
        };
        let weights = if field == "locality_lb_config" {
            json!({ "locality_weighted_lb_config": {} })
        } else {
            json!({})
        };
        config.insert(field.into(), weights);
    }
    json!({
        "policies": [{
            "typed_extension_config": {
                "name": format!("envoy.load_balancing_policies.{name}"),
                "typed_config": config,
            },
        }],
    })
}

fn endpoints(groups: &[Group]) -> Value {
    let endpoint = |group: &Group| {
        let mut endpoint = Map::new();
        if !group.locality.is_empty() {
            let mut locality = Map::new();
            for (field, part) in ["region", "zone", "sub_zone"]
                .iter()
                .zip(group.locality.split('/'))
            {
                locality.insert((*field).into(), json!(part));
            }
            endpoint.insert("locality".into(), Value::Object(locality));
        }
        if let Some(weight) = group.weight {
            endpoint.insert("load_balancing_weight".into(), json!(weight));
        }
        endpoint.insert("priority".into(), json!(group.priority));
        endpoint.insert(
            "lb_endpoints".into(),
            json!([{ "endpoint": { "address": socket(&group.address.host, group.address.port) } }]),
        );
        Value::Object(endpoint)
    };
    groups.iter().map(endpoint).collect()
}
