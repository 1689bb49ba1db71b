//! Fits the numbers of each load balancer (`analytic::Balancer`) to simulated services and prints how far the formulas are from those
//! that took no part in the fit. Three minutes on one core, for `make calibrate-waits`.
//!
//! The fit is damped least squares over a handful of numbers, with derivatives by differences; a crate for it would bring a matrix library along.

#![allow(clippy::print_stdout)]

use foremesh_model::{
    LoadBalancing,
    random::{mix, uniform},
};
use foremesh_simulate::{
    Arrivals, Mesh, RunOptions, ServiceModel, SimulateError, Times,
    analytic::{Balancer, GammaQuantile, Moments, Wait, Workers, erlang_c},
    simulate,
};
use rayon::prelude::*;

/// Services for each balancer, and requests of each simulation.
const SERVICES: u64 = 300;
const REQUESTS: f64 = 1e6;
const HOLDING_MS: f64 = 10.0;

/// A service and what was seen of it, in multiples of its holding time.
struct Seen {
    workers: Workers,
    instances: u32,
    rate_rps: f64,
    wait: f64,
    p99: f64,
}

fn draw(balancing: LoadBalancing, i: u64) -> (Workers, u32, f64) {
    let u = |k: u64| uniform(mix(mix(31, i), k));
    let log = |k: u64, low: f64, high: f64| (low * (high / low).powf(u(k))).round().max(1.0) as u32;
    let instances = log(3, 1.6, 40.0).max(2);
    let per_instance = log(4, 0.6, 48.0);
    let utilisation = 0.3 + 0.65 * u(5);
    let workers = Workers {
        per_instance,
        holding_ms: HOLDING_MS,
        service_cv2: if u(1) < 0.4 {
            1.0
        } else {
            0.25 * 16f64.powf(u(2))
        },
        arrival_cv2: 1.0,
        balancing,
        caller_proxies: f64::from(log(6, 0.6, 60.0)),
    };
    let rate_rps = f64::from(instances * per_instance) * utilisation * 1000.0 / HOLDING_MS;
    (workers, instances, rate_rps)
}

fn watch(balancing: LoadBalancing, i: u64) -> Result<Seen, SimulateError> {
    let (workers, instances, rate_rps) = draw(balancing, i);
    let work = Times::of_moments(HOLDING_MS, workers.service_cv2);
    let mut mesh = Mesh::single(
        ServiceModel::plain("service", instances, workers.per_instance, work),
        balancing,
        Arrivals::steady(rate_rps),
    );
    mesh.edges[0].gateway_proxies = workers.caller_proxies as u32;
    let idle = 1.0 - workers.utilisation(instances, rate_rps);
    let options = RunOptions {
        measured_s: REQUESTS / rate_rps,
        warm_up_s: 20.0 * HOLDING_MS / 1000.0 / (idle * idle) + 1.0,
        seed: 5,
    };
    let run = simulate(&mesh, &options)?;
    let (service, latency) = (&run.services[0], &run.entries[0].latency);
    Ok(Seen {
        workers,
        instances,
        rate_rps,
        wait: service.queued_s / service.requests.max(1) as f64 * 1000.0 / HOLDING_MS,
        p99: latency.quantile_ms(0.99) / HOLDING_MS,
    })
}

/// What a formula says: mean wait and 99th percentile of the stay, in multiples of the holding time.
fn said(seen: &Seen, wait: Moments, p99: &GammaQuantile) -> (f64, f64) {
    let stay = wait.plus(Moments::gamma(HOLDING_MS, seen.workers.service_cv2));
    (wait.mean / HOLDING_MS, p99.of(stay) / HOLDING_MS)
}

/// Before the calibration: a mixture of the two queues with one share for each balancer, waits exponential.
fn mixture(seen: &Seen, share: f64) -> Moments {
    let powers = |servers: u32, offered: f64| {
        let mean =
            HOLDING_MS / (f64::from(servers) - offered) * (1.0 + seen.workers.service_cv2) / 2.0;
        let first = erlang_c(servers, offered) * mean;
        [first, 2.0 * first * mean, 6.0 * first * mean * mean]
    };
    let offered = seen.rate_rps * HOLDING_MS / 1000.0;
    let pooled = powers(seen.workers.per_instance * seen.instances, offered);
    let split = powers(
        seen.workers.per_instance,
        offered / f64::from(seen.instances),
    );
    let [first, second, third] =
        std::array::from_fn(|i| pooled[i] + share * (split[i] - pooled[i]));
    Moments::from_powers(first, second, third)
}

/// Solves A·x = b for a small symmetric A by elimination.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    for pivot in 0..n {
        let best = (pivot..n).max_by(|i, j| a[*i][pivot].abs().total_cmp(&a[*j][pivot].abs()));
        a.swap(pivot, best.unwrap_or(pivot));
        b.swap(pivot, best.unwrap_or(pivot));
        for row in pivot + 1..n {
            let factor = a[row][pivot] / a[pivot][pivot];
            let above = a[pivot].clone();
            for (value, above) in a[row].iter_mut().zip(&above).skip(pivot) {
                *value -= factor * above;
            }
            b[row] -= factor * b[pivot];
        }
    }
    for row in (0..n).rev() {
        let known: f64 = (row + 1..n).map(|column| a[row][column] * b[column]).sum();
        b[row] = (b[row] - known) / a[row][row];
    }
    b
}

