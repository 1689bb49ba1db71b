//! The simulation against queues whose answer is known: every mean within 1%, every 99th percentile within 2%, and the known
//! value inside the 95% interval about as often as it should.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Complex, Known, invert_cdf, quantile};
use foremesh_model::LoadBalancing;
use foremesh_simulate::{
    Arrivals, EdgeModel, EntryModel, Mesh, Outcome, RunOptions, ServiceModel, Stage, Times,
    replicate,
};

const MEAN_MS: f64 = 10.0;

fn single(workers: u32, work: Times, rps: f64) -> Mesh {
    Mesh::single(
        ServiceModel::plain("queue", 1, workers, work),
        LoadBalancing::Random,
        Arrivals::steady(rps),
    )
}

/// Runs `requests` requests in ten replications and holds mean and 99th percentile against what is known.
fn hold(
    label: &str,
    mesh: &Mesh,
    rps: f64,
    requests: f64,
    mean_ms: f64,
    p99_ms: f64,
    known: &mut Known,
) {
    let options = RunOptions {
        measured_s: requests / rps / 10.0,
        warm_up_s: 2000.0 / rps + 60.0,
        seed: 20,
    };
    let report = replicate(mesh, &options, 10).unwrap();
    let entry = report.entries.values().next().unwrap();
    known.hold(
        &format!("{label} mean"),
        entry.latency_mean_ms,
        mean_ms,
        0.01,
    );
    known.hold(&format!("{label} p99"), entry.latency_p99_ms, p99_ms, 0.02);
}

/// Customers that bring the mean within 1%: grows with the square of 1 ÷ (1 − utilisation).
fn enough(utilisation: f64) -> f64 {
    (1.5e5 / (1.0 - utilisation).powi(2)).max(1e6)
}

/// The probability of waiting and the mean wait of an M/M/c queue, in units of the service time.
fn erlang_c(c: u32, offered: f64) -> f64 {
    let b = (1..=c).fold(1.0, |b, k| offered * b / (f64::from(k) + offered * b));
    b / (1.0 - offered / f64::from(c) * (1.0 - b))
}

#[test]
fn m_m_c() {
    let mut known = Known::default();
    for (c, utilisation) in [
        (1, 0.3),
        (1, 0.6),
        (1, 0.9),
        (2, 0.7),
        (4, 0.8),
        (4, 0.9),
        (16, 0.9),
    ] {
        let offered = f64::from(c) * utilisation;
        let rps = offered / MEAN_MS * 1e3;
        let waits = erlang_c(c, offered);
        // Those that wait do so exponentially at rate c − a; the whole stay is that wait and an exponential service.
        let rate = f64::from(c) - offered;
        let beyond = |t: f64| {
            let served = (-t).exp();
            if (rate - 1.0).abs() < 1e-9 {
                served + waits * t * served
            } else {
                (1.0 - waits) * served + waits * (rate * served - (-rate * t).exp()) / (rate - 1.0)
            }
        };
        let p99 = quantile(|t| 1.0 - beyond(t), 0.99, MEAN_MS / 10.0) * MEAN_MS;
        let mean = (1.0 + waits / rate) * MEAN_MS;
        let mesh = single(c, Times::Exponential { mean_ms: MEAN_MS }, rps);
        hold(
            &format!("M/M/{c} at {utilisation}"),
            &mesh,
            rps,
            enough(utilisation),
            mean,
            p99,
            &mut known,
        );
    }
    known.finish();
}

#[test]
fn m_g_1_by_transform_inversion() {
    let mut known = Known::default();
    for (cv2, utilisation) in [(0.25, 0.5), (0.25, 0.9), (2.0, 0.5), (2.0, 0.8)] {
        let lambda = utilisation;
        let service = |s: Complex| (s * cv2 + Complex::real(1.0)).powf(-1.0 / cv2);
        // Pollaczek & Khinchine: W*(s) = (1−ρ)s ÷ (s − λ + λB*(s)).
        let stay = |s: Complex| {
            let b = service(s);
            s * (1.0 - utilisation) / (s - Complex::real(lambda) + b * lambda) * b
        };
        let mean = 1.0 + lambda * (1.0 + cv2) / (2.0 * (1.0 - utilisation));
        let p99 = quantile(|t| invert_cdf(stay, t), 0.99, mean);
        let rps = utilisation / MEAN_MS * 1e3;
        let mesh = single(
            1,
            Times::Gamma {
                mean_ms: MEAN_MS,
                cv2,
            },
            rps,
        );
        hold(
            &format!("M/G/1 cv² {cv2} at {utilisation}"),
            &mesh,
            rps,
            enough(utilisation) * (1.0 + cv2),
            mean * MEAN_MS,
            p99 * MEAN_MS,
            &mut known,
        );
    }
    known.finish();
}

#[test]
fn m_d_1() {
    let mut known = Known::default();
    for utilisation in [0.5, 0.8, 0.9] {
        // Pollaczek & Khinchine with B*(s) = e^(−s), in units of the service time; the stay is that wait and one unit.
        let wait = |s: Complex| {
            let b = Complex {
                re: (-s.re).exp() * s.im.cos(),
                im: -(-s.re).exp() * s.im.sin(),
            };
            s * (1.0 - utilisation) / (s - Complex::real(utilisation) + b * utilisation)
        };
        let waited = |t: f64| if t <= 0.0 { 0.0 } else { invert_cdf(wait, t) };
        let mean = 1.0 + utilisation / (2.0 * (1.0 - utilisation));
        let p99 = quantile(|t| waited(t - 1.0), 0.99, mean);
        let rps = utilisation / MEAN_MS * 1e3;
        let mesh = single(1, Times::Constant { ms: MEAN_MS }, rps);
        hold(
            &format!("M/D/1 at {utilisation}"),
            &mesh,
            rps,
            enough(utilisation),
            mean * MEAN_MS,
            p99 * MEAN_MS,
            &mut known,
        );
    }
    known.finish();
}

