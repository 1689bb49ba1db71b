//! The analytic cousin of the simulation: the same mesh in a steady state, in formulas, in microseconds.
//!
//! A round goes down the calls (`flows`: what reaches each service, what its limits turn away, how long requests wait) and up again
//! (`calls`: what each call takes, whether it is answered, how often it is tried). Attempts, refusals and latencies depend on each other, so
//! rounds go on until they agree; nearly always the first is enough. Nothing is allocated after the first evaluation.
//!
//! What a steady state does not hold is left out: faults, ejection, slow start, instances that start, connections that open, controllers. Queues
//! are taken to be independent of each other; see the table in BENCHMARKS.md for what that costs, and `tests/steady_state.rs` for the
//! bounds that are kept.

mod answer;
mod arrivals;
mod calls;
mod flows;

pub use answer::{Answer, EdgeAnswer, EntryAnswer, ServiceAnswer};

use super::{Calls, GammaQuantile, Moments, Scratch, loss::poisson_exceeds};
use crate::{Mesh, Outcome, SimulateError};
use calls::{EdgeState, Upward};
use flows::Flow;

/// Rounds after which the last answer counts.
const MOST_ROUNDS: u32 = 30;
/// Attempts for each call and shares that move less than this from round to round agree.
const AGREE: f64 = 5e-4;

/// What changes from one evaluation to the next beside the settings of the mesh.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Load {
    /// Requests a second, by entry.
    pub entry_rps: Vec<f64>,
    /// Ready instances, by service.
    pub instances: Vec<u32>,
}

impl Load {
    /// What a mesh says of a time in seconds after its start. A record counts with its rate in the minute around it.
    #[must_use]
    pub fn at(mesh: &Mesh, time_s: f64) -> Self {
        let entry_rps = mesh
            .entries
            .iter()
            .map(|entry| entry.arrivals.rate_rps(time_s))
            .collect();
        let instances = mesh
            .services
            .iter()
            .map(|service| {
                let mut so_far = service.instances.iter().filter(|s| s.starts_s <= time_s);
                so_far.next_back().map_or(0, |step| step.instances)
            })
            .collect();
        Self {
            entry_rps,
            instances,
        }
    }
}

/// What of a service's work does not change.
#[derive(Debug, Clone, Copy)]
struct Work {
    mean_ms: f64,
    cv2: f64,
    moments: Moments,
}

/// A mesh prepared to be evaluated many times.
///
/// The structure is fixed when it is made: services and their work, edges, entries, and their objectives' percentiles. Settings (limits,
/// timeouts, retries, balancers) are read from the mesh that each evaluation is given.
#[derive(Debug, Clone)]
pub struct SteadyState {
    calls: Calls,
    work: Vec<Work>,
    /// Requests at each service for each request of each entry, `[entry][service]`.
    visits: Vec<Vec<f64>>,
    /// The callee of each edge.
    edge_ends: Vec<usize>,
    percentiles: Vec<f64>,
    objective: Vec<GammaQuantile>,
    median: GammaQuantile,
    p99: GammaQuantile,
    own: Vec<Moments>,
    whole: Vec<Moments>,
    scratch: Scratch,
    flows: Vec<Flow>,
    edges: Vec<EdgeState>,
    answer: Answer,
}

impl SteadyState {
    /// Prepares a mesh.
    ///
    /// # Errors
    /// [`SimulateError`] when a number or an index of the mesh cannot be, nothing enters, or calls feed on themselves.
    pub fn of(mesh: &Mesh) -> Result<Self, SimulateError> {
        mesh.check()?;
        if mesh.entries.is_empty() {
            return Err(SimulateError::NoDemand);
        }
        let (calls, visits) = Calls::of_mesh(mesh)?;
        let work = mesh
            .services
            .iter()
            .map(|service| {
                let (mean_ms, cv2) = service.work.mean_and_cv2();
                Work {
                    mean_ms,
                    cv2,
                    moments: Moments::gamma(mean_ms, cv2),
                }
            })
            .collect();
        let edge_ends: Vec<usize> = mesh.edges.iter().map(|edge| edge.callee).collect();
        let visits = mesh
            .entries
            .iter()
            .map(|entry| {
                let mut enters = vec![0.0; mesh.services.len()];
                enters[edge_ends[entry.edge]] = 1.0;
                visits.rates(&enters)
            })
            .collect();
        let percentiles: Vec<f64> = mesh.entries.iter().map(|e| e.slo.percentile).collect();
        Ok(Self {
            objective: percentiles
                .iter()
                .map(|percentile| GammaQuantile::at(percentile / 100.0))
                .collect(),
            percentiles,
            median: GammaQuantile::at(0.5),
            p99: GammaQuantile::at(0.99),
            own: vec![Moments::default(); mesh.services.len()],
            whole: Vec::new(),
            scratch: Scratch::default(),
            flows: vec![Flow::default(); mesh.services.len()],
            edges: vec![EdgeState::default(); mesh.edges.len()],
            answer: Answer {
                services: vec![ServiceAnswer::default(); mesh.services.len()],
                edges: vec![EdgeAnswer::default(); mesh.edges.len()],
                entries: vec![EntryAnswer::default(); mesh.entries.len()],
                ..Answer::default()
            },
            calls,
            work,
            visits,
            edge_ends,
        })
    }

