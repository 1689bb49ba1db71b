//! A schedule alone: what one instance less would break in the hour in which most is asked of the service.

use std::collections::BTreeMap;

use foremesh_model::ServiceName;
use rayon::prelude::*;

use super::Said;
use crate::{
    Method,
    ground::Ground,
    reasons::show,
    sampling::BOUGHT,
    search::{Allocation, Asked},
    size::{ADMITTED_UTILISATION, hardest_hour, planned_utilisation},
    sizing::Sizing,
};

/// What one instance less would break.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Bound {
    /// The fewest that the catalogue allows.
    Minimum { fewest: u32 },
    /// None would be left.
    Nobody,
    /// The rate limit of those that are left.
    Admitted,
    /// An entry's objective.
    Objective(Late),
    /// An objective at the median demand, once another instance is lost.
    Loss,
    /// The part of an entry's objective that the floor plans with.
    Near { late: Late, planned_ms: f64 },
    /// The busy share that the floor plans with.
    Busier { planned: f64 },
    /// Nothing at the demand that is bought.
    Nothing,
}

/// An entry that uses more than it may.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Late {
    entry: ServiceName,
    percentile: f64,
    pub latency_ms: f64,
    objective_ms: f64,
}

/// Of each of these services.
pub(super) fn all(ground: &Ground<'_>, sizing: &Sizing, services: &[usize]) -> Vec<Said> {
    let bounds = bounds(ground, sizing, services).into_iter();
    let said = bounds.map(|(service, bound)| {
        let (hour, rate_rps) = hardest_hour(&ground.demand, BOUGHT, service);
        let less = sizing.by_hour[hour][service].saturating_sub(1);
        let busy = rate_rps / (f64::from(less) * ground.stations[service].bearable_rps());
        let busy = busy.is_finite().then_some(busy);
        Said {
            service,
            text: bound.text(busy.unwrap_or(0.0)),
            inputs: bound.inputs(busy),
        }
    });
    said.collect()
}

/// What one instance less of each of these services would break.
pub(super) fn bounds(
    ground: &Ground<'_>,
    sizing: &Sizing,
    services: &[usize],
) -> Vec<(usize, Bound)> {
    // One composition of all latencies serves every service whose hardest hour it is.
    let mut hours: BTreeMap<usize, Vec<(usize, f64)>> = BTreeMap::new();
    for service in services {
        let (hour, rate_rps) = hardest_hour(&ground.demand, BOUGHT, *service);
        hours.entry(hour).or_default().push((*service, rate_rps));
    }
    let hours: Vec<(usize, Vec<(usize, f64)>)> = hours.into_iter().collect();
    let bounds: Vec<Vec<(usize, Bound)>> = hours
        .into_par_iter()
        .map(|(hour, services)| of_hour(ground, sizing, hour, &services))
        .collect();
    bounds.into_iter().flatten().collect()
}

fn of_hour(
    ground: &Ground<'_>,
    sizing: &Sizing,
    hour: usize,
    services: &[(usize, f64)],
) -> Vec<(usize, Bound)> {
    let objectives: Vec<f64> = ground.entries.iter().map(|e| e.slo.latency_ms).collect();
    let asked = |rates_rps: Vec<f64>| Asked {
        rates_rps,
        entry_ms: objectives.clone(),
        fewest: Vec::new(),
    };
    let (bought, median) = (
        asked(ground.demand.peak_rps(BOUGHT, hour)),
        asked(ground.rates_at(hour, 0.0)),
    );
    let instances = &sizing.by_hour[hour];
    let mut at = At {
        ground,
        hour,
        searched: matches!(sizing.method, Method::Search { .. }),
        planned_ms: ground.planned_target().entry_ms,
        bought: Allocation::new(ground, &bought, instances.clone()),
        median: Allocation::new(ground, &median, instances.clone()),
    };
    let bounds = services
        .iter()
        .map(|(service, rate_rps)| (*service, at.bound(*service, *rate_rps)));
    bounds.collect()
}

/// An hour, at the demand that is bought and at its median.
struct At<'g, 'a> {
    ground: &'g Ground<'a>,
    hour: usize,
    searched: bool,
    /// What the floor plans with of each entry's objective.
    planned_ms: Vec<f64>,
    bought: Allocation<'g, 'a>,
    median: Allocation<'g, 'a>,
}