#[test]
fn m_m_c_k_loses_what_it_should() {
    let mut known = Known::default();
    for (c, places, utilisation) in [(1u32, 5u32, 0.9), (4, 10, 1.2)] {
        let offered = f64::from(c) * utilisation;
        let rps = offered / MEAN_MS * 1e3;
        let mut service =
            ServiceModel::plain("queue", 1, c, Times::Exponential { mean_ms: MEAN_MS });
        service.max_concurrent_requests = c;
        service.max_pending_requests = places - c;
        let mesh = Mesh::single(service, LoadBalancing::Random, Arrivals::steady(rps));
        let mut weights = vec![1.0];
        for n in 1..=places {
            let last = weights[n as usize - 1];
            weights.push(last * offered / f64::from(n.min(c)));
        }
        let all: f64 = weights.iter().sum();
        let lost = weights[places as usize] / all;
        let inside: f64 = (0..)
            .zip(&weights)
            .map(|(n, w)| f64::from(n) * w / all)
            .sum();
        let mean = inside / (offered * (1.0 - lost)) * MEAN_MS;
        let options = RunOptions {
            measured_s: 2e6 / rps / 10.0,
            warm_up_s: 60.0,
            seed: 5,
        };
        let report = replicate(&mesh, &options, 10).unwrap();
        let entry = &report.entries["queue"];
        let label = format!("M/M/{c}/{places} at {utilisation}");
        known.hold(
            &format!("{label} lost"),
            entry.failures[Outcome::Refused.word()],
            lost,
            0.01,
        );
        known.hold(&format!("{label} mean"), entry.latency_mean_ms, mean, 0.01);
    }
    known.finish();
}

/// Services one after another, each calling the next with the given chance.
fn chain(rates: &[f64], chances: &[f64], rps: f64) -> Mesh {
    let mut services = Vec::new();
    let mut edges = vec![EdgeModel::plain(None, 0, LoadBalancing::Random)];
    for (i, rate) in rates.iter().enumerate() {
        let mut service = ServiceModel::plain(
            &format!("s{i}"),
            1,
            1,
            Times::Exponential {
                mean_ms: 1e3 / rate,
            },
        );
        if let Some(chance) = chances.get(i) {
            service.stages = vec![Stage {
                edges: vec![edges.len()],
                parallel: false,
            }];
            edges.push(EdgeModel {
                calls: *chance,
                ..EdgeModel::plain(Some(i), i + 1, LoadBalancing::Random)
            });
        }
        services.push(service);
    }
    let entry = EntryModel {
        name: "chain".into(),
        edge: 0,
        arrivals: Arrivals::steady(rps),
        slo: Default::default(),
        ramp: Vec::new(),
    };
    Mesh {
        services,
        edges,
        entries: vec![entry],
        ..Mesh::default()
    }
}

#[test]
fn queues_in_tandem() {
    // Burke 1956 and Reich 1957: the stays are independent and exponential with the rates μ − λ.
    let (lambda, rates) = (70.0, [100.0, 140.0, 110.0]);
    let mesh = chain(&rates, &[1.0, 1.0], lambda);
    let left: Vec<f64> = rates.iter().map(|mu| (mu - lambda) / 1e3).collect();
    let mean: f64 = left.iter().map(|r| 1.0 / r).sum();
    let stay = |s: Complex| {
        left.iter().fold(Complex::real(1.0), |all, r| {
            all * (Complex::real(*r) / (s + Complex::real(*r)))
        })
    };
    let p99 = quantile(|t| invert_cdf(stay, t), 0.99, mean);
    let mut known = Known::default();
    hold("tandem", &mesh, lambda, 6e6, mean, p99, &mut known);
    known.finish();
}

#[test]
fn a_feed_forward_jackson_network() {
    // Jackson 1957: each station is an M/M/1 of its own rate. The second gets 60% of the first, the third 30%.
    let (lambda, rates, chances) = (80.0, [100.0, 60.0, 30.0], [0.6, 0.5]);
    let mesh = chain(&rates, &chances, lambda);
    let flows = [lambda, lambda * 0.6, lambda * 0.3];
    let mean: f64 = rates
        .iter()
        .zip(flows)
        .map(|(mu, flow)| flow / lambda * 1e3 / (mu - flow))
        .sum();
    let left: Vec<f64> = rates
        .iter()
        .zip(flows)
        .map(|(mu, flow)| (mu - flow) / 1e3)
        .collect();
    let one = |s: Complex, r: f64| Complex::real(r) / (s + Complex::real(r));
    let stay = |s: Complex| {
        let (a, b, c) = (one(s, left[0]), one(s, left[1]), one(s, left[2]));
        a * 0.4 + a * b * 0.3 + a * b * c * 0.3
    };
    let p99 = quantile(|t| invert_cdf(stay, t), 0.99, mean);
    let mut known = Known::default();
    hold("Jackson", &mesh, lambda, 1e7, mean, p99, &mut known);
    let options = RunOptions {
        measured_s: 2e4,
        warm_up_s: 100.0,
        seed: 3,
    };
    let report = replicate(&mesh, &options, 10).unwrap();
    for (i, (mu, flow)) in rates.iter().zip(flows).enumerate() {
        known.hold(
            &format!("Jackson utilisation {i}"),
            report.services[&format!("s{i}")].utilisation,
            flow / mu,
            0.01,
        );
    }
    known.finish();
}
