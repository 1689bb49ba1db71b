//! Nets that refine settings learn, are judged, and go on where they were broken off.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::{path::Path, time::Duration};

use burn::module::Module;
use foremesh_model::{InferenceSettings, ProfileRequest};
use foremesh_onnx::{Inference, Surroundings, read_model};
use foremesh_policy::{
    PolicyInput,
    drill::{Drill, Episode, KNOBS, MOVES, Prices, Spans, contract},
    gnn::{Network, States},
};
use foremesh_scenarios::{Family, scenario};
use foremesh_trainer::{
    TrainError,
    refinement::{Actors, Learner, Options, Point, Preferring, Recipe, Report, Team, export, run},
};

fn trained(recipe: Recipe, folder: &Path, time: Option<Duration>) -> Report {
    let options = Options {
        recipe,
        held_back: 4,
        searched: 10,
        output: folder.to_owned(),
        device: foremesh_trainer::cpu(),
        time,
        command: "by a test".into(),
    };
    run(&options, &mut |_: &Point, _| {}).unwrap()
}

fn recipe(learner: Learner) -> Recipe {
    Recipe {
        regions: 8,
        validation: 4,
        updates: 10,
        batch: 2,
        episodes: 2,
        evaluate_every: 5,
        ..Recipe::of(learner)
    }
}

#[test]
fn each_learner_leaves_a_card_and_a_curve() {
    for learner in [
        Learner::Ppo(Actors::One),
        Learner::Ppo(Actors::Three),
        Learner::Dqn,
    ] {
        let folder = tempfile::tempdir().unwrap();
        let report = trained(recipe(learner), folder.path(), None);
        assert!(report.done && report.curve.len() == 2);
        // Only what plans can use is a model.
        assert_eq!(report.files.len() == 3, learner == Learner::Dqn);
        let [.., card, curve] = &report.files[..] else {
            panic!("{:?}", report.files);
        };
        let card = std::fs::read_to_string(card).unwrap();
        assert!(
            card.contains(learner.word()) && card.contains("local search"),
            "{card}"
        );
        assert!(std::fs::read_to_string(curve).unwrap().starts_with("<svg"));
        for (name, judged) in &report.judged {
            assert!(
                judged.missed.is_finite() && judged.cost >= 0.0,
                "{name}: {judged:?}"
            );
            assert!(judged.better + judged.worse <= 4, "{name}: {judged:?}");
        }
    }
}

#[test]
fn broken_off_it_goes_on_as_if_it_had_not_been() {
    let [whole, broken] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let recipe = recipe(Learner::Ppo(Actors::Three));
    let at_once = trained(recipe.clone(), whole.path(), None);
    // The time is up after the first update, which is then judged.
    let first = trained(recipe.clone(), broken.path(), Some(Duration::ZERO));
    assert!(!first.done && first.curve.len() == 1 && first.curve[0].step == 1);
    let then = trained(recipe.clone(), broken.path(), None);
    assert!(then.done);
    let last = |report: &Report| {
        let last = report.curve.last().unwrap();
        [last.missed, last.cost, last.undisturbed, last.price]
    };
    assert_eq!(last(&at_once), last(&then));
    let other = Recipe { seed: 9, ..recipe };
    let options = Options {
        recipe: other,
        held_back: 4,
        searched: 10,
        output: broken.path().to_owned(),
        device: foremesh_trainer::cpu(),
        time: None,
        command: "by a test".into(),
    };
    let refused = run(&options, &mut |_: &Point, _| {});
    assert!(
        matches!(refused, Err(TrainError::Checkpoint { .. })),
        "{refused:?}"
    );
}

#[test]
fn what_a_team_prefers_is_what_its_file_says_in_every_runtime() {
    let device = foremesh_trainer::cpu();
    device.seed(5);
    let team = Team::new(Actors::One, &device.clone().autodiff()).valid();
    let preferring = Preferring::of(&team, Learner::Dqn, &device);
    let file = export(&preferring, &[("made", "by a test".into())]).unwrap();
    let mut states = States::default();
    for (family, services) in [(Family::Layered, 1), (Family::Circles, 9)] {
        let scenario = scenario(family, services, 7).unwrap();
        let request = ProfileRequest {
            prove_faults: Some(0),
            ..scenario.request.clone()
        };
        let input = PolicyInput {
            graph: &scenario.graph,
            demand: &scenario.demand,
            request: &request,
        };
        let spans = Spans {
            before_s: 0.2,
            phase_s: 0.5,
        };
        let drill = Drill::of(input, vec![scenario.faults[0].kind.clone()], spans)
            .unwrap()
            .unwrap();
        let episode = Episode::begin(&drill, 1, Prices::OF_PLANS).unwrap();
        states.append(&episode.states(0));
    }
    let trained = preferring.answer(&states).unwrap();
    assert_eq!(trained.len(), states.services * KNOBS * MOVES);
    let said_by = |settings: &InferenceSettings, file: &[u8]| {
        let inference = Inference::discover(settings, Surroundings::of_process());
        let model = inference.load(file, "test.onnx", &contract()).unwrap();
        model.answer(&states).unwrap()
    };
    let off = |a: &[f32], b: &[f32]| {
        let off = a.iter().zip(b).map(|(a, b)| (a - b).abs());
        off.fold(0.0, f32::max)
    };
    let embedded = InferenceSettings::default();
    let same = off(&trained, &said_by(&embedded, &file));
    assert!(same < 1e-4, "embedded: {same}");
    let Some(other) = common::onnx_runtime() else {
        return;
    };
    let same = off(&trained, &said_by(&other, &file));
    assert!(same < 1e-4, "ONNX Runtime: {same}");
    // The one inside the program.
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/refinement-dqn.onnx");
    let shipped = read_model(Path::new(path)).unwrap();
    let same = off(&said_by(&embedded, &shipped), &said_by(&other, &shipped));
    assert!(same < 1e-4, "shipped: {same}");
}
