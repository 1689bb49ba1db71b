//! What a region shows while it is looked at, and the numbers that a net sees of it.

use foremesh_model::FaultKind;
use foremesh_simulate::Report;

use super::knobs::{KNOBS, Range, Steps};
use crate::{
    gnn::{SERVICE_FEATURES, push},
    ground::Ground,
};

/// What a service shows: how busy its workers are, how many requests wait at an instance, which share of those that come it refuses, and which share of
/// the calls to it fail.
const SHOWN: usize = 4;
/// Kinds of faults that are told apart.
const KINDS: usize = 5;
/// What a region shows as a whole.
const WHOLE: usize = 3;
/// Numbers of a service in a drill: those of [`SERVICE_FEATURES`], what it shows undisturbed and under faults (on average and at worst, meanwhile and
/// afterwards), which faults it meets, what the region shows, where its knobs stand and whether they may go on, and how many rounds have passed.
pub const DRILL_FEATURES: usize = SERVICE_FEATURES + 5 * SHOWN + KINDS + WHOLE + 3 * KNOBS + 1;

/// What a region showed for a while.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// Share of requests that were not answered within their objective's latency, all entries together, 0 … 1.
    pub missed: f64,
    services: Vec<[f64; SHOWN]>,
}

impl Observed {
    pub(super) fn of(ground: &Ground<'_>, report: &Report) -> Self {
        let (mut offered, mut good) = (0.0, 0.0);
        for entry in report.entries.values() {
            offered += entry.offered_rps.mean;
            good += entry.good_rps.mean;
        }
        let mut called = vec![[0.0; 2]; ground.services.len()];
        for (name, (_, callee)) in ground.edge_names.iter().zip(&ground.edge_ends) {
            if let Some(edge) = report.edges.get(&name.to_string()) {
                let failed: f64 = edge.failures.values().map(|share| share.mean).sum();
                called[*callee][0] += edge.calls_rps.mean;
                called[*callee][1] += edge.calls_rps.mean * failed;
            }
        }
        let services = (0..ground.services.len()).map(|s| {
            let Some(seen) = report.services.get(ground.name(s).as_str()) else {
                return [0.0; SHOWN];
            };
            let refused = seen.rate_limited_rps.mean + seen.refused_rps.mean;
            let came = seen.requests_rps.mean + refused;
            [
                seen.utilisation.mean,
                seen.queued.mean / seen.instances.mean.max(1.0),
                refused / came.max(1e-9),
                called[s][1] / called[s][0].max(1e-9),
            ]
        });
        Self {
            missed: match offered > 0.0 {
                true => 1.0 - good / offered,
                false => 0.0,
            },
            services: services.collect(),
        }
    }
}

/// What a look showed.
#[derive(Debug, Clone, PartialEq)]
pub struct Sight {
    /// Without a fault: while faults would last, and after.
    pub undisturbed: [Observed; 2],
    /// Under each fault: while it lasts, and after it.
    pub disturbed: Vec<[Observed; 2]>,
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), v| (sum + v, count + 1.0));
    sum / f64::max(count, 1.0)
}

impl Sight {
    /// Share of requests missed without a fault.
    #[must_use]
    pub fn missed_undisturbed(&self) -> f64 {
        mean(self.undisturbed.iter().map(|seen| seen.missed))
    }

    /// Share of requests missed under faults and after them, each fault alike.
    #[must_use]
    pub fn missed_disturbed(&self) -> f64 {
        mean(self.disturbed.iter().flatten().map(|seen| seen.missed))
    }

    fn missed_in(&self, phase: usize) -> f64 {
        mean(self.disturbed.iter().map(|seen| seen[phase].missed))
    }
}

fn kind(fault: &FaultKind) -> usize {
    match fault {
        FaultKind::Crash { .. }
        | FaultKind::Partition { .. }
        | FaultKind::LocalityPartition { .. } => 0,
        FaultKind::Errors { .. } | FaultKind::PacketLoss { .. } => 1,
        FaultKind::Latency { .. } | FaultKind::ColdCache { .. } => 2,
        FaultKind::SlowDependency { .. } | FaultKind::Cpu { .. } | FaultKind::Memory { .. } => 3,
        FaultKind::RetryStorm { .. } => 4,
    }
}

/// The numbers of each service beside those of [`SERVICE_FEATURES`].
pub(super) fn rows(
    ground: &Ground<'_>,
    faults: &[FaultKind],
    ranges: &[Range],
    steps: &[Steps],
    sight: &Sight,
    passed: f64,
) -> Vec<Vec<f32>> {
    let ln = |value: f64| (1.0 + 100.0 * value.max(0.0)).ln() / 2.0;
    let shown = |of: &[f64; SHOWN]| {
        let [busy, queued, refused, failed] = *of;
        [2.0 * busy - 1.0, ln(queued / 10.0), ln(refused), ln(failed)]
    };
    (0..ground.services.len())
        .map(|s| {
            let mut numbers: Vec<f64> = Vec::with_capacity(DRILL_FEATURES - SERVICE_FEATURES);
            numbers.extend(shown(&sight.undisturbed[0].services[s]));
            for phase in 0..2 {
                let each = |k: usize| sight.disturbed.iter().map(move |o| o[phase].services[s][k]);
                let mut average = [0.0; SHOWN];
                let mut worst = [0.0; SHOWN];
                for k in 0..SHOWN {
                    average[k] = mean(each(k));
                    worst[k] = each(k).fold(0.0, f64::max);
                }
                numbers.extend(shown(&average));
                numbers.extend(shown(&worst));
            }
            let name = ground.name(s).as_str();
            let mut met = [0.0; KINDS];
            for fault in faults {
                let everywhere = fault.service().is_empty();
                if everywhere || fault.service() == name {
                    met[kind(fault)] = 1.0;
                }
            }
            numbers.extend(met);
            numbers.extend([
                ln(sight.missed_undisturbed()),
                ln(sight.missed_in(0)),
                ln(sight.missed_in(1)),
            ]);
            for (step, [lowest, highest]) in steps[s].iter().zip(ranges[s]) {
                numbers.extend([
                    f64::from(*step),
                    f64::from(u8::from(*step > lowest)),
                    f64::from(u8::from(*step < highest)),
                ]);
            }
            numbers.push(2.0 * passed - 1.0);
            let mut row = Vec::with_capacity(numbers.len());
            push(&mut row, &numbers);
            row
        })
        .collect()
}
