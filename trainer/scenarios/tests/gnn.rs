//! Whatever a net answers, plans stay within what a region allows, and what it sees is finite.

#![allow(clippy::unwrap_used)]

use foremesh_model::{PolicyKind, ProfileRequest, ScalingKind};
use foremesh_policy::{
    Method, Networks, PolicyError, PolicyInput, PolicyOutput,
    gnn::{ACTIONS, ATTAINMENT, MOST, Network, NetworkError, Region, States},
    guards, plan, plan_with,
};
use foremesh_scenarios::{Family, Scenario, scenario};
use proptest::prelude::*;

fn with_region<T>(scenario: &Scenario, then: impl FnOnce(&Region<'_>) -> T) -> T {
    let input = PolicyInput {
        graph: &scenario.graph,
        demand: &scenario.demand,
        request: &scenario.request,
    };
    then(&Region::of(&input).unwrap())
}

fn answer() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => -4.0..4.0f64,
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => Just(f64::NEG_INFINITY),
        1 => Just(1e300),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_answer_makes_a_plan_within_bounds(
        family in prop::sample::select(Family::ALL.to_vec()),
        services in 1usize..14,
        seed in 0u64..1000,
        drawn in prop::collection::vec([answer(), answer()], 14),
    ) {
        let scenario = scenario(family, services, seed).unwrap();
        with_region(&scenario, |region| {
            let answers: Vec<[f64; ACTIONS]> = drawn[..region.services()].to_vec();
            let plan = region.plan(&answers);
            prop_assert_eq!(plan.schedule.len(), region.hours());
            for (hour, row) in plan.schedule.iter().enumerate() {
                for (s, n) in row.iter().enumerate() {
                    let [fewest, most] = region.bounds(hour, s);
                    prop_assert!((fewest..=most).contains(n), "{} of {fewest} to {most}", n);
                }
            }
            prop_assert!(plan.instance_rps.iter().all(|rps| rps.is_finite() && *rps > 0.0));
            let minutes = region.minutes(seed, 2, 3).unwrap();
            let judged = plan.judged(region, &minutes);
            prop_assert!(judged.cost_per_hour.is_finite() && (0.0..=1.0).contains(&judged.kept));
            // The guard never keeps less than what it was given.
            let safe = region.secured(&answers, &minutes, 1.0);
            prop_assert!(safe.judged.kept >= judged.kept.min(ATTAINMENT));
            Ok(())
        })?;
    }

    #[test]
    fn what_is_seen_is_finite_and_names_what_there_is(
        family in prop::sample::select(Family::ALL.to_vec()),
        services in 1usize..40,
        seed in 0u64..1000,
    ) {
        let scenario = scenario(family, services, seed).unwrap();
        let states = with_region(&scenario, States::of);
        let numbers = [&states.service, &states.entry, &states.call, &states.visit];
        for number in numbers.into_iter().flatten() {
            prop_assert!(number.abs() <= MOST as f32);
        }
        let within = |places: &[i64], most: usize| places.iter().all(|at| (0..most as i64).contains(at));
        prop_assert!(within(&states.caller, states.services) && within(&states.callee, states.services));
        prop_assert!(within(&states.visited, states.services) && within(&states.visitor, states.entries));
        prop_assert_eq!(&states, &with_region(&scenario, States::of));
    }
}

#[test]
fn searching_service_by_service_is_never_worse_than_one_answer_for_all() {
    for seed in 0..6 {
        let scenario = scenario(Family::TRAINING[seed as usize % 4], 5, seed).unwrap();
        with_region(&scenario, |region| {
            let minutes = region.minutes(1, 6, 10).unwrap();
            let uniform = region.uniform(&minutes);
            let searched = region.searched(uniform.clone(), &minutes, 20_000);
            assert!(searched.trials > uniform.trials);
            assert!(searched.attains() || !uniform.attains());
            if uniform.attains() {
                assert!(searched.judged.cost_per_hour <= uniform.judged.cost_per_hour);
            }
        });
    }
}

/// Says the same of every service.
#[derive(Debug)]
struct Says([f32; ACTIONS]);

impl Network for Says {
    fn answer(&self, states: &States) -> Result<Vec<f32>, NetworkError> {
        Ok(self.0.repeat(states.services))
    }
}

fn planned(
    scenario: &Scenario,
    scaling: ScalingKind,
    network: Option<&dyn Network>,
) -> Result<PolicyOutput, PolicyError> {
    let request = ProfileRequest {
        policy: PolicyKind::Gnn,
        scaling,
        prove_faults: Some(0),
        search_windows: Some(0),
        ..scenario.request.clone()
    };
    let input = PolicyInput {
        graph: &scenario.graph,
        demand: &scenario.demand,
        request: &request,
    };
    let networks = Networks {
        policy: network,
        refinement: None,
    };
    plan_with(&input, networks)
}

