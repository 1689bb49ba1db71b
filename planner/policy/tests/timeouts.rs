//! Timeouts leave rare calls and circles of calls the time that they take.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use foremesh_model::{ServiceGraph, Settings};
use foremesh_policy::{PolicyInput, PolicyOutput, guards, plan};

fn planned(graph: &ServiceGraph, latency_ms: f64) -> PolicyOutput {
    let demand = demand(vec![("shop/web", entry(100.0, 0.2, 24))]);
    let mut request = request();
    request.slo.latency_ms = latency_ms;
    let output = plan(&PolicyInput {
        graph,
        demand: &demand,
        request: &request,
    })
    .unwrap();
    assert_eq!(guards::check(&output.settings), []);
    output
}

fn timeout_ms(settings: &Settings, caller: &str, callee: &str) -> u32 {
    settings.edges[&foremesh_model::EdgeName::new(name(caller), name(callee))].timeout_ms
}

#[test]
fn a_rare_call_is_given_what_it_takes_all_the_way_up() {
    // One request in ten thousand makes the slow call: no percentile of the services above it shows that.
    let graph = ServiceGraph::new(
        vec![
            service("shop/web", 5.0, 16),
            service("shop/cart", 5.0, 16),
            service("shop/refund", 5.0, 16),
            service("shop/ledger", 400.0, 16),
        ],
        vec![
            edge("shop/web", "shop/cart", 1.0),
            edge("shop/cart", "shop/refund", 0.001),
            edge("shop/refund", "shop/ledger", 0.01),
        ],
    )
    .unwrap();
    let output = planned(&graph, 2500.0);
    let ledger = timeout_ms(&output.settings, "shop/refund", "shop/ledger");
    let refund = timeout_ms(&output.settings, "shop/cart", "shop/refund");
    let cart = timeout_ms(&output.settings, "shop/web", "shop/cart");
    // Nine in ten thousand of the ledger's answers take longer than 2.8 s.
    assert!(
        ledger > 2000 && refund > ledger && cart > refund,
        "{ledger} {refund} {cart}"
    );
    for (edge, kpi) in &output.kpis.edges {
        assert!(kpi.cut_by_timeout < 0.01, "{edge}: {kpi:?}");
    }
}

#[test]
fn a_circle_has_the_time_of_its_slowest_member() {
    // Quick is called from outside, and calls back to slow now and then: both share one budget.
    let graph = ServiceGraph::new(
        vec![
            service("shop/web", 5.0, 16),
            service("shop/quick", 2.0, 16),
            service("shop/slow", 200.0, 64),
        ],
        vec![
            edge("shop/web", "shop/quick", 1.0),
            edge("shop/web", "shop/slow", 0.2),
            edge("shop/quick", "shop/slow", 0.001),
            edge("shop/slow", "shop/quick", 0.5),
        ],
    )
    .unwrap();
    let output = planned(&graph, 2500.0);
    for (edge, kpi) in &output.kpis.edges {
        assert!(kpi.cut_by_timeout < 0.001, "{edge}: {kpi:?}");
    }
    let entry = &output.kpis.entries[&name("shop/web")];
    assert!(entry.holds && entry.cut_by_timeouts < 1e-4, "{entry:?}");
}
