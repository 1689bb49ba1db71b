//! Timeouts and retries of every edge.
//!
//! A call must end before its caller gives up: the budget of a service is the shortest time that any of its callers leaves
//! one attempt, and each of its own calls may last as long as fits in that budget less its own work while its other calls take their
//! usual time. A timeout is for runaways, of which there is one at a time: were all calls to fit at their longest, each would be given
//! so little that its ordinary tail is cut, which spends the error budget that timeouts should protect.

mod retries;

use foremesh_model::{quantise, quantise_up};
use foremesh_simulate::{
    RetryModel,
    analytic::{Call, GammaQuantile, Moments},
};

use crate::ground::Ground;
pub use retries::MOST_AMPLIFICATION;
pub(crate) use retries::{RETRY_BUDGET_MIN_CONCURRENT, RETRY_BUDGET_PERCENT};
use retries::{Retry, grant_retries};

/// What a call is allowed above the latency that nearly all calls keep.
const TIMEOUT_MARGIN: f64 = 1.5;
/// What a call is allowed above its 99th percentile at least, where its caller has that time at all: a timeout is for runaways, and one
/// that is nearer cuts the ordinary tail.
pub(crate) const LEAST_MARGIN_OVER_P99: f64 = 1.5;

/// What is decided for one edge.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CallPlan {
    pub timeout_ms: u32,
    pub per_try_timeout_ms: u32,
    pub attempts: u32,
    pub base_backoff_ms: u32,
    /// Milliseconds that the caller itself has.
    pub caller_budget_ms: f64,
    /// What one attempt would be given if its caller had all the time.
    pub wanted_ms: f64,
    /// The callee's latency at the level that timeouts are made for.
    pub usual_ms: f64,
    /// What second attempts below the callee may add to a call.
    pub retrying_ms: f64,
    /// The callee's 99th percentile.
    pub p99_ms: f64,
    /// Why there is no retry, or that there is one.
    pub retry_cause: &'static str,
}

pub(crate) struct CallPlans {
    pub edges: Vec<CallPlan>,
    /// By entry, in the order of [`Ground::entries`].
    pub entry_timeout_ms: Vec<u32>,
    /// Level of the latency that timeouts are made for.
    pub level: f64,
    /// Callers whose calls, each at its timeout, exceed the caller's own budget.
    pub crowded: Vec<usize>,
}

/// Milliseconds of backoff before all retries together, at their longest ([`RetryModel::most_wait`]).
pub(crate) fn longest_backoff_ms(attempts: u32, base_ms: u32) -> u64 {
    let waits = (1..=attempts.min(64)).map(|n| f64::from(base_ms) * RetryModel::most_wait(n));
    waits.sum::<f64>().ceil() as u64
}

/// Rounded down to three digits of which the last is a 0 or a 5, below 100 to whole milliseconds, at least 1. Finer than what is rounded up: each call of a chain is rounded down inside the one
/// above, and steps of a tenth would leave the last of six half of its time.
pub(crate) fn round_ms_down(value: f64) -> u32 {
    let value = value.clamp(1.0, 3.6e6);
    let step = (5.0 * 10f64.powf(value.log10().floor() - 2.0)).max(1.0);
    ((value / step).floor() * step).max(1.0) as u32
}

pub(crate) fn round_ms_up(value: f64) -> u32 {
    quantise_up(value.clamp(1.0, 3.6e6)).ceil() as u32
}

