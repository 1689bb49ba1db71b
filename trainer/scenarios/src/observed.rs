//! What tracing somewhere else showed of each kind of call: rates and latencies, with the waits and errors of measurement that real ones have.

use foremesh_model::{Edge, ServiceGraph, graph::Visits};
use foremesh_simulate::analytic::{Calls, Moments};

use crate::{
    objectives::quantile,
    random::{Random, significant},
    services::Truth,
};

/// Fills what is unknown of the observed rates and latencies. `rates_rps` are requests a second at each service.
pub(crate) fn fill(
    edges: &mut [Edge],
    ends: &[(usize, usize)],
    graph: &ServiceGraph,
    visits: &Visits,
    (rates_rps, truth): (&[f64], &[Truth]),
    random: &mut Random,
) {
    let own: Vec<Moments> = truth
        .iter()
        .map(|truth| Moments::gamma(truth.own_ms, truth.cv2))
        .collect();
    let whole = Calls::of(graph, visits).compose(&own);
    // All regions together have more traffic than one.
    let regions = random.between(1.0, 5.0);
    let missed = random.between(0.0, 0.1);
    for (edge, (caller, callee)) in edges.iter_mut().zip(ends) {
        let waits = random.between(0.0, 0.25);
        let p50 = quantile(50.0).of(whole[*callee]) * (1.0 + 0.3 * waits);
        let p99 = quantile(99.0).of(whole[*callee]) * (1.0 + waits);
        let rate = rates_rps[*caller] * edge.fan_out() * regions;
        if random.chance(missed) {
            continue;
        }
        if edge.latency_p50_ms.is_none() && edge.latency_p99_ms.is_none() {
            edge.latency_p50_ms = Some(significant(p50, 3));
            edge.latency_p99_ms = Some(significant(p99.max(p50), 3));
        }
        edge.rate_rps = edge.rate_rps.or(Some(significant(rate, 3)));
    }
}
