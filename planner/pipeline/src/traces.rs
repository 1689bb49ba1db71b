//! Simulated traces as an OpenTelemetry collector's file exporter writes them: OTLP JSON, one document a line, here one line a trace.
//!
//! What stands in for what: services are traced by themselves, so that a span of theirs begins when a worker takes a request up; requests that
//! a proxy refused before leave the caller's span alone. Databases, caches and brokers trace nothing: their callers name them. The gateway
//! is no service of the graph and has no span. Methods and routes are unknown and written as the conventions say for that (`_OTHER`).
//! Names follow OpenTelemetry's semantic conventions for HTTP, RPC and databases; status codes are those that an Envoy answers.
//!
//! Written by hand, since the crate that holds OTLP's messages (opentelemetry-proto) brings a protobuf runtime and an SDK for six small structs.

use std::collections::BTreeMap;

use foremesh_model::{Protocol, RegionPlan, ServiceName, Timestamp};
use foremesh_simulate::{Mesh, Outcome, TraceSample, TraceSide, TraceSpan};
use serde::Serialize;
use serde_json::{Value, json};

/// Simulated traces of a plan.
#[derive(Debug, Clone)]
pub struct SimulatedTraces {
    sample: TraceSample,
    services: Vec<TracedService>,
    /// Nanoseconds since 1970 at which the run, its warm-up included, begins.
    starts_ns: i128,
}

#[derive(Debug, Clone)]
struct TracedService {
    name: ServiceName,
    protocol: Protocol,
    /// What keeps state and calls nobody: traced by its callers alone, under the word of its system.
    store: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    resource_spans: Vec<ResourceSpans<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    resource: Resource,
    scope_spans: [ScopeSpans<'a>; 1],
}

#[derive(Serialize)]
struct Resource {
    attributes: Vec<Value>,
}

#[derive(Serialize)]
struct ScopeSpans<'a> {
    scope: Scope,
    spans: Vec<Span<'a>>,
}

#[derive(Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Span<'a> {
    trace_id: &'a str,
    span_id: String,
    parent_span_id: String,
    name: String,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<Value>,
    status: Value,
}

impl SimulatedTraces {
    /// `begins`: the instant at which the measured time begins, `warm_up_s` seconds after the run.
    pub(crate) fn new(
        sample: TraceSample,
        plan: &RegionPlan,
        mesh: &Mesh,
        begins: Timestamp,
        warm_up_s: f64,
    ) -> Self {
        let entries: Vec<usize> = mesh
            .entries
            .iter()
            .filter_map(|entry| mesh.edges.get(entry.edge))
            .map(|edge| edge.callee)
            .collect();
        // The mesh holds the services of the graph in the graph's order.
        let services = plan
            .graph
            .services()
            .enumerate()
            .map(|(i, service)| {
                let calls = plan.graph.edges().any(|edge| edge.caller == service.name);
                let store = service.is_stateful() && !calls && !entries.contains(&i);
                TracedService {
                    name: service.name.clone(),
                    protocol: service.protocol,
                    store: store.then(|| {
                        let known = foremesh_observe::store_system(service.name.short());
                        // The conventions' word for what has none and speaks a protocol of its own.
                        known.unwrap_or_else(|| match service.protocol {
                            Protocol::Tcp => "other_sql".into(),
                            _ => service.name.short().into(),
                        })
                    }),
                }
            })
            .collect();
        Self {
            sample,
            services,
            starts_ns: begins.as_nanosecond() - i128::from((warm_up_s * 1e9) as u64),
        }
    }

