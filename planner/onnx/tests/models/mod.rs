//! Models of the kinds that Foremesh trains, with weights drawn from a seed: what runtimes are compared and timed on.

#![allow(dead_code, reason = "each test and the benchmark use some of them")]

use foremesh_model::random::{mix, uniform};
use foremesh_onnx::{
    Attribute, Contract, ElementType::F32, ElementType::I64, GraphBuilder, Port, Tensor, Value,
};

/// Numbers from a seed.
pub struct Draws(u64);

impl Draws {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Uniform in (−1, 1).
    pub fn signed(&mut self) -> f32 {
        self.0 = mix(self.0, 1);
        (uniform(self.0) * 2.0 - 1.0) as f32
    }

    pub fn many(&mut self, count: usize, scale: f32) -> Vec<f32> {
        (0..count).map(|_| self.signed() * scale).collect()
    }

    pub fn index(&mut self, below: usize) -> i64 {
        self.0 = mix(self.0, 2);
        (self.0 % below as u64) as i64
    }

    pub fn tensor(&mut self, shape: &[usize]) -> Tensor {
        let values = self.many(shape.iter().product(), 1.0);
        Tensor::f32(shape, values).unwrap()
    }
}

/// A model with its contract and inputs for a batch.
pub struct Example {
    pub name: &'static str,
    pub contract: Contract,
    pub bytes: Vec<u8>,
    pub inputs: fn(&mut Draws, usize) -> Vec<(&'static str, Tensor)>,
}

pub fn examples() -> Vec<Example> {
    vec![mlp(), mixer(), graph_network()]
}

struct Layers {
    graph: GraphBuilder,
    draws: Draws,
    weights: usize,
}

impl Layers {
    fn new(name: &str) -> Self {
        Self {
            graph: GraphBuilder::new(name),
            draws: Draws::new(17),
            weights: 0,
        }
    }

    fn linear(&mut self, name: &str, x: &Value, sizes: [usize; 2]) -> Value {
        let scale = (sizes[0] as f32).sqrt().recip();
        let weights = self.draws.many(sizes[0] * sizes[1], scale);
        let bias = self.draws.many(sizes[1], scale);
        self.weights += weights.len() + bias.len();
        self.graph.linear(name, x, sizes, &weights, &bias)
    }

    fn norm(&mut self, name: &str, x: &Value, width: usize) -> Value {
        let scale: Vec<f32> = (0..width)
            .map(|_| 1.0 + 0.1 * self.draws.signed())
            .collect();
        let bias = self.draws.many(width, 0.1);
        self.weights += 2 * width;
        self.graph.layer_norm(name, x, &scale, &bias, 1e-5)
    }

    fn op(&mut self, operator: &str, inputs: &[&Value]) -> Value {
        self.graph.node(operator, inputs, &[])
    }

