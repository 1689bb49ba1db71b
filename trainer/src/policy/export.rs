//! A trained net as an ONNX file, operation by operation what [`Gnn::forward`] does.

use foremesh_onnx::{Attribute, Contract, GraphBuilder, Value};
use foremesh_policy::gnn::contract;

use super::net::{Gnn, Message, Update};
use crate::{
    TrainError,
    learning::onnx::{finish, linear, norm},
};

/// Which links a kind of message takes.
struct Links<'v> {
    features: &'v Value,
    from: &'v Value,
    to: &'v Value,
    share: &'v Value,
}

/// What each of `receivers` hears: `zeros` has a row of zeros for each of them.
fn heard(
    graph: &mut GraphBuilder,
    name: &str,
    message: &Message,
    senders: &Value,
    zeros: &Value,
    links: &Links<'_>,
) -> Value {
    let said = linear(graph, &format!("{name}.sender"), senders, &message.sender);
    let rows = [("axis", Attribute::Int(0))];
    let said = graph.node("Gather", &[&said, links.from], &rows);
    let link = linear(
        graph,
        &format!("{name}.link"),
        links.features,
        &message.link,
    );
    let said = graph.node("Add", &[&said, &link], &[]);
    let said = graph.node("Relu", &[&said], &[]);
    let said = graph.node("Mul", &[&said, links.share], &[]);
    let column = graph.integers(&[1]);
    let to = graph.node("Unsqueeze", &[links.to, &column], &[]);
    let add = [("reduction", Attribute::Text("add".into()))];
    graph.node("ScatterND", &[zeros, &to, &said], &add)
}

fn updated(
    graph: &mut GraphBuilder,
    name: &str,
    update: &Update,
    x: &Value,
    heard: &[&Value],
) -> Value {
    let all: Vec<&Value> = std::iter::once(x).chain(heard.iter().copied()).collect();
    let all = graph.node("Concat", &all, &[("axis", Attribute::Int(1))]);
    let all = norm(graph, &format!("{name}.before"), &all, &update.before);
    let hidden = linear(graph, &format!("{name}.hidden"), &all, &update.hidden);
    let hidden = graph.node("Relu", &[&hidden], &[]);
    let out = linear(graph, &format!("{name}.out"), &hidden, &update.out);
    graph.node("Add", &[x, &out], &[])
}

/// As many rows of zeros as `like` has rows, `width` wide.
fn zeros(graph: &mut GraphBuilder, like: &Value, width: usize) -> Value {
    let shape = graph.node("Shape", &[like], &[]);
    let (first, second) = (graph.integers(&[0]), graph.integers(&[1]));
    let rows = graph.node("Slice", &[&shape, &first, &second], &[]);
    let columns = graph.integers(&[width as i64]);
    let shape = graph.node("Concat", &[&rows, &columns], &[("axis", Attribute::Int(0))]);
    let zero = graph.scalar(0.0);
    graph.node("Expand", &[&zero, &shape], &[])
}

/// The ONNX file of a net. `metadata` is what a reader may want to know of how it was made.
///
/// # Errors
/// [`TrainError::Export`] when the net does not fit the contract.
pub fn export(net: &Gnn, metadata: &[(&str, String)]) -> Result<Vec<u8>, TrainError> {
    export_as("policy", &contract(), net, metadata)
}

/// The same of a net with another contract, whose inputs are called alike.
pub(crate) fn export_as(
    name: &str,
    contract: &Contract,
    net: &Gnn,
    metadata: &[(&str, String)],
) -> Result<Vec<u8>, TrainError> {
    let mut graph = GraphBuilder::new(name);
    let ports: Vec<Value> = contract
        .inputs
        .iter()
        .map(|port| graph.input(port.clone()))
        .collect();
    let [
        service,
        entry,
        call,
        caller,
        callee,
        call_share,
        visit,
        visited,
        visitor,
        visit_share,
    ] = &ports[..]
    else {
        return Err(TrainError::Export("the contract has other inputs".into()));
    };
    let mut column = |values: &Value, at: i64| {
        let (from, to) = (graph.integers(&[at]), graph.integers(&[at + 1]));
        let axis = graph.integers(&[1]);
        graph.node("Slice", &[values, &from, &to, &axis], &[])
    };
    let [to_callee, to_caller] = [0, 1].map(|at| column(call_share, at));
    let [to_entry, to_service] = [0, 1].map(|at| column(visit_share, at));
    let width = net.layers.first().map_or(0, |layer| {
        let [_, width] = layer.to_entry.sender.weight.val().dims();
        width
    });
    let entry_zeros = zeros(&mut graph, entry, width);
    let service_zeros = zeros(&mut graph, service, width);
    let mut services = linear(&mut graph, "service", service, &net.service);
    let mut entries = linear(&mut graph, "entry", entry, &net.entry);
    let links = |features, from, to, share| Links {
        features,
        from,
        to,
        share,
    };
    for (i, layer) in net.layers.iter().enumerate() {
        let named = |part: &str| format!("layer{i}.{part}");
        let mut hear =
            |name: &str, message: &Message, senders: &Value, zeros: &Value, links: Links<'_>| {
                heard(&mut graph, &named(name), message, senders, zeros, &links)
            };
        let way = links(visit, visited, visitor, &to_entry);
        let of_services = hear("to_entry", &layer.to_entry, &services, &entry_zeros, way);
        entries = updated(
            &mut graph,
            &named("entry"),
            &layer.entry,
            &entries,
            &[&of_services],
        );
        let mut hear = |name: &str, message: &Message, senders: &Value, links: Links<'_>| {
            heard(
                &mut graph,
                &named(name),
                message,
                senders,
                &service_zeros,
                &links,
            )
        };
        let down = links(call, caller, callee, &to_callee);
        let of_callers = hear("to_callee", &layer.to_callee, &services, down);
        let up = links(call, callee, caller, &to_caller);
        let of_callees = hear("to_caller", &layer.to_caller, &services, up);
        let way = links(visit, visitor, visited, &to_service);
        let of_entries = hear("to_service", &layer.to_service, &entries, way);
        let heard = [&of_callers, &of_callees, &of_entries];
        services = updated(
            &mut graph,
            &named("service"),
            &layer.service,
            &services,
            &heard,
        );
    }
    let normed = norm(&mut graph, "before_head", &services, &net.before_head);
    let answer = linear(&mut graph, "head", &normed, &net.head);
    finish(graph, contract, &answer, metadata)
}
