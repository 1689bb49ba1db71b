//! The invariants that settings must keep, whoever made them: the floor, a learned policy, or an adoption that held some
//! values of an earlier plan.

mod connections;

use std::collections::BTreeMap;

use foremesh_model::{EdgeName, EdgeSettings, ServiceName, ServiceSettings, Settings};
use petgraph::{algo::tarjan_scc, graph::DiGraph, graph::NodeIndex, visit::EdgeRef};

use crate::calls::{MOST_AMPLIFICATION, longest_backoff_ms};
use foremesh_simulate::analytic::count_quantile;

/// What is allowed for rounding.
const SLACK: f64 = 1.0 + 1e-6;

/// An invariant that a value breaks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The value to change, for example `edges["a->b"].timeout_ms`.
    pub path: String,
    /// A stable word for the invariant.
    pub invariant: &'static str,
    /// What is so and what must be.
    pub text: String,
}

struct Found(Vec<Violation>);

impl Found {
    fn unless(
        &mut self,
        holds: bool,
        invariant: &'static str,
        path: impl FnOnce() -> String,
        text: impl FnOnce() -> String,
    ) {
        if !holds {
            self.0.push(Violation {
                path: path(),
                invariant,
                text: text(),
            });
        }
    }
}

/// Every invariant that the settings break, in order of path; none: they may be applied.
pub fn check(settings: &Settings) -> Vec<Violation> {
    let mut found = Found(Vec::new());
    for (name, service) in &settings.services {
        check_instances(name, service, settings.horizon_hours, &mut found);
        check_limits(name, service, &mut found);
        check_ejection(name, service, &mut found);
    }
    for (name, edge) in &settings.edges {
        check_edge(name, edge, settings, &mut found);
    }
    connections::check(settings, &mut found);
    check_budgets(settings, &mut found);
    check_amplification(settings, &mut found);
    check_entries(settings, &mut found);
    check_ramp(settings, &mut found);
    found.0.sort();
    found.0
}

fn check_instances(name: &ServiceName, service: &ServiceSettings, hours: u32, found: &mut Found) {
    let path = || format!("services[\"{name}\"].instances");
    let (planned, needed) = (
        service.instances.by_hour(hours),
        service.needs.instances.by_hour(hours),
    );
    for (hour, (n, needs)) in planned.iter().zip(&needed).enumerate() {
        if n < needs || *n == 0 {
            let needs = (*needs).max(1);
            found.unless(false, "instances_meet_needs", path, || {
                format!("{n} instances in hour {hour}, {needs} are needed")
            });
            return;
        }
    }
}

