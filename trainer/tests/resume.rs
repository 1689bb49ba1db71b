//! A training that was broken off goes on as if it had not been.

#![allow(clippy::unwrap_used)]

use std::{path::Path, time::Duration};

use burn::tensor::Device;
use foremesh_forecast::neural::Layout;
use foremesh_trainer::{
    TrainError,
    forecaster::{Diet, Ended, Job, Point, Recipe, Samples, Size, Source, Trained, train},
};

const LAYOUT: Layout = Layout::HOURLY;

fn recipe() -> Recipe {
    Recipe {
        size: Size {
            width: 8,
            time_hidden: 8,
            feature_hidden: 8,
            blocks: 1,
        },
        steps: 12,
        batch: 4,
        warm_up: 3,
        evaluate_every: 12,
        ..Recipe::default()
    }
}

fn trained(folder: &Path, recipe: Recipe, time: Option<Duration>) -> Result<Trained, TrainError> {
    let source = Source::new(LAYOUT, &[], Diet::default(), recipe.seed);
    let synthetic = Source::new(LAYOUT, &[], Diet::default(), 77).samples(0, 8);
    train(Job {
        layout: LAYOUT,
        recipe,
        source: &source,
        validation: [&synthetic, &Samples::default()],
        start: None,
        judge: Point::validation,
        folder: Some(folder.to_owned()),
        time,
        device: Device::flex(),
        progress: &mut |_: &Point, _| {},
    })
}

#[test]
fn a_training_that_is_broken_off_at_every_step_ends_where_an_unbroken_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let whole = trained(&folder.path().join("whole"), recipe(), None).unwrap();
    assert_eq!(whole.ended, Ended::Done);
    let broken = folder.path().join("broken");
    let mut runs = 1;
    let last = loop {
        let part = trained(&broken, recipe(), Some(Duration::ZERO)).unwrap();
        if part.ended == Ended::Done {
            break part;
        }
        assert_eq!(part.curve.last().unwrap().step, runs);
        runs += 1;
    };
    assert_eq!(runs, 12);
    let (whole, last) = (whole.curve.last().unwrap(), last.curve.last().unwrap());
    assert_eq!(whole.synthetic, last.synthetic);
    assert_eq!(whole.real, None);
    // It learned something on the way.
    assert!(whole.synthetic < 0.5, "{}", whole.synthetic);

    let other = Recipe {
        learning_rate: 2e-3,
        ..recipe()
    };
    let said = trained(&broken, other, None).unwrap_err().to_string();
    assert!(said.contains("another recipe"), "{said}");
    std::fs::write(broken.join("weights"), "no weights").unwrap();
    let said = trained(&broken, recipe(), None).unwrap_err().to_string();
    assert!(said.contains("weights"), "{said}");
}
