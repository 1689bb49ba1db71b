//! Many runs with different seeds, and what they agree on: each number with its 95% confidence interval over the runs.

use std::collections::BTreeMap;

use foremesh_model::random::mix;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::{
    Controller, Mesh, Outcome, Progress, Run, RunOptions, SimulateError, TraceSample,
    engine::{simulate_recorded, tables},
};

/// A number with how sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Estimate {
    /// The mean over the runs.
    pub mean: f64,
    /// Half of the 95% confidence interval (Student's t over the runs); None: one run says nothing of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub half_width: Option<f64>,
}

impl Estimate {
    /// From one number of each run.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        if values.is_empty() {
            return Self::default();
        }
        let mean = values.iter().sum::<f64>() / n;
        let half_width = (values.len() > 1).then(|| {
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
            let t = StudentsT::new(0.0, 1.0, n - 1.0).map_or(1.96, |t| t.inverse_cdf(0.975));
            t * (variance / n).sqrt()
        });
        Self { mean, half_width }
    }

    /// Whether it is 0 in every run: files leave it out.
    fn is_zero(&self) -> bool {
        self.mean == 0.0
    }

    /// Whether a value lies inside the interval.
    #[must_use]
    pub fn covers(&self, value: f64) -> bool {
        (value - self.mean).abs() <= self.half_width.unwrap_or(0.0)
    }
}

/// What simulated requests of an entry lived through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EntryReport {
    /// Requests a second that came.
    pub offered_rps: Estimate,
    /// Requests a second that were answered.
    pub answered_rps: Estimate,
    /// Requests a second that were answered within the objective's latency.
    pub good_rps: Estimate,
    /// Requests a second that the go-live ramp left elsewhere; not part of those that came.
    #[serde(default, skip_serializing_if = "Estimate::is_zero")]
    pub elsewhere_rps: Estimate,
    /// Share of requests that were answered.
    pub availability: Estimate,
    /// Share of requests that ended otherwise, by word of [`Outcome`]; those that never occurred are left out.
    pub failures: BTreeMap<String, Estimate>,
    /// Mean milliseconds of those answered.
    pub latency_mean_ms: Estimate,
    /// Their median.
    pub latency_p50_ms: Estimate,
    /// Their 99th percentile.
    pub latency_p99_ms: Estimate,
    /// Their 99.9th percentile.
    pub latency_p999_ms: Estimate,
    /// Their percentile of the objective.
    pub latency_objective_percentile_ms: Estimate,
    /// Share of minutes in which more requests were slow or failed than the objective allows.
    pub violated_minutes_share: Estimate,
    /// Whether latency and availability keep the objective over the whole time.
    pub holds: bool,
}

/// What happened on an edge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EdgeReport {
    /// Calls a second.
    pub calls_rps: Estimate,
    /// Attempts for each call.
    pub attempts_per_call: Estimate,
    /// Mean milliseconds of a call, failed ones included.
    pub latency_mean_ms: Estimate,
    /// Its median.
    pub latency_p50_ms: Estimate,
    /// Its 99th percentile.
    pub latency_p99_ms: Estimate,
    /// Its 99.9th percentile.
    pub latency_p999_ms: Estimate,
    /// Share of calls that failed, by word of [`Outcome`].
    pub failures: BTreeMap<String, Estimate>,
    /// Instances taken out of rotation, in an hour, by all proxies together.
    pub ejections_per_hour: Estimate,
    /// Connections opened a second.
    pub connections_rps: Estimate,
    /// Bytes a second to and from another region.
    #[serde(default, skip_serializing_if = "Estimate::is_zero")]
    pub cross_region_bytes_per_s: Estimate,
}

