//! Where instances stand, how far apart, and how a proxy shares requests among localities.

use crate::{EdgeModel, Mesh, ServiceModel};

/// A zone of a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locality {
    /// Its name.
    pub name: String,
    /// The region in which it lies: bytes between regions cost money, and a proxy prefers its own.
    pub region: String,
}

/// All localities and the ways between them. The first region is the one that is planned.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Localities {
    /// The localities; none: everything stands together.
    pub all: Vec<Locality>,
    /// Milliseconds that a message takes longer to another zone of its region, one way.
    pub other_zone_ms: f64,
    /// Milliseconds that a message takes longer to another region, one way.
    pub other_region_ms: f64,
}

impl Localities {
    /// How far a locality is from another: 0 the same, 1 the same region, 2 another region.
    #[must_use]
    pub fn distance(&self, from: usize, to: usize) -> usize {
        match (self.all.get(from), self.all.get(to)) {
            (Some(a), Some(b)) if from != to => {
                if a.region == b.region {
                    1
                } else {
                    2
                }
            }
            _ => 0,
        }
    }

    /// The localities of the first region.
    #[must_use]
    pub fn home(&self) -> Vec<usize> {
        let region = self.all.first().map(|locality| &locality.region);
        (0..self.all.len())
            .filter(|at| Some(&self.all[*at].region) == region)
            .collect()
    }
}

impl Mesh {
    /// Mean milliseconds that a call and its answer spend on the network and in both proxies while nothing waits there, with so many instances
    /// of the called service ready and in rotation.
    #[must_use]
    pub fn way_ms(&self, edge: usize, instances: u32) -> f64 {
        let Some(model) = self.edges.get(edge) else {
            return 0.0;
        };
        let callee = self.services.get(model.callee);
        let caller = model.caller.and_then(|caller| self.services.get(caller));
        let proxies = caller.map_or(model.gateway, |caller| caller.proxy).cost_ms
            + callee.map_or(0.0, |callee| callee.proxy.cost_ms);
        let between = match callee {
            Some(callee) if self.localities.all.len() > 1 => {
                self.between_ms(model, caller, callee, instances)
            }
            _ => 0.0,
        };
        2.0 * (model.one_way_ms + between) + proxies
    }

    /// Mean milliseconds that a message takes longer because of where both stand, one way.
    fn between_ms(
        &self,
        model: &EdgeModel,
        caller: Option<&ServiceModel>,
        callee: &ServiceModel,
        instances: u32,
    ) -> f64 {
        let localities = &self.localities;
        let farther = [0.0, localities.other_zone_ms, localities.other_region_ms];
        let ms = |from: usize, to: usize| farther[localities.distance(from, to)];
        // Instances take their places in turn, so that the first round says where there are any.
        let spread = callee.placement.get(..instances as usize);
        let near = spread.unwrap_or(&callee.placement);
        let remote = callee.remote.iter().map(|remote| remote.locality);
        let nearest = |from: usize| {
            let all = near.iter().copied().chain(remote.clone());
            all.map(|to| ms(from, to)).fold(f64::INFINITY, f64::min)
        };
        let anywhere = |from: usize| {
            let there: u32 = callee.remote.iter().map(|remote| remote.instances).sum();
            let home: f64 = near.iter().map(|to| ms(from, *to)).sum();
            let home = home / near.len().max(1) as f64 * f64::from(instances);
            let away = callee
                .remote
                .iter()
                .map(|remote| f64::from(remote.instances) * ms(from, remote.locality));
            (home + away.sum::<f64>()) / f64::from(instances + there).max(1.0)
        };
        let mean_from = |from: usize| match &model.locality_balancing {
            Some(LocalityBalancing::Region { .. }) => {
                let own = near.iter().filter(|to| localities.distance(from, **to) < 2);
                let (sum, count) =
                    own.fold((0.0, 0.0), |(sum, n), to| (sum + ms(from, *to), n + 1.0));
                if count > 0.0 {
                    sum / count
                } else {
                    anywhere(from)
                }
            }
            Some(LocalityBalancing::Failover { .. }) => nearest(from).min(farther[2]),
            Some(LocalityBalancing::Distribute { weights, .. }) => {
                let all: f64 = weights.iter().map(|(_, weight)| f64::from(*weight)).sum();
                let far = weights
                    .iter()
                    .map(|(to, weight)| f64::from(*weight) * ms(from, *to));
                far.sum::<f64>() / all.max(1.0)
            }
            None => anywhere(from),
        };
        match caller {
            Some(caller) if !caller.placement.is_empty() => {
                let all = caller.placement.iter().map(|from| mean_from(*from));
                all.sum::<f64>() / caller.placement.len() as f64
            }
            Some(_) => mean_from(0),
            // The gateway stands in every zone of the first region.
            None => {
                let region = localities.all.first().map(|first| &first.region);
                let home = (0..localities.all.len())
                    .filter(|at| Some(&localities.all[*at].region) == region);
                let (sum, count) = home.fold((0.0, 0.0), |(sum, n), from| {
                    (sum + mean_from(from), n + 1.0)
                });
                sum / f64::max(count, 1.0)
            }
        }
    }
}

/// Instances of a service in another region, which take over. They are there all the time and not part of what is planned: their
/// cost and utilisation are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteInstances {
    /// Where they stand, by index.
    pub locality: usize,
    /// How many.
    pub instances: u32,
}

/// How a proxy shares requests among localities.
#[derive(Debug, Clone, PartialEq)]
pub enum LocalityBalancing {
    /// The nearest first (Istio's failover, Envoy's priorities): its own zone, then the zones of its region, then other regions. Each takes
    /// what the share of its instances that are in rotation, times this percentage, allows; what is above goes to the next.
    Failover {
        /// Envoy's overprovisioning factor: 140 by default.
        overprovisioning_percent: u32,
    },
    /// Its own region first, all zones alike (Istio's failover priority by region), then other regions, as above.
    Region {
        /// Envoy's overprovisioning factor: 140 by default.
        overprovisioning_percent: u32,
    },
    /// Fixed shares: weight of each locality by index, as Envoy's locality weights. A locality with instances out of rotation loses weight
    /// once those in rotation, times the percentage, are fewer than all.
    Distribute {
        /// Locality and weight.
        weights: Vec<(usize, u32)>,
        /// Envoy's overprovisioning factor: 140 by default.
        overprovisioning_percent: u32,
    },
}
