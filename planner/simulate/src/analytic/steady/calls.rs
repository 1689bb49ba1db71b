//! Up the calls: what each takes, whether it is answered, how often it is tried.

use super::{Load, answer::EdgeAnswer, flows::Flow, tried_again};
use crate::{
    Connections, Mesh, Outcome, RetryModel,
    analytic::{
        Call, Calls, GammaQuantile, Moments,
        calls::View,
        loss::{overflow, refused},
        queue::waiting,
    },
};

/// What is known of an edge so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct EdgeState {
    /// Calls a second that are made.
    pub calls_rps: f64,
    /// Attempts for each call.
    pub attempts: f64,
    /// Share of calls that are answered.
    pub availability: f64,
    pub cut_by_timeouts: f64,
    pub overflow: f64,
    /// Times of the calls that are answered.
    pub answered: Moments,
    pub p99_ms: f64,
}

impl Default for EdgeState {
    fn default() -> Self {
        Self {
            calls_rps: 0.0,
            attempts: 1.0,
            availability: 1.0,
            cut_by_timeouts: 0.0,
            overflow: 0.0,
            answered: Moments::default(),
            p99_ms: 0.0,
        }
    }
}

impl EdgeState {
    /// Where nothing but errors of the callee, of which this share is answered, decides.
    pub(super) fn expected(answered: f64, retries: &RetryModel) -> Self {
        let attempt = Attempt {
            answered,
            error: 1.0 - answered,
            timeout: 0.0,
        };
        let attempts = Attempts::of(&attempt, retries, 1.0);
        Self {
            attempts: attempts.made,
            availability: attempts.answered,
            ..Self::default()
        }
    }

    pub(super) fn answer(&self) -> EdgeAnswer {
        EdgeAnswer {
            calls_rps: self.calls_rps,
            attempts_per_call: self.attempts,
            availability: self.availability,
            cut_by_timeouts: self.cut_by_timeouts,
            overflow: self.overflow,
            latency_mean_ms: self.answered.mean,
            latency_p99_ms: self.p99_ms,
        }
    }
}

/// How one attempt ends.
#[derive(Debug, Clone, Copy)]
struct Attempt {
    /// Shares: answered, failed by the service, and ended by the attempt's own timeout; the rest was turned away.
    pub answered: f64,
    pub error: f64,
    pub timeout: f64,
}

/// Several attempts together.
#[derive(Debug, Clone, Copy)]
struct Attempts {
    /// Attempts for each call.
    pub made: f64,
    /// Share of calls that end answered, and by the timeout of their last attempt.
    pub answered: f64,
    pub timeout: f64,
    /// Chance that an attempt is followed by another.
    pub again: f64,
    pub most: u32,
}

impl Attempts {
    /// `granted`: the chance that the budget has room for another.
    fn of(attempt: &Attempt, retries: &RetryModel, granted: f64) -> Self {
        let wanted = |outcome, share: f64| {
            if tried_again(retries, outcome) {
                share
            } else {
                0.0
            }
        };
        let timeout_again = wanted(Outcome::AttemptTimeout, attempt.timeout);
        let again = granted * (wanted(Outcome::Error, attempt.error) + timeout_again);
        let most = if again > 0.0 { retries.attempts } else { 0 };
        let last = again.powi(most.min(1000) as i32);
        // Attempts that may be followed by another, and all of them.
        let before = if again < 1.0 {
            (1.0 - last) / (1.0 - again)
        } else {
            f64::from(most)
        };
        let made = before + last;
        let given_up = attempt.timeout - granted * timeout_again;
        Self {
            made,
            answered: attempt.answered * made,
            timeout: before * given_up + last * attempt.timeout,
            again,
            most,
        }
    }

