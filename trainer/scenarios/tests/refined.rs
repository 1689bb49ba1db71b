//! Settings that a net turns because of faults: whatever it says, every promise of a plan is kept, and each value says why.

#![allow(clippy::unwrap_used)]

use foremesh_model::{
    InferenceSettings, PolicyKind, ProfileRequest, ScalingKind, Warning,
    random::{mix, uniform},
};
use foremesh_pipeline::{Models, compute_profile};
use foremesh_policy::{
    Networks, PolicyError, PolicyInput, PolicyOutput,
    drill::{KNOBS, MOVES},
    gnn::{Network, NetworkError, States},
    guards, plan_with,
};
use foremesh_scenarios::{Family, Options, Scenario, scenario_with};
use rayon::prelude::*;

/// Says anything.
#[derive(Debug)]
struct Anything(u64);

impl Network for Anything {
    fn answer(&self, states: &States) -> Result<Vec<f32>, NetworkError> {
        assert!(states.service.iter().all(|number| number.is_finite()));
        let places = 0..(states.services * KNOBS * MOVES) as u64;
        let numbers = places.map(|place| uniform(mix(self.0, place)) as f32 - 0.5);
        Ok(numbers.collect())
    }
}

/// Says too little.
#[derive(Debug)]
struct Short;

impl Network for Short {
    fn answer(&self, states: &States) -> Result<Vec<f32>, NetworkError> {
        Ok(vec![0.0; states.services])
    }
}

fn drawn(family: Family, services: usize, seed: u64, total_rps: Option<f64>) -> Scenario {
    let options = Options {
        total_rps,
        most_visits_rps: total_rps.map_or(300.0, |_| f64::MAX),
    };
    scenario_with(family, services, seed, &options).unwrap()
}

fn planned(
    scenario: &Scenario,
    scaling: ScalingKind,
    faults: u32,
    refinement: Option<&dyn Network>,
) -> Result<PolicyOutput, PolicyError> {
    let request = ProfileRequest {
        policy: PolicyKind::Search,
        scaling,
        prove_faults: Some(faults),
        search_windows: Some(0),
        ..scenario.request.clone()
    };
    let input = PolicyInput {
        graph: &scenario.graph,
        demand: &scenario.demand,
        request: &request,
    };
    let networks = Networks {
        policy: None,
        refinement,
    };
    plan_with(&input, networks)
}

fn of_code<'o>(output: &'o PolicyOutput, code: &'static str) -> Vec<&'o Warning> {
    let warnings = output.warnings.iter();
    warnings.filter(|warning| warning.code == code).collect()
}

#[test]
fn whatever_a_net_says_a_refined_plan_keeps_what_the_plan_kept() {
    let turned: usize = (0..24u64)
        .into_par_iter()
        .map(|i| {
            let family = Family::ALL[i as usize % Family::ALL.len()];
            let scenario = drawn(family, 3 + i as usize % 7, 500 + i, None);
            let scaling = match i % 4 {
                3 => ScalingKind::TargetTracking,
                _ => ScalingKind::Scheduled,
            };
            let plain = planned(&scenario, scaling, 4, None).unwrap();
            let net = Anything(i);
            let refined = planned(&scenario, scaling, 4, Some(&net)).unwrap();
            assert_eq!(
                guards::check(&refined.settings),
                guards::check(&plain.settings)
            );
            assert!(refined.kpis.holds || !plain.kpis.holds, "{}", scenario.name);
            for (old, new) in plain.faults.iter().zip(&refined.faults) {
                assert!(new.kept || !old.kept, "{}: {new:?}", scenario.name);
                assert!(
                    new.recovered || !old.recovered,
                    "{}: {new:?}",
                    scenario.name
                );
            }
            assert_eq!(refined.reasons.len(), plain.reasons.len());
            match refined.turned {
                true => {
                    assert_ne!(refined.settings, plain.settings);
                    assert_eq!(of_code(&refined, "refined_under_faults").len(), 1);
                }
                false => assert_eq!(refined, plain),
            }
            usize::from(refined.turned)
        })
        .sum();
    assert!(turned > 0, "nothing was ever turned: nothing was tested");
}

