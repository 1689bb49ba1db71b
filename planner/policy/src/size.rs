//! How many instances each service needs in each hour: the fewest that are stable, then, while an entry misses its
//! objective, one more where it lowers the logarithm of the missed percentile most for its cost (the greedy allocation of
//! Ursa, HPCA 2024, with the latency of the whole call tree composed anew after each addition).

use foremesh_model::Criticality;
use rayon::prelude::*;

use crate::{ground::Ground, sampling::HourlyDemand};
use foremesh_simulate::analytic::{Moments, Wait};

/// Share of an instance's saturation that its rate limit admits: above it waits grow without bound at a small excess.
pub(crate) const ADMITTED_UTILISATION: f64 = 0.9;
/// Share of the objective's latency that is planned with; the rest is for what the formulas do not know.
const PLANNED_SHARE_OF_OBJECTIVE: f64 = 0.9;
/// An objective that no number of instances reaches is approached to within this of the bound.
const NEAR_THE_BOUND: f64 = 1.05;
/// Additions in one hour after which the search ends.
const MOST_ADDITIONS: usize = 400;

/// The busy share that capacity is bought for, by how much the service matters.
pub(crate) fn planned_utilisation(criticality: Criticality) -> f64 {
    match criticality {
        Criticality::Critical => 0.7,
        Criticality::Standard | Criticality::Deferrable => 0.8,
    }
}

/// How tightly an allocation is made.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Requests a second that one instance may be given, by service.
    pub instance_rps: Vec<f64>,
    /// Milliseconds that each entry must reach.
    pub entry_ms: Vec<f64>,
}

