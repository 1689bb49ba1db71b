//! Every seed of the fuzzing corpus of model files, checked, loaded and run again as fuzzing does.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

#[path = "../../../fuzz/src/onnx.rs"]
mod onnx;

use std::path::{Path, PathBuf};

use foremesh_onnx::{GraphBuilder, KEY_GRAPH_SHA256, proto::ModelProto};
use prost::Message;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/onnx_model")
}

#[test]
fn every_seed_is_run_or_refused() {
    let seeds: Vec<_> = std::fs::read_dir(folder()).unwrap().collect();
    assert!(!seeds.is_empty());
    for seed in seeds {
        onnx::onnx_model(&std::fs::read(seed.unwrap().path()).unwrap());
    }
}

/// The seeds of the corpus: `cargo test -p foremesh-onnx --test corpus -- --ignored`.
#[test]
#[ignore = "writes files"]
fn seeds_are_written() {
    std::fs::create_dir_all(folder()).unwrap();
    let contract = onnx::contract();
    let mut graph = GraphBuilder::new("scale");
    let x = graph.input(contract.inputs[0].clone());
    let y = graph.linear("scale", &x, [2, 2], &[2.0, 0.0, 0.0, 3.0], &[0.5, 0.5]);
    let y = graph.node("Softplus", &[&y], &[]);
    graph.output(contract.outputs[0].clone(), &y);
    let sealed = graph.finish(&contract, ("foremesh", "0")).unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder().join(name), bytes).unwrap();
    write("sealed", &sealed);
    write("cut-short", &sealed[..sealed.len() / 2]);
    // Without the hash of its graph, what the fuzzer changes gets as far as the runtime.
    let mut open = ModelProto::decode(sealed.as_slice()).unwrap();
    open.metadata_props
        .retain(|entry| entry.key != KEY_GRAPH_SHA256);
    write("open", &open.encode_to_vec());
    let nodes = &mut open.graph.as_mut().unwrap().node;
    nodes.pop();
    write("output-of-no-node", &open.encode_to_vec());
}
