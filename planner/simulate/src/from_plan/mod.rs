//! From a plan to what is simulated: the service graph says what services do, the settings what their proxies do.

mod places;
mod times;

use std::collections::BTreeMap;

use foremesh_model::{
    CallerLimits, Cost, EdgeName, EdgeSettings, EntrySettings, Fault, Protocol, ProxyMode, Retries,
    Service, ServiceGraph, ServiceName, ServiceSettings, Settings,
    station::{PROXY_MS, PROXY_THREADS, Station, stations},
};

use self::{
    places::{distribute, localities},
    times::{ramp, steps},
};
use crate::{
    Arrivals, Connections, EdgeModel, EntryModel, InstanceStep, LimitsModel, LocalityBalancing,
    Mesh, Noticed, ProxyModel, RemoteInstances, RetryModel, ServiceModel, SimulateError, Stage,
    Times,
};

/// Envoy's overprovisioning factor, which Istio leaves as it is.
const OVERPROVISIONING_PERCENT: u32 = 140;

/// What enters at an entry.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryLoad {
    /// The entry service.
    pub entry: ServiceName,
    /// When its requests come, from the start of what is simulated.
    pub arrivals: Arrivals,
}

/// What a plan does not say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlanAssumptions {
    /// Milliseconds that a message spends in the network of a zone, one way. Default 0.25.
    pub one_way_ms: f64,
    /// Milliseconds more to another zone. Default 0.5.
    pub other_zone_ms: f64,
    /// Milliseconds more to another region. Default 10.
    pub other_region_ms: f64,
    /// A sidecar, and a proxy of the gateway. Default 0.2 ms of one of two threads for each request: Istio's own measurement of 0.2 processors for a
    /// thousand requests a second (istio.io, *Performance and Scalability*). A waypoint is taken for as dear.
    pub proxy: ProxyModel,
    /// How soon endpoints are taken off. Default 2 s for a crash (the kubelet says so at once, the mesh passes it on), 40 s for an instance that
    /// cannot be reached (Kubernetes' node monitor grace period).
    pub noticed: Noticed,
    /// Whether the go-live ramp runs. Default no: all demand is let in.
    pub ramp: bool,
    /// What instances without a cost of their own, bytes between regions and violated minutes cost.
    pub cost: Cost,
    /// Milliseconds until a connection with mutual TLS is open. Default 2.
    pub connect_ms: f64,
    /// How many times longer work takes on an instance that has just become ready. Default 2.
    pub cold_factor: f64,
}

impl Default for PlanAssumptions {
    fn default() -> Self {
        Self {
            one_way_ms: 0.25,
            other_zone_ms: 0.5,
            other_region_ms: 10.0,
            proxy: ProxyModel {
                cost_ms: PROXY_MS,
                threads: PROXY_THREADS,
            },
            noticed: Noticed {
                crashed_s: 2.0,
                unreachable_s: 40.0,
            },
            ramp: false,
            cost: Cost::default(),
            connect_ms: 2.0,
            cold_factor: 2.0,
        }
    }
}

