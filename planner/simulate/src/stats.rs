//! What one run counts.

use hdrhistogram::Histogram;

use crate::{Mesh, Outcome};

/// Nanoseconds of a microsecond: what histograms keep.
const NS_PER_US: f64 = 1e3;
/// An hour in microseconds: longer latencies count as this long.
const LONGEST_US: u64 = 3_600_000_000;

/// Latencies in a histogram of two or three digits (Tene, HdrHistogram), with their exact sum.
#[derive(Debug, Clone)]
pub struct Latencies {
    histogram: Option<Histogram<u64>>,
    sum_ns: f64,
    count: u64,
}

impl Latencies {
    /// Empty, with this many exact digits.
    #[must_use]
    pub fn new(digits: u8) -> Self {
        Self {
            histogram: Histogram::new_with_bounds(1, LONGEST_US, digits).ok(),
            sum_ns: 0.0,
            count: 0,
        }
    }

    #[inline]
    pub(crate) fn record(&mut self, ns: u64) {
        self.sum_ns += ns as f64;
        self.count += 1;
        if let Some(histogram) = &mut self.histogram {
            histogram
                .saturating_record(((ns as f64 / NS_PER_US).round() as u64).clamp(1, LONGEST_US));
        }
    }

    /// Adds what another run measured.
    pub fn merge(&mut self, other: &Self) {
        self.sum_ns += other.sum_ns;
        self.count += other.count;
        if let (Some(own), Some(others)) = (&mut self.histogram, &other.histogram) {
            // Both have the same bounds, so nothing can be out of them.
            let _ = own.add(others);
        }
    }

    /// Adds what another run measured as if it had been measured so many times: a sample that stands for more than itself.
    pub fn merge_times(&mut self, other: &Self, times: u64) {
        self.sum_ns += other.sum_ns * times as f64;
        self.count += other.count * times;
        if let (Some(own), Some(others)) = (&mut self.histogram, &other.histogram) {
            for value in others.iter_recorded() {
                own.saturating_record_n(
                    value.value_iterated_to().min(LONGEST_US),
                    value.count_at_value() * times,
                );
            }
        }
    }

    /// How many were measured.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their mean in milliseconds; 0 for none.
    #[must_use]
    pub fn mean_ms(&self) -> f64 {
        if self.count == 0 {
            0.0
        } else {
            self.sum_ns / self.count as f64 / 1e6
        }
    }

    /// The milliseconds that a share `level` (0 … 1) of them does not exceed; 0 for none.
    #[must_use]
    pub fn quantile_ms(&self, level: f64) -> f64 {
        let at = self.histogram.as_ref().filter(|h| !h.is_empty());
        at.map_or(0.0, |h| h.value_at_quantile(level) as f64 / 1e3)
    }

    /// The share of them above `ms`; 0 for none.
    #[must_use]
    pub fn share_above(&self, ms: f64) -> f64 {
        let histogram = self.histogram.as_ref().filter(|h| !h.is_empty());
        histogram.map_or(0.0, |h| {
            let below = h.count_between(0, (ms * 1e3).max(0.0) as u64);
            1.0 - below as f64 / h.len() as f64
        })
    }
}

/// What happened on an edge.
#[derive(Debug, Clone)]
pub struct EdgeRun {
    /// Latency of calls as the caller sees it, all attempts together, failed calls included.
    pub latency: Latencies,
    /// Calls that ended, by [`Outcome`].
    pub outcomes: [u64; Outcome::COUNT],
    /// Attempts that were sent.
    pub attempts: u64,
    /// Instances taken out of rotation, by any proxy.
    pub ejections: u64,
    /// Connections opened.
    pub connections: u64,
    /// Bytes sent to and from another region.
    pub cross_region_bytes: f64,
}

/// What happened at a service.
#[derive(Debug, Clone, Default)]
pub struct ServiceRun {
    /// Requests that reached an instance.
    pub requests: u64,
    /// How many reached each place for an instance, those in other regions last.
    pub requests_by_instance: Vec<u64>,
    /// Requests that reached an instance in another region.
    pub elsewhere: u64,
    /// Most requests in queues at once.
    pub most_queued: u32,
    /// Requests whose work was done.
    pub done: u64,
    /// Worker-seconds that were spent on work.
    pub busy_s: f64,
    /// Worker-seconds that there were, those of instances that only finish what they have included.
    pub offered_s: f64,
    /// Request-seconds in queues of workers and of proxies.
    pub queued_s: f64,
    /// Instance-seconds, from order to end.
    pub instance_s: f64,
    /// The same as they are paid for: in proportion to the workers where a controller changed them.
    pub paid_instance_s: f64,
    /// Requests refused by the token bucket.
    pub rate_limited: u64,
    /// Requests refused for want of a place.
    pub refused: u64,
}

