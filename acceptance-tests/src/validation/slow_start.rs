//! The share of a host that has just been added, while it is given more and more.

use std::time::Duration;

use foremesh_model::{LoadBalancing, WarmUp};
use foremesh_simulate::{InstanceStep, Mesh, ServiceModel, Times};
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use super::{Bench, Row, Section, simulated, worked};
use crate::{Backend, Bootstrap, Work, endpoints_file};

const WINDOW_S: u32 = 6;
const LEAST_PERCENT: u32 = 10;
const OFFERED_RPS: f64 = 150.0;
/// Seconds of requests before the host is added, and from then on.
const BEFORE_S: f64 = 0.5;
const AFTER_S: f64 = 8.0;
const WORK_MS: f64 = 30.0;

#[derive(Clone, Copy)]
struct Case {
    old: usize,
    balancing: LoadBalancing,
    aggression: f64,
}

async fn compare(case: Case, bench: Bench) -> (Vec<Row>, f64) {
    let mut backends = Vec::new();
    for _ in 0..=case.old {
        backends.push(
            Backend::working(Work {
                times: Times::Constant { ms: WORK_MS },
                ..Work::none()
            })
            .await,
        );
    }
    let hosts: Vec<_> = backends.iter().map(|backend| backend.address).collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("endpoints.json");
    endpoints_file(&file, &hosts[..case.old]);
    let slow_start = json!({
        "slow_start_window": format!("{WINDOW_S}s"),
        "aggression": { "default_value": case.aggression, "runtime_key": "aggression" },
        "min_weight_percent": { "value": LEAST_PERCENT },
    });
    let (policy, message) = match case.balancing {
        LoadBalancing::LeastRequest => ("least_request", "LeastRequest"),
        _ => ("round_robin", "RoundRobin"),
    };
    let fields = serde_json::Map::from_iter([("slow_start_config".to_owned(), slow_start)]);
    let config = Bootstrap::watching(&file)
        .balanced(policy, message, fields)
        .limits(json!({}))
        .build();
    let envoy = bench.envoy(config).await;
    // The hosts of the beginning are new to Envoy as well: once the window is over they have their whole share.
    let starts =
        Instant::now() + Duration::from_secs(u64::from(WINDOW_S)) + Duration::from_millis(200);
    let adds = async {
        sleep_until(starts + Duration::from_secs_f64(BEFORE_S)).await;
        endpoints_file(&file, &hosts);
        Instant::now()
    };
    let drive = bench.drive(&envoy, starts, OFFERED_RPS, BEFORE_S + AFTER_S);
    let (driven, added) = tokio::join!(drive, adds);
    assert_eq!(
        envoy.stat("cluster.out.membership_total").await,
        hosts.len() as u64,
        "Envoy has read the new host"
    );
    let added_s = (added - starts).as_secs_f64();

    let all: Vec<&Backend> = backends.iter().collect();
    let mut service = ServiceModel::plain("backend", case.old as u32, 1_000_000, worked(&all));
    service.instances.push(InstanceStep {
        starts_s: added_s,
        instances: hosts.len() as u32,
    });
    let mut mesh = Mesh::single(service, case.balancing, driven.arrivals());
    mesh.edges[0].slow_start = Some(WarmUp {
        duration_s: WINDOW_S,
        minimum_percent: LEAST_PERCENT,
        aggression: case.aggression,
    });
    let arrived: Vec<Vec<f64>> = backends
        .iter()
        .map(|backend| {
            let at = |t: std::time::Instant| Instant::from_std(t).saturating_duration_since(starts);
            let arrived = backend.arrived().into_iter();
            arrived.map(|t| at(t).as_secs_f64()).collect()
        })
        .collect();
    let name = format!(
        "{} beside {}, {policy}, aggression {:.1}",
        1, case.old, case.aggression
    );
    let rows = (0..AFTER_S as u32).map(|second| {
        let from = added_s + f64::from(second);
        let count = |arrived: &Vec<f64>| {
            let within = arrived.iter().filter(|t| (from..from + 1.0).contains(*t));
            within.count() as f64
        };
        let counts: Vec<f64> = arrived.iter().map(count).collect();
        let share = |counts: &[f64]| {
            counts.last().copied().unwrap_or(0.0) / counts.iter().sum::<f64>().max(1.0)
        };
        let [model] = simulated(&mesh, bench.seed, (from, 1.0), |run| {
            let counts = run.services.first().map(|service| {
                let counts = service.requests_by_instance.iter();
                counts.map(|count| *count as f64).collect::<Vec<f64>>()
            });
            [share(&counts.unwrap_or_default())]
        });
        Row::share(
            name.clone(),
            format!("its share, {second} to {} s", second + 1),
            share(&counts),
            model,
        )
    });
    (rows.collect(), driven.late_p99_ms())
}

pub(super) async fn run(bench: &Bench) -> Section {
    let case = |old, balancing, aggression| Case {
        old,
        balancing,
        aggression,
    };
    use LoadBalancing::{LeastRequest, RoundRobin};
    let found = tokio::join!(
        compare(case(1, RoundRobin, 1.0), bench.case(40)),
        compare(case(1, RoundRobin, 2.5), bench.case(41)),
        compare(case(3, LeastRequest, 1.0), bench.case(42)),
    );
    let found = [found.0, found.1, found.2];
    Section {
        title: "Slow start",
        setup: "A host is added through EDS; window 6 s, at least 10%. Counted at the backends, by second after it was added.",
        late_p99_ms: found.iter().map(|(_, late)| *late).fold(0.0, f64::max),
        rows: found.into_iter().flat_map(|(rows, _)| rows).collect(),
    }
}
