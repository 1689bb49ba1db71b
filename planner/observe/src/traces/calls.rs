//! Calls between services, and the time that each visit spends in the service itself.

use super::{
    links::Forest,
    pool::{Span, SpanKind, Spans},
};

/// A call that a visit makes to another service.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    /// The first span of the calling visit; None where only the called side was traced and names its caller.
    pub visit: Option<u32>,
    pub caller: u32,
    pub callee: u32,
    /// The span whose file says so.
    pub witness: u32,
    /// Start and end in nanoseconds as the caller sees them.
    pub interval: Option<(i64, i64)>,
    pub error: bool,
    /// The caller does not wait for it: messages.
    pub asynchronous: bool,
    pub response_bytes: Option<f64>,
}

/// A visit: one request at one service.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Visit {
    pub service: u32,
    pub first: u32,
    /// Time in the service itself in milliseconds, waiting for others not counted.
    pub self_time_ms: Option<f64>,
}

/// A message that a broker brought to a service.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Delivery {
    pub broker: u32,
    pub service: u32,
    /// The span whose file says so.
    pub witness: u32,
    /// Whether the span that sent the message is known.
    pub sent: bool,
}

/// What was found in all traces.
#[derive(Debug, Default)]
pub(super) struct Calls {
    pub visits: Vec<Visit>,
    pub calls: Vec<Call>,
    /// Messages that reached a service through a broker.
    pub deliveries: Vec<Delivery>,
    /// Called spans that lie outside of the span that called them.
    pub skewed: usize,
}

impl Calls {
    pub(super) fn of(pool: &Spans, forest: &Forest) -> Self {
        let spans = &pool.spans;
        let mut found = Self::default();
        // Children in another service, and children at all, by span.
        let mut called = vec![false; spans.len()];
        let mut children = vec![0u32; spans.len()];
        for position in 0..spans.len() {
            if let (Some(parent), Some(_)) = (forest.parent[position], forest.visit[position]) {
                children[parent as usize] += 1;
                if spans[parent as usize].service != spans[position].service {
                    called[parent as usize] = true;
                }
            }
        }
        for (position, span) in spans.iter().enumerate() {
            let (Some(visit), Some(service)) = (forest.visit[position], span.service) else {
                continue;
            };
            let at = position as u32;
            let broker = span.peer.filter(|peer| *peer != service);
            if visit == at {
                found.visits.push(Visit {
                    service,
                    first: at,
                    self_time_ms: None,
                });
                match forest.parent[position] {
                    Some(parent) => {
                        found.visited(at, parent, &children, spans, forest);
                    }
                    None if span.kind == SpanKind::Consumer => {
                        if let Some(broker) = broker {
                            found.deliveries.push(Delivery {
                                broker,
                                service,
                                witness: at,
                                sent: false,
                            });
                        }
                    }
                    None if span.kind == SpanKind::Server => {
                        if let Some(caller) = broker {
                            found.calls.push(Call {
                                visit: None,
                                caller,
                                callee: service,
                                witness: at,
                                interval: None,
                                error: span.error,
                                asynchronous: false,
                                response_bytes: span.response_bytes,
                            });
                        }
                    }
                    None => {}
                }
            }
            let untraced = span.kind == SpanKind::Client && !called[position];
            if let Some(callee) = broker
                && (untraced || span.kind == SpanKind::Producer)
            {
                found.calls.push(Call {
                    visit: Some(visit),
                    caller: service,
                    callee,
                    witness: at,
                    interval: interval(span),
                    error: span.error,
                    asynchronous: false,
                    response_bytes: span.response_bytes,
                });
            }
        }
        found.self_times(spans);
        found
    }

    /// A visit that another service's span began.
    fn visited(&mut self, at: u32, parent: u32, children: &[u32], spans: &[Span], forest: &Forest) {
        let (span, cause) = (&spans[at as usize], &spans[parent as usize]);
        let (Some(callee), Some(caller)) = (span.service, cause.service) else {
            return;
        };
        let asynchronous = span.kind == SpanKind::Consumer || cause.kind == SpanKind::Producer;
        let peer_of = |s: &Span| s.peer.filter(|peer| *peer != caller && *peer != callee);
        if asynchronous && let Some(broker) = peer_of(span).or_else(|| peer_of(cause)) {
            self.deliveries.push(Delivery {
                broker,
                service: callee,
                witness: at,
                sent: cause.kind == SpanKind::Producer && cause.peer == Some(broker),
            });
            return;
        }
        // The caller's own span around the call knows what the caller waited for; a tracer that marks no kinds is
        // believed to wrap a call where the span has no other child.
        let wraps = cause.kind.calls_out()
            || (cause.kind == SpanKind::Unknown
                && children[parent as usize] == 1
                && forest.visit[parent as usize] != Some(parent));
        let seen = if asynchronous {
            None
        } else if wraps {
            interval(cause).or_else(|| interval(span))
        } else {
            let (inner, skewed) = within(interval(span), interval(cause));
            self.skewed += usize::from(skewed);
            inner
        };
        self.calls.push(Call {
            visit: forest.visit[parent as usize],
            caller,
            callee,
            witness: at,
            interval: seen,
            error: span.error || (wraps && cause.error),
            asynchronous,
            response_bytes: span
                .response_bytes
                .or(cause.response_bytes.filter(|_| wraps)),
        });
    }

    /// Subtracts from each visit the time in which it waited for others.
    fn self_times(&mut self, spans: &[Span]) {
        let mut order: Vec<usize> = (0..self.calls.len())
            .filter(|i| self.calls[*i].visit.is_some() && !self.calls[*i].asynchronous)
            .collect();
        order.sort_by_key(|i| (self.calls[*i].visit, self.calls[*i].interval, *i));
        let mut visits: Vec<usize> = (0..self.visits.len()).collect();
        visits.sort_by_key(|i| self.visits[*i].first);
        let mut next = 0;
        for visit in visits {
            let first = self.visits[visit].first;
            let Some((start, end)) = interval(&spans[first as usize]) else {
                continue;
            };
            while next < order.len() && self.calls[order[next]].visit < Some(first) {
                next += 1;
            }
            let mut waited = 0i64;
            let mut covered = start;
            while next < order.len() && self.calls[order[next]].visit == Some(first) {
                if let Some((from, to)) = self.calls[order[next]].interval {
                    let (from, to) = (from.max(covered), to.min(end));
                    waited = waited.saturating_add(to.saturating_sub(from).max(0));
                    covered = covered.max(to);
                }
                next += 1;
            }
            let own = end.saturating_sub(start).saturating_sub(waited).max(0);
            self.visits[visit].self_time_ms = Some(own as f64 / 1e6);
        }
    }
}

fn interval(span: &Span) -> Option<(i64, i64)> {
    let start = span.start_ns?;
    Some((start, start.saturating_add(span.duration_ns?)))
}

/// A called span as its caller's clock has it: where it sticks out of the calling span, the clocks differ and it is moved to the middle.
fn within(inner: Option<(i64, i64)>, outer: Option<(i64, i64)>) -> (Option<(i64, i64)>, bool) {
    let (Some((start, end)), Some((from, to))) = (inner, outer) else {
        return (inner, false);
    };
    let (own, room) = (end.saturating_sub(start), to.saturating_sub(from));
    if (start >= from && end <= to) || own > room {
        // What is longer than its caller was not waited for to its end: no matter of clocks.
        return (inner, false);
    }
    let moved = from.saturating_add((room - own) / 2);
    (Some((moved, moved.saturating_add(own))), true)
}