/// What happened at a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceReport {
    /// Requests a second that reached an instance.
    pub requests_rps: Estimate,
    /// Requests a second whose work was done.
    pub done_rps: Estimate,
    /// Busy share of the workers.
    pub utilisation: Estimate,
    /// Requests a second that instances in another region took over.
    #[serde(default, skip_serializing_if = "Estimate::is_zero")]
    pub elsewhere_rps: Estimate,
    /// Requests in queues, on average over time.
    pub queued: Estimate,
    /// Most requests in queues at once.
    pub most_queued: Estimate,
    /// Instances on average, from order to end.
    pub instances: Estimate,
    /// Requests a second refused by token buckets.
    pub rate_limited_rps: Estimate,
    /// Requests a second refused for want of a place.
    pub refused_rps: Estimate,
}

/// What several runs agree on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Runs.
    pub replications: u32,
    /// Seconds that each measured.
    pub measured_s: f64,
    /// By entry.
    pub entries: BTreeMap<String, EntryReport>,
    /// By edge, `caller->callee`.
    pub edges: BTreeMap<String, EdgeReport>,
    /// By service.
    pub services: BTreeMap<String, ServiceReport>,
    /// Attempts of all calls ÷ calls: 1 where nothing is tried again.
    pub retry_amplification: Estimate,
    /// Instance-hours of an hour.
    pub instances: Estimate,
    /// Cost of an hour of instances.
    pub cost_per_hour: Estimate,
    /// Cost of the bytes that go to and from other regions in an hour.
    pub cross_region_cost_per_hour: Estimate,
    /// Entry-minutes violated in an hour.
    pub violation_minutes_per_hour: Estimate,
    /// What they cost.
    pub violation_cost_per_hour: Estimate,
    /// Requests simulated, all runs together.
    pub requests: u64,
    /// Events simulated, all runs together.
    pub events: u64,
}

/// The numbers of one run, by path; small, so that histograms of many runs need not be kept.
struct Numbers {
    entries: Vec<EntryNumbers>,
    edges: Vec<EdgeNumbers>,
    services: Vec<[f64; 9]>,
    retry_amplification: f64,
    cost_per_hour: f64,
    cross_region_bytes_per_hour: f64,
    violation_minutes_per_hour: f64,
    requests: u64,
    events: u64,
}

struct EntryNumbers {
    values: [f64; 11],
    failures: [f64; Outcome::COUNT],
}

struct EdgeNumbers {
    values: [f64; 9],
    failures: [f64; Outcome::COUNT],
}

/// The outcome of an edge's calls as shares.
fn shares(outcomes: &[u64; Outcome::COUNT]) -> [f64; Outcome::COUNT] {
    let all: u64 = outcomes.iter().sum();
    std::array::from_fn(|i| {
        if all == 0 {
            0.0
        } else {
            outcomes[i] as f64 / all as f64
        }
    })
}

