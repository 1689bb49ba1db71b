//! Timeouts leave rare calls, circles and chains of calls the time that they take.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use foremesh_model::{Edge, EdgeName, ProfileRequest, ProxyMode, Service, ServiceGraph, Settings};
use foremesh_policy::{PolicyInput, PolicyOutput, guards, plan};
use foremesh_simulate::{
    Arrivals, EntryLoad, PlanAssumptions,
    analytic::{Load, SteadyState},
    from_plan,
};

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
    settings.edges[&EdgeName::new(name(caller), name(callee))].timeout_ms
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

/// A chain of so many services; the first call shows errors, so that a second attempt is wanted. The last is called so often per request.
fn chain(services: usize, work_ms: f64, last_fan_out: f64) -> ServiceGraph {
    let names: Vec<String> = (0..services)
        .map(|i| match i {
            0 => "shop/web".to_owned(),
            _ => format!("shop/s{i}"),
        })
        .collect();
    // The last does most of the work: what it takes is what each above it takes.
    let own_ms = |i: usize| {
        if i + 1 == services {
            work_ms
        } else {
            0.05 * work_ms
        }
    };
    let each = names.iter().enumerate();
    let calls = names.windows(2).enumerate();
    ServiceGraph::new(
        each.map(|(i, name)| service(name, own_ms(i), 16)).collect(),
        calls
            .map(|(i, ends)| Edge {
                error_rate: Some(if i == 0 { 0.001 } else { 0.0 }),
                ..edge(
                    &ends[0],
                    &ends[1],
                    if i + 2 == services { last_fan_out } else { 1.0 },
                )
            })
            .collect(),
    )
    .unwrap()
}

#[test]
fn a_second_attempt_takes_no_time_from_the_chain_below() {
    // With little time no second attempt; with much there is one. Either way nothing down the
    // chain is cut in its ordinary tail, not even a slow call so rare that no percentile above
    // it shows it.
    for last_fan_out in [1.0, 1e-4] {
        let mut attempts = Vec::new();
        for latency_ms in [600.0, 800.0, 1_000.0, 1_400.0, 2_000.0, 6_000.0] {
            let output = planned(&chain(9, 100.0, last_fan_out), latency_ms);
            for (edge, kpi) in &output.kpis.edges {
                assert!(
                    kpi.cut_by_timeout < 1e-3,
                    "fan-out {last_fan_out}, {latency_ms} ms, {edge}: {kpi:?}"
                );
            }
            let first = EdgeName::new(name("shop/web"), name("shop/s1"));
            attempts.push(output.settings.edges[&first].retries.attempts);
        }
        assert_eq!(attempts.first(), Some(&0), "fan-out {last_fan_out}");
        assert_eq!(attempts.last(), Some(&1), "fan-out {last_fan_out}");
    }
}

#[test]
fn latency_counts_the_way_of_every_call() {
    let graph = chain(9, 2.0, 1.0);
    let zones = ["a", "b", "c"].map(|zone| (format!("eu-west-3/{zone}"), 1));
    let planned = |graph: &ServiceGraph, request: &ProfileRequest| {
        let demand = demand(vec![("shop/web", entry(100.0, 0.2, 24))]);
        plan(&PolicyInput {
            graph,
            demand: &demand,
            request,
        })
        .unwrap()
    };
    let latency_ms = |output: &PolicyOutput| output.kpis.entries[&name("shop/web")].latency_ms;
    let in_zones = ProfileRequest {
        localities: zones.into(),
        ..request()
    };
    let output = planned(&graph, &in_zones);
    let load = EntryLoad {
        entry: name("shop/web"),
        arrivals: Arrivals::steady(100.0),
    };
    let assumed = PlanAssumptions::default();
    let mesh = from_plan(&graph, &output.settings, &[load], &[], 0, &assumed).unwrap();
    let mut steady = SteadyState::of(&mesh).unwrap();
    let answer = steady.evaluate(&mesh, &Load::at(&mesh, 0.0)).unwrap();
    // Nine calls of 2.8 ms of work in all: most of what a caller sees is the way.
    let simulated_ms = answer.entries[0].latency_objective_percentile_ms;
    let planned_ms = latency_ms(&output);
    assert!(
        (planned_ms / simulated_ms - 1.0).abs() < 0.15,
        "{planned_ms} ms planned, {simulated_ms} ms in a steady state"
    );
    // Without zones, and without proxies, calls are nearer.
    let together_ms = latency_ms(&planned(&graph, &request()));
    let bare = ProfileRequest {
        proxy_mode: ProxyMode::None,
        ..request()
    };
    let bare_ms = latency_ms(&planned(&graph, &bare));
    assert!(
        planned_ms > together_ms + 5.0 && together_ms > bare_ms + 3.0,
        "{planned_ms} {together_ms} {bare_ms}"
    );
    // Where only latencies were observed, the way is in them.
    let observed = ServiceGraph::new(
        vec![
            Service::named(name("shop/web")),
            Service::named(name("shop/s1")),
        ],
        vec![Edge {
            latency_p50_ms: Some(10.0),
            latency_p99_ms: Some(40.0),
            ..edge("shop/web", "shop/s1", 1.0)
        }],
    )
    .unwrap();
    let of = |request: &ProfileRequest| {
        let output = planned(&observed, request);
        let edge = EdgeName::new(name("shop/web"), name("shop/s1"));
        output.kpis.edges[&edge].latency_p99_ms
    };
    assert_eq!(of(&request()), of(&in_zones));
}
