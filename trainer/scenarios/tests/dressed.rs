//! Observed graphs keep what is known of them; real ones become regions that the policy plans.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use foremesh_model::{Capacity, Edge, Protocol, Service, ServiceGraph, ServiceName, graph::Visits};
use foremesh_policy::{PolicyInput, plan};
use foremesh_scenarios::{Options, Scenario, ScenarioError, dress};

fn name(name: &str) -> ServiceName {
    ServiceName::new(name).unwrap()
}

/// Services of a real graph that is planned here: the one of 1,238 with its circle of 356 takes minutes.
const MOST_PLANNED: usize = 300;

fn dressed(title: &str, graph: &ServiceGraph, seed: u64) -> Scenario {
    dress(title, graph, seed, &Options::default()).unwrap()
}

fn shop() -> ServiceGraph {
    let cart = Service {
        capacity: Capacity {
            service_time_mean_ms: Some(12.0),
            max_instances: Some(1),
            ..Capacity::default()
        },
        protocol: Protocol::Grpc,
        ..Service::named(name("cart"))
    };
    let store = Service {
        protocol: Protocol::Tcp,
        instances: Some(3),
        ..Service::named(name("db"))
    };
    let known = Edge {
        fan_out: Some(7.5),
        error_rate: Some(0.002),
        sequential: Some(false),
        latency_p99_ms: Some(44.0),
        ..Edge::between(name("cart"), name("db"))
    };
    let unknown = Edge::between(name("web"), name("cart"));
    ServiceGraph::new(
        vec![Service::named(name("web")), cart, store],
        vec![known, unknown],
    )
    .unwrap()
}

#[test]
fn what_is_known_stays_and_the_rest_is_drawn() {
    for seed in 0..50 {
        let drawn = dressed("shop", &shop(), seed);
        assert_eq!(drawn.family, None);
        let entries: Vec<&str> = drawn.demand.entries.keys().map(|n| n.as_str()).collect();
        assert_eq!(entries, ["web"]);
        let cart = drawn.graph.service(&name("cart")).unwrap();
        assert_eq!(cart.capacity.service_time_mean_ms, Some(12.0));
        assert_eq!(
            (cart.capacity.max_instances, cart.protocol),
            (Some(1), Protocol::Grpc)
        );
        assert!(cart.capacity.fault().is_none());
        let store = drawn.graph.service(&name("db")).unwrap();
        assert!(store.is_stateful() && store.instances == Some(3));
        let edge = drawn.graph.edge(&name("cart"), &name("db")).unwrap();
        assert_eq!(
            (edge.fan_out, edge.error_rate, edge.sequential),
            (Some(7.5), Some(0.002), Some(false))
        );
        assert_eq!(
            (edge.latency_p50_ms, edge.latency_p99_ms),
            (None, Some(44.0))
        );
    }
    let bytes = |seed| serde_json::to_string(&dressed("shop", &shop(), seed)).unwrap();
    assert_eq!(bytes(1), bytes(1));
    assert_ne!(bytes(1), bytes(2));
}

#[test]
fn requests_enter_where_a_service_says_so_and_in_a_ring_somewhere() {
    let mut services: Vec<Service> = ["a", "b", "c"].map(|n| Service::named(name(n))).into();
    let ring = [("a", "b"), ("b", "c"), ("c", "a")];
    let calls: Vec<Edge> = ring
        .into_iter()
        .map(|(a, b)| Edge::between(name(a), name(b)))
        .collect();
    let graph = ServiceGraph::new(services.clone(), calls.clone()).unwrap();
    let drawn = dressed("ring", &graph, 1);
    assert_eq!(drawn.demand.entries.len(), 1);
    assert!(Visits::of(&drawn.graph).is_ok() && drawn.unreached.is_empty());
    services[1].entry = Some(true);
    let graph = ServiceGraph::new(services, calls).unwrap();
    assert!(
        dressed("ring", &graph, 1)
            .demand
            .entries
            .contains_key(&name("b"))
    );
}

#[test]
fn a_graph_without_anything_to_plan_is_refused() {
    let options = Options::default();
    let empty = dress("empty", &ServiceGraph::default(), 1, &options);
    assert_eq!(empty, Err(ScenarioError::NoService));
    let store = Service {
        stateful: Some(true),
        ..Service::named(name("db"))
    };
    let stores = ServiceGraph::new(vec![store], Vec::new()).unwrap();
    assert_eq!(
        dress("stores", &stores, 1, &options),
        Err(ScenarioError::NoEntry)
    );
}

#[test]
fn real_graphs_become_regions_that_are_planned() {
    for (title, graph) in common::real_graphs() {
        let drawn = dressed(title, &graph, 1);
        for (before, after) in graph.edges().zip(drawn.graph.edges()) {
            let same = before.fan_out.is_none_or(|known| {
                (after.fan_out() / known.max(1e-12) - 1.0).abs() < 1e-9 || known == 0.0
            });
            assert!(same, "{title}: {before:?} became {after:?}");
        }
        Visits::of(&drawn.graph).unwrap();
        if graph.len() > MOST_PLANNED {
            continue;
        }
        let input = PolicyInput {
            graph: &drawn.graph,
            demand: &drawn.demand,
            request: &drawn.request,
        };
        let output = plan(&input).unwrap();
        println!(
            "{title}: {} entries, {} of {} services reached, {:.2} an hour, holds {}",
            drawn.demand.entries.len(),
            graph.len() - drawn.unreached.len(),
            graph.len(),
            output.kpis.instance_cost / drawn.demand.steps() as f64,
            output.kpis.holds
        );
    }
}
