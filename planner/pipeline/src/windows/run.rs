//! The windows of a day, simulated beside each other and added up: one tally for each replication.

use std::collections::BTreeMap;

use foremesh_model::random::mix;
use foremesh_simulate::{
    Controller, InstanceStep, Latencies, Mesh, Outcome, Progress, Run, RunOptions, ServiceModel,
    SimulateError,
    baselines::{Hpa, HpaService},
    simulate_prepared, tables,
};
use rayon::prelude::*;

use super::Window;

/// Seconds before a window that are simulated and not measured: connections open, queues find their level. The launch has none.
const WARM_UP_S: f64 = 20.0;
/// Seconds for which an autoscaler keeps what it had, before it scales in.
const STABILISATION_S: f64 = 300.0;
/// Windows whose results are held at once: histograms of a long day would not fit.
const HELD: usize = 64;

/// A service whose instances an autoscaler moves, in place of a schedule.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Autoscaled {
    /// The service.
    pub service: usize,
    /// Busy share of its workers that the autoscaler aims at, 0 … 1.
    pub target: f64,
    /// Fewest instances.
    pub fewest: u32,
    /// Most instances.
    pub most: u32,
    /// Instances that a cron trigger asks for from a time on; the higher of both holds. Empty: there is none.
    pub cron: Vec<InstanceStep>,
}

impl Autoscaled {
    /// The cron trigger of a window.
    fn cron_from(&self, from_s: f64) -> Vec<InstanceStep> {
        let begun = self.cron.iter().rposition(|step| step.starts_s <= from_s);
        let steps = self.cron.iter().skip(begun.unwrap_or(0));
        steps
            .map(|step| InstanceStep {
                starts_s: (step.starts_s - from_s).max(0.0),
                ..*step
            })
            .collect()
    }
}

/// Somebody's settings over a whole time.
pub(crate) struct Lived<'a> {
    /// The whole time: instances and arrivals from its start to its end.
    pub mesh: Mesh,
    /// Services that an autoscaler moves.
    pub scaled: Vec<Autoscaled>,
    /// Other controllers.
    pub controllers: &'a (dyn Fn(&Mesh) -> Vec<Box<dyn Controller>> + Sync),
    /// Requests a second that reach each service at an instant, in seconds after the start.
    pub flows: &'a (dyn Fn(f64) -> Vec<f64> + Sync),
    /// Seconds of the whole time.
    pub horizon_s: f64,
}

/// What one replication saw, as if it had seen the whole time.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub entries: Vec<EntryTally>,
    pub services: Vec<ServiceTally>,
    pub hours: BTreeMap<u32, HourTally>,
    pub simulated_s: f64,
    /// Of it, what was drawn to stand for more than itself, and the time that it stands for.
    pub drawn_s: f64,
    pub stood_for_s: f64,
    pub windows: u32,
    pub requests: u64,
    pub events: u64,
}

