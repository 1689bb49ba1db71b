//! The plan of a region: settings with the demand they answer, what they are expected to do, why, and what to beware of.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Demand, EdgeName, Reason, ServiceGraph, ServiceName, Settings, Timestamp};

/// The version of a plan file.
pub const PLAN_FORMAT_VERSION: u32 = 1;

/// The plan of a region, as `foremesh plan` writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegionPlan {
    /// Version of this shape.
    pub format_version: u32,
    /// What made the plan.
    pub identity: PlanIdentity,
    /// What is set.
    pub settings: Settings,
    /// Why each value is what it is, by its path in the settings, for example `services["shop/cart"].rate_limit.burst`.
    pub reasons: BTreeMap<String, Reason>,
    /// What the settings are expected to do.
    pub kpis: Kpis,
    /// What was compared; the first is the one chosen.
    pub candidates: Vec<Candidate>,
    /// What it does under the faults that would hurt most, in simulation; empty where none were tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultVerdict>,
    /// What to beware of, the worst first.
    pub warnings: Vec<Warning>,
    /// The demand that the plan answers.
    pub demand: Demand,
    /// The services and calls that it was made for.
    pub graph: ServiceGraph,
}

/// What made a plan: equal identities and equal inputs give equal bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanIdentity {
    /// Version of Foremesh.
    pub foremesh_version: String,
    /// The policy that was used.
    pub policy: String,
    /// The forecasting method that was used.
    pub forecaster: String,
    /// Nothing later than this was known (RFC 3339).
    #[schemars(with = "String")]
    pub as_of: Timestamp,
}

/// What the settings are expected to do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Kpis {
    /// By entry.
    pub entries: BTreeMap<ServiceName, EntryKpi>,
    /// By service.
    pub services: BTreeMap<ServiceName, ServiceKpi>,
    /// By edge.
    pub edges: BTreeMap<EdgeName, EdgeKpi>,
    /// Cost of all instances over the horizon, standby included.
    pub instance_cost: f64,
    /// Instance hours over the horizon, standby included.
    pub instance_hours: f64,
    /// Whether every entry keeps its objective in every hour at the 0.99 quantile of demand.
    pub holds: bool,
}

/// What an entry is expected to show in its hardest hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EntryKpi {
    /// The latency in milliseconds at the objective's percentile.
    pub latency_ms: f64,
    /// The objective in milliseconds.
    pub objective_ms: f64,
    /// The share of requests that succeed: what neither the observed errors of its calls nor a timeout fails.
    pub availability: f64,
    /// The share of requests that a timeout cuts, anywhere on their way; availability has it already.
    #[serde(default)]
    pub cut_by_timeouts: f64,
    /// Whether the objective is kept.
    pub holds: bool,
    /// The hour after the start in which it is hardest.
    pub hardest_hour: u32,
}

/// What a service is expected to show in its highest hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceKpi {
    /// Requests a second, median.
    pub demand_p50_rps: f64,
    /// Requests a second at the 0.99 quantile, peak within the hour included.
    pub demand_p99_rps: f64,
    /// Busy share of its workers at the 0.99 quantile, 0 … 1. Left out for a service that keeps state and of which nobody says what it
    /// can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utilisation: Option<f64>,
    /// Mean milliseconds that a request waits for a worker.
    pub mean_wait_ms: f64,
}

/// What an edge is expected to show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EdgeKpi {
    /// Calls a second at the 0.99 quantile of demand.
    pub calls_rps: f64,
    /// The 99th percentile of a call's latency in milliseconds.
    pub latency_p99_ms: f64,
    /// The share of calls that the edge's timeout cuts, in the hardest hour of the entry for which that is most.
    #[serde(default)]
    pub cut_by_timeout: f64,
}

/// One set of settings that was weighed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Candidate {
    /// How it was made.
    pub name: String,
    /// Cost of its instances over the horizon, standby included.
    pub instance_cost: f64,
    /// Minutes in which demand is expected to be more than it keeps the objectives at.
    #[serde(default)]
    pub violation_minutes: f64,
    /// Whether it keeps every objective at the 0.99 quantile of demand, by the formulas.
    pub holds: bool,
    /// Whether it did so in simulation, or missed no objective by more than the floor does; a single request of an entry never decides. Left
    /// out (null in Terraform) where it was not simulated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_in_simulation: Option<bool>,
    /// Benefit less cost: higher is better.
    pub score: f64,
}

/// What a plan does under a fault, in simulation, in its busiest hour at the median demand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FaultVerdict {
    /// The kind, in the words of `foremesh simulate --fault`.
    pub kind: String,
    /// The service that it hits; empty: all.
    pub service: String,
    /// What it matters: share of the region's work × share of requests that pass × criticality × how often the kind is met.
    pub weight: f64,
    /// The hour of the plan.
    pub hour: u32,
    /// Seconds that it lasted.
    pub seconds: f64,
    /// Whether every objective was kept while it lasted, or missed by no more than chance makes of what is missed in the same seconds
    /// without the fault. A single request of an entry never decides.
    pub kept: bool,
    /// Whether it was so again from as many seconds after its end on.
    pub recovered: bool,
    /// Largest share of an entry's requests that failed or came later than its objective while it lasted.
    pub missed_share: f64,
}

impl Candidate {
    /// Whether it is to be preferred: worth more, and keeps the objectives if the other does.
    pub fn beats(&self, other: &Self) -> bool {
        self.score > other.score && (self.holds || !other.holds)
    }
}

/// How much a warning matters.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The plan breaks its objective or a part of it could not be planned.
    Severe,
    /// Something was assumed or is missing that may move the plan.
    Caution,
    /// Good to know.
    Note,
}

/// What to beware of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Warning {
    /// How much it matters.
    pub severity: Severity,
    /// A stable word for machines, for example `capacity_assumed`.
    pub code: String,
    /// The service, edge, file or field it is about.
    pub subject: String,
    /// What is so, and how to mend it.
    pub text: String,
}
