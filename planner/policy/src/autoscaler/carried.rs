//! What a number of instances of one service may be asked: as much as their rate limits admit, and no more than where another instance
//! would be worth its price for what it takes off the latency.

use foremesh_simulate::analytic::{Moments, Wait};

use crate::{ground::Ground, limits::rate_limit_rps, size::ADMITTED_UTILISATION};

/// Busy shares at which the worth of another instance is known.
const BUSY: [f64; 18] = [
    0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.77, 0.84,
    0.9,
];
/// Every number of instances up to here is known, then each that is about an eighth more.
const EVERY: u32 = 16;

/// What an entry feels of a service's wait.
#[derive(Debug, Clone, Copy, Default)]
struct Felt {
    /// Share of the objective for each millisecond of the mean.
    mean: f64,
    /// And for each squared millisecond of the variance.
    variance: f64,
}

/// One service.
#[derive(Debug, Clone)]
pub(crate) struct Knowledge {
    instances: Vec<u32>,
    /// Requests a second that their rate limits admit.
    admitted_rps: Vec<f64>,
    /// What one more takes off mean (ms) and variance (ms²) of the wait, `[instances][busy share]`.
    gains: Vec<Vec<[f64; 2]>>,
    /// By entry.
    felt: Vec<Felt>,
    saturation_rps: f64,
    price: f64,
}

/// What instances may be asked at one price of latency.
#[derive(Debug, Clone)]
pub(crate) struct Carried {
    instances: Vec<u32>,
    rps: Vec<f64>,
}

impl Carried {
    /// Requests a second that so many instances may be asked.
    pub(crate) fn by(&self, instances: u32) -> f64 {
        if instances == 0 {
            return 0.0;
        }
        let last = self.instances.len() - 1;
        let above = self.instances.partition_point(|n| *n < instances);
        if above > last {
            return self.rps[last] / f64::from(self.instances[last]) * f64::from(instances);
        }
        if self.instances[above] == instances || above == 0 {
            return self.rps[above];
        }
        let (low, high) = (self.instances[above - 1], self.instances[above]);
        let weight = f64::from(instances - low) / f64::from(high - low);
        self.rps[above - 1] + weight * (self.rps[above] - self.rps[above - 1])
    }

    /// The fewest instances that may be asked so much, at most `most`.
    pub(crate) fn needed(&self, rate_rps: f64, most: u32) -> u32 {
        let (mut low, mut high) = (0, most);
        while low + 1 < high {
            let middle = low + (high - low) / 2;
            if self.by(middle) >= rate_rps {
                high = middle;
            } else {
                low = middle;
            }
        }
        high
    }
}

impl Knowledge {
    /// What is known of every service; none of those that are not scaled. `share` of limits and objectives is planned with, `most_rps` is the
    /// highest demand that is looked at, and callers have as many proxies as in an allocation at some rates.
    pub(crate) fn of_all(
        ground: &Ground<'_>,
        share: f64,
        most_rps: &[f64],
        allocation: &[u32],
        rates_rps: &[f64],
    ) -> Vec<Option<Self>> {
        let whole = ground.latencies(allocation, rates_rps);
        (0..ground.services.len())
            .map(|s| {
                let station = &ground.stations[s];
                if station.stateful || !ground.reached[s] {
                    return None;
                }
                let felt = felt(ground, s, &whole);
                let proxies = ground.caller_proxies(s, allocation, rates_rps);
                let workers = ground.workers(s, proxies);
                let each = rate_limit_rps(station)
                    .min(station.bearable_rps() * ADMITTED_UTILISATION)
                    * share;
                let instances = numbers(2.0 * most_rps[s] / each.max(1e-9), station.max_instances);
                let gain = |n: u32, busy: f64| {
                    let rate = busy * f64::from(n) * station.saturation_rps;
                    let now = Wait::of(&workers, n, rate).moments();
                    let then = Wait::of(&workers, n + 1, rate).moments();
                    [now.mean - then.mean, now.variance - then.variance]
                };
                Some(Self {
                    admitted_rps: instances
                        .iter()
                        .map(|n| admitted(ground, s, *n, each))
                        .collect(),
                    gains: instances
                        .iter()
                        .map(|n| BUSY.iter().map(|busy| gain(*n, *busy)).collect())
                        .collect(),
                    felt,
                    instances,
                    saturation_rps: station.saturation_rps,
                    price: station.cost_per_hour.max(1e-6),
                })
            })
            .collect()
    }

    /// What instances may be asked where the whole of each entry's latency is worth so much an hour.
    pub(crate) fn at(&self, worths: &[f64]) -> Carried {
        let mut felt = Felt::default();
        for (each, worth) in self.felt.iter().zip(worths) {
            felt.mean += worth * each.mean;
            felt.variance += worth * each.variance;
        }
        let rps = self
            .instances
            .iter()
            .zip(&self.gains)
            .zip(&self.admitted_rps)
            .map(|((n, gains), admitted)| {
                let busy = busiest(gains, self.price, felt);
                (busy * f64::from(*n) * self.saturation_rps).min(*admitted)
            })
            .collect();
        Carried {
            instances: self.instances.clone(),
            rps,
        }
    }
}

/// The busy share up to which another instance is not worth its price.
fn busiest(gains: &[[f64; 2]], price: f64, felt: Felt) -> f64 {
    let mut before = (0.0, 0.0);
    for (busy, [mean, variance]) in BUSY.iter().zip(gains) {
        let value = felt.mean * mean + felt.variance * variance;
        if value >= price {
            let (busy_before, value_before) = before;
            let weight =
                ((price - value_before) / (value - value_before).max(1e-12)).clamp(0.0, 1.0);
            return busy_before + weight * (busy - busy_before);
        }
        before = (*busy, value.max(0.0));
    }
    1.0
}

fn felt(ground: &Ground<'_>, service: usize, whole: &[Moments]) -> Vec<Felt> {
    let entries = ground.entries.iter();
    entries
        .map(|entry| {
            let visits = entry.visits[service];
            let there = whole[entry.node];
            let deviation = there.variance.max(1e-9).sqrt();
            let deviations = ((entry.quantile.of(there) - there.mean) / deviation).max(0.0);
            let objective = entry.slo.latency_ms;
            Felt {
                mean: visits / objective,
                variance: visits * deviations / (2.0 * deviation * objective),
            }
        })
        .collect()
}

fn numbers(most: f64, ceiling: u32) -> Vec<u32> {
    let most = (most.ceil().clamp(4.0, 1e6) as u32).min(ceiling.max(1));
    let mut numbers = Vec::new();
    let mut n = 1;
    while n < most {
        numbers.push(n);
        n = if n < EVERY { n + 1 } else { n + n.div_ceil(8) };
    }
    numbers.push(most);
    numbers
}

/// Requests a second that so many instances' rate limits admit: `each` to an instance at most, and few enough that bursts are not refused.
fn admitted(ground: &Ground<'_>, service: usize, instances: u32, each: f64) -> f64 {
    let most = each * f64::from(instances);
    if !ground.refuses(service, most, instances) {
        return most;
    }
    let (mut low, mut high) = (0.0, most);
    for _ in 0..12 {
        let middle = 0.5 * (low + high);
        if ground.refuses(service, middle, instances) {
            high = middle;
        } else {
            low = middle;
        }
    }
    low
}
