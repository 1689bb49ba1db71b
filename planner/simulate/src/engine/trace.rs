//! Records traces while a run goes on. What is traced is known by the places that its calls and requests hold in the slabs, in maps of its
//! own: nothing is added to what every call and request carries, and a run without traces pays one check at each hook.
//!
//! Which requests: at first every one; whenever twice as many traces as wanted are held, every second of them is let go and half as many
//! are begun from then on. Memory is bounded whatever the load, and what is left is spread evenly over all requests.

use std::collections::{BTreeMap, HashMap};

use foremesh_model::random::mix;

use super::{Engine, parts::NONE, purpose};
use crate::{
    Outcome,
    trace::{Trace, TraceSample, TraceSide, TraceSpan},
};

/// What an identifier is for: part of its key.
const TRACE_HIGH: u64 = 101;
const TRACE_LOW: u64 = 102;
const CLIENT: u64 = 103;
const SERVER: u64 = 104;

/// Traces that are being recorded, and those that are complete.
pub(super) struct Recorder {
    wanted: usize,
    /// Every so many requests one is traced.
    stride: u64,
    seen: u64,
    /// By number of the request.
    traces: BTreeMap<u64, Recording>,
    calls: HashMap<u32, At>,
    works: HashMap<u32, At>,
}

struct Recording {
    trace: Trace,
    /// Calls and requests of it that are not over.
    open: u32,
}

/// Where a call or a request belongs.
#[derive(Clone, Copy)]
struct At {
    request: u64,
    /// The span that what happens here is part of.
    parent: Option<u64>,
    /// The span that is open, by its place in the trace.
    span: Option<usize>,
}

impl Recorder {
    pub(super) fn new(wanted: usize) -> Self {
        Self {
            wanted: wanted.max(1),
            stride: 1,
            seen: 0,
            traces: BTreeMap::new(),
            calls: HashMap::new(),
            works: HashMap::new(),
        }
    }

    /// A request from outside: its number, if it is traced.
    fn begin(&mut self, stream: u64, entry: usize) -> Option<u64> {
        let number = self.seen;
        self.seen += 1;
        if !number.is_multiple_of(self.stride) {
            return None;
        }
        let id =
            u128::from(mix(stream, TRACE_HIGH)) << 64 | u128::from(mix(stream, TRACE_LOW).max(1));
        let trace = Trace {
            id,
            entry,
            spans: Vec::new(),
        };
        self.traces.insert(number, Recording { trace, open: 0 });
        if self.traces.len() > 2 * self.wanted {
            self.stride *= 2;
            let stride = self.stride;
            self.traces
                .retain(|number, _| number.is_multiple_of(stride));
        }
        self.traces.contains_key(&number).then_some(number)
    }

    /// Opens a span; None: its trace was let go.
    fn open(&mut self, at: At, span: TraceSpan) -> Option<usize> {
        let spans = &mut self.traces.get_mut(&at.request)?.trace.spans;
        spans.push(TraceSpan {
            parent: at.parent,
            ..span
        });
        Some(spans.len() - 1)
    }

    fn close(&mut self, at: At, now: u64, outcome: Option<Outcome>) {
        let recording = self.traces.get_mut(&at.request);
        let span = recording
            .zip(at.span)
            .and_then(|(recording, place)| recording.trace.spans.get_mut(place));
        if let Some(span) = span {
            span.ends_ns = now;
            span.outcome = outcome;
        }
    }

    /// Something more of a trace goes on; false: the trace was let go.
    fn goes_on(&mut self, request: u64) -> bool {
        let recording = self.traces.get_mut(&request);
        recording.map(|recording| recording.open += 1).is_some()
    }

    fn is_over(&mut self, request: u64) {
        if let Some(recording) = self.traces.get_mut(&request) {
            recording.open -= 1;
        }
    }

    /// The identifier of a span that is open.
    fn id(&self, at: At) -> Option<u64> {
        let spans = &self.traces.get(&at.request)?.trace.spans;
        spans.get(at.span?).map(|span| span.id)
    }

    /// As many whole traces as were wanted, spread evenly. Requests that no service took up have left no span.
    pub(super) fn finish(self) -> TraceSample {
        let begun = self.traces.len();
        let whole: Vec<Trace> = self
            .traces
            .into_values()
            .filter(|recording| recording.open == 0)
            .map(|recording| recording.trace)
            .collect();
        let unfinished = begun - whole.len();
        let seen: Vec<Trace> = whole
            .into_iter()
            .filter(|trace| !trace.spans.is_empty())
            .collect();
        let (count, wanted) = (seen.len(), self.wanted.min(seen.len()));
        let traces = (0..count)
            .zip(seen)
            .filter(|(i, _)| (i + 1) * wanted / count > i * wanted / count)
            .map(|(_, trace)| trace)
            .collect();
        TraceSample { traces, unfinished }
    }
}

/// The hooks, each where its name says: a check, and what follows of it out of the way.
impl Engine<'_> {
    #[inline]
    pub(super) fn trace_call(&mut self, id: u32) {
        if self.trace.is_some() {
            self.record_call(id);
        }
    }

    #[inline]
    pub(super) fn trace_attempt(&mut self, id: u32) {
        if self.trace.is_some() {
            self.record_attempt(id);
        }
    }

    #[inline]
    pub(super) fn trace_sent(&mut self, id: u32, work: u32) {
        if self.trace.is_some() {
            self.record_sent(id, work);
        }
    }

    #[inline]
    pub(super) fn trace_attempt_over(&mut self, id: u32, outcome: Outcome) {
        if self.trace.is_some() {
            self.record_attempt_over(id, outcome);
        }
    }

    #[inline]
    pub(super) fn trace_call_over(&mut self, id: u32, outcome: Outcome) {
        if self.trace.is_some() {
            self.record_call_over(id, outcome);
        }
    }

    #[inline]
    pub(super) fn trace_work(&mut self, id: u32) {
        if self.trace.is_some() {
            self.record_work(id);
        }
    }

    /// `outcome`: None where nobody waits for the request any more and it is dropped.
    #[inline]
    pub(super) fn trace_work_over(&mut self, id: u32, outcome: Option<Outcome>) {
        if self.trace.is_some() {
            self.record_work_over(id, outcome);
        }
    }
}

