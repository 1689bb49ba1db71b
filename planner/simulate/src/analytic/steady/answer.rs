//! What a steady state answers. Where the simulation reports the same quantity (`crate::report`), the field has the same name.

/// A service, all of its instances together.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ServiceAnswer {
    /// Requests a second that reach an instance, second attempts included.
    pub requests_rps: f64,
    /// Requests a second refused by token buckets.
    pub rate_limited_rps: f64,
    /// Requests a second refused for want of a place.
    pub refused_rps: f64,
    /// Worker time asked for ÷ worker time there is; above 1 where it is overloaded.
    pub utilisation: f64,
    /// Mean milliseconds that an admitted request waits for a worker.
    pub mean_wait_ms: f64,
    /// Requests that wait, on average.
    pub queued: f64,
    /// Mean milliseconds that a request that is answered spends at an instance, its calls included.
    pub inside_ms: f64,
    /// The fewest instances that can do what is asked.
    pub needs_instances: u32,
    /// The instances that there are.
    pub has_instances: u32,
}

impl ServiceAnswer {
    /// Whether more is asked than the instances can do: queues grow until something is turned away, and times are no steady state.
    #[must_use]
    pub fn overloaded(&self) -> bool {
        self.needs_instances > self.has_instances
    }
}

/// The calls on an edge.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct EdgeAnswer {
    /// Calls a second.
    pub calls_rps: f64,
    /// Attempts for each call.
    pub attempts_per_call: f64,
    /// Share of calls that are answered.
    pub availability: f64,
    /// Share of calls that end because their time, or that of their last attempt, runs out.
    pub cut_by_timeouts: f64,
    /// Share of calls that the caller's proxy turns away because it has too much in flight.
    pub overflow: f64,
    /// Mean milliseconds of the calls that are answered.
    pub latency_mean_ms: f64,
    /// The 99th percentile of all calls, at most the timeout.
    pub latency_p99_ms: f64,
}

/// An entry.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct EntryAnswer {
    /// Requests a second that come.
    pub offered_rps: f64,
    /// Requests a second that are answered.
    pub answered_rps: f64,
    /// Requests a second that are answered within the objective's latency.
    pub good_rps: f64,
    /// Share of requests that are answered.
    pub availability: f64,
    /// Mean milliseconds of those answered.
    pub latency_mean_ms: f64,
    /// Their median.
    pub latency_p50_ms: f64,
    /// Their 99th percentile.
    pub latency_p99_ms: f64,
    /// Their percentile of the objective.
    pub latency_objective_percentile_ms: f64,
    /// Share of minutes in which more requests are slow or failed than the objective allows.
    pub violated_minutes_share: f64,
    /// Whether latency and availability keep the objective.
    pub holds: bool,
}

/// A mesh in its steady state; services, edges and entries in the order of the mesh.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// Every service.
    pub services: Vec<ServiceAnswer>,
    /// Every kind of call.
    pub edges: Vec<EdgeAnswer>,
    /// Every entry.
    pub entries: Vec<EntryAnswer>,
    /// Cost of an hour of instances.
    pub cost_per_hour: f64,
    /// Entry-minutes violated in an hour.
    pub violation_minutes_per_hour: f64,
    /// Rounds until attempts, refusals and latencies agreed.
    pub rounds: u32,
}

impl Answer {
    /// Whether every entry keeps its objective.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.entries.iter().all(|entry| entry.holds)
    }

    /// The services that are asked for more than they can do: "checkout needs 9 instances, has 6".
    #[must_use]
    pub fn overloads(&self, mesh: &crate::Mesh) -> Vec<String> {
        let services = self.services.iter().zip(&mesh.services);
        services
            .filter(|(answer, _)| answer.overloaded())
            .map(|(answer, model)| {
                format!(
                    "service {} needs {} instances, has {}",
                    model.name, answer.needs_instances, answer.has_instances
                )
            })
            .collect()
    }
}
