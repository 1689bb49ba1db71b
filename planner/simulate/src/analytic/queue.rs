//! How long a request waits for a worker of a service that has several instances behind a load balancer.
//!
//! A mesh has no central queue: each instance has its own, and how near the service comes to one common queue depends on how
//! instances are chosen. The mean wait therefore lies between two that are known: that of one common queue for all workers (pooled) and
//! that of one queue for each instance fed at random (split). M/M/40 and ten M/M/4 behind a random split differ by 16 times in the 99th
//! percentile of the wait at 80% utilisation.
//!
//! - Probability of waiting: Erlang C; Halfin & Whitt, *Heavy-traffic limits for queues with many exponential servers*
//!   (Operations Research 1981) above 512 workers.
//! - Other than exponential times: Allen & Cunneen, W(G/G/c) = W(M/M/c)·(ca² + cs²)/2, for the mean. The wait of those that wait varies as in
//!   Whitt, *The queueing network analyzer* (1983), equation 53, which is exact for M/G/1.
//! - Where between the two a balancer lies: [`Balancer`], calibrated in the simulator. What it gains shortens the waits; as many wait as
//!   behind a random split, because a proxy does not see which instances are idle.

use foremesh_model::LoadBalancing;

use super::{
    Moments,
    balancers::{Balancer, Conditions},
    loss::inverse_erlang_b,
    quantile::normal_tail,
};

/// Servers above which Erlang C is taken from its many-server limit.
const MANY_SERVERS: u32 = 512;
/// Busy share at which a queue is called full; above it no stationary wait exists, and it counts as this full.
pub(super) const FULL: f64 = 0.995;

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
        let cumulated = normal_tail(-beta);
        let density = (-0.5 * beta * beta).exp() / std::f64::consts::TAU.sqrt();
        return density / (density + beta * cumulated);
    }
    let blocked = 1.0 / inverse_erlang_b(servers, offered);
    blocked / (1.0 - utilisation * (1.0 - blocked))
}

/// The proxies that choose a service's instances.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CallerProxies {
    rate_rps: f64,
    known: f64,
}

impl CallerProxies {
    /// Adds a caller with so many proxies, which together send `rate_rps`.
    pub fn add(&mut self, rate_rps: f64, proxies: u32) {
        self.rate_rps += rate_rps;
        self.known += rate_rps * rate_rps / f64::from(proxies.max(1));
    }

    /// As many proxies that each send an equal part as know as much: 1 ÷ Σ part² over the proxies, because a request meets one that knows of
    /// the service what it sends there itself. 1 where nothing is sent.
    #[must_use]
    pub fn equal(&self) -> f64 {
        if self.known > 0.0 {
            (self.rate_rps * self.rate_rps / self.known).max(1.0)
        } else {
            1.0
        }
    }
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
    /// Proxies that choose, each with an equal part of the requests.
    pub caller_proxies: f64,
}

impl Workers {
    /// The share of the split queue in the mean wait at `instances` instances: 1 for a random split, 0 for one common queue.
    #[must_use]
    pub fn split_share(&self, instances: u32, rate_rps: f64) -> f64 {
        Balancer::of(self.balancing).map_or(1.0, |balancer| {
            balancer
                .share_and_spread(&self.conditions(instances, rate_rps))
                .0
        })
    }

    /// Busy share of the workers of one instance; above 1 where more is asked of them than they can do.
    #[must_use]
    pub fn utilisation(&self, instances: u32, rate_rps: f64) -> f64 {
        let offered = (rate_rps * self.holding_ms / 1000.0).max(0.0);
        offered / (f64::from(self.per_instance.max(1)) * f64::from(instances.max(1)))
    }

    fn conditions(&self, instances: u32, rate_rps: f64) -> Conditions {
        Conditions {
            caller_proxies: self.caller_proxies,
            utilisation: self.utilisation(instances, rate_rps),
            workers: f64::from(self.per_instance.max(1)),
            service_cv2: self.service_cv2,
        }
    }
}

/// The distribution of the wait at one service: none, or a gamma distribution.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Wait {
    /// Share of the requests that wait at all.
    pub probability: f64,
    /// Mean milliseconds of those that wait.
    pub mean_of_waiting_ms: f64,
    /// Squared coefficient of variation of their waits.
    pub cv2_of_waiting: f64,
}

impl Wait {
    /// The wait at `instances` instances that together get `rate_rps` requests a second.
    #[must_use]
    pub fn of(workers: &Workers, instances: u32, rate_rps: f64) -> Self {
        Self::behind(
            workers,
            instances,
            rate_rps,
            Balancer::of(workers.balancing),
        )
    }

