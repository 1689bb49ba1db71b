//! Which edges are tried again: where errors were seen or much depends on the callee, for failures before the request was worked on,
//! and only while the amplification along any path stays below [`MOST_AMPLIFICATION`].

use foremesh_model::{Criticality, Protocol};

use crate::ground::Ground;

/// Most that retries may multiply the load along any path.
pub const MOST_AMPLIFICATION: f64 = 1.5;
/// Retries in flight as percent of the requests in flight.
pub(crate) const RETRY_BUDGET_PERCENT: f64 = 20.0;
/// Retries in flight that are always allowed: at little traffic a share of it would be none.
pub(crate) const RETRY_BUDGET_MIN_CONCURRENT: u32 = 3;
/// Error rates above this are no accidents that a second attempt mends.
const MOST_ERRORS_TO_RETRY: f64 = 0.1;

/// Whether an edge is tried again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retry {
    pub granted: bool,
    pub cause: &'static str,
}

pub(super) fn grant_retries(ground: &Ground<'_>) -> Vec<Retry> {
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
