//! Whatever the bytes of a model file are, nothing panics.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod library;
mod scale;

use foremesh_onnx::{
    ElementType,
    ElementType::F32,
    Tensor, check,
    proto::{AttributeProto, NodeProto, TensorProto},
};
use proptest::prelude::*;
use scale::{changed, contract, good, graph};

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
