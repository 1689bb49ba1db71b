//! What is simulated: services, the calls between them, where requests enter. Plain numbers, so that a queue from a textbook and
//! a planned region are the same kind of thing; [`crate::from_plan`] makes one from a plan.

mod check;
mod localities;

use foremesh_model::{Cost, Fault, LoadBalancing, OutlierEjection, RateLimit, Slo, WarmUp};

pub use self::localities::{Localities, Locality, LocalityBalancing, RemoteInstances};
use crate::Times;

/// What is simulated. Services, edges and entries are known by their index.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Mesh {
    /// Every service.
    pub services: Vec<ServiceModel>,
    /// Every kind of call.
    pub edges: Vec<EdgeModel>,
    /// Where requests enter.
    pub entries: Vec<EntryModel>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// Where instances stand.
    pub localities: Localities,
    /// What bytes between regions and violated minutes cost; an instance hour's cost is each service's own.
    pub cost: Cost,
}

/// A service and the proxies beside its instances.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceModel {
    /// Its name.
    pub name: String,
    /// Instances over time, standby included.
    pub instances: Vec<InstanceStep>,
    /// Places for instances that controllers may fill; the schedule's most where that is more.
    pub max_instances: u32,
    /// Requests that one instance works on at once.
    pub workers: u32,
    /// Time that a request holds a worker.
    pub work: Times,
    /// What one instance admits; None: everything.
    pub rate_limit: Option<RateLimit>,
    /// Requests that one instance has inside at once, waiting for other services included, before its proxy queues.
    pub max_concurrent_requests: u32,
    /// Requests that its proxy queues before it refuses.
    pub max_pending_requests: u32,
    /// Share of requests that fail of themselves, after their work, 0 … 1.
    pub error_rate: f64,
    /// Calls that a request makes after its work, stage after stage.
    pub stages: Vec<Stage>,
    /// Seconds from the order of an instance until it is ready.
    pub startup_s: f64,
    /// Seconds from ready until warm.
    pub warm_up_s: f64,
    /// How many times longer work takes on an instance that has just become ready; falls to 1 over the warm-up.
    pub cold_factor: f64,
    /// Whether work that nobody waits for any more is dropped (gRPC) instead of done (HTTP/1.1).
    pub drops_abandoned: bool,
    /// Cost of an instance hour.
    pub cost_per_hour: f64,
    /// The proxy beside each instance.
    pub proxy: ProxyModel,
    /// Localities of its instances by index, over and over in this order, so that they are spread evenly; empty: all at the first.
    pub placement: Vec<usize>,
    /// Instances elsewhere that take over.
    pub remote: Vec<RemoteInstances>,
    /// Seconds until a crashed instance is no endpoint any more, and one that cannot be reached; infinite: it stays one.
    pub noticed: Noticed,
}

/// How long instances that are down stay among the endpoints that proxies know.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noticed {
    /// Seconds for one that crashed.
    pub crashed_s: f64,
    /// Seconds for one that cannot be reached.
    pub unreachable_s: f64,
}

impl Noticed {
    /// Nobody looks.
    pub const NEVER: Self = Self {
        crashed_s: f64::INFINITY,
        unreachable_s: f64::INFINITY,
    };
}

/// What a proxy spends on requests. A request that comes to an instance and every call that it makes pass the instance's proxy, on one of
/// its threads, first come, first served.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProxyModel {
    /// Milliseconds of a thread for a request and its answer together.
    pub cost_ms: f64,
    /// Threads, at most [`ProxyModel::MOST_THREADS`]; a connection belongs to one.
    pub threads: u32,
}

impl ProxyModel {
    /// Threads that are told apart.
    pub const MOST_THREADS: u32 = 4;

    /// Costs nothing.
    pub const FREE: Self = Self {
        cost_ms: 0.0,
        threads: 1,
    };
}

/// Calls that a request makes together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// The edges.
    pub edges: Vec<usize>,
    /// Whether all calls are made at once, or each waits for the one before.
    pub parallel: bool,
}

/// From a time on, this many instances.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InstanceStep {
    /// Seconds after the start.
    pub starts_s: f64,
    /// Instances from then on.
    pub instances: u32,
}

