//! The few numbers by which a person judges a demand or a profile, small enough for Terraform's state.

use std::{collections::BTreeMap, fmt};

use foremesh_model::{Demand, EntryDemand, EntryKpi, RegionPlan, ServiceName, Timestamp, quantise};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The demand of an entry in a few numbers, written to about 10% so that they keep still.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EntrySummary {
    /// Requests a second, median, mean over the horizon.
    pub mean_rps: f64,
    /// Requests a second, median, in the highest hour.
    pub peak_p50_rps: f64,
    /// Requests a second at the 0.99 quantile in its highest hour.
    pub peak_p99_rps: f64,
    /// When that hour begins (RFC 3339).
    #[schemars(with = "String")]
    pub peak_at: Timestamp,
}

impl fmt::Display for EntrySummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "mean {} requests/s, highest {} (median) and {} (q0.99, {})",
            self.mean_rps, self.peak_p50_rps, self.peak_p99_rps, self.peak_at
        )
    }
}

/// A service's settings in a few numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceSummary {
    /// Instances in the lowest hour, standby not included.
    pub fewest_instances: u32,
    /// Instances in the highest hour, standby not included.
    pub most_instances: u32,
    /// Warm instances beside them.
    pub standby_instances: u32,
    /// Requests a second of one instance at which an autoscaler asks for more; left out (null) where the schedule stands alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaled_at_rps: Option<f64>,
    /// Instances that it asks for at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaled_to_instances: Option<u32>,
    /// Requests a second that one instance admits.
    pub rate_limit_rps: f64,
    /// Requests a second of the whole service at the 0.99 quantile of its highest hour.
    pub demand_p99_rps: f64,
}

impl fmt::Display for ServiceSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scaled = match (self.autoscaled_at_rps, self.autoscaled_to_instances) {
            (Some(rps), Some(most)) => format!("up to {most} beyond {rps} requests/s each, "),
            _ => String::new(),
        };
        write!(
            f,
            "{}…{} instances, {} standby, {scaled}each admits {} requests/s; demand {} requests/s (q0.99)",
            self.fewest_instances,
            self.most_instances,
            self.standby_instances,
            self.rate_limit_rps,
            self.demand_p99_rps
        )
    }
}

/// What an entry is expected to show, as one line.
pub fn entry_line(kpi: &EntryKpi) -> String {
    format!(
        "{:.0} ms of {:.0} ms and availability {:.5} ({:.3}% cut by timeouts) in hour {}: {}",
        kpi.latency_ms,
        kpi.objective_ms,
        kpi.availability,
        kpi.cut_by_timeouts * 100.0,
        kpi.hardest_hour,
        if kpi.holds { "holds" } else { "does not hold" }
    )
}

/// The summary of every entry.
pub fn demand_summary(demand: &Demand) -> BTreeMap<ServiceName, EntrySummary> {
    let summarise = |entry: &EntryDemand| {
        let (peak_step, peak) = entry
            .by_step(0.99)
            .enumerate()
            .fold(
                (0, 0.0),
                |best, next| if next.1 > best.1 { next } else { best },
            );
        let steps = entry.quantiles_rps.len().max(1) as f64;
        EntrySummary {
            mean_rps: quantise(entry.by_step(0.5).sum::<f64>() / steps),
            peak_p50_rps: quantise(entry.by_step(0.5).fold(0.0, f64::max)),
            peak_p99_rps: quantise(peak),
            peak_at: demand.at(peak_step),
        }
    };
    demand
        .entries
        .iter()
        .map(|(name, entry)| (name.clone(), summarise(entry)))
        .collect()
}

/// The summary of every service.
pub fn settings_summary(plan: &RegionPlan) -> BTreeMap<ServiceName, ServiceSummary> {
    let summarise = |service: &foremesh_model::ServiceSettings| ServiceSummary {
        fewest_instances: service.instances.fewest(),
        most_instances: service.instances.most(),
        standby_instances: service.standby_instances,
        autoscaled_at_rps: service.autoscaling.map(|scaled| scaled.requests_per_second),
        autoscaled_to_instances: service.autoscaling.map(|scaled| scaled.most_instances),
        rate_limit_rps: service.rate_limit.requests_per_second,
        demand_p99_rps: service.needs.demand_rps,
    };
    plan.settings
        .services
        .iter()
        .map(|(name, service)| (name.clone(), summarise(service)))
        .collect()
}
