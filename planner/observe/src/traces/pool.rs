//! Spans of all files, interned: what every format is read into.

use std::collections::{BTreeMap, HashMap};

use foremesh_model::{Protocol, ServiceName, Timestamp};

use crate::{
    graph::facts::foreign_name,
    stores::{self, Store},
};

/// What a span did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum SpanKind {
    Server,
    Client,
    Producer,
    Consumer,
    Internal,
    /// The tracer does not say.
    #[default]
    Unknown,
}

impl SpanKind {
    /// From the words of Zipkin, Jaeger and OTLP, or OTLP's numbers.
    pub(super) fn of(text: &str) -> Self {
        let word = text.strip_prefix("SPAN_KIND_").unwrap_or(text);
        match word.to_ascii_lowercase().as_str() {
            "server" | "2" => Self::Server,
            "client" | "3" => Self::Client,
            "producer" | "4" => Self::Producer,
            "consumer" | "5" => Self::Consumer,
            "internal" | "1" => Self::Internal,
            _ => Self::Unknown,
        }
    }

    pub(super) fn calls_out(self) -> bool {
        matches!(self, Self::Client | Self::Producer)
    }

    pub(super) fn is_called(self) -> bool {
        matches!(self, Self::Server | Self::Consumer)
    }
}

/// A span as a format gives it.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawSpan<'a> {
    pub trace: &'a str,
    pub id: &'a str,
    pub parent: Option<&'a str>,
    /// Spans that it follows without being their child (a consumer of messages), as (trace, id).
    pub link: Option<(&'a str, &'a str)>,
    pub namespace: Option<&'a str>,
    pub service: Option<&'a str>,
    pub kind: SpanKind,
    /// Zipkin: this is the server's half of a span whose identifier it shares with the client's half.
    pub shared: bool,
    pub start_ns: Option<i64>,
    pub duration_ns: Option<i64>,
    pub error: bool,
    /// The other side, where the span names it.
    pub peer: Option<(Option<&'a str>, &'a str)>,
    pub protocol: Option<Protocol>,
    /// The database or broker that the other side is, by its system's word.
    pub store: Option<&'a str>,
    pub response_bytes: Option<f64>,
}

/// A span, interned.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub trace: u32,
    pub id: u32,
    pub parent: Option<u32>,
    pub link: Option<(u32, u32)>,
    pub service: Option<u32>,
    pub peer: Option<u32>,
    pub file: u32,
    pub kind: SpanKind,
    pub shared: bool,
    pub error: bool,
    pub protocol: Option<Protocol>,
    pub start_ns: Option<i64>,
    pub duration_ns: Option<i64>,
    pub response_bytes: Option<f64>,
}

/// Text by number.
#[derive(Debug, Default)]
struct Interner {
    index: HashMap<Box<str>, u32>,
}

impl Interner {
    fn intern(&mut self, text: &str) -> u32 {
        if let Some(known) = self.index.get(text) {
            return *known;
        }
        let number = u32::try_from(self.index.len()).unwrap_or(u32::MAX);
        self.index.insert(text.into(), number);
        number
    }
}

/// Spans of all files.
#[derive(Debug, Default)]
pub(crate) struct Spans {
    as_of_ns: Option<i64>,
    pub(super) spans: Vec<Span>,
    pub(super) files: Vec<String>,
    pub(super) services: Vec<ServiceName>,
    service_index: HashMap<ServiceName, u32>,
    ids: Interner,
    /// What keeps state, by service, as those who call it say.
    pub(super) stores: BTreeMap<u32, Store>,
    /// Spans that name no service.
    pub(super) without_service: usize,
}

impl Spans {
    /// Spans that had ended by `as_of`.
    pub(crate) fn new(as_of: Option<Timestamp>) -> Self {
        Self {
            as_of_ns: as_of.map(|at| i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX)),
            ..Self::default()
        }
    }

    /// Begins a file; the spans that follow are from it.
    pub(super) fn begin_file(&mut self, file: &str) {
        self.files.push(file.into());
    }

    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    fn service(&mut self, namespace: Option<&str>, name: &str) -> Option<u32> {
        let name = foreign_name(namespace, name)?;
        if let Some(known) = self.service_index.get(&name) {
            return Some(*known);
        }
        let number = u32::try_from(self.services.len()).ok()?;
        self.services.push(name.clone());
        self.service_index.insert(name, number);
        Some(number)
    }

    /// Adds a span, unless it had not ended by `as_of`.
    pub(super) fn push(&mut self, raw: &RawSpan<'_>) {
        let duration_ns = raw.duration_ns.filter(|d| *d >= 0);
        if let (Some(as_of), Some(start)) = (self.as_of_ns, raw.start_ns)
            && (start >= as_of || start.saturating_add(duration_ns.unwrap_or(0)) > as_of)
        {
            return;
        }
        if raw.id.is_empty() {
            return;
        }
        let service = raw
            .service
            .and_then(|name| self.service(raw.namespace, name));
        if service.is_none() {
            self.without_service += 1;
        }
        let peer = raw
            .peer
            .and_then(|(namespace, name)| self.service(namespace, name));
        if let (Some(peer), Some(system)) = (peer, raw.store)
            && raw.kind != SpanKind::Server
            && service != Some(peer)
        {
            self.stores
                .entry(peer)
                .or_insert_with(|| stores::by_system(system));
        }
        // Tracers pad identifiers with zeros or not; a root is written as an empty or zero parent.
        let bare = |id: &'_ str| -> String { id.trim_start_matches('0').to_ascii_lowercase() };
        let trace = self.ids.intern(&bare(raw.trace));
        let id = self.ids.intern(&bare(raw.id));
        let parent = raw
            .parent
            .map(bare)
            .filter(|parent| !parent.is_empty())
            .map(|parent| self.ids.intern(&parent));
        let link = raw
            .link
            .map(|(trace, id)| (self.ids.intern(&bare(trace)), self.ids.intern(&bare(id))));
        self.spans.push(Span {
            trace,
            id,
            parent: parent.filter(|parent| *parent != id || raw.shared),
            link,
            service,
            peer,
            file: u32::try_from(self.files.len().saturating_sub(1)).unwrap_or(u32::MAX),
            kind: raw.kind,
            shared: raw.shared,
            error: raw.error,
            protocol: raw.protocol,
            start_ns: raw.start_ns,
            duration_ns,
            response_bytes: raw.response_bytes.filter(|b| (0.0..1e18).contains(b)),
        });
    }
}

