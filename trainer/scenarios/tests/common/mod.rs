//! Real call graphs from `../shared/data`, where it is there, and the table that holds them beside the families.
#![allow(dead_code)]

use std::{
    collections::BTreeMap,
    fmt::Write,
    path::{Path, PathBuf},
};

use foremesh_model::{Edge, Service, ServiceGraph, ServiceName};
use foremesh_observe::read_graph;
use foremesh_scenarios::{Family, GraphStatistics, scenario};
use rayon::prelude::*;
use serde::Deserialize;

/// A path of the real data, or None with a word where it is absent.
fn data(path: &str) -> Option<PathBuf> {
    let full = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data")
        .join(path);
    if full.exists() {
        Some(full)
    } else {
        println!("SKIPPED: {path} is not in ../shared/data");
        None
    }
}

const READ: [(&str, &str); 7] = [
    ("Jaeger dependencies", "jaeger-dependencies/large.json"),
    (
        "Online Boutique",
        "manifests/online-boutique/kubernetes-manifests.yaml",
    ),
    ("Sock Shop", "manifests/sock-shop/complete-demo.yaml"),
    ("TeaStore", "manifests/teastore/teastore-clusterip.yaml"),
    ("Bookinfo, metrics", "mesh-metrics"),
    ("OpenTelemetry demo", "manifests/otel-demo"),
    ("emojivoto", "manifests/emojivoto"),
];

const MUBENCH: [(&str, &str); 5] = [
    ("µBench A", "manifests/mubench/workmodelA.json"),
    ("µBench B", "manifests/mubench/workmodelB.json"),
    ("µBench C", "manifests/mubench/workmodelC.json"),
    ("µBench D", "manifests/mubench/workmodelD.json"),
    (
        "µBench TeaStore",
        "manifests/mubench/workmodel-teastore-emulation.json",
    ),
];

/// The graphs that were observed, by name; those whose data is absent or names no call are left out.
pub fn real_graphs() -> Vec<(&'static str, ServiceGraph)> {
    let read = READ.into_iter().filter_map(|(name, path)| {
        let observed = read_graph(&[data(path)?], None).ok()?;
        Some((name, observed.value))
    });
    let models = MUBENCH
        .into_iter()
        .filter_map(|(name, path)| Some((name, work_model(&data(path)?))));
    read.chain(models)
        .filter(|(_, graph)| graph.edges().len() > 0)
        .collect()
}

#[derive(Deserialize)]
struct Worker {
    #[serde(default)]
    external_services: Vec<Stage>,
}

#[derive(Deserialize)]
struct Stage {
    services: Vec<String>,
    #[serde(default)]
    probabilities: BTreeMap<String, f64>,
}

/// A work model of µBench: which service calls which, and with what probability.
fn work_model(path: &Path) -> ServiceGraph {
    let text = std::fs::read_to_string(path).unwrap();
    let workers: BTreeMap<String, Worker> = serde_json::from_str(&text).unwrap();
    let name = |name: &str| ServiceName::new(name).unwrap();
    let services = workers.keys().map(|n| Service::named(name(n))).collect();
    let mut edges = BTreeMap::new();
    for (caller, worker) in &workers {
        for stage in &worker.external_services {
            for callee in &stage.services {
                edges.entry((caller, callee)).or_insert_with(|| Edge {
                    fan_out: stage.probabilities.get(callee).copied(),
                    ..Edge::between(name(caller), name(callee))
                });
            }
        }
    }
    ServiceGraph::new(services, edges.into_values().collect()).unwrap()
}

/// Services of the families' rows: that of the largest real graph, and smaller ones.
pub const SIZES: [usize; 5] = [10, 30, 100, 300, 1238];
const SEEDS: u64 = 40;

const COLUMNS: &str = "| services | calls | calls/service | roots | leaves | shared | calls of a caller | most made | most callers | to hubs | depth | in circles | largest circle |";

fn row(name: &str, all: &[GraphStatistics]) -> String {
    let mean =
        |of: fn(&GraphStatistics) -> f64| all.iter().map(of).sum::<f64>() / all.len().max(1) as f64;
    let whole = if all.len() > 1 { 1 } else { 0 };
    format!(
        "| {name} | {:.0} | {:.0} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.*} | {:.*} | {:.2} | {:.*} | {:.2} | {:.*} |",
        mean(|s| s.services as f64),
        mean(|s| s.calls as f64),
        mean(|s| s.calls as f64 / s.services.max(1) as f64),
        mean(|s| s.roots),
        mean(|s| s.leaves),
        mean(|s| s.shared),
        mean(|s| s.calls_by_caller),
        whole,
        mean(|s| s.most_made as f64),
        whole,
        mean(|s| s.most_callers as f64),
        mean(|s| s.to_hubs),
        whole,
        mean(|s| s.depth as f64),
        mean(|s| s.in_circles),
        whole,
        mean(|s| s.largest_circle as f64),
    )
}

fn head(text: &mut String, first: &str) {
    writeln!(text, "| {first} {COLUMNS}").unwrap();
    writeln!(text, "|{}", "---|".repeat(14)).unwrap();
}

/// The table of the real graphs.
pub fn real_table() -> String {
    let mut text = String::new();
    head(&mut text, "graph");
    for (name, graph) in real_graphs() {
        writeln!(text, "{}", row(name, &[GraphStatistics::of(&graph)])).unwrap();
    }
    text
}

/// The table of the families: means over seeds.
pub fn family_table() -> String {
    let rows: Vec<(Family, usize)> = Family::ALL
        .into_iter()
        .flat_map(|family| SIZES.map(|size| (family, size)))
        .collect();
    let rows: Vec<String> = rows
        .into_par_iter()
        .map(|(family, size)| {
            let all: Vec<GraphStatistics> = (0..SEEDS)
                .map(|seed| GraphStatistics::of(&scenario(family, size, seed).unwrap().graph))
                .collect();
            row(family.as_str(), &all)
        })
        .collect();
    let mut text = String::new();
    head(&mut text, "family");
    for row in rows {
        writeln!(text, "{row}").unwrap();
    }
    text
}

/// Fan-outs that somebody counted, and those that were drawn for graphs of 300 services.
pub fn fan_out_table() -> String {
    let mut text = String::from(
        "| calls for each request | 10% | 25% | 50% | 75% | 90% | 95% | 99% |\n|---|---|---|---|---|---|---|---|\n",
    );
    let mut line = |name: &str, mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values[(share * (values.len() - 1) as f64) as usize];
        let cells =
            [0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99].map(|share| format!("{:.3}", at(share)));
        writeln!(text, "| {name} | {} |", cells.join(" | ")).unwrap();
    };
    for (name, graph) in real_graphs() {
        let known: Vec<f64> = graph.edges().filter_map(|edge| edge.fan_out).collect();
        if known.len() >= 10 {
            line(name, known);
        }
    }
    for family in Family::ALL {
        let drawn = (0..10).flat_map(|seed| {
            let graph = scenario(family, 300, seed).unwrap().graph;
            graph.edges().map(Edge::fan_out).collect::<Vec<_>>()
        });
        line(family.as_str(), drawn.collect());
    }
    text
}
