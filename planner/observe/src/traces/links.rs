//! Who is whose parent: shared halves, missing parents, links of messages and circles are settled here, so that what
//! follows walks a forest.

use std::collections::{BTreeMap, HashMap};

use super::pool::{Span, SpanKind, Spans};

/// The forest of all spans, by position in the pool.
#[derive(Debug)]
pub(super) struct Forest {
    /// The parent, where it is known and names a service.
    pub parent: Vec<Option<u32>>,
    /// The first span of the visit to which a span belongs: the stretch of spans in one service. None: no service, or a repeat.
    pub visit: Vec<Option<u32>>,
    /// Spans that were given twice.
    pub repeated: usize,
    /// Visits whose parent is named and not there.
    pub orphans: usize,
    /// Spans whose parents lead back to themselves.
    pub circular: usize,
}

impl Forest {
    pub(super) fn of(pool: &Spans) -> Self {
        let spans = &pool.spans;
        let mut by_id: HashMap<(u32, u32), Vec<u32>> = HashMap::with_capacity(spans.len());
        let mut repeats = vec![false; spans.len()];
        let mut repeated = 0;
        for (position, span) in spans.iter().enumerate() {
            let halves = by_id.entry((span.trace, span.id)).or_default();
            let again = halves.iter().any(|other| {
                let other = &spans[*other as usize];
                other.kind == span.kind
                    && other.service == span.service
                    && other.shared == span.shared
            });
            if again {
                repeats[position] = true;
                repeated += 1;
            } else {
                halves.push(position as u32);
            }
        }
        let mut forest = Self {
            parent: vec![None; spans.len()],
            visit: vec![None; spans.len()],
            repeated,
            orphans: 0,
            circular: 0,
        };
        let mut direct: Vec<Option<u32>> = Vec::with_capacity(spans.len());
        for (position, span) in spans.iter().enumerate() {
            direct.push(if repeats[position] {
                None
            } else {
                parent_of(position as u32, span, spans, &by_id)
            });
        }
        forest.skip_nameless(spans, &direct);
        forest.find_visits(spans, &repeats);
        forest
    }

    /// Sets the parents, over spans that name no service (a proxy without a name, say) to the next that does.
    fn skip_nameless(&mut self, spans: &[Span], direct: &[Option<u32>]) {
        for position in 0..spans.len() {
            let mut parent = direct[position];
            let mut steps = 0;
            while let Some(p) = parent {
                if spans[p as usize].service.is_some() {
                    break;
                }
                parent = direct[p as usize];
                steps += 1;
                if steps > spans.len() {
                    parent = None;
                }
            }
            self.parent[position] = parent;
        }
    }

    fn find_visits(&mut self, spans: &[Span], repeats: &[bool]) {
        // Spans of one service under one missing parent belong to one visit.
        let mut missing: BTreeMap<(u32, u32, u32), u32> = BTreeMap::new();
        let mut path: Vec<u32> = Vec::new();
        let mut on_path = vec![false; spans.len()];
        for start in 0..spans.len() as u32 {
            let mut at = start;
            path.clear();
            // Up to a span whose visit is known or begins.
            let found = loop {
                let position = at as usize;
                if repeats[position] || spans[position].service.is_none() {
                    break None;
                }
                if let Some(known) = self.visit[position] {
                    break Some(known);
                }
                if on_path[position] {
                    // The parents lead in a circle: it is cut here.
                    self.circular += 1;
                    self.parent[position] = None;
                    break Some(at);
                }
                on_path[position] = true;
                path.push(at);
                match self.parent[position] {
                    // A message that a service sends to itself begins a visit of its own.
                    Some(parent)
                        if spans[parent as usize].service == spans[position].service
                            && spans[position].kind != SpanKind::Consumer =>
                    {
                        at = parent;
                    }
                    Some(_) => break Some(at),
                    None => break Some(self.first_of(at, spans, &mut missing)),
                }
            };
            for step in &path {
                on_path[*step as usize] = false;
                self.visit[*step as usize] = found;
            }
        }
    }

    /// The visit that a span without a parent begins or, where its parent is only missing, shares.
    fn first_of(
        &mut self,
        at: u32,
        spans: &[Span],
        missing: &mut BTreeMap<(u32, u32, u32), u32>,
    ) -> u32 {
        let span = &spans[at as usize];
        let Some((parent, service)) = span.parent.zip(span.service) else {
            return at;
        };
        if span.kind.is_called() {
            self.orphans += 1;
            return at;
        }
        *missing
            .entry((span.trace, parent, service))
            .or_insert_with(|| {
                self.orphans += 1;
                at
            })
    }
}

fn parent_of(
    position: u32,
    span: &Span,
    spans: &[Span],
    by_id: &HashMap<(u32, u32), Vec<u32>>,
) -> Option<u32> {
    let halves = |trace: u32, id: u32| by_id.get(&(trace, id)).map_or(&[][..], Vec::as_slice);
    // The server's half of a shared span is the child of the client's half.
    if !span.kind.calls_out() {
        let client = halves(span.trace, span.id).iter().copied().find(|other| {
            let half = &spans[*other as usize];
            *other != position
                && (half.kind.calls_out()
                    || (!span.kind.is_called() && span.shared && !half.shared)
                    || (span.kind == SpanKind::Unknown && *other < position))
        });
        if client.is_some() {
            return client;
        }
    }
    let best = |candidates: &[u32]| -> Option<u32> {
        let own = |p: &&u32| spans[**p as usize].service == span.service;
        let called = |p: &&u32| spans[**p as usize].kind.is_called() || spans[**p as usize].shared;
        let others = || candidates.iter().filter(|p| **p != position);
        others()
            .find(|p| own(p) && called(p))
            .or_else(|| others().find(own))
            .or_else(|| others().find(called))
            .or_else(|| others().next())
            .copied()
    };
    if let Some(parent) = span.parent
        && let Some(found) = best(halves(span.trace, parent))
    {
        return Some(found);
    }
    // A consumer of messages often only links to the producer.
    let (trace, id) = span.link.filter(|_| span.kind != SpanKind::Client)?;
    best(halves(trace, id))
}
