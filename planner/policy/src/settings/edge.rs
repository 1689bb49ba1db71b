//! What is set at an edge, on the side that calls.

use std::collections::BTreeMap;

use foremesh_model::{
    CallerLimits, Edge, EdgeName, EdgeSettings, Protocol, Reason, Retries, Severity, Warning,
};

use super::{Parts, about_edges, service::sees_requests};
use crate::{
    calls::{MOST_AMPLIFICATION, RETRY_BUDGET_MIN_CONCURRENT, RETRY_BUDGET_PERCENT},
    ground::warning,
    limits::{CONNECT_MS, PROXY_LEVEL, ProxyLoad, caller_limits, thinned_calls},
    reasons::{Reasons, Under, show},
    sizing::Sized,
};

/// What callers together may hold open, as a multiple of what the callee takes, above which the limits protect nobody.
const FAR_ABOVE_CAPACITY: f64 = 4.0;

pub(super) fn all(
    parts: &Parts<'_>,
    reasons: &mut Reasons,
    warnings: &mut Vec<Warning>,
) -> BTreeMap<EdgeName, EdgeSettings> {
    let ground = parts.ground;
    let mut settings = BTreeMap::new();
    let mut assumed = Vec::new();
    // By callee: what its callers together may hold open in their widest hour.
    let mut held_open: BTreeMap<usize, u64> = BTreeMap::new();
    for (i, name) in ground.edge_names.iter().enumerate() {
        let (caller, callee) = ground.edge_ends[i];
        if ground.edges[i].fan_out.is_none() && ground.reached[caller] {
            assumed.push((name.clone(), String::new()));
        }
        if ground.stations[callee].stateful {
            continue;
        }
        let mut why = reasons.under("edges", name);
        let plan = &parts.calls.edges[i];
        timeouts(parts, i, &mut why);
        let retries = retries(parts, i, &mut why);
        let proxies: Vec<u32> = parts.sizing.services[caller]
            .schedule
            .iter()
            .map(|n| n + parts.sizing.services[caller].standby)
            .collect();
        let load = proxy_load(parts, caller, callee, Some(ground.edges[i]), &proxies);
        let limits = limits(
            parts,
            callee,
            &load,
            (retries.attempts > 0).then_some(retries.budget_percent / 100.0),
        );
        explain_limits(
            "caller_limits.",
            "its caller",
            parts,
            callee,
            &load,
            &limits,
            &mut why,
        );
        *held_open.entry(callee).or_default() +=
            u64::from(limits.max_concurrent_requests) * u64::from(limits.most_caller_proxies);
        settings.insert(
            name.clone(),
            EdgeSettings {
                timeout_ms: plan.timeout_ms,
                per_try_timeout_ms: plan.per_try_timeout_ms,
                retries,
                caller_limits: limits,
            },
        );
    }
    warnings.extend(about_edges(
        Severity::Caution,
        "fan_out_assumed",
        &assumed,
        |edges| format!("one call for each request is assumed on {edges}; give traces, or `calls` in the catalogue"),
    ));
    crowded(parts, warnings);
    for (callee, open) in held_open {
        too_wide(parts, callee, open, warnings);
    }
    settings
}

fn crowded(parts: &Parts<'_>, warnings: &mut Vec<Warning>) {
    let names: Vec<String> = parts
        .calls
        .crowded
        .iter()
        .filter(|s| parts.ground.reached[**s])
        .map(|s| parts.ground.name(*s).to_string())
        .collect();
    if let Some(first) = names.first() {
        let mut shown = names.iter().take(5).cloned().collect::<Vec<_>>();
        if names.len() > 5 {
            shown.push(format!("{} more", names.len() - 5));
        }
        warnings.push(warning(
            Severity::Note,
            "calls_exceed_timeout",
            first,
            format!(
                "were all of its calls to last until their timeouts, the caller's own would end first: {}; each call alone fits",
                shown.join(", ")
            ),
        ));
    }
}

/// Limits act in each proxy alone: many callers at little traffic may together hold open far more than the callee takes.
fn too_wide(parts: &Parts<'_>, callee: usize, open: u64, warnings: &mut Vec<Warning>) {
    let sized = &parts.sizing.services[callee];
    let station = &parts.ground.stations[callee];
    let takes = f64::from(sized.fewest()) * f64::from(station.workers.max(2));
    if open as f64 > FAR_ABOVE_CAPACITY * takes && parts.ground.reached[callee] {
        warnings.push(warning(
            Severity::Note,
            "caller_limits_do_not_protect",
            parts.ground.name(callee),
            format!(
                "its callers need limits that together let {open} requests be in flight when most of them run, its fewest instances work on {}: only its own rate and concurrency limits protect it",
                show(takes)
            ),
        ));
    }
}