/// What happened at an entry.
#[derive(Debug, Clone)]
pub struct EntryRun {
    /// Latency of requests that were answered.
    pub latency: Latencies,
    /// Requests that ended, by [`Outcome`].
    pub outcomes: [u64; Outcome::COUNT],
    /// Requests that the go-live ramp left elsewhere.
    pub elsewhere: u64,
    /// Minutes in which more requests were slow or failed than the objective allows.
    pub violation_minutes: u32,
    /// Minutes with any request.
    pub minutes: u32,
    /// Twelve bytes for each minute that is measured.
    by_minute: Vec<Minute>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Minute {
    requests: u32,
    slow: u32,
    failed: u32,
}

impl EntryRun {
    pub(crate) fn new() -> Self {
        Self {
            latency: Latencies::new(3),
            outcomes: [0; Outcome::COUNT],
            elsewhere: 0,
            violation_minutes: 0,
            minutes: 0,
            by_minute: Vec::new(),
        }
    }

    /// `came`: nanoseconds after the begin of the measurement, whose minutes are therefore whole ones whatever the warm-up.
    pub(crate) fn record(
        &mut self,
        came: u64,
        ns: u64,
        outcome: Outcome,
        slo: &foremesh_model::Slo,
    ) {
        const MINUTE_NS: u64 = 60_000_000_000;
        let at = (came / MINUTE_NS) as usize;
        if at >= self.by_minute.len() {
            self.by_minute.resize(at + 1, Minute::default());
        }
        let minute = &mut self.by_minute[at];
        self.outcomes[outcome as usize] += 1;
        minute.requests += 1;
        if outcome == Outcome::Ok {
            self.latency.record(ns);
            minute.slow += u32::from(ns as f64 > slo.latency_ms * 1e6);
        } else {
            minute.failed += 1;
        }
    }

    /// Judges every minute: it is violated when more of the requests that came in it are slow or failed than the objective allows.
    pub(crate) fn judge(&mut self, slo: &foremesh_model::Slo) {
        let came = || self.by_minute.iter().filter(|minute| minute.requests > 0);
        self.minutes = came().count() as u32;
        self.violation_minutes = came()
            .filter(|minute| {
                let requests = f64::from(minute.requests);
                let may_fail = (requests * (1.0 - slo.availability)).max(1.0);
                let may_be_slow = (requests * (1.0 - slo.percentile / 100.0)).max(1.0);
                f64::from(minute.failed) > may_fail
                    || f64::from(minute.slow + minute.failed) > may_be_slow
            })
            .count() as u32;
    }

    /// Requests that ended, or were open at the end for longer than the objective allows.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.outcomes.iter().sum()
    }

    /// The share of them that were answered; 1 for none.
    #[must_use]
    pub fn availability(&self) -> f64 {
        match self.requests() {
            0 => 1.0,
            all => self.outcomes[Outcome::Ok as usize] as f64 / all as f64,
        }
    }
}

/// What one run measured, after its warm-up.
#[derive(Debug, Clone)]
pub struct Run {
    /// Seconds that were measured.
    pub measured_s: f64,
    /// By entry.
    pub entries: Vec<EntryRun>,
    /// By edge.
    pub edges: Vec<EdgeRun>,
    /// By service.
    pub services: Vec<ServiceRun>,
    /// Events of the whole run, warm-up included.
    pub events: u64,
    /// Requests that came in the whole run, warm-up included.
    pub roots: u64,
    /// Most calls that were open at once.
    pub most_open_calls: usize,
}

impl Run {
    /// Nothing measured yet; `places` for instances of each service.
    pub(crate) fn blank(mesh: &Mesh, places: impl Iterator<Item = u32>, measured_s: f64) -> Self {
        let edge = |_| EdgeRun {
            latency: Latencies::new(2),
            outcomes: [0; Outcome::COUNT],
            attempts: 0,
            ejections: 0,
            connections: 0,
            cross_region_bytes: 0.0,
        };
        let service = |places| ServiceRun {
            requests_by_instance: vec![0; places as usize],
            ..ServiceRun::default()
        };
        Self {
            measured_s,
            entries: mesh.entries.iter().map(|_| EntryRun::new()).collect(),
            edges: mesh.edges.iter().map(edge).collect(),
            services: places.map(service).collect(),
            events: 0,
            roots: 0,
            most_open_calls: 0,
        }
    }
}
