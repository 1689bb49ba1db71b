//! The settings of a mesh: what is rendered, proposed to Terraform and adopted. Plain values with units; why each is what it is
//! stands beside them in [`crate::RegionPlan::reasons`], by the same path.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::packed::{self, PackedError};
use crate::{Criticality, EdgeName, Protocol, RegionName, Schedule, ServiceName, Slo, Timestamp};

/// The version of the settings' shape; old states are upgraded by it.
pub const SETTINGS_FORMAT_VERSION: u32 = 1;

/// Everything that is set in the mesh of one region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Settings {
    /// Version of this shape.
    pub format_version: u32,
    /// The region.
    pub region: RegionName,
    /// Its IANA time zone.
    pub timezone: String,
    /// When the first hour of every schedule begins (RFC 3339).
    #[schemars(with = "String")]
    pub starts: Timestamp,
    /// Hours that the schedules cover.
    pub horizon_hours: u32,
    /// By `namespace/name`.
    pub services: BTreeMap<ServiceName, ServiceSettings>,
    /// By `caller->callee`.
    pub edges: BTreeMap<EdgeName, EdgeSettings>,
    /// Services that keep state (databases, caches, brokers), by name: they are not scaled, ejected from, limited or tried again.
    #[serde(default)]
    pub stateful_services: BTreeMap<ServiceName, StatefulSettings>,
    /// Connections to services that keep state, by `caller->callee`.
    #[serde(default)]
    pub connections: BTreeMap<EdgeName, ConnectionSettings>,
    /// The services where requests enter, by name.
    pub entries: BTreeMap<ServiceName, EntrySettings>,
    /// The steps by which the region's traffic is let in.
    pub ramp: Vec<RampStage>,
}

/// What is set at one service, on the side that is called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceSettings {
    /// What it speaks.
    pub protocol: Protocol,
    /// The port it listens on.
    pub port: u16,
    /// How much it matters when something must give.
    pub criticality: Criticality,
    /// Instances by hour, the autoscaler follows them; standby instances not included.
    pub instances: Schedule,
    /// Warm instances kept beside them, so that a burst or a lost instance finds capacity before a new one has started.
    pub standby_instances: u32,
    /// What an autoscaler does beyond the schedule. Left out (null in Terraform): nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,
    /// What one instance admits.
    pub rate_limit: RateLimit,
    /// Requests that one instance works on at once before its proxy queues.
    pub max_concurrent_requests: u32,
    /// Requests that the proxy of one instance queues before it refuses.
    pub max_pending_requests: u32,
    /// When an instance is taken out of rotation.
    pub outlier_ejection: OutlierEjection,
    /// How callers choose an instance.
    pub load_balancing: LoadBalancing,
    /// How a new instance is given its share.
    pub warm_up: WarmUp,
    /// Connections that a caller's proxy opens ahead, for each one in use, 1 … 3; 1 opens none ahead.
    pub preconnect_ratio: f64,
    /// Where its traffic is handled.
    pub proxy_mode: ProxyMode,
    /// What the plan must never fall below; holds that would are released. A proposal says it; what is adopted does without
    /// ([`Settings::without_needs`]), and so does Terraform.
    #[serde(default, skip_serializing_if = "ServiceNeeds::is_none")]
    #[schemars(skip)]
    pub needs: ServiceNeeds,
}

/// A service that keeps state. Its instances are not alike (one may be the primary, each may hold a part of the data), so nothing
/// adds, removes or ejects one; what is known of it is what its callers' proxies need to reach it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatefulSettings {
    /// What it speaks.
    pub protocol: Protocol,
    /// The port it listens on.
    pub port: u16,
    /// How much it matters when something must give.
    pub criticality: Criticality,
    /// Instances that run, as manifests or the catalogue say; nothing here changes them. Left out (null in Terraform) where nobody says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<u32>,
    /// Connections that all instances together accept, as the catalogue says. Left out (null in Terraform) where it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// Where its traffic is handled.
    pub proxy_mode: ProxyMode,
}

/// Connections of a caller to a service that keeps state. How long a query may take and whether it is sent again is the client's
/// business: the mesh does not know what a repeated or a cut one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionSettings {
    /// Milliseconds that opening a connection may take.
    pub connect_timeout_ms: u32,
    /// Seconds after which a connection on which nothing was sent is closed.
    pub idle_timeout_s: u32,
    /// Connections that one proxy of the caller may hold open. Left out (null in Terraform) where the catalogue does not say how many
    /// the service accepts: nothing is limited then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// Most proxies of the caller in any hour: all of them together may hold this many times the limit open.
    pub most_caller_proxies: u32,
}

