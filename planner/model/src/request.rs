//! What a user asks for. The fields of the provider, of both data sources and of a request file are these, declared once.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Cost, Event, InferenceSettings, ProxyMode, RegionName, ServiceName, Slo, Timestamp};

/// Where telemetry, graph and catalogue come from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SourceRequest {
    /// History file, CSV or Parquet: `timestamp,region,service` and metric columns named with their units. Either this or `prometheus`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<String>,
    /// A Prometheus-compatible server to read the history from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Prometheus>,
    /// Files or folders with Kubernetes manifests, traces (Zipkin v2, OTLP or Jaeger JSON) or a graph file; all are merged.
    pub graph: Vec<String>,
    /// Where further events are listed, beside those of the request. All are read; of two with one name and start the request's own counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EventSource>,
    /// File with business metrics (planned users, spend), CSV or Parquet: `timestamp,region,service` and one column for each, at most eight. Rows later than
    /// `as_of` say what is planned. Where demand follows a metric, what the metric did is learned and what it will do is forecast.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub business_metrics: Option<String>,
    /// Catalogue file (YAML) with the capacity and cost of services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catalogue: Option<String>,
    /// Who computes learned models, and where. Default: inside the program, on the processor.
    #[serde(skip_serializing_if = "is_default")]
    pub inference: InferenceSettings,
}

fn is_default(settings: &InferenceSettings) -> bool {
    *settings == InferenceSettings::default()
}

/// A Prometheus-compatible server.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Prometheus {
    /// Its address, for example `https://prometheus.example:9090`.
    pub url: String,
    /// PromQL that answers requests a second by region and service. Default: Istio's `istio_requests_total`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Label that names the region. Default `region`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region_label: Option<String>,
    /// Label that names the service. Default `service`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_label: Option<String>,
    /// Days of history before `as_of` that are read. Default 28.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
    /// Seconds between samples. Default 300.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_s: Option<u32>,
    /// Bearer token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer_token: Option<String>,
    /// User name for basic authentication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Password for basic authentication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// PEM file of the authority that signed the server's certificate, where the system does not know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// Seconds that one query may take. Default 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u32>,
}

/// A list of events: JSON, each entry with the fields of an event.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventSource {
    /// A file, or an address such as `https://promotions.example/events.json`.
    pub source: String,
    /// Bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_token: Option<String>,
    /// User name for basic authentication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Password for basic authentication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// PEM file of the authority that signed the server's certificate, where the system does not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// Seconds that the request may take. Default 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u32>,
}

impl EventSource {
    /// A file or an address that asks for no name.
    pub fn of(source: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            bearer_token: None,
            username: None,
            password: None,
            ca_file: None,
            timeout_s: None,
        }
    }
}

fn hidden(secret: &Option<String>) -> Option<&'static str> {
    secret.as_ref().map(|_| "(hidden)")
}

fn without_user(address: &str) -> String {
    match address.split_once('@') {
        Some((_, host)) => format!("(hidden)@{host}"),
        None => address.into(),
    }
}

/// Without the secrets, as [`Prometheus`]. What follows a `?` may be one.
impl std::fmt::Debug for EventSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let source = without_user(&self.source);
        f.debug_struct("EventSource")
            .field("source", &source.split('?').next().unwrap_or_default())
            .field("bearer_token", &hidden(&self.bearer_token))
            .field("username", &hidden(&self.username))
            .field("password", &hidden(&self.password))
            .field("ca_file", &self.ca_file)
            .field("timeout_s", &self.timeout_s)
            .finish()
    }
}

/// Without the secrets: what is logged must not hold them. An address may hold user and password.
impl std::fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prometheus")
            .field("url", &without_user(&self.url))
            .field("query", &self.query)
            .field("region_label", &self.region_label)
            .field("service_label", &self.service_label)
            .field("days", &self.days)
            .field("step_s", &self.step_s)
            .field("bearer_token", &hidden(&self.bearer_token))
            .field("username", &hidden(&self.username))
            .field("password", &hidden(&self.password))
            .field("ca_file", &self.ca_file)
            .field("timeout_s", &self.timeout_s)
            .finish()
    }
}

