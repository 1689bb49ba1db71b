//! What may be turned about a plan's services so that they bear faults better, and how far.
//!
//! Every knob stands at 0 as it is planned and moves in whole steps. Steps that break an invariant of [`crate::guards`] alone are never allowed, and timeouts
//! are kept inside those of the callers; what only several knobs break together is refused where plans are refined ([`super::Drill::keeps_guards`]).

use std::collections::BTreeMap;

use foremesh_model::{EdgeSettings, LoadBalancing, ServiceName, ServiceSettings, Settings};

use rayon::prelude::*;

use crate::{
    calls::longest_backoff_ms,
    ground::Ground,
    guards::{budgets_ms, check},
    limits::FEWEST_ERRORS,
};

/// What may be turned about a service and the calls to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Knob {
    /// How callers choose an instance: 1 in turn in place of the fewest requests in flight, or the other way round.
    Balancing,
    /// Connections that callers open ahead: half as many again a step.
    Preconnect,
    /// Attempts after the first: one less or one more a step, none where there were none.
    Retries,
    /// Timeouts of calls to it: 0.7 or 1.4 times as long a step, inside those of the callers.
    Timeouts,
    /// How soon an instance that fails is taken out: 1 after as few errors in a row as are no accident, looked at each second. Never is no choice: Istio takes
    /// 0% for its default of 10.
    Ejection,
    /// Requests that an instance works on at once: half or twice as many a step.
    Concurrency,
    /// Requests that wait at an instance: a quarter or four times as many a step.
    Pending,
    /// What a caller's proxy holds open towards it: half or twice as much a step.
    CallerLimits,
    /// Requests a second that an instance admits, and how many at once: 0.85 or 1.2 times as many a step.
    RateLimit,
    /// Instances that stand by: a tenth of those there are more a step, at least one.
    Standby,
}

/// Knobs of a service.
pub const KNOBS: usize = 10;

/// Where the knobs of a service stand.
pub type Steps = [i8; KNOBS];

/// Which steps of a service's knobs may be taken: the lowest and the highest.
pub type Range = [[i8; 2]; KNOBS];

/// Who turns a knob where several learn together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Agent {
    /// Where requests go.
    Traffic,
    /// What is done with those that fail or take long.
    Resilience,
    /// What there is to work on them, and how many it is given.
    Resources,
}

impl Knob {
    /// All of them, in the order of [`Steps`].
    pub const ALL: [Self; KNOBS] = [
        Self::Balancing,
        Self::Preconnect,
        Self::Retries,
        Self::Timeouts,
        Self::Ejection,
        Self::Concurrency,
        Self::Pending,
        Self::CallerLimits,
        Self::RateLimit,
        Self::Standby,
    ];

    /// Who turns it.
    #[must_use]
    pub fn agent(self) -> Agent {
        match self {
            Self::Balancing | Self::Preconnect => Agent::Traffic,
            Self::Retries
            | Self::Timeouts
            | Self::Ejection
            | Self::Concurrency
            | Self::Pending
            | Self::CallerLimits => Agent::Resilience,
            Self::RateLimit | Self::Standby => Agent::Resources,
        }
    }

    /// What it is called in tables.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Balancing => "balancing",
            Self::Preconnect => "preconnect",
            Self::Retries => "retries",
            Self::Timeouts => "timeouts",
            Self::Ejection => "ejection",
            Self::Concurrency => "concurrency",
            Self::Pending => "pending",
            Self::CallerLimits => "caller limits",
            Self::RateLimit => "rate limit",
            Self::Standby => "standby",
        }
    }

    /// How far it goes where nothing forbids.
    fn reach(self) -> [i8; 2] {
        match self {
            Self::Balancing | Self::Ejection => [0, 1],
            Self::Preconnect | Self::Standby => [0, 2],
            _ => [-2, 2],
        }
    }
}

fn times(value: u32, factor: f64) -> u32 {
    (f64::from(value) * factor).round().clamp(1.0, 4e9) as u32
}

fn power(base: f64, steps: i8) -> f64 {
    base.powi(i32::from(steps))
}

