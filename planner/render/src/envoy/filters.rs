//! HTTP and network filters with Envoy's type names, shared by the bootstrap and Istio's EnvoyFilters.

use foremesh_model::{Protocol, ServiceSettings};
use serde_json::{Value, json};

use crate::{document::protobuf_seconds, token_bucket::TokenBucket};

/// The filter that admits what one instance can serve; none for a rate that is no rate. gRPC callers are answered with
/// RESOURCE_EXHAUSTED, others with 429.
pub(crate) fn local_rate_limit(service: &ServiceSettings) -> Option<Value> {
    let bucket = TokenBucket::new(
        service.rate_limit.requests_per_second,
        service.rate_limit.burst,
    )?;
    let always = |key: &str| {
        json!({
            "runtime_key": key,
            "default_value": { "numerator": 100, "denominator": "HUNDRED" },
        })
    };
    let mut config = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        "stat_prefix": "admission",
        "token_bucket": {
            "max_tokens": bucket.max_tokens,
            "tokens_per_fill": bucket.tokens_per_fill,
            "fill_interval": protobuf_seconds(bucket.fill_interval_ms.into()),
        },
        "filter_enabled": always("foremesh.rate_limit.enabled"),
        "filter_enforced": always("foremesh.rate_limit.enforced"),
    });
    if service.protocol == Protocol::Grpc
        && let Some(fields) = config.as_object_mut()
    {
        fields.insert("rate_limited_as_resource_exhausted".into(), json!(true));
    }
    Some(json!({ "name": "envoy.filters.http.local_ratelimit", "typed_config": config }))
}

/// The last HTTP filter of every connection manager.
pub(super) fn router() -> Value {
    json!({
        "name": "envoy.filters.http.router",
        "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
    })
}

/// A connection manager with one virtual host for everything.
pub(super) fn connection_manager(
    stat_prefix: &str,
    route: Value,
    mut filters: Vec<Value>,
) -> Value {
    filters.push(router());
    json!({
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": stat_prefix,
            "codec_type": "AUTO",
            "route_config": {
                "name": stat_prefix,
                "virtual_hosts": [{
                    "name": stat_prefix,
                    "domains": ["*"],
                    "routes": [{ "match": { "prefix": "/" }, "route": route }],
                }],
            },
            "http_filters": filters,
        },
    })
}

/// A proxy of opaque connections.
pub(super) fn tcp_proxy(stat_prefix: &str, destination: (&str, Value)) -> Value {
    let mut config = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": stat_prefix,
    });
    if let Some(fields) = config.as_object_mut() {
        fields.insert(destination.0.into(), destination.1);
    }
    json!({ "name": "envoy.filters.network.tcp_proxy", "typed_config": config })
}

/// A proxy of opaque connections to a cluster of its own name, which closes those on which nothing is sent.
pub(super) fn idle_tcp_proxy(name: &str, idle_timeout_s: u32) -> Value {
    let mut proxy = tcp_proxy(name, ("cluster", json!(name)));
    if let Some(config) = proxy["typed_config"].as_object_mut() {
        let idle = protobuf_seconds(u64::from(idle_timeout_s) * 1000);
        config.insert("idle_timeout".into(), json!(idle));
    }
    proxy
}

/// A listener.
pub(super) fn listener(name: &str, host: &str, port: u16, filter: Value) -> Value {
    json!({
        "name": name,
        "address": socket(host, port),
        "filter_chains": [{ "filters": [filter] }],
    })
}

/// An address.
pub(super) fn socket(host: &str, port: u16) -> Value {
    json!({ "socket_address": { "address": host, "port_value": port } })
}