impl Ground<'_> {
    /// The latency in milliseconds that each entry reaches with no wait anywhere: below it no number of instances helps.
    pub(crate) fn bounds_ms(&self) -> Vec<f64> {
        let own: Vec<Moments> = (0..self.stations.len()).map(|s| self.still(s)).collect();
        let whole = self.calls.compose(&own);
        self.entries
            .iter()
            .map(|e| e.quantile.of(whole[e.node]))
            .collect()
    }

    /// What the plan is sized for: reserve in utilisation and latency.
    pub(crate) fn planned_target(&self) -> Target {
        Target {
            instance_rps: self
                .services
                .iter()
                .zip(&self.stations)
                .map(|(service, station)| {
                    station.bearable_rps() * planned_utilisation(service.criticality)
                })
                .collect(),
            entry_ms: self.entry_targets(PLANNED_SHARE_OF_OBJECTIVE),
        }
    }

    /// What just keeps the objective: each instance at its rate limit, the whole latency used.
    pub(crate) fn needed_target(&self, limit_rps: &[f64]) -> Target {
        Target {
            instance_rps: self
                .stations
                .iter()
                .zip(limit_rps)
                .map(|(station, limit)| limit.min(station.bearable_rps() * ADMITTED_UTILISATION))
                .collect(),
            entry_ms: self.entry_targets(1.0),
        }
    }

    pub(crate) fn entry_targets(&self, share: f64) -> Vec<f64> {
        self.entries
            .iter()
            .zip(self.bounds_ms())
            .map(|(entry, bound)| {
                let whole = entry.slo.latency_ms;
                // The reserve is given up before the objective is.
                let wanted = (whole * share).max((bound * NEAR_THE_BOUND).min(whole));
                if bound >= whole {
                    bound * NEAR_THE_BOUND
                } else {
                    wanted
                }
            })
            .collect()
    }

    /// A service's own time where nothing waits: its work, and the way to it and back.
    fn still(&self, service: usize) -> Moments {
        let station = &self.stations[service];
        let work = Moments::gamma(station.service_ms, station.cv2);
        Moments {
            mean: work.mean + self.way_ms[service],
            ..work
        }
    }

    /// A service's own time at a rate with so many instances, called by so many proxies.
    pub(crate) fn own(
        &self,
        service: usize,
        instances: u32,
        rate_rps: f64,
        caller_proxies: f64,
    ) -> Moments {
        let still = self.still(service);
        if self.stations[service].is_boundless() {
            return still;
        }
        let wait = Wait::of(&self.workers(service, caller_proxies), instances, rate_rps).moments();
        still.plus(wait)
    }

    /// Latency at every service, with what it calls.
    pub(crate) fn latencies(&self, instances: &[u32], rates_rps: &[f64]) -> Vec<Moments> {
        self.calls.compose(&self.own_of_all(instances, rates_rps))
    }

    /// The own time of every service.
    pub(crate) fn own_of_all(&self, instances: &[u32], rates_rps: &[f64]) -> Vec<Moments> {
        (0..instances.len())
            .map(|s| {
                let proxies = self.caller_proxies(s, instances, rates_rps);
                self.own(s, instances[s], rates_rps[s], proxies)
            })
            .collect()
    }

    /// Instances for these rates, at least those of `start`. Where an entry's latency is out of reach, because a service on its way
    /// may have no more or no number helps, those that bring it near what can be had, and not as many as additions are tried.
    pub(crate) fn allocate(
        &self,
        rates_rps: &[f64],
        target: &Target,
        start: Option<&[u32]>,
    ) -> Vec<u32> {
        let (instances, missed) = self.allocate_towards(rates_rps, target, start);
        if missed.is_empty() {
            return instances;
        }
        // The latency with all the instances that there may be.
        let own: Vec<Moments> = (0..instances.len())
            .map(|s| {
                let proxies = self.caller_proxies(s, &instances, rates_rps);
                self.own(s, self.stations[s].max_instances, rates_rps[s], proxies)
            })
            .collect();
        let whole = self.calls.compose(&own);
        let mut near = target.clone();
        for e in missed {
            let entry = &self.entries[e];
            let bound_ms = entry.quantile.of(whole[entry.node]);
            near.entry_ms[e] = near.entry_ms[e].max(bound_ms * NEAR_THE_BOUND);
        }
        if near.entry_ms == target.entry_ms {
            return instances;
        }
        self.allocate_towards(rates_rps, &near, start).0
    }

    /// The same, and the entries that still miss their latency.
    fn allocate_towards(
        &self,
        rates_rps: &[f64],
        target: &Target,
        start: Option<&[u32]>,
    ) -> (Vec<u32>, Vec<usize>) {
        let n = self.stations.len();
        let mut instances: Vec<u32> = (0..n)
            .map(|s| {
                let station = &self.stations[s];
                self.stable(s, rates_rps[s], target)
                    .clamp(station.min_instances, station.max_instances)
                    .max(start.map_or(0, |start| start[s]))
            })
            .collect();
        let mut own = self.own_of_all(&instances, rates_rps);
        // What a few more instances of each service would make of its own time; remembered until it gets them.
        let mut next: Vec<Option<(u32, Moments)>> = vec![None; n];
        let mut additions = 0;
        loop {
            let whole = self.calls.compose(&own);
            let missed: Vec<(usize, f64)> = self
                .entries
                .iter()
                .enumerate()
                .map(|(e, entry)| (e, entry.quantile.of(whole[entry.node])))
                .filter(|(e, latency)| *latency > target.entry_ms[*e])
                .collect();
            let ended = |missed: &[(usize, f64)]| missed.iter().map(|(e, _)| *e).collect();
            if missed.is_empty() || additions == MOST_ADDITIONS {
                return (instances, ended(&missed));
            }
            additions += 1;
            let far = missed
                .iter()
                .any(|(e, latency)| *latency > 1.2 * target.entry_ms[*e]);
            let mut gains: Vec<(f64, usize)> = Vec::new();
            for s in 0..n {
                if !missed.iter().any(|(e, _)| self.entries[*e].visits[s] > 0.0) {
                    continue;
                }
                let (more, then) = *next[s].get_or_insert_with(|| {
                    let more = (instances[s] / 20)
                        .max(1)
                        .min(self.stations[s].max_instances - instances[s]);
                    let proxies = self.caller_proxies(s, &instances, rates_rps);
                    let then = self.own(s, instances[s] + more, rates_rps[s], proxies);
                    (more, then)
                });
                if more == 0 {
                    continue;
                }
                let less = [
                    own[s].mean - then.mean,
                    own[s].variance - then.variance,
                    own[s].third - then.third,
                ];
                let gain: f64 = missed
                    .iter()
                    .map(|(e, latency)| {
                        let entry = &self.entries[*e];
                        let before = whole[entry.node];
                        let visits = entry.visits[s];
                        let after = entry.quantile.of(Moments {
                            mean: (before.mean - visits * less[0]).max(0.1 * before.mean),
                            variance: (before.variance - visits * less[1])
                                .max(0.01 * before.variance),
                            third: (before.third - visits * less[2]).max(0.0),
                        });
                        (latency / after.max(1e-9)).ln()
                    })
                    .sum();
                let cost = self.stations[s].cost_per_hour.max(1e-6) * f64::from(more);
                if gain > 1e-7 {
                    gains.push((gain / cost, s));
                }
            }
            if gains.is_empty() {
                return (instances, ended(&missed));
            }
            gains.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            // Far from the objective the best few are added at once.
            let at_once = if far { (gains.len() / 20).max(1) } else { 1 };
            for (_, s) in gains.into_iter().take(at_once) {
                if let Some((more, then)) = next[s].take() {
                    instances[s] += more;
                    own[s] = then;
                    // Those it calls are now called by more proxies, each of which knows less.
                    for call in &self.calls.by_caller[s] {
                        let callee = call.callee;
                        let proxies = self.caller_proxies(callee, &instances, rates_rps);
                        own[callee] =
                            self.own(callee, instances[callee], rates_rps[callee], proxies);
                        next[callee] = None;
                    }
                }
            }
        }
    }

    /// The fewest instances at which no instance is given more than the target's rate, whatever the service's maximum.
    pub(crate) fn stable(&self, service: usize, rate_rps: f64, target: &Target) -> u32 {
        let stable = (rate_rps / target.instance_rps[service] - 1e-9).ceil();
        stable.clamp(0.0, 1e9) as u32
    }

    /// The instances that just keep the objective and, at least as many, those that are planned, `[hour][service]`, for the
    /// demand at one of [`crate::sampling::LEVELS`].
    pub(crate) fn allocate_hours(
        &self,
        level: usize,
        needed: &Target,
        planned: &Target,
    ) -> (Vec<Vec<u32>>, Vec<Vec<u32>>) {
        (0..self.demand.hours())
            .into_par_iter()
            .map(|hour| {
                let rates = self.demand.peak_rps(level, hour);
                let needs = self.allocate(&rates, needed, None);
                let plan = self.allocate(&rates, planned, Some(&needs));
                (needs, plan)
            })
            .unzip()
    }

    /// The entries' latencies at their percentile, `[hour][entry]`, and the same call tree's moments `[hour][service]`.
    pub(crate) fn expected(&self, level: usize, instances: &[Vec<u32>]) -> Expected {
        let whole: Vec<Vec<Moments>> = instances
            .par_iter()
            .enumerate()
            .map(|(hour, instances)| self.latencies(instances, &self.demand.peak_rps(level, hour)))
            .collect();
        let entry_ms = whole
            .iter()
            .map(|whole| {
                self.entries
                    .iter()
                    .map(|e| e.quantile.of(whole[e.node]))
                    .collect()
            })
            .collect();
        Expected { whole, entry_ms }
    }
}

/// What an allocation is expected to show.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    /// `[hour][service]`, with everything that the service calls.
    pub whole: Vec<Vec<Moments>>,
    /// `[hour][entry]` at the objective's percentile.
    pub entry_ms: Vec<Vec<f64>>,
}

impl Expected {
    /// Whether every entry keeps its objective in an hour.
    pub(crate) fn holds(&self, ground: &Ground<'_>, hour: usize) -> bool {
        self.entry_ms[hour]
            .iter()
            .zip(&ground.entries)
            .all(|(latency, entry)| *latency <= entry.slo.latency_ms)
    }
}

/// The most that a service is asked for in any hour, with that hour.
pub(crate) fn hardest_hour(demand: &HourlyDemand, level: usize, service: usize) -> (usize, f64) {
    let mut hardest = (0, 0.0);
    for hour in 0..demand.hours() {
        let rate = demand.mean_rps[level][hour][service] * demand.peak[hour][service];
        if rate > hardest.1 {
            hardest = (hour, rate);
        }
    }
    hardest
}
