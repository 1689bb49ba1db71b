//! Timeouts and retries of every edge.
//!
//! A call must end before its caller gives up: the budget of a service is the shortest time that any of its callers leaves
//! one attempt, and what it gives to its own calls fits in that budget less its own work, one call after the other. Retries
//! are granted where errors were seen or much depends on the callee, for failures before the request was worked on, and only
//! while the amplification along any path stays below [`MOST_AMPLIFICATION`]: under load a retry budget bounds what each edge adds.

use foremesh_model::{Criticality, Protocol, quantise, quantise_up};

use crate::{
    ground::Ground,
    latency::{Call, GammaQuantile, Moments},
};

/// Most that retries may multiply the load along any path.
pub const MOST_AMPLIFICATION: f64 = 1.5;
/// Retries in flight as percent of the requests in flight.
pub(crate) const RETRY_BUDGET_PERCENT: f64 = 20.0;
/// Retries in flight that are always allowed: at little traffic a share of it would be none.
pub(crate) const RETRY_BUDGET_MIN_CONCURRENT: u32 = 3;
/// Error rates above this are no accidents that a second attempt mends.
const MOST_ERRORS_TO_RETRY: f64 = 0.1;
/// What a call is allowed above the latency that nearly all calls keep.
const TIMEOUT_MARGIN: f64 = 1.5;

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

/// Milliseconds of backoff before all retries together, at their longest: n-th at most (2ⁿ − 1) times the base and ten times it.
pub(crate) fn longest_backoff_ms(attempts: u32, base_ms: u32) -> u64 {
    (1..=attempts.min(64))
        .map(|n| u64::from(base_ms) * (2u64.pow(n.min(10)) - 1).min(10))
        .sum()
}

/// The largest number an engineer would write that is not above `value`, at least 1.
pub(crate) fn round_ms_down(value: f64) -> u32 {
    let value = value.clamp(1.0, 3.6e6);
    let near = quantise(value);
    let mut down = near;
    let mut k = 1.0;
    while down > value {
        down = quantise(near / (1.0 + 0.02 * k));
        k += 1.0;
    }
    down.floor().max(1.0) as u32
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
    let latency = Latency {
        worst,
        quantile: GammaQuantile::at(level),
        p99: GammaQuantile::at(0.99),
    };
    let quantile = &latency.quantile;
    let entry_timeout_ms: Vec<u32> = ground
        .entries
        .iter()
        .map(|e| round_ms_up((2.0 * e.slo.latency_ms).max(1.2 * quantile.of(worst[e.node]))))
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
    /// The level that timeouts are made for.
    quantile: GammaQuantile,
    p99: GammaQuantile,
}

