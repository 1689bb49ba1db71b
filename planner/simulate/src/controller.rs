//! What reacts while the mesh runs: autoscalers and limiters see measurements at intervals and give orders.

use foremesh_model::RateLimit;

use crate::Latencies;

/// What a controller sees of a service: measured since it last looked.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ServiceView {
    /// Instances that take requests.
    pub ready: u32,
    /// Instances ordered, those that start included.
    pub ordered: u32,
    /// Workers of one instance.
    pub workers: u32,
    /// Share of the ready workers' time that was spent on work, 0 … 1 (a little above where instances ended).
    pub utilisation: f64,
    /// Requests a second that reached an instance.
    pub arrivals_rps: f64,
    /// Requests a second whose work was done.
    pub done_rps: f64,
    /// Mean milliseconds that they waited for a worker.
    pub mean_wait_ms: f64,
    /// Instances in which requests wait for a worker now.
    pub backlogged: u32,
    /// Milliseconds that the first in line has waited by now, mean of the ready instances: 0 where nobody waits.
    pub oldest_wait_ms: f64,
    /// Least and mean milliseconds from arrival at the instance to the answer, calls included; 0 where nothing was answered.
    pub least_ms: f64,
    /// The mean of the same.
    pub mean_ms: f64,
    /// Requests in queues now.
    pub queued: u32,
    /// Requests inside instances now, waiting for calls included.
    pub in_flight: u32,
}

/// What a controller sees of an entry: requests that ended since it last looked.
#[derive(Debug)]
pub struct EntryView<'a> {
    /// Requests a second that came.
    pub offered_rps: f64,
    /// Requests a second that were answered.
    pub answered_rps: f64,
    /// Requests a second that were answered within the objective's latency.
    pub good_rps: f64,
    /// Latencies of those that were answered.
    pub latency: &'a Latencies,
}

/// What a controller sees.
#[derive(Debug)]
pub struct View<'a> {
    /// Seconds since the start.
    pub now_s: f64,
    /// Seconds since it last looked.
    pub interval_s: f64,
    /// By service.
    pub services: &'a [ServiceView],
    /// By entry.
    pub entries: &'a [EntryView<'a>],
}

/// What a controller orders.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Order {
    /// So many instances of a service.
    Instances {
        /// The service.
        service: usize,
        /// How many.
        instances: u32,
    },
    /// Workers of each instance (processor share).
    Workers {
        /// The service.
        service: usize,
        /// How many.
        workers: u32,
    },
    /// Requests that each instance lets in at once; its proxy refuses the others and queues none from then on.
    Concurrency {
        /// The service.
        service: usize,
        /// How many.
        requests: u32,
    },
    /// The token bucket of each instance; None: everything is let in.
    RateLimit {
        /// The service.
        service: usize,
        /// The bucket.
        limit: Option<RateLimit>,
    },
    /// Share of the requests, the more important first, that a service's instances let in, 0 … 1.
    Priority {
        /// The service.
        service: usize,
        /// The share.
        share: f64,
    },
    /// Share of an entry's requests that are let in at the gateway, 0 … 1.
    Admission {
        /// The entry.
        entry: usize,
        /// The share.
        share: f64,
    },
}

/// Something that reacts.
pub trait Controller: Send {
    /// Seconds between two looks.
    fn interval_s(&self) -> f64;

    /// Looks, and orders.
    fn decide(&mut self, view: &View<'_>, orders: &mut Vec<Order>);
}