/// Plans every edge from the worst latency of each service.
pub(crate) fn plan_calls(ground: &Ground<'_>, worst: &[Moments]) -> CallPlans {
    let strictest = ground
        .entries
        .iter()
        .map(|e| e.slo.availability)
        .fold(0.99, f64::max);
    let level = (1.0 - (1.0 - strictest) / 10.0).clamp(0.999, 0.999_99);
    let quantile = GammaQuantile::at(level);
    let latency = Latency {
        worst,
        needed_ms: needed_ms(ground, worst, &quantile),
        least_ms: Vec::new(),
        quantile,
        p99: GammaQuantile::at(0.99),
    };
    let latency = Latency {
        least_ms: least_ms(ground, &latency),
        ..latency
    };
    let entry_timeout_ms: Vec<u32> = ground
        .entries
        .iter()
        .map(|e| {
            let usual = 1.2 * latency.quantile.of(worst[e.node]);
            let rare = latency.needed_ms[e.node];
            let chain = latency.least_ms[e.node];
            round_ms_up((2.0 * e.slo.latency_ms).max(usual).max(rare).max(chain))
        })
        .collect();
    let mut retries = grant_retries(ground);
    // A second attempt that finds no time is given up, and the calls above need no time for it any more. Each round gives up at
    // least one.
    let (edges, crowded) = loop {
        let (edges, crowded) = plan_with(ground, &latency, &retries, &entry_timeout_ms);
        let mut given_up = false;
        for (retry, plan) in retries.iter_mut().zip(&edges) {
            if retry.granted && plan.as_ref().is_some_and(|plan| plan.attempts == 0) {
                *retry = Retry {
                    granted: false,
                    cause: "no_time_for_a_second_attempt",
                };
                given_up = true;
            }
        }
        if !given_up {
            break (edges, crowded);
        }
    };
    CallPlans {
        edges: edges
            .into_iter()
            .map(|plan| {
                plan.unwrap_or(CallPlan {
                    timeout_ms: 1000,
                    per_try_timeout_ms: 1000,
                    attempts: 0,
                    base_backoff_ms: 0,
                    caller_budget_ms: 1000.0,
                    wanted_ms: 0.0,
                    usual_ms: 0.0,
                    retrying_ms: 0.0,
                    p99_ms: 0.0,
                    retry_cause: "no caller",
                })
            })
            .collect(),
        entry_timeout_ms,
        level,
        crowded,
    }
}

/// Plans every edge with these retries; answers also the callers whose calls do not fit one after the other.
fn plan_with(
    ground: &Ground<'_>,
    latency: &Latency<'_>,
    retries: &[Retry],
    entry_timeout_ms: &[u32],
) -> (Vec<Option<CallPlan>>, Vec<usize>) {
    let worst = latency.worst;
    let quantile = &latency.quantile;
    let retrying_ms = retrying_ms(ground, latency, retries);
    let n = ground.services.len();
    // Milliseconds that a service has, the shortest of all who call it.
    let mut budget = vec![f64::INFINITY; n];
    for (entry, timeout) in ground.entries.iter().zip(entry_timeout_ms) {
        budget[entry.node] = budget[entry.node].min(f64::from(*timeout));
    }
    let mut edges: Vec<Option<CallPlan>> = vec![None; ground.edges.len()];
    let mut crowded = Vec::new();
    for (members, circle) in &ground.calls.groups {
        let mut shortest = members
            .iter()
            .map(|m| budget[*m])
            .fold(f64::INFINITY, f64::min);
        if !shortest.is_finite() {
            // No request is known to come here; what the service itself may take sets the frame.
            shortest = members
                .iter()
                .map(|m| f64::from(round_ms_up((2.0 * quantile.of(worst[*m])).max(1000.0))))
                .fold(1.0, f64::max);
        }
        if *circle {
            shortest = f64::from(round_ms_down(shortest));
        }
        for caller in members {
            let own_budget = if *circle {
                shortest
            } else {
                budget[*caller].min(shortest)
            };
            let over = plan_caller(
                ground,
                *caller,
                own_budget,
                *circle,
                latency,
                retries,
                &retrying_ms,
                &mut edges,
            );
            if over {
                crowded.push(*caller);
            }
            for call in &ground.calls.by_caller[*caller] {
                // No timeout ends a call to what keeps state; what it calls itself serves its caller all the same.
                let left = edges[call.edge]
                    .as_ref()
                    .map_or(own_budget, |plan| f64::from(plan.per_try_timeout_ms));
                budget[call.callee] = budget[call.callee].min(left);
            }
        }
    }
    (edges, crowded)
}

/// The worst latency of each service, and the levels at which it is looked at.
struct Latency<'a> {
    worst: &'a [Moments],
    /// See [`needed_ms`].
    needed_ms: Vec<f64>,
    /// See [`least_ms`].
    least_ms: Vec<f64>,
    /// The level that timeouts are made for.
    quantile: GammaQuantile,
    p99: GammaQuantile,
}

/// What each service takes when its slowest call takes as long as that one may, in milliseconds: at least its own latency at the level of
/// timeouts, and more where a call is so rare that this level does not see it. Whoever calls it must leave it that much, or the rare call
/// would always be cut.
fn needed_ms(ground: &Ground<'_>, worst: &[Moments], quantile: &GammaQuantile) -> Vec<f64> {
    let usual = worst.iter().map(|moments| quantile.of(*moments)).collect();
    with_slowest_call(ground, worst, usual)
}