/// What a call would be given if its caller had all the time.
struct Wish {
    /// Milliseconds that nearly all calls take.
    usual: f64,
    /// Milliseconds for one attempt.
    wanted: f64,
    /// Milliseconds below which an attempt is pointless.
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
        let usual = latency.quantile.of(callee).max(observed).max(1.0);
        Self {
            usual,
            wanted: TIMEOUT_MARGIN * usual + retrying_ms[call.callee],
            least: 1.1 * latency.p99.of(callee).max(observed),
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

    /// The whole, as an engineer would write it.
    fn rounded(&self) -> f64 {
        f64::from(round_ms_up(self.whole()))
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

/// The longest that any call may take so that all of them, each at its longest, fit into `room` milliseconds: calls one after the other
/// add up, of calls beside each other the longest counts. Short calls get all they want and long ones share the rest alike (max-min
/// fairness), so that one slow callee does not starve the quick ones.
fn longest_fitting(room: f64, calls: &[Call], wishes: &[Wish]) -> f64 {
    let mut beside = 0.0f64;
    let mut items: Vec<(f64, f64)> = Vec::new();
    for (call, wish) in calls.iter().zip(wishes) {
        if call.sequential {
            items.push((wish.rounded(), call.fan_out.ceil().max(1.0)));
        } else {
            beside = beside.max(wish.rounded());
        }
    }
    if beside > 0.0 {
        items.push((beside, 1.0));
    }
    items.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut times: f64 = items.iter().map(|(_, times)| times).sum();
    let mut left = room;
    for (whole, of_item) in items {
        if whole * times > left {
            return left.max(0.0) / times;
        }
        left -= whole * of_item;
        times -= of_item;
    }
    f64::INFINITY
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
    let own_ms = ground.stations[caller].service_ms;
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
    let allowed = |call: &Call, wish: &Wish, longest: f64| {
        let alone = alone(call);
        wish.rounded()
            .min(longest)
            .max(wish.least.min(alone))
            .min(alone)
    };
    // Second attempts that find no time are given up, the longest first: what they leave may suffice for the others.
    let mut longest = longest_fitting(room, calls, &wishes);
    while let Some(index) = (0..wishes.len())
        .filter(|i| wishes[*i].attempts > 0)
        .filter(|i| {
            wishes[*i].per_try(allowed(&calls[*i], &wishes[*i], longest)) < wishes[*i].least
        })
        .max_by(|a, b| wishes[*a].whole().total_cmp(&wishes[*b].whole()))
    {
        wishes[index].give_up_retries();
        longest = longest_fitting(room, calls, &wishes);
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
        let allowed = allowed(call, wish, longest);
        let timeout = if wish.rounded() > allowed {
            round_ms_down(allowed)
        } else {
            round_ms_up(wish.whole())
        };
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

/// Whether an edge is tried again.
#[derive(Debug, Clone, Copy)]
struct Retry {
    granted: bool,
    cause: &'static str,
}

fn grant_retries(ground: &Ground<'_>) -> Vec<Retry> {
    let mut retries: Vec<Retry> = vec![
        Retry {
            granted: false,
            cause: "no_errors_seen"
        };
        ground.edges.len()
    ];
    let mut wishes: Vec<(u8, f64, usize)> = Vec::new();
    for (i, edge) in ground.edges.iter().enumerate() {
        let (caller, callee) = ground.edge_ends[i];
        let service = ground.services[callee];
        let errors = edge.error_rate.unwrap_or(0.0);
        retries[i].cause = if ground.stations[callee].stateful {
            "stateful"
        } else if service.protocol == Protocol::Tcp {
            "opaque_tcp"
        } else if ground.calls.group_of[caller] == ground.calls.group_of[callee] {
            "calls_in_a_circle"
        } else if service.criticality == Criticality::Deferrable {
            "callee_may_be_shed"
        } else if errors > MOST_ERRORS_TO_RETRY {
            "errors_are_no_accident"
        } else if errors > 0.0 || service.criticality == Criticality::Critical {
            let rank = u8::from(service.criticality == Criticality::Critical);
            wishes.push((rank, errors, i));
            "amplification_bounded"
        } else {
            "no_errors_seen"
        };
    }
    wishes.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)).then(a.2.cmp(&b.2)));
    let factor = 1.0 + RETRY_BUDGET_PERCENT / 100.0;
    let groups = &ground.calls.groups;
    // The most that retries multiply the load on any way to a group, and from it on.
    let (mut until, mut after) = (vec![1.0f64; groups.len()], vec![1.0f64; groups.len()]);
    for (_, _, i) in wishes {
        let (caller, callee) = ground.edge_ends[i];
        let (from, to) = (ground.calls.group_of[caller], ground.calls.group_of[callee]);
        if until[from] * factor * after[to] > MOST_AMPLIFICATION + 1e-9 {
            continue;
        }
        retries[i] = Retry {
            granted: true,
            cause: "errors_before_the_request_was_worked_on",
        };
        let multiplied = |edge: usize, retries: &[Retry]| {
            if retries[edge].granted { factor } else { 1.0 }
        };
        until.fill(1.0);
        after.fill(1.0);
        for group in 0..groups.len() {
            for member in &groups[group].0 {
                for call in &ground.calls.by_caller[*member] {
                    let to = ground.calls.group_of[call.callee];
                    if to != group {
                        until[to] = until[to].max(until[group] * multiplied(call.edge, &retries));
                    }
                }
            }
        }
        for group in (0..groups.len()).rev() {
            for member in &groups[group].0 {
                for call in &ground.calls.by_caller[*member] {
                    let to = ground.calls.group_of[call.callee];
                    if to != group {
                        after[group] =
                            after[group].max(after[to] * multiplied(call.edge, &retries));
                    }
                }
            }
        }
    }
    retries
}