/// What an autoscaler does beyond the schedule: as many instances as keep what each is given at a target (target tracking), never fewer than
/// the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Autoscaling {
    /// Requests a second that one instance is given at most before more are asked for.
    pub requests_per_second: f64,
    /// The same as busy share of an instance's workers, 0 … 1: what a processor target stands for.
    pub utilisation: f64,
    /// Most instances that it may ask for, standby instances not included.
    pub most_instances: u32,
}

/// What one instance admits: a token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RateLimit {
    /// Requests a second that refill the bucket.
    pub requests_per_second: f64,
    /// Requests that the full bucket holds.
    pub burst: u32,
}

/// When an instance is taken out of rotation, and how many may be at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutlierEjection {
    /// Errors in a row (5xx, resets, timeouts) that eject an instance.
    pub consecutive_errors: u32,
    /// Seconds between sweeps.
    pub interval_s: u32,
    /// Seconds of the first ejection; each further one lasts longer by as much.
    pub base_ejection_s: u32,
    /// Most instances out at once, in percent; never 100.
    pub max_ejection_percent: u32,
    /// Percent of instances that must be healthy for ejection to act at all.
    pub min_health_percent: u32,
}

/// How callers choose an instance.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum LoadBalancing {
    /// The fewer requests in flight of two drawn at random.
    LeastRequest,
    /// In turn.
    RoundRobin,
    /// At random.
    Random,
    /// By a hash of the caller's key on a ring.
    RingHash,
    /// By a hash of the caller's key in Maglev's table.
    Maglev,
}

/// How a new instance is given its share.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WarmUp {
    /// Seconds until an instance has its full share.
    pub duration_s: u32,
    /// Percent of its share at the start.
    pub minimum_percent: u32,
    /// Exponent of the climb: 1 linear, more: later.
    pub aggression: f64,
}

/// Where a service's traffic is handled.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ProxyMode {
    /// A proxy beside each instance.
    #[default]
    Sidecar,
    /// A shared layer-7 proxy.
    Waypoint,
    /// No proxy: nothing of layer 7 is set.
    None,
}

/// What the plan must never fall below, whatever an earlier adoption holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceNeeds {
    /// Requests a second of the whole service at the 0.99 quantile of its highest hour, peak within the hour included.
    pub demand_rps: f64,
    /// Requests in flight at one instance at that demand.
    pub concurrent_requests: u32,
    /// The fewest instances by hour that keep the objective.
    pub instances: Schedule,
}

/// What is set at one edge, on the side that calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EdgeSettings {
    /// Milliseconds for a call with all of its attempts.
    pub timeout_ms: u32,
    /// Milliseconds for one attempt.
    pub per_try_timeout_ms: u32,
    /// Which failures are tried again, and how often. Where nothing is tried again it may be left out (null in Terraform).
    #[serde(default)]
    pub retries: Retries,
    /// What one proxy of the caller holds open towards the callee.
    pub caller_limits: CallerLimits,
}

/// Which failures are tried again, and how often. The default: none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Retries {
    /// Attempts after the first; 0: none.
    pub attempts: u32,
    /// Conditions in Envoy's words, for example `connect-failure`.
    pub retry_on: Vec<String>,
    /// Retries in flight at one caller proxy as percent of its requests in flight.
    pub budget_percent: f64,
    /// Retries in flight that are always allowed.
    pub budget_min_concurrent: u32,
    /// Milliseconds before the first retry; the wait grows and is drawn at random up to ten times this.
    pub base_backoff_ms: u32,
}

/// What one proxy of the caller holds open towards the callee. Limits act in each proxy alone, so they are derived from
/// the fewest callers among which the demand may be spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallerLimits {
    /// Connections (HTTP/1.1 and TCP: one for each request in flight).
    pub max_connections: u32,
    /// Requests waiting for a connection.
    pub max_pending_requests: u32,
    /// Requests in flight.
    pub max_concurrent_requests: u32,
    /// Requests in flight that the limits must pass whatever an earlier adoption holds: the 0.999 quantile at one proxy. A
    /// proposal says it; what is adopted does without.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(skip)]
    pub needed_concurrent_requests: u32,
    /// Retries in flight.
    pub max_concurrent_retries: u32,
    /// Fewest proxies of the caller in any hour, from which the limits follow.
    pub fewest_caller_proxies: u32,
    /// Most proxies of the caller in any hour: all of them together may hold this many times the limits open.
    pub most_caller_proxies: u32,
}