impl At<'_, '_> {
    fn bound(&mut self, service: usize, rate_rps: f64) -> Bound {
        let ground = self.ground;
        let station = &ground.stations[service];
        let less = self.bought.instances[service].saturating_sub(1);
        let fewest = station.min_instances.max(1);
        let bears = self.searched && ground.must_bear_loss(service);
        if less < fewest && !bears {
            return Bound::Minimum { fewest };
        }
        if less == 0 {
            return Bound::Nobody;
        }
        if ground.refuses(service, rate_rps, less) {
            return Bound::Admitted;
        }
        let latencies_ms = self.bought.entry_ms_with(service, -1);
        let objectives = ground.entries.iter().map(|entry| entry.slo.latency_ms);
        if let Some((late, _)) = self.latest(&latencies_ms, objectives) {
            return Bound::Objective(late);
        }
        if bears && !self.bears_loss(service, less) {
            return Bound::Loss;
        }
        if less < fewest {
            return Bound::Minimum { fewest };
        }
        if self.searched {
            return Bound::Nothing;
        }
        if let Some((late, planned_ms)) =
            self.latest(&latencies_ms, self.planned_ms.iter().copied())
        {
            return Bound::Near { late, planned_ms };
        }
        let planned = planned_utilisation(ground.services[service].criticality);
        match rate_rps > f64::from(less) * station.bearable_rps() * planned * (1.0 + 1e-9) {
            true => Bound::Busier { planned },
            false => Bound::Nothing,
        }
    }

    /// The entry that uses most beyond what it may, and what that is.
    fn latest(
        &self,
        latencies_ms: &[f64],
        allowed_ms: impl Iterator<Item = f64>,
    ) -> Option<(Late, f64)> {
        let entries = self.ground.entries.iter().zip(latencies_ms).zip(allowed_ms);
        let late = entries.filter(|((_, latency), allowed)| **latency > *allowed);
        let latest =
            late.max_by(|((_, a), of_a), ((_, b), of_b)| (*a / of_a).total_cmp(&(*b / of_b)));
        latest.map(|((entry, latency_ms), allowed_ms)| {
            let late = Late {
                entry: self.ground.name(entry.node).clone(),
                percentile: entry.slo.percentile,
                latency_ms: *latency_ms,
                objective_ms: entry.slo.latency_ms,
            };
            (late, allowed_ms)
        })
    }

    /// Whether the objectives are kept at the median demand with one less and another one lost.
    fn bears_loss(&mut self, service: usize, less: u32) -> bool {
        let (ground, left) = (self.ground, less - 1);
        left > 0
            && !ground.refuses(service, ground.rate_at(self.hour, service, 0.0), left)
            && self.median.holds_with(service, -2)
    }
}

impl Bound {
    /// As the end of a sentence about the hour and its instances; `busy` is the share of each that is left.
    fn text(&self, busy: f64) -> String {
        let percent = |share: f64| show(share * 100.0);
        let late = |late: &Late| {
            format!(
                "with one less the {}th percentile of {} would be {} ms",
                show(late.percentile),
                late.entry,
                show(late.latency_ms)
            )
        };
        match self {
            Self::Minimum { fewest: 1 } => "one is the fewest that is allowed".into(),
            Self::Minimum { fewest } => format!("{fewest} are the fewest that are allowed"),
            Self::Nobody => "with one less none would be left".into(),
            Self::Admitted => format!(
                "with one less each would be {}% busy, and a rate limit at {}% would refuse bursts",
                percent(busy),
                percent(ADMITTED_UTILISATION)
            ),
            Self::Objective(entry) => format!(
                "{}, the objective is {} ms",
                late(entry),
                show(entry.objective_ms)
            ),
            Self::Loss => "with one less an objective would be missed at the median demand while an instance is lost".into(),
            Self::Near {
                late: entry,
                planned_ms,
            } => format!(
                "{}, where {} of the objective's {} ms are planned with",
                late(entry),
                show(*planned_ms),
                show(entry.objective_ms)
            ),
            Self::Busier { planned } => format!(
                "with one less each would be {}% busy, where {}% are planned with",
                percent(busy),
                percent(*planned)
            ),
            Self::Nothing => "one less would do at the 0.99 quantile: it is there for rarer demand, for what formulas do not know, or because an hour beside it needs it".into(),
        }
    }

    fn inputs(&self, busy: Option<f64>) -> Vec<(&'static str, f64)> {
        let busy = busy.map(|busy| ("one_less_utilisation", busy));
        let latency = match self {
            Self::Objective(late) | Self::Near { late, .. } => {
                Some(("one_less_latency_ms", late.latency_ms))
            }
            _ => None,
        };
        busy.into_iter().chain(latency).collect()
    }

    #[cfg(test)]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Minimum { .. } => "minimum",
            Self::Nobody => "nobody",
            Self::Admitted => "admitted",
            Self::Objective(_) => "objective",
            Self::Loss => "loss",
            Self::Near { .. } => "near",
            Self::Busier { .. } => "busier",
            Self::Nothing => "nothing",
        }
    }
}
