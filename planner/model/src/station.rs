//! What one instance of a service can do, as the queue sees it, and where that knowledge comes from.

use petgraph::{Direction, visit::EdgeRef};
use thiserror::Error;

use crate::{Cost, Service, ServiceGraph, ServiceName};

/// p99 ÷ mean of an exponential time.
const P99_OF_EXPONENTIAL: f64 = 4.605;
/// Median ÷ mean of an exponential time.
const MEDIAN_OF_EXPONENTIAL: f64 = std::f64::consts::LN_2;

/// One instance of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct Station {
    /// Requests worked on at once.
    pub workers: u32,
    /// Mean milliseconds that a request holds a worker.
    pub holding_ms: f64,
    /// Mean milliseconds of the service's own work on a request.
    pub service_ms: f64,
    /// Squared coefficient of variation of that work.
    pub cv2: f64,
    /// Requests a second at which no worker is idle.
    pub saturation_rps: f64,
    /// Milliseconds of a thread that its sidecar spends on a request or a call that passes it: [`PROXY_MS`], or less where more was measured.
    pub proxy_ms: f64,
    /// Requests a second that its sidecar passes on, the calls that they make included.
    pub proxy_rps: f64,
    /// Fewest instances ever.
    pub min_instances: u32,
    /// Most instances ever.
    pub max_instances: u32,
    /// Seconds from the order of an instance until it is ready.
    pub startup_s: f64,
    /// Seconds from ready until warm.
    pub warm_up_s: f64,
    /// Cost of an instance for an hour.
    pub cost_per_hour: f64,
    /// Whether the same key should reach the same instance.
    pub cache_affinity: bool,
    /// It keeps state: as many instances run as there are, whatever is asked of them.
    pub stateful: bool,
    /// Somebody said what one instance can do. What keeps state and of which nobody did is taken to bear whatever comes.
    pub capacity_known: bool,
    /// The own time was derived from observed latencies of calls to it.
    pub from_observed_latency: bool,
    /// Fields that nobody gave, with what was assumed.
    pub assumed: Vec<(&'static str, f64)>,
}

/// Milliseconds of a thread that a sidecar spends on a request or a call that passes it: Istio's own measurement of 0.2 processors for a thousand
/// requests a second (istio.io, *Performance and Scalability*).
pub const PROXY_MS: f64 = 0.2;
/// Threads of a sidecar. Istio takes as many as its limit of processors allows, and that is two where nobody changes it.
pub const PROXY_THREADS: u32 = 2;
/// How busy its threads may be: each takes its requests one after the other, and at 85% one waits for three others on average (M/D/1).
pub const PROXY_BUSY: f64 = 0.85;

/// What of its two threads' time a sidecar may spend, in milliseconds a second.
const PROXY_MS_PER_S: f64 = PROXY_BUSY * PROXY_THREADS as f64 * 1000.0;

/// Requests a second that a proxy passes on where each makes so many calls.
#[must_use]
pub fn proxy_rps(calls: f64) -> f64 {
    PROXY_MS_PER_S / (PROXY_MS * (1.0 + calls))
}

impl Station {
    /// Requests a second that an instance bears: what its workers do or its sidecar passes on, whichever is less.
    #[must_use]
    pub fn bearable_rps(&self) -> f64 {
        self.saturation_rps.min(self.proxy_rps)
    }

    /// Whether it is taken to bear whatever comes, because it keeps state and nobody says what it can do.
    pub fn is_boundless(&self) -> bool {
        self.stateful && !self.capacity_known
    }

    /// Seconds from placing an order until an instance is warm.
    pub fn lead_s(&self) -> f64 {
        self.startup_s + self.warm_up_s
    }
}

/// Workers of an instance that is taken to bear whatever comes: requests wait for none.
const BOUNDLESS_WORKERS: u32 = 100_000;

/// A capacity that no service can have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("services[\"{service}\"].capacity.{field} {cause}")]
pub struct CapacityFault {
    /// The service.
    pub service: ServiceName,
    /// The field.
    pub field: &'static str,
    /// What is wrong with it.
    pub cause: &'static str,
}

/// The stations of all services, in order of name. `cost` holds where a service's own is not known.
///
/// # Errors
/// [`CapacityFault`] for the first capacity that cannot be.
pub fn stations(graph: &ServiceGraph, cost: &Cost) -> Result<Vec<Station>, CapacityFault> {
    graph
        .petgraph()
        .node_indices()
        .map(|node| {
            let service = &graph.petgraph()[node];
            if let Some((field, cause)) = service.capacity.fault() {
                return Err(CapacityFault {
                    service: service.name.clone(),
                    field,
                    cause,
                });
            }
            let calls = graph.petgraph().edges(node);
            let calls: f64 = calls.map(|call| call.weight().fan_out()).sum();
            let own_ms = observed_own_ms(graph, node);
            Ok(station(service, own_ms, calls, cost))
        })
        .collect()
}