/// Milliseconds below which a call to each service is cut more often than the error budget has room for, by its own timeout or by that of any call of
/// the chain below: every timeout on the way down leaves less than the one above.
fn least_ms(ground: &Ground<'_>, latency: &Latency<'_>) -> Vec<f64> {
    let own = latency.worst.iter().map(|moments| {
        let tail_ms = LEAST_MARGIN_OVER_P99 * latency.p99.of(*moments);
        latency.quantile.of(*moments).max(tail_ms)
    });
    with_slowest_call(ground, latency.worst, own.collect())
}

/// Of each service at least `needed` milliseconds, and as many as it takes when one of its calls takes what the called service needs, while the others
/// take their usual time. Services that call each other in a circle share one budget, the shortest that anybody leaves any of them: each
/// needs what the slowest of them takes.
fn with_slowest_call(ground: &Ground<'_>, worst: &[Moments], mut needed: Vec<f64>) -> Vec<f64> {
    for (members, circle) in ground.calls.groups.iter().rev() {
        let with_slowest = |member: usize| {
            let calls = &ground.calls.by_caller[member];
            let usual = |call: &Call| call.fan_out * worst[call.callee].mean;
            let in_turn: f64 = calls.iter().filter(|call| call.sequential).map(usual).sum();
            let outside = calls
                .iter()
                .filter(|call| !(*circle && members.contains(&call.callee)));
            let longest = outside.map(|call| {
                let own = if call.sequential { usual(call) } else { 0.0 };
                needed[call.callee] + in_turn - own
            });
            longest
                .map(|ms| ms + ground.stations[member].service_ms + ground.way_ms[member])
                .fold(needed[member], f64::max)
        };
        let of_members: Vec<f64> = members.iter().map(|member| with_slowest(*member)).collect();
        let slowest = of_members.iter().copied().fold(0.0, f64::max);
        for (member, own) in members.iter().zip(of_members) {
            needed[*member] = if *circle { slowest } else { own };
        }
    }
    needed
}

/// What a call would be given if its caller had all the time.
struct Wish {
    /// Milliseconds that nearly all calls take.
    usual: f64,
    /// Milliseconds for one attempt.
    wanted: f64,
    /// Milliseconds below which an attempt cuts more of the ordinary tail than the error budget has room for.
    least: f64,
    backoff_ms: u32,
    attempts: u32,
}

impl Wish {
    fn of(
        ground: &Ground<'_>,
        call: &Call,
        latency: &Latency<'_>,
        retries: &[Retry],
        retrying_ms: &[f64],
    ) -> Self {
        let callee = latency.worst[call.callee];
        let observed = ground.edges[call.edge].latency_p99_ms.unwrap_or(0.0);
        let attempts = u32::from(retries[call.edge].granted);
        let p99 = latency.p99.of(callee);
        // Where callers were seen to wait longer than the plan's distribution says, its tail is taken to be longer by as much.
        let longer = if p99 > 0.0 {
            (observed / p99).max(1.0)
        } else {
            1.0
        };
        let usual = (latency.quantile.of(callee) * longer)
            .max(observed)
            .max(1.0);
        Self {
            usual,
            wanted: TIMEOUT_MARGIN * usual.max(latency.needed_ms[call.callee])
                + retrying_ms[call.callee],
            least: usual
                .max(LEAST_MARGIN_OVER_P99 * p99.max(observed))
                .max(latency.least_ms[call.callee]),
            backoff_ms: if attempts > 0 {
                quantise(callee.mean.clamp(5.0, 250.0)).round() as u32
            } else {
                0
            },
            attempts,
        }
    }

    /// Milliseconds that one attempt has of `whole_ms`.
    fn per_try(&self, whole_ms: f64) -> f64 {
        let backoff = longest_backoff_ms(self.attempts, self.backoff_ms) as f64;
        (whole_ms - backoff) / f64::from(self.attempts + 1)
    }

    /// The whole as an engineer would write it, or what is allowed where that is less.
    fn within(&self, allowed_ms: f64) -> u32 {
        let whole = round_ms_up(self.whole());
        if f64::from(whole) > allowed_ms {
            round_ms_down(allowed_ms)
        } else {
            whole
        }
    }

    fn give_up_retries(&mut self) {
        self.attempts = 0;
        self.backoff_ms = 0;
    }

    /// Milliseconds of all attempts and the waits between them.
    fn whole(&self) -> f64 {
        f64::from(self.attempts + 1) * self.wanted
            + longest_backoff_ms(self.attempts, self.backoff_ms) as f64
    }
}

