//! Localities: how far calls go, who is near, and which of the instances a call is shared among.

use foremesh_model::random::uniform;

use super::{Engine, parts::Call};
use crate::LocalityBalancing;

/// Same zone, same region, other region.
pub(super) const DISTANCES: usize = 3;
const OTHER_REGION: usize = 2;

/// The instances of a service among which a proxy chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pool {
    /// All.
    All,
    /// Those at a distance from a locality.
    Near(usize, usize),
    /// Those in a locality's region.
    Within(usize),
    /// Those of a locality.
    At(usize),
}

/// Instances of a service that take requests, by where they stand. Counted within the service.
#[derive(Debug, Clone, Default)]
pub(super) struct Groups {
    at: Vec<Vec<u32>>,
    near: Vec<[Vec<u32>; DISTANCES]>,
    within: Vec<Vec<u32>>,
}

impl Engine<'_> {
    /// Nanoseconds that a message takes longer from one locality to another.
    #[inline]
    pub(super) fn between_ns(&self, from: u32, to: u32) -> u64 {
        if from == to {
            return 0;
        }
        let count = self.mesh.localities.all.len();
        self.between
            .get(from as usize * count + to as usize)
            .map_or(0, |way| way.ns)
    }

    /// Whether a message from one locality does not reach another.
    #[inline]
    pub(super) fn is_cut(&self, from: u32, to: u32) -> bool {
        if from == to {
            return false;
        }
        let count = self.mesh.localities.all.len();
        self.between
            .get(from as usize * count + to as usize)
            .is_some_and(|way| way.cut)
    }

    #[inline]
    pub(super) fn crosses_regions(&self, from: u32, to: u32) -> bool {
        let count = self.mesh.localities.all.len();
        self.between
            .get(from as usize * count + to as usize)
            .is_some_and(|way| way.other_region)
    }

    /// Groups the instances of a service anew, after one came or went.
    pub(super) fn regroup(&mut self, service: usize) {
        let localities = &self.mesh.localities;
        let count = localities.all.len();
        if count == 0 {
            return;
        }
        let part = &mut self.services[service];
        part.groups.at = vec![Vec::new(); count];
        part.groups.near = vec![Default::default(); count];
        part.groups.within = vec![Vec::new(); count];
        for host in &part.live {
            let to = self.instances[(part.first + host) as usize].locality as usize;
            part.groups.at[to].push(*host);
            let Groups { near, within, .. } = &mut part.groups;
            for (from, (near, within)) in near.iter_mut().zip(within).enumerate() {
                let distance = localities.distance(from, to);
                near[distance].push(*host);
                if distance < OTHER_REGION {
                    within.push(*host);
                }
            }
        }
    }

    pub(super) fn pool_hosts(&self, service: usize, pool: Pool) -> &[u32] {
        let part = &self.services[service];
        match pool {
            Pool::All => &part.live,
            Pool::Within(from) => &part.groups.within[from],
            Pool::At(locality) => &part.groups.at[locality],
            Pool::Near(from, distance) => &part.groups.near[from][distance],
        }
    }

    /// How many instances of a pool a proxy has out of rotation.
    pub(super) fn out_of(&self, call: &Call, service: usize, pool: Pool) -> usize {
        let proxy = &self.proxies[self.proxy_index(call.edge, call.proxy)];
        if pool == Pool::All {
            return proxy.left_out.len();
        }
        let hosts = self.pool_hosts(service, pool);
        let out = proxy.left_out.iter();
        out.filter(|host| hosts.binary_search(host).is_ok()).count()
    }

    /// Among which instances an attempt is shared; `judged`: the proxy has some out of rotation.
    pub(super) fn pool(
        &self,
        call: &Call,
        service: usize,
        balancing: &LocalityBalancing,
        judged: bool,
        key: u64,
    ) -> Pool {
        if self.mesh.localities.all.is_empty() {
            return Pool::All;
        }
        match balancing {
            LocalityBalancing::Failover {
                overprovisioning_percent,
            } => {
                let from = self.stands(call);
                let pools: [Pool; DISTANCES] =
                    std::array::from_fn(|distance| Pool::Near(from, distance));
                self.by_priority(call, service, pools, *overprovisioning_percent, judged, key)
            }
            LocalityBalancing::Region {
                overprovisioning_percent,
            } => {
                let from = self.stands(call);
                let pools = [Pool::Within(from), Pool::Near(from, OTHER_REGION)];
                self.by_priority(call, service, pools, *overprovisioning_percent, judged, key)
            }
            LocalityBalancing::Distribute {
                weights,
                overprovisioning_percent,
            } => {
                let pools: Vec<Pool> = weights.iter().map(|(at, _)| Pool::At(*at)).collect();
                let loads: Vec<f64> = weights
                    .iter()
                    .zip(&pools)
                    .map(|((_, weight), pool)| {
                        let health =
                            self.health(call, service, *pool, *overprovisioning_percent, judged);
                        f64::from(*weight) * health
                    })
                    .collect();
                let sum: f64 = loads.iter().sum();
                pick(&pools, &loads, uniform(key) * sum).unwrap_or(Pool::All)
            }
        }
    }

    /// The locality of the proxy that a call leaves from.
    fn stands(&self, call: &Call) -> usize {
        self.proxies[self.proxy_index(call.edge, call.proxy)].locality as usize
    }

    /// The share of a pool's instances in rotation, times the overprovisioning factor; 0 for none at all.
    fn health(&self, call: &Call, service: usize, pool: Pool, percent: u32, judged: bool) -> f64 {
        let all = self.pool_hosts(service, pool).len();
        let out = if judged {
            self.out_of(call, service, pool)
        } else {
            0
        };
        let share = all.saturating_sub(out) as f64 / all.max(1) as f64;
        (share * f64::from(percent) / 100.0).min(1.0)
    }

    /// The first of pools takes what its instances in rotation allow, what is above goes to the next.
    fn by_priority<const N: usize>(
        &self,
        call: &Call,
        service: usize,
        pools: [Pool; N],
        percent: u32,
        judged: bool,
        key: u64,
    ) -> Pool {
        let first = || {
            let there = |pool: &&Pool| !self.pool_hosts(service, **pool).is_empty();
            pools.iter().find(there).copied()
        };
        // With everything in rotation the nearest take all: most attempts need no shares.
        if !judged
            && percent >= 100
            && let Some(nearest) = first()
        {
            return nearest;
        }
        let health = pools.map(|pool| self.health(call, service, pool, percent, judged));
        // What all can take together is the whole, if they can take less than it.
        let whole = health.iter().sum::<f64>().min(1.0);
        let loads = cascade(health, whole);
        pick(&pools, &loads, uniform(key))
            .or_else(first)
            .unwrap_or(Pool::All)
    }
}

