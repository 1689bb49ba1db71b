//! Latencies after the own time of a few services changed: only they and those that call them, directly or not, are composed anew.
//!
//! A search that moves one service at a time asks for this thousands of times; on a graph of hundreds of services it is one to two orders
//! faster than [`Calls::compose_into`].

use std::collections::BinaryHeap;

use super::{
    Moments,
    calls::{Calls, Plain, Scratch},
};

/// Who is called by whom, by group of [`Calls::groups`].
#[derive(Debug, Clone)]
pub struct Callers {
    /// The groups that call each group.
    of_group: Vec<Vec<usize>>,
}

impl Callers {
    /// The callers of every group.
    #[must_use]
    pub fn of(calls: &Calls) -> Self {
        let mut of_group = vec![Vec::new(); calls.groups.len()];
        for (caller, made) in calls.by_caller.iter().enumerate() {
            for call in made {
                let (from, to) = (calls.group_of[caller], calls.group_of[call.callee]);
                if from != to {
                    of_group[to].push(from);
                }
            }
        }
        for callers in &mut of_group {
            callers.sort_unstable();
            callers.dedup();
        }
        Self { of_group }
    }
}

impl Calls {
    /// Brings `whole`, which [`Calls::compose`] made, up to date after `own` of the `changed` services moved. What `whole` was before is
    /// added to `undo`, the oldest first.
    pub fn recompose(
        &self,
        callers: &Callers,
        own: &[Moments],
        whole: &mut [Moments],
        changed: impl IntoIterator<Item = usize>,
        scratch: &mut Scratch,
        undo: &mut Vec<(usize, Moments)>,
    ) {
        // Groups are in order, callers first: the last that is due depends on no other that is.
        let mut due: BinaryHeap<usize> = changed.into_iter().map(|s| self.group_of[s]).collect();
        while let Some(group) = due.pop() {
            while due.peek() == Some(&group) {
                due.pop();
            }
            let (members, circle) = &self.groups[group];
            let before = undo.len();
            undo.extend(members.iter().map(|member| (*member, whole[*member])));
            if *circle {
                // Where a circle is cut depends on where it begins.
                for member in members {
                    whole[*member] = own[*member];
                }
            }
            self.compose_group(group, own, whole, scratch, &mut Plain);
            let moved = undo[before..].iter().any(|(s, was)| whole[*s] != *was);
            if moved {
                due.extend(&callers.of_group[group]);
            } else {
                undo.truncate(before);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use foremesh_model::{Edge, Service, ServiceGraph, ServiceName, graph::Visits, random::mix};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_what_composing_everything_gives(seed: u64, services in 2u64..40, moves in 1usize..12) {
            let name = |i: u64| ServiceName::new(format!("s{i:02}")).unwrap();
            let mut edges = Vec::new();
            for i in 0..services * 2 {
                let (a, b) = (mix(seed, i) % services, mix(seed, i ^ 0x55) % services);
                // A few calls go back, so that there are circles.
                if a < b || mix(seed, i ^ 0x77).is_multiple_of(8) && a != b {
                    edges.push(Edge {
                        fan_out: Some(if a < b { 1.3 } else { 0.05 }),
                        sequential: Some(mix(seed, i ^ 0x99).is_multiple_of(2)),
                        ..Edge::between(name(a), name(b))
                    });
                }
            }
            edges.sort_by(|a, b| (&a.caller, &a.callee).cmp(&(&b.caller, &b.callee)));
            edges.dedup_by(|a, b| (&a.caller, &a.callee) == (&b.caller, &b.callee));
            let graph = ServiceGraph::new((0..services).map(|i| Service::named(name(i))).collect(), edges);
            let Ok(graph) = graph else { return Ok(()) };
            let Ok(visits) = Visits::of(&graph) else { return Ok(()) };
            let calls = Calls::of(&graph, &visits);
            let callers = Callers::of(&calls);
            let mut own: Vec<Moments> = (0..services)
                .map(|i| Moments::gamma(1.0 + (mix(seed, i ^ 0xAA) % 50) as f64, 1.0))
                .collect();
            let mut whole = calls.compose(&own);
            let first = whole.clone();
            let mut undo = Vec::new();
            for at in 0..moves {
                let s = (mix(seed, 0x1000 + at as u64) % services) as usize;
                own[s] = Moments::gamma(0.5 + at as f64, 0.5);
                calls.recompose(&callers, &own, &mut whole, [s], &mut Scratch::default(), &mut undo);
            }
            prop_assert_eq!(&whole, &calls.compose(&own));
            for (s, was) in undo.into_iter().rev() {
                whole[s] = was;
            }
            prop_assert_eq!(whole, first);
        }
    }
}
