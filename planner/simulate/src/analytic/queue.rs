//! How long a request waits for a worker of a service that has several instances behind a load balancer.
//!
//! A mesh has no central queue: each instance has its own, and how near the service comes to one common queue depends on how
//! instances are chosen. The wait is therefore a mixture of two that are known: one common queue for all workers (pooled) and
//! one queue for each instance fed at random (split). M/M/40 and ten M/M/4 behind a random split differ by 16 times in the 99th
//! percentile of the wait at 80% utilisation.
//!
//! - Probability of waiting: Erlang C; Halfin & Whitt, *Heavy-traffic limits for queues with many exponential servers*
//!   (Operations Research 1981) above 512 workers.
//! - Other than exponential times: Allen & Cunneen, W(G/G/c) = W(M/M/c)·(ca² + cs²)/2, for the mean; the wait of those that
//!   wait is taken as exponential with that mean (Whitt, *Approximations for the GI/G/m queue*, 1993).
//! - Share of the split queue by balancer, [`split_share`]: Mitzenmacher, *The power of two choices in randomized load
//!   balancing* (2001). The shares await calibration in the simulator.

use foremesh_model::LoadBalancing;
use statrs::function::erf::erfc;

use super::Moments;

/// Servers above which Erlang C is taken from its many-server limit.
const MANY_SERVERS: u32 = 512;
/// Busy share at which a queue is called full; above it no stationary wait exists.
const FULL: f64 = 0.995;

/// The probability that a request finds all `servers` busy, for an offered load in erlangs (requests in service on average
/// if there were no limit). 1 where the load is not less than the servers.
pub fn erlang_c(servers: u32, offered: f64) -> f64 {
    if offered.is_nan() || offered <= 0.0 {
        return 0.0;
    }
    let c = f64::from(servers);
    if offered >= c {
        return 1.0;
    }
    let utilisation = offered / c;
    if servers > MANY_SERVERS {
        let beta = (1.0 - utilisation) * c.sqrt();
        let cumulated = 0.5 * erfc(-beta / std::f64::consts::SQRT_2);
        let density = (-0.5 * beta * beta).exp() / std::f64::consts::TAU.sqrt();
        return density / (density + beta * cumulated);
    }
    // Erlang B by its stable recursion on 1/B: 1/B(k) = 1 + k/a · 1/B(k−1).
    let mut inverse = 1.0f64;
    for k in 1..=servers {
        inverse = 1.0 + f64::from(k) / offered * inverse;
        if inverse > 1e15 {
            return 0.0;
        }
    }
    let blocked = 1.0 / inverse;
    blocked / (1.0 - utilisation * (1.0 - blocked))
}

/// The share with which a request waits as behind a random split; with the rest it waits as in one common queue.
///
/// - `random` and the hashing balancers: 1, by definition (hashing adds the imbalance of its keys, which nobody knows here).
/// - `round_robin`: 0.5. Each instance sees arrivals of an n-th Erlang stage, whose variation vanishes: Allen–Cunneen then
///   halves the wait of the split.
/// - `least_request`: 0.3. Mitzenmacher's fixed point for two choices gives 0.20 at 80% and 0.11 at 90% utilisation for one
///   balancer; each proxy sees only its own requests in flight, which costs some of it.
pub fn split_share(balancing: LoadBalancing) -> f64 {
    match balancing {
        LoadBalancing::LeastRequest => 0.3,
        LoadBalancing::RoundRobin => 0.5,
        LoadBalancing::Random | LoadBalancing::RingHash | LoadBalancing::Maglev => 1.0,
    }
}

/// A queue whose wait is 0 or exponential.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Queue {
    probability: f64,
    mean_of_waiting_ms: f64,
}

impl Queue {
    fn of(servers: u32, offered: f64, holding_ms: f64, variability: f64) -> Self {
        let c = f64::from(servers.max(1));
        let offered = offered.min(c * FULL);
        Self {
            probability: erlang_c(servers.max(1), offered),
            mean_of_waiting_ms: holding_ms / (c - offered) * variability,
        }
    }
}

/// The distribution of the wait at one service.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wait {
    pooled: Queue,
    split: Queue,
    share: f64,
}

/// What [`Wait::of`] needs to know of a service.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Workers {
    /// Workers of one instance.
    pub per_instance: u32,
    /// Mean milliseconds that a request holds one.
    pub holding_ms: f64,
    /// Squared coefficient of variation of that time.
    pub service_cv2: f64,
    /// Squared coefficient of variation of the time between arrivals.
    pub arrival_cv2: f64,
    /// How callers choose an instance.
    pub balancing: LoadBalancing,
}

impl Wait {
    /// The wait at `instances` instances that together get `rate_rps` requests a second.
    pub fn of(workers: &Workers, instances: u32, rate_rps: f64) -> Self {
        let instances = instances.max(1);
        let offered = (rate_rps * workers.holding_ms / 1000.0).max(0.0);
        let variability = (workers.arrival_cv2 + workers.service_cv2) / 2.0;
        Self {
            pooled: Queue::of(
                workers.per_instance.saturating_mul(instances),
                offered,
                workers.holding_ms,
                variability,
            ),
            split: Queue::of(
                workers.per_instance,
                offered / f64::from(instances),
                workers.holding_ms,
                variability,
            ),
            share: split_share(workers.balancing),
        }
    }