fn station(service: &Service, observed_own_ms: Option<f64>, calls: f64, cost: &Cost) -> Station {
    let capacity = &service.capacity;
    let from_observed_latency =
        capacity.service_time_mean_ms.is_none() && observed_own_ms.is_some();
    let service_ms = capacity
        .service_time_mean_ms
        .or(observed_own_ms)
        .unwrap_or_else(|| capacity.service_time_mean_ms());
    let stateful = service.is_stateful();
    let capacity_known = capacity.capacity_rps.is_some() || capacity.concurrency.is_some();
    let workers_given = if stateful && !capacity_known {
        BOUNDLESS_WORKERS
    } else {
        capacity.concurrency()
    };
    let (workers, saturation_rps) = match capacity.capacity_rps {
        // A measured capacity says how many requests the instance really works on at once (Little's law).
        Some(measured) => (
            (measured * service_ms / 1000.0)
                .round()
                .clamp(1.0, 100_000.0) as u32,
            measured,
        ),
        None => (
            workers_given.max(1),
            f64::from(workers_given.max(1)) * 1000.0 / service_ms,
        ),
    };
    let holding_ms = f64::from(workers) * 1000.0 / saturation_rps;
    let proxy_ms = match capacity.capacity_rps {
        // What was measured of an instance was measured with its sidecar.
        Some(measured) => PROXY_MS.min(PROXY_MS_PER_S / (measured * (1.0 + calls))),
        None if stateful && !capacity_known => 0.0,
        None => PROXY_MS,
    };
    let (min_instances, max_instances) = if stateful {
        let there_are = service.instances.unwrap_or(1).max(1);
        (there_are, there_are)
    } else {
        let fewest = capacity.min_instances().max(1);
        (fewest, capacity.max_instances().max(fewest))
    };
    let assumed = capacity
        .assumed()
        .into_iter()
        .filter(|d| match d.field {
            "service_time_mean_ms" => !from_observed_latency,
            "concurrency" => capacity.capacity_rps.is_none() && !stateful,
            // The request states the cost of an instance hour, and the size of answers moves nothing here.
            "instance_cost_per_hour" | "response_bytes" => false,
            // Nothing starts, warms up or is added where state is kept.
            _ => !stateful,
        })
        .map(|d| (d.field, d.value))
        .collect();
    Station {
        workers,
        holding_ms,
        service_ms: service_ms.max(if workers == 1 { holding_ms } else { 0.0 }),
        cv2: capacity.service_time_cv2(),
        saturation_rps,
        proxy_ms,
        proxy_rps: PROXY_MS_PER_S / (proxy_ms * (1.0 + calls)),
        min_instances,
        max_instances,
        startup_s: capacity.startup_s(),
        warm_up_s: capacity.warm_up_s(),
        cost_per_hour: capacity
            .instance_cost_per_hour
            .unwrap_or(cost.instance_per_hour),
        cache_affinity: capacity.cache_affinity(),
        stateful,
        capacity_known,
        from_observed_latency,
        assumed,
    }
}

