//! Queues end where callers give up, and calls go where rules send them.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use common::*;
use foremesh_model::{ProfileRequest, RegionName, ScalingKind, ServiceGraph, Settings};
use foremesh_policy::{PolicyInput, PolicyOutput, plan};
use foremesh_simulate::{
    Arrivals, EntryLoad, LocalityBalancing, PlanAssumptions, analytic::refused, from_plan,
};

fn planned(graph: &ServiceGraph, rps: f64, request: &ProfileRequest) -> PolicyOutput {
    let demand = demand(vec![("a/in", entry(rps, 0.1, 24))]);
    plan(&PolicyInput {
        graph,
        demand: &demand,
        request,
    })
    .unwrap()
}

/// An entry with one worker that calls a service with one, whose waits are long for what it does.
fn waiting(work_ms: f64) -> ServiceGraph {
    ServiceGraph::new(
        vec![service("a/in", 1.0, 64), service("a/out", work_ms, 1)],
        vec![edge("a/in", "a/out", 1.0)],
    )
    .unwrap()
}

#[test]
fn queues_are_as_long_as_callers_wait_and_planned_demand_needs() {
    let rule_of = |output: &PolicyOutput, service: &str| {
        let path = format!("services[\"{service}\"].max_pending_requests");
        output.reasons[path.as_str()].clone()
    };
    let mut bound = 0;
    let mut longer = 0;
    for work_ms in [0.5, 2.0, 5.0, 10.0, 50.0] {
        let output = planned(&waiting(work_ms), 300.0, &request());
        let set = &output.settings.services[&name("a/out")];
        let timeout_ms = f64::from(
            output
                .settings
                .edges
                .values()
                .next()
                .unwrap()
                .per_try_timeout_ms,
        );
        let filled_in = |ms: f64| (set.rate_limit.requests_per_second * ms / 1000.0).ceil();
        let worth = filled_in((0.25 * timeout_ms).max(20f64.min(timeout_ms))).max(2.0);
        // Rounded up as an engineer writes numbers.
        let rounded = |queue: f64| (queue * 1.12).ceil();
        let queue = f64::from(set.max_pending_requests);
        let reason = rule_of(&output, "a/out");
        match reason.rule.as_str() {
            "littles_law" => assert!(queue <= rounded(worth), "{work_ms} ms: {queue} {worth}"),
            "callers_timeout" => {
                bound += 1;
                assert!(queue >= worth && queue <= rounded(worth), "{work_ms} ms");
                assert_eq!(reason.inputs["timeout_ms"], timeout_ms);
            }
            "refusals_of_planned_demand" => {
                longer += 1;
                let longest = filled_in(0.5 * timeout_ms);
                assert!(queue > worth && queue <= rounded(longest), "{work_ms} ms");
                // Half of the time goes to the longest queue, or what the usual answer leaves.
                assert!(reason.inputs["longest_ms"] <= 0.5 * timeout_ms);
                let offered = reason.inputs["planned_rps"] * work_ms / 1000.0;
                let places = |queue: f64| set.max_concurrent_requests + queue as u32;
                // Work and arrivals scatter more than an exponential's here: not even those would keep a queue as short as callers alone ask for.
                let refusable = reason.inputs["refusable"];
                assert!(
                    refused(1, places(worth), offered, 1.5) > refusable,
                    "{work_ms} ms"
                );
                // It is as long as may be, or refuses no more than may be even of what comes one by one.
                let kept = refused(1, places(queue), offered, 1.0) <= refusable;
                assert!(
                    kept || queue >= filled_in(reason.inputs["longest_ms"]),
                    "{work_ms} ms"
                );
            }
            other => panic!("{other}"),
        }
    }
    assert!(longer > 0, "no queue was made longer for planned demand");
    assert!(bound > 0, "no queue was bound by a timeout");
    // An entry that hardly waits keeps the queue that its waits ask for; so does a service that nobody calls.
    let alone = ServiceGraph::new(
        vec![service("a/in", 1.0, 64), service("a/idle", 50.0, 1)],
        vec![],
    )
    .unwrap();
    let output = planned(&alone, 300.0, &request());
    for service in ["a/in", "a/idle"] {
        assert_eq!(rule_of(&output, service).rule, "littles_law", "{service}");
    }
}

