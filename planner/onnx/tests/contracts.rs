//! What is not a model, or not the model that is asked for, is refused with its name and how to mend it; whatever the bytes are,
//! nothing panics.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod library;
mod models;

use foremesh_model::{DeviceKind, RuntimeKind};
use foremesh_onnx::{
    Contract, ElementType,
    ElementType::F32,
    GraphBuilder, Inference, InferenceError, KEY_CONTRACT, KEY_CONTRACT_VERSION, LazyModel,
    ModelError, ModelSource, Port, Surroundings, Tensor, check,
    proto::{
        AttributeProto, GraphProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto,
    },
    read_model,
};
use proptest::prelude::*;
use prost::Message;

fn contract() -> Contract {
    Contract::new("test.scale", 3)
        .input(Port::new("x", F32, ["batch".into(), 2.into()]))
        .output(Port::new("y", F32, ["batch".into(), 2.into()]))
}

fn good() -> Vec<u8> {
    let contract = contract();
    let mut graph = GraphBuilder::new("scale");
    let x = graph.input(contract.inputs[0].clone());
    let y = graph.linear("scale", &x, [2, 2], &[2.0, 0.0, 0.0, 3.0], &[0.5, 0.5]);
    graph.output(contract.outputs[0].clone(), &y);
    graph.metadata("trained_with", "foremesh train forecaster --seed 7");
    graph.finish(&contract, ("foremesh", "0.1.0")).unwrap()
}

/// The good model, changed, without the hash of its graph: what others write.
fn changed(change: impl FnOnce(&mut ModelProto)) -> Vec<u8> {
    let mut model = ModelProto::decode(good().as_slice()).unwrap();
    model
        .metadata_props
        .retain(|entry| entry.key != "foremesh.graph_sha256");
    change(&mut model);
    model.encode_to_vec()
}

fn graph(model: &mut ModelProto) -> &mut GraphProto {
    model.graph.as_mut().unwrap()
}

fn metadata(model: &mut ModelProto, key: &str) -> String {
    let found = model.metadata_props.iter_mut().find(|e| e.key == key);
    std::mem::take(&mut found.unwrap().value)
}

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

fn element_types() -> impl Strategy<Value = ElementType> {
    prop_oneof![Just(F32), Just(ElementType::I64)]
}

/// A node that may be nonsense: any operator over any values, with settings that it may not know.
fn nodes() -> impl Strategy<Value = NodeProto> {
    let operators = prop::sample::select(vec![
        "Add",
        "MatMul",
        "Gemm",
        "Conv",
        "GRU",
        "LSTM",
        "Transpose",
        "ReduceMean",
        "Softmax",
        "Concat",
        "Gather",
        "GatherND",
        "Reshape",
        "Expand",
        "CumSum",
        "ScatterND",
        "Slice",
        "Split",
        "Squeeze",
        "Unsqueeze",
        "Shape",
        "Range",
        "Tile",
        "TopK",
        "Cast",
        "Einsum",
        "Where",
        "Pad",
        "LayerNormalization",
        "BatchNormalization",
        "ConstantOfShape",
        "OneHot",
        "If",
        "Loop",
    ]);
    let values = prop::sample::select(vec![
        "x",
        "scale.weight",
        "scale.bias",
        "axes",
        "y",
        "",
        "made_0",
    ]);
    let names = prop::sample::select(vec![
        "axis",
        "axes",
        "perm",
        "to",
        "hidden_size",
        "kernel_shape",
        "keepdims",
        "equation",
    ]);
    let attribute = (names, prop::collection::vec(-3_i64..5, 0..4), any::<bool>());
    (
        operators,
        prop::collection::vec(values, 0..5),
        prop::collection::vec(attribute, 0..3),
    )
        .prop_map(|(operator, inputs, attributes)| NodeProto {
            op_type: operator.into(),
            input: inputs.into_iter().map(str::to_owned).collect(),
            attribute: attributes
                .into_iter()
                .map(|(name, ints, one)| AttributeProto {
                    name: name.into(),
                    i: ints.first().copied().unwrap_or_default(),
                    r#type: if one { 2 } else { 7 },
                    ints: if one { vec![] } else { ints },
                    ..AttributeProto::default()
                })
                .collect(),
            ..NodeProto::default()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever happens to the bytes, the answer is a model or an error, from the check and from the embedded runtime.
    #[test]
    fn damaged_models_never_panic(
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
        with_hash in any::<bool>(),
    ) {
        let mut bytes = if with_hash { good() } else { changed(|_| {}) };
        for (at, byte) in hits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(model) = library::embedded().load(&bytes, "m.onnx", &contract()) {
            let x = Tensor::f32([1, 2], vec![1.0, 2.0]).unwrap();
            let _ = model.run(&[("x", x)]);
        }
    }

    /// Whatever the runtime makes of nonsense, errors and panics, comes back as an error.
    #[test]
    fn strange_graphs_never_panic(nodes in prop::collection::vec(nodes(), 1..4)) {
        let bytes = changed(|model| {
            let graph = graph(model);
            graph.initializer.push(TensorProto {
                name: "axes".into(),
                dims: vec![2],
                data_type: 7,
                raw_data: [0_i64, 1].iter().flat_map(|n| n.to_le_bytes()).collect(),
                ..TensorProto::default()
            });
            let last = nodes.len() - 1;
            graph.node = nodes;
            for (index, node) in graph.node.iter_mut().enumerate() {
                let name = if index == last { "y".into() } else { format!("made_{index}") };
                node.output = vec![name];
            }
        });
        if let Ok(model) = library::embedded().load(&bytes, "m.onnx", &contract()) {
            let x = Tensor::f32([2, 2], vec![1.0, 2.0, 3.0, 4.0]).unwrap();
            if let Ok(answer) = model.run(&[("x", x)]) {
                prop_assert_eq!(answer[0].shape(), [2, 2]);
            }
        }
    }

    #[test]
    fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(check(&bytes, "m.onnx", &contract()).is_err());
    }

    /// Constants of any dimensions either fit their bytes or are refused before a runtime takes memory for them.
    #[test]
    fn constants_fit_or_are_refused(dims in prop::collection::vec(any::<i64>(), 0..4), kind in element_types(), raw in 0_usize..64) {
        let bytes = changed(|model| graph(model).initializer.push(TensorProto {
            name: "extra".into(),
            dims: dims.clone(),
            data_type: if kind == F32 { 1 } else { 7 },
            raw_data: vec![0; raw],
            ..TensorProto::default()
        }));
        let size = if kind == F32 { 4 } else { 8 };
        let wanted = dims.iter().try_fold(size, |all: i128, n| (*n >= 0).then(|| all.saturating_mul(i128::from(*n))));
        prop_assert_eq!(check(&bytes, "m.onnx", &contract()).is_ok(), wanted == Some(raw as i128));
    }
}
