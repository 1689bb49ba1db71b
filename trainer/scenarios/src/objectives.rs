//! What the plan must reach: for each entry a latency that its services can keep, by a slack that is drawn, and an availability
//! that its errors leave room for.

use std::{collections::BTreeMap, sync::LazyLock};

use foremesh_model::{
    Cost, LoadBalancing, ProfileRequest, ServiceGraph, Slo,
    graph::Visits,
    station::{Station, stations},
};
use foremesh_simulate::analytic::{Calls, GammaQuantile, Moments, Wait, Workers};
use petgraph::graph::NodeIndex;

use crate::{
    ScenarioError,
    random::{Random, significant, significant_up},
};

/// The share of scenarios of which one objective lies below what its services take with no wait at all.
const INFEASIBLE: f64 = 0.04;

/// Instances of a service where its latency was seen.
const INSTANCES_SEEN: u32 = 4;

/// The share of calls that timeouts cut short where they are set with care.
const CUT: f64 = 5e-5;

/// Availabilities that people ask for, highest first, and those that a region of unreliable services has to be content with.
const AVAILABILITIES: [f64; 9] = [0.9999, 0.9995, 0.999, 0.995, 0.99, 0.98, 0.95, 0.9, 0.75];

/// The quantiles that scenarios need, tabulated once: a table takes longer than all else of a small scenario.
static QUANTILES: LazyLock<[(f64, GammaQuantile); 4]> =
    LazyLock::new(|| [50.0, 95.0, 99.0, 99.9].map(|p| (p, GammaQuantile::at(p / 100.0))));

/// The quantile at one of the percentiles that are tabulated; the highest for another.
pub(crate) fn quantile(percentile: f64) -> &'static GammaQuantile {
    let [median, p95, p99, p999] = &*QUANTILES;
    [median, p95, p99]
        .into_iter()
        .find(|(at, _)| *at == percentile)
        .map_or(&p999.1, |(_, quantile)| quantile)
}

/// Draws objectives and costs for entries (nodes of the graph); also whether one of them cannot be kept.
pub(crate) fn draw(
    graph: &ServiceGraph,
    visits: &Visits,
    entries: &[usize],
    zones_of: &str,
    random: &mut Random,
) -> Result<(ProfileRequest, bool), ScenarioError> {
    let cost = cost(random);
    let stations = stations(graph, &cost)?;
    let own: Vec<Moments> = stations.iter().map(service_moments).collect();
    let calls = Calls::of(graph, visits);
    let whole = calls.compose(&own);
    // People ask for what they have seen, on instances that were as busy as theirs are; a few ask for what only idle ones do.
    let busy = if random.chance(0.1) {
        random.between(0.1, 0.3)
    } else {
        random.between(0.3, 0.65)
    };
    let seen: Vec<Moments> = stations
        .iter()
        .map(|station| service_moments(station).plus(wait_at(station, busy)))
        .collect();
    let seen = calls.compose(&seen);
    let infeasible = random.chance(INFEASIBLE);
    let hopeless = random.below(entries.len());
    let mut slos = BTreeMap::new();
    for (i, entry) in entries.iter().enumerate() {
        let percentile = random.of_weighted(&[(95.0, 0.2), (99.0, 0.65), (99.9, 0.15)], 99.0);
        let bound_ms = quantile(percentile).of(whole[*entry]);
        let slack = random.log_normal(2.4, 0.38).clamp(1.15, 4.0);
        let seen_ms = quantile(percentile).of(seen[*entry]) * 1.15;
        let too_little = random.between(0.5, 0.9);
        let latency_ms = if infeasible && i == hopeless {
            significant(bound_ms * too_little, 2).min(bound_ms * 0.95)
        } else {
            significant_up((bound_ms * slack).max(seen_ms).min(bound_ms * 4.0), 2)
        };
        let wanted = random.of_weighted(
            &[(0usize, 0.03), (1, 0.07), (2, 0.4), (3, 0.25), (4, 0.25)],
            2,
        );
        let failing = failing(graph, visits, *entry);
        let availability = AVAILABILITIES[wanted..]
            .iter()
            .copied()
            .find(|availability| failing < 0.5 * (1.0 - availability))
            .unwrap_or((1.0 - 2.0 * failing).max(0.0));
        let name = graph.petgraph()[NodeIndex::new(*entry)].name.clone();
        slos.insert(
            name,
            Slo {
                latency_ms,
                percentile,
                availability,
            },
        );
    }
    let zones = random.chance(0.3);
    let shares = random.of_weighted(&[([34, 33, 33], 0.7), ([50, 25, 25], 0.3)], [34, 33, 33]);
    let localities = ["a", "b", "c"]
        .into_iter()
        .zip(shares)
        .filter(|_| zones)
        .map(|(zone, share)| (format!("{zones_of}/{zone}"), share))
        .collect();
    let gateways = random.of_weighted(&[(None, 0.6), (Some(3), 0.25), (Some(6), 0.15)], None);
    let request = ProfileRequest {
        slos,
        cost,
        localities,
        gateway_proxies: gateways,
        ..ProfileRequest::default()
    };
    Ok((request, infeasible))
}

fn service_moments(station: &Station) -> Moments {
    Moments::gamma(station.service_ms, station.cv2)
}

/// The wait at a service of a few instances that are so busy.
fn wait_at(station: &Station, busy: f64) -> Moments {
    if station.is_boundless() {
        return Moments::default();
    }
    let workers = Workers {
        per_instance: station.workers,
        holding_ms: station.holding_ms,
        service_cv2: station.cv2,
        arrival_cv2: 1.5,
        balancing: LoadBalancing::LeastRequest,
        caller_proxies: 4.0,
    };
    let rate_rps = busy * station.saturation_rps * f64::from(INSTANCES_SEEN);
    Wait::of(&workers, INSTANCES_SEEN, rate_rps).moments()
}

/// The share of an entry's requests in which some call fails, as the observed errors of calls have it, or is cut short.
fn failing(graph: &ServiceGraph, visits: &Visits, entry: usize) -> f64 {
    let mut external = vec![0.0; graph.len()];
    external[entry] = 1.0;
    let visits = visits.rates(&external);
    let petgraph = graph.petgraph();
    let errors: f64 = petgraph
        .edge_indices()
        .filter_map(|edge| petgraph.edge_endpoints(edge).map(|ends| (edge, ends.0)))
        .map(|(edge, caller)| {
            let edge = &petgraph[edge];
            visits[caller.index()] * edge.fan_out() * edge.error_rate.unwrap_or(0.0)
        })
        .sum();
    1.0 - (-errors - CUT * visits.iter().sum::<f64>()).exp()
}

/// The defaults for most; else what an instance and a minute of violation cost in ratios from careless to strict.
fn cost(random: &mut Random) -> Cost {
    let usual = random.chance(0.6);
    let drawn = Cost {
        instance_per_hour: significant(random.log_normal(0.05, 0.5), 2),
        violation_per_minute: significant(random.log_between(0.1, 30.0), 2),
        ..Cost::default()
    };
    if usual { Cost::default() } else { drawn }
}