#[test]
fn with_an_autoscaler_queues_are_made_for_what_minutes_ask_of_an_instance() {
    let tracked = ProfileRequest {
        scaling: ScalingKind::TargetTracking,
        ..request()
    };
    let mut longer = 0;
    for work_ms in [2.0, 5.0, 10.0] {
        let output = planned(&waiting(work_ms), 300.0, &tracked);
        let set = &output.settings.services[&name("a/out")];
        let target_rps = set.autoscaling.unwrap().requests_per_second;
        let reason = &output.reasons["services[\"a/out\"].max_pending_requests"];
        if reason.rule == "refusals_of_planned_demand" {
            longer += 1;
            // Minutes ask about the target, and more where demand grew while instances started.
            let planned_rps = reason.inputs["planned_rps"];
            assert!(
                planned_rps > 0.7 * target_rps && planned_rps <= set.rate_limit.requests_per_second,
                "{work_ms} ms: {planned_rps} for {target_rps}"
            );
        }
    }
    assert!(longer > 0, "no queue was made longer for planned demand");
}

#[test]
fn a_plan_says_where_full_queues_may_break_an_objective() {
    let with = |work_ms: f64, scatter: f64, availability: f64| {
        let mut out = service("a/out", work_ms, 1);
        out.capacity.service_time_cv2 = Some(scatter);
        let edges = vec![edge("a/in", "a/out", 1.0)];
        let graph = ServiceGraph::new(vec![service("a/in", 1.0, 64), out], edges).unwrap();
        let mut request = request();
        request.slo.availability = availability;
        let output = planned(&graph, 300.0, &request);
        let warning = output
            .warnings
            .iter()
            .find(|w| w.code == "queues_may_refuse");
        (warning.cloned(), output)
    };
    // Work that scatters much beside the time of its callers: half of a timeout in a queue is not enough.
    let (warning, output) = with(20.0, 4.0, 0.999);
    let warning = warning.expect("a queue bound by timeouts refuses more than may fail");
    assert_eq!(warning.subject, "a/in");
    assert!(warning.text.contains("a/out"), "{}", warning.text);
    let set = &output.settings.services[&name("a/out")];
    let reason = &output.reasons["services[\"a/out\"].max_pending_requests"];
    assert_eq!(reason.rule, "refusals_of_planned_demand");
    let of_planned = refused(
        1,
        set.max_concurrent_requests + set.max_pending_requests,
        reason.inputs["planned_rps"] * 0.02,
        0.5 * (1.0 + 4.0),
    );
    assert!(of_planned > 1e-3, "{of_planned}");
    // The same where that much may fail, and where work hardly scatters.
    for (scatter, availability) in [(4.0, 0.9), (0.2, 0.999)] {
        let (warning, _) = with(20.0, scatter, availability);
        assert!(warning.is_none(), "{warning:?}");
    }
}

#[test]
fn calls_prefer_what_the_callees_rule_prefers() {
    // The entry is called by the service behind it too.
    let graph = ServiceGraph::new(
        vec![service("a/in", 1.0, 64), service("a/out", 2.0, 8)],
        vec![edge("a/in", "a/out", 1.0), edge("a/out", "a/in", 0.1)],
    )
    .unwrap();
    let zones: BTreeMap<String, u32> = ["eu-west-3/a", "eu-west-3/b"]
        .map(|zone| (zone.to_owned(), 1))
        .into();
    let of = |localities: &BTreeMap<String, u32>, failover: &[&str]| {
        let request = ProfileRequest {
            localities: localities.clone(),
            failover: failover
                .iter()
                .map(|region| RegionName::new(*region).unwrap())
                .collect(),
            ..request()
        };
        preferences(&graph, &planned(&graph, 300.0, &request).settings)
    };
    let none = BTreeMap::new();
    // By callee: the entry from the gateway, the entry from a service, the service.
    assert_eq!(of(&zones, &[]), ["shares", "shares", "alike"]);
    assert_eq!(of(&zones, &["eu-west-1"]), ["zone", "zone", "region"]);
    assert_eq!(of(&none, &["eu-west-1"]), ["zone", "zone", "region"]);
    assert_eq!(of(&none, &[]), ["alike", "alike", "alike"]);
}

fn preferences(graph: &ServiceGraph, settings: &Settings) -> [&'static str; 3] {
    let load = EntryLoad {
        entry: name("a/in"),
        arrivals: Arrivals::steady(100.0),
    };
    let mesh = from_plan(
        graph,
        settings,
        &[load],
        &[],
        0,
        &PlanAssumptions::default(),
    )
    .unwrap();
    let of = |caller: Option<&str>, callee: &str| {
        let named = |at: usize| mesh.services[at].name.as_str();
        let edge = mesh
            .edges
            .iter()
            .find(|edge| edge.caller.map(named) == caller && named(edge.callee) == callee);
        match edge.unwrap().locality_balancing {
            Some(LocalityBalancing::Distribute { .. }) => "shares",
            Some(LocalityBalancing::Failover { .. }) => "zone",
            Some(LocalityBalancing::Region { .. }) => "region",
            None => "alike",
        }
    };
    [
        of(None, "a/in"),
        of(Some("a/out"), "a/in"),
        of(Some("a/in"), "a/out"),
    ]
}
