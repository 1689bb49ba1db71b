//! Meshes drawn at random from a seed, and how far the steady state is from their simulation: for the test and for the table.

#![allow(dead_code)]

use foremesh_model::{
    LoadBalancing, Slo,
    random::{mix, uniform},
};
use foremesh_simulate::{
    Arrivals, EdgeModel, EntryModel, Mesh, RetryModel, RunOptions, ServiceModel, SimulateError,
    Stage, Times,
    analytic::{Load, SteadyState},
    replicate,
};

/// A tree of 2 … 9 services: chains, fans one after the other and beside each other, fractions of calls, 1 … 12 workers, work of cv² 0.25 … 4,
/// utilisations 0.2 … 0.85, each balancer; errors with second attempts on every third.
pub fn random_mesh(seed: u64) -> Mesh {
    let u = |k: u64| uniform(mix(mix(0x5eed, seed), k));
    let count = 2 + (u(0) * 8.0) as usize;
    let retried = seed.is_multiple_of(3);
    let balancing = match seed % 4 {
        0 => LoadBalancing::RoundRobin,
        1 => LoadBalancing::Random,
        _ => LoadBalancing::LeastRequest,
    };
    let mut mesh = Mesh::default();
    let mut edges = vec![EdgeModel {
        gateway_proxies: 2,
        ..EdgeModel::plain(None, 0, balancing)
    }];
    let mut visits = vec![0.0; count];
    visits[0] = 1.0;
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); count];
    for service in 1..count {
        let k = 100 + 10 * service as u64;
        // A chain half of the time, else a fan at one of those before.
        let caller = if u(k) < 0.5 {
            service - 1
        } else {
            (u(k + 1) * service as f64) as usize
        };
        let calls = [1.0, 1.0, 2.0, 0.3, 1.4][(u(k + 2) * 5.0) as usize];
        children[caller].push(edges.len());
        visits[service] = visits[caller] * calls;
        edges.push(EdgeModel {
            calls,
            one_way_ms: 0.5,
            ..EdgeModel::plain(Some(caller), service, balancing)
        });
    }
    if retried {
        for edge in &mut edges {
            edge.retries = RetryModel {
                attempts: 2,
                on_connect_failure: true,
                on_5xx: true,
                budget_percent: Some(20.0),
                budget_min_concurrent: 5,
                base_backoff_ms: 25.0,
                other_draws: 0,
            };
        }
    }
    let rps = 200.0;
    for (service, stage) in children.iter().enumerate() {
        let k = 1000 + 10 * service as u64;
        let utilisation = 0.2 + 0.65 * u(k);
        // Work of 2 … 50 ms, workers and instances for the load that it makes; then work that meets the utilisation exactly.
        let arrivals = rps * visits[service];
        let erlangs = arrivals * 2.0 * 25f64.powf(u(k + 1)) / 1000.0;
        let most = (erlangs / utilisation).max(1.0);
        let workers = ([1.0f64, 2.0, 4.0, 12.0][(u(k + 2) * 4.0) as usize]).min(most.round());
        let instances = (erlangs / utilisation / workers).round().max(1.0);
        let holding_ms = utilisation * workers * instances * 1000.0 / arrivals;
        let (workers, instances) = (workers as u32, instances as u32);
        let cv2 = [1.0, 0.25, 0.5, 2.0, 4.0][(u(k + 3) * 5.0) as usize];
        let mut model = ServiceModel::plain(
            &format!("s{service}"),
            instances,
            workers,
            Times::of_moments(holding_ms, cv2),
        );
        if retried {
            model.error_rate = 0.01;
        }
        if !stage.is_empty() {
            model.stages.push(Stage {
                edges: stage.clone(),
                parallel: u(k + 4) < 0.5,
            });
        }
        mesh.services.push(model);
    }
    mesh.edges = edges;
    mesh.entries.push(EntryModel {
        name: "s0".into(),
        edge: 0,
        arrivals: Arrivals::steady(rps),
        slo: Slo::default(),
        ramp: Vec::new(),
    });
    mesh
}

/// What both say of one mesh: (simulated, steady state) of the entry's mean and 99th percentile, its availability, and attempts on its edges.
pub struct Pair {
    pub mean_ms: (f64, f64),
    pub p99_ms: (f64, f64),
    pub availability: (f64, f64),
    pub attempts: Vec<(f64, f64)>,
}

impl Pair {
    /// Simulates `requests` requests in four runs, and asks the steady state.
    pub fn of(mesh: &Mesh, requests: f64) -> Result<Self, SimulateError> {
        let load = Load::at(mesh, 0.0);
        let options = RunOptions {
            measured_s: requests / load.entry_rps[0] / 4.0,
            warm_up_s: 60.0,
            seed: 7,
        };
        let report = replicate(mesh, &options, 4)?;
        let mut steady = SteadyState::of(mesh)?;
        let answer = steady.evaluate(mesh, &load)?;
        let (seen, said) = (&report.entries["s0"], &answer.entries[0]);
        let attempts = (0..mesh.edges.len())
            .map(|e| {
                let seen = &report.edges[&mesh.edge_name(e)];
                (
                    seen.attempts_per_call.mean,
                    answer.edges[e].attempts_per_call,
                )
            })
            .collect();
        Ok(Self {
            mean_ms: (seen.latency_mean_ms.mean, said.latency_mean_ms),
            p99_ms: (seen.latency_p99_ms.mean, said.latency_p99_ms),
            availability: (seen.availability.mean, said.availability),
            attempts,
        })
    }
}

/// Relative errors.
pub fn off((seen, said): (f64, f64)) -> f64 {
    said / seen.max(1e-12) - 1.0
}

/// The value below which a share of the values lies.
pub fn of_rank(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() as f64 * share) as usize;
    sorted
        .get(at.min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or(0.0)
}