/// What one proxy of a caller has to carry: in each hour the demand of that hour spread over the proxies of that hour, one of
/// them lost. Without an edge what enters from outside.
pub(super) fn proxy_load(
    parts: &Parts<'_>,
    caller: usize,
    callee: usize,
    edge: Option<&Edge>,
    proxies: &[u32],
) -> ProxyLoad {
    let ground = parts.ground;
    let (mut calls_rps, mut in_flight) = (0.0f64, 0.0f64);
    let bought = ground.bought_rps(caller);
    // The proxies of an entry are those of the gateway; a service that calls itself does so through its own.
    let sized = &parts.sizing.services[caller];
    let tracked = Some(sized).filter(|sized| edge.is_some() && sized.tracking.is_some());
    for (hour, rate) in bought.iter().enumerate() {
        let spread = f64::from(
            proxies
                .get(hour)
                .copied()
                .unwrap_or(1)
                .saturating_sub(1)
                .max(1),
        );
        // Where an autoscaler adds proxies none carries more than its instance admits.
        let of_one = (rate / spread).min(tracked.map_or(f64::INFINITY, |sized| sized.limit_rps));
        let calls = of_one * edge.map_or(1.0, Edge::fan_out);
        let time_ms = parts.sizing.expected.whole[hour][callee].mean;
        calls_rps = calls_rps.max(calls);
        in_flight = in_flight.max(calls * time_ms / 1000.0);
    }
    let fewest = proxies.iter().copied().min().unwrap_or(1).max(1);
    ProxyLoad {
        calls_rps,
        in_flight,
        dispersion: thinned_calls(
            ground.dispersion[callee],
            fewest - 1,
            edge.map_or(1.0, Edge::at_once),
        ),
        fewest,
        most: proxies
            .iter()
            .copied()
            .max()
            .unwrap_or(1)
            .max(tracked.map_or(1, Sized::most)),
    }
}

pub(super) fn limits(
    parts: &Parts<'_>,
    callee: usize,
    load: &ProxyLoad,
    retry_share: Option<f64>,
) -> CallerLimits {
    caller_limits(
        load,
        parts.ground.services[callee].protocol,
        parts.sizing.services[callee].most(),
        retry_share,
    )
}

pub(super) fn explain_limits(
    prefix: &str,
    who: &str,
    parts: &Parts<'_>,
    callee: usize,
    load: &ProxyLoad,
    limits: &CallerLimits,
    why: &mut Under<'_>,
) {
    let protocol = parts.ground.services[callee].protocol;
    let inputs = || {
        [
            ("in_flight_mean", load.in_flight),
            ("dispersion", load.dispersion),
            ("level", PROXY_LEVEL),
            ("fewest_caller_proxies", f64::from(load.fewest)),
        ]
    };
    let mut set = |field: &str, reason: Reason| why.set(&format!("{prefix}{field}"), reason);
    set(
        "max_concurrent_requests",
        Reason::new(
            "littles_law_by_proxy",
            format!(
                "In the hour in which a proxy of {who} has most to carry, one of them lost, it has {} calls in flight on average ({} calls/s); 10% above the 0.9999 quantile, rounded up.",
                show(load.in_flight),
                show(load.calls_rps)
            ),
            inputs(),
        ),
    );
    set(
        "needed_concurrent_requests",
        Reason::new(
            "littles_law_by_proxy",
            format!(
                "The 0.999 quantile of {} calls in flight on average: no held limit may refuse them.",
                show(load.in_flight)
            ),
            inputs(),
        ),
    );
    set(
        "max_connections",
        match protocol {
            Protocol::Http | Protocol::Tcp => Reason::new(
                "one_for_each_request",
                "One connection for each request in flight.",
                inputs(),
            ),
            Protocol::Http2 | Protocol::Grpc => Reason::new(
                "one_for_each_instance",
                format!(
                    "A connection carries many requests; two worker threads to each of at most {} instances, rounded up.",
                    parts.sizing.services[callee].most()
                ),
                [(
                    "most_callee_instances",
                    f64::from(parts.sizing.services[callee].most()),
                )],
            ),
        },
    );
    set(
        "max_pending_requests",
        Reason::new(
            "connect_time",
            format!(
                "{} calls/s arrive at a proxy; 10% above the 0.9999 quantile of those that arrive in the {} ms that a connection may take to open.",
                show(load.calls_rps),
                show(CONNECT_MS)
            ),
            [("calls_rps", load.calls_rps), ("connect_ms", CONNECT_MS)],
        ),
    );
    set(
        "max_concurrent_retries",
        Reason::new(
            "retry_budget",
            if limits.max_concurrent_retries > 1 {
                format!(
                    "{RETRY_BUDGET_PERCENT}% of {} requests in flight, at least {RETRY_BUDGET_MIN_CONCURRENT}.",
                    limits.max_concurrent_requests
                )
            } else {
                "Nothing is tried again; 1 because no mesh can say 0.".into()
            },
            [(
                "max_concurrent_requests",
                f64::from(limits.max_concurrent_requests),
            )],
        ),
    );
    set(
        "fewest_caller_proxies",
        Reason::new(
            "fewest_callers",
            format!(
                "The fewest proxies of {who} in any hour, standby included: there each must pass most."
            ),
            [("fewest", f64::from(load.fewest))],
        ),
    );
    set(
        "most_caller_proxies",
        Reason::new(
            "most_callers",
            format!(
                "The most proxies of {who} in any hour, standby included: together they may hold {} requests in flight.",
                u64::from(load.most) * u64::from(limits.max_concurrent_requests)
            ),
            [("most", f64::from(load.most))],
        ),
    );
}