    /// The same behind a balancer with these numbers, whatever `workers` says; None: a random split.
    #[must_use]
    pub fn behind(
        workers: &Workers,
        instances: u32,
        rate_rps: f64,
        balancer: Option<&Balancer>,
    ) -> Self {
        let instances = instances.max(1);
        let servers = workers.per_instance.max(1);
        let c = f64::from(servers);
        let asked = workers.utilisation(instances, rate_rps);
        let utilisation = asked.min(FULL);
        let probability = erlang_c(servers, c * utilisation);
        let variability = (workers.arrival_cv2 + workers.service_cv2) / 2.0;
        let mut mean = workers.holding_ms * variability / (c * (1.0 - utilisation));
        let mut cv2 = cv2_of_waiting(utilisation, workers.service_cv2);
        if let (Some(balancer), true) = (balancer, instances > 1 && probability > 0.0) {
            let all = servers.saturating_mul(instances);
            let (share, spread) =
                balancer.share_and_spread(&workers.conditions(instances, rate_rps));
            // Pooled ÷ split: C(nc)/(nc − na) ÷ (C(c)/(c − a)).
            let pooled =
                erlang_c(all, f64::from(all) * utilisation) / (f64::from(instances) * probability);
            mean *= share + (1.0 - share) * pooled;
            cv2 *= spread;
        }
        Self {
            probability,
            mean_of_waiting_ms: mean,
            cv2_of_waiting: cv2.clamp(0.05, 50.0),
        }
    }

    /// The moments in milliseconds.
    #[must_use]
    pub fn moments(&self) -> Moments {
        let (p, m, cv2) = (
            self.probability,
            self.mean_of_waiting_ms,
            self.cv2_of_waiting,
        );
        let first = p * m;
        let second = first * m * (1.0 + cv2);
        Moments::from_powers(first, second, second * m * (1.0 + 2.0 * cv2))
    }

    /// The share of requests that wait longer than `t_ms`.
    #[must_use]
    pub fn tail(&self, t_ms: f64) -> f64 {
        if t_ms <= 0.0 {
            return self.probability;
        }
        self.probability * Moments::gamma(self.mean_of_waiting_ms, self.cv2_of_waiting).tail(t_ms)
    }

    /// The wait in milliseconds that a share `level` of the requests does not exceed.
    #[must_use]
    pub fn quantile_ms(&self, level: f64) -> f64 {
        let beyond = (1.0 - level).max(1e-9);
        if self.probability <= beyond {
            return 0.0;
        }
        let (mut low, mut high) = (0.0, self.mean_of_waiting_ms.max(1e-6));
        while self.tail(high) > beyond && high < 1e15 {
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

/// By what waits grow where more is asked than leaves a queue stationary: along the tangent, as finite as it is useless.
pub(super) fn beyond_full(utilisation: f64) -> f64 {
    1.0 + (utilisation - FULL).max(0.0) / (1.0 - FULL)
}

/// The wait for one of `servers` places, each held `holding_ms`, with so many held on average if there were no limit; at most `longest_ms`.
pub(super) fn waiting(servers: u32, offered: f64, holding_ms: f64, longest_ms: f64) -> Moments {
    let c = f64::from(servers.max(1));
    let asked = offered / c;
    let utilisation = asked.min(FULL);
    let mean = holding_ms / (c * (1.0 - utilisation)) * beyond_full(asked);
    Wait {
        probability: erlang_c(servers, c * utilisation),
        mean_of_waiting_ms: mean.min(longest_ms),
        cv2_of_waiting: 1.0,
    }
    .moments()
}

/// How much the waits of those that wait vary, with work of this squared coefficient of variation: Whitt 1983, equation 53, with the third
/// moment of a gamma distribution up to 1 and of a log-normal one above, as the simulation draws it.
fn cv2_of_waiting(utilisation: f64, cv2: f64) -> f64 {
    let third = if cv2 <= 1.0 {
        (1.0 + cv2) * (1.0 + 2.0 * cv2)
    } else {
        (1.0 + cv2).powi(3)
    };
    2.0 * utilisation - 1.0 + 4.0 * (1.0 - utilisation) * third / (3.0 * (1.0 + cv2).powi(2))
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
            caller_proxies: 1.0,
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
    fn what_never_varies_waits_half() {
        // M/D/1: half of M/M/1's mean; the square of the wait from Pollaczek and Khinchin's second moment.
        let constant = Workers {
            service_cv2: 0.0,
            ..workers(1, LoadBalancing::Random)
        };
        let wait = Wait::of(&constant, 1, 0.8).moments();
        assert!((wait.mean - 2000.0).abs() < 1e-6);
        // E[W²] = 2·E[W]² + λ·E[S³]/(3(1 − ρ)).
        let second = 2.0 * 4.0 + 0.8 / (3.0 * 0.2);
        assert!((wait.variance / 1e6 - (second - 4.0)).abs() < 1e-6);
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
