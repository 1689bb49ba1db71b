//! Attempts and failures under a retry budget, while a backend fails a known share of what it gets.

use foremesh_model::LoadBalancing;
use foremesh_simulate::{Connections, Mesh, Outcome, RetryModel, ServiceModel, Times};
use serde_json::json;

use super::{Bench, Goal, REST_S, Row, Section, Unit, ended, simulated, soon, worked};
use crate::{Backend, Bootstrap, Work};

const ATTEMPTS: u32 = 3;
const BACKOFF_MS: f64 = 25.0;

/// A budget and what is asked of it.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Requests offered in a second.
    pub offered_rps: f64,
    /// Seconds.
    pub seconds: f64,
    /// Mean milliseconds of the backend's work.
    pub work_ms: f64,
    /// Share of requests that the backend fails, 0 … 1.
    pub fails: f64,
    /// Percent of the requests in flight that may be retries; None: `min_concurrent` is the limit of all retries.
    pub percent: Option<f64>,
    /// Retries in flight that are always allowed.
    pub min_concurrent: u32,
}

impl Budget {
    /// Runs both; answers attempts of each request and the share of requests that failed in the end, and how late requests were sent.
    ///
    /// # Panics
    /// When Envoy does not start.
    pub async fn compare(self, bench: &Bench) -> ([Row; 2], f64) {
        let backend = Backend::working(Work {
            times: Times::Exponential {
                mean_ms: self.work_ms,
            },
            fails: self.fails,
            seed: bench.seed,
            ..Work::none()
        })
        .await;
        let (limits, name) = match self.percent {
            Some(percent) => (
                json!({ "retry_budget": {
                    "budget_percent": { "value": percent },
                    "min_retry_concurrency": self.min_concurrent,
                } }),
                format!("budget {percent}%, at least {}", self.min_concurrent),
            ),
            None => (
                json!({ "max_retries": self.min_concurrent }),
                format!("max_retries {}", self.min_concurrent),
            ),
        };
        let config = Bootstrap::of(&[backend.address])
            .limits(limits)
            .retries(json!({
                "retry_on": "5xx",
                "num_retries": ATTEMPTS,
                "retry_back_off": {
                    "base_interval": format!("{}s", BACKOFF_MS / 1e3),
                    "max_interval": format!("{}s", BACKOFF_MS / 1e2),
                },
            }))
            .build();
        let envoy = bench.envoy(config).await;
        let driven = bench
            .drive(&envoy, soon(), self.offered_rps, self.seconds)
            .await;
        let attempts = envoy.stat("cluster.out.upstream_rq_total").await;

        let mut service = ServiceModel::plain("backend", 1, 1_000_000, worked(&[&backend]));
        service.error_rate = self.fails;
        let mut mesh = Mesh::single(service, LoadBalancing::RoundRobin, driven.arrivals());
        let edge = &mut mesh.edges[0];
        edge.connections = Connections::OneRequest { connect_ms: 0.3 };
        edge.retries = RetryModel {
            attempts: ATTEMPTS,
            on_connect_failure: true,
            on_5xx: true,
            budget_percent: self.percent,
            budget_min_concurrent: self.min_concurrent,
            base_backoff_ms: BACKOFF_MS,
            other_draws: 0,
        };
        edge.limits.max_concurrent_retries = self.min_concurrent;
        let time = (0.0, self.seconds + REST_S);
        let [tries, failed] = simulated(&mesh, bench.seed, time, |run| {
            let tries = run.edges.first().map_or(0, |edge| edge.attempts);
            let requests = run.entries.first().map_or(1, |entry| entry.requests());
            [tries as f64 / requests as f64, ended(run, Outcome::Error)]
        });
        let case = format!(
            "{name}; {:.0}% fail, offered {:.1}/s × {} ms",
            self.fails * 100.0,
            driven.offered_rps(),
            self.work_ms
        );
        let goal = (Unit::Number, Goal::Within(0.05));
        let rows = [
            Row::new(
                case.clone(),
                "attempts of a request",
                goal,
                attempts as f64 / driven.sent.len() as f64,
                tries,
            ),
            Row::share(
                case,
                "failed in the end",
                driven.share(503, 0.0, f64::MAX),
                failed,
            ),
        ];
        (rows, driven.late_p99_ms())
    }
}

pub(super) async fn run(bench: &Bench) -> Section {
    let budget = |offered_rps, fails, percent, min_concurrent| Budget {
        offered_rps,
        seconds: 20.0,
        work_ms: 150.0,
        fails,
        percent,
        min_concurrent,
    };
    let cases = [
        budget(150.0, 0.5, Some(20.0), 1),
        budget(60.0, 0.8, Some(10.0), 3),
        budget(100.0, 0.2, Some(50.0), 3),
        budget(100.0, 0.5, None, 5),
    ];
    let [a, b, c, d] = [20, 21, 22, 23].map(|case| bench.case(case));
    let (a, b, c, d) = tokio::join!(
        cases[0].compare(&a),
        cases[1].compare(&b),
        cases[2].compare(&c),
        cases[3].compare(&d),
    );
    let found = [a, b, c, d];
    Section {
        title: "Retries",
        setup: "At most three retries on 5xx with a base backoff of 25 ms; a backend with exponential times.",
        late_p99_ms: found.iter().map(|(_, late)| *late).fold(0.0, f64::max),
        rows: found.into_iter().flat_map(|(rows, _)| rows).collect(),
    }
}
