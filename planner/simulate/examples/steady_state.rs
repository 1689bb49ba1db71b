//! The steady state in formulas: how long it takes, and how far it is from the simulation. Prints the tables of BENCHMARKS.md, for
//! `make bench-simulate`; `-- --meshes N` compares N random meshes (default 60, 0: only the times), `--each` prints every one.

#![allow(clippy::print_stdout)]

#[path = "../tests/common/random_mesh.rs"]
mod random_mesh;

use std::{hint::black_box, time::Instant};

use foremesh_model::{
    LoadBalancing, RateLimit, Slo,
    random::{mix, uniform},
};
use foremesh_simulate::{
    Arrivals, Connections, EdgeModel, EntryModel, LimitsModel, Mesh, RetryModel, ServiceModel,
    SimulateError, Stage, Times,
    analytic::{Load, SteadyState},
};
use random_mesh::{Pair, of_rank, off, random_mesh};
use rayon::prelude::*;

const LAYER: usize = 10;
const RPS: f64 = 500.0;

fn edge(caller: Option<usize>, callee: usize, calls: f64) -> EdgeModel {
    EdgeModel {
        calls,
        gateway_proxies: 4,
        one_way_ms: 0.5,
        timeout_ms: Some(5000.0),
        per_try_timeout_ms: Some(2000.0),
        retries: RetryModel {
            attempts: 2,
            on_connect_failure: true,
            on_5xx: true,
            budget_percent: Some(20.0),
            budget_min_concurrent: 3,
            base_backoff_ms: 25.0,
            other_draws: 0,
        },
        limits: LimitsModel {
            max_connections: 400,
            max_pending_requests: 400,
            max_concurrent_requests: 400,
            max_concurrent_retries: 40,
        },
        connections: Connections::OneRequest { connect_ms: 2.0 },
        ..EdgeModel::plain(caller, callee, LoadBalancing::LeastRequest)
    }
}

/// Layers of ten; calls on average reach each service about once for each request.
fn layered(services: usize) -> Mesh {
    let mut mesh = Mesh {
        edges: vec![edge(None, 0, 1.0)],
        ..Mesh::default()
    };
    let mut visits = vec![0.0; services];
    visits[0] = 1.0;
    for s in 0..services {
        let u = |k: u64| uniform(mix(mix(9, s as u64), k));
        let next = (s / LAYER + 1) * LAYER;
        let callees: Vec<usize> = if s == 0 {
            (1..LAYER.min(services)).collect()
        } else {
            let count = 2 + usize::from(u(0) < 0.5);
            (0..count)
                .map(|c| next + (s + c * 3) % LAYER)
                .filter(|callee| *callee < services)
                .collect()
        };
        let from = mesh.edges.len();
        for callee in &callees {
            let calls = if s == 0 { 1.0 } else { 0.4 };
            visits[*callee] += visits[s] * calls;
            mesh.edges.push(edge(Some(s), *callee, calls));
        }
        let rps = RPS * visits[s].max(0.01);
        let (workers, holding_ms) = (8, 4.0 + 8.0 * u(1));
        let instances = (rps * holding_ms / 1000.0 / (8.0 * 0.7)).ceil().max(2.0) as u32;
        let mut service = ServiceModel::plain(
            &format!("s{s}"),
            instances,
            workers,
            Times::LogNormal {
                mean_ms: holding_ms,
                cv2: 1.5,
            },
        );
        service.error_rate = 0.0005;
        service.cost_per_hour = 0.05;
        service.rate_limit = Some(RateLimit {
            requests_per_second: 0.9 * 8000.0 / holding_ms,
            burst: 1000,
        });
        service.max_concurrent_requests = 300;
        service.max_pending_requests = 300;
        if !callees.is_empty() {
            service.stages = vec![Stage {
                edges: (from..mesh.edges.len()).collect(),
                parallel: s.is_multiple_of(2),
            }];
        }
        mesh.services.push(service);
    }
    mesh.entries.push(EntryModel {
        name: "s0".into(),
        edge: 0,
        arrivals: Arrivals::Poisson {
            step_s: 3600.0,
            rates_rps: vec![RPS],
            dispersion: 2.0,
        },
        slo: Slo::default(),
        ramp: Vec::new(),
    });
    mesh
}

/// Microseconds of one evaluation: the median and the fastest of 40 batches, which is what it takes where nothing else runs beside it.
fn time(services: usize) -> Result<(), SimulateError> {
    let mesh = layered(services);
    let load = Load::at(&mesh, 0.0);
    let mut steady = SteadyState::of(&mesh)?;
    let batch = 20_000 / services;
    let mut took = Vec::new();
    for _ in 0..40 {
        let started = Instant::now();
        for _ in 0..batch {
            black_box(steady.evaluate(black_box(&mesh), black_box(&load))?);
        }
        took.push(started.elapsed().as_secs_f64() * 1e6 / batch as f64);
    }
    let answer = steady.evaluate(&mesh, &load)?;
    println!(
        "| {services} services, {} edges | {:.0} | {:.0} | {} | {:.0} ms, {:.3}% |",
        mesh.edges.len(),
        of_rank(&took, 0.5),
        of_rank(&took, 0.0),
        answer.rounds,
        answer.entries[0].latency_p99_ms,
        answer.entries[0].availability * 100.0
    );
    Ok(())
}

fn compare(meshes: u64, each: bool) -> Result<(), SimulateError> {
    let pairs: Vec<Pair> = (0..meshes)
        .into_par_iter()
        .map(|seed| Pair::of(&random_mesh(seed), 2e5))
        .collect::<Result<_, _>>()?;
    for (seed, pair) in pairs.iter().enumerate().filter(|_| each) {
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
        "\n| {meshes} random meshes: relative error | median | median of its size | nine in ten below | largest |"
    );
    println!("|---|---:|---:|---:|---:|");
    line(
        "mean latency",
        pairs.iter().map(|p| off(p.mean_ms)).collect(),
    );
    line(
        "99th percentile",
        pairs.iter().map(|p| off(p.p99_ms)).collect(),
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

fn main() -> Result<(), SimulateError> {
    let meshes = std::env::args()
        .skip_while(|a| a != "--meshes")
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(60);
    println!("| steady state of | µs, median | µs, fastest | rounds | p99, answered |");
    println!("|---|---:|---:|---:|---|");
    for services in [20, 100, 500] {
        time(services)?;
    }
    if meshes > 0 {
        compare(meshes, std::env::args().any(|a| a == "--each"))?;
    }
    Ok(())
}
