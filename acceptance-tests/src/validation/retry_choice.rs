//! When a request is tried again, and where.

use foremesh_model::{Fault, FaultKind, LoadBalancing};
use foremesh_simulate::{Mesh, Outcome, RetryModel, ServiceModel, Times};
use serde_json::json;

use super::{Bench, Driven, Goal, REST_S, Row, Section, Unit, ended, simulated, soon};
use crate::{Backend, Bootstrap, ClosedPort, Work};

const SECONDS: f64 = 15.0;
const HOSTS: u32 = 3;

impl Driven {
    /// Mean milliseconds of all requests.
    fn mean_ms(&self) -> f64 {
        let took = self.sent.iter().map(|s| s.took.as_secs_f64() * 1e3);
        took.sum::<f64>() / self.sent.len().max(1) as f64
    }
}

/// How long requests take that fail every time: their waits.
async fn waits(base_ms: f64, attempts: u32, bench: Bench) -> (Row, f64) {
    let backend = Backend::answering(503).await;
    let config = Bootstrap::of(&[backend.address])
        .limits(json!({}))
        .retries(json!({
            "retry_on": "5xx",
            "num_retries": attempts,
            "retry_back_off": {
                "base_interval": format!("{}s", base_ms / 1e3),
                "max_interval": format!("{}s", base_ms / 1e2),
            },
        }))
        .build();
    let envoy = bench.envoy(config).await;
    let driven = bench.drive(&envoy, soon(), 40.0, SECONDS).await;
    assert_eq!(driven.share(503, 0.0, f64::MAX), 1.0, "every request fails");
    let mut service = ServiceModel::plain("backend", 1, 1_000_000, Times::Constant { ms: 0.0 });
    service.error_rate = 1.0;
    let mut mesh = Mesh::single(service, LoadBalancing::RoundRobin, driven.arrivals());
    mesh.edges[0].retries = RetryModel {
        attempts,
        on_5xx: true,
        base_backoff_ms: base_ms,
        ..RetryModel::default()
    };
    mesh.edges[0].limits.max_concurrent_retries = u32::MAX;
    let time = (0.0, SECONDS + REST_S);
    let [mean] = simulated(&mesh, bench.seed, time, |run| {
        [run.edges.first().map_or(0.0, |edge| edge.latency.mean_ms())]
    });
    let row = Row::new(
        format!("{attempts} retries, base backoff {base_ms} ms"),
        "mean time of a request that fails every time",
        (Unit::Milliseconds, Goal::Part(0.1)),
        driven.mean_ms(),
        mean,
    );
    (row, driven.late_p99_ms())
}

/// How often one host of three that is down is met again, when hosts that were tried may be drawn anew `draws` times.
async fn elsewhere(draws: u32, bench: Bench) -> (Row, f64) {
    let closed = ClosedPort::reserve();
    let mut hosts = vec![closed.address];
    let mut backends = Vec::new();
    for _ in 1..HOSTS {
        let backend = Backend::working(Work::none()).await;
        hosts.push(backend.address);
        backends.push(backend);
    }
    let mut policy = json!({
        "retry_on": "connect-failure",
        "num_retries": 1,
        "retry_back_off": { "base_interval": "0.01s" },
    });
    if draws > 0 {
        policy["retry_host_predicate"] = json!([{
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": { "@type":
                "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate" },
        }]);
        policy["host_selection_retry_max_attempts"] = draws.into();
    }
    let config = Bootstrap::of(&hosts)
        .balanced("random", "Random", serde_json::Map::new())
        .limits(json!({}))
        .retries(policy)
        .build();
    let envoy = bench.envoy(config).await;
    let driven = bench.drive(&envoy, soon(), 150.0, SECONDS).await;
    let service = ServiceModel::plain("backend", HOSTS, 1000, Times::Constant { ms: 0.0 });
    let mut mesh = Mesh::single(service, LoadBalancing::Random, driven.arrivals());
    mesh.edges[0].retries = RetryModel {
        attempts: 1,
        on_connect_failure: true,
        base_backoff_ms: 10.0,
        other_draws: draws,
        ..RetryModel::default()
    };
    mesh.faults = vec![Fault {
        name: "down".into(),
        starts_s: 0.0,
        duration_s: SECONDS * 2.0,
        kind: FaultKind::Crash {
            service: "backend".into(),
            share: 1.0 / f64::from(HOSTS),
        },
    }];
    let time = (0.0, SECONDS + REST_S);
    let [failed] = simulated(&mesh, bench.seed, time, |run| {
        [ended(run, Outcome::Connection)]
    });
    let row = Row::share(
        format!("1 of {HOSTS} hosts down, random, 1 retry, {draws} draws to avoid tried hosts"),
        "failed in the end",
        driven.share(503, 0.0, f64::MAX),
        failed,
    );
    (row, driven.late_p99_ms())
}

pub(super) async fn run(bench: &Bench) -> Section {
    let found = tokio::join!(
        waits(100.0, 3, bench.case(70)),
        waits(40.0, 6, bench.case(71)),
        elsewhere(0, bench.case(72)),
        elsewhere(1, bench.case(73)),
        elsewhere(3, bench.case(74)),
    );
    let found = [found.0, found.1, found.2, found.3, found.4];
    Section {
        title: "When and where requests are tried again",
        setup: "Waits at a backend that answers 503 at once; `previous_hosts` with `host_selection_retry_max_attempts` beside a host that refuses connections.",
        late_p99_ms: found.iter().map(|(_, late)| *late).fold(0.0, f64::max),
        rows: found.into_iter().map(|(row, _)| row).collect(),
    }
}