    fn transpose(&mut self, x: &Value, order: &[i64]) -> Value {
        let order = ("perm", Attribute::Ints(order.into()));
        self.graph.node("Transpose", &[x], &[order])
    }
}

/// A perceptron of three layers over the last week, 0.36 million weights.
pub fn mlp() -> Example {
    let contract = Contract::new("test.mlp", 1)
        .input(Port::new("history", F32, ["batch".into(), 168.into()]))
        .output(Port::new("forecast", F32, ["batch".into(), 24.into()]));
    let mut layers = Layers::new("mlp");
    let x = layers.graph.input(contract.inputs[0].clone());
    let mut h = layers.linear("in", &x, [168, 512]);
    h = layers.norm("norm", &h, 512);
    h = layers.op("Relu", &[&h]);
    h = layers.linear("middle", &h, [512, 512]);
    h = layers.op("Tanh", &[&h]);
    h = layers.linear("out", &h, [512, 24]);
    let y = layers.op("Softplus", &[&h]);
    layers.graph.output(contract.outputs[0].clone(), &y);
    Example {
        name: "mlp",
        bytes: layers.graph.finish(&contract, ("test", "0")).unwrap(),
        contract,
        inputs: |draws, batch| vec![("history", draws.tensor(&[batch, 168]))],
    }
}

/// Mixes 56 days of 24 hours across days and within them, and answers 24 hours × 21 quantiles that never cross; 0.4 million weights.
pub fn mixer() -> Example {
    let contract = Contract::new("test.mixer", 1)
        .input(Port::new(
            "days",
            F32,
            ["batch".into(), 56.into(), 24.into()],
        ))
        .output(Port::new(
            "quantiles",
            F32,
            ["batch".into(), 24.into(), 21.into()],
        ));
    let mut layers = Layers::new("mixer");
    let x = layers.graph.input(contract.inputs[0].clone());
    let mut h = layers.linear("embed", &x, [24, 96]);
    for block in 0..4 {
        let name = |part: &str| format!("block{block}.{part}");
        let mut tokens = layers.norm(&name("norm1"), &h, 96);
        tokens = layers.transpose(&tokens, &[0, 2, 1]);
        tokens = layers.linear(&name("tokens1"), &tokens, [56, 112]);
        tokens = layers.op("Relu", &[&tokens]);
        tokens = layers.linear(&name("tokens2"), &tokens, [112, 56]);
        tokens = layers.transpose(&tokens, &[0, 2, 1]);
        h = layers.op("Add", &[&h, &tokens]);
        let mut channels = layers.norm(&name("norm2"), &h, 96);
        channels = layers.linear(&name("channels1"), &channels, [96, 384]);
        channels = layers.op("Relu", &[&channels]);
        channels = layers.linear(&name("channels2"), &channels, [384, 96]);
        h = layers.op("Add", &[&h, &channels]);
    }
    let mean = [
        ("axes", Attribute::Ints(vec![1])),
        ("keepdims", Attribute::Int(0)),
    ];
    h = layers.graph.node("ReduceMean", &[&h], &mean);
    h = layers.linear("head", &h, [96, 24 * 21]);
    let shape = layers.graph.integers(&[-1, 24, 21]);
    h = layers.op("Reshape", &[&h, &shape]);
    h = layers.op("Softplus", &[&h]);
    let axis = layers.graph.i64("quantile_axis", &[], &[2]);
    let y = layers.op("CumSum", &[&h, &axis]);
    layers.graph.output(contract.outputs[0].clone(), &y);
    Example {
        name: "mixer",
        bytes: layers.graph.finish(&contract, ("test", "0")).unwrap(),
        contract,
        inputs: |draws, batch| vec![("days", draws.tensor(&[batch, 56, 24]))],
    }
}

/// Two rounds of messages along the edges of a graph: both numbers of rows are free.
pub fn graph_network() -> Example {
    let contract = Contract::new("test.graph_network", 1)
        .input(Port::new("nodes", F32, ["nodes".into(), 8.into()]))
        .input(Port::new("from", I64, ["edges".into()]))
        .input(Port::new("to", I64, ["edges".into()]))
        .output(Port::new("action", F32, ["nodes".into(), 3.into()]));
    let mut layers = Layers::new("graph_network");
    let [x, from, to] = [0, 1, 2].map(|i| layers.graph.input(contract.inputs[i].clone()));
    let mut h = layers.linear("embed", &x, [8, 32]);
    let column = layers.graph.integers(&[1]);
    let to_column = layers.op("Unsqueeze", &[&to, &column]);
    let zero = layers.graph.scalar(0.0);
    let shape = layers.op("Shape", &[&h]);
    let zeros = layers.op("Expand", &[&zero, &shape]);
    for round in 0..2 {
        let senders = layers.op("Gather", &[&h, &from]);
        let mut message = layers.linear(&format!("message{round}"), &senders, [32, 32]);
        message = layers.op("Relu", &[&message]);
        let add = [("reduction", Attribute::Text("add".into()))];
        let heard = layers
            .graph
            .node("ScatterND", &[&zeros, &to_column, &message], &add);
        let axis = [("axis", Attribute::Int(-1))];
        let both = layers.graph.node("Concat", &[&h, &heard], &axis);
        let update = layers.linear(&format!("update{round}"), &both, [64, 32]);
        h = layers.op("Add", &[&h, &update]);
        h = layers.norm(&format!("norm{round}"), &h, 32);
    }
    let y = layers.linear("head", &h, [32, 3]);
    layers.graph.output(contract.outputs[0].clone(), &y);
    Example {
        name: "graph_network",
        bytes: layers.graph.finish(&contract, ("test", "0")).unwrap(),
        contract,
        inputs: |draws, nodes| {
            let edges = 3 * nodes;
            let mut ends = || (0..edges).map(|_| draws.index(nodes)).collect();
            let (from, to) = (ends(), ends());
            vec![
                ("nodes", draws.tensor(&[nodes, 8])),
                ("from", Tensor::i64([edges], from).unwrap()),
                ("to", Tensor::i64([edges], to).unwrap()),
            ]
        },
    }
}
