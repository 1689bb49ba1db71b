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
        let service_cost_per_hour = self.costs_per_hour(region, minutes);
        let kept = minutes
            .iter()
            .filter(|minute| self.kept_each(region, minute, &[1.0])[0]);
        Judged {
            cost_per_hour: service_cost_per_hour.iter().sum(),
            service_cost_per_hour,
            kept: kept.count() as f64 / minutes.len().max(1) as f64,
        }
    }

    /// What the instances of each service cost for an hour, mean over minutes.
    pub(super) fn costs_per_hour(&self, region: &Region<'_>, minutes: &[Minute]) -> Vec<f64> {
        let mut costs = vec![0.0; region.services()];
        for minute in minutes {
            let instances = self.instances(region, minute);
            let stations = region.ground.stations.iter().zip(&instances);
            for (cost, (station, n)) in costs.iter_mut().zip(stations) {
                *cost += f64::from(*n) * station.cost_per_hour;
            }
        }
        for cost in &mut costs {
            *cost /= minutes.len().max(1) as f64;
        }
        costs
    }

    /// For each share of what objectives and rate limits allow, whether a minute is kept with it: every objective's latency, and rate limits that refuse no more than they
    /// may. Latencies, which are most of the work, are the same for all.
    pub(super) fn kept_each(
        &self,
        region: &Region<'_>,
        minute: &Minute,
        shares: &[f64],
    ) -> Vec<bool> {
        let ground = &region.ground;
        let instances = self.instances(region, minute);
        let rates_rps = &minute.now_rps;
        let admitted = |share: f64| {
            let mut services = (0..instances.len()).zip(rates_rps).zip(&instances);
            services.all(|((s, rate), n)| {
                ground.stations[s].stateful || !ground.refuses(s, *rate / share, *n)
            })
        };
        // Rate limits that refuse little enough with the least share do so with all.
        let least = shares.iter().copied().fold(f64::INFINITY, f64::min);
        let all_admitted = admitted(least);
        let mut latencies_ms: Option<Vec<f64>> = None;
        let each = shares.iter().map(|share| {
            (all_admitted || admitted(*share)) && {
                let latencies_ms = latencies_ms.get_or_insert_with(|| {
                    let whole = ground.latencies(&instances, rates_rps);
                    let entries = ground.entries.iter();
                    entries
                        .map(|entry| entry.quantile.of(whole[entry.node]))
                        .collect()
                });
                let mut entries = ground.entries.iter().zip(latencies_ms.iter());
                entries.all(|(entry, ms)| *ms <= share * entry.slo.latency_ms)
            }
        });
        each.collect()
    }
}
