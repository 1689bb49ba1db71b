//! Which service calls which, family by family. Numbers stand for services; what they are and do is drawn later.
//!
//! Services are numbered so that a call goes from a lower to a higher number, but for those that close circles. Each family's
//! figures beside those of real graphs stand in `STATISTICS.md`.

mod attachment;
mod circles;
mod frontends;
mod layered;
mod pipelines;
mod tree;

use crate::{Family, random::Random};

/// A call graph without anything on it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shape {
    /// (caller, callee), in order and each once.
    pub calls: Vec<(usize, usize)>,
    /// Where requests enter.
    pub entries: Vec<usize>,
}

/// Kinds of calls that one service makes at most: 83 in the real graph of 1,238 services.
const MOST_CALLEES: usize = 80;

/// A region as small as this leaves no service idle.
const FEWEST_FOR_IDLE: usize = 12;

/// Draws the graph of a family with so many services.
pub(crate) fn shape(family: Family, services: usize, random: &mut Random) -> Shape {
    // Nearly every real cluster has services that nobody was seen to call: jobs, consumers of queues, what is left over.
    let idle = if services >= FEWEST_FOR_IDLE && random.chance(0.15) {
        1 + random.below(services / 40 + 1)
    } else {
        0
    };
    let busy = services - idle;
    let mut shape = match (busy, family) {
        (0 | 1, _) => Shape {
            calls: Vec::new(),
            entries: vec![0],
        },
        (2, _) => Shape {
            calls: vec![(0, 1)],
            entries: vec![0],
        },
        (_, Family::Layered) => layered::shape(busy, random),
        (_, Family::Attachment) => attachment::shape(busy, random),
        (_, Family::Tree) => tree::shape(busy, random),
        (_, Family::Circles) => circles::shape(busy, random),
        (_, Family::Frontends) => frontends::shape(busy, random),
        (_, Family::Pipelines) => pipelines::shape(busy, random),
    };
    for service in busy..services {
        // Above all others: it calls some of them and is called by none.
        for _ in 0..random.below(3) {
            let callee = random.below(busy);
            shape.calls.push((service, callee));
        }
    }
    shape
        .calls
        .retain(|(caller, callee)| caller != callee && !shape.entries.contains(callee));
    shape.calls.sort_unstable();
    shape.calls.dedup();
    shape.calls = delegated(shape.calls, services);
    shape
}

/// A service that would call more than any real one hands the rest over to those that it calls already.
fn delegated(calls: Vec<(usize, usize)>, services: usize) -> Vec<(usize, usize)> {
    let mut by_caller: Vec<Vec<usize>> = vec![Vec::new(); services];
    for (caller, callee) in calls {
        by_caller[caller].push(callee);
    }
    for caller in 0..services {
        if by_caller[caller].len() <= MOST_CALLEES {
            continue;
        }
        by_caller[caller].sort_unstable();
        by_caller[caller].dedup();
        // The first have the lowest numbers, so that the calls that they take over lead to higher ones still.
        let kept = by_caller[caller].len().min(MOST_CALLEES);
        let surplus = by_caller[caller].split_off(kept);
        let helpers: Vec<usize> = by_caller[caller]
            .iter()
            .copied()
            .filter(|helper| *helper > caller)
            .collect();
        for (i, callee) in surplus.into_iter().enumerate() {
            match helpers.get(i % helpers.len().max(1)) {
                Some(helper) => by_caller[*helper].push(callee),
                None => by_caller[caller].push(callee),
            }
        }
    }
    let mut calls: Vec<(usize, usize)> = by_caller
        .into_iter()
        .enumerate()
        .flat_map(|(caller, callees)| callees.into_iter().map(move |callee| (caller, callee)))
        .collect();
    calls.sort_unstable();
    calls.dedup();
    calls
}

/// How many entries a region of so many services has: one in half of all, up to eight in large ones.
fn entry_count(services: usize, random: &mut Random) -> usize {
    let most = (services / 6).clamp(1, 8);
    if most == 1 || random.chance(0.45) {
        1
    } else {
        (random.log_between(1.5, most as f64 + 1.0) as usize).clamp(1, most)
    }
}

/// One of a list, the first far likelier than the last: `bend` 1 is uniform.
fn favoured(list: &[usize], bend: f64, random: &mut Random) -> Option<usize> {
    let place = (list.len() as f64 * random.unit().powf(bend)) as usize;
    list.get(place.min(list.len().saturating_sub(1))).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_in_order_each_once_and_lead_to_all_but_the_idle() {
        for family in Family::ALL {
            for services in [1, 2, 3, 4, 5, 7, 11, 20, 60, 300] {
                for seed in 0..20 {
                    let shape = shape(family, services, &mut Random::of(seed, "shape"));
                    assert!(shape.calls.is_sorted_by(|a, b| a < b));
                    let mut reached = vec![false; services];
                    let mut open = shape.entries.clone();
                    while let Some(at) = open.pop() {
                        if !std::mem::replace(&mut reached[at], true) {
                            open.extend(shape.calls.iter().filter(|c| c.0 == at).map(|c| c.1));
                        }
                    }
                    let left = reached.iter().filter(|r| !**r).count();
                    let allowed = if services < FEWEST_FOR_IDLE {
                        0
                    } else {
                        1 + services / 40
                    };
                    assert!(
                        left <= allowed,
                        "{family} {services} {seed}: {left} not reached"
                    );
                }
            }
        }
    }
}
