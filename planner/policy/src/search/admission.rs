//! What rate limits turn away: instances that are all but as busy as their limit admits refuse the bursts, refusals are errors, and errors
//! eject instances whose work the others cannot take. A plan stays clear of where that begins.

use foremesh_simulate::analytic::throttled;

use crate::{
    ground::{Entry, Ground},
    limits::thinned,
};

/// Share of an entry's error budget that all rate limits on its way may use.
const SHARE_OF_BUDGET: f64 = 0.1;

/// The share of requests that the rate limits of each of so many services may refuse: an equal part of what they all may.
pub(crate) fn refusable(entries: &[Entry<'_>], services: usize) -> Vec<f64> {
    let mut refusable = vec![1.0f64; services];
    for entry in entries {
        let visits: f64 = entry.visits.iter().sum();
        let budget = SHARE_OF_BUDGET * (1.0 - entry.slo.availability) / visits.max(1.0);
        for (refusable, visits) in refusable.iter_mut().zip(&entry.visits) {
            if *visits > 0.0 {
                *refusable = refusable.min(budget);
            }
        }
    }
    refusable
}

impl Ground<'_> {
    /// The share of requests that the rate limits of a service's instances refuse.
    pub(crate) fn refused(&self, service: usize, rate_rps: f64, instances: u32) -> f64 {
        let instances = instances.max(1);
        let dispersion = thinned(self.dispersion[service], instances);
        let limit = self.rate_limit(service, instances);
        throttled(&limit, rate_rps / f64::from(instances), dispersion)
    }

    /// Whether the rate limits of so many instances of a service refuse more than they may.
    pub(crate) fn refuses(&self, service: usize, rate_rps: f64, instances: u32) -> bool {
        self.refused(service, rate_rps, instances) > self.refusable[service]
    }

    /// The fewest instances, and at least `fewest`, whose rate limits refuse no more than may be.
    pub(super) fn admitting(&self, service: usize, rate_rps: f64, fewest: u32) -> u32 {
        let most = self.stations[service].max_instances;
        let mut instances = fewest.max(1);
        while instances < most && self.refuses(service, rate_rps, instances) {
            instances += 1 + instances / 50;
        }
        instances.min(most)
    }

    /// Whether no service's rate limits refuse more than they may.
    pub(crate) fn admits(&self, rates_rps: &[f64], instances: &[u32]) -> bool {
        let mut services = (0..instances.len()).zip(rates_rps).zip(instances);
        services.all(|((service, rate), n)| {
            self.stations[service].stateful || (*n > 0 && !self.refuses(service, *rate, *n))
        })
    }
}