/// What the hooks do.
impl Engine<'_> {
    #[cold]
    fn record_call(&mut self, id: u32) {
        let measured = self.measured();
        let Some(trace) = &mut self.trace else { return };
        let call = &self.calls.places[id as usize];
        let at = if call.parent == NONE {
            let begun = measured.then(|| trace.begin(call.stream, call.entry as usize));
            begun.flatten().map(|request| At {
                request,
                parent: None,
                span: None,
            })
        } else {
            let work = trace.works.get(&call.parent).copied();
            work.map(|at| At {
                parent: trace.id(at),
                span: None,
                ..at
            })
        };
        if let Some(at) = at
            && trace.goes_on(at.request)
        {
            trace.calls.insert(id, at);
        }
    }

    #[cold]
    fn record_attempt(&mut self, id: u32) {
        let Some(trace) = &mut self.trace else { return };
        let call = &self.calls.places[id as usize];
        // The gateway is no service: its side is not seen.
        let Some(caller) = self.mesh.edges[call.edge as usize].caller else {
            return;
        };
        let Some(at) = trace.calls.get(&id).copied() else {
            return;
        };
        let stream = mix(mix(call.stream, purpose::ATTEMPT), u64::from(call.attempt));
        let span = TraceSpan {
            id: mix(stream, CLIENT).max(1),
            parent: None,
            side: TraceSide::Client,
            service: caller,
            instance: call.proxy,
            peer: Some(self.edges[call.edge as usize].callee),
            attempt: call.attempt,
            starts_ns: self.now,
            ends_ns: self.now,
            outcome: None,
        };
        let span = trace.open(at, span);
        trace.calls.insert(id, At { span, ..at });
    }

    #[cold]
    fn record_sent(&mut self, id: u32, work: u32) {
        let Some(trace) = &mut self.trace else { return };
        if let Some(at) = trace.calls.get(&id).copied()
            && trace.goes_on(at.request)
        {
            let parent = trace.id(at);
            trace.works.insert(
                work,
                At {
                    parent,
                    span: None,
                    ..at
                },
            );
        }
    }

    #[cold]
    fn record_attempt_over(&mut self, id: u32, outcome: Outcome) {
        let now = self.now;
        let Some(trace) = &mut self.trace else { return };
        if let Some(at) = trace.calls.get(&id).copied() {
            trace.close(at, now, Some(outcome));
            trace.calls.insert(id, At { span: None, ..at });
        }
    }

    #[cold]
    fn record_call_over(&mut self, id: u32, outcome: Outcome) {
        let now = self.now;
        let Some(trace) = &mut self.trace else { return };
        if let Some(at) = trace.calls.remove(&id) {
            trace.close(at, now, Some(outcome));
            trace.is_over(at.request);
        }
    }

    #[cold]
    fn record_work(&mut self, id: u32) {
        let Some(trace) = &mut self.trace else { return };
        let Some(at) = trace.works.get(&id).copied() else {
            return;
        };
        let work = &self.works.places[id as usize];
        let call = (work.call != NONE).then(|| &self.calls.places[work.call as usize]);
        let span = TraceSpan {
            id: mix(work.stream, SERVER).max(1),
            parent: None,
            side: TraceSide::Server,
            service: work.service as usize,
            instance: work.instance - self.services[work.service as usize].first,
            peer: call.and_then(|call| self.mesh.edges[call.edge as usize].caller),
            attempt: call.map_or(0, |call| call.attempt),
            starts_ns: self.now,
            ends_ns: self.now,
            outcome: None,
        };
        let span = trace.open(at, span);
        trace.works.insert(id, At { span, ..at });
    }

    #[cold]
    fn record_work_over(&mut self, id: u32, outcome: Option<Outcome>) {
        let now = self.now;
        let Some(trace) = &mut self.trace else { return };
        if let Some(at) = trace.works.remove(&id) {
            trace.close(at, now, outcome);
            trace.is_over(at.request);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_wanted_are_kept_and_spread_over_all() {
        let mut recorder = Recorder::new(100);
        for request in 0..12_345 {
            if let Some(number) = recorder.begin(request, 0) {
                let span = TraceSpan {
                    id: 1,
                    parent: None,
                    side: TraceSide::Server,
                    service: 0,
                    instance: 0,
                    peer: None,
                    attempt: 0,
                    starts_ns: request,
                    ends_ns: request,
                    outcome: None,
                };
                let at = At {
                    request: number,
                    parent: None,
                    span: None,
                };
                recorder.open(at, span);
            }
            assert!(recorder.traces.len() <= 200);
        }
        let traces = recorder.finish().traces;
        assert_eq!(traces.len(), 100);
        let starts: Vec<u64> = traces
            .iter()
            .map(|trace| trace.spans[0].starts_ns)
            .collect();
        let gaps: Vec<u64> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(starts[0] < 260 && starts[99] > 12_000, "{starts:?}");
        assert!(gaps.iter().all(|gap| *gap <= 2 * 128), "{gaps:?}");
    }
}
