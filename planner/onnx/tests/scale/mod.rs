//! A small good model, and ways to spoil it.

#![allow(dead_code, reason = "each test uses some of them")]

use foremesh_onnx::{
    Contract,
    ElementType::F32,
    GraphBuilder, Port,
    proto::{GraphProto, ModelProto},
};
use prost::Message;

pub fn contract() -> Contract {
    Contract::new("test.scale", 3)
        .input(Port::new("x", F32, ["batch".into(), 2.into()]))
        .output(Port::new("y", F32, ["batch".into(), 2.into()]))
}

pub fn good() -> Vec<u8> {
    let contract = contract();
    let mut graph = GraphBuilder::new("scale");
    let x = graph.input(contract.inputs[0].clone());
    let y = graph.linear("scale", &x, [2, 2], &[2.0, 0.0, 0.0, 3.0], &[0.5, 0.5]);
    graph.output(contract.outputs[0].clone(), &y);
    graph.metadata("trained_with", "foremesh train forecaster --seed 7");
    graph.finish(&contract, ("foremesh", "0.1.0")).unwrap()
}

/// The good model, changed, without the hash of its graph: what others write.
pub fn changed(change: impl FnOnce(&mut ModelProto)) -> Vec<u8> {
    let mut model = ModelProto::decode(good().as_slice()).unwrap();
    model
        .metadata_props
        .retain(|entry| entry.key != "foremesh.graph_sha256");
    change(&mut model);
    model.encode_to_vec()
}

pub fn graph(model: &mut ModelProto) -> &mut GraphProto {
    model.graph.as_mut().unwrap()
}

pub fn metadata(model: &mut ModelProto, key: &str) -> String {
    let found = model.metadata_props.iter_mut().find(|e| e.key == key);
    std::mem::take(&mut found.unwrap().value)
}