fn check_limits(name: &ServiceName, service: &ServiceSettings, found: &mut Found) {
    let path = |field: &str| format!("services[\"{name}\"].{field}");
    let limit = service.rate_limit.requests_per_second;
    found.unless(
        limit.is_finite() && limit > 0.0,
        "rate_limit_admits",
        || path("rate_limit.requests_per_second"),
        || format!("{limit} requests/s: an instance must admit some"),
    );
    // Beyond what the schedule needs, an autoscaler's instances admit what is asked.
    let scaled = service
        .autoscaling
        .map_or(0, |scaled| scaled.most_instances);
    let most_needed = f64::from(service.needs.instances.most().max(scaled).max(1));
    let admitted = limit * most_needed;
    found.unless(
        admitted * SLACK >= service.needs.demand_rps,
        "rate_limit_passes_demand",
        || path("rate_limit.requests_per_second"),
        || {
            format!(
                "{most_needed} needed instances at {limit} requests/s admit {admitted}, the 0.99 quantile of demand is {}",
                service.needs.demand_rps
            )
        },
    );
    if let Some(scaled) = service.autoscaling {
        let target = scaled.requests_per_second;
        found.unless(
            target.is_finite() && target > 0.0 && target <= limit * SLACK,
            "more_are_asked_for_before_requests_are_refused",
            || path("autoscaling.requests_per_second"),
            || format!("more are asked for at {target} requests/s and instance: must lie above 0 and not above its rate limit of {limit}"),
        );
        found.unless(
            scaled.utilisation > 0.0 && scaled.utilisation <= 1.0,
            "busy_share",
            || path("autoscaling.utilisation"),
            || format!("{}: must lie above 0 and not above 1", scaled.utilisation),
        );
        found.unless(
            scaled.most_instances >= 1,
            "autoscaler_leaves_some",
            || path("autoscaling.most_instances"),
            || "0 instances serve nothing: write at least 1".into(),
        );
    }
    let each = (service.needs.demand_rps / most_needed).min(limit);
    let second = count_quantile(each, 1.0, 0.99);
    found.unless(
        service.rate_limit.burst >= second.max(1),
        "burst_passes_a_second",
        || path("rate_limit.burst"),
        || {
            format!(
                "the bucket holds {}, a second brings {second} at the 0.99 quantile",
                service.rate_limit.burst
            )
        },
    );
    found.unless(
        service.max_concurrent_requests >= service.needs.concurrent_requests.max(1),
        "concurrency_passes_demand",
        || path("max_concurrent_requests"),
        || {
            format!(
                "{} at once, {} are in flight at the 0.99 quantile",
                service.max_concurrent_requests, service.needs.concurrent_requests
            )
        },
    );
    found.unless(
        service.max_pending_requests >= 1,
        "some_may_wait",
        || path("max_pending_requests"),
        || {
            "0 is no limit in some meshes and refuses every burst in others; write at least 1"
                .into()
        },
    );
    found.unless(
        (1.0..=3.0).contains(&service.preconnect_ratio),
        "preconnect_in_range",
        || path("preconnect_ratio"),
        || format!("{}: must lie between 1 and 3", service.preconnect_ratio),
    );
}

fn check_ejection(name: &ServiceName, service: &ServiceSettings, found: &mut Found) {
    let ejection = &service.outlier_ejection;
    let path = |field: &str| format!("services[\"{name}\"].outlier_ejection.{field}");
    let percent = ejection.max_ejection_percent;
    let fewest = service.fewest_instances();
    let out = u64::from(fewest) * u64::from(percent) / 100;
    found.unless(
        percent <= 99 && out < u64::from(fewest),
        "ejection_leaves_some",
        || path("max_ejection_percent"),
        || format!("{percent}% of {fewest} instances may be out at once: at least one must stay"),
    );
    found.unless(
        ejection.consecutive_errors >= 1,
        "ejection_needs_errors",
        || path("consecutive_errors"),
        || "0 errors in a row eject everything: write at least 1".into(),
    );
    found.unless(
        ejection.min_health_percent <= 100,
        "percent",
        || path("min_health_percent"),
        || format!("{} is no percentage", ejection.min_health_percent),
    );
}

