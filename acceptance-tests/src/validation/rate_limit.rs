//! The share of requests that a token bucket lets through.

use foremesh_model::{LoadBalancing, RateLimit};
use foremesh_simulate::{Mesh, Outcome, ServiceModel, Times};

use super::{Bench, REST_S, Row, Section, ended, simulated, soon};
use crate::{Backend, Bootstrap, Work};

/// A bucket, what is offered to it, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// Requests offered in a second.
    pub offered_rps: f64,
    /// Seconds.
    pub seconds: f64,
    /// Tokens that the full bucket holds.
    pub burst: u32,
    /// Tokens of a refill, and milliseconds between two.
    pub refill: (u32, u32),
}

impl Limit {
    fn rate_rps(&self) -> f64 {
        f64::from(self.refill.0) * 1e3 / f64::from(self.refill.1)
    }

    /// Runs both; answers the row, and how late requests were sent at the 99th percentile in milliseconds.
    ///
    /// # Panics
    /// When Envoy does not start, or a request is answered by neither the backend nor the bucket.
    pub async fn compare(self, bench: &Bench) -> (Row, f64) {
        let backend = Backend::working(Work::none()).await;
        let config = Bootstrap::of(&[backend.address])
            .rate_limit(
                self.burst,
                self.refill.0,
                &format!("{}s", f64::from(self.refill.1) / 1e3),
            )
            .limits(serde_json::json!({}))
            .build();
        let envoy = bench.envoy(config).await;
        let driven = bench
            .drive(&envoy, soon(), self.offered_rps, self.seconds)
            .await;
        let allowed = envoy.stat("http_local_rate_limit.ok").await;
        let limited = envoy.stat("http_local_rate_limit.rate_limited").await;
        assert_eq!(allowed + limited, driven.sent.len() as u64);
        assert_eq!(allowed, backend.served() as u64);

        let mut service = ServiceModel::plain("backend", 1, 1000, Times::Constant { ms: 0.0 });
        service.rate_limit = Some(RateLimit {
            requests_per_second: self.rate_rps(),
            burst: self.burst,
        });
        let mesh = Mesh::single(service, LoadBalancing::RoundRobin, driven.arrivals());
        let time = (0.0, self.seconds + REST_S);
        let [share] = simulated(&mesh, bench.seed, time, |run| [ended(run, Outcome::Ok)]);
        let row = Row::share(
            format!(
                "{}/s, bucket of {}, {} each {} ms; offered {:.1}/s",
                self.rate_rps(),
                self.burst,
                self.refill.0,
                self.refill.1,
                driven.offered_rps()
            ),
            "let through",
            allowed as f64 / driven.sent.len() as f64,
            share,
        );
        (row, driven.late_p99_ms())
    }
}

pub(super) async fn run(bench: &Bench) -> Section {
    let limit = |offered_rps, burst, refill| Limit {
        offered_rps,
        seconds: 12.0,
        burst,
        refill,
    };
    let cases = [
        limit(40.0, 5, (5, 100)),
        limit(60.0, 50, (5, 100)),
        limit(120.0, 100, (5, 100)),
        limit(60.0, 50, (50, 1000)),
    ];
    let [a, b, c, d] = [0, 1, 2, 3].map(|case| bench.case(case));
    let (a, b, c, d) = tokio::join!(
        cases[0].compare(&a),
        cases[1].compare(&b),
        cases[2].compare(&c),
        cases[3].compare(&d),
    );
    let found = [a, b, c, d];
    Section {
        title: "Rate limit",
        setup: "`local_ratelimit` before a backend that answers at once.",
        late_p99_ms: found.iter().map(|(_, late)| *late).fold(0.0, f64::max),
        rows: found.into_iter().map(|(row, _)| row).collect(),
    }
}