/// Calls from one service to another, or from the ingress gateway, and the caller's proxies.
#[derive(Debug, Clone, PartialEq)]
pub struct EdgeModel {
    /// The service that calls; None: the gateway.
    pub caller: Option<usize>,
    /// Proxies of the gateway; of other callers each instance has one.
    pub gateway_proxies: u32,
    /// The service that is called.
    pub callee: usize,
    /// Calls for each request that reaches the caller; a fraction is a chance.
    pub calls: f64,
    /// Milliseconds that a request spends in network and proxies on its way, and the answer on its way back.
    pub one_way_ms: f64,
    /// Milliseconds for a call with all of its attempts; None: no limit.
    pub timeout_ms: Option<f64>,
    /// Milliseconds for one attempt; None: no limit.
    pub per_try_timeout_ms: Option<f64>,
    /// What is tried again.
    pub retries: RetryModel,
    /// What one proxy of the caller holds open.
    pub limits: LimitsModel,
    /// How connections carry requests.
    pub connections: Connections,
    /// Connections opened ahead for each one in use; 1: none.
    pub preconnect_ratio: f64,
    /// How an instance is chosen.
    pub load_balancing: LoadBalancing,
    /// When an instance is taken out of rotation; None: never.
    pub ejection: Option<OutlierEjection>,
    /// How a new instance is given its share; None: at once.
    pub slow_start: Option<WarmUp>,
    /// Whether instances that fail more often than the others are taken out too, as Envoy's success rate ejection; None: not.
    pub success_rate_ejection: Option<SuccessRateEjection>,
    /// How requests are shared among localities; None: as if all were one.
    pub locality_balancing: Option<LocalityBalancing>,
    /// The gateway's proxies, for calls from outside.
    pub gateway: ProxyModel,
    /// Milliseconds after which a connection to an instance that cannot be reached is given up.
    pub connect_timeout_ms: f64,
    /// Bytes of a request and of its answer.
    pub request_bytes: f64,
    /// Bytes of an answer.
    pub response_bytes: f64,
}

/// Envoy's success rate ejection: at each sweep, among the instances with enough requests since the last, those whose success rate lies
/// further below the mean of all than the factor allows standard deviations. Uses the interval and times of the edge's ejection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SuccessRateEjection {
    /// Fewest instances with enough requests (Envoy: 5).
    pub minimum_hosts: u32,
    /// Requests of an interval that are enough (Envoy: 100).
    pub request_volume: u32,
    /// Standard deviations below the mean that are allowed (Envoy: 1900 ÷ 1000).
    pub standard_deviations: f64,
}

/// Which failures are tried again.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RetryModel {
    /// Attempts after the first.
    pub attempts: u32,
    /// Failed connections and resets before an answer.
    pub on_connect_failure: bool,
    /// Answers of 5xx, and attempts that timed out.
    pub on_5xx: bool,
    /// Retries in flight at one proxy as percent of its requests in flight; None: `max_concurrent` alone counts.
    pub budget_percent: Option<f64>,
    /// Retries in flight that a budget always allows.
    pub budget_min_concurrent: u32,
    /// Milliseconds below which the first wait is drawn; doubles with each attempt, up to ten times.
    pub base_backoff_ms: f64,
    /// How often a retry that meets an instance which was tried is drawn anew (Envoy's `previous_hosts` with
    /// `host_selection_retry_max_attempts`).
    pub other_draws: u32,
}

impl RetryModel {
    /// The n-th retry (from 1) waits a time that is drawn below this many times the base: Envoy doubles it up to ten times (`max_interval`).
    #[must_use]
    pub fn most_wait(n: u32) -> f64 {
        const MOST: f64 = 10.0;
        2f64.powi(n.clamp(1, 64) as i32 - 1).min(MOST)
    }
}

/// What one proxy of a caller holds open.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LimitsModel {
    /// Connections.
    pub max_connections: u32,
    /// Requests waiting for a connection.
    pub max_pending_requests: u32,
    /// Requests in flight.
    pub max_concurrent_requests: u32,
    /// Retries in flight.
    pub max_concurrent_retries: u32,
}

impl LimitsModel {
    /// No limit.
    pub const NONE: Self = Self {
        max_connections: u32::MAX,
        max_pending_requests: u32::MAX,
        max_concurrent_requests: u32::MAX,
        max_concurrent_retries: u32::MAX,
    };
}

/// How connections carry requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Connections {
    /// Always open, never a limit.
    Open,
    /// One request at a time (HTTP/1.1).
    OneRequest {
        /// Milliseconds until a new one is open.
        connect_ms: f64,
    },
    /// Many requests at once (HTTP/2, gRPC), one connection to each instance.
    Multiplexed {
        /// Milliseconds until a new one is open.
        connect_ms: f64,
    },
}

