//! Objectives that cannot be kept: what a plan then costs, what it says, and that every policy answers.
#![allow(clippy::unwrap_used)]

use foremesh_model::{PolicyKind, ProfileRequest, ScalingKind, Severity, Warning};
use foremesh_policy::{Networks, PolicyInput, PolicyOutput, gnn, guards, plan_with};
use foremesh_scenarios::{Family, Options, Scenario, scenario, scenario_with};
use rayon::prelude::*;

/// Says of every service what the floor's rule does.
#[derive(Debug)]
struct Rule;

impl gnn::Network for Rule {
    fn answer(&self, states: &gnn::States) -> Result<Vec<f32>, gnn::NetworkError> {
        Ok(vec![0.0; states.services * gnn::ACTIONS])
    }
}

fn planned(drawn: &Scenario, request: &ProfileRequest) -> PolicyOutput {
    let input = PolicyInput {
        graph: &drawn.graph,
        demand: &drawn.demand,
        request,
    };
    let networks = Networks {
        policy: Some(&Rule),
        refinement: None,
    };
    plan_with(&input, networks).unwrap()
}

fn asked(drawn: &Scenario, policy: PolicyKind, scaling: ScalingKind) -> ProfileRequest {
    ProfileRequest {
        policy,
        scaling,
        prove_faults: Some(0),
        ..drawn.request.clone()
    }
}

const WAYS: [(PolicyKind, ScalingKind); 4] = [
    (PolicyKind::Analytic, ScalingKind::Scheduled),
    (PolicyKind::Search, ScalingKind::Scheduled),
    (PolicyKind::Search, ScalingKind::TargetTracking),
    (PolicyKind::Gnn, ScalingKind::TargetTracking),
];

/// A service may have 40 instances and needs 65: no number of others reaches the objectives of what calls it.
#[test]
fn what_instances_elsewhere_cannot_reach_is_not_paid_for() {
    let drawn = scenario_with(Family::Frontends, 25, 518, &Options::default()).unwrap();
    let [floor, search] = [PolicyKind::Analytic, PolicyKind::Search].map(|policy| {
        let request = ProfileRequest {
            search_windows: Some(0),
            ..asked(&drawn, policy, ScalingKind::Scheduled)
        };
        planned(&drawn, &request)
    });
    let codes = |code: &str| floor.warnings.iter().filter(|w| w.code == code).count();
    assert!(codes("max_instances_reached") > 0);
    // What is named is what can be changed: the service that may have no more.
    let at_most = |w: &&Warning| w.code == "max_instances_reached";
    let at_most: Vec<_> = floor.warnings.iter().filter(at_most).collect();
    let missed = floor
        .warnings
        .iter()
        .filter(|w| w.code == "objective_missed");
    let missed: Vec<_> = missed.collect();
    assert!(!missed.is_empty());
    for warning in missed {
        let named = |w: &&&Warning| {
            let name = format!("`{}` (has reached max_instances", w.subject);
            warning.text.contains(&name)
        };
        assert!(at_most.iter().any(|w| named(&w)), "{}", warning.text);
    }
    for output in [&floor, &search] {
        let most = output.settings.services.values();
        let most = most.map(|s| (0..24).map(|hour| s.instances.at(hour)).max());
        assert!(
            most.flatten().max() <= Some(100),
            "{:?}",
            output.candidates[0]
        );
    }
}

/// A caution says so exactly where the plan that is taken missed its trial, or the floor, which it need not be better than.
#[test]
fn a_plan_that_misses_its_trial_says_so() {
    let missed: usize = (0..12u64)
        .into_par_iter()
        .map(|seed| {
            let family = [Family::Layered, Family::Frontends][seed as usize % 2];
            let drawn = scenario(family, 7, seed).unwrap();
            let request = asked(&drawn, PolicyKind::Search, ScalingKind::TargetTracking);
            let output = planned(&drawn, &request);
            let said = output.warnings.iter();
            let said: Vec<_> = said.filter(|w| w.code == "missed_in_simulation").collect();
            let floor = |c: &&foremesh_model::Candidate| c.name == "schedule at the 0.99 quantile";
            let mut judged = output.candidates[..1]
                .iter()
                .chain(output.candidates.iter().filter(floor));
            let missed = judged.any(|c| c.kept_in_simulation == Some(false));
            assert_eq!(said.len(), usize::from(missed), "{}", drawn.name);
            assert!(said.iter().all(|w| w.severity == Severity::Caution));
            said.len()
        })
        .sum();
    assert!((1..12).contains(&missed), "{missed}");
}

#[test]
fn objectives_below_the_work_itself_are_answered_by_every_policy() {
    for family in [Family::Tree, Family::Circles, Family::Pipelines] {
        let mut drawn = scenario(family, 6, 3).unwrap();
        drawn.request.slo.latency_ms = 0.5;
        for slo in drawn.request.slos.values_mut() {
            slo.latency_ms = 0.5;
        }
        for (policy, scaling) in WAYS {
            let output = planned(&drawn, &asked(&drawn, policy, scaling));
            assert_eq!(guards::check(&output.settings), [], "{}", drawn.name);
            let said = |w: &Warning| w.severity == Severity::Severe;
            assert!(
                output.warnings.iter().any(said),
                "{policy:?} {}",
                drawn.name
            );
        }
    }
}

/// With room for all of them, every kind has its turn; the first few are two of each service.
#[test]
fn many_faults_are_of_all_kinds() {
    let drawn = scenario(Family::Tree, 3, 2).unwrap();
    let request = |faults| ProfileRequest {
        prove_faults: Some(faults),
        ..asked(&drawn, PolicyKind::Analytic, ScalingKind::Scheduled)
    };
    let kinds = |faults: u32| -> Vec<String> {
        let verdicts = planned(&drawn, &request(faults)).faults;
        verdicts.into_iter().map(|v| v.kind).collect()
    };
    let all = kinds(30);
    for kind in [
        "crash",
        "slow_dependency",
        "retry_storm",
        "errors",
        "latency",
        "cpu",
    ] {
        assert!(all.iter().any(|k| k == kind), "{kind}: {all:?}");
    }
    let few = kinds(4);
    assert!(few.len() == 4 && !few.iter().any(|k| k == "cpu"), "{few:?}");
}
