//! Twenty services with every feature on, for the benchmarks.

use foremesh_model::{LoadBalancing, OutlierEjection, RateLimit, Slo, WarmUp};
use foremesh_simulate::{
    Arrivals, Connections, EdgeModel, EntryModel, LimitsModel, Localities, Locality,
    LocalityBalancing, Mesh, ProxyModel, RetryModel, ServiceModel, Stage, SuccessRateEjection,
    Times,
};

const PROXY: ProxyModel = ProxyModel {
    cost_ms: 0.1,
    threads: 2,
};

/// Twenty services in four layers; limits, retries, timeouts, ejection, slow start, connections and bursts all at work.
pub fn every_feature(rps: f64) -> Mesh {
    let mut services = Vec::new();
    let mut edges = Vec::new();
    let edge = |caller: Option<usize>, callee: usize, calls: f64| EdgeModel {
        calls,
        gateway_proxies: 4,
        one_way_ms: 0.4,
        timeout_ms: Some(800.0),
        per_try_timeout_ms: Some(350.0),
        retries: RetryModel {
            attempts: 2,
            on_connect_failure: true,
            on_5xx: true,
            budget_percent: Some(20.0),
            budget_min_concurrent: 3,
            base_backoff_ms: 25.0,
            other_draws: 3,
        },
        limits: LimitsModel {
            max_connections: 200,
            max_pending_requests: 200,
            max_concurrent_requests: 400,
            max_concurrent_retries: 20,
        },
        connections: if callee.is_multiple_of(2) {
            Connections::OneRequest { connect_ms: 1.0 }
        } else {
            Connections::Multiplexed { connect_ms: 1.0 }
        },
        preconnect_ratio: 1.2,
        ejection: Some(OutlierEjection {
            consecutive_errors: 7,
            interval_s: 10,
            base_ejection_s: 30,
            max_ejection_percent: 34,
            min_health_percent: 50,
        }),
        slow_start: Some(WarmUp {
            duration_s: 30,
            minimum_percent: 10,
            aggression: 1.0,
        }),
        success_rate_ejection: Some(SuccessRateEjection {
            minimum_hosts: 5,
            request_volume: 100,
            standard_deviations: 1.9,
        }),
        locality_balancing: Some(LocalityBalancing::Failover {
            overprovisioning_percent: 140,
        }),
        gateway: PROXY,
        ..EdgeModel::plain(caller, callee, LoadBalancing::LeastRequest)
    };
    edges.push(edge(None, 0, 1.0));
    // Callers of each layer call two or three of the next, some one after another, some beside each other.
    let calls: [&[usize]; 20] = [
        &[1, 2, 3],
        &[4, 5],
        &[5, 6],
        &[7, 8],
        &[9, 10],
        &[10, 11],
        &[12],
        &[13, 14],
        &[15],
        &[16],
        &[16, 17],
        &[17],
        &[18],
        &[18],
        &[19],
        &[19],
        &[],
        &[],
        &[],
        &[],
    ];
    for (i, callees) in calls.iter().enumerate() {
        let from = edges.len();
        edges.extend(
            callees
                .iter()
                .enumerate()
                .map(|(n, callee)| edge(Some(i), *callee, if n == 1 { 0.6 } else { 1.0 })),
        );
        let mut service = ServiceModel::plain(
            &format!("s{i}"),
            6,
            8,
            if i % 3 == 0 {
                Times::LogNormal {
                    mean_ms: 4.0,
                    cv2: 2.0,
                }
            } else {
                Times::Exponential { mean_ms: 5.0 }
            },
        );
        service.proxy = PROXY;
        service.placement = vec![0, 1];
        service.error_rate = 0.002;
        service.rate_limit = Some(RateLimit {
            requests_per_second: 1400.0,
            burst: 1500,
        });
        service.max_concurrent_requests = 200;
        service.max_pending_requests = 200;
        service.startup_s = 20.0;
        service.warm_up_s = 30.0;
        service.cold_factor = 2.0;
        service.stages = if callees.is_empty() {
            Vec::new()
        } else {
            vec![Stage {
                edges: (from..edges.len()).collect(),
                parallel: i.is_multiple_of(2),
            }]
        };
        services.push(service);
    }
    let arrivals = Arrivals::Poisson {
        step_s: 60.0,
        rates_rps: vec![rps, rps * 1.2, rps * 0.9],
        dispersion: 2.0,
    };
    let entry = EntryModel {
        name: "s0".into(),
        edge: 0,
        arrivals,
        slo: Slo::default(),
        ramp: Vec::new(),
    };
    let zone = |name: &str| Locality {
        name: name.into(),
        region: "here".into(),
    };
    Mesh {
        services,
        edges,
        entries: vec![entry],
        localities: Localities {
            all: vec![zone("a"), zone("b")],
            other_zone_ms: 0.3,
            other_region_ms: 10.0,
        },
        ..Mesh::default()
    }
}

/// M/M/4 at 80%: 10 ms of work, 320 customers a second.
pub fn m_m_4() -> Mesh {
    Mesh::single(
        ServiceModel::plain("queue", 1, 4, Times::Exponential { mean_ms: 10.0 }),
        LoadBalancing::Random,
        Arrivals::steady(320.0),
    )
}
