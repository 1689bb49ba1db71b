//! A schedule and an autoscaler, planned together: cheaper than a schedule alone, inside every guard, explained, and the same twice.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use foremesh_model::{PolicyKind, ProfileRequest, ScalingKind, ServiceGraph};
use foremesh_policy::{PolicyInput, PolicyOutput, adopt, guards, paths, plan};

fn planned(policy: PolicyKind, scaling: ScalingKind, graph: &ServiceGraph) -> PolicyOutput {
    let request = ProfileRequest {
        policy,
        scaling,
        ..request()
    };
    plan(&PolicyInput {
        graph,
        demand: &shop_demand(1.0),
        request: &request,
    })
    .unwrap()
}

#[test]
fn it_is_expected_to_cost_less_than_a_schedule_alone_and_no_guard_breaks() {
    for policy in [PolicyKind::Analytic, PolicyKind::Search] {
        let alone = planned(policy, ScalingKind::Scheduled, &shop());
        let together = planned(policy, ScalingKind::TargetTracking, &shop());
        assert!(
            together.kpis.instance_cost < alone.kpis.instance_cost,
            "{policy:?}: {} for {}",
            together.kpis.instance_cost,
            alone.kpis.instance_cost
        );
        assert_eq!(
            together.candidates[0].instance_cost,
            together.kpis.instance_cost
        );
        assert_eq!(guards::check(&together.settings), []);
        for path in paths(&together.settings) {
            assert!(together.reasons.contains_key(&path), "{path}");
        }
        for service in together.settings.services.values() {
            let scaled = service.autoscaling.unwrap();
            assert!(scaled.requests_per_second <= service.rate_limit.requests_per_second);
            assert!(service.most_instances() >= service.instances.most());
        }
    }
}

#[test]
fn a_plan_that_asks_for_a_schedule_alone_says_nothing_of_autoscalers() {
    let output = planned(PolicyKind::Analytic, ScalingKind::Scheduled, &shop());
    let text = serde_json::to_string(&output.settings).unwrap();
    assert!(!text.contains("autoscaling"));
    let asked = serde_json::to_string(&request()).unwrap();
    assert!(!asked.contains("scaling"));
}

#[test]
fn what_starts_slowly_is_left_less_to_the_autoscaler() {
    let with_startup = |seconds: f64| -> u32 {
        let mut services: Vec<_> = shop().services().cloned().collect();
        for service in &mut services {
            service.capacity.startup_s = Some(seconds);
        }
        let graph = ServiceGraph::new(services, shop().edges().cloned().collect()).unwrap();
        let output = planned(PolicyKind::Analytic, ScalingKind::TargetTracking, &graph);
        let cost = output.kpis.instance_cost;
        (cost * 1000.0) as u32
    };
    assert!(with_startup(5.0) <= with_startup(1800.0));
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let bytes = || {
        let output = planned(PolicyKind::Analytic, ScalingKind::TargetTracking, &shop());
        serde_json::to_vec(&output.settings).unwrap()
    };
    let threads = |n: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build();
        pool.unwrap().install(bytes)
    };
    assert_eq!(threads(1), threads(3));
}

#[test]
fn a_target_that_is_near_is_held_unless_instances_would_be_given_more_than_is_proposed() {
    let prior = planned(PolicyKind::Analytic, ScalingKind::TargetTracking, &shop()).settings;
    for (times, held) in [(1.03, true), (0.97, false)] {
        let mut proposed = prior.clone();
        for service in proposed.services.values_mut() {
            let mut scaled = service.autoscaling.unwrap();
            scaled.requests_per_second =
                (scaled.requests_per_second * times).min(service.rate_limit.requests_per_second);
            service.autoscaling = Some(scaled);
        }
        let adopted = adopt(&prior, &proposed, 0.1).adopted;
        for (name, service) in &adopted.services {
            let expected = if held { &prior } else { &proposed };
            assert_eq!(
                service.autoscaling, expected.services[name].autoscaling,
                "{times} {name}"
            );
        }
        assert_eq!(guards::check(&adopted), []);
    }
}