fn check_edge(name: &EdgeName, edge: &EdgeSettings, settings: &Settings, found: &mut Found) {
    let path = |field: &str| format!("edges[\"{name}\"].{field}");
    let retries = &edge.retries;
    found.unless(
        edge.per_try_timeout_ms >= 1 && edge.per_try_timeout_ms <= edge.timeout_ms,
        "attempt_inside_timeout",
        || path("per_try_timeout_ms"),
        || {
            format!(
                "one attempt may take {} ms, the call {} ms",
                edge.per_try_timeout_ms, edge.timeout_ms
            )
        },
    );
    let whole = u64::from(edge.per_try_timeout_ms) * (u64::from(retries.attempts) + 1)
        + longest_backoff_ms(retries.attempts, retries.base_backoff_ms);
    found.unless(
        whole <= u64::from(edge.timeout_ms),
        "attempts_inside_timeout",
        || path("timeout_ms"),
        || {
            format!(
                "{} attempts of {} ms and the waits between them take {whole} ms, the call may take {} ms",
                retries.attempts + 1,
                edge.per_try_timeout_ms,
                edge.timeout_ms
            )
        },
    );
    found.unless(
        (0.0..=100.0).contains(&retries.budget_percent),
        "percent",
        || path("retries.budget_percent"),
        || format!("{} is no percentage", retries.budget_percent),
    );
    found.unless(
        retries.attempts == 0 || !retries.retry_on.is_empty(),
        "retries_have_conditions",
        || path("retries.retry_on"),
        || {
            "attempts without a condition fall back to the mesh's own list: name the conditions"
                .into()
        },
    );
    let limits = &edge.caller_limits;
    check_caller_limits(limits, &path("caller_limits"), found);
    if let Some(caller) = settings.services.get(name.caller()) {
        let (fewest, most) = (caller.fewest_instances(), caller.most_instances());
        found.unless(
            limits.fewest_caller_proxies <= fewest,
            "limits_of_the_fewest_callers",
            || path("caller_limits.fewest_caller_proxies"),
            || {
                format!(
                    "the limits were made for at least {} proxies of the caller, it has {fewest} in its quietest hour",
                    limits.fewest_caller_proxies
                )
            },
        );
        found.unless(
            limits.most_caller_proxies >= most,
            "limits_of_the_most_callers",
            || path("caller_limits.most_caller_proxies"),
            || {
                format!(
                    "the limits were proved for at most {} proxies of the caller, it has {most} in its busiest hour",
                    limits.most_caller_proxies
                )
            },
        );
    }
}

fn check_caller_limits(limits: &foremesh_model::CallerLimits, path: &str, found: &mut Found) {
    for (field, value) in [
        ("max_connections", limits.max_connections),
        ("max_pending_requests", limits.max_pending_requests),
        ("max_concurrent_requests", limits.max_concurrent_requests),
        ("fewest_caller_proxies", limits.fewest_caller_proxies),
    ] {
        found.unless(
            value >= 1,
            "limit_passes_some",
            || format!("{path}.{field}"),
            || "0 passes nothing, or everything: write at least 1".into(),
        );
    }
    found.unless(
        limits.max_concurrent_requests >= limits.needed_concurrent_requests,
        "caller_limit_passes_demand",
        || format!("{path}.max_concurrent_requests"),
        || {
            format!(
                "{} in flight are allowed to a proxy, {} are needed",
                limits.max_concurrent_requests, limits.needed_concurrent_requests
            )
        },
    );
    found.unless(
        limits.fewest_caller_proxies <= limits.most_caller_proxies,
        "fewest_not_above_most",
        || format!("{path}.most_caller_proxies"),
        || {
            format!(
                "fewest {} exceed most {}",
                limits.fewest_caller_proxies, limits.most_caller_proxies
            )
        },
    );
}

/// What a service's callers leave it: the shortest attempt of any of them, with where that is written.
pub(crate) fn budgets_ms(settings: &Settings) -> BTreeMap<&ServiceName, (u32, String)> {
    let mut budgets: BTreeMap<&ServiceName, (u32, String)> = BTreeMap::new();
    let mut offer = |name, budget, path: &dyn Fn() -> String| {
        let least = budgets.get(name).map_or(u32::MAX, |(b, _)| *b);
        if budget < least {
            budgets.insert(name, (budget, path()));
        }
    };
    for (name, entry) in &settings.entries {
        offer(name, entry.timeout_ms, &|| {
            format!("entries[\"{name}\"].timeout_ms")
        });
    }
    for (name, edge) in &settings.edges {
        offer(name.callee(), edge.per_try_timeout_ms, &|| {
            format!("edges[\"{name}\"].per_try_timeout_ms")
        });
    }
    budgets
}

fn check_budgets(settings: &Settings, found: &mut Found) {
    let budgets = budgets_ms(settings);
    for (name, edge) in &settings.edges {
        if let Some((budget, of)) = budgets.get(name.caller()) {
            found.unless(
                edge.timeout_ms <= *budget,
                "callee_inside_caller",
                || format!("edges[\"{name}\"].timeout_ms"),
                || {
                    format!(
                        "the call may take {} ms, its caller has {budget} ms ({of})",
                        edge.timeout_ms
                    )
                },
            );
        }
    }
    for (name, entry) in &settings.entries {
        found.unless(
            entry.timeout_ms >= 1,
            "timeout",
            || format!("entries[\"{name}\"].timeout_ms"),
            || "0 is no timeout at all: write at least 1".into(),
        );
    }
}

