//! Nets that refine settings learn, are judged, and go on where they were broken off.

#![allow(clippy::unwrap_used)]

use std::{path::Path, time::Duration};

use foremesh_trainer::{
    TrainError,
    refinement::{Actors, Learner, Options, Point, Recipe, Report, run},
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
        choosing: 4,
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
        let [card, curve] = &report.files;
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