    /// The time of an answered call: its answered attempt after each number of failed ones, with the waits between.
    fn time(&self, answered: Moments, failed: Moments, base_backoff_ms: f64) -> Moments {
        if self.most == 0 || self.again < 1e-12 {
            return answered;
        }
        let (mut chance, mut all) = (1.0, 0.0);
        let mut powers = [0.0; 3];
        let mut time = answered;
        for n in 0..=self.most {
            let (m, v) = (time.mean, time.variance);
            powers[0] += chance * m;
            powers[1] += chance * (v + m * m);
            powers[2] += chance * (time.third + 3.0 * m * v + m * m * m);
            all += chance;
            chance *= self.again;
            if chance < 1e-9 {
                break;
            }
            let most = RetryModel::most_wait(n + 1) * base_backoff_ms;
            time = time.plus(failed).plus(Moments {
                mean: 0.5 * most,
                variance: most * most / 12.0,
                third: 0.0,
            });
        }
        Moments::from_powers(powers[0] / all, powers[1] / all, powers[2] / all)
    }
}

/// The chance that all of a request's calls on an edge are answered.
pub(super) fn all_answered(availability: f64, calls: f64) -> f64 {
    let whole = calls.floor();
    let more = 1.0 - (calls - whole) * (1.0 - availability);
    if whole == 0.0 {
        more
    } else {
        availability.powi(whole.min(1e6) as i32) * more
    }
}

pub(super) struct Upward<'a> {
    pub mesh: &'a Mesh,
    pub load: &'a Load,
    pub calls: &'a Calls,
    pub own: &'a [Moments],
    pub flows: &'a mut [Flow],
    pub edges: &'a mut [EdgeState],
    pub p99: &'a GammaQuantile,
    /// The most that anything moved which the way down depends on.
    pub moved: f64,
    /// Share of the new value that is taken, once rounds go back and forth.
    pub damping: f64,
}

impl Upward<'_> {
    /// What is seen of a call that takes the callee so long.
    pub(super) fn edge(&mut self, at: usize, callee: usize, inside: Moments) -> Moments {
        let (model, before) = (&self.mesh.edges[at], self.edges[at]);
        let flow = &self.flows[callee];
        let way = Moments {
            mean: self.mesh.way_ms(at, self.load.instances[callee]),
            ..Moments::default()
        };
        let (late, in_time) = match model.per_try_timeout_ms {
            Some(limit) => inside.plus(way).cut(limit),
            None => (0.0, inside.plus(way)),
        };
        let attempt = Attempt {
            answered: flow.pass * flow.answered * (1.0 - late),
            error: flow.pass * (1.0 - flow.answered),
            timeout: flow.pass * flow.answered * late,
        };
        let proxies = self.proxies(at);
        // Mean of the calls and second attempts that one proxy has in flight.
        let stay_ms = if late > 0.0 {
            let limit = model.per_try_timeout_ms.unwrap_or(0.0);
            in_time.mean + late * (limit - in_time.mean)
        } else {
            in_time.mean
        };
        let stay_ms = stay_ms.min(model.timeout_ms.unwrap_or(f64::INFINITY));
        let each = before.calls_rps / proxies * stay_ms / 1000.0;
        let granted = granted(model, &attempt, each);
        let attempts = Attempts::of(&attempt, &model.retries, granted);
        let limits = &model.limits;
        let mut turned_away = overflow(
            limits.max_concurrent_requests,
            each * attempts.made,
            flow.dispersion_of(each),
        );
        if let Connections::OneRequest { .. } = model.connections {
            let places = limits
                .max_connections
                .saturating_add(limits.max_pending_requests);
            turned_away = turned_away.max(refused(
                limits.max_connections,
                places,
                each * attempts.made,
                1.0,
            ));
        }
        let failed = self
            .failed(callee, inside, &attempt, model.per_try_timeout_ms)
            .plus(way);
        let time = attempts.time(in_time, failed, model.retries.base_backoff_ms);
        let (cut, answered) = match model.timeout_ms {
            Some(limit) => time.cut(limit),
            None => (0.0, time),
        };
        let sent = 1.0 - turned_away;
        let now = EdgeState {
            calls_rps: before.calls_rps,
            attempts: sent * attempts.made,
            availability: sent * attempts.answered * (1.0 - cut),
            cut_by_timeouts: sent * (attempts.timeout + attempts.answered * cut),
            overflow: turned_away,
            answered,
            p99_ms: self
                .p99
                .of(time)
                .min(model.timeout_ms.unwrap_or(f64::INFINITY)),
        };
        let damped = |old: f64, new: f64| old + self.damping * (new - old);
        self.moved = self
            .moved
            .max((now.attempts - before.attempts).abs())
            .max((now.availability - before.availability).abs());
        self.edges[at] = EdgeState {
            attempts: damped(before.attempts, now.attempts),
            availability: damped(before.availability, now.availability),
            ..now
        };
        now.answered
    }

    /// Proxies of the caller.
    fn proxies(&self, edge: usize) -> f64 {
        let model = &self.mesh.edges[edge];
        let proxies = match model.caller {
            Some(caller) => self.load.instances.get(caller).copied().unwrap_or(1),
            None => model.gateway_proxies,
        };
        f64::from(proxies.max(1))
    }

    /// The time of an attempt that fails: cut at its timeout, after the callee's own work, or somewhere among its calls.
    fn failed(
        &self,
        callee: usize,
        inside: Moments,
        attempt: &Attempt,
        per_try_timeout_ms: Option<f64>,
    ) -> Moments {
        let all = attempt.error + attempt.timeout;
        if all <= 0.0 {
            return Moments::default();
        }
        let own = self.own[callee];
        let own_errors = self.mesh.services[callee].error_rate;
        let below = 1.0
            - own_errors
                / (1.0 - self.flows[callee].answered)
                    .max(own_errors)
                    .max(1e-12);
        // Half of what the calls take, where one of them failed.
        let among = 0.5 * below.clamp(0.0, 1.0);
        let error_ms = own.mean + among * (inside.mean - own.mean).max(0.0);
        let late_ms = per_try_timeout_ms.unwrap_or(0.0);
        let late = attempt.timeout / all;
        let mean = (1.0 - late) * error_ms + late * late_ms;
        let variance = (1.0 - late) * own.variance
            + late * (1.0 - late) * (late_ms - error_ms) * (late_ms - error_ms);
        Moments {
            mean,
            variance,
            third: (1.0 - late) * own.third,
        }
    }
}

