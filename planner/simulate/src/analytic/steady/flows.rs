//! Down the calls: what reaches each service, what its limits turn away, how long requests wait for a worker.

use foremesh_model::LoadBalancing;

use super::{
    Load, SteadyState, Work,
    answer::ServiceAnswer,
    calls::{EdgeState, all_answered},
};
use crate::{
    Arrivals, Mesh,
    analytic::{
        Wait, Workers,
        loss::{refused, throttled},
        queue::{CallerProxies, FULL, beyond_full},
    },
};

/// Sweeps around a circle of calls; its gain is below 1, unless second attempts lift it.
const MOST_SWEEPS: usize = 200;

/// What is known of a service so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flow {
    /// Requests a second that reach an instance; of them those from outside the circle.
    pub(super) requests_rps: f64,
    outside_rps: f64,
    pub(super) proxies: CallerProxies,
    /// Rate × how much more its arrivals vary than a Poisson process's: as departures of queues, and as calls made together.
    pub(super) departures: f64,
    pub(super) together: f64,
    /// Balancer of most requests.
    balancing: LoadBalancing,
    most_rps: f64,
    /// Variance of the factor by which the rate of a second differs from its mean.
    pub(super) factor_variance: f64,
    /// Shares turned away by token buckets, by full queues, and by places inside (found on the way up).
    throttled: f64,
    refused: f64,
    pub places_refused: f64,
    /// Share of requests that are let in, and of those the share that is answered.
    pub pass: f64,
    pub answered: f64,
    pub admitted_rps: f64,
    /// Departures of one instance: squared coefficient of variation of the time between them.
    departure_cv2: f64,
    wait: Wait,
    pub inside_ms: f64,
}

impl Default for Flow {
    fn default() -> Self {
        Self {
            requests_rps: 0.0,
            outside_rps: 0.0,
            proxies: CallerProxies::default(),
            departures: 0.0,
            together: 0.0,
            balancing: LoadBalancing::Random,
            most_rps: 0.0,
            factor_variance: 0.0,
            throttled: 0.0,
            refused: 0.0,
            places_refused: 0.0,
            pass: 1.0,
            answered: 1.0,
            admitted_rps: 0.0,
            departure_cv2: 1.0,
            wait: Wait::default(),
            inside_ms: 0.0,
        }
    }
}

/// An inflow into a service.
struct Inflow {
    rps: f64,
    proxies: u32,
    departures: f64,
    together: f64,
    balancing: LoadBalancing,
}

impl Flow {
    /// Forgets what flowed in the round before, and keeps what was found on the way up.
    fn begin(&mut self) {
        *self = Self {
            pass: self.pass,
            answered: self.answered,
            places_refused: self.places_refused,
            inside_ms: self.inside_ms,
            factor_variance: self.factor_variance,
            ..Self::default()
        };
    }

    /// Variance ÷ mean of a count of this mean among the requests: of those in flight, or of those of a second.
    pub(super) fn dispersion_of(&self, mean: f64) -> f64 {
        1.0 + mean * self.factor_variance
    }

    /// Mean milliseconds of the wait for a worker.
    pub(super) fn wait_ms(&self) -> f64 {
        self.wait.moments().mean
    }

    /// Requests a second that the token buckets let through.
    pub(super) fn unthrottled_rps(&self) -> f64 {
        self.requests_rps * (1.0 - self.throttled)
    }

    /// Share of requests that are let in.
    pub(super) fn passes(&self) -> f64 {
        (1.0 - self.throttled) * (1.0 - self.refused.max(self.places_refused))
    }

    pub(super) fn answer(&self, workers: u32, instances: u32, work: &Work) -> ServiceAnswer {
        let workers = f64::from(workers.max(1));
        let busy = |rps: f64| rps * work.mean_ms / 1000.0 / workers;
        let needs = (busy(self.requests_rps) / FULL).ceil();
        let wait = self.wait_ms();
        let unthrottled = self.unthrottled_rps();
        ServiceAnswer {
            requests_rps: self.requests_rps,
            rate_limited_rps: self.requests_rps - unthrottled,
            refused_rps: unthrottled - self.admitted_rps,
            utilisation: busy(self.admitted_rps) / f64::from(instances.max(1)),
            mean_wait_ms: wait,
            queued: self.admitted_rps * wait / 1000.0,
            inside_ms: self.inside_ms,
            needs_instances: needs.clamp(0.0, 1e9) as u32,
            has_instances: instances,
        }
    }

    fn add(&mut self, inflow: &Inflow) {
        let rps = inflow.rps;
        self.proxies.add(rps, inflow.proxies);
        self.departures += rps * inflow.departures;
        self.together += rps * inflow.together;
        if rps > self.most_rps {
            self.most_rps = rps;
            self.balancing = inflow.balancing;
        }
    }
}

