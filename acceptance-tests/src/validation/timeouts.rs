//! Timeouts of attempts and of whole requests, with retries, over backends that go on working when nobody waits any more.

use foremesh_model::LoadBalancing;
use foremesh_simulate::{Connections, Mesh, Outcome, RetryModel, ServiceModel, Times};
use serde_json::json;

use super::{Bench, Goal, REST_S, Row, Section, Unit, ended, simulated, soon, worked};
use crate::{Backend, Bootstrap, Work};

const SECONDS: f64 = 25.0;
const WORK_MS: f64 = 60.0;
const ATTEMPTS: u32 = 2;
const BACKOFF_MS: f64 = 10.0;

#[derive(Clone, Copy)]
struct Case {
    offered_rps: f64,
    /// None: more than are ever needed.
    workers: Option<u32>,
    per_try_ms: f64,
    timeout_ms: f64,
}

async fn compare(case: Case, bench: Bench) -> (Vec<Row>, f64) {
    let mut work = Work {
        times: Times::Exponential { mean_ms: WORK_MS },
        seed: bench.seed,
        ..Work::none()
    };
    if let Some(workers) = case.workers {
        work.workers = workers as usize;
    }
    let backend = Backend::working(work).await;
    let seconds = |ms: f64| format!("{}s", ms / 1e3);
    let mut config = Bootstrap::of(&[backend.address])
        .limits(json!({}))
        .retries(json!({
            "retry_on": "5xx",
            "num_retries": ATTEMPTS,
            "per_try_timeout": seconds(case.per_try_ms),
            "retry_back_off": {
                "base_interval": seconds(BACKOFF_MS),
                "max_interval": seconds(BACKOFF_MS * 10.0),
            },
        }));
    config
        .route
        .insert("timeout".into(), json!(seconds(case.timeout_ms)));
    let envoy = bench.envoy(config.build()).await;
    let driven = bench.drive(&envoy, soon(), case.offered_rps, SECONDS).await;
    let attempts = envoy.stat("cluster.out.upstream_rq_total").await;

    let workers = case.workers.unwrap_or(1_000_000);
    let service = ServiceModel::plain("backend", 1, workers, worked(&[&backend]));
    let mut mesh = Mesh::single(service, LoadBalancing::RoundRobin, driven.arrivals());
    let edge = &mut mesh.edges[0];
    edge.connections = Connections::OneRequest { connect_ms: 0.3 };
    edge.timeout_ms = Some(case.timeout_ms);
    edge.per_try_timeout_ms = Some(case.per_try_ms);
    edge.retries = RetryModel {
        attempts: ATTEMPTS,
        on_5xx: true,
        base_backoff_ms: BACKOFF_MS,
        ..RetryModel::default()
    };
    let time = (0.0, SECONDS + REST_S);
    let model = simulated(&mesh, bench.seed, time, |run| {
        let tries = run.edges.first().map_or(0, |edge| edge.attempts);
        let entry = run.entries.first();
        let requests = entry.map_or(1, |entry| entry.requests());
        let at = |level| entry.map_or(0.0, |entry| entry.latency.quantile_ms(level));
        [
            tries as f64 / requests as f64,
            ended(run, Outcome::Timeout) + ended(run, Outcome::AttemptTimeout),
            at(0.5),
            at(0.99),
        ]
    });
    let name = format!(
        "{}, {} ms an attempt, {} ms in all, offered {:.1}/s × {WORK_MS} ms",
        case.workers
            .map_or("no queue".to_owned(), |workers| format!(
                "{workers} workers"
            )),
        case.per_try_ms,
        case.timeout_ms,
        driven.offered_rps()
    );
    let latency = (Unit::Milliseconds, Goal::Part(0.2));
    let rows = vec![
        Row::new(
            name.clone(),
            "attempts of a request",
            (Unit::Number, Goal::Within(0.05)),
            attempts as f64 / driven.sent.len() as f64,
            model[0],
        ),
        Row::share(
            name.clone(),
            "timed out in the end",
            driven.share(504, 0.0, f64::MAX),
            model[1],
        ),
        Row::new(
            name.clone(),
            "p50 of those answered",
            latency,
            driven.quantile_ms(0.5),
            model[2],
        ),
        Row::new(
            name,
            "p99 of those answered",
            latency,
            driven.quantile_ms(0.99),
            model[3],
        ),
    ];
    (rows, driven.late_p99_ms())
}

pub(super) async fn run(bench: &Bench) -> Section {
    let case = |offered_rps, workers, per_try_ms, timeout_ms| Case {
        offered_rps,
        workers,
        per_try_ms,
        timeout_ms,
    };
    let found = tokio::join!(
        compare(case(80.0, None, 60.0, 160.0), bench.case(80)),
        compare(case(80.0, None, 120.0, 1000.0), bench.case(81)),
        compare(case(80.0, Some(10), 150.0, 400.0), bench.case(82)),
    );
    let found = [found.0, found.1, found.2];
    Section {
        title: "Timeouts",
        setup: "At most two retries on 5xx, exponential times; a backend finishes what its caller gave up.",
        late_p99_ms: found.iter().map(|(_, late)| *late).fold(0.0, f64::max),
        rows: found.into_iter().flat_map(|(rows, _)| rows).collect(),
    }
}
