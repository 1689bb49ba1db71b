//! The simulation against queues whose answer is known: every mean within 1%, every 99th percentile within 2%, and the known
//! value inside the 95% interval about as often as it should.

#![allow(clippy::unwrap_used)]

mod common;

use common::{
    Complex, Known, invert_cdf, quantile,
    queues::{self, MEAN_MS, Queue, chain},
};
use foremesh_model::LoadBalancing;
use foremesh_simulate::{Arrivals, Mesh, Outcome, RunOptions, ServiceModel, Times, replicate};

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
        queues::m_m_c(c, utilisation).hold(&mut known);
    }
    known.finish();
}

#[test]
fn m_g_1_by_transform_inversion() {
    let mut known = Known::default();
    for (cv2, utilisation) in [(0.25, 0.5), (0.25, 0.9), (2.0, 0.5), (2.0, 0.8)] {
        queues::m_g_1(cv2, utilisation).hold(&mut known);
    }
    known.finish();
}

#[test]
fn m_d_1() {
    let mut known = Known::default();
    for utilisation in [0.5, 0.8, 0.9] {
        queues::m_d_1(utilisation).hold(&mut known);
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

#[test]
fn queues_in_tandem() {
    let mut known = Known::default();
    queues::tandem(70.0, &[100.0, 140.0, 110.0], 6e6).hold(&mut known);
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
    let queue = Queue {
        label: "Jackson".into(),
        mesh,
        rps: lambda,
        enough: 1e7,
        mean_ms: mean,
        p99_ms: p99,
    };
    queue.hold(&mut known);
    let options = RunOptions {
        measured_s: 2e4,
        warm_up_s: 100.0,
        seed: 3,
    };
    let report = replicate(&queue.mesh, &options, 10).unwrap();
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
