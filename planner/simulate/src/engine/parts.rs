//! The moving parts: calls, requests at work, instances, proxies and the links between them. Calls and requests live in slabs
//! whose places are used again, each with a generation so that a late event finds nobody.

use std::collections::VecDeque;

/// No place of a slab.
pub(super) const NONE: u32 = u32::MAX;

/// Places that are used again.
#[derive(Debug)]
pub(super) struct Slab<T> {
    pub places: Vec<T>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    #[inline]
    pub(super) fn insert(&mut self, make: impl FnOnce(Option<&T>) -> T) -> u32 {
        match self.free.pop() {
            Some(place) => {
                let made = make(Some(&self.places[place as usize]));
                self.places[place as usize] = made;
                place
            }
            None => {
                self.places.push(make(None));
                (self.places.len() - 1) as u32
            }
        }
    }

    #[inline]
    pub(super) fn release(&mut self, place: u32) {
        self.free.push(place);
    }

    pub(super) fn in_use(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

/// Where a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallState {
    /// No call: the place is free.
    Free,
    /// Waits for a connection.
    Pending,
    /// Sent.
    Sent,
    /// Waits before a further attempt.
    BackingOff,
}

/// Attempts whose instances are remembered.
pub(super) const TRIED: usize = 4;

/// A call from a proxy of a caller, with all of its attempts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub generation: u32,
    pub state: CallState,
    /// Holds a place among the retries in flight.
    pub counted_retry: bool,
    pub edge: u32,
    pub proxy: u32,
    /// The request that makes it; NONE: it came from outside.
    pub parent: u32,
    pub entry: u32,
    /// Of the request from outside, for all of its calls; drawn.
    pub priority: u32,
    pub attempt: u32,
    /// The instance chosen for this attempt, counted within its service.
    pub host: u32,
    /// The instances of the last attempts.
    pub tried: [u32; TRIED],
    pub work: u32,
    pub work_generation: u32,
    /// The next that waits for a connection to the same instance.
    pub next: u32,
    pub stream: u64,
    pub started: u64,
}

/// Where a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WorkState {
    Free,
    /// On its way to the instance.
    Travelling,
    /// In the queue of the instance's proxy.
    Pending,
    /// Waits for a worker.
    Queued,
    /// Holds a worker.
    Working,
    /// Waits for the calls it made.
    Calling,
}

/// A request at an instance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work {
    pub generation: u32,
    pub state: WorkState,
    /// Some call that it made has failed.
    pub failed: bool,
    /// Nobody waits for it any more and it is not done.
    pub dropped: bool,
    /// Holds one of the places that its instance's proxy lets in.
    pub let_in: bool,
    pub service: u32,
    /// Counted over all services.
    pub instance: u32,
    pub call: u32,
    pub call_generation: u32,
    pub priority: u32,
    /// The next in the queue that it stands in.
    pub next: u32,
    pub stage: u32,
    /// Calls of this stage still to be made, and made without an answer yet.
    pub to_make: u32,
    pub outstanding: u32,
    pub stream: u64,
    pub arrived: u64,
    /// Since when it holds its worker.
    pub since: u64,
}

/// A first-in first-out queue of places in a slab, linked through them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub head: u32,
    pub tail: u32,
    pub length: u32,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            head: NONE,
            tail: NONE,
            length: 0,
        }
    }
}

/// What an instance is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InstanceState {
    Off,
    Starting,
    Ready,
    /// Takes no more and ends when it is empty.
    Draining,
    /// Crashed: refuses connections until it is ready again.
    Down,
}

/// An instance with its proxy.
#[derive(Debug, Clone)]
pub(super) struct Instance {
    pub state: InstanceState,
    pub generation: u32,
    pub busy: u32,
    /// Requests that its proxy counts as let in, those that wait for other services included.
    pub admitted: u32,
    /// Requests inside; more than were let in where callers gave up and work goes on.
    pub inside: u32,
    pub queue: Line,
    pub pending: Line,
    pub tokens: f64,
    pub tokens_at: u64,
    /// Ready since; None: from the beginning, and warm.
    pub ready_at: Option<u64>,
    /// How many times longer work takes by faults.
    pub slowed: f64,
    pub service: u32,
    pub locality: u32,
    /// Stands in another region and is not part of what is planned.
    pub remote: bool,
    /// The fault that took it down, when, and whether it starts again when that is over (a crash) or was only out of reach.
    pub down_by: u32,
    pub down_at: u64,
    pub restarts: bool,
    pub threads: Threads,
}

/// Until when each thread of a proxy is busy.
pub(super) type Threads = [u64; crate::ProxyModel::MOST_THREADS as usize];

/// A proxy of a caller, for one edge.
#[derive(Debug, Clone, Default)]
pub(super) struct Proxy {
    pub in_flight: u32,
    pub pending: u32,
    pub connections: u32,
    pub retries: u32,
    pub turn: u32,
    pub locality: u32,
    /// Of a gateway's proxy; others share their instance's.
    pub threads: Threads,
    /// When success rates are compared next.
    pub sweep_at: u64,
    /// Instances out of rotation, with the time of their return.
    pub ejected: VecDeque<(u32, u64)>,
    /// Those that its balancer knows of and leaves out, since when, and when it hears news.
    pub left_out: Vec<u32>,
    pub told_at: Option<u64>,
    pub news_at: Option<u64>,
}

/// What one proxy knows of one instance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    pub active: u32,
    pub idle: u32,
    pub connections: u32,
    pub errors_in_row: u32,
    pub ejections: u32,
    /// Attempts that ended since the last sweep, and those that did not blame the instance.
    pub judged: u32,
    pub succeeded: u32,
    pub ejected_until: u64,
    /// The balancer leaves it out.
    pub left_out: bool,
    /// When the connection that all requests share is open; u64::MAX: none.
    pub open_at: u64,
    pub waiting: Line,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            active: 0,
            idle: 0,
            connections: 0,
            errors_in_row: 0,
            ejections: 0,
            judged: 0,
            succeeded: 0,
            ejected_until: 0,
            left_out: false,
            open_at: u64::MAX,
            waiting: Line::default(),
        }
    }
}