fn numbers(mesh: &Mesh, run: &Run) -> Numbers {
    let seconds = run.measured_s.max(1e-9);
    let entries: Vec<EntryNumbers> = run
        .entries
        .iter()
        .zip(&mesh.entries)
        .map(|(entry, model)| {
            let answered = entry.latency.count() as f64;
            let late = entry.latency.share_above(model.slo.latency_ms);
            let at = |level| entry.latency.quantile_ms(level);
            EntryNumbers {
                values: [
                    entry.requests() as f64 / seconds,
                    answered / seconds,
                    answered * (1.0 - late) / seconds,
                    entry.availability(),
                    entry.latency.mean_ms(),
                    at(0.5),
                    at(0.99),
                    at(0.999),
                    at(model.slo.percentile / 100.0),
                    f64::from(entry.violation_minutes) / f64::from(entry.minutes.max(1)),
                    entry.elsewhere as f64 / seconds,
                ],
                failures: shares(&entry.outcomes),
            }
        })
        .collect();
    let edges = run
        .edges
        .iter()
        .map(|edge| {
            let calls: u64 = edge.outcomes.iter().sum();
            EdgeNumbers {
                values: [
                    calls as f64 / seconds,
                    edge.attempts as f64 / calls.max(1) as f64,
                    edge.latency.mean_ms(),
                    edge.latency.quantile_ms(0.99),
                    edge.ejections as f64 / seconds * 3600.0,
                    edge.connections as f64 / seconds,
                    edge.cross_region_bytes / seconds,
                    edge.latency.quantile_ms(0.5),
                    edge.latency.quantile_ms(0.999),
                ],
                failures: shares(&edge.outcomes),
            }
        })
        .collect();
    let services = run
        .services
        .iter()
        .map(|service| {
            [
                service.requests as f64 / seconds,
                service.busy_s / service.offered_s.max(1e-9),
                service.queued_s / seconds,
                service.instance_s / seconds,
                service.rate_limited as f64 / seconds,
                service.refused as f64 / seconds,
                service.elsewhere as f64 / seconds,
                f64::from(service.most_queued),
                service.done as f64 / seconds,
            ]
        })
        .collect();
    let costs = run.services.iter().zip(&mesh.services);
    let calls: u64 = run.edges.iter().flat_map(|edge| edge.outcomes).sum();
    let attempts: u64 = run.edges.iter().map(|edge| edge.attempts).sum();
    let bytes: f64 = run.edges.iter().map(|edge| edge.cross_region_bytes).sum();
    Numbers {
        retry_amplification: attempts as f64 / calls.max(1) as f64,
        cross_region_bytes_per_hour: bytes / seconds * 3600.0,
        entries,
        edges,
        services,
        cost_per_hour: costs
            .map(|(run, model)| run.paid_instance_s / seconds * model.cost_per_hour)
            .sum(),
        violation_minutes_per_hour: run
            .entries
            .iter()
            .map(|e| f64::from(e.violation_minutes))
            .sum::<f64>()
            / seconds
            * 3600.0,
        requests: run.roots,
        events: run.events,
    }
}

/// Simulates a mesh several times and sums up. The numbers do not depend on how many threads there are.
///
/// # Errors
/// As [`crate::simulate`].
pub fn replicate(
    mesh: &Mesh,
    options: &RunOptions,
    replications: u32,
) -> Result<Report, SimulateError> {
    replicate_with(mesh, options, replications, &Vec::new)
}

/// Simulates a mesh several times, each run with controllers of its own.
///
/// # Errors
/// As [`crate::simulate`].
pub fn replicate_with(
    mesh: &Mesh,
    options: &RunOptions,
    replications: u32,
    controllers: &(dyn Fn() -> Vec<Box<dyn Controller>> + Sync),
) -> Result<Report, SimulateError> {
    let progress = Progress::default();
    replicate_traced(mesh, options, replications, controllers, None, &progress)
        .map(|(report, _)| report)
}

/// As [`replicate_with`], with whole traces of at most `traces` requests of the first run's measured time, spread evenly over them.
///
/// # Errors
/// As [`crate::simulate`].
pub fn replicate_traced(
    mesh: &Mesh,
    options: &RunOptions,
    replications: u32,
    controllers: &(dyn Fn() -> Vec<Box<dyn Controller>> + Sync),
    traces: Option<usize>,
    progress: &Progress,
) -> Result<(Report, Option<TraceSample>), SimulateError> {
    mesh.check()?;
    let tables = tables(mesh)?;
    progress.expect(replications.max(1).into());
    let runs: Vec<(Numbers, Option<TraceSample>)> = (0..replications.max(1))
        .into_par_iter()
        .map(|i| {
            let options = RunOptions {
                seed: mix(options.seed, u64::from(i)),
                ..*options
            };
            let traces = traces.filter(|_| i == 0);
            let run = simulate_recorded(mesh, &tables, &options, controllers(), traces);
            progress.tick();
            run.map(|(run, sample)| (numbers(mesh, &run), sample))
        })
        .collect::<Result<_, _>>()?;
    let (runs, samples): (Vec<Numbers>, Vec<_>) = runs.into_iter().unzip();
    let sample = samples.into_iter().flatten().next();
    Ok((sum_up(mesh, options.measured_s, &runs), sample))
}

