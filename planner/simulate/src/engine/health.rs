//! Outlier ejection as Envoy does it, in each proxy alone: errors in a row, or a success rate far below the others', take an instance out
//! of rotation, for longer each time, never more instances than the share that may be out.

use foremesh_model::OutlierEjection;

use super::{Engine, NS_PER_S};
use crate::{Outcome, SuccessRateEjection};

/// The longest ejection (Envoy's `max_ejection_time` by default).
const LONGEST_S: f64 = 300.0;

fn interval_ns(ejection: &OutlierEjection) -> f64 {
    f64::from(ejection.interval_s.max(1)) * NS_PER_S
}

impl Engine<'_> {
    /// A proxy takes note of how an attempt ended.
    pub(super) fn judge(&mut self, id: u32, outcome: Outcome) {
        let call = self.calls.places[id as usize];
        let mesh = self.mesh;
        let model = &mesh.edges[call.edge as usize];
        let Some(ejection) = &model.ejection else {
            return;
        };
        if let Some(success_rate) = &model.success_rate_ejection {
            self.sweep_if_due(call.edge, call.proxy, ejection, success_rate);
        }
        // What comes from an instance after its ejection is forgotten at its return.
        if outcome == Outcome::RateLimited || self.is_ejected(call.edge, call.proxy, call.host) {
            return;
        }
        let index = self.link_index(call.edge, call.proxy, call.host);
        let link = &mut self.links[index];
        link.judged += 1;
        if !outcome.blames_instance() {
            link.succeeded += 1;
            link.errors_in_row = 0;
            return;
        }
        link.errors_in_row += 1;
        if link.errors_in_row < ejection.consecutive_errors {
            return;
        }
        link.errors_in_row = 0;
        self.eject(call.edge, call.proxy, call.host, ejection);
    }

    /// Takes an instance out of rotation, unless too many are out.
    fn eject(&mut self, edge: u32, proxy: u32, host: u32, ejection: &OutlierEjection) {
        let callee = self.edges[edge as usize].callee;
        let hosts = self.services[callee].live.len() as f64;
        let index = self.proxy_index(edge, proxy);
        self.follow_rotation(edge, proxy);
        let out = self.proxies[index].ejected.len() as f64;
        if (out + 1.0) / hosts.max(1.0) * 100.0 > f64::from(ejection.max_ejection_percent) {
            return;
        }
        let interval = interval_ns(ejection);
        let link = self.link_index(edge, proxy, host);
        let link = &mut self.links[link];
        // Each interval without an ejection takes one off the count.
        let quiet = (self.now.saturating_sub(link.ejected_until)) as f64 / interval;
        link.ejections = link.ejections.saturating_sub(quiet as u32) + 1;
        let base = f64::from(ejection.base_ejection_s);
        let lasts = (base * f64::from(link.ejections)).min(LONGEST_S.max(base));
        // Instances come back at a sweep.
        let until = (((self.now as f64 + lasts * NS_PER_S) / interval).ceil() * interval) as u64;
        link.ejected_until = until;
        self.proxies[index].ejected.push_back((host, until));
        self.rotation_changed(edge, proxy, self.now);
        if self.measured() {
            self.run.edges[edge as usize].ejections += 1;
        }
    }

    /// Compares success rates once in each interval, when the first answer after its end comes.
    fn sweep_if_due(
        &mut self,
        edge: u32,
        proxy: u32,
        ejection: &OutlierEjection,
        success_rate: &SuccessRateEjection,
    ) {
        let index = self.proxy_index(edge, proxy);
        let interval = interval_ns(ejection) as u64;
        if self.now < self.proxies[index].sweep_at {
            return;
        }
        let first = self.proxies[index].sweep_at == 0;
        self.proxies[index].sweep_at = (self.now / interval + 1) * interval;
        if first {
            return;
        }
        let callee = self.edges[edge as usize].callee;
        let mut rates: Vec<(u32, f64)> = Vec::new();
        for at in 0..self.services[callee].live.len() {
            let host = self.services[callee].live[at];
            let link = self.link_index(edge, proxy, host);
            let link = &mut self.links[link];
            if link.judged >= success_rate.request_volume.max(1) {
                rates.push((host, f64::from(link.succeeded) / f64::from(link.judged)));
            }
            (link.judged, link.succeeded) = (0, 0);
        }
        if (rates.len() as u32) < success_rate.minimum_hosts.max(1) {
            return;
        }
        let count = rates.len() as f64;
        let mean = rates.iter().map(|(_, rate)| rate).sum::<f64>() / count;
        let variance = rates
            .iter()
            .map(|(_, rate)| (rate - mean).powi(2))
            .sum::<f64>()
            / count;
        let least = mean - success_rate.standard_deviations * variance.sqrt();
        for (host, rate) in rates {
            if rate < least && !self.is_ejected(edge, proxy, host) {
                self.eject(edge, proxy, host, ejection);
            }
        }
    }

    pub(super) fn is_ejected(&self, edge: u32, proxy: u32, host: u32) -> bool {
        self.links[self.link_index(edge, proxy, host)].ejected_until > self.now
    }
}
