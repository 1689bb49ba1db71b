//! One service and one edge of the graph, and who said so.

use serde::{Deserialize, Serialize};

use crate::{Capacity, Criticality, Protocol, ServiceName};

/// Where a fact about the graph comes from, the surest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// A Kubernetes manifest: an environment variable that names another service, say.
    Manifest,
    /// Traces: spans whose parent belongs to another service.
    Traces,
    /// Metrics with a source and a destination label.
    Metrics,
    /// The service catalogue or a graph file: a person said so.
    Catalogue,
}

/// Who said that a service or an edge exists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The kind of source.
    pub source: SourceKind,
    /// The file or address, with what in it.
    pub detail: String,
    /// How sure this source is, 0 … 1.
    pub confidence: f64,
}

/// What was measured of all requests that a service answers, whoever made them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceMeasures {
    /// Median latency in milliseconds, as the service's own side sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_p50_ms: Option<f64>,
    /// 99th percentile of that latency in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_p99_ms: Option<f64>,
    /// Share of requests that fail, 0 … 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_rate: Option<f64>,
}

impl ServiceMeasures {
    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// These measures, with `other` filling what is unknown here. The latencies are taken from one of the two: percentiles of different
    /// sources may contradict each other.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let own = self.latency_p50_ms.is_some() || self.latency_p99_ms.is_some();
        let latency = if own { self } else { other };
        Self {
            latency_p50_ms: latency.latency_p50_ms,
            latency_p99_ms: latency.latency_p99_ms,
            error_rate: self.error_rate.or(other.error_rate),
        }
    }

    pub(super) fn fault(&self) -> Option<(&'static str, f64)> {
        [
            ("latency_p50_ms", self.latency_p50_ms),
            ("latency_p99_ms", self.latency_p99_ms),
            ("error_rate", self.error_rate),
        ]
        .into_iter()
        .find_map(|(field, value)| {
            let most = if field == "error_rate" { 1.0 } else { f64::MAX };
            value
                .filter(|v| !(0.0..=most).contains(v))
                .map(|v| (field, v))
        })
    }
}

/// A service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its name.
    pub name: ServiceName,
    /// What it speaks.
    #[serde(default)]
    pub protocol: Protocol,
    /// The port it listens on, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// How much it matters when something must give.
    #[serde(default)]
    pub criticality: Criticality,
    /// What one instance can do and costs.
    #[serde(default)]
    pub capacity: Capacity,
    /// Whether it keeps state (a database, a cache, a broker) and is left as it is; null: it does when it speaks opaque TCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stateful: Option<bool>,
    /// Instances that run as manifests or the catalogue say, where no autoscaler moves them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<u32>,
    /// Whether requests enter the mesh here; null: it does when demand is known for it, or when no other service calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<bool>,
    /// What was measured of its requests as a whole; what was measured of a single call stands with the edge and is surer.
    #[serde(default, skip_serializing_if = "ServiceMeasures::is_empty")]
    pub measured: ServiceMeasures,
    /// Who said that it exists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provenance: Vec<Provenance>,
}

impl Service {
    /// A service of which only the name is known.
    pub fn named(name: ServiceName) -> Self {
        Self {
            name,
            protocol: Protocol::default(),
            port: None,
            criticality: Criticality::default(),
            capacity: Capacity::default(),
            stateful: None,
            instances: None,
            entry: None,
            measured: ServiceMeasures::default(),
            provenance: Vec::new(),
        }
    }

    /// Whether it keeps state: as somebody says, else whether it speaks opaque TCP. What speaks TCP is nearly always a database, a
    /// cache or a broker, and one that is taken for stateless is scaled and ejected into an outage.
    pub fn is_stateful(&self) -> bool {
        self.stateful.unwrap_or(self.protocol == Protocol::Tcp)
    }
}

/// One service calling another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edge {
    /// The service that calls.
    pub caller: ServiceName,
    /// The service that is called.
    pub callee: ServiceName,
    /// Calls for each request that reaches the caller; null: one is assumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fan_out: Option<f64>,
    /// Observed calls a second, all regions together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_rps: Option<f64>,
    /// Observed median latency of a call in milliseconds, as the caller sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_p50_ms: Option<f64>,
    /// Observed 99th percentile of that latency in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_p99_ms: Option<f64>,
    /// Observed share of calls that fail, 0 … 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_rate: Option<f64>,
    /// Mean bytes of a call's answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_bytes: Option<f64>,
    /// Whether the caller waits for this call before it makes the next (true) or makes it beside others (false); null: waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequential: Option<bool>,
    /// Who said that it exists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provenance: Vec<Provenance>,
}

impl Edge {
    /// An edge of which only its ends are known.
    pub fn between(caller: ServiceName, callee: ServiceName) -> Self {
        Self {
            caller,
            callee,
            fan_out: None,
            rate_rps: None,
            latency_p50_ms: None,
            latency_p99_ms: None,
            error_rate: None,
            response_bytes: None,
            sequential: None,
            provenance: Vec::new(),
        }
    }

    /// Calls for each request that reaches the caller; 1 where unknown.
    pub fn fan_out(&self) -> f64 {
        self.fan_out.unwrap_or(1.0)
    }

    /// Index of dispersion (variance ÷ mean) that calls made at once by one request have where requests come by chance: the mean square of their
    /// number ÷ its mean. 1 where the caller waits for each.
    #[must_use]
    pub fn at_once(&self) -> f64 {
        let calls = self.fan_out();
        if self.sequential.unwrap_or(true) || calls <= 1.0 {
            return 1.0;
        }
        // Each request makes the whole number, some one more.
        let (whole, more) = (calls.floor(), calls.fract());
        (whole.powi(2) * (1.0 - more) + (whole + 1.0).powi(2) * more) / calls
    }

    pub(super) fn fault(&self) -> Option<(&'static str, f64)> {
        [
            ("fan_out", self.fan_out),
            ("rate_rps", self.rate_rps),
            ("latency_p50_ms", self.latency_p50_ms),
            ("latency_p99_ms", self.latency_p99_ms),
            ("error_rate", self.error_rate),
            ("response_bytes", self.response_bytes),
        ]
        .into_iter()
        .find_map(|(field, value)| {
            value
                .filter(|v| !(v.is_finite() && *v >= 0.0))
                .map(|v| (field, v))
        })
    }
}
