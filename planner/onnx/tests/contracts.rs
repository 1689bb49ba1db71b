//! What is not a model, or not the model that is asked for, is refused with its name and how to mend it.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod library;
mod models;
mod scale;

use foremesh_model::{DeviceKind, RuntimeKind};
use foremesh_onnx::{
    Inference, InferenceError, KEY_CONTRACT, KEY_CONTRACT_VERSION, LazyModel, ModelError,
    ModelSource, Surroundings, Tensor, check,
    proto::{ModelProto, StringStringEntryProto},
    read_model,
};
use scale::{changed, contract, good, graph, metadata};

#[test]
fn a_good_model_tells_of_itself_and_runs() {
    let file = check(&good(), "good.onnx", &contract()).unwrap();
    assert_eq!(file.producer, "foremesh 0.1.0");
    assert_eq!(
        file.metadata["trained_with"],
        "foremesh train forecaster --seed 7"
    );
    let model = library::embedded()
        .load(&good(), "good.onnx", &contract())
        .unwrap();
    assert_eq!(model.identity().sha256, file.sha256);
    assert_eq!(
        model.identity().to_string(),
        format!(
            "test.scale 3, SHA-256 {}, tract 0.23.9 on cpu",
            &file.sha256[..12]
        )
    );
    let x = Tensor::f32([2, 2], vec![1.0, 1.0, 10.0, 100.0]).unwrap();
    let y = model.run(&[("x", x)]).unwrap();
    assert_eq!(y[0].as_f32(), Some([2.5, 3.5, 20.5, 300.5].as_slice()));
}

#[test]
fn each_fault_of_a_file_has_its_own_answer() {
    let port = |change: fn(&mut ModelProto)| changed(change);
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", vec![]),
        (
            "a text",
            b"version https://git-lfs.github.com/spec/v1\n".to_vec(),
        ),
        ("cut short", good()[..good().len() - 7].to_vec()),
        ("no graph", changed(|model| model.graph = None)),
        ("file format", changed(|model| model.ir_version = 99)),
        ("no contract", changed(|model| model.metadata_props.clear())),
        (
            "other contract",
            changed(|model| {
                metadata(model, KEY_CONTRACT);
                model.metadata_props.push(StringStringEntryProto {
                    key: KEY_CONTRACT.into(),
                    value: "foremesh.policy".into(),
                });
            }),
        ),
        (
            "other version",
            changed(|model| {
                metadata(model, KEY_CONTRACT_VERSION);
                model.metadata_props.push(StringStringEntryProto {
                    key: KEY_CONTRACT_VERSION.into(),
                    value: "2".into(),
                });
            }),
        ),
        ("no opset", changed(|model| model.opset_import.clear())),
        (
            "opset too new",
            changed(|model| model.opset_import[0].version = 25),
        ),
        (
            "opset too old",
            changed(|model| model.opset_import[0].version = 9),
        ),
        (
            "extension",
            changed(|model| {
                let mut set = model.opset_import[0].clone();
                set.domain = "com.microsoft".into();
                model.opset_import.push(set);
            }),
        ),
        (
            "extension in a node",
            changed(|model| graph(model).node[0].domain = "com.microsoft".into()),
        ),
        (
            "weights elsewhere",
            changed(|model| graph(model).initializer[0].data_location = 1),
        ),
        (
            "weights missing",
            changed(|model| graph(model).initializer[0].raw_data.truncate(9)),
        ),
        (
            "weights of absurd size",
            changed(|model| graph(model).initializer[0].dims = vec![i64::MAX, 2]),
        ),
        ("missing input", port(|model| graph(model).input.clear())),
        (
            "renamed output",
            port(|model| graph(model).output[0].name = "z".into()),
        ),
        (
            "one input too many",
            port(|model| {
                let mut input = graph(model).input[0].clone();
                input.name = "calendar".into();
                graph(model).input.push(input);
            }),
        ),
        (
            "the same input twice",
            port(|model| {
                let input = graph(model).input[0].clone();
                graph(model).input.push(input);
            }),
        ),
        (
            "other type",
            port(|model| {
                let kind = graph(model).input[0].r#type.as_mut().unwrap();
                kind.tensor_type.as_mut().unwrap().elem_type = 11;
            }),
        ),
        (
            "other dimensions",
            port(|model| {
                let kind = graph(model).output[0].r#type.as_mut().unwrap();
                let shape = kind.tensor_type.as_mut().unwrap().shape.as_mut().unwrap();
                shape.dim[0].value = None;
            }),
        ),
        (
            "no tensor",
            port(|model| graph(model).input[0].r#type = None),
        ),
        ("a flipped bit in a weight", {
            let mut bytes = good();
            let two = 2.0_f32.to_le_bytes();
            let at = bytes.windows(4).position(|w| w == two).unwrap();
            bytes[at + 1] ^= 1;
            bytes
        }),
    ];
    let told: Vec<String> = cases
        .iter()
        .map(|(name, bytes)| {
            let error = check(bytes, "m.onnx", &contract()).unwrap_err();
            format!("{name}\n  {error}")
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_constant_of_the_model_is_no_input() {
    let bytes = changed(|model| {
        // Files of old formats list constants among the inputs.
        let mut input = graph(model).input[0].clone();
        input.name = "scale.bias".into();
        graph(model).input.push(input);
    });
    assert!(check(&bytes, "m.onnx", &contract()).is_ok());
}

#[test]
fn files_are_read_or_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("forecaster.onnx");
    let error = read_model(&path).unwrap_err();
    assert!(matches!(error, ModelError::Missing { .. }), "{error}");
    assert!(error.to_string().contains("forecaster.onnx: no such file"));
    let error = read_model(folder.path()).unwrap_err();
    assert!(matches!(error, ModelError::Unreadable { .. }), "{error}");
    std::fs::write(&path, good()).unwrap();
    assert_eq!(read_model(&path).unwrap(), good());
    // A file with a hole: large, and nothing on the disk.
    let large = folder.path().join("large.onnx");
    let file = std::fs::File::create(&large).unwrap();
    file.set_len(300 * 1024 * 1024).unwrap();
    let error = read_model(&large).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{}: has 300 MiB, a model may have 256: this is no model of Foremesh",
            large.display()
        )
    );
}