/// The chance that the retry budget of one proxy has room.
fn granted(model: &crate::EdgeModel, attempt: &Attempt, in_flight: f64) -> f64 {
    let retries = &model.retries;
    let again = attempt.error + attempt.timeout;
    if retries.attempts == 0 || again <= 0.0 {
        return 1.0;
    }
    let most = match retries.budget_percent {
        Some(percent) => ((in_flight * percent / 100.0) as u32).max(retries.budget_min_concurrent),
        None => model.limits.max_concurrent_retries,
    };
    1.0 - overflow(most, in_flight * again, 1.0)
}

impl View for Upward<'_> {
    fn call(&mut self, call: &Call, callee: Moments) -> Moments {
        self.edge(call.edge, call.callee, callee)
    }

    fn service(&mut self, service: usize, whole: Moments) -> Moments {
        let model = &self.mesh.services[service];
        let mut answered = 1.0 - model.error_rate;
        for call in &self.calls.by_caller[service] {
            answered *= all_answered(self.edges[call.edge].availability, call.fan_out);
        }
        let instances = self.load.instances[service].max(1);
        let flow = &mut self.flows[service];
        // Who finds every place inside taken waits at the proxy, or is refused on the next way down.
        // The wait for a worker is no part of it: that queue is counted on the way down.
        let held_ms = (whole.mean - flow.wait_ms()).max(0.0);
        let busy = flow.admitted_rps / f64::from(instances) * held_ms / 1000.0;
        let places = model.max_concurrent_requests.max(1);
        let mut inside = whole;
        if f64::from(places) < busy + 10.0 * busy.sqrt() + 20.0 {
            let longest = f64::from(model.max_pending_requests) * held_ms / f64::from(places);
            inside = inside.plus(waiting(places, busy, held_ms, longest));
        }
        let asked = flow.unthrottled_rps() / f64::from(instances) * held_ms / 1000.0;
        let all = places.saturating_add(model.max_pending_requests);
        let turned_away = refused(places, all, asked, 1.0);
        self.moved = self
            .moved
            .max((answered - flow.answered).abs())
            .max((turned_away - flow.places_refused).abs());
        flow.places_refused += self.damping * (turned_away - flow.places_refused);
        flow.pass = if self.load.instances[service] > 0 {
            flow.passes()
        } else {
            0.0
        };
        flow.answered = answered;
        flow.inside_ms = whole.mean;
        inside
    }
}
