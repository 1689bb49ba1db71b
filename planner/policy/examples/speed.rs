//! How long a plan takes: `cargo run --release -p foremesh-policy --example speed`.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Instant;

use foremesh_model::PolicyKind;
use foremesh_policy::{PolicyInput, guards, plan};

fn main() {
    for services in [50, 500] {
        for latency_ms in [500.0, 120.0] {
            for policy in [PolicyKind::Analytic, PolicyKind::Search] {
                let (graph, demand) = common::layered(services);
                let mut request = common::request();
                request.slo.latency_ms = latency_ms;
                request.policy = policy;
                let input = PolicyInput {
                    graph: &graph,
                    demand: &demand,
                    request: &request,
                };
                let started = Instant::now();
                let output = plan(&input).unwrap();
                let planned = started.elapsed();
                let started = Instant::now();
                let violations = guards::check(&output.settings).len();
                let guarded = started.elapsed();
                println!(
                    "{services} services, {} edges, {} entries, {} h, objective {latency_ms} ms, {policy:?}: plan {planned:.0?}, guards {guarded:.1?} ({violations} violations), holds {}, cost {:.2}, settings {} kB",
                    graph.edges().len(),
                    demand.entries.len(),
                    demand.steps(),
                    output.kpis.holds,
                    output.kpis.instance_cost,
                    serde_json::to_vec(&output.settings).unwrap().len() / 1000
                );
                for candidate in &output.candidates {
                    println!(
                        "    {:<40} cost {:>9.2}, {:>8.2} violation minutes, holds {:<5} in simulation {:?}",
                        candidate.name,
                        candidate.instance_cost,
                        candidate.violation_minutes,
                        candidate.holds,
                        candidate.kept_in_simulation
                    );
                }
            }
        }
    }
}