    /// The moments in milliseconds.
    pub fn moments(&self) -> Moments {
        let of = |q: &Queue| {
            let first = q.probability * q.mean_of_waiting_ms;
            let second = 2.0 * first * q.mean_of_waiting_ms;
            [first, second, 3.0 * second * q.mean_of_waiting_ms]
        };
        let (pooled, split) = (of(&self.pooled), of(&self.split));
        let mixed = |i: usize| pooled[i] + self.share * (split[i] - pooled[i]);
        Moments::from_powers(mixed(0), mixed(1), mixed(2))
    }

    /// The share of requests that wait longer than `t_ms`.
    pub fn tail(&self, t_ms: f64) -> f64 {
        let of = |q: &Queue| q.probability * (-t_ms / q.mean_of_waiting_ms.max(1e-9)).exp();
        (1.0 - self.share) * of(&self.pooled) + self.share * of(&self.split)
    }

    /// The wait in milliseconds that a share `level` of the requests does not exceed.
    pub fn quantile_ms(&self, level: f64) -> f64 {
        let beyond = (1.0 - level).max(1e-9);
        if self.tail(0.0) <= beyond {
            return 0.0;
        }
        let (mut low, mut high) = (0.0, self.split.mean_of_waiting_ms.max(1e-6));
        while self.tail(high) > beyond {
            high *= 2.0;
        }
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if self.tail(middle) > beyond {
                low = middle;
            } else {
                high = middle;
            }
        }
        high
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn workers(per_instance: u32, balancing: LoadBalancing) -> Workers {
        Workers {
            per_instance,
            holding_ms: 1000.0,
            service_cv2: 1.0,
            arrival_cv2: 1.0,
            balancing,
        }
    }

    #[test]
    fn erlang_c_is_the_tables() {
        // M/M/1: C = ρ. M/M/2 at 1 erlang: 1/3. M/M/4 at 3.2: 0.5964; M/M/10 at 8: 0.4092; M/M/50 at 45: 0.3231 is left to the recursion.
        assert!((erlang_c(1, 0.7) - 0.7).abs() < 1e-12);
        assert!((erlang_c(2, 1.0) - 1.0 / 3.0).abs() < 1e-12);
        assert!((erlang_c(4, 3.2) - 0.5964).abs() < 1e-4);
        assert!((erlang_c(10, 8.0) - 0.4092).abs() < 1e-4);
        assert_eq!(erlang_c(3, 3.0), 1.0);
        assert_eq!(erlang_c(3, 0.0), 0.0);
    }

    #[test]
    fn the_many_server_limit_joins_smoothly() {
        for utilisation in [0.9, 0.95, 0.98] {
            let (exact, limit) = (
                erlang_c(512, 512.0 * utilisation),
                erlang_c(513, 513.0 * utilisation),
            );
            assert!((exact - limit).abs() < 0.02, "{exact} {limit}");
        }
    }

    #[test]
    fn ten_split_queues_wait_sixteen_times_longer_than_one() {
        let pooled = Wait::of(&workers(40, LoadBalancing::Random), 1, 32.0);
        let split = Wait::of(&workers(4, LoadBalancing::Random), 10, 32.0);
        let ratio = split.quantile_ms(0.99) / pooled.quantile_ms(0.99);
        assert!((14.0..18.0).contains(&ratio), "{ratio}");
    }

    #[test]
    fn mm1_is_exact() {
        let wait = Wait::of(&workers(1, LoadBalancing::Random), 1, 0.8);
        // W = ρ/(μ − λ) = 4 s; P(W > t) = 0.8·e^(−0.2 t).
        assert!((wait.moments().mean - 4000.0).abs() < 1e-6);
        assert!((wait.quantile_ms(0.99) - (80f64).ln() * 5000.0).abs() < 1.0);
    }

    #[test]
    fn the_better_balancer_waits_less() {
        let mean = |balancing| Wait::of(&workers(4, balancing), 10, 32.0).moments().mean;
        assert!(mean(LoadBalancing::LeastRequest) < mean(LoadBalancing::RoundRobin));
        assert!(mean(LoadBalancing::RoundRobin) < mean(LoadBalancing::Random));
    }

    proptest! {
        #[test]
        fn more_instances_never_wait_longer(c in 1u32..32, n in 1u32..60, load in 0.05f64..0.97) {
            let workers = workers(c, LoadBalancing::LeastRequest);
            let rate = f64::from(c * n) * load;
            let (few, more) = (Wait::of(&workers, n, rate).moments(), Wait::of(&workers, n + 1, rate).moments());
            prop_assert!(more.mean <= few.mean * 1.001 + 1e-9);
            prop_assert!(few.mean.is_finite() && few.variance.is_finite());
        }
    }
}
