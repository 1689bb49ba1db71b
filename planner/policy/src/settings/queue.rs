//! How many requests may wait at an instance: what waits at its rate limit, and no more than its callers wait for; but at least what keeps the refusals
//! of planned demand within the error budget.

use foremesh_model::Reason;
use foremesh_simulate::analytic::{Wait, count_quantile};

use super::Parts;
use crate::{
    limits::{INSTANCE_LEVEL, round_count_up},
    reasons::{Under, show},
    refusals::Planned,
    size::ADMITTED_UTILISATION,
};

/// Milliseconds that a request may always queue at an instance, unless its callers give up earlier.
const SHORTEST_QUEUE_MS: f64 = 20.0;
/// Requests that may always queue at an instance.
const FEWEST_QUEUED: f64 = 2.0;
/// Share of the shortest timeout of its callers that a queue at an instance is worth. What is worked on after its caller gave up is work for nobody, and an
/// overload that fills a longer queue is answered to nobody at all.
const QUEUE_SHARE_OF_TIMEOUT: f64 = 0.25;
/// Share of that timeout that a queue may be worth where a shorter one refuses what is planned for.
const MOST_OF_TIMEOUT: f64 = 0.5;

/// The most requests that may wait at one instance of a service that works on so many at once, and why.
pub(super) fn most(
    parts: &Parts<'_>,
    s: usize,
    dispersion: f64,
    max_concurrent_requests: u32,
    why: &mut Under<'_>,
) -> u32 {
    let Parts { ground, sizing, .. } = parts;
    let limit_rps = sizing.services[s].limit_rps;
    let bearable_rps = ground.stations[s].bearable_rps() * ADMITTED_UTILISATION;
    let wait = Wait::of(&ground.workers(s, 1.0), 1, limit_rps.min(bearable_rps));
    let wait_ms = wait.quantile_ms(INSTANCE_LEVEL).max(SHORTEST_QUEUE_MS);
    let waiting = limit_rps * wait_ms / 1000.0;
    let needed = f64::from(count_quantile(waiting, dispersion, INSTANCE_LEVEL).max(1));
    let timeout_ms = shortest_timeout_ms(parts, s);
    let filled_in = |ms: f64| (limit_rps * ms / 1000.0).ceil().max(FEWEST_QUEUED);
    let worth_ms = (QUEUE_SHARE_OF_TIMEOUT * timeout_ms).max(SHORTEST_QUEUE_MS.min(timeout_ms));
    let worth = filled_in(worth_ms);
    let shortest = needed.min(worth);
    // What comes after a full queue must still be answered in time.
    let p99_ms = parts.p99.of(parts.worst[s]);
    let longest_ms = (MOST_OF_TIMEOUT * timeout_ms).min(timeout_ms - p99_ms);
    let longest = filled_in(longest_ms.max(0.0)).max(shortest);
    let planned = Planned::of(ground, sizing, s);
    let refusable = ground.refusable[s];
    let refuses = |queue: f64| planned.refused(max_concurrent_requests, queue);
    let mut queue = shortest;
    while timeout_ms.is_finite() && queue < longest && refuses(queue) > refusable {
        queue = (queue + (queue / 50.0).ceil()).min(longest);
    }
    let reason = if queue > shortest {
        Reason::new(
            "refusals_of_planned_demand",
            format!(
                "An instance is asked {} requests/s where most is planned for it, and {} in a queue would refuse a share of {} of them; so long a queue refuses {}. A share of {} may be refused, from a tenth of the error budget, which the services on the way share; and no queue is longer than what fills {} ms: half of the time after which a caller gives up, or what the usual answer leaves of it. Rounded up.",
                show(planned.rps),
                show(shortest),
                show(refuses(shortest)),
                show(refuses(queue)),
                show(refusable),
                show(longest_ms)
            ),
            [
                ("planned_rps", planned.rps),
                ("refusable", refusable),
                ("longest_ms", longest_ms),
                ("timeout_ms", timeout_ms),
                ("requests_per_second", limit_rps),
            ],
        )
    } else if needed <= worth {
        Reason::new(
            "littles_law",
            format!(
                "At the rate limit one request in a thousand waits longer than {} ms; {} requests/s bring {} in that time on average, and at most this many in 99.9% of cases, rounded up.",
                show(wait_ms),
                show(limit_rps),
                show(waiting)
            ),
            [("wait_ms", wait_ms), ("requests_per_second", limit_rps)],
        )
    } else {
        Reason::new(
            "callers_timeout",
            format!(
                "A caller gives up after {} ms: the later part of a queue of more than {} ms is worked on for nobody; {} requests/s fill it with this many, rounded up and at least two.",
                show(timeout_ms),
                show(worth_ms),
                show(limit_rps)
            ),
            [
                ("timeout_ms", timeout_ms),
                ("share", QUEUE_SHARE_OF_TIMEOUT),
                ("requests_per_second", limit_rps),
            ],
        )
    };
    why.set("max_pending_requests", reason);
    round_count_up(queue as u32)
}

/// Milliseconds after which the first of a service's callers gives an attempt up; infinite where nobody calls it.
fn shortest_timeout_ms(parts: &Parts<'_>, s: usize) -> f64 {
    let Parts { ground, calls, .. } = parts;
    let by_services = ground.edge_ends.iter().zip(&calls.edges);
    let by_services = by_services
        .filter(|((_, callee), plan)| *callee == s && plan.wanted_ms > 0.0)
        .map(|(_, plan)| plan.per_try_timeout_ms);
    let entering = ground.entries.iter().zip(&calls.entry_timeout_ms);
    let entering = entering
        .filter(|(entry, _)| entry.node == s)
        .map(|(_, timeout_ms)| *timeout_ms);
    let all = by_services.chain(entering);
    all.fold(f64::INFINITY, |shortest, ms| shortest.min(f64::from(ms)))
}
