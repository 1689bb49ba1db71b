//! When proxies take a failing host out of rotation, for how long, and how many at once.

use std::time::Duration;

use foremesh_model::{Fault, FaultKind, LoadBalancing, OutlierEjection};
use foremesh_simulate::{Mesh, Outcome, RunOptions, ServiceModel, Times, simulate};
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use super::{Bench, Driven, Goal, Row, Section, Simulated, Unit, ended, simulated};
use crate::{Backend, Bootstrap, ClosedPort, Envoy, Work};

const OFFERED_RPS: f64 = 120.0;
const SECONDS: f64 = 19.0;
/// When the host of the timed case is up again.
const UP_S: f64 = 12.0;
/// Seconds of a window in which failures are looked for, and without any that part two periods.
const WINDOW_S: f64 = 0.1;
const PAUSE_S: f64 = 0.5;

#[derive(Clone, Copy)]
struct Case {
    hosts: usize,
    down: usize,
    seconds: f64,
    /// Seconds after which the hosts that are down are up.
    up_s: Option<f64>,
    ejection: OutlierEjection,
}

/// What Envoy did: requests, and the mesh that the simulator is given.
struct Ran {
    driven: Driven,
    mesh: Mesh,
}

impl Case {
    async fn run(&self, bench: &Bench) -> Ran {
        let mut closed: Vec<ClosedPort> = (0..self.down).map(|_| ClosedPort::reserve()).collect();
        let mut hosts: Vec<_> = closed.iter().map(|port| port.address).collect();
        let mut up = Vec::new();
        for _ in self.down..self.hosts {
            let backend = Backend::working(Work::none()).await;
            hosts.push(backend.address);
            up.push(backend);
        }
        let config = Bootstrap::of(&hosts)
            .balanced("round_robin", "RoundRobin", serde_json::Map::new())
            .limits(json!({}))
            .ejection(&self.ejection)
            .build();
        let envoy = bench.envoy(config).await;
        let starts = in_step(&envoy, self.ejection.interval_s);
        let driven = bench.drive(&envoy, starts, OFFERED_RPS, self.seconds);
        let rises = async {
            if let Some(at) = self.up_s {
                sleep_until(starts + Duration::from_secs_f64(at)).await;
                let ports = closed.drain(..);
                up.extend(ports.map(|port| port.open(Work::none())));
            }
        };
        let (driven, ()) = tokio::join!(driven, rises);

        let service = ServiceModel::plain(
            "backend",
            self.hosts as u32,
            1000,
            Times::Constant { ms: 0.0 },
        );
        let mut mesh = Mesh::single(service, LoadBalancing::RoundRobin, driven.arrivals());
        mesh.edges[0].ejection = Some(self.ejection);
        mesh.faults = vec![Fault {
            name: "down".into(),
            starts_s: 0.0,
            duration_s: self.up_s.unwrap_or(self.seconds * 2.0),
            kind: FaultKind::Crash {
                service: "backend".into(),
                share: self.down as f64 / self.hosts as f64,
            },
        }];
        Ran { driven, mesh }
    }
}

/// The next whole number of intervals after Envoy began to count them: the simulator's sweeps begin at 0 as well.
pub(super) fn in_step(envoy: &Envoy, interval_s: u32) -> Instant {
    let interval = Duration::from_secs(interval_s.into());
    let mut at = envoy.started();
    while at < Instant::now() + Duration::from_millis(50) {
        at += interval;
    }
    at
}

/// Periods with failures: first and last second of each.
fn periods(share: impl Fn(f64) -> f64, seconds: f64) -> Vec<(f64, f64)> {
    let mut found: Vec<(f64, f64)> = Vec::new();
    for window in 0..(seconds / WINDOW_S) as u32 {
        let from = f64::from(window) * WINDOW_S;
        if share(from) == 0.0 {
            continue;
        }
        match found.last_mut() {
            Some((_, ends)) if from - *ends < PAUSE_S => *ends = from + WINDOW_S,
            _ => found.push((from, from + WINDOW_S)),
        }
    }
    found
}

