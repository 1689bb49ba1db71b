//! The simulation against queues whose answer is known.

#![allow(clippy::unwrap_used)]

use foremesh_model::LoadBalancing;
use foremesh_simulate::{Arrivals, Mesh, RunOptions, ServiceModel, Times, simulate};

#[test]
fn mmc_means() {
    for (workers, load) in [(1u32, 0.3), (1, 0.7), (1, 0.9), (4, 0.8), (10, 0.9)] {
        let rate = f64::from(workers) * load * 100.0;
        let mesh = Mesh::single(
            ServiceModel::plain("s", 1, workers, Times::Exponential { mean_ms: 10.0 }),
            LoadBalancing::Random,
            Arrivals::steady(rate),
        );
        let started = std::time::Instant::now();
        let run = simulate(
            &mesh,
            &RunOptions {
                measured_s: 2_000_000.0 / rate,
                warm_up_s: 100.0,
                seed: 1,
            },
        )
        .unwrap();
        let took = started.elapsed().as_secs_f64();
        let c = f64::from(workers);
        let a = c * load;
        let mut b = 1.0;
        for k in 1..=workers {
            b = a * b / (f64::from(k) + a * b);
        }
        let wait = b / (1.0 - load * (1.0 - b)) * 10.0 / (c - a);
        eprintln!(
            "c={workers} rho={load} mean {} expected {} p99 {} util {} events/s {:.2}M",
            run.entries[0].latency.mean_ms(),
            wait + 10.0,
            run.entries[0].latency.quantile_ms(0.99),
            run.services[0].busy_s / run.services[0].offered_s,
            run.events as f64 / took / 1e6
        );
    }
}
