//! A plan from whose faults the mesh does not recover is given room until it does, or says that it does not.

#![allow(clippy::unwrap_used)]

use foremesh_model::{PolicyKind, ProfileRequest, ScalingKind, Warning};
use foremesh_policy::{PolicyInput, PolicyOutput, guards, plan};
use foremesh_scenarios::{Family, Options, Scenario, scenario_with};

const FAULTS: u32 = 6;

fn drawn(family: Family, services: usize, seed: u64) -> Scenario {
    let options = Options {
        total_rps: None,
        most_visits_rps: 5_000.0,
    };
    scenario_with(family, services, seed, &options).unwrap()
}

fn planned(scenario: &Scenario, policy: PolicyKind, scaling: ScalingKind) -> PolicyOutput {
    let request = ProfileRequest {
        policy,
        scaling,
        prove_faults: Some(FAULTS),
        ..scenario.request.clone()
    };
    let input = PolicyInput {
        graph: &scenario.graph,
        demand: &scenario.demand,
        request: &request,
    };
    let output = plan(&input).unwrap();
    assert_eq!(guards::check(&output.settings), []);
    output
}

fn of_code<'o>(output: &'o PolicyOutput, code: &'static str) -> Vec<&'o Warning> {
    let warnings = output.warnings.iter();
    warnings.filter(|warning| warning.code == code).collect()
}

/// Fields whose reason says that they are more for the sake of a fault.
fn given_room(output: &PolicyOutput) -> Vec<&str> {
    let reasons = output.reasons.iter();
    reasons
        .filter(|(_, reason)| {
            reason
                .text
                .contains("so that objectives are kept again after")
        })
        .map(|(path, _)| path.rsplit('.').next().unwrap())
        .collect()
}

#[test]
fn a_searched_schedule_gets_standby_until_it_recovers() {
    let scenario = drawn(Family::Attachment, 8, 3_003);
    let output = planned(&scenario, PolicyKind::Search, ScalingKind::Scheduled);
    assert_eq!(output.faults.len(), FAULTS as usize);
    assert!(output.faults.iter().all(|verdict| verdict.recovered));
    let fields = given_room(&output);
    assert!(!fields.is_empty() && fields.iter().all(|field| *field == "standby_instances"));
    assert!(!of_code(&output, "room_for_recovery").is_empty());
    // What it costs is what was weighed.
    let without = ProfileRequest {
        policy: PolicyKind::Search,
        prove_faults: Some(0),
        ..scenario.request.clone()
    };
    let input = PolicyInput {
        graph: &scenario.graph,
        demand: &scenario.demand,
        request: &without,
    };
    let bare = plan(&input).unwrap();
    let [cost, bare_cost] = [&output, &bare].map(|o| o.candidates[0].instance_cost);
    assert!(
        cost > bare_cost && cost < 1.1 * bare_cost,
        "{cost} for {bare_cost}"
    );
    assert_eq!(
        planned(&scenario, PolicyKind::Search, ScalingKind::Scheduled),
        output
    );
}

#[test]
fn with_an_autoscaler_the_schedule_gets_it() {
    let scenario = drawn(Family::Tree, 12, 3_000);
    let output = planned(&scenario, PolicyKind::Search, ScalingKind::TargetTracking);
    assert!(output.faults.iter().all(|verdict| verdict.recovered));
    let fields = given_room(&output);
    assert!(!fields.is_empty() && fields.iter().all(|field| *field == "instances"));
    let services = output.settings.services.values();
    for (scaled, service) in services.filter_map(|s| Some((s.autoscaling?, s))) {
        assert!(scaled.most_instances >= service.instances.most());
    }
}

#[test]
fn the_floor_is_judged_and_not_changed() {
    let scenario = drawn(Family::Attachment, 12, 3_007);
    let output = planned(&scenario, PolicyKind::Analytic, ScalingKind::Scheduled);
    assert!(output.faults.iter().any(|verdict| !verdict.recovered));
    assert!(!of_code(&output, "fault_not_recovered").is_empty());
    assert_eq!(given_room(&output), [""; 0]);
    assert!(of_code(&output, "room_for_recovery").is_empty());
}
