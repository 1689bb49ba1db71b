//! Which instances a proxy's balancer leaves out. An ejection or a return reaches the balancer at once only if none did within the last
//! second; else it waits for a second, and all that has changed by then comes together (Envoy's `update_merge_window`, 1 s by
//! default). So an instance that fails again as soon as it is back gets requests for a second more than its errors in a row
//! took, and of several that fail together all but the first.

use super::{Engine, NS_PER_S};

/// Envoy's `update_merge_window` by default.
const MERGE_WINDOW_NS: u64 = NS_PER_S as u64;

impl Engine<'_> {
    /// Whether the balancer leaves any instance out.
    pub(super) fn some_left_out(&mut self, edge: u32, proxy: u32) -> bool {
        let at = &self.proxies[self.proxy_index(edge, proxy)];
        if at.ejected.is_empty() && at.left_out.is_empty() {
            return false;
        }
        self.follow_rotation(edge, proxy);
        !self.proxies[self.proxy_index(edge, proxy)]
            .left_out
            .is_empty()
    }

    #[inline]
    pub(super) fn is_left_out(&self, edge: u32, proxy: u32, host: u32) -> bool {
        self.links[self.link_index(edge, proxy, host)].left_out
    }

    /// Lets happen what was due by now: returns of instances, and news that waited.
    pub(super) fn follow_rotation(&mut self, edge: u32, proxy: u32) {
        let index = self.proxy_index(edge, proxy);
        loop {
            let at = &self.proxies[index];
            let news = at.news_at.unwrap_or(u64::MAX);
            let returns = at.ejected.iter().map(|(_, until)| *until).min();
            let returns = returns.unwrap_or(u64::MAX);
            if news.min(returns) > self.now {
                return;
            }
            if news <= returns {
                self.tell_balancer(edge, proxy, news);
            } else {
                let ejected = &mut self.proxies[index].ejected;
                if let Some(place) = ejected.iter().position(|(_, until)| *until == returns) {
                    ejected.remove(place);
                }
                self.rotation_changed(edge, proxy, returns);
            }
        }
    }

    /// An instance was ejected or came back.
    pub(super) fn rotation_changed(&mut self, edge: u32, proxy: u32, at: u64) {
        let index = self.proxy_index(edge, proxy);
        let told = self.proxies[index].told_at;
        if told.is_none_or(|told| at > told + MERGE_WINDOW_NS) {
            self.tell_balancer(edge, proxy, at);
        } else {
            self.proxies[index]
                .news_at
                .get_or_insert(at + MERGE_WINDOW_NS);
        }
    }

    /// From now on the balancer leaves out those that are ejected.
    fn tell_balancer(&mut self, edge: u32, proxy: u32, at: u64) {
        let index = self.proxy_index(edge, proxy);
        let first = self.link_index(edge, proxy, 0);
        let part = &mut self.proxies[index];
        part.told_at = Some(at);
        part.news_at = None;
        for host in part.left_out.drain(..) {
            self.links[first + host as usize].left_out = false;
        }
        part.left_out
            .extend(part.ejected.iter().map(|(host, _)| *host));
        for host in &part.left_out {
            self.links[first + *host as usize].left_out = true;
        }
    }

    /// A new instance stands at the place of an old one: nothing is known against it.
    pub(super) fn clear_record(&mut self, edge: u32, proxy: u32, host: u32) {
        let index = self.proxy_index(edge, proxy);
        self.proxies[index].ejected.retain(|(out, _)| *out != host);
        self.proxies[index].left_out.retain(|out| *out != host);
    }
}
