//! Writes model files: what a trainer needs to turn its weights into ONNX.
//!
//! Values are numbered and metadata is sorted, so that the same calls give the same bytes. What is wrong (weights that do not fit their
//! dimensions, names used twice) is remembered and told by [`GraphBuilder::finish`]: a graph is written in one go, without a
//! question mark at each node.

mod error;
mod value;

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use sha2::{Digest, Sha256};

use crate::{
    contract::{Contract, KEY_CONTRACT, KEY_CONTRACT_VERSION, KEY_GRAPH_SHA256, Port},
    hex,
    proto::{
        DataType, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
        TensorProto,
    },
    tensor::{ShapeError, product},
};

pub use error::BuildError;
pub use value::{Attribute, Value};

/// Version of the file format that is written.
pub const IR_VERSION: i64 = 8;
/// Version of ONNX's operators that graphs are written for.
pub const OPSET: i64 = 17;

/// A graph that is being written.
#[derive(Debug, Default)]
pub struct GraphBuilder {
    graph: GraphProto,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    metadata: BTreeMap<String, String>,
    names: BTreeSet<String>,
    computed: usize,
    first_error: Option<BuildError>,
}

impl GraphBuilder {
    /// A graph without anything in it.
    pub fn new(name: &str) -> Self {
        Self {
            graph: GraphProto {
                name: name.into(),
                ..GraphProto::default()
            },
            ..Self::default()
        }
    }

    /// Declares an input.
    pub fn input(&mut self, port: Port) -> Value {
        let value = self.named(&port.name);
        self.graph.input.push(port.to_proto());
        self.inputs.push(port);
        value
    }

    /// Gives a value out, under the port's name.
    pub fn output(&mut self, port: Port, value: &Value) {
        let name = self.named(&port.name);
        self.push_node("Identity", &[value], &[], vec![name.0]);
        self.graph.output.push(port.to_proto());
        self.outputs.push(port);
    }

    /// A constant of numbers, the last dimension fastest: weights.
    pub fn f32(&mut self, name: &str, shape: &[usize], values: &[f32]) -> Value {
        if let Some(index) = values.iter().position(|value| value.is_nan()) {
            self.fail(BuildError::NotANumber {
                name: name.into(),
                index,
            });
        }
        let raw = values.iter().flat_map(|value| value.to_le_bytes());
        self.constant(name, shape, values.len(), DataType::Float, raw.collect())
    }

    /// A constant of whole numbers.
    pub fn i64(&mut self, name: &str, shape: &[usize], values: &[i64]) -> Value {
        let raw = values.iter().flat_map(|value| value.to_le_bytes());
        self.constant(name, shape, values.len(), DataType::Int64, raw.collect())
    }

    /// A number, under a name that the builder chooses.
    pub fn scalar(&mut self, value: f32) -> Value {
        let name = self.fresh("number");
        self.f32(&name, &[], &[value])
    }

    /// A row of whole numbers, under a name that the builder chooses: axes, shapes, indices.
    pub fn integers(&mut self, values: &[i64]) -> Value {
        let name = self.fresh("integers");
        self.i64(&name, &[values.len()], values)
    }

    /// One operation with one result.
    pub fn node(
        &mut self,
        operator: &str,
        inputs: &[&Value],
        attributes: &[(&str, Attribute)],
    ) -> Value {
        let name = self.fresh(operator);
        let value = self.named(&name);
        self.push_node(operator, inputs, attributes, vec![name]);
        value
    }

    /// One operation with several results.
    pub fn nodes(
        &mut self,
        operator: &str,
        inputs: &[&Value],
        attributes: &[(&str, Attribute)],
        results: usize,
    ) -> Vec<Value> {
        let names: Vec<String> = (0..results).map(|_| self.fresh(operator)).collect();
        let values = names.iter().map(|name| self.named(name)).collect();
        self.push_node(operator, inputs, attributes, names);
        values
    }

