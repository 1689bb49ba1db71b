//! The share of requests that circuit breakers refuse.

use foremesh_model::LoadBalancing;
use foremesh_simulate::{Connections, LimitsModel, Mesh, Outcome, ServiceModel, Times};
use serde_json::json;

use super::{Bench, REST_S, Row, Section, ended, simulated, soon, worked};
use crate::{Backend, Bootstrap, Work};

const SECONDS: f64 = 20.0;
const WORK_MS: f64 = 100.0;

#[derive(Clone, Copy)]
struct Case {
    offered_rps: f64,
    hosts: u64,
    http2: bool,
    max_requests: Option<u32>,
    /// Connections and pending requests.
    pool: Option<(u32, u32)>,
}

async fn compare(case: Case, bench: Bench) -> (Row, f64) {
    let mut backends = Vec::new();
    for host in 0..case.hosts {
        let work = Work {
            times: Times::Exponential { mean_ms: WORK_MS },
            seed: bench.seed ^ host,
            ..Work::none()
        };
        backends.push(Backend::working(work).await);
    }
    let hosts: Vec<_> = backends.iter().map(|backend| backend.address).collect();
    let mut limits = json!({});
    let mut named = Vec::new();
    let mut model = LimitsModel::NONE;
    if let Some(most) = case.max_requests {
        limits["max_requests"] = most.into();
        model.max_concurrent_requests = most;
        named.push(format!("max_requests {most}"));
    }
    if let Some((connections, pending)) = case.pool {
        limits["max_connections"] = connections.into();
        limits["max_pending_requests"] = pending.into();
        model.max_connections = connections;
        model.max_pending_requests = pending;
        named.push(format!(
            "max_connections {connections}, max_pending_requests {pending}"
        ));
    }
    let mut config = Bootstrap::of(&hosts)
        .balanced("round_robin", "RoundRobin", serde_json::Map::new())
        .limits(limits);
    let mut connections = Connections::OneRequest { connect_ms: 0.3 };
    if case.http2 {
        config = config.http2();
        connections = Connections::Multiplexed { connect_ms: 0.3 };
    }
    let envoy = bench.envoy(config.build()).await;
    let driven = bench.drive(&envoy, soon(), case.offered_rps, SECONDS).await;
    // Since 1.40 requests above max_requests have a counter of their own.
    let mut refused = envoy.stat("out.upstream_rq_pending_overflow").await;
    refused += envoy.stat("out.upstream_rq_active_overflow").await;
    let answered = driven.sent.iter().filter(|sent| sent.status == 503);
    assert_eq!(refused, answered.count() as u64, "nothing else answers 503");

    let all: Vec<&Backend> = backends.iter().collect();
    let service = ServiceModel::plain("backend", case.hosts as u32, 1_000_000, worked(&all));
    let mut mesh = Mesh::single(service, LoadBalancing::RoundRobin, driven.arrivals());
    mesh.edges[0].limits = model;
    mesh.edges[0].connections = connections;
    let time = (0.0, SECONDS + REST_S);
    let [share] = simulated(&mesh, bench.seed, time, |run| {
        [ended(run, Outcome::Overflow)]
    });
    let row = Row::share(
        format!(
            "{}; HTTP/{}, {} host(s), offered {:.1}/s × {WORK_MS} ms",
            named.join(", "),
            if case.http2 { "2" } else { "1.1" },
            case.hosts,
            driven.offered_rps()
        ),
        "refused",
        refused as f64 / driven.sent.len() as f64,
        share,
    );
    (row, driven.late_p99_ms())
}

pub(super) async fn run(bench: &Bench) -> Section {
    let case = |offered_rps, hosts, http2, max_requests, pool| Case {
        offered_rps,
        hosts,
        http2,
        max_requests,
        pool,
    };
    let found = tokio::join!(
        compare(case(150.0, 1, false, Some(10), None), bench.case(10)),
        compare(case(100.0, 2, true, Some(12), None), bench.case(11)),
        compare(case(90.0, 1, false, None, Some((6, 3))), bench.case(12)),
        compare(case(90.0, 2, false, None, Some((6, 3))), bench.case(13)),
    );
    let found = [found.0, found.1, found.2, found.3];
    Section {
        title: "Circuit breakers",
        setup: "Backends without a queue of their own, exponential times. Envoy's column is its counters `upstream_rq_pending_overflow` and `upstream_rq_active_overflow`.",
        late_p99_ms: found.iter().map(|(_, late)| *late).fold(0.0, f64::max),
        rows: found.into_iter().map(|(row, _)| row).collect(),
    }
}
