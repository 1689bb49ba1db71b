//! Where instances stand, how far apart, and how a proxy shares requests among localities.

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
    /// Fixed shares: weight of each locality by index, as Envoy's locality weights. A locality with instances out of rotation loses weight
    /// once those in rotation, times the percentage, are fewer than all.
    Distribute {
        /// Locality and weight.
        weights: Vec<(usize, u32)>,
        /// Envoy's overprovisioning factor: 140 by default.
        overprovisioning_percent: u32,
    },
}