#[test]
fn a_model_is_loaded_once_when_it_is_first_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    let source = || ModelSource::File(path.clone());
    let early = LazyModel::new(library::embedded(), source(), contract());
    std::fs::write(&path, good()).unwrap();
    let first: *const _ = early.get().unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(std::ptr::eq(first, early.get().unwrap()));
    let late = LazyModel::new(library::embedded(), source(), contract());
    assert!(matches!(
        late.get(),
        Err(InferenceError::Model(ModelError::Missing { .. }))
    ));
}

#[test]
fn runs_are_held_against_the_contract() {
    let model = library::embedded()
        .load(&good(), "m.onnx", &contract())
        .unwrap();
    let x = || Tensor::f32([1, 2], vec![1.0, 2.0]).unwrap();
    let told = |inputs: &[(&str, Tensor)]| model.run(inputs).unwrap_err().to_string();
    let texts = [
        told(&[]),
        told(&[("z", x())]),
        told(&[("x", x()), ("x", x())]),
        told(&[("x", x()), ("z", x())]),
        told(&[("x", Tensor::f32([2], vec![1.0, 2.0]).unwrap())]),
        told(&[("x", Tensor::f32([1, 3], vec![1.0; 3]).unwrap())]),
        told(&[("x", Tensor::i64([1, 2], vec![1, 2]).unwrap())]),
    ];
    let network = models::graph_network();
    let model = library::embedded()
        .load(&network.bytes, "network.onnx", &network.contract)
        .unwrap();
    let index = |count| Tensor::i64([count], vec![0; count]).unwrap();
    let uneven = model.run(&[
        ("nodes", models::Draws::new(1).tensor(&[2, 8])),
        ("from", index(3)),
        ("to", index(2)),
    ]);
    let outside = model.run(&[
        ("nodes", models::Draws::new(1).tensor(&[2, 8])),
        ("from", Tensor::i64([1], vec![99]).unwrap()),
        ("to", index(1)),
    ]);
    assert!(
        matches!(
            outside,
            Err(InferenceError::Run { .. } | InferenceError::Panicked { .. })
        ),
        "{outside:?}"
    );
    insta::assert_snapshot!(format!("{}\n{}", texts.join("\n"), uneven.unwrap_err()));
}

#[test]
fn what_a_runtime_does_not_know_is_its_error() {
    let bytes = changed(|model| graph(model).node[0].op_type = "Frobnicate".into());
    let runtimes = [Some(library::embedded()), library::onnxruntime(None)];
    for inference in runtimes.into_iter().flatten() {
        let error = inference.load(&bytes, "m.onnx", &contract()).unwrap_err();
        assert!(matches!(error, InferenceError::Load { .. }), "{error}");
        assert!(error.to_string().contains("Frobnicate"), "{error}");
    }
}

/// tract panics where an input of an operator is missing that it takes for granted.
#[test]
fn a_panic_of_the_embedded_runtime_is_an_error() {
    let bytes = changed(|model| graph(model).output[0].name = "y".into());
    assert!(
        library::embedded()
            .load(&bytes, "m.onnx", &contract())
            .is_ok()
    );
    let bytes = changed(|model| {
        // The node that gives the output is gone.
        graph(model).node.pop();
    });
    let error = library::embedded()
        .load(&bytes, "m.onnx", &contract())
        .unwrap_err();
    assert!(matches!(error, InferenceError::Panicked { .. }), "{error}");
}

#[test]
fn the_embedded_runtime_knows_no_gpu() {
    let settings = library::settings(RuntimeKind::Embedded, DeviceKind::Cuda);
    let inference = Inference::discover(&settings, Surroundings::default());
    assert_eq!(inference.runtime(), Err(InferenceError::EmbeddedCuda));
}