/// Builds what is simulated of a plan from an hour of its schedule on. At the start all instances of that hour are ready and warm.
///
/// # Errors
/// [`SimulateError`] when a capacity cannot be, or a load names an entry that the settings do not have.
pub fn from_plan(
    graph: &ServiceGraph,
    settings: &Settings,
    loads: &[EntryLoad],
    faults: &[Fault],
    starts_hour: u32,
    assumptions: &PlanAssumptions,
) -> Result<Mesh, SimulateError> {
    let stations = stations(graph, &assumptions.cost).map_err(SimulateError::Capacity)?;
    let place: BTreeMap<&ServiceName, usize> = graph
        .services()
        .enumerate()
        .map(|(i, s)| (&s.name, i))
        .collect();
    let own_errors = own_errors(graph);
    let mut mesh = Mesh {
        faults: faults.to_vec(),
        localities: localities(settings, assumptions),
        cost: assumptions.cost,
        ..Mesh::default()
    };
    let home = mesh.localities.home();
    let elsewhere = (0..mesh.localities.all.len()).find(|at| !home.contains(at));
    for ((service, station), error_rate) in graph.services().zip(&stations).zip(own_errors) {
        let set = settings.services.get(&service.name);
        let instances = match (set, settings.stateful_services.get(&service.name)) {
            (Some(set), _) => steps(
                &set.instances,
                set.standby_instances,
                starts_hour,
                settings.horizon_hours,
                station.lead_s(),
            ),
            (None, stateful) => {
                let there_are = stateful
                    .and_then(|s| s.instances)
                    .unwrap_or(station.min_instances);
                vec![InstanceStep {
                    starts_s: 0.0,
                    instances: there_are.max(1),
                }]
            }
        };
        mesh.services.push(service_model(
            service.name.as_str(),
            station,
            set,
            instances,
            error_rate,
            service.protocol,
            assumptions,
        ));
        if let Some(made) = mesh.services.last_mut() {
            made.placement.clone_from(&home);
            // The other region is taken to have what this one has at the start; a store there keeps other data and takes nothing over.
            let there = made.instances.first().map_or(0, |step| step.instances);
            let taken_over = elsewhere.filter(|_| set.is_some());
            made.remote = taken_over
                .map(|locality| RemoteInstances {
                    locality,
                    instances: there,
                })
                .into_iter()
                .collect();
        }
    }
    // Rules are the callee's, whoever calls it. Istio prefers near endpoints wherever outlier ejection is set, unless told otherwise: an entry's shares, or, for
    // what is no entry, its region and no zone.
    let localities = mesh.localities.clone();
    let region = elsewhere.map(|_| LocalityBalancing::Region {
        overprovisioning_percent: OVERPROVISIONING_PERCENT,
    });
    let nearest = (localities.all.len() > 1).then_some(LocalityBalancing::Failover {
        overprovisioning_percent: OVERPROVISIONING_PERCENT,
    });
    let balancing = |entry: Option<&EntrySettings>, model: &EdgeModel| match entry {
        Some(set) if set.failover.is_empty() && !set.localities.is_empty() => {
            Some(distribute(set, &localities))
        }
        Some(set) if !set.failover.is_empty() => {
            nearest.clone().filter(|_| model.ejection.is_some())
        }
        _ => region.clone().filter(|_| model.ejection.is_some()),
    };
    for edge in graph.edges() {
        let (Some(caller), Some(callee)) = (place.get(&edge.caller), place.get(&edge.callee))
        else {
            continue;
        };
        let set = settings
            .edges
            .get(&EdgeName::new(edge.caller.clone(), edge.callee.clone()));
        let bypassed = settings
            .services
            .get(&edge.caller)
            .is_some_and(|s| s.proxy_mode == ProxyMode::None);
        let called = settings.services.get(&edge.callee);
        let at = mesh.edges.len();
        let mut model = edge_model(
            Some(*caller),
            *callee,
            called,
            graph.services().nth(*callee),
            assumptions,
        );
        model.calls = edge.fan_out();
        if let Some(measured) = edge.response_bytes {
            model.response_bytes = measured;
        }
        model.locality_balancing = balancing(settings.entries.get(&edge.callee), &model);
        if let Some(set) = set.filter(|_| !bypassed) {
            apply(&mut model, set);
        }
        mesh.edges.push(model);
        // Calls that wait for each other make a stage each; those made beside others share the first.
        let stages = &mut mesh.services[*caller].stages;
        if edge.sequential.unwrap_or(true) {
            stages.push(Stage {
                edges: vec![at],
                parallel: false,
            });
        } else if let Some(beside) = stages.iter_mut().find(|stage| stage.parallel) {
            beside.edges.push(at);
        } else {
            stages.insert(
                0,
                Stage {
                    edges: vec![at],
                    parallel: true,
                },
            );
        }
    }
    for load in loads {
        let (Some(set), Some(callee)) = (settings.entries.get(&load.entry), place.get(&load.entry))
        else {
            let known: Vec<&str> = settings.entries.keys().map(ServiceName::as_str).collect();
            return Err(SimulateError::Unknown {
                field: "loads".into(),
                name: load.entry.to_string(),
                kind: "entries",
                known: known.join(", "),
            });
        };
        let called = settings.services.get(&load.entry);
        let service = graph.services().nth(*callee);
        let mut model = edge_model(None, *callee, called, service, assumptions);
        model.gateway_proxies = set.gateway_limits.fewest_caller_proxies.max(1);
        model.limits = limits(&set.gateway_limits);
        model.timeout_ms = Some(f64::from(set.timeout_ms));
        model.gateway = assumptions.proxy;
        model.locality_balancing = balancing(Some(set), &model);
        mesh.entries.push(EntryModel {
            ramp: if assumptions.ramp {
                ramp(settings, starts_hour)
            } else {
                Vec::new()
            },
            name: load.entry.to_string(),
            edge: mesh.edges.len(),
            arrivals: load.arrivals.clone(),
            slo: set.slo,
        });
        mesh.edges.push(model);
    }
    if mesh.entries.is_empty() {
        return Err(SimulateError::NoDemand);
    }
    Ok(mesh)
}

