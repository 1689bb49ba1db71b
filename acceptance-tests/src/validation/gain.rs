//! What a plan is worth on a real Envoy: its limits, timeouts, retries and ejection against what Istio sets where nobody says anything, under a
//! surge towards a backend that is slower than it was when the plan was made.
//!
//! One Envoy stands for the caller's proxy and one for the proxy of each instance. Both columns say by how much the plan is better, so that their
//! signs must agree; the numbers of each policy stand beside.

use std::time::Duration;

use foremesh_model::{
    Capacity, Demand, Dependence, Edge, EdgeName, EdgeSettings, EntryDemand, LoadBalancing,
    ProfileRequest, QUANTILE_LEVELS, RegionName, Service, ServiceGraph, ServiceName,
    ServiceSettings, Slo, Timestamp, random::mix,
};
use foremesh_policy::{PolicyInput, plan};
use foremesh_simulate::{
    Connections, LimitsModel, Mesh, Outcome, RetryModel, Run, ServiceModel, Times,
    baselines::istio_defaults,
};
use serde_json::{Map, Value, json};

use super::{
    Bench, Driven, Goal, REST_S, Row, Section, Simulated, Unit, ended, simulated, soon, worked,
};
use crate::{Backend, Bootstrap, Envoy, Work, open_loop, poisson};

/// Mean milliseconds of work when the plan is made.
const WORK_MS: f64 = 40.0;
const WORKERS: u32 = 4;
/// How many times as long the work takes under the surge.
const SLOWER: f64 = 1.5;
/// Median of the demand, and its 0.99 quantile.
const DEMAND_RPS: [f64; 2] = [120.0, 160.0];
/// Seconds at the median, at the surge of twice the 0.99 quantile, and at the median again.
const PHASES: [(f64, f64); 3] = [
    (8.0, DEMAND_RPS[0]),
    (15.0, 2.0 * DEMAND_RPS[1]),
    (15.0, DEMAND_RPS[0]),
];
const SLO_MS: f64 = 500.0;

fn name(name: &str) -> ServiceName {
    ServiceName::new(name).expect("a name")
}

/// What is planned for `shop/cart`, called by one proxy of `shop/web`.
fn planned() -> (ServiceSettings, EdgeSettings) {
    let (web, cart) = (name("shop/web"), name("shop/cart"));
    let services = vec![
        Service {
            capacity: Capacity {
                service_time_mean_ms: Some(0.5),
                concurrency: Some(64),
                min_instances: Some(1),
                max_instances: Some(1),
                ..Capacity::default()
            },
            ..Service::named(web.clone())
        },
        Service {
            capacity: Capacity {
                service_time_mean_ms: Some(WORK_MS),
                service_time_cv2: Some(1.0),
                concurrency: Some(WORKERS),
                ..Capacity::default()
            },
            ..Service::named(cart.clone())
        },
    ];
    let edges = vec![Edge::between(web.clone(), cart.clone())];
    let graph = ServiceGraph::new(services, edges).expect("a graph");
    let [median, high] = DEMAND_RPS;
    let ln = (high / median).ln() / 2.326;
    let quantiles = QUANTILE_LEVELS
        .map(|level| median * (ln * foremesh_simulate::analytic::normal_score(level)).exp());
    let demand = Demand {
        region: RegionName::new("eu").expect("a name"),
        timezone: "UTC".into(),
        as_of: Timestamp::UNIX_EPOCH,
        starts: Timestamp::UNIX_EPOCH,
        step_s: 3600,
        entries: [(
            web.clone(),
            EntryDemand {
                quantiles_rps: vec![quantiles.to_vec(); 3],
                peak_to_mean: 1.0,
                dispersion: 1.0,
                common_loading: 0.0,
            },
        )]
        .into(),
        dependence: Dependence {
            autocorrelation: 0.8,
        },
        seed: 1,
        method: "given".into(),
    };
    let request = ProfileRequest {
        slo: Slo {
            latency_ms: SLO_MS,
            percentile: 99.0,
            availability: 0.999,
        },
        ..ProfileRequest::default()
    };
    let input = PolicyInput {
        graph: &graph,
        demand: &demand,
        request: &request,
    };
    let settings = plan(&input).expect("it can be planned").settings;
    let edge = settings.edges[&EdgeName::new(web, cart.clone())].clone();
    (settings.services[&cart].clone(), edge)
}

