//! How a proxy chooses an instance, as Envoy does.

use foremesh_model::{
    LoadBalancing,
    random::{mix, uniform},
};

use super::{Engine, localities::Pool, parts::Call, purpose};

/// Draws before a proxy that meets only instances out of rotation looks at all of them in turn.
const DRAWS: u64 = 6;

impl Engine<'_> {
    /// The instance of an attempt, counted within its service; None: there is none at all. Where a retry meets an instance that was tried it
    /// chooses anew, so often and not oftener; then it takes what it has.
    pub(super) fn choose(&mut self, call: &Call) -> Option<u32> {
        let key = mix(mix(call.stream, purpose::CHOICE), u64::from(call.attempt));
        let mut host = self.choose_once(call, call.stream, key);
        if call.attempt == 0 {
            return host;
        }
        for draw in 0..self.mesh.edges[call.edge as usize].retries.other_draws {
            if !host.is_some_and(|host| call.tried.contains(&host)) {
                break;
            }
            let again = 1000 + u64::from(draw);
            host = self.choose_once(call, mix(call.stream, again), mix(key, again));
        }
        host
    }

    fn choose_once(&mut self, call: &Call, stream: u64, key: u64) -> Option<u32> {
        let mesh = self.mesh;
        let edge = &mesh.edges[call.edge as usize];
        let callee = edge.callee;
        let mut judged = edge.ejection.is_some() && self.some_left_out(call.edge, call.proxy);
        let pool = match &edge.locality_balancing {
            None => Pool::All,
            Some(balancing) => {
                self.pool(call, callee, balancing, judged, mix(key, purpose::LOCALITY))
            }
        };
        let hosts = self.pool_hosts(callee, pool);
        if hosts.len() < 2 {
            return hosts.first().copied();
        }
        if judged {
            // With too few left in rotation all are used (Envoy's panic threshold).
            let all = hosts.len() as f64;
            let left = all - self.out_of(call, callee, pool) as f64;
            let least = edge.ejection.map_or(0, |e| e.min_health_percent);
            judged = left > 0.0 && left / all * 100.0 >= f64::from(least);
        }
        let weighted = edge.slow_start.is_some();
        if edge.load_balancing == LoadBalancing::RoundRobin {
            return Some(self.in_turn(call, callee, pool, judged, weighted, key));
        }
        let base = match edge.load_balancing {
            // The key of a caller is the same at every attempt.
            LoadBalancing::RingHash | LoadBalancing::Maglev => mix(stream, purpose::CHOICE),
            _ => key,
        };
        let first = self.draw(call, callee, pool, base, judged, weighted);
        if edge.load_balancing != LoadBalancing::LeastRequest {
            return Some(first);
        }
        let second = self.draw(call, callee, pool, mix(base, 1), judged, weighted);
        let active = |host: u32| self.links[self.link_index(call.edge, call.proxy, host)].active;
        Some(if active(second) < active(first) {
            second
        } else {
            first
        })
    }

    /// An instance at random among those in rotation, new ones less often.
    fn draw(
        &self,
        call: &Call,
        callee: usize,
        pool: Pool,
        key: u64,
        judged: bool,
        weighted: bool,
    ) -> u32 {
        let live = self.pool_hosts(callee, pool);
        let at = |key: u64| live[((u128::from(key) * live.len() as u128) >> 64) as usize];
        let mut host = at(key);
        if !judged && !weighted {
            return host;
        }
        for round in 0..DRAWS {
            let out = judged && self.is_left_out(call.edge, call.proxy, host);
            if !out && (!weighted || self.takes(call.edge, callee, host, mix(key, 100 + round))) {
                return host;
            }
            host = at(mix(key, 10 + round));
        }
        let start = (key >> 40) as usize;
        (0..live.len())
            .map(|i| live[(start + i) % live.len()])
            .find(|host| !(judged && self.is_left_out(call.edge, call.proxy, *host)))
            .unwrap_or(host)
    }

    fn in_turn(
        &mut self,
        call: &Call,
        callee: usize,
        pool: Pool,
        judged: bool,
        weighted: bool,
        key: u64,
    ) -> u32 {
        let proxy = self.proxy_index(call.edge, call.proxy);
        let count = self.pool_hosts(callee, pool).len() as u32;
        let mut host = 0;
        for round in 0..count {
            let turn = self.proxies[proxy].turn;
            self.proxies[proxy].turn = turn.wrapping_add(1);
            host = self.pool_hosts(callee, pool)[(turn % count) as usize];
            let out = judged && self.is_left_out(call.edge, call.proxy, host);
            if !out
                && (!weighted || self.takes(call.edge, callee, host, mix(key, u64::from(round))))
            {
                return host;
            }
        }
        host
    }

    /// Whether an instance that is still given less than its share takes this one. Its share climbs from the least to the whole
    /// with (time since it is ready ÷ window)^(1 ÷ aggression), Envoy's slow start.
    fn takes(&self, edge: u32, callee: usize, host: u32, key: u64) -> bool {
        let Some(slow_start) = self.mesh.edges[edge as usize].slow_start else {
            return true;
        };
        let instance = &self.instances[(self.services[callee].first + host) as usize];
        let Some(ready_at) = instance.ready_at else {
            return true;
        };
        let window = f64::from(slow_start.duration_s) * super::NS_PER_S;
        let passed = (self.now - ready_at) as f64 / window.max(1.0);
        if passed >= 1.0 {
            return true;
        }
        let share = passed
            .powf(1.0 / slow_start.aggression.max(0.01))
            .max(f64::from(slow_start.minimum_percent) / 100.0);
        uniform(key) < share
    }
}
