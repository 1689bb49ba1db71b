//! What an Envoy needs where clients that nobody knows reach it, as Envoy's own guide for edges has it ("Configuring Envoy as an edge
//! proxy"), and TLS where the options name certificates.
//!
//! Left out of that guide, because it depends on what the settings do not know: limits by heap (the memory of the host),
//! escaped slashes in paths (what the application takes them for), and certificates of clients.

use foremesh_model::{Protocol, ServiceName, ServiceSettings};
use serde_json::{Map, Value, json};

use super::Context;
use crate::{RenderError, document::protobuf_seconds};

/// Bytes that a connection buffers before its sender has to wait.
const BUFFER_BYTES: u32 = 32 * 1024;
/// Streams that one HTTP/2 connection may have open, at the least.
const STREAMS: u32 = 100;
/// Bytes in flight on one stream, and on one connection.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// Milliseconds after which a connection without requests is closed, and a stream on which nothing moves is.
const IDLE_CONNECTION_MS: u64 = 3_600_000;
const IDLE_STREAM_MS: u64 = 300_000;
/// Milliseconds in which a request must have arrived: its headers, and all of it.
const HEADERS_MS: u64 = 10_000;
const REQUEST_MS: u64 = 300_000;
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Hardens an entry's bootstrap; answers its overload manager. The listeners of the application's own calls and the administration do not
/// count towards the limit of connections, so that both go on when clients have taken it all.
pub(super) fn harden(
    context: &Context<'_>,
    listeners: &mut [Value],
    clusters: &mut [Value],
    admin: &mut Value,
) -> Result<Value, RenderError> {
    let most = context.options.max_downstream_connections;
    if most == 0 {
        return Err(RenderError::RenderOption {
            option: "max_downstream_connections".into(),
            value: "0".into(),
            cure: "write at least 1: an entry that accepts no connection serves nobody".into(),
        });
    }
    for listener in listeners {
        if listener["name"] == "inbound" {
            listener["per_connection_buffer_limit_bytes"] = json!(BUFFER_BYTES);
            if context.service.protocol != Protocol::Tcp {
                let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
                if let Some(manager) = manager.as_object_mut() {
                    guard(context, manager);
                }
            }
        } else {
            listener["ignore_global_conn_limit"] = json!(true);
        }
    }
    for cluster in clusters {
        cluster["per_connection_buffer_limit_bytes"] = json!(BUFFER_BYTES);
    }
    admin["ignore_global_conn_limit"] = json!(true);
    Ok(json!({
        "resource_monitors": [{
            "name": "envoy.resource_monitors.global_downstream_max_connections",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                "max_active_downstream_connections": most,
            },
        }],
    }))
}

/// What the connection manager makes of requests from outside.
fn guard(context: &Context<'_>, manager: &mut Map<String, Value>) {
    let service = context.service;
    let mut set = |field: &str, value: Value| {
        manager.insert(field.into(), value);
    };
    // Otherwise a client could say which address it has, and set Envoy's own headers (retries, timeouts).
    set("use_remote_address", json!(true));
    set("xff_num_trusted_hops", json!(context.options.trusted_hops));
    set("normalize_path", json!(true));
    set("merge_slashes", json!(true));
    let mut common = json!({ "idle_timeout": protobuf_seconds(IDLE_CONNECTION_MS) });
    // Metadata of gRPC has underscores by right; elsewhere applications take them for dashes.
    if service.protocol != Protocol::Grpc {
        common["headers_with_underscores_action"] = json!("REJECT_REQUEST");
    }
    set("common_http_protocol_options", common);
    set(
        "http2_protocol_options",
        json!({
            // Never fewer than one connection must carry for the plan's limit to be reached.
            "max_concurrent_streams": service.max_concurrent_requests.max(STREAMS),
            "initial_stream_window_size": STREAM_WINDOW_BYTES,
            "initial_connection_window_size": CONNECTION_WINDOW_BYTES,
        }),
    );
    set(
        "stream_idle_timeout",
        json!(protobuf_seconds(IDLE_STREAM_MS)),
    );
    set(
        "request_headers_timeout",
        json!(protobuf_seconds(HEADERS_MS)),
    );
    // A stream of gRPC, or of HTTP/2, may send for hours.
    if service.protocol == Protocol::Http {
        set("request_timeout", json!(protobuf_seconds(REQUEST_MS)));
    }
}