/// What is asked of the forecast: the fields of the data source `foremesh_predictive_region`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegionRequest {
    /// The region to plan.
    pub region: RegionName,
    /// Its IANA time zone, for example `Europe/Paris`.
    pub timezone: String,
    /// The instant (RFC 3339) after which nothing may be known: no later row moves a byte of the plan.
    #[schemars(with = "String")]
    pub as_of: Timestamp,
    /// When the region takes its first request (RFC 3339); the plan starts at that hour. Not before `as_of`, at most 14 days after it.
    #[schemars(with = "String")]
    pub go_live: Timestamp,
    /// Hours from go-live that are planned, 1 … 336. Default 72.
    #[serde(default = "default_horizon_hours")]
    pub horizon_hours: u32,
    /// Regions to learn from while this one has no history of its own, each with this region's traffic as a share of theirs (0.25: a quarter).
    #[serde(default)]
    pub donors: BTreeMap<RegionName, f64>,
    /// Time zones of donors where they differ from this region's, by region.
    #[serde(default)]
    pub donor_timezones: BTreeMap<RegionName, String>,
    /// Public holidays of the region: iCalendar files (.ics) or addresses of such. Each whole day in them is a day off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holidays: Vec<String>,
    /// Public holidays of donors where they differ from this region's, by region; an empty list: a donor without any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub donor_holidays: BTreeMap<RegionName, Vec<String>>,
    /// How far off the donors' shares may be, as the standard deviation of their logarithm: 0.1 says that two times in three they are
    /// within 10%. Default: what regions show among each other, and 0.3 where nothing shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_uncertainty: Option<f64>,
    /// What will move demand, and what moved it in the past.
    #[serde(default)]
    pub events: Vec<Event>,
    /// Seed of everything that is drawn. Default 1.
    #[serde(default = "default_seed")]
    pub seed: u64,
}

fn default_horizon_hours() -> u32 {
    72
}

fn default_seed() -> u64 {
    1
}

/// Who computes the settings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PolicyKind {
    /// The best that this version has: today the analytic policy.
    #[default]
    Auto,
    /// Queueing theory alone.
    Analytic,
    /// The cheapest instances that a search finds to keep the objectives, tried in simulation.
    Search,
    /// What a graph neural network says at one look, made safe on minutes of the forecast; needs `scaling = "target_tracking"`.
    Gnn,
}

/// What sets the number of instances.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScalingKind {
    /// A schedule alone: instances by hour, for the demand that may come.
    #[default]
    Scheduled,
    /// A schedule for the demand that is likely, and an autoscaler that keeps what each instance is given at a target beyond it.
    TargetTracking,
}

impl ScalingKind {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What is asked of the settings: the fields of the data source `foremesh_mesh_profile` beside `region` and `demand`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProfileRequest {
    /// The objective of every entry service that `slos` does not name. Default: 99% within 500 ms, 99.9% available.
    pub slo: Slo,
    /// Objectives of single entry services, by name.
    pub slos: BTreeMap<ServiceName, Slo>,
    /// What things cost.
    pub cost: Cost,
    /// Who computes the settings. Default `auto`.
    pub policy: PolicyKind,
    /// What sets the number of instances: a schedule alone (`scheduled`), or a schedule and an autoscaler beyond it, planned together
    /// (`target_tracking`). Default `scheduled`.
    #[serde(skip_serializing_if = "ScalingKind::is_default")]
    pub scaling: ScalingKind,
    /// Windows of time that `search` and `gnn` may simulate, each of at most 100000 requests or, beyond 50000 requests a second, of two seconds. Default
    /// 12; 0: they rely on formulas alone, as they do where a window would be of more than ten million visits of services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search_windows: Option<u32>,
    /// Faults under which the plan is simulated, those first that would hurt this region most. Default 4 with `search` and `gnn`, else 0. None is where a
    /// window would be of more than ten million visits of services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prove_faults: Option<u32>,
    /// Zones of the region, as `region/zone`, with their share of its instances in percent; empty: zones are not known.
    pub localities: BTreeMap<String, u32>,
    /// Regions that take over when this one fails, in order.
    pub failover: Vec<RegionName>,
    /// Percent of the traffic let in at each stage after go-live. Default 10, 50, 100.
    pub ramp_percent: Vec<u32>,
    /// Minutes between the stages. Default 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ramp_stage_minutes: Option<u32>,
    /// Proxies of the ingress gateway through which requests enter, fewest of the day. Default 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_proxies: Option<u32>,
    /// Where traffic is handled. Default `sidecar`.
    pub proxy_mode: ProxyMode,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_logged() {
        let prometheus = Prometheus {
            url: "https://reader:hush@prometheus.example".into(),
            bearer_token: Some("hush".into()),
            username: Some("hush".into()),
            password: Some("hush".into()),
            ..Prometheus::default()
        };
        let logged = format!("{prometheus:?}");
        assert!(!logged.contains("hush") && logged.contains("prometheus.example"));
        let events = EventSource {
            source: "https://reader:hush@events.example/list?key=hush".into(),
            bearer_token: Some("hush".into()),
            username: Some("hush".into()),
            password: Some("hush".into()),
            ..EventSource::default()
        };
        let logged = format!("{events:?}");
        assert!(!logged.contains("hush") && logged.contains("events.example/list"));
    }
}