    /// How many traces there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sample.traces.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sample.traces.is_empty()
    }

    /// Traces that are left out because some of their work was not over when the run ended.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.sample.unfinished
    }

    /// The traces as OTLP JSON, one document a line.
    #[must_use]
    pub fn otlp_lines(&self) -> String {
        let mut text = String::new();
        for trace in &self.sample.traces {
            let id = format!("{:032x}", trace.id);
            let mut groups: BTreeMap<(usize, u32), Vec<Span<'_>>> = BTreeMap::new();
            for span in &trace.spans {
                let of_store = self.store(Some(span.service)).is_some();
                if !of_store {
                    let group = groups.entry((span.service, span.instance)).or_default();
                    group.extend(self.span(&id, span));
                }
            }
            let document = Document {
                resource_spans: groups
                    .into_iter()
                    .filter_map(|((service, instance), spans)| {
                        Some(ResourceSpans {
                            resource: resource(&self.services.get(service)?.name, instance),
                            scope_spans: [ScopeSpans {
                                scope: Scope {
                                    name: "foremesh.simulate",
                                    version: crate::VERSION,
                                },
                                spans,
                            }],
                        })
                    })
                    .collect(),
            };
            text += &serde_json::to_string(&document).unwrap_or_default();
            text.push('\n');
        }
        text
    }

    fn store(&self, service: Option<usize>) -> Option<&str> {
        self.services.get(service?)?.store.as_deref()
    }

    fn span<'a>(&self, trace: &'a str, span: &TraceSpan) -> Option<Span<'a>> {
        let client = span.side == TraceSide::Client;
        let called = self
            .services
            .get(if client { span.peer? } else { span.service })?;
        let failed = span.outcome.filter(|outcome| *outcome != Outcome::Ok);
        let mut attributes = Vec::new();
        if client {
            attributes.push(text("server.address", &host(&called.name)));
        }
        let name = match (&called.store, called.protocol) {
            (Some(system), _) => {
                attributes.push(text("db.system.name", system));
                system.clone()
            }
            (None, Protocol::Grpc) => {
                attributes.push(text("rpc.system", "grpc"));
                attributes.push(text("rpc.service", called.name.short()));
                attributes.push(whole("rpc.grpc.status_code", grpc_code(span.outcome)));
                called.name.short().to_owned()
            }
            (None, Protocol::Tcp) => {
                attributes.push(text("network.transport", "tcp"));
                "TCP".to_owned()
            }
            (None, Protocol::Http | Protocol::Http2) => {
                let version = match called.protocol {
                    Protocol::Http2 => "2",
                    _ => "1.1",
                };
                attributes.push(text("http.request.method", "_OTHER"));
                attributes.push(text("network.protocol.version", version));
                attributes.extend(
                    span.outcome
                        .and_then(|outcome| http_code(outcome, span.side))
                        .map(|code| whole("http.response.status_code", code)),
                );
                if client && span.attempt > 0 {
                    attributes.push(whole("http.request.resend_count", span.attempt));
                }
                "HTTP".to_owned()
            }
        };
        if let Some(outcome) = failed {
            attributes.push(text("error.type", outcome.word()));
        }
        Some(Span {
            trace_id: trace,
            span_id: format!("{:016x}", span.id),
            parent_span_id: span
                .parent
                .map_or_else(String::new, |parent| format!("{parent:016x}")),
            name,
            kind: if client { 3 } else { 2 },
            start_time_unix_nano: self.instant(span.starts_ns),
            end_time_unix_nano: self.instant(span.ends_ns),
            attributes,
            status: if failed.is_some() {
                json!({ "code": 2 })
            } else {
                json!({})
            },
        })
    }

    fn instant(&self, ns: u64) -> String {
        (self.starts_ns + i128::from(ns)).to_string()
    }
}

fn resource(service: &ServiceName, instance: u32) -> Resource {
    let mut attributes = vec![text("service.name", service.short())];
    if let Some(namespace) = service.namespace() {
        attributes.push(text("service.namespace", namespace));
        attributes.push(text("k8s.namespace.name", namespace));
    }
    let instance = format!("{}-{instance}", service.short());
    attributes.push(text("service.instance.id", &instance));
    Resource { attributes }
}

/// The name by which a service is called inside a cluster.
fn host(service: &ServiceName) -> String {
    match service.namespace() {
        Some(namespace) => format!("{}.{namespace}.svc.cluster.local", service.short()),
        None => service.short().to_owned(),
    }
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// OTLP's JSON writes 64-bit integers as text.
fn whole(key: &str, value: u32) -> Value {
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}

/// The status that a client is answered; none where nothing answered. A service sees only what it answered itself.
fn http_code(outcome: Outcome, side: TraceSide) -> Option<u32> {
    match outcome {
        Outcome::Ok => Some(200),
        Outcome::Error => Some(500),
        Outcome::RateLimited => Some(429),
        Outcome::Timeout | Outcome::AttemptTimeout => Some(504),
        // An instance that breaks off has answered nothing; the caller's proxy says 503 in its place.
        Outcome::Connection if side == TraceSide::Server => None,
        Outcome::Connection | Outcome::Overflow | Outcome::Refused | Outcome::NoInstance => {
            Some(503)
        }
        Outcome::Unanswered => None,
    }
}

/// gRPC's status codes, as Envoy maps what its proxies decide: 4 deadline exceeded, 13 internal, 14 unavailable; 1 (cancelled) for work
/// that was dropped because nobody waited any more.
fn grpc_code(outcome: Option<Outcome>) -> u32 {
    match outcome {
        None => 1,
        Some(Outcome::Ok) => 0,
        Some(Outcome::Error) => 13,
        Some(Outcome::Timeout | Outcome::AttemptTimeout) => 4,
        Some(
            Outcome::RateLimited
            | Outcome::Connection
            | Outcome::Overflow
            | Outcome::Refused
            | Outcome::NoInstance
            | Outcome::Unanswered,
        ) => 14,
    }
}
