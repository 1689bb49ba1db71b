//! Knobs of drawn regions: whatever is turned within its range keeps every invariant, and a look is a function of its arguments.
#![allow(clippy::unwrap_used)]

use foremesh_model::{
    FaultKind, PolicyKind, ProfileRequest,
    random::{mix, uniform},
};
use foremesh_policy::{
    PolicyInput,
    drill::{DRILL_FEATURES, Drill, KNOBS, Knob, Spans, Steps},
    guards,
};
use foremesh_scenarios::{Family, Options, Scenario, scenario_with};
use rayon::prelude::*;

const SPANS: Spans = Spans {
    before_s: 1.0,
    phase_s: 3.0,
};

fn drawn(family: Family, services: usize, seed: u64) -> (Scenario, ProfileRequest) {
    let options = Options {
        total_rps: None,
        most_visits_rps: 300.0,
    };
    let scenario = scenario_with(family, services, seed, &options).unwrap();
    let request = ProfileRequest {
        policy: PolicyKind::Analytic,
        prove_faults: Some(0),
        ..scenario.request.clone()
    };
    (scenario, request)
}

fn with_drill<T>(
    family: Family,
    services: usize,
    seed: u64,
    then: impl FnOnce(&Drill<'_>) -> T,
) -> T {
    let (scenario, request) = drawn(family, services, seed);
    let input = PolicyInput {
        graph: &scenario.graph,
        demand: &scenario.demand,
        request: &request,
    };
    let surge = FaultKind::RetryStorm {
        service: String::new(),
        factor: scenario.surge,
    };
    let faults = std::iter::once(surge).chain(scenario.faults.iter().map(|f| f.kind.clone()));
    let drill = Drill::of(input, faults.collect(), SPANS).unwrap();
    then(&drill.unwrap())
}

/// Steps within their ranges, some at random.
fn turned(drill: &Drill<'_>, key: u64) -> Vec<Steps> {
    let services = drill.ranges().iter().zip(0..);
    services
        .map(|(range, s)| {
            let mut steps = [0; KNOBS];
            for (k, (step, [lowest, highest])) in steps.iter_mut().zip(range).enumerate() {
                let places = f64::from(highest - lowest) + 1.0;
                let place = uniform(mix(mix(key, s), k as u64)) * places;
                *step = (*lowest + place as i8).min(*highest);
            }
            steps
        })
        .collect()
}

#[test]
fn whatever_is_turned_every_invariant_holds() {
    let families = Family::ALL.into_par_iter().enumerate();
    families.for_each(|(i, family)| {
        for services in [1, 5, 12] {
            with_drill(family, services, 40 + i as u64, |drill| {
                let as_planned = drill.settings(&vec![[0; KNOBS]; drill.services()]);
                let broken = guards::check(&as_planned);
                for key in 0..12 {
                    let steps = turned(drill, key);
                    let settings = drill.settings(&steps);
                    assert_eq!(
                        guards::check(&settings),
                        broken,
                        "{family} {services} {steps:?}"
                    );
                    assert_eq!(settings, drill.settings(&steps));
                    assert!(drill.extra_cost(&steps) >= 0.0);
                }
            });
        }
    });
}

#[test]
fn each_knob_turns_somewhere_and_turns_what_it_says() {
    let mut turns = [0; KNOBS];
    for seed in 0..6 {
        with_drill(Family::Layered, 8, seed, |drill| {
            let nothing = vec![[0; KNOBS]; drill.services()];
            let planned = drill.settings(&nothing);
            for s in 0..drill.services() {
                for k in 0..KNOBS {
                    let [_, highest] = drill.ranges()[s][k];
                    if highest == 0 {
                        continue;
                    }
                    let mut steps = nothing.clone();
                    steps[s][k] = 1;
                    let settings = drill.settings(&steps);
                    assert_ne!(settings, planned);
                    turns[k] += 1;
                    let costs = drill.extra_cost(&steps) > 0.0;
                    assert_eq!(costs, Knob::ALL[k] == Knob::Standby, "{:?}", Knob::ALL[k]);
                }
            }
        });
    }
    assert!(turns.iter().all(|turns| *turns > 0), "{turns:?}");
}

#[test]
fn a_look_is_the_same_on_the_same_random_numbers() {
    with_drill(Family::Attachment, 6, 3, |drill| {
        let nothing = vec![[0; KNOBS]; drill.services()];
        let sight = drill.look(&nothing, 5).unwrap();
        assert_eq!(sight, drill.look(&nothing, 5).unwrap());
        assert_ne!(sight, drill.look(&nothing, 6).unwrap());
        assert!((0.0..=1.0).contains(&sight.missed_disturbed()));
        assert!((0.0..=1.0).contains(&sight.missed_undisturbed()));
        // More of what there is to know is said of each service, and nothing that is no number.
        let states = drill.states(&nothing, &sight, 0.25);
        assert_eq!(states.service.len(), drill.services() * DRILL_FEATURES);
        assert!(states.service.iter().all(|number| number.is_finite()));
    });
}
