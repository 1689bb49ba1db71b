//! What the search finds: as cheap as trying everything on small graphs, never less safe than the floor, and the same twice.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use foremesh_model::{
    Candidate, Criticality, Demand, PolicyKind, ProfileRequest, ServiceGraph, Severity,
};
use foremesh_policy::{PolicyInput, PolicyOutput, guards, plan};

fn searched(graph: &ServiceGraph, demand: &Demand, request: &ProfileRequest) -> PolicyOutput {
    let request = ProfileRequest {
        policy: PolicyKind::Search,
        ..request.clone()
    };
    plan(&PolicyInput {
        graph,
        demand,
        request: &request,
    })
    .unwrap()
}

fn floor(output: &PolicyOutput) -> &Candidate {
    let floor = "schedule at the 0.99 quantile";
    output.candidates.iter().find(|c| c.name == floor).unwrap()
}

#[test]
fn it_costs_less_and_keeps_the_objectives() {
    let (graph, demand) = (shop(), shop_demand(1.0));
    for latency_ms in [150.0, 250.0, 500.0] {
        let mut request = request();
        request.slo.latency_ms = latency_ms;
        let output = searched(&graph, &demand, &request);
        let (best, floor) = (&output.candidates[0], floor(&output));
        assert!(
            best.score > floor.score && best.instance_cost < 0.9 * floor.instance_cost,
            "{latency_ms}: {best:?} {floor:?}"
        );
        assert_eq!(best.kept_in_simulation, Some(true));
        assert!(output.kpis.holds, "{latency_ms}");
        assert_eq!(guards::check(&output.settings), []);
        for entry in output.kpis.entries.values() {
            assert!(entry.latency_ms <= latency_ms);
        }
    }
}

#[test]
fn a_lost_instance_is_borne_by_what_is_not_deferrable() {
    let (demand, request) = (shop_demand(0.02), request());
    let criticalities = [Criticality::Standard, Criticality::Deferrable];
    let fewest = criticalities.map(|criticality| {
        let mut services: Vec<_> = shop().services().cloned().collect();
        for service in &mut services {
            service.criticality = criticality;
            service.capacity.min_instances = Some(1);
        }
        let graph = ServiceGraph::new(services, shop().edges().cloned().collect()).unwrap();
        let output = searched(&graph, &demand, &request);
        let services = output.settings.services.values();
        services.map(|s| s.fewest_instances()).max().unwrap()
    });
    assert_eq!(fewest, [2, 1]);
}

#[test]
fn formulas_alone_choose_where_nothing_may_be_simulated() {
    let (graph, demand) = (shop(), shop_demand(1.0));
    let mut request = request();
    request.search_windows = Some(0);
    let output = searched(&graph, &demand, &request);
    assert!(
        output
            .candidates
            .iter()
            .all(|c| c.kept_in_simulation.is_none())
    );
    assert!(output.candidates[0].instance_cost < floor(&output).instance_cost);
}

/// What is said where nothing was simulated, by subject; nothing may be said to have been kept or missed then.
fn not_simulated(output: &PolicyOutput) -> Vec<(Severity, &str)> {
    let candidates = output.candidates.iter();
    assert_eq!(candidates.filter_map(|c| c.kept_in_simulation).count(), 0);
    assert_eq!(output.faults, []);
    let said = output.warnings.iter().filter(|w| w.code == "not_simulated");
    said.map(|w| (w.severity, w.subject.as_str())).collect()
}

#[test]
fn a_thousand_million_requests_a_second_are_planned_but_not_simulated() {
    let (graph, demand) = (shop(), shop_demand(1e6));
    let output = searched(&graph, &demand, &request());
    assert_eq!(
        not_simulated(&output),
        [
            (Severity::Caution, "prove_faults"),
            (Severity::Caution, "search_windows")
        ]
    );
    let mut request = request();
    request.prove_faults = Some(3);
    let analytic = plan(&PolicyInput {
        graph: &graph,
        demand: &demand,
        request: &request,
    });
    assert_eq!(
        not_simulated(&analytic.unwrap()),
        [(Severity::Caution, "prove_faults")]
    );
}