impl SteadyState {
    /// What errors alone make of attempts and answers, before any latency is known.
    pub(super) fn expect_errors(&mut self, mesh: &Mesh) {
        for (flow, service) in self.flows.iter_mut().zip(&mesh.services) {
            flow.answered = 1.0 - service.error_rate;
        }
        for (members, circle) in self.calls.groups.iter().rev() {
            for _ in 0..if *circle { 8 } else { 1 } {
                for member in members {
                    let mut answered = 1.0 - mesh.services[*member].error_rate;
                    for call in &self.calls.by_caller[*member] {
                        let below = self.flows[call.callee].answered;
                        let edge = EdgeState::expected(below, &mesh.edges[call.edge].retries);
                        answered *= all_answered(edge.availability, call.fan_out);
                        self.edges[call.edge] = edge;
                    }
                    self.flows[*member].answered = answered;
                }
            }
        }
        for entry in &mesh.entries {
            let below = self.flows[self.edge_ends[entry.edge]].answered;
            self.edges[entry.edge] = EdgeState::expected(below, &mesh.edges[entry.edge].retries);
        }
    }

    /// One way down.
    pub(super) fn down(&mut self, mesh: &Mesh, load: &Load) {
        for flow in &mut self.flows {
            flow.begin();
        }
        self.bursts(mesh, load);
        for (entry, rps) in mesh.entries.iter().zip(&load.entry_rps) {
            let edge = &mut self.edges[entry.edge];
            edge.calls_rps = rps.max(0.0);
            let model = &mesh.edges[entry.edge];
            let inflow = Inflow {
                rps: edge.calls_rps * edge.attempts,
                proxies: model.gateway_proxies,
                departures: 0.0,
                together: 0.0,
                balancing: model.load_balancing,
            };
            let flow = &mut self.flows[self.edge_ends[entry.edge]];
            flow.requests_rps += inflow.rps;
            flow.add(&inflow);
        }
        for group in 0..self.calls.groups.len() {
            let circle = self.calls.groups[group].1;
            if circle {
                self.go_round(mesh, load, group);
            }
            for i in 0..self.calls.groups[group].0.len() {
                let service = self.calls.groups[group].0[i];
                self.settle(mesh, load, service);
                self.pass_on(mesh, load, service, |to| to != group, true);
            }
        }
    }

    /// How much the rate of a second varies at every service: entries vary each for itself, and what one brings varies together everywhere.
    fn bursts(&mut self, mesh: &Mesh, load: &Load) {
        for flow in &mut self.flows {
            flow.factor_variance = 0.0;
        }
        let bursty = mesh.entries.iter().any(
            |e| matches!(e.arrivals, Arrivals::Poisson { dispersion, .. } if dispersion > 1.0),
        );
        if !bursty {
            return;
        }
        for (s, flow) in self.flows.iter_mut().enumerate() {
            let parts = || {
                self.visits
                    .iter()
                    .zip(&load.entry_rps)
                    .map(|(v, rps)| v[s] * rps)
            };
            let all: f64 = parts().sum();
            if all <= 0.0 {
                continue;
            }
            for ((entry, rps), part) in mesh.entries.iter().zip(&load.entry_rps).zip(parts()) {
                if let Arrivals::Poisson { dispersion, .. } = entry.arrivals
                    && *rps > 0.0
                {
                    let variance = (dispersion - 1.0).max(0.0) / rps;
                    flow.factor_variance += part * part / (all * all) * variance;
                }
            }
        }
    }

    /// Solves the flows around a circle, and notes who calls whom inside.
    fn go_round(&mut self, mesh: &Mesh, load: &Load, group: usize) {
        let members = std::mem::take(&mut self.calls.groups[group].0);
        for member in &members {
            self.flows[*member].outside_rps = self.flows[*member].requests_rps;
        }
        for _ in 0..MOST_SWEEPS {
            for member in &members {
                let flow = &mut self.flows[*member];
                flow.admitted_rps = flow.requests_rps * flow.passes();
                flow.requests_rps = flow.outside_rps;
            }
            let before: f64 = members.iter().map(|m| self.flows[*m].admitted_rps).sum();
            for member in &members {
                self.pass_on(mesh, load, *member, |to| to == group, false);
            }
            let after: f64 = members
                .iter()
                .map(|m| self.flows[*m].requests_rps * self.flows[*m].passes())
                .sum();
            if (after - before).abs() <= 1e-9 * after.max(1e-9) || after > 1e12 {
                break;
            }
        }
        self.calls.groups[group].0 = members;
        for i in 0..self.calls.groups[group].0.len() {
            let member = self.calls.groups[group].0[i];
            self.note_inside(mesh, load, member, group);
        }
    }

    /// Notes the calls inside a circle with the callees, whose rates hold them already.
    fn note_inside(&mut self, mesh: &Mesh, load: &Load, service: usize, group: usize) {
        for call in &self.calls.by_caller[service] {
            if self.calls.group_of[call.callee] == group {
                let edge = &self.edges[call.edge];
                let inflow = Inflow {
                    rps: edge.calls_rps * edge.attempts,
                    proxies: load.instances[service],
                    departures: 0.0,
                    together: 0.0,
                    balancing: mesh.edges[call.edge].load_balancing,
                };
                self.flows[call.callee].add(&inflow);
            }
        }
    }