/// Damped least squares (Levenberg 1944, Marquardt 1963) of what `residuals` gives for each service.
fn fit<const N: usize>(mut x: [f64; N], residuals: impl Fn(&[f64; N]) -> Vec<f64>) -> [f64; N] {
    let squares = |r: &[f64]| r.iter().map(|v| v * v).sum::<f64>();
    let mut damping = 1e-3;
    let mut now = residuals(&x);
    for _ in 0..60 {
        let columns: Vec<Vec<f64>> = (0..N)
            .map(|k| {
                let mut moved = x;
                moved[k] += 1e-4;
                let there = residuals(&moved);
                there
                    .iter()
                    .zip(&now)
                    .map(|(a, b)| (a - b) / 1e-4)
                    .collect()
            })
            .collect();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let normal = (0..N)
            .map(|i| {
                let row = (0..N).map(|j| dot(&columns[i], &columns[j]));
                row.enumerate()
                    .map(|(j, v)| {
                        if i == j {
                            v * (1.0 + damping) + 1e-9
                        } else {
                            v
                        }
                    })
                    .collect()
            })
            .collect();
        let step = solve(normal, columns.iter().map(|c| -dot(c, &now)).collect());
        let next = std::array::from_fn(|k| x[k] + step[k]);
        let there = residuals(&next);
        if squares(&there) < squares(&now) {
            (x, now) = (next, there);
            damping *= 0.3;
        } else {
            damping *= 5.0;
        }
    }
    x
}

fn of_rank(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values
        .get((values.len() as f64 * share) as usize)
        .copied()
        .unwrap_or(0.0)
        * 100.0
}

/// One line of the table: relative errors of the mean stay and of its 99th percentile.
fn print_errors(label: &str, seen: &[&Seen], formula: impl Fn(&Seen) -> (f64, f64)) {
    let off = |pick: &dyn Fn(&Seen, (f64, f64)) -> f64| -> Vec<f64> {
        seen.iter().map(|s| pick(s, formula(s)).abs()).collect()
    };
    let means = off(&|s, (wait, _)| (wait - s.wait) / (1.0 + s.wait));
    let tails = off(&|s, (_, p99)| p99 / s.p99 - 1.0);
    println!(
        "| {label} | {:.1}% | {:.1}% | {:.1}% | {:.1}% |",
        of_rank(means.clone(), 0.5),
        of_rank(means, 0.9),
        of_rank(tails.clone(), 0.5),
        of_rank(tails, 0.9)
    );
}

fn main() -> Result<(), SimulateError> {
    let p99 = GammaQuantile::at(0.99);
    println!(
        "| {SERVICES} services each; those kept back from the fit | mean: median error | nine in ten below | p99: median error | nine in ten below |"
    );
    println!("|---|---:|---:|---:|---:|");
    let mut fitted = Vec::new();
    for (name, balancing, former_share, current) in [
        (
            "least request",
            LoadBalancing::LeastRequest,
            0.3,
            Some(Balancer::LEAST_REQUEST),
        ),
        (
            "round robin",
            LoadBalancing::RoundRobin,
            0.5,
            Some(Balancer::ROUND_ROBIN),
        ),
        ("random", LoadBalancing::Random, 1.0, None),
    ] {
        let all: Vec<Seen> = (0..SERVICES)
            .into_par_iter()
            .map(|i| watch(balancing, i))
            .collect::<Result<_, _>>()?;
        let (kept, used): (Vec<_>, Vec<_>) = all.iter().enumerate().partition(|(i, _)| i % 3 == 0);
        let kept: Vec<&Seen> = kept.into_iter().map(|(_, seen)| seen).collect();
        let used: Vec<&Seen> = used.into_iter().map(|(_, seen)| seen).collect();
        let behind = |seen: &Seen, balancer: Option<&Balancer>| {
            let wait = Wait::behind(&seen.workers, seen.instances, seen.rate_rps, balancer);
            said(seen, wait.moments(), &p99)
        };
        print_errors(
            &format!("{name}: one share, {former_share}, waits exponential"),
            &kept,
            |seen| said(seen, mixture(seen, former_share), &p99),
        );
        print_errors(&format!("{name}: as calibrated"), &kept, |seen| {
            behind(seen, current.as_ref())
        });
        if current.is_none() {
            continue;
        }
        let share = fit([0.0; 8], |share| {
            let balancer = Balancer {
                share: *share,
                spread: [0.0; 4],
            };
            used.iter()
                .map(|seen| (behind(seen, Some(&balancer)).0 - seen.wait) / (0.1 + seen.wait))
                .collect()
        });
        let spread = fit([0.0; 4], |spread| {
            let balancer = Balancer {
                share,
                spread: *spread,
            };
            // A service far off counts by its root, so that it does not decide alone.
            let soft = |r: f64| {
                if r.abs() > 0.05 {
                    r.signum() * (0.05 * (2.0 * r.abs() - 0.05)).sqrt()
                } else {
                    r
                }
            };
            used.iter()
                .map(|seen| soft((behind(seen, Some(&balancer)).1 / seen.p99).ln()))
                .collect()
        });
        let fresh = Balancer { share, spread };
        print_errors(&format!("{name}: as fitted in this run"), &kept, |seen| {
            behind(seen, Some(&fresh))
        });
        fitted.push((name, fresh));
    }
    for (name, balancer) in fitted {
        println!(
            "\n{name}\n  share: {:.3?}\n  spread: {:.3?}",
            balancer.share, balancer.spread
        );
    }
    Ok(())
}
