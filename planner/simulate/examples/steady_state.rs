//! The steady state in formulas: how far it is from the simulation, and how long it takes. Prints the tables of BENCHMARKS.md, for
//! `make bench-simulate`; `-- --meshes N` takes N random meshes (default 80).

#![allow(clippy::print_stdout)]

#[path = "../tests/common/random_mesh.rs"]
mod random_mesh;

use random_mesh::{Pair, of_rank, off, random_mesh};
use rayon::prelude::*;

fn main() -> Result<(), foremesh_simulate::SimulateError> {
    let meshes: u64 = std::env::args()
        .skip_while(|a| a != "--meshes")
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(80);
    let pairs: Vec<Pair> = (0..meshes)
        .into_par_iter()
        .map(|seed| Pair::of(&random_mesh(seed), 4e5))
        .collect::<Result<_, _>>()?;
    let verbose = std::env::args().any(|a| a == "--each");
    if verbose {
        for (seed, pair) in pairs.iter().enumerate() {
            println!(
                "{seed}: mean {:.2} {:+.3}, p99 {:.1} {:+.3}, availability {:.5} {:.5}",
                pair.mean_ms.0,
                off(pair.mean_ms),
                pair.p99_ms.0,
                off(pair.p99_ms),
                pair.availability.0,
                pair.availability.1
            );
        }
    }
    let line = |label: &str, values: Vec<f64>| {
        let size: Vec<f64> = values.iter().map(|v| v.abs()).collect();
        println!(
            "| {label} | {:+.2}% | {:.2}% | {:.2}% | {:.2}% |",
            of_rank(&values, 0.5) * 100.0,
            of_rank(&size, 0.5) * 100.0,
            of_rank(&size, 0.9) * 100.0,
            of_rank(&size, 1.0) * 100.0
        );
    };
    println!(
        "| {meshes} random meshes | median | median size | nine in ten below | largest |\n|---|---:|---:|---:|---:|"
    );
    line(
        "mean latency",
        pairs.iter().map(|p| off(p.mean_ms)).collect(),
    );
    line(
        "99th percentile",
        pairs.iter().map(|p| off(p.p99_ms)).collect(),
    );
    line(
        "share not answered, in points",
        pairs
            .iter()
            .map(|p| p.availability.1 - p.availability.0)
            .collect(),
    );
    line(
        "attempts for a call",
        pairs
            .iter()
            .flat_map(|p| p.attempts.iter().map(|a| off(*a)))
            .collect(),
    );
    Ok(())
}