    /// What a service's limits turn away of what reaches it, and how long the rest waits.
    fn settle(&mut self, mesh: &Mesh, load: &Load, service: usize) {
        let (model, work) = (&mesh.services[service], &self.work[service]);
        let instances = load.instances[service];
        let flow = &mut self.flows[service];
        if instances == 0 {
            flow.refused = 1.0;
            flow.pass = 0.0;
            flow.admitted_rps = 0.0;
            self.own[service] = work.moments;
            return;
        }
        let parts = f64::from(instances);
        let each = flow.requests_rps / parts;
        flow.throttled = model.rate_limit.map_or(0.0, |limit| {
            throttled(&limit, each, flow.dispersion_of(each))
        });
        let mut workers = Workers {
            per_instance: model.workers,
            holding_ms: work.mean_ms,
            service_cv2: work.cv2,
            arrival_cv2: 1.0,
            balancing: flow.balancing,
            caller_proxies: flow.proxies.equal(),
        };
        let places = model
            .max_concurrent_requests
            .saturating_add(model.max_pending_requests);
        let servers = model.workers.min(model.max_concurrent_requests).max(1);
        let unthrottled = flow.unthrottled_rps();
        if places < u32::MAX {
            let offered = unthrottled * work.mean_ms / 1000.0;
            let asked = workers.utilisation(instances, unthrottled);
            let arrival_cv2 = flow.arrival_cv2(&workers, instances, asked);
            let variability = 0.5 * (arrival_cv2 + work.cv2);
            let split = refused(servers, places, offered / parts, variability);
            if split > 0.0 {
                let share = workers.split_share(instances, unthrottled);
                let pooled = refused(
                    servers.saturating_mul(instances),
                    places.saturating_mul(instances),
                    offered,
                    variability,
                );
                flow.refused = share * split + (1.0 - share) * pooled;
            }
        }
        flow.pass = flow.passes();
        flow.admitted_rps = flow.requests_rps * flow.pass;
        let utilisation = workers.utilisation(instances, flow.admitted_rps);
        workers.arrival_cv2 = flow.arrival_cv2(&workers, instances, utilisation);
        let mut wait = Wait::of(&workers, instances, flow.admitted_rps);
        wait.mean_of_waiting_ms *= beyond_full(utilisation);
        if places < u32::MAX {
            // Nobody waits longer than a full queue takes.
            let queue = f64::from(places - servers.min(places));
            let longest = queue.max(1.0) * work.mean_ms / f64::from(servers);
            wait.mean_of_waiting_ms = wait.mean_of_waiting_ms.min(longest);
        }
        flow.wait = wait;
        let busy = utilisation.min(1.0);
        let through = (1.0 - busy * busy) * (workers.arrival_cv2 - 1.0);
        let served = busy * busy / f64::from(model.workers.max(1)).sqrt();
        flow.departure_cv2 = 1.0 + through + served * (work.cv2.max(0.2) - 1.0);
        self.own[service] = wait.moments().plus(work.moments);
    }

    /// Gives the calls of a service to its callees: those in the groups that `wanted` names.
    fn pass_on(
        &mut self,
        mesh: &Mesh,
        load: &Load,
        service: usize,
        wanted: impl Fn(usize) -> bool,
        note: bool,
    ) {
        let (model, instances) = (&mesh.services[service], load.instances[service]);
        let flow = self.flows[service];
        // No more goes on than the workers can do.
        let most = f64::from(model.workers.max(1)) * f64::from(instances) * 1000.0
            / self.work[service].mean_ms.max(1e-9);
        let done = flow.admitted_rps.min(most) * (1.0 - model.error_rate);
        // Requests that come to a stage: all calls of those before were answered.
        let (mut come, mut stage_answered, mut stage) = (done, 1.0, usize::MAX);
        for call in &self.calls.by_caller[service] {
            if call.sequential || call.stage != stage {
                come *= stage_answered;
                stage_answered = 1.0;
                stage = call.stage;
            }
            let edge = &mut self.edges[call.edge];
            stage_answered *= all_answered(edge.availability, call.fan_out);
            if !wanted(self.calls.group_of[call.callee]) {
                continue;
            }
            edge.calls_rps = come * call.fan_out;
            let rps = edge.calls_rps * edge.attempts;
            let callees = f64::from(load.instances[call.callee].max(1));
            let callee = &mut self.flows[call.callee];
            callee.requests_rps += rps;
            if note {
                callee.add(&Inflow {
                    rps,
                    proxies: instances,
                    departures: call.fan_out.min(1.0) / callees * (flow.departure_cv2 - 1.0),
                    together: if call.sequential {
                        0.0
                    } else {
                        (call.fan_out - 1.0).max(0.0) / callees
                    },
                    balancing: mesh.edges[call.edge].load_balancing,
                });
            }
        }
    }
}