fn turn_service(service: &mut ServiceSettings, steps: &Steps, most: u32) {
    for (knob, step) in Knob::ALL.into_iter().zip(*steps) {
        if step == 0 {
            continue;
        }
        match knob {
            Knob::Balancing => {
                service.load_balancing = match service.load_balancing {
                    LoadBalancing::LeastRequest => LoadBalancing::RoundRobin,
                    LoadBalancing::RoundRobin | LoadBalancing::Random => {
                        LoadBalancing::LeastRequest
                    }
                    // A key's requests belong to one instance.
                    hashed => hashed,
                };
            }
            Knob::Preconnect => {
                service.preconnect_ratio =
                    (service.preconnect_ratio + 0.5 * f64::from(step)).min(3.0);
            }
            Knob::Ejection => {
                let errors = &mut service.outlier_ejection.consecutive_errors;
                *errors = FEWEST_ERRORS.min(*errors);
                service.outlier_ejection.interval_s = 1;
            }
            Knob::Concurrency => {
                service.max_concurrent_requests =
                    times(service.max_concurrent_requests, power(2.0, step));
            }
            Knob::Pending => {
                service.max_pending_requests =
                    times(service.max_pending_requests, power(4.0, step));
            }
            Knob::RateLimit => {
                let factor = match step < 0 {
                    true => power(0.85, -step),
                    false => power(1.2, step),
                };
                service.rate_limit.requests_per_second *= factor;
                service.rate_limit.burst = times(service.rate_limit.burst, factor);
            }
            Knob::Standby => {
                let there = service.most_instances();
                let more = (f64::from(there) * 0.1 * f64::from(step)).round() as u32;
                let more = more.max(step.unsigned_abs().into());
                service.standby_instances += more.min(most.saturating_sub(there));
            }
            Knob::Retries | Knob::Timeouts | Knob::CallerLimits => {}
        }
    }
}

/// Shortens a call and its attempts until they fit; attempts that do not are not made.
fn fit(edge: &mut EdgeSettings, budget_ms: u32) {
    edge.timeout_ms = edge.timeout_ms.min(budget_ms).max(1);
    let room = |attempts: u32, base: u32, timeout: u32| {
        u64::from(timeout).saturating_sub(longest_backoff_ms(attempts, base))
            / (u64::from(attempts) + 1)
    };
    let retries = &mut edge.retries;
    while retries.attempts > 0
        && room(retries.attempts, retries.base_backoff_ms, edge.timeout_ms) < 1
    {
        retries.attempts -= 1;
    }
    let room = room(retries.attempts, retries.base_backoff_ms, edge.timeout_ms);
    edge.per_try_timeout_ms = u64::from(edge.per_try_timeout_ms).min(room).max(1) as u32;
}

fn turn_edge(edge: &mut EdgeSettings, steps: &Steps) {
    for (knob, step) in Knob::ALL.into_iter().zip(*steps) {
        match knob {
            Knob::Retries if edge.retries.attempts > 0 => {
                let attempts = i64::from(edge.retries.attempts) + i64::from(step);
                edge.retries.attempts = attempts.max(0) as u32;
            }
            Knob::Timeouts => {
                let factor = match step < 0 {
                    true => power(0.7, -step),
                    false => power(1.4, step),
                };
                edge.timeout_ms = times(edge.timeout_ms, factor);
                edge.per_try_timeout_ms = times(edge.per_try_timeout_ms, factor);
            }
            Knob::CallerLimits => turn_limits(&mut edge.caller_limits, step),
            _ => {}
        }
    }
}

fn turn_limits(limits: &mut foremesh_model::CallerLimits, step: i8) {
    for limit in [
        &mut limits.max_connections,
        &mut limits.max_pending_requests,
        &mut limits.max_concurrent_requests,
    ] {
        *limit = times(*limit, power(2.0, step));
    }
}