/// What retries on an edge multiply its load by: a retry for each request at the most, and under load the budget's share.
fn factor(edge: &EdgeSettings) -> f64 {
    1.0 + f64::from(edge.retries.attempts).min(edge.retries.budget_percent.max(0.0) / 100.0)
}

fn check_amplification(settings: &Settings, found: &mut Found) {
    let mut graph: DiGraph<&ServiceName, (f64, &EdgeName)> = DiGraph::new();
    let mut nodes: BTreeMap<&ServiceName, NodeIndex> = BTreeMap::new();
    for (name, edge) in &settings.edges {
        let mut node = |name| *nodes.entry(name).or_insert_with(|| graph.add_node(name));
        let (from, to) = (node(name.caller()), node(name.callee()));
        graph.add_edge(from, to, (factor(edge), name));
    }
    let circles = tarjan_scc(&graph);
    let mut circle_of = vec![0; graph.node_count()];
    for (i, members) in circles.iter().enumerate() {
        for member in members {
            circle_of[member.index()] = i;
        }
    }
    // Tarjan answers callees first: what follows a circle is known before the circle itself.
    let mut after = vec![1.0f64; circles.len()];
    for (i, members) in circles.iter().enumerate() {
        for member in members {
            for edge in graph.edges(*member) {
                let (factor, name) = *edge.weight();
                let to = circle_of[edge.target().index()];
                if to == i {
                    found.unless(
                        factor <= SLACK,
                        "no_retries_in_a_circle",
                        || format!("edges[\"{name}\"].retries.attempts"),
                        || {
                            "the call is part of a circle: retries would multiply without end"
                                .into()
                        },
                    );
                } else {
                    after[i] = after[i].max(factor * after[to]);
                }
            }
        }
    }
    let mut before = vec![1.0f64; circles.len()];
    for i in (0..circles.len()).rev() {
        for member in &circles[i] {
            for edge in graph.edges(*member) {
                let (factor, name) = *edge.weight();
                let to = circle_of[edge.target().index()];
                if to == i {
                    continue;
                }
                before[to] = before[to].max(before[i] * factor);
                let path = before[i] * factor * after[to];
                if factor > SLACK && path > MOST_AMPLIFICATION * SLACK {
                    found.unless(
                        false,
                        "amplification_bounded",
                        || format!("edges[\"{name}\"].retries.attempts"),
                        || {
                            format!(
                                "retries along a path over this edge multiply the load by {path:.2}, at most {MOST_AMPLIFICATION} is allowed"
                            )
                        },
                    );
                }
            }
        }
    }
}

fn check_entries(settings: &Settings, found: &mut Found) {
    for (name, entry) in &settings.entries {
        let sum: u32 = entry.localities.iter().map(|l| l.percent).sum();
        found.unless(
            entry.localities.is_empty() || sum == 100,
            "weights_sum_to_100",
            || format!("entries[\"{name}\"].localities"),
            || format!("the percents sum to {sum}"),
        );
        check_caller_limits(
            &entry.gateway_limits,
            &format!("entries[\"{name}\"].gateway_limits"),
            found,
        );
    }
}

fn check_ramp(settings: &Settings, found: &mut Found) {
    let rises = settings.ramp.windows(2).all(|pair| {
        pair[0].percent < pair[1].percent
            && pair[0].stage < pair[1].stage
            && pair[0].starts_minute <= pair[1].starts_minute
    });
    found.unless(
        settings.ramp.is_empty()
            || (rises && settings.ramp.last().is_some_and(|last| last.percent == 100)),
        "ramp_rises_to_100",
        || "ramp".into(),
        || "the stages must rise and end at 100 percent".into(),
    );
}