#[derive(Debug)]
pub(crate) struct EntryTally {
    pub latency: Latencies,
    pub requests: f64,
    pub answered: f64,
    pub good: f64,
    pub violation_minutes: f64,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct ServiceTally {
    pub instance_s: f64,
    pub busy_s: f64,
    pub offered_s: f64,
    pub turned_away: f64,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct HourTally {
    pub seconds: f64,
    pub requests: f64,
    pub violation_minutes: f64,
}

/// Weights in sixteenths: a count of a histogram is whole.
const SIXTEENTHS: f64 = 16.0;

impl Tally {
    fn add(&mut self, mesh: &Mesh, window: &Window, run: &Run) {
        let weight = window.weight;
        self.entries.resize_with(mesh.entries.len(), || EntryTally {
            latency: Latencies::new(3),
            requests: 0.0,
            answered: 0.0,
            good: 0.0,
            violation_minutes: 0.0,
        });
        self.services
            .resize_with(mesh.services.len(), ServiceTally::default);
        let hour = self
            .hours
            .entry((window.starts_s / 3600.0) as u32)
            .or_default();
        hour.seconds += window.length_s * weight;
        for ((tally, entry), model) in self.entries.iter_mut().zip(&run.entries).zip(&mesh.entries)
        {
            let requests = entry.requests() as f64 * weight;
            let answered = entry.latency.count() as f64 * weight;
            let good = answered * (1.0 - entry.latency.share_above(model.slo.latency_ms));
            let violated = f64::from(entry.violation_minutes) * weight;
            tally
                .latency
                .merge_times(&entry.latency, (weight * SIXTEENTHS).round() as u64);
            tally.requests += requests;
            tally.answered += entry.outcomes[Outcome::Ok as usize] as f64 * weight;
            tally.good += good;
            tally.violation_minutes += violated;
            hour.requests += requests;
            hour.violation_minutes += violated;
        }
        for (tally, service) in self.services.iter_mut().zip(&run.services) {
            tally.instance_s += service.instance_s * weight;
            tally.busy_s += service.busy_s * weight;
            tally.offered_s += service.offered_s * weight;
            tally.turned_away += (service.rate_limited + service.refused) as f64 * weight;
        }
        self.simulated_s += window.length_s;
        if window.weight > 1.0 {
            self.drawn_s += window.length_s;
            self.stood_for_s += window.length_s * window.weight;
        }
        self.windows += 1;
        self.requests += run.roots;
        self.events += run.events;
    }
}

/// Simulates the windows of every replication. What comes out depends on nothing but the arguments, whatever the number of threads; the same
/// window of the same replication meets the same requests whoever's settings run.
pub(crate) fn run_windows(
    lived: &Lived<'_>,
    replications: &[Vec<Window>],
    seed: u64,
    progress: &Progress,
) -> Result<Vec<Tally>, SimulateError> {
    lived.mesh.check()?;
    let tables = tables(&lived.mesh)?;
    let mut tallies: Vec<Tally> = replications.iter().map(|_| Tally::default()).collect();
    let jobs: Vec<(usize, Window)> = replications
        .iter()
        .enumerate()
        .flat_map(|(i, windows)| windows.iter().map(move |window| (i, *window)))
        .collect();
    for held in jobs.chunks(HELD) {
        let runs: Vec<(Mesh, Run)> = held
            .par_iter()
            .map(|(replication, window)| {
                let warm_up_s = WARM_UP_S.min(window.starts_s);
                let from_s = window.starts_s - warm_up_s;
                let mut mesh = lived
                    .mesh
                    .between(from_s, window.starts_s + window.length_s);
                let mut controllers = (lived.controllers)(&mesh);
                controllers.extend(autoscalers(lived, &mut mesh, from_s));
                let options = RunOptions {
                    measured_s: window.length_s,
                    warm_up_s,
                    seed: mix(mix(seed, *replication as u64), window.starts_s as u64),
                };
                let run = simulate_prepared(&mesh, &tables, &options, controllers)?;
                progress.tick();
                Ok((mesh, run))
            })
            .collect::<Result<_, SimulateError>>()?;
        for ((replication, window), (mesh, run)) in held.iter().zip(&runs) {
            tallies[*replication].add(mesh, window, run);
        }
    }
    Ok(tallies)
}

/// The autoscalers of a window, each with the instances to which the load before it has led.
fn autoscalers(lived: &Lived<'_>, mesh: &mut Mesh, from_s: f64) -> Option<Box<dyn Controller>> {
    if lived.scaled.is_empty() {
        return None;
    }
    // Before the first request there was no load.
    let before: Vec<Vec<f64>> = if from_s > 0.0 {
        vec![
            (lived.flows)(from_s),
            (lived.flows)((from_s - STABILISATION_S).max(0.0)),
        ]
    } else {
        Vec::new()
    };
    for scaled in &lived.scaled {
        let Some(service) = mesh.services.get_mut(scaled.service) else {
            continue;
        };
        let needs = before
            .iter()
            .filter_map(|flows| flows.get(scaled.service))
            .map(|rps| instances_for(service, *rps, scaled.target))
            .max()
            .unwrap_or(0);
        let cron = scaled.cron_from(from_s);
        let asked = cron.first().filter(|step| step.starts_s <= 0.0);
        service.instances = vec![InstanceStep {
            starts_s: 0.0,
            instances: needs
                .max(asked.map_or(0, |step| step.instances))
                .clamp(scaled.fewest, scaled.most.max(scaled.fewest)),
        }];
        service.max_instances = scaled.most.max(scaled.fewest);
    }
    let services = lived.scaled.iter().map(|scaled| HpaService {
        service: scaled.service,
        target: scaled.target,
        min: scaled.fewest,
        max: scaled.most.max(scaled.fewest),
        cron: scaled.cron_from(from_s),
    });
    Some(Box::new(Hpa::new(services.collect())))
}

/// Instances that keep a load at a utilisation.
pub(crate) fn instances_for(service: &ServiceModel, rps: f64, utilisation: f64) -> u32 {
    let busy = rps * service.work.mean_ms() / 1e3;
    (busy / utilisation.max(0.01) / f64::from(service.workers.max(1))).ceil() as u32
}
