//! Queues whose answer is known, as meshes, with their mean stay and its 99th percentile in milliseconds.

use foremesh_model::LoadBalancing;
use foremesh_simulate::{
    Arrivals, EdgeModel, EntryModel, Mesh, RunOptions, ServiceModel, Stage, Times, replicate,
};

use super::{Complex, Known, invert_cdf, quantile};

pub const MEAN_MS: f64 = 10.0;

/// A queue and what is known of it.
pub struct Queue {
    pub label: String,
    pub mesh: Mesh,
    pub rps: f64,
    /// Customers that bring the mean within 1%.
    pub enough: f64,
    pub mean_ms: f64,
    pub p99_ms: f64,
}

impl Queue {
    /// Runs it in ten replications and holds mean and 99th percentile against what is known.
    pub fn hold(&self, known: &mut Known) {
        let options = RunOptions {
            measured_s: self.enough / self.rps / 10.0,
            warm_up_s: 2000.0 / self.rps + 60.0,
            seed: 20,
        };
        let report = replicate(&self.mesh, &options, 10).unwrap();
        let entry = report.entries.values().next().unwrap();
        let label = &self.label;
        known.hold(
            &format!("{label} mean"),
            entry.latency_mean_ms,
            self.mean_ms,
            0.01,
        );
        known.hold(
            &format!("{label} p99"),
            entry.latency_p99_ms,
            self.p99_ms,
            0.02,
        );
    }
}

pub fn single(workers: u32, work: Times, rps: f64) -> Mesh {
    Mesh::single(
        ServiceModel::plain("queue", 1, workers, work),
        LoadBalancing::Random,
        Arrivals::steady(rps),
    )
}

/// Customers that bring the mean within 1%: grows with the square of 1 ÷ (1 − utilisation).
pub fn enough(utilisation: f64) -> f64 {
    (1.5e5 / (1.0 - utilisation).powi(2)).max(1e6)
}

/// The probability of waiting and the mean wait of an M/M/c queue, in units of the service time.
pub fn erlang_c(c: u32, offered: f64) -> f64 {
    let b = (1..=c).fold(1.0, |b, k| offered * b / (f64::from(k) + offered * b));
    b / (1.0 - offered / f64::from(c) * (1.0 - b))
}

/// Services one after another, each calling the next with the given chance.
pub fn chain(rates: &[f64], chances: &[f64], rps: f64) -> Mesh {
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

/// M/M/c at a utilisation.
pub fn m_m_c(c: u32, utilisation: f64) -> Queue {
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
    Queue {
        label: format!("M/M/{c} at {utilisation}"),
        mesh: single(c, Times::Exponential { mean_ms: MEAN_MS }, rps),
        rps,
        enough: enough(utilisation),
        mean_ms: (1.0 + waits / rate) * MEAN_MS,
        p99_ms: quantile(|t| 1.0 - beyond(t), 0.99, MEAN_MS / 10.0) * MEAN_MS,
    }
}

/// M/G/1 with gamma service times at a utilisation.
pub fn m_g_1(cv2: f64, utilisation: f64) -> Queue {
    let service = |s: Complex| (s * cv2 + Complex::real(1.0)).powf(-1.0 / cv2);
    // Pollaczek & Khinchine: W*(s) = (1−ρ)s ÷ (s − λ + λB*(s)).
    let stay = |s: Complex| {
        let b = service(s);
        s * (1.0 - utilisation) / (s - Complex::real(utilisation) + b * utilisation) * b
    };
    let mean = 1.0 + utilisation * (1.0 + cv2) / (2.0 * (1.0 - utilisation));
    let rps = utilisation / MEAN_MS * 1e3;
    let work = Times::Gamma {
        mean_ms: MEAN_MS,
        cv2,
    };
    Queue {
        label: format!("M/G/1 cv² {cv2} at {utilisation}"),
        mesh: single(1, work, rps),
        rps,
        enough: enough(utilisation) * (1.0 + cv2),
        mean_ms: mean * MEAN_MS,
        p99_ms: quantile(|t| invert_cdf(stay, t), 0.99, mean) * MEAN_MS,
    }
}

/// M/D/1 at a utilisation.
pub fn m_d_1(utilisation: f64) -> Queue {
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
    let rps = utilisation / MEAN_MS * 1e3;
    Queue {
        label: format!("M/D/1 at {utilisation}"),
        mesh: single(1, Times::Constant { ms: MEAN_MS }, rps),
        rps,
        enough: enough(utilisation),
        mean_ms: mean * MEAN_MS,
        p99_ms: quantile(|t| waited(t - 1.0), 0.99, mean) * MEAN_MS,
    }
}

/// Queues in tandem that serve at these rates a second (Burke 1956 and Reich 1957: the stays are independent and exponential with the
/// rates μ − λ).
pub fn tandem(rps: f64, rates: &[f64], enough: f64) -> Queue {
    let left: Vec<f64> = rates.iter().map(|mu| (mu - rps) / 1e3).collect();
    let mean: f64 = left.iter().map(|r| 1.0 / r).sum();
    let stay = |s: Complex| {
        left.iter().fold(Complex::real(1.0), |all, r| {
            all * (Complex::real(*r) / (s + Complex::real(*r)))
        })
    };
    Queue {
        label: format!(
            "tandem of {} at {:.2}",
            rates.len(),
            rps / rates.iter().copied().fold(f64::INFINITY, f64::min)
        ),
        mesh: chain(rates, &vec![1.0; rates.len() - 1], rps),
        rps,
        enough,
        mean_ms: mean,
        p99_ms: quantile(|t| invert_cdf(stay, t), 0.99, mean),
    }
}
