//! What existing limits are held against: the needs of each hour, the instances that run then, and what a plan would set.

use foremesh_model::{
    CallerLimits, EdgeName, Protocol, RegionPlan, ServiceName, ServiceSettings, Timestamp,
};
use foremesh_observe::ExistingLimits;
use foremesh_policy::{HourRequirement, Requirements};

use super::scale::{Replicas, Scale};

/// Everything that one comparison needs.
pub(super) struct Yardstick<'a> {
    pub limits: &'a ExistingLimits,
    pub needs: &'a Requirements,
    pub plan: &'a RegionPlan,
    /// How many instances the same limits let run.
    pub scale: Scale<'a>,
}

impl<'a> Yardstick<'a> {
    /// Whether the forecast brings a service any request at all.
    pub fn has_demand(&self, service: &ServiceName) -> bool {
        let hours = self.needs.services.get(service);
        hours.is_some_and(|hours| hours.iter().any(|need| need.demand_p99_rps > 0.0))
    }

    /// The instant at which an hour of the plan begins.
    pub fn at(&self, hour: u32) -> Timestamp {
        let seconds = i64::from(hour) * 3600;
        let starts = self.plan.settings.starts.as_second();
        Timestamp::from_second(starts.saturating_add(seconds)).unwrap_or(Timestamp::MAX)
    }

    /// `11 Dec 18:00 UTC`.
    pub fn when(&self, hour: u32) -> String {
        self.at(hour).strftime("%-d %b %H:%M UTC").to_string()
    }

    /// What a plan would set at a service.
    pub fn planned(&self, service: &ServiceName) -> Option<&ServiceSettings> {
        self.plan.settings.services.get(service)
    }

    /// Whether a plan leaves a service as it is, because it keeps state.
    pub fn is_stateful(&self, service: &ServiceName) -> bool {
        let stateful = &self.plan.settings.stateful_services;
        stateful.contains_key(service)
    }

    /// What a plan would set at one proxy of a caller; none as the caller stands for the ingress gateway.
    pub fn planned_caller_limits(
        &self,
        caller: Option<&ServiceName>,
        callee: &ServiceName,
    ) -> Option<&CallerLimits> {
        let settings = &self.plan.settings;
        match caller {
            Some(caller) => {
                let edge = EdgeName::new(caller.clone(), callee.clone());
                Some(&settings.edges.get(&edge)?.caller_limits)
            }
            None => Some(&settings.entries.get(callee)?.gateway_limits),
        }
    }

    /// A number that went into a value of the plan.
    pub fn input(&self, path: &str, name: &str) -> Option<f64> {
        self.plan.reasons.get(path)?.inputs.get(name).copied()
    }

    /// How many replicas a service may have.
    pub fn replicas(&self, service: &ServiceName) -> Replicas {
        self.scale.replicas(service)
    }

    /// The document of the only workload of a service, where neither it nor an autoscaler says how many replicas run.
    pub fn defaulted_workload(&self, service: &ServiceName) -> Option<&'a str> {
        self.scale.defaulted_workload(service)
    }

    /// How many instances run in an hour: what manifests fix, or what the autoscaler is asked for within its bounds.
    pub fn running(&self, service: &ServiceName, need: &HourRequirement) -> u32 {
        let running = match self.replicas(service) {
            Replicas::Fixed(replicas) => replicas,
            Replicas::Scaled { fewest, most } => need.instances.max(fewest).min(most),
            Replicas::Default => 1,
            // Nothing says how many run: as many as a plan would keep.
            Replicas::Unknown => self
                .planned(service)
                .map_or(1, |planned| planned.instances.fewest())
                .max(need.instances),
        };
        running.max(1)
    }

    /// The services that call a service; none among them stands for the ingress gateway.
    pub fn callers(&self, service: &ServiceName) -> Vec<Option<&ServiceName>> {
        let gateway = self.needs.entries.contains_key(service).then_some(None);
        let edges = self.needs.edges.keys();
        let callers = edges
            .filter(|edge| edge.callee() == service && edge.caller() != service)
            .map(|edge| Some(edge.caller()));
        gateway.into_iter().chain(callers).collect()
    }

    /// The hour in which one proxy of a caller has the most calls to a service in flight: that hour, how many at the 0.999 quantile, and
    /// how many proxies there are.
    pub fn most_in_flight_of_one(
        &self,
        caller: Option<&ServiceName>,
        callee: &ServiceName,
    ) -> Option<(u32, u32, u32)> {
        let rows = match caller {
            Some(caller) => self
                .needs
                .edges
                .get(&EdgeName::new(caller.clone(), callee.clone()))?,
            None => self.needs.entries.get(callee)?,
        };
        let proxies = |hour: u32| match caller {
            Some(caller) => self
                .needs
                .service(caller)
                .get(hour as usize)
                .map_or(1, |need| self.running(caller, need)),
            None => self
                .plan
                .settings
                .entries
                .get(callee)
                .map_or(1, |entry| entry.gateway_limits.fewest_caller_proxies.max(1)),
        };
        rows.iter()
            .map(|calls| {
                let proxies = proxies(calls.hour);
                (calls.hour, calls.concurrent_of_one(proxies), proxies)
            })
            // The first of equal hours.
            .rev()
            .max_by_key(|(_, concurrent, _)| *concurrent)
    }
}

/// Whether the mesh sees requests and not only bytes.
pub(super) fn sees_requests(yardstick: &Yardstick<'_>, service: &ServiceName) -> bool {
    yardstick
        .planned(service)
        .is_some_and(|planned| planned.protocol != Protocol::Tcp)
}

/// Istio's and Envoy's way to say that there is no limit: 2³² − 1.
pub(super) const UNBOUNDED: f64 = 4_294_967_295.0;

/// A number as people write it.
pub(super) fn show(value: f64) -> String {
    match value {
        v if v >= UNBOUNDED => "2³² − 1".into(),
        v if v >= 100.0 || v.fract() == 0.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// `1 instance`, `9 instances`.
pub(super) fn count(number: u32, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    }
}
