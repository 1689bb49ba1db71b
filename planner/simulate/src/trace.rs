//! Traces of simulated requests as plain data: what a tracer beside every service would have seen. How a file of them is written is the
//! business of whoever writes it.

use crate::Outcome;

/// Whole traces of some of the requests of a run, spread evenly over them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TraceSample {
    /// The traces, in the order in which their requests came.
    pub traces: Vec<Trace>,
    /// Traces that are left out because some of their work was not over when the run ended.
    pub unfinished: usize,
}

/// What one request from outside set off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Its identifier, a function of the seed and the request.
    pub id: u128,
    /// Index of the entry.
    pub entry: usize,
    /// Its spans in the order in which they began. The gateway has none: the first is the entry service's.
    pub spans: Vec<TraceSpan>,
}

/// On which side of a call a span was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceSide {
    /// An attempt of a call, as the caller sees it: from its start, waiting for a connection included, to its answer or its timeout.
    Client,
    /// The service's handling of a request: from when a worker takes it up to its answer, waiting for its own calls included.
    Server,
}

/// One side of one attempt of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceSpan {
    /// Its identifier within the trace.
    pub id: u64,
    /// The identifier of the span that it is part of; None: the request came from outside.
    pub parent: Option<u64>,
    /// Which side.
    pub side: TraceSide,
    /// Index of the service that the span belongs to.
    pub service: usize,
    /// The instance of that service, counted within it.
    pub instance: u32,
    /// Index of the service on the other side; None: the gateway.
    pub peer: Option<usize>,
    /// Attempts of the same call before this one.
    pub attempt: u32,
    /// Nanoseconds after the start of the run, its warm-up included.
    pub starts_ns: u64,
    /// Nanoseconds after the start of the run, its warm-up included.
    pub ends_ns: u64,
    /// How it ended; None: nobody waited any more and the work was dropped.
    pub outcome: Option<Outcome>,
}
