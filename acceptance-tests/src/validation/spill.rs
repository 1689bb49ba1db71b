//! How much leaves a locality whose hosts are partly out of rotation.

use foremesh_model::{Fault, FaultKind, LoadBalancing, OutlierEjection};
use foremesh_simulate::{
    Localities, Locality, LocalityBalancing, Mesh, RemoteInstances, ServiceModel, Times,
};
use serde_json::{Map, json};

use super::{Bench, Row, Section, ejection, simulated};
use crate::{Backend, Bootstrap, ClosedPort, Group, Work};

const NEAR: u32 = 4;
const FAR: u32 = 2;
const OFFERED_RPS: f64 = 120.0;
const SECONDS: f64 = 12.0;
/// Seconds until every host that is down is out of rotation.
const SETTLES_S: f64 = 4.0;
const EJECTION: OutlierEjection = OutlierEjection {
    consecutive_errors: 3,
    interval_s: 1,
    base_ejection_s: 60,
    max_ejection_percent: 90,
    min_health_percent: 0,
};

#[derive(Clone, Copy)]
struct Case {
    /// Hosts of the near locality that are down.
    down: u32,
    overprovisioning_percent: u32,
    /// Weights of near and far; None: far is the next priority.
    weights: Option<(u32, u32)>,
}

async fn compare(case: Case, bench: Bench) -> (Row, f64) {
    let closed: Vec<ClosedPort> = (0..case.down).map(|_| ClosedPort::reserve()).collect();
    let mut backends = Vec::new();
    for _ in case.down..NEAR + FAR {
        backends.push(Backend::working(Work::none()).await);
    }
    let mut hosts: Vec<_> = closed.iter().map(|port| port.address).collect();
    hosts.extend(backends.iter().map(|backend| backend.address));
    let (near, far) = hosts.split_at(NEAR as usize);
    let group = |region, hosts, priority, weight| Group {
        region,
        hosts,
        priority,
        weight,
    };
    let (groups, fields) = match case.weights {
        None => (
            [group("near", near, 0, None), group("far", far, 1, None)],
            Map::new(),
        ),
        Some((a, b)) => (
            [
                group("near", near, 0, Some(a)),
                group("far", far, 0, Some(b)),
            ],
            Map::from_iter([(
                "locality_lb_config".to_owned(),
                json!({ "locality_weighted_lb_config": {} }),
            )]),
        ),
    };
    let config = Bootstrap::in_localities(&groups, case.overprovisioning_percent)
        .balanced("round_robin", "RoundRobin", fields)
        .limits(json!({}))
        .ejection(&EJECTION)
        .build();
    let envoy = bench.envoy(config).await;
    let starts = ejection::in_step(&envoy, EJECTION.interval_s);
    let driven = bench.drive(&envoy, starts, OFFERED_RPS, SECONDS).await;
    let settled = starts.into_std() + std::time::Duration::from_secs_f64(SETTLES_S);
    let count = |backends: &[Backend]| {
        let arrived = backends.iter().flat_map(Backend::arrived);
        arrived.filter(|at| *at >= settled).count() as f64
    };
    let (at_near, at_far) = backends.split_at((NEAR - case.down) as usize);
    let spilt = count(at_far) / (count(at_near) + count(at_far)).max(1.0);

    let mut service = ServiceModel::plain("backend", NEAR, 1000, Times::Constant { ms: 0.0 });
    service.placement = vec![0];
    service.remote = vec![RemoteInstances {
        locality: 1,
        instances: FAR,
    }];
    let mut mesh = Mesh::single(service, LoadBalancing::RoundRobin, driven.arrivals());
    let place = |name: &str| Locality {
        name: name.into(),
        region: name.into(),
    };
    mesh.localities = Localities {
        all: vec![place("near"), place("far")],
        other_zone_ms: 0.0,
        other_region_ms: 0.0,
    };
    let overprovisioning_percent = case.overprovisioning_percent;
    mesh.edges[0].ejection = Some(EJECTION);
    mesh.edges[0].locality_balancing = Some(match case.weights {
        None => LocalityBalancing::Failover {
            overprovisioning_percent,
        },
        Some((a, b)) => LocalityBalancing::Distribute {
            weights: vec![(0, a), (1, b)],
            overprovisioning_percent,
        },
    });
    if case.down > 0 {
        mesh.faults = vec![Fault {
            name: "down".into(),
            starts_s: 0.0,
            duration_s: SECONDS * 2.0,
            kind: FaultKind::Crash {
                service: "backend".into(),
                share: f64::from(case.down) / f64::from(NEAR),
            },
        }];
    }
    let time = (SETTLES_S, SECONDS - SETTLES_S);
    let [model] = simulated(&mesh, bench.seed, time, |run| {
        let (near, far) = run
            .services
            .first()
            .map_or((0, 0), |service| (service.requests, service.elsewhere));
        [far as f64 / (near + far).max(1) as f64]
    });
    let shape = case.weights.map_or("next priority".to_owned(), |(a, b)| {
        format!("weights {a} to {b}")
    });
    let row = Row::share(
        format!(
            "{} of {NEAR} near hosts down, factor {overprovisioning_percent}, {shape}",
            case.down
        ),
        "share of the far locality",
        spilt,
        model,
    );
    (row, driven.late_p99_ms())
}

pub(super) async fn run(bench: &Bench) -> Section {
    let case = |down, overprovisioning_percent, weights| Case {
        down,
        overprovisioning_percent,
        weights,
    };
    let found = tokio::join!(
        compare(case(1, 140, None), bench.case(60)),
        compare(case(2, 140, None), bench.case(61)),
        compare(case(2, 100, None), bench.case(62)),
        compare(case(4, 140, None), bench.case(63)),
        compare(case(2, 140, Some((70, 30))), bench.case(64)),
    );
    let found = [found.0, found.1, found.2, found.3, found.4];
    Section {
        title: "Overprovisioning and spill",
        setup: "Four near hosts, two far ones; hosts that are down are ejected after 3 errors. Counted at the backends from 4 s on.",
        late_p99_ms: found.iter().map(|(_, late)| *late).fold(0.0, f64::max),
        rows: found.into_iter().map(|(row, _)| row).collect(),
    }
}
