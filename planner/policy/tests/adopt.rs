//! Quiet plans: small moves change nothing, large ones exactly what they must, and no hold is unsafe.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use foremesh_model::{Demand, ServiceGraph, Settings};
use foremesh_policy::{PolicyInput, adopt, guards, plan};
use proptest::prelude::*;

fn settings(graph: &ServiceGraph, demand: &Demand) -> Settings {
    plan(&PolicyInput {
        graph,
        demand,
        request: &request(),
    })
    .unwrap()
    .settings
}

/// What is adopted, with the needs of the proposal.
fn with_needs(adopted: &Settings, proposed: &Settings) -> Settings {
    let mut judged = adopted.clone();
    for (name, service) in &mut judged.services {
        service.needs = proposed.services[name].needs.clone();
    }
    for (name, edge) in &mut judged.edges {
        edge.caller_limits.needed_concurrent_requests = proposed.edges[name]
            .caller_limits
            .needed_concurrent_requests;
    }
    judged
}

/// The demand with every quantile multiplied by about `scale`, a little different from hour to hour.
fn moved(demand: &Demand, scale: f64, wobble: f64) -> Demand {
    let mut demand = demand.clone();
    for (i, entry) in demand.entries.values_mut().enumerate() {
        for (hour, step) in entry.quantiles_rps.iter_mut().enumerate() {
            let here = scale * (1.0 + wobble * (hour as f64 * 1.7 + i as f64).sin());
            step.iter_mut().for_each(|v| *v *= here);
        }
    }
    demand.canonical()
}

#[test]
fn a_quiet_day_changes_nothing() {
    for (graph, demand) in [(shop(), shop_demand(1.0)), layered(100)] {
        let prior = settings(&graph, &demand);
        for (scale, wobble) in [(1.0, 0.01), (1.01, 0.01), (0.99, 0.02), (1.02, 0.0)] {
            let proposed = settings(&graph, &moved(&demand, scale, wobble));
            let adoption = adopt(&prior, &proposed, 0.1);
            assert!(
                adoption.moved.is_empty(),
                "{scale} {wobble}: {:?} {:?}",
                adoption.moved,
                adoption.released
            );
            let prior = prior.clone().without_needs();
            assert_eq!(adoption.adopted, prior);
            assert_eq!(
                serde_json::to_string(&adoption.adopted).unwrap(),
                serde_json::to_string(&prior).unwrap()
            );
        }
    }
}

#[test]
fn a_third_more_demand_moves_what_it_must_and_nothing_else() {
    let (graph, demand) = (shop(), shop_demand(1.0));
    let prior = settings(&graph, &demand);
    let proposed = settings(&graph, &moved(&demand, 1.3, 0.0));
    let adoption = adopt(&prior, &proposed, 0.1);
    assert_eq!(guards::check(&adoption.adopted), []);
    let has = |path: &str| adoption.moved.iter().any(|p| p == path);
    assert!(
        has("services[\"shop/cart\"].instances"),
        "{:?}",
        adoption.moved
    );
    // What follows from capacity alone does not move.
    for path in &adoption.moved {
        for still in [
            "rate_limit",
            "load_balancing",
            "warm_up",
            "slo",
            "ramp",
            "retries",
        ] {
            assert!(!path.contains(still), "{path}");
        }
    }
}

#[test]
fn tolerance_zero_follows_the_proposal() {
    let (graph, demand) = (shop(), shop_demand(1.0));
    let prior = settings(&graph, &demand);
    let proposed = settings(&graph, &moved(&demand, 1.02, 0.01));
    let adoption = adopt(&prior, &proposed, 0.0);
    assert_eq!(adoption.adopted, proposed.without_needs());
    assert!(!adoption.moved.is_empty() && adoption.held.is_empty());
}

#[test]
fn services_come_and_go() {
    let (graph, demand) = (shop(), shop_demand(1.0));
    let prior = settings(&graph, &demand);
    let mut proposed = prior.clone();
    let gone = name("shop/db");
    let service = proposed.services.remove(&gone).unwrap();
    proposed.edges.retain(|edge, _| edge.callee() != &gone);
    proposed.services.insert(name("shop/queue"), service);
    let adoption = adopt(&prior, &proposed, 0.1);
    assert_eq!(adoption.adopted, proposed.without_needs());
    assert_eq!(
        adoption.moved,
        [
            "edges[\"shop/cart->shop/db\"]",
            "edges[\"shop/catalogue->shop/db\"]",
            "services[\"shop/db\"]",
            "services[\"shop/queue\"]"
        ]
    );
}

#[test]
fn a_hold_below_what_is_needed_is_released() {
    let (graph, demand) = (shop(), shop_demand(1.0));
    let prior = settings(&graph, &demand);
    let mut proposed = prior.clone();
    let cart = proposed.services.get_mut(&name("shop/cart")).unwrap();
    let more: Vec<u32> = cart.instances.by_hour(72).iter().map(|n| n + 1).collect();
    cart.instances = foremesh_model::Schedule::from_hours(&more);
    cart.needs.instances = cart.instances.clone();
    let adoption = adopt(&prior, &proposed, 0.1);
    let path = "services[\"shop/cart\"].instances";
    assert!(adoption.moved.iter().any(|p| p == path));
    assert!(
        adoption
            .released
            .iter()
            .any(|(p, why)| p == path && why.contains("fewer than")),
        "{:?}",
        adoption.released
    );
}

#[test]
fn another_day_compares_the_same_instants() {
    let (graph, demand) = (shop(), shop_demand(1.0));
    let prior = settings(&graph, &demand);
    let mut later = demand.clone();
    later.starts = demand.at(24);
    let proposed = settings(&graph, &later);
    let adoption = adopt(&prior, &proposed, 0.1);
    assert_eq!(adoption.adopted.starts, proposed.starts);
    assert_eq!(guards::check(&adoption.adopted), []);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn adoption_is_safe_settled_and_explained(
        size in 5usize..40,
        scale in 0.5f64..2.0,
        wobble in 0.0f64..0.3,
        tolerance in 0.0f64..0.5,
        later in 0usize..30,
    ) {
        let (graph, demand) = layered(size);
        let prior = settings(&graph, &demand);
        let mut after = moved(&demand, scale, wobble);
        after.starts = demand.at(later);
        let proposed = settings(&graph, &after);
        prop_assert_eq!(guards::check(&proposed), []);
        let adoption = adopt(&prior, &proposed, tolerance);
        prop_assert_eq!(guards::check(&with_needs(&adoption.adopted, &proposed)), []);
        for (name, service) in &adoption.adopted.services {
            let needs = &proposed.services[name].needs;
            for hour in 0..proposed.horizon_hours {
                prop_assert!(service.instances.at(hour) >= needs.instances.at(hour), "{} {}", name, hour);
            }
            prop_assert!(service.max_concurrent_requests >= needs.concurrent_requests);
        }
        for (name, edge) in &adoption.adopted.edges {
            prop_assert!(edge.caller_limits.max_concurrent_requests >= proposed.edges[name].caller_limits.needed_concurrent_requests);
        }
        let again = adopt(&adoption.adopted, &proposed, tolerance);
        prop_assert_eq!(&again.adopted, &adoption.adopted);
        prop_assert!(again.moved.is_empty());
        let same = adopt(&proposed, &proposed, tolerance);
        prop_assert_eq!(&same.adopted, &proposed.clone().without_needs());
        prop_assert!(same.moved.is_empty() && same.held.is_empty() && same.released.is_empty());
        if adoption.moved.is_empty() {
            prop_assert_eq!(&adoption.adopted, &prior.without_needs());
        }
    }
}