/// What is set where requests enter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EntrySettings {
    /// The objective.
    pub slo: Slo,
    /// Milliseconds for a whole request.
    pub timeout_ms: u32,
    /// What one proxy of the ingress gateway holds open towards the entry; its proxies are the callers here.
    pub gateway_limits: CallerLimits,
    /// Which share of the traffic goes where; the percents sum to 100. Empty: localities are not known and nothing is set.
    pub localities: Vec<LocalityWeight>,
    /// Where traffic goes when this region fails, in order.
    pub failover: Vec<RegionName>,
}

/// A share of the traffic for one locality.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LocalityWeight {
    /// `region/zone`.
    pub locality: String,
    /// Percent of the entry's traffic.
    pub percent: u32,
}

/// A step of the go-live ramp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RampStage {
    /// Counted from 1.
    pub stage: u32,
    /// Percent of the region's traffic that is let in.
    pub percent: u32,
    /// Minutes after go-live.
    pub starts_minute: u32,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl ServiceNeeds {
    /// Whether nothing is said of what is needed.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// The instances of which each is given at most `instance_rps` of the requests a second that were seen, at most `most`.
pub fn asked(seen_rps: f64, instance_rps: f64, most: u32) -> u32 {
    let asked = (seen_rps / instance_rps.max(1e-9) - 1e-9).ceil();
    (asked.clamp(0.0, 1e9) as u32).min(most)
}

/// How much more or less than a target Kubernetes' autoscaler lets pass before it acts.
const TOLERANCE: f64 = 0.1;

impl Autoscaling {
    /// The requests a second at which Kubernetes' autoscaler is to aim, so that it asks for more at those that are set: it lets a tenth more pass.
    pub fn target_requests_per_second(&self) -> f64 {
        self.requests_per_second / (1.0 + TOLERANCE)
    }

    /// The busy share at which it is to aim.
    pub fn target_utilisation(&self) -> f64 {
        self.utilisation / (1.0 + TOLERANCE)
    }

    /// The instances that are asked for where so many requests a second were seen.
    pub fn asks(&self, seen_rps: f64) -> u32 {
        asked(seen_rps, self.requests_per_second, self.most_instances)
    }
}

impl ServiceSettings {
    /// The fewest instances of the schedule in any hour, standby included; at least one.
    pub fn fewest_instances(&self) -> u32 {
        self.with_standby(self.instances.fewest())
    }

    /// The most instances of the schedule in any hour, standby included; at least one.
    pub fn most_scheduled_instances(&self) -> u32 {
        self.with_standby(self.instances.most())
    }

    /// The most instances of the schedule or, where that may be more, of the autoscaler; standby included; at least one.
    pub fn most_instances(&self) -> u32 {
        let scaled = self.autoscaling.map_or(0, |scaled| scaled.most_instances);
        self.with_standby(self.instances.most().max(scaled))
    }

    fn with_standby(&self, instances: u32) -> u32 {
        instances.saturating_add(self.standby_instances).max(1)
    }
}

impl Settings {
    /// The settings alone, as they are adopted and rendered: needs belong to a proposal, against which holds are measured.
    #[must_use]
    pub fn without_needs(mut self) -> Self {
        for service in self.services.values_mut() {
            service.needs = ServiceNeeds::default();
        }
        for edge in self.edges.values_mut() {
            edge.caller_limits.needed_concurrent_requests = 0;
        }
        for entry in self.entries.values_mut() {
            entry.gateway_limits.needed_concurrent_requests = 0;
        }
        self
    }

    /// The settings as one compressed, versioned string, for Terraform's state and for other machines.
    pub fn encode(&self) -> String {
        packed::encode("fms", SETTINGS_FORMAT_VERSION, self)
    }

    /// Reads what [`Settings::encode`] wrote.
    ///
    /// # Errors
    /// [`PackedError`] when the text is something else, of another version, or damaged.
    pub fn decode(text: &str) -> Result<Self, PackedError> {
        packed::decode(
            "fms",
            SETTINGS_FORMAT_VERSION,
            "data.foremesh_mesh_profile.NAME.profile",
            text,
        )
    }
}
