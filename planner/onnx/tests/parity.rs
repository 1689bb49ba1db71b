//! Both runtimes give the same answers, and each gives the same answer twice.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod library;
mod models;

use foremesh_onnx::{Inference, Model, Tensor};
use models::{Draws, Example, examples};

const BATCHES: [usize; 4] = [1, 2, 10, 67];

fn load(inference: &Inference, example: &Example) -> Model {
    inference
        .load(&example.bytes, example.name, &example.contract)
        .unwrap()
}

fn answers(model: &Model, example: &Example, batch: usize) -> Vec<Tensor> {
    let inputs = (example.inputs)(&mut Draws::new(batch as u64), batch);
    model.run(&inputs).unwrap()
}

fn furthest(a: &[Tensor], b: &[Tensor]) -> f32 {
    assert_eq!(a.len(), b.len());
    let pairs = a.iter().zip(b).flat_map(|(a, b)| {
        assert_eq!(a.shape(), b.shape());
        a.as_f32().unwrap().iter().zip(b.as_f32().unwrap())
    });
    let apart = pairs.map(|(a, b)| {
        assert!(a.is_finite() && b.is_finite());
        (a - b).abs() / a.abs().max(1.0)
    });
    apart.fold(0.0, f32::max)
}

#[test]
fn runtimes_agree_to_a_ten_thousandth() {
    let Some(onnxruntime) = library::onnxruntime(Some(1)) else {
        return;
    };
    let embedded = library::embedded();
    for example in examples() {
        let ours = load(&embedded, &example);
        let theirs = load(&onnxruntime, &example);
        for batch in BATCHES {
            let apart = furthest(
                &answers(&ours, &example, batch),
                &answers(&theirs, &example, batch),
            );
            println!("{} × {batch}: {apart:e}", example.name);
            assert!(apart < 1e-4, "{} × {batch}: {apart}", example.name);
        }
    }
}

#[test]
fn onnx_runtime_gives_the_same_bits_for_the_same_number_of_threads() {
    let [Some(one), Some(other), Some(two)] = [1, 1, 2].map(|n| library::onnxruntime(Some(n)))
    else {
        return;
    };
    assert_ne!(one.runtime().unwrap(), two.runtime().unwrap());
    for example in examples() {
        let [one, other, two] = [&one, &other, &two].map(|inference| load(inference, &example));
        for batch in BATCHES {
            let first = answers(&one, &example, batch);
            let what = format!("{} × {batch}", example.name);
            assert!(first == answers(&one, &example, batch), "{what}");
            assert!(first == answers(&other, &example, batch), "{what}");
            let by_two = answers(&two, &example, batch);
            assert!(by_two == answers(&two, &example, batch), "{what}");
            assert!(furthest(&first, &by_two) < 1e-5, "{what}");
        }
    }
}

/// A service's forecast may not depend on which others are asked for with it.
#[test]
fn the_embedded_runtime_answers_a_row_the_same_in_any_batch() {
    for example in [models::mlp(), models::mixer()] {
        let model = load(&library::embedded(), &example);
        let (name, all) = (example.inputs)(&mut Draws::new(3), 10).remove(0);
        let together = model.run(&[(name, all.clone())]).unwrap().remove(0);
        let width = together.elements().len() / 10;
        for row in 0..10 {
            let length = all.elements().len() / 10;
            let mut shape = all.shape().to_vec();
            shape[0] = 1;
            let values = &all.as_f32().unwrap()[row * length..(row + 1) * length];
            let one = Tensor::f32(shape, values.to_vec()).unwrap();
            let alone = model.run(&[(name, one)]).unwrap().remove(0);
            let same = alone.as_f32().unwrap()
                == &together.as_f32().unwrap()[row * width..(row + 1) * width];
            assert!(same, "{} row {row}", example.name);
        }
    }
}

#[test]
fn a_graph_without_edges_and_a_batch_of_none_are_answered() {
    let inferences = [Some(library::embedded()), library::onnxruntime(Some(1))];
    for inference in inferences.into_iter().flatten() {
        let network = models::graph_network();
        let model = load(&inference, &network);
        let none = || Tensor::i64([0], vec![]).unwrap();
        let answer = model
            .run(&[
                ("nodes", Draws::new(1).tensor(&[4, 8])),
                ("from", none()),
                ("to", none()),
            ])
            .unwrap();
        assert_eq!(answer[0].shape(), [4, 3]);
        for example in [models::mlp(), models::mixer()] {
            let answer = answers(&load(&inference, &example), &example, 0);
            assert_eq!(answer[0].shape()[0], 0, "{}", example.name);
        }
    }
}

#[test]
fn threads_share_a_model() {
    for inference in [Some(library::embedded()), library::onnxruntime(Some(2))]
        .into_iter()
        .flatten()
    {
        let example = models::mixer();
        let model = load(&inference, &example);
        let expected = answers(&model, &example, 3);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert!(answers(&model, &example, 3) == expected));
            }
        });
    }
}