/// Milliseconds that a call of each service may last longer because calls below it are tried again: without them the
/// timeout of the call above would end the second attempt below.
fn retrying_ms(ground: &Ground<'_>, latency: &Latency<'_>, retries: &[Retry]) -> Vec<f64> {
    let mut retrying_ms = vec![0.0; ground.services.len()];
    for (members, circle) in ground.calls.groups.iter().rev() {
        // Calls in a circle share one budget.
        for member in members.iter().filter(|_| !circle) {
            let (mut added, mut beside) = (0.0, 0.0f64);
            for call in &ground.calls.by_caller[*member] {
                let wish = Wish::of(ground, call, latency, retries, &retrying_ms);
                let longer = wish.whole() - wish.wanted + retrying_ms[call.callee];
                if call.sequential {
                    added += call.fan_out.ceil().max(1.0) * longer;
                } else {
                    beside = beside.max(longer);
                }
            }
            retrying_ms[*member] = added + beside;
        }
    }
    retrying_ms
}

/// Plans the calls of one service; answers whether they do not fit one after the other.
#[allow(clippy::too_many_arguments)]
fn plan_caller(
    ground: &Ground<'_>,
    caller: usize,
    budget_ms: f64,
    circle: bool,
    latency: &Latency<'_>,
    retries: &[Retry],
    retrying_ms: &[f64],
    edges: &mut [Option<CallPlan>],
) -> bool {
    let worst = latency.worst;
    let all_calls = &ground.calls.by_caller[caller];
    // Nothing bounds a call to what keeps state: it takes its usual time beside the others.
    let calls: &Vec<Call> = &all_calls
        .iter()
        .filter(|call| !ground.stations[call.callee].stateful)
        .copied()
        .collect();
    let own_ms = ground.stations[caller].service_ms + ground.way_ms[caller];
    let room = (budget_ms - own_ms).max(0.5 * budget_ms);
    let mut wishes: Vec<Wish> = calls
        .iter()
        .map(|call| Wish::of(ground, call, latency, retries, retrying_ms))
        .collect();
    let usual: f64 = all_calls
        .iter()
        .filter(|call| call.sequential)
        .map(|call| call.fan_out * worst[call.callee].mean)
        .sum();
    // While this call takes its longest, the others take their usual time.
    let alone = |call: &Call| {
        let others = if call.sequential {
            (usual - worst[call.callee].mean * call.fan_out.min(1.0)).max(0.0)
        } else {
            usual
        };
        (room - others).max(0.5 * room)
    };
    // A second attempt that leaves both less than the ordinary tail takes is given up.
    for (call, wish) in calls.iter().zip(&mut wishes) {
        if wish.attempts > 0 && wish.per_try(f64::from(wish.within(alone(call)))) < wish.least {
            wish.give_up_retries();
        }
    }
    let (mut added, mut beside) = (0.0, 0.0f64);
    for (call, wish) in calls.iter().zip(&wishes) {
        let same_circle =
            circle && ground.calls.group_of[call.callee] == ground.calls.group_of[caller];
        let mut plan = CallPlan {
            timeout_ms: 1,
            per_try_timeout_ms: 1,
            attempts: wish.attempts,
            base_backoff_ms: wish.backoff_ms,
            caller_budget_ms: budget_ms,
            wanted_ms: wish.wanted,
            usual_ms: wish.usual,
            retrying_ms: retrying_ms[call.callee],
            p99_ms: latency.p99.of(worst[call.callee]),
            retry_cause: retries[call.edge].cause,
        };
        if same_circle {
            plan.timeout_ms = (budget_ms as u32).max(1);
            plan.per_try_timeout_ms = plan.timeout_ms;
            plan.attempts = 0;
            plan.base_backoff_ms = 0;
            added += f64::from(plan.timeout_ms);
            edges[call.edge] = Some(plan);
            continue;
        }
        let timeout = wish.within(alone(call));
        plan.per_try_timeout_ms = if plan.attempts > 0 {
            round_ms_down(wish.per_try(f64::from(timeout)))
        } else {
            timeout
        };
        if plan.attempts == 0 && retries[call.edge].granted {
            plan.retry_cause = "no_time_for_a_second_attempt";
        }
        plan.timeout_ms = timeout;
        if call.sequential {
            added += call.fan_out.ceil().max(1.0) * f64::from(timeout);
        } else {
            beside = beside.max(f64::from(timeout));
        }
        edges[call.edge] = Some(plan);
    }
    added + beside > room * 1.000_001
}