/// What the tags of a span say, whatever the format.
pub(super) struct Tags<'a, F: Fn(&str) -> Option<&'a str>>(pub F);

impl<'a, F: Fn(&str) -> Option<&'a str>> Tags<'a, F> {
    fn first(&self, keys: &[&str]) -> Option<&'a str> {
        keys.iter()
            .find_map(|key| (self.0)(key))
            .filter(|text| !text.is_empty())
    }

    /// Whether the request failed: its own mark, HTTP 5xx, or a gRPC status that is the server's fault.
    pub(super) fn error(&self) -> bool {
        if let Some(mark) = self.first(&["error"]) {
            return !mark.eq_ignore_ascii_case("false");
        }
        if self
            .first(&["otel.status_code"])
            .is_some_and(|code| code.eq_ignore_ascii_case("error"))
        {
            return true;
        }
        let number = |keys: &[&str]| self.first(keys).and_then(|text| text.parse::<u32>().ok());
        number(&["http.status_code", "http.response.status_code"]).is_some_and(|code| code >= 500)
            || number(&["rpc.grpc.status_code", "grpc.status_code"])
                .is_some_and(|code| matches!(code, 2 | 4 | 8 | 12..=15))
    }

    pub(super) fn protocol(&self) -> Option<Protocol> {
        if self
            .first(&["rpc.system", "rpc.system.name"])
            .is_some_and(|s| s.contains("grpc"))
            || self
                .first(&["rpc.grpc.status_code", "grpc.status_code", "grpc.path"])
                .is_some()
        {
            return Some(Protocol::Grpc);
        }
        if self
            .first(&["db.system", "db.system.name", "messaging.system"])
            .is_some()
        {
            return Some(Protocol::Tcp);
        }
        match self.first(&["http.flavor", "network.protocol.version"]) {
            Some("2" | "2.0") => return Some(Protocol::Http2),
            Some(_) => return Some(Protocol::Http),
            None => {}
        }
        self.first(&[
            "http.method",
            "http.request.method",
            "http.url",
            "http.status_code",
        ])
        .map(|_| Protocol::Http)
    }

    /// The database or broker that is called, by its system's word.
    pub(super) fn store(&self) -> Option<&'a str> {
        self.first(&["db.system.name", "db.system", "messaging.system"])
    }

    pub(super) fn response_bytes(&self) -> Option<f64> {
        self.first(&[
            "http.response.body.size",
            "http.response_content_length",
            "http.response.size",
            "response_size",
        ])?
        .parse()
        .ok()
    }

    /// The service of the mesh itself, where its proxies wrote the span: (namespace, name).
    pub(super) fn mesh_service(&self) -> Option<(Option<&'a str>, &'a str)> {
        let name = self.first(&["istio.canonical_service"])?;
        Some((self.first(&["istio.namespace"]), name))
    }

    /// The other side of a call. Addresses outside the cluster and bare IP addresses are not services of the mesh.
    pub(super) fn peer(&self) -> Option<(Option<&'a str>, &'a str)> {
        if let Some(name) = self.first(&["peer.service"]) {
            return Some((None, name));
        }
        // Envoy: outbound|9080||reviews.default.svc.cluster.local
        if let Some(cluster) = self.first(&["upstream_cluster"])
            && let Some(host) = cluster
                .strip_prefix("outbound|")
                .and_then(|c| c.rsplit('|').next())
        {
            return cluster_host(host);
        }
        let host = self.first(&[
            "server.address",
            "net.peer.name",
            "messaging.destination.address",
        ])?;
        cluster_host(host)
    }
}

/// A host name inside the cluster as (namespace, service): `cart`, `cart.shop`, `cart.shop.svc`, `cart.shop.svc.cluster.local`.
pub(crate) fn cluster_host(host: &str) -> Option<(Option<&str>, &str)> {
    let host = host.split(':').next().unwrap_or(host).trim_end_matches('.');
    let numeric = host.parse::<std::net::IpAddr>().is_ok();
    if host.is_empty()
        || numeric
        || host.eq_ignore_ascii_case("localhost")
        || host.contains(['/', '*'])
    {
        return None;
    }
    let mut labels = host.split('.');
    let name = labels.next().filter(|l| !l.is_empty())?;
    match (labels.next(), labels.next()) {
        (None, _) => Some((None, name)),
        (Some(namespace), Some("svc")) => Some((Some(namespace), name)),
        _ => None,
    }
}
