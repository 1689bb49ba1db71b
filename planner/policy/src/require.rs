//! What each service and edge needs in each hour, whatever is set today: the yardstick for limits that exist already.

use std::collections::BTreeMap;

use foremesh_model::{Demand, Edge, EdgeName, ProfileRequest, ServiceGraph, ServiceName, Warning};
use serde::{Deserialize, Serialize};

use crate::{
    PolicyError,
    ground::Ground,
    limits::{NEEDED_LEVEL, thinned, thinned_calls},
    sampling::{BOUGHT, MEDIAN},
    sizing,
};
use foremesh_simulate::analytic::count_quantile;

/// What a service needs in one hour.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HourRequirement {
    /// Hours after the start of the demand.
    pub hour: u32,
    /// Requests a second, median.
    pub demand_p50_rps: f64,
    /// Requests a second at the 0.99 quantile, peak within the hour included.
    pub demand_p99_rps: f64,
    /// The fewest instances that keep the objective at that demand; beyond the service's maximum where it does not suffice.
    pub instances: u32,
    /// Requests in flight at the whole service at that demand, on average.
    pub in_flight: f64,
    /// Requests in flight at one of those instances at the 0.99 quantile.
    pub concurrent_requests: u32,
    /// Requests a second of one of those instances.
    pub instance_rps: f64,
}

/// What an edge carries in one hour.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HourCalls {
    /// Hours after the start of the demand.
    pub hour: u32,
    /// Calls a second at the 0.99 quantile of demand, peak within the hour included.
    pub calls_rps: f64,
    /// Calls in flight from all callers together, on average.
    pub in_flight: f64,
    /// Index of dispersion (variance ÷ mean) of the calls of one second.
    pub dispersion: f64,
    /// The same of those that one request makes at once: they come to one proxy together.
    pub at_once: f64,
    /// Mean milliseconds of a call.
    pub latency_ms: f64,
}

impl HourCalls {
    /// Calls in flight at one of `proxies` proxies of the caller, at the 0.999 quantile: what a limit of that proxy must pass.
    pub fn concurrent_of_one(&self, proxies: u32) -> u32 {
        let proxies = proxies.max(1);
        count_quantile(
            self.in_flight / f64::from(proxies),
            thinned_calls(self.dispersion, proxies, self.at_once),
            NEEDED_LEVEL,
        )
    }
}

/// What every service and edge needs, by hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Requirements {
    /// By service, one for each hour.
    pub services: BTreeMap<ServiceName, Vec<HourRequirement>>,
    /// By edge, one for each hour.
    pub edges: BTreeMap<EdgeName, Vec<HourCalls>>,
    /// By entry, one for each hour: what comes through the ingress gateway.
    pub entries: BTreeMap<ServiceName, Vec<HourCalls>>,
    /// What to beware of.
    pub warnings: Vec<Warning>,
}

impl Requirements {
    /// Computes what the demand needs on this graph with these objectives.
    ///
    /// # Errors
    /// As [`crate::plan`].
    pub fn of(
        graph: &ServiceGraph,
        demand: &Demand,
        request: &ProfileRequest,
    ) -> Result<Self, PolicyError> {
        let mut ground = Ground::of(graph, demand, request)?;
        let mut warnings = std::mem::take(&mut ground.warnings);
        let sizing = sizing::size(&ground);
        sizing.warn(&ground, &mut warnings);
        let hours = ground.demand.hours();
        let calls = |caller: usize, callee: usize, edge: Option<&Edge>| -> Vec<HourCalls> {
            let fan_out = edge.map_or(1.0, Edge::fan_out);
            (0..hours)
                .map(|hour| {
                    let rate = ground.demand.mean_rps[BOUGHT][hour][caller]
                        * ground.demand.peak[hour][caller];
                    let latency_ms = sizing.expected.whole[hour][callee].mean;
                    HourCalls {
                        hour: hour as u32,
                        calls_rps: rate * fan_out,
                        in_flight: rate * fan_out * latency_ms / 1000.0,
                        dispersion: ground.dispersion[callee],
                        at_once: edge.map_or(1.0, Edge::at_once),
                        latency_ms,
                    }
                })
                .collect()
        };
        let services = (0..ground.services.len())
            .map(|s| {
                let sized = &sizing.services[s];
                let rows = (0..hours)
                    .map(|hour| {
                        let rate =
                            ground.demand.mean_rps[BOUGHT][hour][s] * ground.demand.peak[hour][s];
                        let unbounded = (rate / sized.limit_rps).ceil().clamp(1.0, 1e9) as u32;
                        // As many as keep state run anyway: what the demand needs of them is a matter of its size alone.
                        let instances = if ground.stations[s].stateful {
                            unbounded
                        } else {
                            sized.needs[hour].max(unbounded)
                        };
                        let instance_rps = rate / f64::from(instances.max(1));
                        // What a request is inside: the way to the service and back is its caller's time.
                        let time_ms = sizing.expected.whole[hour][s].mean - ground.way_ms[s];
                        let time_s = time_ms / 1000.0;
                        HourRequirement {
                            hour: hour as u32,
                            demand_p50_rps: ground.demand.mean_rps[MEDIAN][hour][s],
                            demand_p99_rps: rate,
                            instances,
                            in_flight: rate * time_s,
                            concurrent_requests: count_quantile(
                                instance_rps * time_s,
                                thinned(ground.dispersion[s], instances),
                                0.99,
                            ),
                            instance_rps,
                        }
                    })
                    .collect();
                (ground.name(s).clone(), rows)
            })
            .collect();
        let edges = ground
            .edge_names
            .iter()
            .zip(&ground.edge_ends)
            .zip(&ground.edges)
            .map(|((name, (caller, callee)), edge)| {
                (name.clone(), calls(*caller, *callee, Some(edge)))
            })
            .collect();
        let entries = ground
            .entries
            .iter()
            .map(|e| (ground.name(e.node).clone(), calls(e.node, e.node, None)))
            .collect();
        warnings.sort();
        Ok(Self {
            services,
            edges,
            entries,
            warnings,
        })
    }

    /// The hours of a service, by its full or its short name; empty where the graph does not hold it.
    pub fn service(&self, name: &ServiceName) -> &[HourRequirement] {
        self.services
            .get(name)
            .or_else(|| {
                let mut alike = self
                    .services
                    .iter()
                    .filter(|(n, _)| n.short() == name.short());
                match (alike.next(), alike.next()) {
                    (Some((_, rows)), None) => Some(rows),
                    _ => None,
                }
            })
            .map_or(&[], Vec::as_slice)
    }
}

/// What one service needs in each hour, with default objectives; empty where the graph does not hold it. For several
/// services compute [`Requirements`] once.
///
/// # Errors
/// As [`crate::plan`].
pub fn required_by_hour(
    graph: &ServiceGraph,
    demand: &Demand,
    service: &ServiceName,
) -> Result<Vec<HourRequirement>, PolicyError> {
    Ok(Requirements::of(graph, demand, &ProfileRequest::default())?
        .service(service)
        .to_vec())
}