/// Ends TLS at the inbound listener, where the options name a certificate.
pub(super) fn accept_tls(
    context: &Context<'_>,
    listeners: &mut [Value],
) -> Result<(), RenderError> {
    let Some(certificate) = context.options.certificates.get(context.name) else {
        return Ok(());
    };
    for (field, file) in [
        ("certificate_file", &certificate.certificate_file),
        ("private_key_file", &certificate.private_key_file),
    ] {
        if file.trim().is_empty() {
            return Err(RenderError::RenderOption {
                option: format!("certificates[{:?}].{field}", context.name.as_str()),
                value: "empty".into(),
                cure: "name the PEM file on the service's hosts".into(),
            });
        }
    }
    let mut tls = json!({
        "tls_params": { "tls_minimum_protocol_version": "TLSv1_2" },
        "tls_certificates": [{
            "certificate_chain": { "filename": certificate.certificate_file },
            "private_key": { "filename": certificate.private_key_file },
        }],
    });
    if let Some(protocols) = protocols(context.service) {
        tls["alpn_protocols"] = protocols;
    }
    for listener in listeners.iter_mut().filter(|l| l["name"] == "inbound") {
        listener["filter_chains"][0]["transport_socket"] = json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "common_tls_context": tls,
            },
        });
    }
    Ok(())
}

/// What a service may agree on with who calls it; none for opaque TCP.
fn protocols(service: &ServiceSettings) -> Option<Value> {
    match service.protocol {
        Protocol::Http => Some(json!(["h2", "http/1.1"])),
        Protocol::Http2 | Protocol::Grpc => Some(json!(["h2"])),
        Protocol::Tcp => None,
    }
}

/// Lets a caller speak TLS to a callee whose Envoys accept nothing else: the certificate must be for one of the names that are called. Other
/// regions are taken to have one too.
pub(super) fn speak_tls(
    context: &Context<'_>,
    (callee, service): (&ServiceName, &ServiceSettings),
    hosts: &[String],
    cluster: &mut Map<String, Value>,
) {
    let Some(certificate) = context.options.certificates.get(callee) else {
        return;
    };
    let authority = certificate.authority_file.as_deref();
    let is_address = |host: &str| host.parse::<std::net::IpAddr>().is_ok();
    let names: Vec<Value> = hosts
        .iter()
        .map(|host| {
            let kind = if is_address(host) {
                "IP_ADDRESS"
            } else {
                "DNS"
            };
            json!({ "san_type": kind, "matcher": { "exact": host } })
        })
        .collect();
    let mut tls = json!({
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": {
            "tls_params": { "tls_minimum_protocol_version": "TLSv1_2" },
            "validation_context": {
                "trusted_ca": { "filename": authority.unwrap_or(AUTHORITIES) },
                "match_typed_subject_alt_names": names,
            },
        },
    });
    if let Some(host) = hosts.iter().find(|host| !is_address(host)) {
        tls["sni"] = json!(host);
    }
    let version = match service.protocol {
        Protocol::Http2 | Protocol::Grpc => Some("h2"),
        Protocol::Http => Some("http/1.1"),
        Protocol::Tcp => None,
    };
    if let Some(version) = version {
        tls["common_tls_context"]["alpn_protocols"] = json!([version]);
    }
    cluster.insert(
        "transport_socket".into(),
        json!({ "name": "envoy.transport_sockets.tls", "typed_config": tls }),
    );
}
