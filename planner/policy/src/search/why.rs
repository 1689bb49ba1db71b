//! Why a service has not one instance less: what would break first in its hardest hour.

use foremesh_model::ServiceName;

use super::hour::{Allocation, Asked};
use crate::{
    ground::Ground,
    reasons::show,
    sampling::BOUGHT,
    size::{ADMITTED_UTILISATION, hardest_hour},
};

/// What one instance less would break.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Bound {
    /// The fewest that the catalogue allows.
    Minimum { fewest: u32 },
    /// The rate limit of those that are left.
    Admitted { utilisation: f64 },
    /// An entry's objective.
    Objective {
        entry: ServiceName,
        latency_ms: f64,
        objective_ms: f64,
        percentile: f64,
    },
    /// An objective at the median demand, once another instance is lost.
    Loss,
    /// Nothing at the demand that is bought: it is there for rarer demand, for what formulas do not know, or because another hour needs it.
    Reserve,
}

impl Bound {
    /// What keeps a service at its instances in the hour in which most is asked of it.
    pub(crate) fn of(
        ground: &Ground<'_>,
        by_hour: &[Vec<u32>],
        service: usize,
    ) -> (usize, u32, Self) {
        let (hour, rate) = hardest_hour(&ground.demand, BOUGHT, service);
        let mut instances = by_hour[hour].clone();
        let planned = instances[service];
        let station = &ground.stations[service];
        let less = planned.saturating_sub(1);
        instances[service] = less;
        let bound = if less < station.min_instances.max(1) && !ground.must_bear_loss(service) {
            Self::Minimum {
                fewest: station.min_instances.max(1),
            }
        } else if less == 0 {
            Self::Loss
        } else {
            let utilisation = rate / (f64::from(less) * station.bearable_rps());
            let mut alone = vec![0.0; instances.len()];
            alone[service] = rate;
            if !ground.admits(&alone, &instances) {
                Self::Admitted { utilisation }
            } else {
                Self::among_entries(ground, hour, &instances)
                    .or_else(|| Self::loss(ground, hour, instances, service))
                    .unwrap_or(Self::Reserve)
            }
        };
        (hour, planned, bound)
    }

    fn among_entries(ground: &Ground<'_>, hour: usize, instances: &[u32]) -> Option<Self> {
        let rates = ground.demand.peak_rps(BOUGHT, hour);
        let whole = ground.latencies(instances, &rates);
        let missed = ground.entries.iter().filter_map(|entry| {
            let latency_ms = entry.quantile.of(whole[entry.node]);
            (latency_ms > entry.slo.latency_ms).then_some((latency_ms, entry))
        });
        let worst =
            missed.max_by(|a, b| (a.0 / a.1.slo.latency_ms).total_cmp(&(b.0 / b.1.slo.latency_ms)));
        worst.map(|(latency_ms, entry)| Self::Objective {
            entry: ground.name(entry.node).clone(),
            latency_ms,
            objective_ms: entry.slo.latency_ms,
            percentile: entry.slo.percentile,
        })
    }

    fn loss(
        ground: &Ground<'_>,
        hour: usize,
        mut instances: Vec<u32>,
        service: usize,
    ) -> Option<Self> {
        if !ground.must_bear_loss(service) {
            return None;
        }
        instances[service] -= 1;
        let asked = Asked {
            rates_rps: ground.rates_at(hour, 0.0),
            entry_ms: ground.entries.iter().map(|e| e.slo.latency_ms).collect(),
            fewest: Vec::new(),
        };
        let kept = instances[service] > 0
            && ground.admits(&asked.rates_rps, &instances)
            && Allocation::new(ground, &asked, instances).holds();
        (!kept).then_some(Self::Loss)
    }

    /// As the end of a sentence about the hour and its instances.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Minimum { fewest } => format!("{fewest} are the fewest that are allowed"),
            Self::Admitted { utilisation } => format!(
                "with one less each would be {}% busy, and a rate limit at {}% would refuse bursts",
                show(utilisation * 100.0),
                show(ADMITTED_UTILISATION * 100.0)
            ),
            Self::Objective {
                entry,
                latency_ms,
                objective_ms,
                percentile,
            } => format!(
                "with one less the {}th percentile of {entry} would be {} ms, the objective is {} ms",
                show(*percentile),
                show(*latency_ms),
                show(*objective_ms)
            ),
            Self::Loss => "with one less an objective would be missed at the median demand while an instance is lost".into(),
            Self::Reserve => "one less would do at the 0.99 quantile; it is there for rarer demand, for what formulas do not know, or because an hour beside it needs it".into(),
        }
    }
}
