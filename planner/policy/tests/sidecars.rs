//! What proxies can pass on bounds what is planned.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use foremesh_model::{Demand, ProfileRequest, ProxyMode, ServiceGraph};
use foremesh_policy::{PolicyInput, PolicyOutput, plan};

fn planned(graph: &ServiceGraph, demand: &Demand, request: &ProfileRequest) -> PolicyOutput {
    plan(&PolicyInput {
        graph,
        demand,
        request,
    })
    .unwrap()
}

#[test]
fn what_a_sidecar_does_not_pass_on_is_not_planned_for() {
    // Workers of 0.4 ms would do 20,000 requests/s; a sidecar that passes each on to one call passes 4,250.
    let graph = ServiceGraph::new(
        vec![service("a/in", 0.4, 8), service("a/out", 10.0, 64)],
        vec![edge("a/in", "a/out", 1.0)],
    )
    .unwrap();
    let demand = demand(vec![("a/in", entry(9_000.0, 0.1, 24))]);
    let of = |mode: ProxyMode| {
        let request = ProfileRequest {
            proxy_mode: mode,
            gateway_proxies: Some(4),
            ..request()
        };
        let output = planned(&graph, &demand, &request);
        let set = output.settings.services[&name("a/in")].clone();
        let why = output.reasons["services[\"a/in\"].rate_limit.requests_per_second"].clone();
        (
            set.rate_limit.requests_per_second,
            set.instances.at(12),
            why.text,
        )
    };
    let (limit, instances, why) = of(ProxyMode::Sidecar);
    assert!(limit <= 4_250.0, "{limit}");
    assert!(instances >= 3, "{instances}");
    assert!(why.contains("sidecar"), "{why}");
    let (limit, instances, why) = of(ProxyMode::None);
    assert!(limit > 15_000.0 && instances < 3, "{limit} {instances}");
    assert!(!why.contains("sidecar"), "{why}");
}

#[test]
fn a_gateway_that_is_too_small_for_what_enters_is_named() {
    let graph = ServiceGraph::new(vec![service("a/in", 2.0, 64)], vec![]).unwrap();
    let demand = demand(vec![("a/in", entry(30_000.0, 0.1, 24))]);
    let of = |gateway_proxies| {
        let request = ProfileRequest {
            gateway_proxies,
            ..request()
        };
        planned(&graph, &demand, &request)
    };
    let said = |output: &PolicyOutput| {
        let mut warnings = output.warnings.iter();
        let found = warnings.find(|w| w.code == "gateway_too_small");
        found.map(|w| w.text.clone())
    };
    let text = said(&of(None)).unwrap();
    assert!(
        text.contains("2 proxies") && text.contains("gateway_proxies"),
        "{text}"
    );
    // As many as it asks for are enough.
    let asked = text.split("give it ").nth(1).unwrap();
    let asked: u32 = asked.split(' ').next().unwrap().parse().unwrap();
    assert_eq!(said(&of(Some(asked))), None);
    assert!(said(&of(Some(asked - 1))).is_some());
}