fn connection_share(mesh: &Mesh, seed: u64, from: f64, to: f64) -> Simulated {
    let [share] = simulated(mesh, seed, (from, to - from), |run| {
        [ended(run, Outcome::Connection)]
    });
    share
}

async fn timed(bench: Bench) -> (Vec<Row>, f64) {
    let case = Case {
        hosts: 3,
        down: 1,
        seconds: SECONDS,
        up_s: Some(UP_S),
        ejection: OutlierEjection {
            consecutive_errors: 25,
            interval_s: 1,
            base_ejection_s: 2,
            max_ejection_percent: 50,
            min_health_percent: 0,
        },
    };
    let Ran { driven, mesh } = case.run(&bench).await;
    let name = "25 errors, sweep 1 s, base 2 s; 1 of 3 down until 12 s";
    let mut rows = Vec::new();
    for (from, to) in [
        (0.0, 1.0),
        (1.0, 3.0),
        (3.0, 4.0),
        (4.0, 8.0),
        (8.0, 9.0),
        (9.0, 15.0),
        (15.0, 19.0),
    ] {
        rows.push(Row::share(
            name,
            format!("failed, {from:.0} to {to:.0} s"),
            driven.share(503, from, to),
            connection_share(&mesh, bench.seed, from, to),
        ));
    }
    let real = periods(|from| driven.share(503, from, from + WINDOW_S), SECONDS);
    let one = periods(
        |from| {
            let options = RunOptions {
                measured_s: WINDOW_S,
                warm_up_s: from,
                seed: bench.seed,
            };
            let run = simulate(&mesh, &options).expect("the scenario can be simulated");
            ended(&run, Outcome::Connection)
        },
        SECONDS,
    );
    let times = |periods: &[(f64, f64)]| {
        let at = |n: usize| periods.get(n).copied().unwrap_or((f64::NAN, f64::NAN));
        [
            ("first ejection", at(0).1),
            ("first ejection lasts", at(1).0 - at(0).1),
            ("second ejection lasts", at(2).0 - at(1).1),
        ]
    };
    for ((measure, envoy), (_, mean)) in times(&real).into_iter().zip(times(&one)) {
        let simulated = Simulated { mean, spread: 0.0 };
        let goal = (Unit::Seconds, Goal::Within(0.5));
        rows.push(Row::new(name, measure, goal, envoy, simulated));
    }
    (rows, driven.late_p99_ms())
}

async fn capped(case: Case, name: &str, bench: Bench) -> (Vec<Row>, f64) {
    let Ran { driven, mesh } = case.run(&bench).await;
    let rows = [(0.0, 1.0), (2.0, case.seconds)].map(|(from, to)| {
        Row::share(
            name,
            format!("failed, {from:.0} to {to:.0} s"),
            driven.share(503, from, to),
            connection_share(&mesh, bench.seed, from, to),
        )
    });
    (rows.into(), driven.late_p99_ms())
}

pub(super) async fn run(bench: &Bench) -> Section {
    let case = |down, max_ejection_percent, min_health_percent| Case {
        hosts: 4,
        down,
        seconds: 8.0,
        up_s: None,
        ejection: OutlierEjection {
            consecutive_errors: 5,
            interval_s: 1,
            base_ejection_s: 30,
            max_ejection_percent,
            min_health_percent,
        },
    };
    let found = tokio::join!(
        timed(bench.case(30)),
        capped(
            case(2, 30, 0),
            "2 of 4 down, at most 30% out",
            bench.case(31)
        ),
        capped(
            case(1, 10, 0),
            "1 of 4 down, at most 10% out",
            bench.case(32)
        ),
        capped(
            case(3, 90, 50),
            "3 of 4 down, panic below 50% healthy",
            bench.case(33)
        ),
    );
    let found = [found.0, found.1, found.2, found.3];
    Section {
        title: "Outlier ejection",
        setup: "Round robin; a host that is down refuses connections. Shares are those of the requests sent in the window.",
        late_p99_ms: found.iter().map(|(_, late)| *late).fold(0.0, f64::max),
        rows: found.into_iter().flat_map(|(rows, _)| rows).collect(),
    }
}