/// An instance with its proxy.
struct Instance {
    backend: Backend,
    proxy: Envoy,
}

/// Who says limits, timeouts, retries and ejection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Values {
    Planned,
    IstioDefaults,
}

/// What a policy showed: the share of requests that were answered in time, the share that was answered at all, and the 99th percentile of these
/// in milliseconds.
struct Shown {
    envoy: [f64; 3],
    simulated: [Simulated; 3],
    late_p99_ms: f64,
}

fn retry_policy(edge: &EdgeSettings) -> Value {
    let retries = &edge.retries;
    let backoff_ms = f64::from(retries.base_backoff_ms.max(1));
    json!({
        "retry_on": retries.retry_on.join(","),
        "num_retries": retries.attempts,
        "per_try_timeout": seconds(f64::from(edge.per_try_timeout_ms)),
        "retry_back_off": {
            "base_interval": seconds(backoff_ms),
            "max_interval": seconds(backoff_ms * 10.0),
        },
    })
}

fn seconds(ms: f64) -> String {
    format!("{}s", ms / 1e3)
}

/// The caller's proxy.
fn caller(
    config: Bootstrap,
    values: Values,
    service: &ServiceSettings,
    edge: &EdgeSettings,
) -> Value {
    if values == Values::IstioDefaults {
        let config = config.limits(json!({})).retries(json!({
            "retry_on": "connect-failure,refused-stream,unavailable,cancelled",
            "num_retries": 2,
        }));
        return config.build();
    }
    let limits = edge.caller_limits;
    let mut config = config
        .limits(json!({
            "max_connections": limits.max_connections,
            "max_pending_requests": limits.max_pending_requests,
            "max_requests": limits.max_concurrent_requests,
            "max_retries": limits.max_concurrent_retries,
        }))
        .ejection(&service.outlier_ejection);
    if edge.retries.attempts > 0 {
        config = config.retries(retry_policy(edge));
    }
    let timeout = json!(seconds(f64::from(edge.timeout_ms)));
    config.route.insert("timeout".into(), timeout);
    config.build()
}

/// The proxy of an instance.
fn instance(backend: &Backend, values: Values, service: &ServiceSettings) -> Value {
    let config = Bootstrap::of(&[backend.address]);
    if values == Values::IstioDefaults {
        return config.limits(json!({})).build();
    }
    let limit = service.rate_limit;
    let tokens = (limit.requests_per_second / 10.0).round() as u32;
    config
        .rate_limit(limit.burst, tokens.max(1), "0.1s")
        .limits(json!({
            "max_connections": service.max_concurrent_requests,
            "max_pending_requests": service.max_pending_requests,
        }))
        .build()
}