fn service_model(
    name: &str,
    station: &Station,
    set: Option<&ServiceSettings>,
    instances: Vec<InstanceStep>,
    error_rate: f64,
    protocol: Protocol,
    assumptions: &PlanAssumptions,
) -> ServiceModel {
    let proxied = set.filter(|set| set.proxy_mode != ProxyMode::None && protocol != Protocol::Tcp);
    ServiceModel {
        name: name.into(),
        max_instances: 0,
        instances,
        workers: station.workers,
        work: Times::of_moments(station.holding_ms, station.cv2),
        rate_limit: proxied.map(|set| set.rate_limit),
        max_concurrent_requests: proxied.map_or(u32::MAX, |set| set.max_concurrent_requests),
        max_pending_requests: proxied.map_or(u32::MAX, |set| set.max_pending_requests),
        error_rate,
        stages: Vec::new(),
        startup_s: station.startup_s,
        warm_up_s: station.warm_up_s,
        cold_factor: if station.stateful {
            1.0
        } else {
            assumptions.cold_factor
        },
        drops_abandoned: protocol == Protocol::Grpc,
        cost_per_hour: station.cost_per_hour,
        proxy: match set {
            Some(set) if set.proxy_mode != ProxyMode::None => ProxyModel {
                cost_ms: assumptions.proxy.cost_ms * (station.proxy_ms / PROXY_MS),
                ..assumptions.proxy
            },
            _ => ProxyModel::FREE,
        },
        placement: Vec::new(),
        remote: Vec::new(),
        noticed: assumptions.noticed,
    }
}

/// A call with what the called service's settings say of its callers.
fn edge_model(
    caller: Option<usize>,
    callee: usize,
    called: Option<&ServiceSettings>,
    service: Option<&Service>,
    assumptions: &PlanAssumptions,
) -> EdgeModel {
    let balancing = called.map_or(foremesh_model::LoadBalancing::LeastRequest, |set| {
        set.load_balancing
    });
    let mut model = EdgeModel::plain(caller, callee, balancing);
    model.one_way_ms = assumptions.one_way_ms;
    model.response_bytes = service.map_or(0.0, |service| service.capacity.response_bytes());
    let connect_ms = assumptions.connect_ms;
    model.connections = match service.map_or(Protocol::Http, |service| service.protocol) {
        Protocol::Http => Connections::OneRequest { connect_ms },
        Protocol::Http2 | Protocol::Grpc => Connections::Multiplexed { connect_ms },
        Protocol::Tcp => Connections::Open,
    };
    if let Some(set) = called.filter(|set| set.proxy_mode != ProxyMode::None) {
        model.preconnect_ratio = set.preconnect_ratio;
        model.ejection = Some(set.outlier_ejection);
        model.slow_start = Some(set.warm_up).filter(|warm_up| warm_up.duration_s > 0);
    }
    model
}

fn apply(model: &mut EdgeModel, set: &EdgeSettings) {
    model.timeout_ms = Some(f64::from(set.timeout_ms));
    model.per_try_timeout_ms = Some(f64::from(set.per_try_timeout_ms));
    model.retries = RetryModel::from(&set.retries);
    model.limits = limits(&set.caller_limits);
}

fn limits(set: &CallerLimits) -> LimitsModel {
    LimitsModel {
        max_connections: set.max_connections,
        max_pending_requests: set.max_pending_requests,
        max_concurrent_requests: set.max_concurrent_requests,
        max_concurrent_retries: set.max_concurrent_retries,
    }
}

/// What the rendered Envoy configurations ask for; Istio asks for 5, which differs only where more than half of the instances fail.
const OTHER_DRAWS: u32 = 3;

impl From<&Retries> for RetryModel {
    fn from(set: &Retries) -> Self {
        let on = |conditions: &[&str]| {
            set.retry_on
                .iter()
                .any(|on| conditions.contains(&on.as_str()))
        };
        RetryModel {
            attempts: set.attempts,
            on_connect_failure: on(&[
                "connect-failure",
                "reset",
                "reset-before-request",
                "refused-stream",
                "unavailable",
            ]),
            on_5xx: on(&[
                "5xx",
                "gateway-error",
                "503",
                "retriable-status-codes",
                "internal",
            ]),
            budget_percent: (set.attempts > 0).then_some(set.budget_percent),
            budget_min_concurrent: set.budget_min_concurrent,
            base_backoff_ms: f64::from(set.base_backoff_ms),
            other_draws: OTHER_DRAWS,
        }
    }
}

/// What each service fails of itself: the errors that its callers see, less those of the calls it makes.
fn own_errors(graph: &ServiceGraph) -> Vec<f64> {
    graph
        .services()
        .map(|service| {
            let (mut seen, mut weight, mut below) = (0.0, 0.0, 0.0);
            for edge in graph.edges() {
                let rate = edge.error_rate.unwrap_or(0.0);
                if edge.callee == service.name && edge.error_rate.is_some() {
                    let calls = edge.rate_rps.unwrap_or(1.0).max(1e-6);
                    seen += rate * calls;
                    weight += calls;
                }
                if edge.caller == service.name {
                    below += rate * edge.fan_out();
                }
            }
            if weight > 0.0 {
                (seen / weight - below).clamp(0.0, 1.0)
            } else {
                0.0
            }
        })
        .collect()
}
