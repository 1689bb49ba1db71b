//! What a plan costs and keeps on minutes as they may come, by formulas.

use super::{action::Plan, region::Region};
use crate::autoscaler::Minute;

/// What a plan showed.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Cost of the instances of all services for an hour, mean over the minutes.
    pub cost_per_hour: f64,
    /// The same by service.
    pub service_cost_per_hour: Vec<f64>,
    /// Share of minutes in which every entry kept its objective and no rate limit refused more than it may.
    pub kept: f64,
}

impl Plan {
    /// What the plan shows on minutes; nothing kept on none.
    #[must_use]
    pub fn judged(&self, region: &Region<'_>, minutes: &[Minute]) -> Judged {
        self.judged_within(region, minutes, 1.0)
    }

    /// The same where only this share of what objectives and rate limits allow counts as kept.
    pub(super) fn judged_within(
        &self,
        region: &Region<'_>,
        minutes: &[Minute],
        share: f64,
    ) -> Judged {
        let mut service_cost_per_hour = vec![0.0; region.services()];
        let mut kept = 0usize;
        for minute in minutes {
            let instances = self.instances(region, minute);
            let stations = region.ground.stations.iter().zip(&instances);
            for (cost, (station, n)) in service_cost_per_hour.iter_mut().zip(stations) {
                *cost += f64::from(*n) * station.cost_per_hour;
            }
            kept += usize::from(region.keeps(&minute.now_rps, &instances, share));
        }
        let count = minutes.len().max(1) as f64;
        for cost in &mut service_cost_per_hour {
            *cost /= count;
        }
        Judged {
            cost_per_hour: service_cost_per_hour.iter().sum(),
            service_cost_per_hour,
            kept: kept as f64 / count,
        }
    }
}

impl Region<'_> {
    /// Whether so many instances keep every objective at these rates with a share of its latency, and rate limits of that share refuse no more than
    /// they may.
    fn keeps(&self, rates_rps: &[f64], instances: &[u32], share: f64) -> bool {
        let ground = &self.ground;
        let mut services = (0..instances.len()).zip(rates_rps).zip(instances);
        let admitted = services.all(|((s, rate), n)| {
            ground.stations[s].stateful || ground.refused(s, *rate / share, *n) <= self.refusable[s]
        });
        if !admitted {
            return false;
        }
        let whole = ground.latencies(instances, rates_rps);
        ground
            .entries
            .iter()
            .all(|entry| entry.quantile.of(whole[entry.node]) <= share * entry.slo.latency_ms)
    }
}
