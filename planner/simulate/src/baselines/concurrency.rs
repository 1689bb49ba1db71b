//! Netflix's adaptive concurrency limits (github.com/Netflix/concurrency-limits): Vegas, after TCP Vegas (Brakmo & Peterson 1995), and
//! Gradient2. Made for one server or client; here each instance's proxy has the limit. Windows of a second, as `WindowedLimit` has them.

use crate::controller::{Controller, Order, View};

/// The limit of one service.
#[derive(Debug, Clone, Copy)]
struct Limited {
    service: usize,
    limit: f64,
    /// Vegas: the least mean of a window, taken for latency without load. Gradient2: long-term latency.
    base_ms: f64,
    windows: u32,
}

fn limited(services: &[usize]) -> Vec<Limited> {
    let start = |service: &usize| Limited {
        service: *service,
        limit: 20.0,
        base_ms: 0.0,
        windows: 0,
    };
    services.iter().map(start).collect()
}

/// Vegas: the limit follows an estimate of the queue, limit · (1 − latency without load ÷ latency).
#[derive(Debug)]
pub struct Vegas(Vec<Limited>);

impl Vegas {
    /// One limit for each of these services.
    #[must_use]
    pub fn new(services: &[usize]) -> Self {
        Self(limited(services))
    }
}

impl Controller for Vegas {
    fn interval_s(&self) -> f64 {
        1.0
    }

    fn decide(&mut self, view: &View<'_>, orders: &mut Vec<Order>) {
        // Every 30 windows and some, the latency without load is looked for anew.
        const PROBE: u32 = 30;
        for one in &mut self.0 {
            let Some(seen) = view.services.get(one.service).filter(|s| s.mean_ms > 0.0) else {
                continue;
            };
            one.windows += 1;
            if one.base_ms == 0.0 || seen.mean_ms < one.base_ms || one.windows % PROBE == 0 {
                one.base_ms = seen.mean_ms;
            }
            let inside = f64::from(seen.in_flight) / f64::from(seen.ready.max(1));
            if inside * 2.0 < one.limit {
                continue;
            }
            let log = one.limit.log10().max(1.0);
            let queue = (one.limit * (1.0 - one.base_ms / seen.mean_ms)).ceil();
            one.limit = if queue <= log {
                one.limit + 6.0 * log
            } else if queue < 3.0 * log {
                one.limit + log
            } else if queue > 6.0 * log {
                one.limit - log
            } else {
                one.limit
            }
            .clamp(1.0, 1000.0);
            orders.push(Order::Concurrency {
                service: one.service,
                requests: one.limit as u32,
            });
        }
    }
}

/// Gradient2: the limit shrinks as latency rises above 1.5 times its long-term mean.
#[derive(Debug)]
pub struct Gradient2(Vec<Limited>);

impl Gradient2 {
    /// One limit for each of these services.
    #[must_use]
    pub fn new(services: &[usize]) -> Self {
        Self(limited(services))
    }
}

impl Controller for Gradient2 {
    fn interval_s(&self) -> f64 {
        1.0
    }

    fn decide(&mut self, view: &View<'_>, orders: &mut Vec<Order>) {
        const TOLERANCE: f64 = 1.5;
        const SMOOTHING: f64 = 0.2;
        const QUEUE: f64 = 4.0;
        const LONG_WINDOWS: f64 = 600.0;
        const WARM_UP: u32 = 10;
        for one in &mut self.0 {
            let Some(seen) = view.services.get(one.service).filter(|s| s.mean_ms > 0.0) else {
                continue;
            };
            one.windows += 1;
            let factor = if one.windows <= WARM_UP {
                1.0 / f64::from(one.windows)
            } else {
                2.0 / (LONG_WINDOWS + 1.0)
            };
            one.base_ms += (seen.mean_ms - one.base_ms) * factor;
            if one.base_ms / seen.mean_ms > 2.0 {
                one.base_ms *= 0.95;
            }
            let inside = f64::from(seen.in_flight) / f64::from(seen.ready.max(1));
            if inside < one.limit / 2.0 {
                continue;
            }
            let gradient = (TOLERANCE * one.base_ms / seen.mean_ms).clamp(0.5, 1.0);
            let next = one.limit * gradient + QUEUE;
            one.limit = (one.limit * (1.0 - SMOOTHING) + next * SMOOTHING).clamp(20.0, 200.0);
            orders.push(Order::Concurrency {
                service: one.service,
                requests: one.limit as u32,
            });
        }
    }
}
