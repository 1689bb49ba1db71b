//! How near a load balancer brings the queues of single instances to one common queue: measured, not assumed.
//!
//! `cargo run --release -p foremesh-simulate --example calibrate_waits` simulates 900 services drawn at random (2 … 40 instances, 1 … 48 workers,
//! busy 30 … 95%, 1 … 60 proxies of callers, squared coefficient of variation of the work 0.25 … 4), fits the numbers below to two thirds of
//! them and prints how far the formulas are from the third that was kept back, before and after. BENCHMARKS.md keeps its last run.
//!
//! What decides is how much a proxy knows. Least request counts the requests that the proxy itself has in flight: with one proxy that is
//! the queue, with sixty it is next to nothing, and the choice is nearly random. Mitzenmacher's fixed point (*The power of two choices in
//! randomized load balancing*, 2001), which knows all queues, is the limit of one proxy.

use foremesh_model::LoadBalancing;

/// What decides how a balancer fares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Conditions {
    pub caller_proxies: f64,
    pub utilisation: f64,
    pub workers: f64,
    pub service_cv2: f64,
}

/// Logarithms of the conditions, kept to the range that was measured.
struct Logs {
    proxies: f64,
    idle: f64,
    workers: f64,
    cv2: f64,
}

impl Logs {
    fn of(at: &Conditions) -> Self {
        Self {
            proxies: at.caller_proxies.clamp(1.0, 1000.0).ln(),
            idle: (1.0 - at.utilisation).clamp(0.02, 1.0).ln(),
            workers: at.workers.clamp(1.0, 1000.0).ln(),
            cv2: at.service_cv2.clamp(0.2, 5.0).ln(),
        }
    }
}

/// A balancer's numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Balancer {
    /// The logit of the share with which the mean wait is that behind a random split, the rest that of one common queue: a constant, and the
    /// factors of ln proxies, ln idle, ln workers, ln proxies·ln idle, ln proxies·ln workers, ln workers·ln idle and ln cv².
    pub share: [f64; 8],
    /// The logarithm by which the waits of those that wait vary otherwise than behind a random split, times 1 − share: a constant, and the
    /// factors of ln proxies, ln idle and ln workers.
    pub spread: [f64; 4],
}

impl Balancer {
    /// The less busy of two drawn at random, as each proxy sees it.
    pub const LEAST_REQUEST: Self = Self {
        share: [-0.255, 0.889, 0.623, -1.208, 0.176, 0.075, -0.319, -0.341],
        spread: [1.142, -0.253, 0.534, 0.165],
    };
    /// One after the other, each proxy in a turn of its own.
    pub const ROUND_ROBIN: Self = Self {
        share: [-0.721, 0.937, -0.203, -0.874, 0.299, -0.114, -0.389, 0.684],
        spread: [1.396, -0.234, 0.493, 0.348],
    };

    /// The numbers of a balancer; None: a random split. Hashing is one by definition (and adds the imbalance of its keys, which nobody knows here).
    #[must_use]
    pub fn of(balancing: LoadBalancing) -> Option<&'static Self> {
        match balancing {
            LoadBalancing::LeastRequest => Some(&Self::LEAST_REQUEST),
            LoadBalancing::RoundRobin => Some(&Self::ROUND_ROBIN),
            LoadBalancing::Random | LoadBalancing::RingHash | LoadBalancing::Maglev => None,
        }
    }

    /// The share of the split queue in the mean wait, and by what the variation of waits is multiplied.
    pub(super) fn share_and_spread(&self, at: &Conditions) -> (f64, f64) {
        let Logs {
            proxies,
            idle,
            workers,
            cv2,
        } = Logs::of(at);
        let [b, p, q, w, pq, pw, wq, c] = self.share;
        let logit = b
            + p * proxies
            + q * idle
            + w * workers
            + pq * proxies * idle
            + pw * proxies * workers
            + wq * workers * idle
            + c * cv2;
        let share = 1.0 / (1.0 + (-logit).exp());
        let [b, p, q, w] = self.spread;
        let spread = (1.0 - share) * (b + p * proxies + q * idle + w * workers);
        (share, spread.clamp(-3.0, 3.0).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn share(balancer: &Balancer, proxies: f64, utilisation: f64, workers: f64) -> f64 {
        let at = Conditions {
            caller_proxies: proxies,
            utilisation,
            workers,
            service_cv2: 1.0,
        };
        balancer.share_and_spread(&at).0
    }

    #[test]
    fn one_proxy_knows_and_sixty_do_not() {
        let least = &Balancer::LEAST_REQUEST;
        assert!(share(least, 1.0, 0.8, 1.0) < 0.3);
        assert!(share(least, 60.0, 0.8, 1.0) > 0.7);
    }

    proptest! {
        #[test]
        fn more_proxies_are_never_better(proxies in 1.0f64..60.0, utilisation in 0.3f64..0.95, workers in 1.0f64..48.0) {
            for balancer in [&Balancer::LEAST_REQUEST, &Balancer::ROUND_ROBIN] {
                let (few, more) = (share(balancer, proxies, utilisation, workers), share(balancer, proxies * 2.0, utilisation, workers));
                // Round robin with many workers at little idle time hardly depends on it.
                prop_assert!(more >= few - 0.08, "{} {}", few, more);
                prop_assert!((0.0..=1.0).contains(&few));
            }
        }
    }
}