    /// `x · weights + bias` along the last dimension of `x`: constants `NAME.weight` (`inputs` rows × `outputs` columns) and `NAME.bias`.
    pub fn linear(
        &mut self,
        name: &str,
        x: &Value,
        [inputs, outputs]: [usize; 2],
        weights: &[f32],
        bias: &[f32],
    ) -> Value {
        let weights = self.f32(&format!("{name}.weight"), &[inputs, outputs], weights);
        let bias = self.f32(&format!("{name}.bias"), &[outputs], bias);
        let product = self.node("MatMul", &[x, &weights], &[]);
        self.node("Add", &[&product, &bias], &[])
    }

    /// Layer normalisation of the last dimension of `x` with constants `NAME.scale` and `NAME.bias`; `epsilon` is added to the variance.
    pub fn layer_norm(
        &mut self,
        name: &str,
        x: &Value,
        scale: &[f32],
        bias: &[f32],
        epsilon: f32,
    ) -> Value {
        let scale = self.f32(&format!("{name}.scale"), &[scale.len()], scale);
        let bias = self.f32(&format!("{name}.bias"), &[bias.len()], bias);
        let attributes = [
            ("axis", Attribute::Int(-1)),
            ("epsilon", Attribute::Float(epsilon)),
        ];
        self.node("LayerNormalization", &[x, &scale, &bias], &attributes)
    }

    /// A text of the model's metadata: the command it was trained with, the data's hash. The last text of a key stands.
    pub fn metadata(&mut self, key: &str, text: impl Into<String>) {
        self.metadata.insert(key.into(), text.into());
    }

    /// The model file. `producer` is the program that writes it and its version.
    ///
    /// # Errors
    /// What was wrong first with anything given before; inputs or outputs that are not the contract's; no output.
    pub fn finish(
        mut self,
        contract: &Contract,
        producer: (&str, &str),
    ) -> Result<Vec<u8>, BuildError> {
        for (direction, has, wants) in [
            ("inputs", &self.inputs, &contract.inputs),
            ("outputs", &self.outputs, &contract.outputs),
        ] {
            if has != wants && self.first_error.is_none() {
                self.first_error = Some(BuildError::Contract {
                    direction,
                    has: list(has),
                    wants: list(wants),
                    contract: contract.to_string(),
                });
            }
        }
        if self.outputs.is_empty() {
            self.fail(BuildError::NoOutput);
        }
        if let Some(error) = self.first_error {
            return Err(error);
        }
        let hash = hex(&Sha256::digest(self.graph.encode_to_vec()));
        self.metadata
            .insert(KEY_CONTRACT.into(), contract.name.clone());
        self.metadata
            .insert(KEY_CONTRACT_VERSION.into(), contract.version.to_string());
        self.metadata.insert(KEY_GRAPH_SHA256.into(), hash);
        let metadata = self.metadata.into_iter();
        let model = ModelProto {
            ir_version: IR_VERSION,
            producer_name: producer.0.into(),
            producer_version: producer.1.into(),
            graph: Some(self.graph),
            opset_import: vec![OperatorSetIdProto {
                domain: String::new(),
                version: OPSET,
            }],
            metadata_props: metadata
                .map(|(key, value)| StringStringEntryProto { key, value })
                .collect(),
            ..ModelProto::default()
        };
        Ok(model.encode_to_vec())
    }

    fn constant(
        &mut self,
        name: &str,
        shape: &[usize],
        given: usize,
        data_type: DataType,
        raw_data: Vec<u8>,
    ) -> Value {
        if product(shape) != Some(given) {
            let source = ShapeError {
                shape: shape.into(),
                given,
            };
            self.fail(BuildError::Shape {
                name: name.into(),
                source,
            });
        }
        let value = self.named(name);
        self.graph.initializer.push(TensorProto {
            dims: shape.iter().map(|length| *length as i64).collect(),
            data_type: data_type as i32,
            name: name.into(),
            raw_data,
            ..TensorProto::default()
        });
        value
    }