/// The service's own share of the latency that its callers observe, or that it shows itself where none does: the observed mean
/// less that of the calls it makes itself. None where nobody observed it.
fn observed_own_ms(graph: &ServiceGraph, node: petgraph::graph::NodeIndex) -> Option<f64> {
    let mean_of = |p50: Option<f64>, p99: Option<f64>| match (p50, p99) {
        (Some(p50), Some(p99)) if p50 > 0.0 && p99 > p50 => {
            // Log-normal through both, kept to a sane spread.
            let scale = ((p99 / p50).ln() / 2.326_347_874).min(1.5);
            Some(p50 * (0.5 * scale * scale).exp())
        }
        (Some(p50), _) if p50 > 0.0 => Some(p50 / MEDIAN_OF_EXPONENTIAL),
        (_, Some(p99)) if p99 > 0.0 => Some(p99 / P99_OF_EXPONENTIAL),
        _ => None,
    };
    let mean = |edge: &crate::Edge| mean_of(edge.latency_p50_ms, edge.latency_p99_ms);
    let petgraph = graph.petgraph();
    let (mut sum, mut weight) = (0.0, 0.0);
    for edge in petgraph.edges_directed(node, Direction::Incoming) {
        if edge.source() == node {
            continue;
        }
        if let Some(mean) = mean(edge.weight()) {
            let w = edge.weight().rate_rps.unwrap_or(1.0).max(1e-6);
            sum += w * mean;
            weight += w;
        }
    }
    let whole = if weight > 0.0 {
        sum / weight
    } else {
        // Nobody was seen to call it (an entry): what it shows itself.
        let measured = petgraph[node].measured;
        mean_of(measured.latency_p50_ms, measured.latency_p99_ms)?
    };
    let (mut one_by_one, mut beside) = (0.0, 0.0f64);
    for edge in petgraph.edges(node) {
        if let Some(mean) = mean(edge.weight()).filter(|_| edge.target() != node) {
            let spent = mean * edge.weight().fan_out();
            if edge.weight().sequential.unwrap_or(true) {
                one_by_one += spent;
            } else {
                beside = beside.max(spent);
            }
        }
    }
    // Observations of different sources may contradict each other; a tenth of the whole is the least that is believed.
    Some((whole - one_by_one - beside).max(0.1 * whole).max(0.05))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Capacity, Edge};

    fn name(n: &str) -> ServiceName {
        ServiceName::new(n).unwrap()
    }

    fn with(capacity: Capacity) -> Station {
        let service = Service {
            capacity,
            ..Service::named(name("a"))
        };
        station(&service, None, 1.0, &Cost::default())
    }

    #[test]
    fn measured_capacity_wins_and_doubling_doubles() {
        let of = |rps| {
            with(Capacity {
                capacity_rps: Some(rps),
                service_time_mean_ms: Some(20.0),
                ..Capacity::default()
            })
        };
        assert_eq!((of(400.0).workers, of(800.0).workers), (8, 16));
        assert_eq!(of(800.0).saturation_rps, 800.0);
        assert!((of(800.0).holding_ms - 20.0).abs() < 1e-9);
        let narrow = of(10.0);
        assert!(
            narrow.workers == 1 && narrow.service_ms == 100.0,
            "{narrow:?}"
        );
    }

    #[test]
    fn fast_work_is_bounded_by_the_sidecar_unless_more_was_measured() {
        // 8 workers of 0.4 ms do 20,000 requests/s; two threads that are 85% busy pass 8,500, half of them calls.
        let fast = Capacity {
            service_time_mean_ms: Some(0.4),
            concurrency: Some(8),
            ..Capacity::default()
        };
        let bound = with(fast.clone());
        assert!((bound.saturation_rps - 20_000.0).abs() < 1e-6);
        assert!((bound.bearable_rps() - 4_250.0).abs() < 1e-6, "{bound:?}");
        let measured = with(Capacity {
            capacity_rps: Some(9_000.0),
            ..fast
        });
        assert!((measured.bearable_rps() - 9_000.0).abs() < 1e-6);
        assert!((measured.proxy_rps - 9_000.0).abs() < 1e-6, "{measured:?}");
        let slow = with(Capacity::default());
        assert_eq!(slow.bearable_rps(), slow.saturation_rps);
    }

    #[test]
    fn an_entry_that_nobody_calls_is_timed_by_what_it_shows_itself() {
        let measured = |p99| crate::ServiceMeasures {
            latency_p99_ms: p99,
            ..Default::default()
        };
        let of = |p99| {
            let entry = Service {
                measured: measured(p99),
                ..Service::named(name("a"))
            };
            let call = Edge {
                latency_p99_ms: Some(2.0 * P99_OF_EXPONENTIAL),
                fan_out: Some(3.0),
                ..Edge::between(name("a"), name("b"))
            };
            let graph = ServiceGraph::new(vec![entry, Service::named(name("b"))], vec![call]);
            stations(&graph.unwrap(), &Cost::default()).unwrap()[0].clone()
        };
        // A mean of 10 ms, of which three calls of 2 ms each are waiting.
        let known = of(Some(10.0 * P99_OF_EXPONENTIAL));
        assert!((known.service_ms - 4.0).abs() < 1e-9, "{known:?}");
        assert!(known.from_observed_latency && known.workers == 8);
        let unknown = of(None);
        assert!(unknown.service_ms == 20.0 && !unknown.from_observed_latency);
    }

    #[test]
    fn own_time_is_what_callers_see_less_what_it_waits_for() {
        let edge = |a, b, p50| Edge {
            latency_p50_ms: Some(p50),
            ..Edge::between(name(a), name(b))
        };
        let graph = ServiceGraph::new(
            ["a", "b", "c"]
                .map(|n| Service::named(name(n)))
                .into_iter()
                .collect(),
            vec![edge("a", "b", 100.0), edge("b", "c", 30.0)],
        )
        .unwrap();
        let stations = stations(&graph, &Cost::default()).unwrap();
        assert!((stations[1].service_ms - 70.0 / MEDIAN_OF_EXPONENTIAL).abs() < 1e-9);
        assert!(stations[1].from_observed_latency && !stations[0].from_observed_latency);
        assert!(
            stations[0]
                .assumed
                .contains(&("service_time_mean_ms", 20.0))
        );
        assert!(
            !stations[1]
                .assumed
                .iter()
                .any(|(f, _)| *f == "service_time_mean_ms")
        );
    }
}
