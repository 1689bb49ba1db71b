//! What the net sees: regions as the tensors of one graph without links between them.
//!
//! One encoder for training and for plans. Everything is relative to what the region asks (times in shares of objectives, costs in shares of the
//! whole), so that a net that was trained on small regions means the same in large ones. Numbers are logarithms or shares, cut to
//! [−[`MOST`], [`MOST`]]; none is ever infinite or not a number. Instances and latencies are those of the floor's rule in the busiest hour.

use foremesh_model::{Criticality, LoadBalancing};
use foremesh_simulate::analytic::Moments;

use super::{action::ACTIONS, region::Region};
use crate::{
    ground::Entry,
    sampling::{BOUGHT, MEDIAN},
};

/// Numbers of a service.
pub const SERVICE_FEATURES: usize = 24;
/// Numbers of a call of one service by another.
pub const CALL_FEATURES: usize = 4;
/// Numbers of an entry.
pub const ENTRY_FEATURES: usize = 6;
/// Numbers of a service on an entry's way.
pub const VISIT_FEATURES: usize = 6;
/// What numbers are cut to.
pub const MOST: f64 = 4.0;
/// The normal score of the demand that latencies are looked at.
const SEEN_SCORE: f64 = 1.0;

/// Regions as tensors; a link names its ends by their place among all services and entries.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct States {
    /// Services in all.
    pub services: usize,
    /// Entries in all.
    pub entries: usize,
    /// `[services, SERVICE_FEATURES]`.
    pub service: Vec<f32>,
    /// `[entries, ENTRY_FEATURES]`.
    pub entry: Vec<f32>,
    /// `[calls, CALL_FEATURES]`.
    pub call: Vec<f32>,
    /// `[calls]`.
    pub caller: Vec<i64>,
    /// `[calls]`.
    pub callee: Vec<i64>,
    /// `[calls, 2]`: 1 ÷ the callee's callers, 1 ÷ the caller's callees.
    pub call_share: Vec<f32>,
    /// `[visits, VISIT_FEATURES]`.
    pub visit: Vec<f32>,
    /// `[visits]`: the service.
    pub visited: Vec<i64>,
    /// `[visits]`: the entry.
    pub visitor: Vec<i64>,
    /// `[visits, 2]`: 1 ÷ the services that the entry visits, 1 ÷ the entries that visit the service.
    pub visit_share: Vec<f32>,
}