#[test]
fn each_value_that_was_turned_says_from_what_and_what_for() {
    let models = Models::default();
    let net = models.refinement().unwrap();
    // Of the first forty, four have something to gain; the first of these is none of them.
    let turned: usize = [3u64, 14, 17, 18, 31]
        .into_par_iter()
        .map(|i| {
            let family = Family::ALL[i as usize % Family::ALL.len()];
            let scenario = drawn(family, 6, 500 + i, None);
            let plan = |refinement| planned(&scenario, ScalingKind::Scheduled, 4, refinement);
            let plain = plan(None).unwrap();
            let refined = plan(Some(net)).unwrap();
            assert_eq!(refined, plan(Some(net)).unwrap());
            let values = |output: &PolicyOutput| serde_json::to_value(&output.settings).unwrap();
            let (before, after) = (values(&plain), values(&refined));
            let (mut said, mut sources) = (0, 0);
            for (path, reason) in &refined.reasons {
                let at = pointer(path);
                let moved = before.pointer(&at) != after.pointer(&at);
                let tells = reason.text.contains("because of faults it is ");
                assert!(tells || !moved, "{path}: {}", reason.text);
                if tells {
                    let value = after.pointer(&at).unwrap();
                    assert!(
                        reason
                            .text
                            .contains(&format!("because of faults it is {value} in place of ")),
                        "{path}: {}",
                        reason.text
                    );
                    let keys = reason.inputs.keys();
                    sources += keys
                        .filter(|key| key.starts_with("fewer_missed_share"))
                        .count();
                    said += 1;
                }
            }
            assert_eq!(said > 0, refined.turned, "{}", scenario.name);
            assert!(
                // One knob turns several values, of which some say only what the first says.
                3 * sources >= said,
                "{}: {said} values, {sources} sources",
                scenario.name
            );
            usize::from(refined.turned)
        })
        .sum();
    assert!(turned > 0, "nothing was ever turned: nothing was tested");
}

/// `services["a"].rate_limit.burst` as a JSON pointer.
fn pointer(path: &str) -> String {
    let mut found = String::new();
    let mut parts = path.split('"');
    let first = parts.next().unwrap_or_default();
    found.push('/');
    found += first.trim_end_matches('[');
    if let (Some(name), Some(rest)) = (parts.next(), parts.next()) {
        found.push('/');
        found += &name.replace('~', "~0").replace('/', "~1");
        found += &rest.trim_start_matches(']').replace('.', "/");
    }
    found
}

#[test]
fn nobody_is_asked_where_nothing_is_tried_and_too_much_traffic_is_said() {
    let scenario = drawn(Family::Layered, 5, 9, None);
    let plain = planned(&scenario, ScalingKind::Scheduled, 0, None).unwrap();
    let asked = planned(&scenario, ScalingKind::Scheduled, 0, Some(&Short)).unwrap();
    assert_eq!(plain, asked);
    let error = planned(&scenario, ScalingKind::Scheduled, 2, Some(&Short)).unwrap_err();
    assert!(matches!(error, PolicyError::Refinement(_)), "{error}");
    assert!(error.to_string().contains("refinement_model"), "{error}");
    let busy = drawn(Family::Layered, 5, 9, Some(200_000.0));
    let output = planned(&busy, ScalingKind::Scheduled, 4, Some(&Short)).unwrap();
    assert_eq!(of_code(&output, "not_refined").len(), 1);
    assert!(!output.turned);
}

#[test]
fn a_model_that_cannot_be_used_is_an_error_and_none_is_no_model() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("damaged.onnx"), b"not a model").unwrap();
    let other = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/policy.onnx");
    std::fs::copy(other, folder.path().join("other.onnx")).unwrap();
    let scenario = drawn(Family::Layered, 5, 500, None);
    let request = ProfileRequest {
        policy: PolicyKind::Search,
        search_windows: Some(0),
        ..scenario.request.clone()
    };
    let planned = |model: Option<&str>| {
        let settings = InferenceSettings {
            refinement_model: model.map(Into::into),
            ..InferenceSettings::default()
        };
        let models = Models::of(&settings, folder.path());
        compute_profile(&scenario.graph, &scenario.demand, &request, &models)
    };
    for (file, says) in [
        ("missing.onnx", "missing.onnx"),
        ("damaged.onnx", "damaged.onnx"),
        ("other.onnx", "foremesh.refinement"),
    ] {
        let error = planned(Some(file)).unwrap_err().to_string();
        assert!(error.contains(says), "{file}: {error}");
    }
    let [none, usual] = [Some("none"), None].map(|model| planned(model).unwrap());
    assert_eq!(none.identity.policy, "search");
    let refined = usual.settings != none.settings;
    assert_eq!(
        usual.identity.policy.contains("; refined by"),
        refined,
        "{}",
        usual.identity.policy
    );
}