impl Report {
    /// Of one run.
    pub(crate) fn of(mesh: &Mesh, run: &Run) -> Self {
        sum_up(mesh, run.measured_s, &[numbers(mesh, run)])
    }
}

fn sum_up(mesh: &Mesh, measured_s: f64, runs: &[Numbers]) -> Report {
    let over =
        |value: &dyn Fn(&Numbers) -> f64| Estimate::of(&runs.iter().map(value).collect::<Vec<_>>());
    let failures =
        |shares: &dyn Fn(&Numbers) -> [f64; Outcome::COUNT]| -> BTreeMap<String, Estimate> {
            Outcome::ALL
                .iter()
                .filter(|outcome| **outcome != Outcome::Ok)
                .map(|outcome| {
                    (
                        outcome.word().to_owned(),
                        over(&|run| shares(run)[*outcome as usize]),
                    )
                })
                .filter(|(_, share)| share.mean > 0.0)
                .collect()
        };
    let entries = mesh.entries.iter().enumerate().map(|(i, model)| {
        let at = |v: usize| over(&|run: &Numbers| run.entries[i].values[v]);
        let (availability, at_percentile) = (at(3), at(8));
        let report = EntryReport {
            offered_rps: at(0),
            answered_rps: at(1),
            good_rps: at(2),
            elsewhere_rps: at(10),
            availability,
            failures: failures(&|run| run.entries[i].failures),
            latency_mean_ms: at(4),
            latency_p50_ms: at(5),
            latency_p99_ms: at(6),
            latency_p999_ms: at(7),
            latency_objective_percentile_ms: at_percentile,
            violated_minutes_share: at(9),
            holds: availability.mean >= model.slo.availability
                && at_percentile.mean <= model.slo.latency_ms,
        };
        (model.name.clone(), report)
    });
    let edges = (0..mesh.edges.len()).map(|i| {
        let at = |v: usize| over(&|run: &Numbers| run.edges[i].values[v]);
        let report = EdgeReport {
            calls_rps: at(0),
            attempts_per_call: at(1),
            latency_mean_ms: at(2),
            latency_p50_ms: at(7),
            latency_p99_ms: at(3),
            latency_p999_ms: at(8),
            failures: failures(&|run| run.edges[i].failures),
            ejections_per_hour: at(4),
            connections_rps: at(5),
            cross_region_bytes_per_s: at(6),
        };
        (mesh.edge_name(i), report)
    });
    let services = mesh.services.iter().enumerate().map(|(i, model)| {
        let at = |v: usize| over(&|run: &Numbers| run.services[i][v]);
        let report = ServiceReport {
            requests_rps: at(0),
            done_rps: at(8),
            utilisation: at(1),
            elsewhere_rps: at(6),
            queued: at(2),
            most_queued: at(7),
            instances: at(3),
            rate_limited_rps: at(4),
            refused_rps: at(5),
        };
        (model.name.clone(), report)
    });
    Report {
        replications: runs.len() as u32,
        measured_s,
        entries: entries.collect(),
        edges: edges.collect(),
        services: services.collect(),
        retry_amplification: over(&|run| run.retry_amplification),
        instances: over(&|run| run.services.iter().map(|service| service[3]).sum()),
        cost_per_hour: over(&|run| run.cost_per_hour),
        cross_region_cost_per_hour: over(&|run| {
            run.cross_region_bytes_per_hour / 1e9 * mesh.cost.cross_region_per_gb
        }),
        violation_minutes_per_hour: over(&|run| run.violation_minutes_per_hour),
        violation_cost_per_hour: over(&|run| {
            run.violation_minutes_per_hour * mesh.cost.violation_per_minute
        }),
        requests: runs.iter().map(|run| run.requests).sum(),
        events: runs.iter().map(|run| run.events).sum(),
    }
}
