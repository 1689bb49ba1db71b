//! Findings that rest on a capacity or on calls that nobody gave are no more than a suspicion, and say so.

use std::collections::BTreeSet;

use foremesh_model::{ServiceGraph, ServiceName, Severity};

use super::{AuditFinding, yardstick::Yardstick};

/// Lowers severe findings on services of which the capacity or the calls were assumed to cautions that name what to give.
pub(super) fn soften(
    findings: &mut [AuditFinding],
    graph: &ServiceGraph,
    yardstick: &Yardstick<'_>,
) {
    let calls = calls_assumed(graph, yardstick);
    for finding in findings {
        if finding.severity != Severity::Severe {
            continue;
        }
        let any = |is: &dyn Fn(&ServiceName) -> bool| finding.services.iter().any(is);
        let mend = match (
            any(&|service| capacity_assumed(graph, service)),
            any(&|service| calls.contains(service)),
        ) {
            (false, false) => continue,
            (true, false) => "capacity assumed: give a catalogue",
            (false, true) => "calls assumed: give traces or a catalogue",
            (true, true) => "capacity and calls assumed: give a catalogue, or traces for the calls",
        };
        finding.severity = Severity::Caution;
        finding.text += &format!(" ({mend})");
    }
}

/// Whether nobody gave what decides how many requests one instance takes: the time of one, which the latency of calls to the
/// service tells too, and how many it works on at once, which a measured rate tells too.
fn capacity_assumed(graph: &ServiceGraph, service: &ServiceName) -> bool {
    let Some(capacity) = graph.service(service).map(|service| &service.capacity) else {
        return true;
    };
    let timed = capacity.service_time_mean_ms.is_some()
        || graph.edges().any(|edge| {
            edge.callee == *service
                && edge.latency_p50_ms.is_some()
                && edge.latency_p99_ms.is_some()
        })
        || graph
            .service(service)
            .is_some_and(|service| service.measured.latency_p99_ms.is_some());
    !timed || capacity.concurrency.is_none() && capacity.capacity_rps.is_none()
}

/// The services that get requests by an edge on which one call for each request was assumed, and all that they call.
fn calls_assumed(graph: &ServiceGraph, yardstick: &Yardstick<'_>) -> BTreeSet<ServiceName> {
    let carries = |caller: &ServiceName| yardstick.has_demand(caller);
    let mut assumed = BTreeSet::new();
    let mut next: Vec<&ServiceName> = graph
        .edges()
        .filter(|edge| {
            edge.fan_out.is_none() && edge.caller != edge.callee && carries(&edge.caller)
        })
        .map(|edge| &edge.callee)
        .collect();
    while let Some(service) = next.pop() {
        if assumed.insert(service.clone()) {
            let called = graph.edges().filter(|edge| edge.caller == *service);
            next.extend(called.map(|edge| &edge.callee));
        }
    }
    assumed
}
