//! What follows from settings for every mesh alike: who calls whom through a proxy, and what holds for a caller that the plan does
//! not know.

use std::collections::BTreeMap;

use foremesh_model::{
    Autoscaling, CallerLimits, ConnectionSettings, EdgeSettings, LoadBalancing, Protocol,
    ProxyMode, Retries, ServiceName, ServiceSettings, Settings,
};

use crate::RenderOptions;

/// Limits of one proxy towards one callee, as both Istio and Envoy name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pool {
    pub(crate) max_connections: u32,
    pub(crate) max_pending_requests: u32,
    pub(crate) max_concurrent_requests: u32,
    pub(crate) max_concurrent_retries: u32,
}

impl Pool {
    /// What the plan gives one proxy of a caller.
    pub(crate) fn of_caller(limits: &CallerLimits) -> Self {
        Self {
            max_connections: limits.max_connections,
            max_pending_requests: limits.max_pending_requests,
            max_concurrent_requests: limits.max_concurrent_requests,
            max_concurrent_retries: limits.max_concurrent_retries,
        }
    }

    /// What all instances together work on and queue: the most that one proxy can make use of, for a caller whose number of
    /// proxies the plan does not know (a waypoint, a failover region). Unlike the mesh's default it is not infinite.
    pub(crate) fn of_service(service: &ServiceSettings) -> Self {
        let instances = service.most_instances();
        let all = |of_one: u32| of_one.saturating_mul(instances);
        Self {
            max_connections: all(service.max_concurrent_requests),
            max_pending_requests: all(service.max_pending_requests),
            max_concurrent_requests: all(service.max_concurrent_requests),
            max_concurrent_retries: all(service.max_concurrent_requests).div_ceil(10),
        }
    }

    /// What the instance's own proxy lets through to the instance.
    pub(crate) fn of_instance(service: &ServiceSettings) -> Self {
        Self {
            max_connections: service.max_concurrent_requests,
            max_pending_requests: service.max_pending_requests,
            max_concurrent_requests: service.max_concurrent_requests,
            max_concurrent_retries: 1,
        }
    }

    /// The greater of each limit.
    pub(crate) fn or_greater(self, other: Self) -> Self {
        Self {
            max_connections: self.max_connections.max(other.max_connections),
            max_pending_requests: self.max_pending_requests.max(other.max_pending_requests),
            max_concurrent_requests: self
                .max_concurrent_requests
                .max(other.max_concurrent_requests),
            max_concurrent_retries: self
                .max_concurrent_retries
                .max(other.max_concurrent_retries),
        }
    }
}

/// Retries in flight that are allowed at one proxy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RetryBudget {
    pub(crate) percent: f64,
    pub(crate) min_concurrent: u32,
}

impl RetryBudget {
    pub(crate) fn of(retries: &Retries) -> Self {
        Self {
            percent: retries.budget_percent,
            min_concurrent: retries.budget_min_concurrent,
        }
    }

    pub(crate) fn or_greater(self, other: Self) -> Self {
        Self {
            percent: self.percent.max(other.percent),
            min_concurrent: self.min_concurrent.max(other.min_concurrent),
        }
    }
}

/// The callers of a service that the plan knows.
pub(crate) fn callers<'a>(
    settings: &'a Settings,
    callee: &'a ServiceName,
) -> impl Iterator<Item = (&'a ServiceName, &'a EdgeSettings)> + 'a {
    settings
        .edges
        .iter()
        .filter(move |(name, _)| name.callee() == callee)
        .map(|(name, edge)| (name.caller(), edge))
}

/// The callees of a service that the plan knows.
pub(crate) fn callees<'a>(
    settings: &'a Settings,
    caller: &'a ServiceName,
) -> BTreeMap<&'a ServiceName, &'a EdgeSettings> {
    settings
        .edges
        .iter()
        .filter(|(name, _)| name.caller() == caller)
        .map(|(name, edge)| (name.callee(), edge))
        .collect()
}

/// Where a service's traffic is handled; a caller that is no service of the plan (a gateway) has a proxy.
pub(crate) fn proxy_mode(settings: &Settings, service: &ServiceName) -> ProxyMode {
    let planned = settings.services.get(service).map(|s| s.proxy_mode);
    let stateful = || {
        settings
            .stateful_services
            .get(service)
            .map(|s| s.proxy_mode)
    };
    planned.or_else(stateful).unwrap_or(ProxyMode::Sidecar)
}

/// The callers of a service that keeps state.
pub(crate) fn connections_to<'a>(
    settings: &'a Settings,
    callee: &'a ServiceName,
) -> impl Iterator<Item = (&'a ServiceName, &'a ConnectionSettings)> + 'a {
    settings
        .connections
        .iter()
        .filter(move |(name, _)| name.callee() == callee)
        .map(|(name, connection)| (name.caller(), connection))
}

/// The services that keep state and that a service calls.
pub(crate) fn connections_of<'a>(
    settings: &'a Settings,
    caller: &'a ServiceName,
) -> BTreeMap<&'a ServiceName, &'a ConnectionSettings> {
    settings
        .connections
        .iter()
        .filter(|(name, _)| name.caller() == caller)
        .map(|(name, connection)| (name.callee(), connection))
        .collect()
}

/// Why a service that is to be balanced by hash has nothing to hash; none where it has, or where it is balanced otherwise.
///
/// The source address is never hashed: in front of a caller's own proxy it is the caller's, the same for all of its requests, so
/// that each calling pod would send everything to one instance.
pub(crate) fn nothing_to_hash(
    service: &ServiceSettings,
    options: &RenderOptions,
) -> Option<&'static str> {
    match service.load_balancing {
        LoadBalancing::LeastRequest | LoadBalancing::RoundRobin | LoadBalancing::Random => None,
        LoadBalancing::RingHash | LoadBalancing::Maglev => {
            if service.protocol == Protocol::Tcp {
                Some("opaque TCP has no request header to hash")
            } else if options.hash_header.is_none() {
                Some("the option hash_header names no request header to hash")
            } else {
                None
            }
        }
    }
}

/// How the instances of a service are chosen: as planned, or by the fewest requests where there is nothing to hash.
pub(crate) fn load_balancing(service: &ServiceSettings, options: &RenderOptions) -> LoadBalancing {
    match nothing_to_hash(service, options) {
        Some(_) => LoadBalancing::LeastRequest,
        None => service.load_balancing,
    }
}

/// Whether the balancer of a service can give a new instance a growing share.
pub(crate) fn warms_up(service: &ServiceSettings, options: &RenderOptions) -> bool {
    service.warm_up.duration_s > 0
        && matches!(
            load_balancing(service, options),
            LoadBalancing::LeastRequest | LoadBalancing::RoundRobin
        )
}

/// The busy share at which an autoscaler is to aim by processor time, in whole percent.
pub(crate) fn target_percent(scaled: &Autoscaling) -> u32 {
    (scaled.target_utilisation() * 100.0)
        .floor()
        .clamp(1.0, 100.0) as u32
}