/// Where requests enter.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryModel {
    /// Its name.
    pub name: String,
    /// The edge from the gateway.
    pub edge: usize,
    /// When requests come.
    pub arrivals: Arrivals,
    /// What it must keep.
    pub slo: Slo,
    /// Share of the requests that is let in from a time on; the rest is served elsewhere. Empty: all.
    pub ramp: Vec<RampStep>,
}

/// From a time on, this share is let in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RampStep {
    /// Seconds after the start.
    pub starts_s: f64,
    /// The share, 0 … 1.
    pub share: f64,
}

/// When requests come.
#[derive(Debug, Clone, PartialEq)]
pub enum Arrivals {
    /// Poisson, at a rate that is constant within steps of equal length; beyond the last step the last rate holds.
    Poisson {
        /// Seconds of a step.
        step_s: f64,
        /// Requests a second in each step.
        rates_rps: Vec<f64>,
        /// Variance ÷ mean of the requests of one second: above 1 the rate of each second is drawn from a gamma distribution.
        dispersion: f64,
    },
    /// As recorded: nanoseconds after the start, rising.
    Replay(Vec<u64>),
}

impl Arrivals {
    /// Poisson at one rate.
    #[must_use]
    pub fn steady(rps: f64) -> Self {
        Self::Poisson {
            step_s: 3600.0,
            rates_rps: vec![rps],
            dispersion: 1.0,
        }
    }
}

impl ServiceModel {
    /// `instances` instances of `workers` workers each, no limits, no calls.
    #[must_use]
    pub fn plain(name: &str, instances: u32, workers: u32, work: Times) -> Self {
        Self {
            name: name.into(),
            instances: vec![InstanceStep {
                starts_s: 0.0,
                instances,
            }],
            max_instances: instances,
            workers,
            work,
            rate_limit: None,
            max_concurrent_requests: u32::MAX,
            max_pending_requests: u32::MAX,
            error_rate: 0.0,
            stages: Vec::new(),
            startup_s: 0.0,
            warm_up_s: 0.0,
            cold_factor: 1.0,
            drops_abandoned: false,
            cost_per_hour: 0.0,
            proxy: ProxyModel::FREE,
            placement: Vec::new(),
            remote: Vec::new(),
            noticed: Noticed::NEVER,
        }
    }

    /// The most instances of any time, those elsewhere not counted.
    #[must_use]
    pub fn most_instances(&self) -> u32 {
        let steps = self.instances.iter().map(|step| step.instances);
        steps.max().unwrap_or(0).max(self.max_instances)
    }
}

impl EdgeModel {
    /// Calls without limits, delay or retries.
    #[must_use]
    pub fn plain(caller: Option<usize>, callee: usize, load_balancing: LoadBalancing) -> Self {
        Self {
            caller,
            gateway_proxies: 1,
            callee,
            calls: 1.0,
            one_way_ms: 0.0,
            timeout_ms: None,
            per_try_timeout_ms: None,
            retries: RetryModel::default(),
            limits: LimitsModel::NONE,
            connections: Connections::Open,
            preconnect_ratio: 1.0,
            load_balancing,
            ejection: None,
            slow_start: None,
            success_rate_ejection: None,
            locality_balancing: None,
            gateway: ProxyModel::FREE,
            connect_timeout_ms: 10_000.0,
            request_bytes: 0.0,
            response_bytes: 0.0,
        }
    }
}

impl Mesh {
    /// One service behind one gateway proxy.
    #[must_use]
    pub fn single(
        service: ServiceModel,
        load_balancing: LoadBalancing,
        arrivals: Arrivals,
    ) -> Self {
        let name = service.name.clone();
        Self {
            services: vec![service],
            edges: vec![EdgeModel::plain(None, 0, load_balancing)],
            entries: vec![EntryModel {
                name,
                edge: 0,
                arrivals,
                slo: Slo::default(),
                ramp: Vec::new(),
            }],
            ..Self::default()
        }
    }

    /// The name of an edge: `caller->callee`.
    #[must_use]
    pub fn edge_name(&self, edge: usize) -> String {
        let name = |service: usize| self.services.get(service).map_or("?", |s| s.name.as_str());
        self.edges.get(edge).map_or_else(String::new, |edge| {
            let caller = edge.caller.map_or("gateway", name);
            format!("{caller}->{}", name(edge.callee))
        })
    }
}
