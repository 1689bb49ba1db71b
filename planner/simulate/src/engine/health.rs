//! Outlier ejection as Envoy does it, in each proxy alone: errors in a row take an instance out of rotation, for longer each time, never
//! more instances than the share that may be out.

use super::Engine;
use crate::Outcome;

/// The longest ejection (Envoy's `max_ejection_time` by default).
const LONGEST_S: f64 = 300.0;

impl Engine<'_> {
    /// A proxy takes note of how an attempt ended.
    pub(super) fn judge(&mut self, id: u32, outcome: Outcome) {
        let call = self.calls.places[id as usize];
        let Some(ejection) = self.mesh.edges[call.edge as usize].ejection else {
            return;
        };
        let index = self.link_index(call.edge, call.proxy, call.host);
        if !outcome.blames_instance() {
            if outcome != Outcome::RateLimited {
                self.links[index].errors_in_row = 0;
            }
            return;
        }
        self.links[index].errors_in_row += 1;
        if self.links[index].errors_in_row < ejection.consecutive_errors
            || self.is_ejected(call.edge, call.proxy, call.host)
        {
            return;
        }
        self.links[index].errors_in_row = 0;
        let callee = self.edges[call.edge as usize].callee as usize;
        let hosts = self.services[callee].live.len() as f64;
        let proxy = self.proxy_index(call.edge, call.proxy);
        self.forget_returned(proxy);
        let out = self.proxies[proxy].ejected.len() as f64;
        if (out + 1.0) / hosts.max(1.0) * 100.0 > f64::from(ejection.max_ejection_percent) {
            return;
        }
        let interval = f64::from(ejection.interval_s.max(1)) * super::NS_PER_S;
        let link = &mut self.links[index];
        // Each interval without an ejection takes one off the count.
        let quiet = (self.now.saturating_sub(link.ejected_until)) as f64 / interval;
        link.ejections = link.ejections.saturating_sub(quiet as u32) + 1;
        let lasts = (f64::from(ejection.base_ejection_s) * f64::from(link.ejections))
            .min(LONGEST_S.max(f64::from(ejection.base_ejection_s)));
        // Instances come back at a sweep.
        let until =
            (((self.now as f64 + lasts * super::NS_PER_S) / interval).ceil() * interval) as u64;
        link.ejected_until = until;
        self.proxies[proxy].ejected.push_back((call.host, until));
        if self.measured() {
            self.run.edges[call.edge as usize].ejections += 1;
        }
    }

    fn forget_returned(&mut self, proxy: usize) {
        let now = self.now;
        self.proxies[proxy]
            .ejected
            .retain(|(_, until)| *until > now);
    }

    /// Whether the proxy has any instance out of rotation and enough healthy ones left to go without.
    pub(super) fn some_ejected(&mut self, edge: u32, proxy: u32) -> bool {
        let index = self.proxy_index(edge, proxy);
        if self.proxies[index].ejected.is_empty() {
            return false;
        }
        self.forget_returned(index);
        let out = self.proxies[index].ejected.len() as f64;
        if out == 0.0 {
            return false;
        }
        let callee = self.edges[edge as usize].callee as usize;
        let hosts = self.services[callee].live.len() as f64;
        let least = self.mesh.edges[edge as usize]
            .ejection
            .map_or(0, |e| e.min_health_percent);
        (hosts - out) / hosts.max(1.0) * 100.0 >= f64::from(least)
    }

    pub(super) fn is_ejected(&self, edge: u32, proxy: u32, host: u32) -> bool {
        self.links[self.link_index(edge, proxy, host)].ejected_until > self.now
    }
}