#[test]
fn what_cannot_be_simulated_is_not_called_kept() {
    let shop = shop();
    let services = shop.services().cloned().map(|mut service| {
        let entry = ["shop/web", "shop/api"].contains(&service.name.as_str());
        service.stateful = entry.then_some(true);
        service
    });
    let graph = ServiceGraph::new(services.collect(), shop.edges().cloned().collect()).unwrap();
    let output = searched(&graph, &shop_demand(1.0), &request());
    assert!(output.settings.entries.is_empty());
    assert_eq!(
        not_simulated(&output),
        [
            (Severity::Note, "prove_faults"),
            (Severity::Note, "search_windows")
        ]
    );
}

#[test]
fn errors_that_come_anyway_are_no_fault_s_doing() {
    let shop = shop();
    let edges = shop.edges().cloned().map(|mut edge| {
        edge.error_rate = Some(0.02);
        edge
    });
    let graph = ServiceGraph::new(shop.services().cloned().collect(), edges.collect()).unwrap();
    let mut request = request();
    request.prove_faults = Some(5);
    assert!(request.slo.availability > 0.99);
    for scale in [0.001, 0.05, 1.0] {
        let output = plan(&PolicyInput {
            graph: &graph,
            demand: &shop_demand(scale),
            request: &request,
        })
        .unwrap();
        for verdict in &output.faults {
            let slowed = verdict.kind == "slow_dependency" && scale > 0.01;
            assert!(
                verdict.missed_share > 0.02 && verdict.recovered,
                "{scale} {verdict:?}"
            );
            assert!(verdict.kept || slowed, "{scale} {verdict:?}");
        }
        let slow = output
            .faults
            .iter()
            .find(|v| v.service == "shop/db" && !v.kept);
        assert_eq!(
            slow.is_some(),
            scale > 0.01,
            "{scale}: what the fault does itself is its doing"
        );
    }
}

#[test]
fn an_objective_that_nothing_keeps_falls_back_on_the_floor() {
    let (graph, demand) = (shop(), shop_demand(1.0));
    let mut request = request();
    request.slo.latency_ms = 5.0;
    let output = searched(&graph, &demand, &request);
    assert!(!output.kpis.holds);
    let codes: Vec<&str> = output.warnings.iter().map(|w| w.code.as_str()).collect();
    assert!(codes.contains(&"objective_below_service_time"), "{codes:?}");
}

#[test]
fn reasons_say_what_one_less_would_break() {
    let (graph, demand) = (shop(), shop_demand(1.0));
    let mut request = request();
    request.slo.latency_ms = 150.0;
    let output = searched(&graph, &demand, &request);
    let reasons: Vec<String> = output
        .reasons
        .iter()
        .filter(|(path, _)| path.ends_with(".instances") && !path.contains("needs"))
        .map(|(path, reason)| format!("{path}: {}", reason.text))
        .collect();
    insta::assert_snapshot!(reasons.join("\n"));
}

#[test]
fn faults_are_tried_the_worst_first() {
    let (graph, demand) = (shop(), shop_demand(1.0));
    let mut request = request();
    request.slo.latency_ms = 250.0;
    request.prove_faults = Some(30);
    let output = searched(&graph, &demand, &request);
    assert!(
        output
            .faults
            .windows(2)
            .all(|pair| pair[0].weight >= pair[1].weight)
    );
    let verdict = |kind: &str, service: &str| {
        let found = output
            .faults
            .iter()
            .find(|v| v.kind == kind && v.service == service);
        found.unwrap_or_else(|| panic!("{kind} {service}: {:?}", output.faults))
    };
    // A lost instance is there to be borne, more work than there is to do it is not.
    let slow = verdict("slow_dependency", "shop/cart");
    assert!(!slow.kept && slow.missed_share > 0.05, "{slow:?}");
    let crash = verdict("crash", "shop/cart");
    assert!(
        crash.recovered && crash.missed_share < slow.missed_share,
        "{crash:?} {slow:?}"
    );
    for verdict in output.faults.iter().filter(|v| !v.kept) {
        let said = output
            .warnings
            .iter()
            .any(|w| w.code.starts_with("fault_") && w.text.starts_with(&verdict.kind));
        assert!(said, "{verdict:?}");
    }
    request.policy = PolicyKind::Analytic;
    request.prove_faults = None;
    let analytic = plan(&PolicyInput {
        graph: &graph,
        demand: &demand,
        request: &request,
    })
    .unwrap();
    assert!(analytic.faults.is_empty());
}
