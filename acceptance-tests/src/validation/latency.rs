//! Latency at moderate load: four backends, each with two workers and a queue.

use foremesh_model::LoadBalancing;
use foremesh_simulate::{Mesh, ServiceModel, Times};
use serde_json::json;

use super::{Bench, Goal, REST_S, Row, Section, Unit, quantile, simulated, soon, worked};
use crate::{Backend, Bootstrap, Envoy, Work, open_loop};

const HOSTS: u32 = 4;
const WORKERS: u32 = 2;
const WORK_MS: f64 = 50.0;
const SECONDS: f64 = 60.0;
/// Seconds in which queues fill, not measured.
const FILLS_S: f64 = 3.0;

#[derive(Clone, Copy)]
struct Case {
    utilisation: f64,
    balancing: LoadBalancing,
    /// Squared coefficient of variation; 1: exponential, else log-normal.
    cv2: f64,
}

/// Milliseconds of a request through Envoy to a backend that answers at once, one way.
async fn one_way_ms(envoy: &Envoy) -> f64 {
    let mut took = Vec::new();
    for _ in 0..40 {
        let sent = open_loop(&envoy.url("in"), soon(), &[std::time::Duration::ZERO]).await;
        took.extend(sent.iter().map(|s| s.took.as_secs_f64() * 1e3));
    }
    quantile(took.into_iter(), 0.5) / 2.0
}

async fn compare(case: Case, one_way_ms: f64, bench: Bench) -> (Vec<Row>, f64) {
    let times = if case.cv2 == 1.0 {
        Times::Exponential { mean_ms: WORK_MS }
    } else {
        Times::LogNormal {
            mean_ms: WORK_MS,
            cv2: case.cv2,
        }
    };
    let mut backends = Vec::new();
    for host in 0..HOSTS {
        let work = Work {
            times: times.clone(),
            workers: WORKERS as usize,
            fails: 0.0,
            seed: bench.seed ^ u64::from(host),
        };
        backends.push(Backend::working(work).await);
    }
    let hosts: Vec<_> = backends.iter().map(|backend| backend.address).collect();
    let (policy, message) = match case.balancing {
        LoadBalancing::LeastRequest => ("least_request", "LeastRequest"),
        _ => ("round_robin", "RoundRobin"),
    };
    let config = Bootstrap::of(&hosts)
        .balanced(policy, message, serde_json::Map::new())
        .limits(json!({}))
        .build();
    let envoy = bench.envoy(config).await;
    let offered_rps = case.utilisation * f64::from(HOSTS * WORKERS) * 1e3 / WORK_MS;
    let mut driven = bench.drive(&envoy, soon(), offered_rps, SECONDS).await;
    let arrivals = driven.arrivals();
    driven.sent.retain(|s| s.at.as_secs_f64() >= FILLS_S);

    let all: Vec<&Backend> = backends.iter().collect();
    let service = ServiceModel::plain("backend", HOSTS, WORKERS, worked(&all));
    let mut mesh = Mesh::single(service, case.balancing, arrivals);
    mesh.edges[0].one_way_ms = one_way_ms;
    let time = (FILLS_S, SECONDS - FILLS_S + REST_S);
    let model = simulated(&mesh, bench.seed, time, |run| {
        let at = |level| {
            let entry = run.entries.first();
            entry.map_or(0.0, |entry| entry.latency.quantile_ms(level))
        };
        [at(0.5), at(0.9), at(0.99)]
    });
    let name = format!(
        "{policy}, utilisation {}, {}",
        case.utilisation,
        if case.cv2 == 1.0 {
            "exponential".to_owned()
        } else {
            format!("log-normal with CV² {}", case.cv2)
        },
    );
    let rows = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)]
        .into_iter()
        .zip(model);
    let rows = rows.map(|((measure, level), model)| {
        let goal = (Unit::Milliseconds, Goal::Part(0.2));
        let real = driven.quantile_ms(level);
        Row::new(name.clone(), measure, goal, real, model)
    });
    (rows.collect(), driven.late_p99_ms())
}

pub(super) async fn run(bench: &Bench) -> Section {
    let quick = Backend::working(Work::none()).await;
    let envoy = bench
        .envoy(Bootstrap::of(&[quick.address]).limits(json!({})).build())
        .await;
    let way = one_way_ms(&envoy).await;
    drop(envoy);
    let case = |utilisation, balancing, cv2| Case {
        utilisation,
        balancing,
        cv2,
    };
    use LoadBalancing::{LeastRequest, RoundRobin};
    let found = tokio::join!(
        compare(case(0.5, LeastRequest, 1.0), way, bench.case(50)),
        compare(case(0.5, RoundRobin, 1.5), way, bench.case(51)),
        compare(case(0.7, LeastRequest, 1.5), way, bench.case(52)),
        compare(case(0.7, RoundRobin, 1.0), way, bench.case(53)),
    );
    let found = [found.0, found.1, found.2, found.3];
    Section {
        title: "Latency",
        setup: "Four backends of two workers, mean time 50 ms. The simulator adds to each way half of what a request through Envoy to an idle backend takes.",
        late_p99_ms: found.iter().map(|(_, late)| *late).fold(0.0, f64::max),
        rows: found.into_iter().flat_map(|(rows, _)| rows).collect(),
    }
}