    /// Answers for a load, with the settings of `mesh`: the mesh that this was made of, whatever its settings are now. The same whatever was
    /// asked before.
    ///
    /// # Errors
    /// [`SimulateError::Index`] when mesh or load have another number of services, edges or entries.
    pub fn evaluate(&mut self, mesh: &Mesh, load: &Load) -> Result<&Answer, SimulateError> {
        self.check(mesh, load)?;
        for edge in &mut self.edges {
            *edge = EdgeState::default();
        }
        for flow in &mut self.flows {
            *flow = Flow::default();
        }
        self.expect_errors(mesh);
        for round in 1..=MOST_ROUNDS {
            self.down(mesh, load);
            let mut view = Upward {
                mesh,
                load,
                calls: &self.calls,
                own: &self.own,
                flows: &mut self.flows,
                edges: &mut self.edges,
                p99: &self.p99,
                moved: 0.0,
                damping: if round < 6 { 1.0 } else { 0.5 },
            };
            self.calls
                .compose_into(&self.own, &mut self.whole, &mut self.scratch, &mut view);
            for entry in &mesh.entries {
                let callee = self.edge_ends[entry.edge];
                view.edge(entry.edge, callee, self.whole[callee]);
            }
            self.answer.rounds = round;
            if view.moved < AGREE {
                break;
            }
        }
        self.sum_up(mesh, load);
        Ok(&self.answer)
    }

    fn check(&self, mesh: &Mesh, load: &Load) -> Result<(), SimulateError> {
        for (subject, kind, index, count) in [
            ("the mesh", "services", mesh.services.len(), self.work.len()),
            ("the mesh", "edges", mesh.edges.len(), self.edges.len()),
            ("the mesh", "entries", mesh.entries.len(), self.visits.len()),
            (
                "the load",
                "services",
                load.instances.len(),
                self.work.len(),
            ),
            (
                "the load",
                "entries",
                load.entry_rps.len(),
                self.visits.len(),
            ),
        ] {
            if index != count {
                return Err(SimulateError::Index {
                    subject: subject.into(),
                    kind,
                    index,
                    count,
                });
            }
        }
        match mesh.entries.iter().find(|e| e.edge >= self.edges.len()) {
            Some(entry) => Err(SimulateError::Index {
                subject: entry.name.clone(),
                kind: "edge",
                index: entry.edge,
                count: self.edges.len(),
            }),
            None => Ok(()),
        }
    }

    fn sum_up(&mut self, mesh: &Mesh, load: &Load) {
        let answer = &mut self.answer;
        answer.cost_per_hour = 0.0;
        for (s, service) in mesh.services.iter().enumerate() {
            let instances = load.instances[s];
            answer.cost_per_hour += f64::from(instances) * service.cost_per_hour;
            answer.services[s] = self.flows[s].answer(service.workers, instances, &self.work[s]);
        }
        for (e, edge) in self.edges.iter().enumerate() {
            answer.edges[e] = edge.answer();
        }
        answer.violation_minutes_per_hour = 0.0;
        for (e, entry) in mesh.entries.iter().enumerate() {
            // A percentile that was changed since is prepared anew.
            if self.percentiles[e] != entry.slo.percentile {
                self.percentiles[e] = entry.slo.percentile;
                self.objective[e] = GammaQuantile::at(entry.slo.percentile / 100.0);
            }
            let edge = &self.edges[entry.edge];
            let offered_rps = load.entry_rps[e].max(0.0);
            let timeout_ms = mesh.edges[entry.edge].timeout_ms.unwrap_or(f64::INFINITY);
            let at = |quantile: &GammaQuantile| quantile.of(edge.answered).min(timeout_ms);
            let slow = edge.answered.cut(entry.slo.latency_ms).0;
            let objective_ms = at(&self.objective[e]);
            let violated = violated(&entry.slo, 60.0 * offered_rps, edge.availability, slow);
            answer.violation_minutes_per_hour += 60.0 * violated;
            answer.entries[e] = EntryAnswer {
                offered_rps,
                answered_rps: offered_rps * edge.availability,
                good_rps: offered_rps * edge.availability * (1.0 - slow),
                availability: edge.availability,
                latency_mean_ms: edge.answered.mean,
                latency_p50_ms: at(&self.median),
                latency_p99_ms: at(&self.p99),
                latency_objective_percentile_ms: objective_ms,
                violated_minutes_share: violated,
                holds: edge.availability >= entry.slo.availability
                    && objective_ms <= entry.slo.latency_ms,
            };
        }
    }
}

/// The share of minutes in which more requests fail, or fail or are slow, than the objective allows, as the simulation judges minutes: Poisson
/// counts, independent of each other.
fn violated(slo: &foremesh_model::Slo, requests: f64, availability: f64, slow: f64) -> f64 {
    if requests <= 0.0 {
        return 0.0;
    }
    let failed = requests * (1.0 - availability);
    let may_fail = (requests * (1.0 - slo.availability)).max(1.0);
    let may_be_slow = (requests * (1.0 - slo.percentile / 100.0)).max(1.0);
    let by_failures = poisson_exceeds(may_fail, failed);
    let by_latency = poisson_exceeds(may_be_slow, failed + requests * availability * slow);
    // Failures count in both: the likelier of the two decides.
    by_failures.max(by_latency).clamp(0.0, 1.0)
}

/// Whether an outcome is one that a call's retries are for.
fn tried_again(retries: &crate::RetryModel, outcome: Outcome) -> bool {
    match outcome {
        Outcome::Error | Outcome::AttemptTimeout => retries.on_5xx,
        Outcome::Connection => retries.on_connect_failure || retries.on_5xx,
        _ => false,
    }
}
