//! Netflix's adaptive concurrency limits, from github.com/Netflix/concurrency-limits (core, package `limits.limit`): `VegasLimit.java` (after
//! TCP Vegas, Brakmo & Peterson 1995) and `Gradient2Limit.java`, both fed by `WindowedLimit.java`, which hands them the mean latency of each
//! second with at least ten answers, and enforced as `SimpleLimiter.java` does: what is above the limit is refused at once. Constants and the
//! order of steps are those of the files' defaults.
//!
//! Simplified: the instances of a service share one limit, from the mean over all of them, where the library runs in each process; requests
//! inside are those at the end of the window, not the window's most; timeouts and failures (`didDrop`) do not lower the limit.
//!
//! Vegas holds the limit to where 3 to 6 requests queue, as long as it knows the latency without load. It takes the least window for
//! that, and every 15 to 30 × limit windows the window of the moment: a limiter that is loaded for longer than that, or from
//! its first window on, takes latency under load for latency without and lets a longer queue grow. That is the law, not this rendering.

use foremesh_model::random::{mix, uniform};

use crate::controller::{Controller, Order, ServiceView, View};

/// Limits before anything was measured.
const INITIAL: f64 = 20.0;
/// Answers that make a window.
const LEAST_SAMPLES: f64 = 10.0;

/// Vegas' limit of one service.
#[derive(Debug, Clone, Copy)]
struct VegasLimit {
    service: usize,
    limit: f64,
    /// Latency without load as far as it is known; 0: not yet.
    unloaded_ms: f64,
    windows: f64,
    /// Draws so far, for how soon latency without load is looked for anew.
    probes: u64,
}

/// Vegas: the limit follows an estimate of the queue, limit · (1 − latency without load ÷ latency).
#[derive(Debug)]
pub struct Vegas(Vec<VegasLimit>);

impl Vegas {
    /// One limit for each of these services.
    #[must_use]
    pub fn new(services: &[usize]) -> Self {
        let start = |service: &usize| VegasLimit {
            service: *service,
            limit: INITIAL,
            unloaded_ms: 0.0,
            windows: 0.0,
            probes: 0,
        };
        Self(services.iter().map(start).collect())
    }
}

/// What of a service makes a window, with requests inside one instance.
fn window<'a>(view: &'a View<'_>, service: usize) -> Option<(&'a ServiceView, f64)> {
    let seen = view.services.get(service)?;
    let answers = seen.done_rps * view.interval_s;
    let inside = f64::from(seen.in_flight) / f64::from(seen.ready.max(1));
    (seen.mean_ms > 0.0 && answers >= LEAST_SAMPLES).then_some((seen, inside))
}

impl VegasLimit {
    /// `Log10RootFunction`: whole orders of magnitude, at least one.
    fn log10(self) -> f64 {
        self.limit.log10().floor().max(1.0)
    }

    fn update(&mut self, latency_ms: f64, inside: f64) {
        const PROBE: f64 = 30.0;
        self.windows += 1.0;
        let jitter = 0.5 + 0.5 * uniform(mix(self.service as u64, self.probes));
        if jitter * PROBE * self.limit <= self.windows {
            self.probes += 1;
            self.windows = 0.0;
            self.unloaded_ms = latency_ms;
            return;
        }
        if self.unloaded_ms == 0.0 || latency_ms < self.unloaded_ms {
            self.unloaded_ms = latency_ms;
            return;
        }
        if inside * 2.0 < self.limit {
            return;
        }
        let step = self.log10();
        let queue = (self.limit * (1.0 - self.unloaded_ms / latency_ms)).ceil();
        let next = if queue <= step {
            self.limit + 6.0 * step
        } else if queue < 3.0 * step {
            self.limit + step
        } else if queue > 6.0 * step {
            self.limit - step
        } else {
            self.limit
        };
        self.limit = next.clamp(1.0, 1000.0);
    }
}

impl Controller for Vegas {
    fn interval_s(&self) -> f64 {
        1.0
    }