fn timeouts(parts: &Parts<'_>, i: usize, why: &mut Under<'_>) {
    let plan = &parts.calls.edges[i];
    let (_, callee) = parts.ground.edge_ends[i];
    let tcp = if sees_requests(parts.ground.services[callee].protocol) {
        ""
    } else {
        " Opaque TCP: no mesh acts on it."
    };
    let retrying = if plan.retrying_ms > 0.0 {
        format!(
            ", second attempts further down may add {} ms",
            show(plan.retrying_ms)
        )
    } else {
        String::new()
    };
    why.set(
        "timeout_ms",
        Reason::new(
            "inside_the_callers_budget",
            format!(
                "All but {}% of the calls take less than {} ms{retrying}; the caller itself has {} ms and needs some for its own work.{tcp}",
                show((1.0 - parts.calls.level) * 100.0),
                show(plan.usual_ms),
                show(plan.caller_budget_ms)
            ),
            [("wanted_ms", plan.wanted_ms), ("caller_budget_ms", plan.caller_budget_ms), ("p99_ms", plan.p99_ms)],
        ),
    );
    why.set(
        "per_try_timeout_ms",
        Reason::new(
            "attempts_fit",
            format!(
                "{} attempt{} with the waits between them fit{} into the timeout of {} ms.{tcp}",
                plan.attempts + 1,
                if plan.attempts == 0 { "" } else { "s" },
                if plan.attempts == 0 { "s" } else { "" },
                plan.timeout_ms
            ),
            [
                ("timeout_ms", f64::from(plan.timeout_ms)),
                ("attempts", f64::from(plan.attempts)),
            ],
        ),
    );
}

fn retries(parts: &Parts<'_>, i: usize, why: &mut Under<'_>) -> Retries {
    let plan = &parts.calls.edges[i];
    let (_, callee) = parts.ground.edge_ends[i];
    let errors = parts.ground.edges[i].error_rate.unwrap_or(0.0);
    let cause = match plan.retry_cause {
        "opaque_tcp" => "Opaque TCP: the proxy sees no requests to try again.",
        "calls_in_a_circle" => "The call is part of a circle, where retries would multiply.",
        "callee_may_be_shed" => "The callee is deferrable: what it refuses is not asked for again.",
        "errors_are_no_accident" => {
            "More than a tenth of the calls fail: a second attempt adds load and mends nothing."
        }
        "amplification_bounded" => {
            "Retries elsewhere on its paths already multiply the load as much as is allowed."
        }
        "no_time_for_a_second_attempt" => {
            "The caller's budget leaves no time for a second attempt beside what the first and the calls below it take."
        }
        "no_errors_seen" => {
            "No errors were seen and the callee is not critical: a retry would only add load."
        }
        _ => "Errors were seen or the callee is critical: one more attempt.",
    };
    why.set(
        "retries.attempts",
        Reason::new(
            plan.retry_cause,
            format!(
                "{cause} Along any path retries multiply the load by at most {MOST_AMPLIFICATION}."
            ),
            [
                ("error_rate", errors),
                ("most_amplification", MOST_AMPLIFICATION),
            ],
        ),
    );
    let grpc = parts.ground.services[callee].protocol == Protocol::Grpc;
    let retry_on: Vec<String> = if plan.attempts == 0 {
        Vec::new()
    } else {
        let mut on = vec!["connect-failure".to_string(), "refused-stream".to_string()];
        if grpc {
            on.push("unavailable".to_string());
        }
        on
    };
    why.set(
        "retries.retry_on",
        Reason::new(
            "safe_to_repeat",
            "Only failures before the callee worked on the request: it is safe to repeat whatever it does.",
            [],
        ),
    );
    let granted = plan.attempts > 0;
    let (budget_percent, budget_min_concurrent) = if granted {
        (RETRY_BUDGET_PERCENT, RETRY_BUDGET_MIN_CONCURRENT)
    } else {
        (0.0, 0)
    };
    why.set(
        "retries.budget_percent",
        Reason::new(
            "retry_budget",
            if granted {
                format!("Under load retries add at most {RETRY_BUDGET_PERCENT}% of the requests in flight.")
            } else {
                "Nothing is tried again.".into()
            },
            [],
        ),
    );
    why.set(
        "retries.budget_min_concurrent",
        Reason::new(
            "retry_budget",
            if granted {
                "At little traffic a share of it would be less than one."
            } else {
                "Nothing is tried again."
            },
            [],
        ),
    );
    why.set(
        "retries.base_backoff_ms",
        Reason::new(
            "callee_latency",
            if granted {
                format!(
                    "About the mean latency of a call, {} ms, kept between 5 and 250 ms.",
                    show(parts.worst[callee].mean)
                )
            } else {
                "Nothing is tried again.".into()
            },
            [("mean_ms", parts.worst[callee].mean)],
        ),
    );
    Retries {
        attempts: plan.attempts,
        retry_on,
        budget_percent,
        budget_min_concurrent,
        base_backoff_ms: plan.base_backoff_ms,
    }
}