const TRACKS: ScalingKind = ScalingKind::TargetTracking;

#[test]
fn a_plan_keeps_the_guards_whatever_a_net_says() {
    for (seed, said) in [[0.0, 0.0], [3.0, -9.0], [-9.0, 9.0], [f32::MAX, f32::MIN]]
        .into_iter()
        .enumerate()
    {
        for family in Family::ALL {
            let scenario = scenario(family, 7, seed as u64).unwrap();
            let output = planned(&scenario, TRACKS, Some(&Says(said))).unwrap();
            assert_eq!(guards::check(&output.settings), [], "{}", scenario.name);
            let again = planned(&scenario, TRACKS, Some(&Says(said))).unwrap();
            assert_eq!(output, again);
            // What is taken is worth at least as much as the floor and the rule.
            let of = |name: &str| {
                let named = output.candidates.iter().find(|c| c.name.starts_with(name));
                named.filter(|c| c.holds).map(|c| c.score)
            };
            let taken = output.candidates[0].score;
            let others = ["learned", "rule", "schedule at the 0.99 "].map(of);
            assert!(
                others.iter().flatten().all(|score| taken >= *score),
                "{:?}",
                output.candidates
            );
        }
    }
}

#[test]
fn reasons_of_a_learned_plan_say_what_moved_it() {
    let learned = (0..20).find_map(|seed| {
        let scenario = scenario(Family::Layered, 6, seed).unwrap();
        let output = planned(&scenario, TRACKS, Some(&Says([0.0, 0.0]))).unwrap();
        matches!(output.method, Method::Gnn { .. }).then_some(output)
    });
    let output = learned.unwrap();
    let learned = |reason: &&foremesh_model::Reason| reason.rule == "learned";
    let texts: Vec<&str> = (output.reasons.values().filter(learned))
        .map(|reason| reason.text.as_str())
        .collect();
    let said = texts
        .iter()
        .filter(|t| t.contains("What moved the quantile most"));
    assert!(said.count() > 0, "{texts:?}");
}

/// Says the floor's rule, and that it learned on regions of so many services.
#[derive(Debug)]
struct LearnedOn(usize);

impl Network for LearnedOn {
    fn answer(&self, states: &States) -> Result<Vec<f32>, NetworkError> {
        Says([0.0; ACTIONS]).answer(states)
    }

    fn most_services(&self) -> Option<usize> {
        Some(self.0)
    }
}

#[test]
fn a_region_larger_than_a_net_learned_on_is_said() {
    let codes = |scenario: &Scenario, most: usize| {
        let output = planned(scenario, TRACKS, Some(&LearnedOn(most))).unwrap();
        let learned = matches!(output.method, Method::Gnn { .. });
        let said = output.warnings.into_iter();
        let said: Vec<_> = said.filter(|w| w.code == "larger_than_learned").collect();
        learned.then_some(said)
    };
    let (services, scenario) = (0..20)
        .map(|seed| (6, scenario(Family::Layered, 6, seed).unwrap()))
        .find(|(_, scenario)| codes(scenario, 6).is_some())
        .unwrap();
    assert_eq!(scenario.graph.len(), services);
    assert_eq!(codes(&scenario, services), Some(Vec::new()));
    let said = codes(&scenario, services - 1).unwrap();
    assert!(
        said.len() == 1 && said[0].text.contains("at most 5"),
        "{said:?}"
    );
}

#[test]
fn what_cannot_be_learned_from_is_said() {
    let scenario = scenario(Family::Layered, 6, 1).unwrap();
    let zeros = Says([0.0; ACTIONS]);
    let alone = planned(&scenario, ScalingKind::Scheduled, Some(&zeros)).unwrap_err();
    assert!(alone.to_string().contains("target_tracking"), "{alone}");
    assert_eq!(
        planned(&scenario, TRACKS, None),
        Err(PolicyError::NoNetwork)
    );

    #[derive(Debug)]
    struct Broken;
    impl Network for Broken {
        fn answer(&self, states: &States) -> Result<Vec<f32>, NetworkError> {
            let services = states.services;
            Err(NetworkError::Answer {
                services,
                answers: 0,
                each: ACTIONS,
            })
        }
    }
    let broken = planned(&scenario, TRACKS, Some(&Broken)).unwrap_err();
    assert!(broken.to_string().contains("damaged"), "{broken}");
    let request = ProfileRequest::default();
    let input = PolicyInput {
        graph: &scenario.graph,
        demand: &scenario.demand,
        request: &request,
    };
    // Nobody else asks a net.
    let networks = Networks {
        policy: Some(&Broken),
        refinement: Some(&Broken),
    };
    assert_eq!(plan_with(&input, networks), plan(&input));
}