pub(crate) fn push(into: &mut Vec<f32>, values: &[f64]) {
    into.extend(values.iter().map(|value| match value.is_nan() {
        true => 0.0,
        false => value.clamp(-MOST, MOST) as f32,
    }));
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn ln(x: f64) -> f64 {
    x.max(1e-12).ln()
}

fn score(level: f64) -> f64 {
    foremesh_simulate::analytic::normal_score(level.clamp(0.01, 0.999_99))
}

/// An entry's latency with another own time of one service it visits so often.
fn latency_with(
    entry: &Entry<'_>,
    whole: Moments,
    visits: f64,
    before: Moments,
    after: Moments,
) -> f64 {
    entry.quantile.of(Moments {
        mean: (whole.mean + visits * (after.mean - before.mean)).max(0.1 * whole.mean),
        variance: (whole.variance + visits * (after.variance - before.variance))
            .max(0.01 * whole.variance),
        third: (whole.third + visits * (after.third - before.third)).max(0.0),
    })
}

/// A service at the floor's rule in the busiest hour.
struct Look {
    instances: u32,
    /// How many it would be if it could be divided.
    wanted: f64,
    /// Its own time with one instance less, as many as there are, one more.
    less: Moments,
    own: Moments,
    more: Moments,
}

impl States {
    /// The states of one region.
    #[must_use]
    pub fn of(region: &Region<'_>) -> Self {
        let mut states = Self::default();
        states.push(region);
        states.never_empty()
    }

    /// Adds a region.
    pub fn push(&mut self, region: &Region<'_>) {
        let ground = &region.ground;
        let hour = region.busiest_hour();
        let rates = ground.rates_at(hour, SEEN_SCORE);
        let (wanted, instances): (Vec<f64>, Vec<u32>) = (0..region.services())
            .map(|s| {
                let station = &ground.stations[s];
                let each = station.bearable_rps() * region.planned_utilization[s];
                let wanted = rates[s] / each.max(1e-9);
                let whole = wanted.ceil().clamp(0.0, 1e9) as u32;
                let most = station.max_instances;
                (wanted, whole.min(most).max(region.fewest[hour][s]))
            })
            .unzip();
        let looks: Vec<Look> = (0..region.services())
            .map(|s| {
                let proxies = ground.caller_proxies(s, &instances, &rates);
                let with = |n: u32| ground.own(s, n.max(1), rates[s], proxies);
                let n = instances[s];
                Look {
                    instances: n,
                    wanted: wanted[s],
                    less: with(n.saturating_sub(1)),
                    own: with(n),
                    more: with(n.saturating_add(1)),
                }
            })
            .collect();
        let cost = ground.cost_of(&instances).max(1e-9);
        let first_service = self.services as i64;
        self.push_services(region, hour, &rates, &looks, cost);
        self.push_calls(region, &rates, first_service);
        self.push_entries(region, &looks, cost, first_service);
        self.services += region.services();
    }

    fn push_services(
        &mut self,
        region: &Region<'_>,
        hour: usize,
        rates: &[f64],
        looks: &[Look],
        cost: f64,
    ) {
        let ground = &region.ground;
        let count = looks.len().max(1) as f64;
        let all: f64 = looks.iter().map(|look| f64::from(look.instances)).sum();
        let usual = cost / all.max(1.0);
        let mut scale_ms = vec![1e9f64; looks.len()];
        for entry in &ground.entries {
            for (scale, visits) in scale_ms.iter_mut().zip(&entry.visits) {
                if *visits > 0.0 {
                    *scale = scale.min(entry.slo.latency_ms / visits).max(1e-6);
                }
            }
        }
        for (s, look) in looks.iter().enumerate() {
            let station = &ground.stations[s];
            let medians: Vec<f64> = (0..region.hours())
                .map(|h| ground.demand.mean_rps[MEDIAN][h][s].max(1e-9))
                .collect();
            let highest = medians.iter().copied().fold(0.0, f64::max);
            let mean = medians.iter().sum::<f64>() / medians.len().max(1) as f64;
            let rise = medians.windows(2).map(|w| w[1] / w[0]).fold(1.0, f64::max);
            let spread = ground.demand.mean_rps[BOUGHT][hour][s].max(1e-9) / medians[hour];
            let n = f64::from(look.instances.max(1));
            let burden = look.own.mean + look.own.variance.max(0.0).sqrt();
            push(
                &mut self.service,
                &[
                    ln(1.0 + rates[s]) / 3.0 - 1.0,
                    (ln(station.service_ms / scale_ms[s]) + 3.0) / 2.0,
                    ln(f64::from(station.workers)) / 2.0 - 1.0,
                    ln(1.0 + station.cv2),
                    0.5 * ln(ground.arrival_cv2[s]),
                    0.5 * ln(ground.dispersion[s]),
                    2.0 * ln(spread),
                    2.0 * ln(mean / highest.max(1e-9)),
                    2.0 * ln(rise),
                    4.0 * ln(ground.demand.peak[hour][s]),
                    ln(1.0 + station.lead_s() / 60.0) - 1.0,
                    ln(n) / 2.0 - 1.0,
                    2.0 * (n - look.wanted) / n.max(1.0),
                    2.0 * ln(n / f64::from(region.fewest[hour][s].max(1))),
                    ln(f64::from(station.max_instances.max(1)) / n) / 2.0,
                    ln(station.cost_per_hour / usual),
                    ln(n * station.cost_per_hour * count / cost) / 2.0,
                    (ln(burden / scale_ms[s]) + 3.0) / 2.0,
                    flag(ground.services[s].criticality == Criticality::Critical),
                    flag(ground.services[s].criticality == Criticality::Deferrable),
                    flag(station.stateful),
                    flag(ground.reached[s]),
                    flag(ground.balancing[s] == LoadBalancing::LeastRequest),
                    ln(1.0 + ground.calls.by_caller[s].len() as f64),
                ],
            );
        }
    }

    fn push_calls(&mut self, region: &Region<'_>, rates: &[f64], first_service: i64) {
        let ground = &region.ground;
        let mut callers = vec![0usize; ground.services.len()];
        for call in ground.calls.by_caller.iter().flatten() {
            callers[call.callee] += 1;
        }
        for (caller, calls) in ground.calls.by_caller.iter().enumerate() {
            for call in calls {
                let rate = rates[caller] * call.fan_out;
                let group = |s: usize| ground.calls.group_of[s];
                push(
                    &mut self.call,
                    &[
                        ln(call.fan_out),
                        flag(call.sequential),
                        2.0 * rate / rates[call.callee].max(1e-9) - 1.0,
                        flag(group(caller) == group(call.callee)),
                    ],
                );
                self.caller.push(first_service + caller as i64);
                self.callee.push(first_service + call.callee as i64);
                self.call_share
                    .push(1.0 / callers[call.callee].max(1) as f32);
                self.call_share.push(1.0 / calls.len().max(1) as f32);
            }
        }
    }

    fn push_entries(&mut self, region: &Region<'_>, looks: &[Look], cost: f64, first_service: i64) {
        let ground = &region.ground;
        let own: Vec<Moments> = looks.iter().map(|look| look.own).collect();
        let whole = ground.calls.compose(&own);
        let bounds = ground.bounds_ms();
        let mut visiting = vec![0usize; looks.len()];
        for entry in &ground.entries {
            for (count, visits) in visiting.iter_mut().zip(&entry.visits) {
                *count += usize::from(*visits > 0.0);
            }
        }
        for (e, entry) in ground.entries.iter().enumerate() {
            let target = entry.slo.latency_ms.max(1e-9);
            let all = whole[entry.node];
            let latency = entry.quantile.of(all).max(1e-9);
            let visited = entry.visits.iter().filter(|visits| **visits > 0.0).count();
            push(
                &mut self.entry,
                &[
                    4.0 * (target / latency).ln(),
                    2.0 * (bounds[e] / target).ln(),
                    score(entry.slo.percentile / 100.0) - 2.0,
                    0.5 * ln(all.variance / (all.mean * all.mean).max(1e-12)),
                    ln(1.0 + visited as f64) / 3.0 - 1.0,
                    score(entry.slo.availability) - 3.0,
                ],
            );
            for (s, visits) in entry.visits.iter().enumerate() {
                if *visits <= 0.0 {
                    continue;
                }
                let look = &looks[s];
                let change = |after: Moments| {
                    let then = latency_with(entry, all, *visits, look.own, after);
                    (then.max(1e-9) / latency).ln().abs()
                };
                let (lost, gained) = (change(look.less), change(look.more));
                let price = ground.stations[s].cost_per_hour.max(1e-9) / cost;
                push(
                    &mut self.visit,
                    &[
                        ln(*visits) / 3.0,
                        2.0 * visits * look.own.mean / all.mean.max(1e-9),
                        2.0 * visits * look.own.variance / all.variance.max(1e-9),
                        (ln(gained) + 7.0) / 3.0,
                        (ln(lost) + 6.0) / 3.0,
                        (ln(gained / price) + 1.0) / 3.0,
                    ],
                );
                self.visited.push(first_service + s as i64);
                self.visitor.push((self.entries + e) as i64);
                self.visit_share.push(1.0 / visited.max(1) as f32);
                self.visit_share.push(1.0 / visiting[s].max(1) as f32);
            }
        }
        self.entries += ground.entries.len();
    }

    /// Adds the regions of other states.
    pub fn append(&mut self, other: &Self) {
        let (services, entries) = (self.services as i64, self.entries as i64);
        let moved = |places: &[i64], by: i64| places.iter().map(|at| at + by).collect::<Vec<_>>();
        self.service.extend(&other.service);
        self.entry.extend(&other.entry);
        self.call.extend(&other.call);
        self.caller.extend(moved(&other.caller, services));
        self.callee.extend(moved(&other.callee, services));
        self.call_share.extend(&other.call_share);
        self.visit.extend(&other.visit);
        self.visited.extend(moved(&other.visited, services));
        self.visitor.extend(moved(&other.visitor, entries));
        self.visit_share.extend(&other.visit_share);
        self.services += other.services;
        self.entries += other.entries;
    }

    /// The same with more numbers of every service.
    #[must_use]
    pub(crate) fn with_service_numbers(&self, more: &[Vec<f32>]) -> Self {
        let known = self.service.chunks_exact(SERVICE_FEATURES).zip(more);
        let service = known.flat_map(|(row, more)| row.iter().chain(more).copied());
        Self {
            service: service.collect(),
            ..self.clone()
        }
    }

    /// Puts a link without weight in place of none: a tensor without elements is refused by some runtimes.
    #[must_use]
    pub fn never_empty(mut self) -> Self {
        if self.services == 0 {
            return self;
        }
        if self.entries == 0 {
            self.entries = 1;
            self.entry.extend([0.0; ENTRY_FEATURES]);
        }
        if self.caller.is_empty() {
            self.call.extend([0.0; CALL_FEATURES]);
            self.caller.push(0);
            self.callee.push(0);
            self.call_share.extend([0.0; 2]);
        }
        if self.visited.is_empty() {
            self.visit.extend([0.0; VISIT_FEATURES]);
            self.visited.push(0);
            self.visitor.push(0);
            self.visit_share.extend([0.0; 2]);
        }
        self
    }

    /// Answers of the net, two for each service, as whole numbers of services.
    #[must_use]
    pub fn answers(flat: &[f32]) -> Vec<[f64; ACTIONS]> {
        let each = flat.chunks_exact(ACTIONS);
        each.map(|pair| [f64::from(pair[0]), f64::from(pair[1])])
            .collect()
    }
}
