//! The floor as a whole: complete, explained, safe, and the same twice.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use foremesh_policy::{PolicyInput, guards, paths, plan};

#[test]
fn the_shop_is_planned_explained_and_safe() {
    let (graph, demand, request) = (shop(), shop_demand(1.0), request());
    let output = plan(&PolicyInput {
        graph: &graph,
        demand: &demand,
        request: &request,
    })
    .unwrap();
    assert_eq!(guards::check(&output.settings), []);
    let explained: Vec<String> = output.reasons.keys().cloned().collect();
    let mut set = paths(&output.settings);
    set.sort();
    assert_eq!(explained, set);
    assert!(output.kpis.holds, "{:#?}", output.kpis);
    eprintln!("{}", serde_json::to_string_pretty(&output).unwrap());
}
