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
        let mut judged = self.judged_each(region, minutes, &[1.0]);
        judged.swap_remove(0)
    }

    /// The same where only a share of what objectives and rate limits allow counts as kept, for each of the shares.
    pub(super) fn judged_each(
        &self,
        region: &Region<'_>,
        minutes: &[Minute],
        shares: &[f64],
    ) -> Vec<Judged> {
        let mut service_cost_per_hour = vec![0.0; region.services()];
        let mut kept = vec![0usize; shares.len()];
        for minute in minutes {
            let instances = self.instances(region, minute);
            let stations = region.ground.stations.iter().zip(&instances);
            for (cost, (station, n)) in service_cost_per_hour.iter_mut().zip(stations) {
                *cost += f64::from(*n) * station.cost_per_hour;
            }
            region.count_kept(&minute.now_rps, &instances, shares, &mut kept);
        }
        let count = minutes.len().max(1) as f64;
        for cost in &mut service_cost_per_hour {
            *cost /= count;
        }
        let judged = kept.into_iter().map(|kept| Judged {
            cost_per_hour: service_cost_per_hour.iter().sum(),
            service_cost_per_hour: service_cost_per_hour.clone(),
            kept: kept as f64 / count,
        });
        judged.collect()
    }
}

impl Region<'_> {
    /// Counts, for each share, whether so many instances keep every objective at these rates with that share of its latency, and rate limits of that share
    /// refuse no more than they may. Latencies, which are most of the work, are the same for all.
    fn count_kept(&self, rates_rps: &[f64], instances: &[u32], shares: &[f64], kept: &mut [usize]) {
        let ground = &self.ground;
        let admitted = |share: f64| {
            let mut services = (0..instances.len()).zip(rates_rps).zip(instances);
            services.all(|((s, rate), n)| {
                ground.stations[s].stateful
                    || ground.refused(s, *rate / share, *n) <= self.refusable[s]
            })
        };
        let mut latencies_ms: Option<Vec<f64>> = None;
        for (share, kept) in shares.iter().zip(kept) {
            if !admitted(*share) {
                continue;
            }
            let latencies_ms = latencies_ms.get_or_insert_with(|| {
                let whole = ground.latencies(instances, rates_rps);
                let entries = ground.entries.iter();
                entries
                    .map(|entry| entry.quantile.of(whole[entry.node]))
                    .collect()
            });
            let mut entries = ground.entries.iter().zip(latencies_ms.iter());
            *kept += usize::from(entries.all(|(entry, ms)| *ms <= share * entry.slo.latency_ms));
        }
    }
}