/// Fills priorities one after the other, each up to its share of the whole, until all is given out (Envoy's priority levels).
fn cascade<const N: usize>(health: [f64; N], whole: f64) -> [f64; N] {
    let mut left = 1.0;
    health.map(|health| {
        let load = if whole > 0.0 {
            (health / whole).min(left)
        } else {
            0.0
        };
        left -= load;
        load
    })
}

/// The pool into whose part of the loads a number falls.
fn pick(pools: &[Pool], loads: &[f64], mut at: f64) -> Option<Pool> {
    let mut last = None;
    for (pool, load) in pools.iter().zip(loads) {
        if *load > 0.0 {
            last = Some(*pool);
            if at < *load {
                break;
            }
            at -= load;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_priority_cannot_take_goes_to_the_next() {
        // Envoy's documentation: 140%, 71% of P0 healthy: all stays; 57%: 80 to 20; nothing healthy: all to P1; both at 25%: 50 to 50.
        let loads = |p0: f64, p1: f64| {
            let health = [(p0 * 1.4).min(1.0), (p1 * 1.4).min(1.0), 0.0];
            cascade(health, health.iter().sum::<f64>().min(1.0))
        };
        let near = |got: [f64; 3], p0: f64, p1: f64| {
            assert!(
                (got[0] - p0).abs() < 0.01 && (got[1] - p1).abs() < 0.01,
                "{got:?}"
            );
        };
        near(loads(1.0, 1.0), 1.0, 0.0);
        near(loads(0.72, 1.0), 1.0, 0.0);
        near(loads(0.57, 1.0), 0.8, 0.2);
        near(loads(0.0, 1.0), 0.0, 1.0);
        near(loads(0.25, 0.25), 0.5, 0.5);
        near(loads(0.0, 0.0), 0.0, 0.0);
    }
}