async fn shown(
    bench: &Bench,
    values: Values,
    (service, edge): &(ServiceSettings, EdgeSettings),
) -> Shown {
    let instances = service.fewest_instances();
    let mut there = Vec::new();
    for number in 0..instances {
        let backend = Backend::working(Work {
            times: Times::Exponential {
                mean_ms: WORK_MS * SLOWER,
            },
            workers: WORKERS as usize,
            seed: bench.seed ^ u64::from(number),
            ..Work::none()
        })
        .await;
        let proxy = bench.envoy(instance(&backend, values, service)).await;
        there.push(Instance { backend, proxy });
    }
    let hosts: Vec<_> = there.iter().map(|i| i.proxy.address("in")).collect();
    let config = Bootstrap::of(&hosts).balanced("least_request", "LeastRequest", Map::new());
    let envoy = bench.envoy(caller(config, values, service, edge)).await;
    let mut due = Vec::new();
    let mut starts_s = 0.0;
    for (phase, (seconds, rate_rps)) in PHASES.into_iter().enumerate() {
        let from = Duration::from_secs_f64(starts_s);
        let times = poisson(mix(bench.seed, phase as u64), rate_rps, seconds);
        due.extend(times.into_iter().map(|at| from + at));
        starts_s += seconds;
    }
    let driven = Driven {
        sent: open_loop(&envoy.url("in"), soon(), &due).await,
        seconds: starts_s,
    };
    let good = driven
        .sent
        .iter()
        .filter(|sent| sent.status == 200 && sent.took.as_secs_f64() * 1e3 <= SLO_MS);
    let observed = [
        good.count() as f64 / driven.sent.len() as f64,
        driven.share(200, 0.0, f64::MAX),
        driven.quantile_ms(0.99),
    ];
    let backends: Vec<&Backend> = there.iter().map(|i| &i.backend).collect();
    let mut model = ServiceModel::plain("cart", instances, WORKERS, worked(&backends));
    model.rate_limit = Some(service.rate_limit);
    model.max_concurrent_requests = service.max_concurrent_requests;
    model.max_pending_requests = service.max_pending_requests;
    let mut mesh = Mesh::single(model, LoadBalancing::LeastRequest, driven.arrivals());
    mesh.entries[0].slo.latency_ms = SLO_MS;
    let called = &mut mesh.edges[0];
    called.connections = Connections::OneRequest { connect_ms: 0.3 };
    called.timeout_ms = Some(f64::from(edge.timeout_ms));
    called.per_try_timeout_ms = Some(f64::from(edge.per_try_timeout_ms));
    called.retries = RetryModel::from(&edge.retries);
    called.limits = LimitsModel {
        max_connections: edge.caller_limits.max_connections,
        max_pending_requests: edge.caller_limits.max_pending_requests,
        max_concurrent_requests: edge.caller_limits.max_concurrent_requests,
        max_concurrent_retries: edge.caller_limits.max_concurrent_retries,
    };
    called.ejection = Some(service.outlier_ejection);
    if values == Values::IstioDefaults {
        mesh = istio_defaults(&mesh);
    }
    let time = (0.0, starts_s + REST_S);
    Shown {
        envoy: observed,
        simulated: simulated(&mesh, bench.seed, time, numbers),
        late_p99_ms: driven.late_p99_ms(),
    }
}

fn numbers(run: &Run) -> [f64; 3] {
    let Some(entry) = run.entries.first() else {
        return [0.0; 3];
    };
    let answered = ended(run, Outcome::Ok);
    let in_time = 1.0 - entry.latency.share_above(SLO_MS);
    [
        answered * in_time,
        answered,
        entry.latency.quantile_ms(0.99),
    ]
}

/// A difference of two policies; single runs of both stray together.
fn less(a: Simulated, b: Simulated) -> Simulated {
    Simulated {
        mean: a.mean - b.mean,
        spread: a.spread.hypot(b.spread),
    }
}

pub(super) async fn run(bench: &Bench) -> Section {
    let settings = planned();
    let plan = shown(&bench.case(90), Values::Planned, &settings).await;
    let defaults = shown(&bench.case(90), Values::IstioDefaults, &settings).await;
    let mut rows = Vec::new();
    for (policy, shown) in [("the plan", &plan), ("Istio's defaults", &defaults)] {
        let [in_time, answered, p99] = shown.simulated;
        // Where instances are ejected for want of time, single runs differ by a third of all requests.
        let share = (Unit::Share, Goal::Within(0.3));
        let latency = (Unit::Milliseconds, Goal::Part(0.25));
        rows.push(Row::new(
            policy,
            format!("answered within {SLO_MS} ms"),
            share,
            shown.envoy[0],
            in_time,
        ));
        rows.push(Row::new(
            policy,
            "answered",
            share,
            shown.envoy[1],
            answered,
        ));
        rows.push(Row::new(
            policy,
            "p99 of those answered",
            latency,
            shown.envoy[2],
            p99,
        ));
    }
    rows.push(Row::new(
        "the plan, less Istio's defaults",
        format!("answered within {SLO_MS} ms"),
        (Unit::Share, Goal::Sign),
        plan.envoy[0] - defaults.envoy[0],
        less(plan.simulated[0], defaults.simulated[0]),
    ));
    Section {
        title: "What a plan is worth",
        setup: "A service planned for 160 requests a second, under twice as many for 15 of 38 seconds and with work that takes half as long again; every proxy an Envoy of its own.",
        late_p99_ms: plan.late_p99_ms.max(defaults.late_p99_ms),
        rows,
    }
}