/// The settings with every knob where it stands; `steps` by service of the graph.
pub(super) fn turned(ground: &Ground<'_>, planned: &Settings, steps: &[Steps]) -> Settings {
    let mut settings = planned.clone();
    let places: BTreeMap<&ServiceName, usize> = (0..ground.services.len())
        .map(|s| (ground.name(s), s))
        .collect();
    for (name, service) in &mut settings.services {
        let s = places[name];
        turn_service(service, &steps[s], ground.stations[s].max_instances);
    }
    let limits = Knob::ALL.iter().position(|k| *k == Knob::CallerLimits);
    for (name, entry) in &mut settings.entries {
        let step = limits.map_or(0, |at| steps[places[name]][at]);
        turn_limits(&mut entry.gateway_limits, step);
    }
    // Callers first: a call ends inside the attempt that it serves.
    let mut order: Vec<(usize, foremesh_model::EdgeName)> = settings
        .edges
        .keys()
        .map(|name| {
            let caller = places[name.caller()];
            (ground.calls.group_of[caller], name.clone())
        })
        .collect();
    order.sort();
    let stands = |s: usize| steps[s] != [0; KNOBS];
    let proxies: BTreeMap<ServiceName, u32> = settings
        .services
        .iter()
        .map(|(name, service)| (name.clone(), service.most_instances()))
        .collect();
    for (_, name) in &order {
        let (caller, callee) = (places[name.caller()], places[name.callee()]);
        let Some(edge) = settings.edges.get_mut(name) else {
            continue;
        };
        if stands(callee) {
            turn_edge(edge, &steps[callee]);
        }
        if stands(caller) {
            let most = &mut edge.caller_limits.most_caller_proxies;
            *most = (*most).max(proxies[name.caller()]);
        }
    }
    for (name, connection) in &mut settings.connections {
        let most = &mut connection.most_caller_proxies;
        *most = (*most).max(proxies.get(name.caller()).copied().unwrap_or(0));
    }
    // A call that was shortened leaves less to those behind it; in a circle one may stand before those that were fitted already.
    loop {
        let mut shortened = false;
        let mut budgets: BTreeMap<ServiceName, u32> = budgets_ms(&settings)
            .into_iter()
            .map(|(name, (budget, _))| (name.clone(), budget))
            .collect();
        for (_, name) in &order {
            let budget = budgets.get(name.caller()).copied().unwrap_or(u32::MAX);
            if let Some(edge) = settings.edges.get_mut(name) {
                let before = edge.clone();
                fit(edge, budget);
                if *edge != before {
                    shortened = true;
                    if let Some(least) = budgets.get_mut(name.callee()) {
                        *least = (*least).min(edge.per_try_timeout_ms);
                    }
                }
            }
        }
        if !shortened {
            break;
        }
    }
    settings
}

/// How far each knob goes, by service: as far as every step alone changes something and breaks no invariant.
pub(super) fn ranges(ground: &Ground<'_>, planned: &Settings) -> Vec<Range> {
    let nothing = vec![[0; KNOBS]; ground.services.len()];
    let unbroken = check(planned);
    let as_planned = turned(ground, planned, &nothing);
    let scaled = planned.services.values().any(|s| s.autoscaling.is_some());
    (0..ground.services.len())
        .into_par_iter()
        .map(|s| {
            let mut range = [[0; 2]; KNOBS];
            if !ground.reached[s] || !planned.services.contains_key(ground.name(s)) {
                return range;
            }
            for (k, knob) in Knob::ALL.into_iter().enumerate() {
                // What stands by is there before an autoscaler asks for it, and changes nothing afterwards; what such a plan costs is expected, not set.
                if knob == Knob::Standby && scaled {
                    continue;
                }
                for (end, last) in knob.reach().into_iter().enumerate() {
                    let mut before = as_planned.clone();
                    for far in 1..=last.abs() {
                        let step = far * last.signum();
                        let mut steps = nothing.clone();
                        steps[s][k] = step;
                        let settings = turned(ground, planned, &steps);
                        if settings == before || check(&settings) != unbroken {
                            break;
                        }
                        range[k][end] = step;
                        before = settings;
                    }
                }
            }
            range
        })
        .collect()
}
