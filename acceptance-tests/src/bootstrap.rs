//! A small Envoy configuration: one listener `in` in front of one cluster `out`. What a test is about is handed in as Envoy's own
//! fields; the rest limits nothing.

use std::{net::SocketAddr, path::Path};

use foremesh_model::OutlierEjection;
use serde_json::{Map, Value, json};

/// Hosts of a locality.
#[derive(Debug, Clone, Copy)]
pub struct Group<'a> {
    /// Its region.
    pub region: &'a str,
    /// The hosts.
    pub hosts: &'a [SocketAddr],
    /// 0: the first.
    pub priority: u32,
    /// Its weight among those of the same priority.
    pub weight: Option<u32>,
}

/// What a configuration is made of.
#[derive(Debug, Clone, Default)]
pub struct Bootstrap {
    /// HTTP filters before the router.
    pub filters: Vec<Value>,
    /// Fields of the route's action, beside the cluster.
    pub route: Map<String, Value>,
    /// Fields of the cluster.
    pub cluster: Map<String, Value>,
}

impl Bootstrap {
    /// A cluster of these hosts, in their locality and priority 0.
    pub fn of(hosts: &[SocketAddr]) -> Self {
        Self::default().field(
            "load_assignment",
            json!({ "cluster_name": "out", "endpoints": [{ "lb_endpoints": endpoints(hosts) }] }),
        )
    }

    /// A cluster of hosts in several localities, with Envoy's overprovisioning factor in percent.
    pub fn in_localities(groups: &[Group<'_>], overprovisioning_percent: u32) -> Self {
        let group = |group: &Group<'_>| {
            let mut fields = json!({
                "locality": { "region": group.region },
                "priority": group.priority,
                "lb_endpoints": endpoints(group.hosts),
            });
            if let Some(weight) = group.weight {
                fields["load_balancing_weight"] = weight.into();
            }
            fields
        };
        Self::default().field(
            "load_assignment",
            json!({
                "cluster_name": "out",
                "endpoints": groups.iter().map(group).collect::<Vec<_>>(),
                "policy": { "overprovisioning_factor": overprovisioning_percent },
            }),
        )
    }

    /// A cluster whose hosts are read from a file, which [`endpoints_file`] writes.
    pub fn watching(file: &Path) -> Self {
        Self::default().field("type", json!("EDS")).field(
            "eds_cluster_config",
            json!({ "eds_config": {
                "path_config_source": { "path": file.display().to_string() },
                "resource_api_version": "V3",
            } }),
        )
    }

    /// With this field of the cluster.
    #[must_use]
    pub fn field(mut self, name: &str, value: Value) -> Self {
        self.cluster.insert(name.into(), value);
        self
    }

    /// With these limits of the cluster, Envoy's fields of a threshold; what is not named is not limited.
    #[must_use]
    pub fn limits(self, named: Value) -> Self {
        let mut limits = json!({
            "max_connections": u32::MAX,
            "max_pending_requests": u32::MAX,
            "max_requests": u32::MAX,
            "max_retries": u32::MAX,
        });
        for (name, value) in named.as_object().into_iter().flatten() {
            limits[name.as_str()] = value.clone();
        }
        self.field("circuit_breakers", json!({ "thresholds": [limits] }))
    }

    /// Balanced so: the policy's name as in `round_robin`, its message as in `RoundRobin`, and its fields.
    #[must_use]
    pub fn balanced(self, policy: &str, message: &str, mut fields: Map<String, Value>) -> Self {
        let kind = format!(
            "type.googleapis.com/envoy.extensions.load_balancing_policies.{policy}.v3.{message}"
        );
        fields.insert("@type".into(), kind.into());
        self.field(
            "load_balancing_policy",
            json!({ "policies": [{ "typed_extension_config": {
                "name": format!("envoy.load_balancing_policies.{policy}"),
                "typed_config": fields,
            } }] }),
        )
    }

    /// With HTTP/2 to the hosts.
    #[must_use]
    pub fn http2(self) -> Self {
        self.field(
            "typed_extension_protocol_options",
            json!({ "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": { "http2_protocol_options": {} },
            } }),
        )
    }

    /// With ejection after errors in a row.
    #[must_use]
    pub fn ejection(self, ejection: &OutlierEjection) -> Self {
        let seconds = |value: u32| format!("{value}s");
        self.field(
            "common_lb_config",
            json!({ "healthy_panic_threshold": { "value": ejection.min_health_percent } }),
        )
        .field(
            "outlier_detection",
            json!({
                "consecutive_5xx": ejection.consecutive_errors,
                "enforcing_consecutive_5xx": 100,
                "enforcing_success_rate": 0,
                "interval": seconds(ejection.interval_s),
                "base_ejection_time": seconds(ejection.base_ejection_s),
                "max_ejection_time": "300s",
                "max_ejection_percent": ejection.max_ejection_percent,
            }),
        )
    }

    /// With a token bucket before everything.
    #[must_use]
    pub fn rate_limit(mut self, burst: u32, tokens: u32, interval: &str) -> Self {
        let always = json!({ "default_value": { "numerator": 100, "denominator": "HUNDRED" } });
        self.filters.push(json!({ "name": "limit", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
            "stat_prefix": "limit",
            "token_bucket": { "max_tokens": burst, "tokens_per_fill": tokens, "fill_interval": interval },
            "filter_enabled": always,
            "filter_enforced": always,
        } }));
        self
    }

    /// With these retries, Envoy's retry policy.
    #[must_use]
    pub fn retries(mut self, policy: Value) -> Self {
        self.route.insert("retry_policy".into(), policy);
        self
    }

    /// The whole configuration.
    pub fn build(self) -> Value {
        let mut route = self.route;
        route.insert("cluster".into(), json!("out"));
        route.entry("timeout").or_insert(json!("0s"));
        let mut filters = self.filters;
        filters.push(json!({ "name": "router", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" } }));
        let mut cluster = self.cluster;
        cluster.insert("name".into(), json!("out"));
        cluster.entry("connect_timeout").or_insert(json!("1s"));
        let manager = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
        json!({
            "node": { "id": "in", "cluster": "in" },
            "static_resources": {
                "listeners": [{ "name": "in", "filter_chains": [{ "filters": [{
                    "name": "manager",
                    "typed_config": {
                        "@type": manager,
                        "stat_prefix": "in",
                        "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [
                            { "match": { "prefix": "/" }, "route": route }] }] },
                        "http_filters": filters,
                    },
                }] }] }],
                "clusters": [cluster],
            },
        })
    }
}

/// Hosts as Envoy's endpoints.
pub fn endpoints(hosts: &[SocketAddr]) -> Value {
    hosts
        .iter()
        .map(|host| {
            json!({ "endpoint": { "address": { "socket_address": {
                "address": host.ip().to_string(), "port_value": host.port() } } } })
        })
        .collect()
}

/// Writes the hosts of [`Bootstrap::watching`]. The file is replaced as a whole: Envoy reads it again when it is moved into its place.
///
/// # Panics
/// When the folder cannot be written.
pub fn endpoints_file(file: &Path, hosts: &[SocketAddr]) {
    let answer = json!({ "resources": [{
        "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": "out",
        "endpoints": [{ "lb_endpoints": endpoints(hosts) }],
    }] });
    let new = file.with_extension("new");
    std::fs::write(&new, answer.to_string()).expect("the folder can be written");
    std::fs::rename(&new, file).expect("the file can be replaced");
}