    fn push_node(
        &mut self,
        operator: &str,
        inputs: &[&Value],
        attributes: &[(&str, Attribute)],
        output: Vec<String>,
    ) {
        let name = format!(
            "{operator}:{}",
            output.first().map(String::as_str).unwrap_or_default()
        );
        let known = |value: &&&Value| value.0.is_empty() || self.names.contains(&value.0);
        if let Some(stranger) = inputs.iter().find(|value| !known(value)) {
            let value = stranger.0.clone();
            let node = name.clone();
            self.fail(BuildError::UnknownValue { node, value });
        }
        let attribute = attributes
            .iter()
            .map(|(name, attribute)| attribute.clone().into_proto(name));
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|value| value.0.clone()).collect(),
            output,
            name,
            op_type: operator.into(),
            attribute: attribute.collect(),
            ..NodeProto::default()
        });
    }

    fn named(&mut self, name: &str) -> Value {
        if name.is_empty() || !self.names.insert(name.into()) {
            self.fail(BuildError::Name { name: name.into() });
        }
        Value(name.into())
    }

    fn fresh(&mut self, kind: &str) -> String {
        self.computed += 1;
        format!("{kind}_{}", self.computed)
    }

    fn fail(&mut self, error: BuildError) {
        self.first_error.get_or_insert(error);
    }
}

/// `x: f32[batch, 24], y: i64[batch]`
pub(crate) fn list(ports: &[Port]) -> String {
    let ports: Vec<String> = ports
        .iter()
        .map(|port| format!("{}: {port}", port.name))
        .collect();
    if ports.is_empty() {
        "(none)".into()
    } else {
        ports.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::ElementType::F32;

    fn contract() -> Contract {
        Contract::new("test.double", 1)
            .input(Port::new("x", F32, ["batch".into(), 2.into()]))
            .output(Port::new("y", F32, ["batch".into(), 2.into()]))
    }

    fn double(change: impl FnOnce(&mut GraphBuilder, &Value)) -> Result<Vec<u8>, BuildError> {
        let contract = contract();
        let mut graph = GraphBuilder::new("double");
        let x = graph.input(contract.inputs[0].clone());
        let y = graph.node("Add", &[&x, &x], &[]);
        change(&mut graph, &y);
        graph.output(contract.outputs[0].clone(), &y);
        graph.metadata("b", "2");
        graph.metadata("a", "1");
        graph.finish(&contract, ("test", "0"))
    }

    #[test]
    fn the_same_calls_give_the_same_bytes() {
        let bytes = double(|_, _| {}).unwrap();
        assert_eq!(bytes, double(|_, _| {}).unwrap());
        let model = ModelProto::decode(bytes.as_slice()).unwrap();
        let keys: Vec<&str> = model
            .metadata_props
            .iter()
            .map(|e| e.key.as_str())
            .collect();
        assert_eq!(
            keys,
            [
                "a",
                "b",
                KEY_CONTRACT,
                KEY_CONTRACT_VERSION,
                KEY_GRAPH_SHA256
            ]
        );
        assert_eq!(model.ir_version, 8);
        assert_eq!(model.opset_import[0].version, 17);
    }

    #[test]
    fn what_is_wrong_is_told_at_the_end() {
        let weights = double(|graph, _| {
            graph.f32("w", &[2, 2], &[1.0; 3]);
        });
        assert_eq!(
            weights.unwrap_err().to_string(),
            "constant w: a tensor of [2, 2] holds 4 elements, not 3"
        );
        let nan = double(|graph, _| {
            graph.f32("w", &[2], &[1.0, f32::NAN]);
        });
        assert!(matches!(nan, Err(BuildError::NotANumber { index: 1, .. })));
        let twice = double(|graph, _| {
            graph.scalar(1.0);
            graph.f32("x", &[], &[1.0]);
        });
        assert!(matches!(twice, Err(BuildError::Name { name }) if name == "x"));
        let stranger = double(|graph, _| {
            graph.node("Relu", &[&Value("elsewhere".into())], &[]);
        });
        assert!(matches!(stranger, Err(BuildError::UnknownValue { .. })));
        let other = double(|graph, y| {
            graph.output(Port::new("z", F32, []), y);
        });
        assert_eq!(
            other.unwrap_err().to_string(),
            "the graph has the outputs z: f32[], y: f32[batch, 2], the contract test.double 1 asks for y: f32[batch, 2]"
        );
    }
}