    fn decide(&mut self, view: &View<'_>, orders: &mut Vec<Order>) {
        for one in &mut self.0 {
            if let Some((seen, inside)) = window(view, one.service) {
                one.update(seen.mean_ms, inside);
            }
            orders.push(Order::Concurrency {
                service: one.service,
                requests: one.limit as u32,
            });
        }
    }
}

/// Gradient2's limit of one service.
#[derive(Debug, Clone, Copy)]
struct GradientLimit {
    service: usize,
    limit: f64,
    long_ms: f64,
    windows: u32,
}

/// Gradient2: the limit shrinks as latency rises above 1.5 times its long-term mean.
#[derive(Debug)]
pub struct Gradient2(Vec<GradientLimit>);

impl Gradient2 {
    /// One limit for each of these services.
    #[must_use]
    pub fn new(services: &[usize]) -> Self {
        let start = |service: &usize| GradientLimit {
            service: *service,
            limit: INITIAL,
            long_ms: 0.0,
            windows: 0,
        };
        Self(services.iter().map(start).collect())
    }
}

impl GradientLimit {
    fn update(&mut self, latency_ms: f64, inside: f64) {
        const TOLERANCE: f64 = 1.5;
        const SMOOTHING: f64 = 0.2;
        const QUEUE: f64 = 4.0;
        const LONG_WINDOWS: f64 = 600.0;
        const WARM_UP: u32 = 10;
        self.windows += 1;
        let factor = if self.windows <= WARM_UP {
            1.0 / f64::from(self.windows)
        } else {
            2.0 / (LONG_WINDOWS + 1.0)
        };
        self.long_ms += (latency_ms - self.long_ms) * factor;
        let long_ms = self.long_ms;
        if long_ms / latency_ms > 2.0 {
            self.long_ms *= 0.95;
        }
        if inside < self.limit / 2.0 {
            return;
        }
        let gradient = (TOLERANCE * long_ms / latency_ms).clamp(0.5, 1.0);
        let next = self.limit * gradient + QUEUE;
        self.limit = (self.limit * (1.0 - SMOOTHING) + next * SMOOTHING).clamp(20.0, 200.0);
    }
}

impl Controller for Gradient2 {
    fn interval_s(&self) -> f64 {
        1.0
    }

    fn decide(&mut self, view: &View<'_>, orders: &mut Vec<Order>) {
        for one in &mut self.0 {
            if let Some((seen, inside)) = window(view, one.service) {
                one.update(seen.mean_ms, inside);
            }
            orders.push(Order::Concurrency {
                service: one.service,
                requests: one.limit as u32,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server of eight workers and 20 ms that is offered more than it can do: latency by Little's law.
    fn loaded(limit: f64) -> f64 {
        20.0 * (limit / 8.0).max(1.0)
    }

    #[test]
    fn vegas_queues_three_to_six() {
        let mut one = Vegas::new(&[0]).0[0];
        one.update(20.0, 1.0);
        (0..200).for_each(|_| one.update(loaded(one.limit), one.limit));
        assert!((11.0..=14.0).contains(&one.limit), "{}", one.limit);
    }

    #[test]
    fn vegas_loaded_for_long_takes_load_for_none() {
        let mut one = Vegas::new(&[0]).0[0];
        one.update(20.0, 1.0);
        (0..40_000).for_each(|_| one.update(loaded(one.limit), one.limit));
        assert!(one.limit > 25.0, "{}", one.limit);
    }

    #[test]
    fn gradient2_converges_and_comes_back() {
        let mut one = Gradient2::new(&[0]).0[0];
        // Latency that does not rise: up to the most.
        (0..300).for_each(|_| one.update(20.0, one.limit));
        assert_eq!(one.limit, 200.0);
        // The server loses most of its speed: latency four times the long-term mean, and the limit falls to its least within seconds.
        (0..30).for_each(|_| one.update(80.0, one.limit));
        assert_eq!(one.limit, 20.0);
        // In between it stays where limit = gradient · limit + 4.
        let mut one = Gradient2::new(&[0]).0[0];
        one.long_ms = 20.0;
        one.windows = 10;
        (0..60).for_each(|_| one.update(20.0 * (one.limit / 40.0).max(1.0), one.limit));
        assert!((60.0..75.0).contains(&one.limit), "{}", one.limit);
    }
}
