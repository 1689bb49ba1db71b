//! Breakwater (Cho et al., *Overload control for µs-scale RPCs with Breakwater*, OSDI 2020): a server hands out credits, more while its
//! queueing delay is below a target, fewer in proportion to how far it is above.
//!
//! Credits are the requests that an instance lets in at once; clients that hold none are refused at its proxy.

use crate::controller::{Controller, Order, View};

/// Additive increase for each client, as a share: 0.1%.
const ALPHA: f64 = 0.001;
/// Multiplicative decrease: 2%.
const BETA: f64 = 0.02;

/// Credits of services.
#[derive(Debug)]
pub struct Breakwater {
    target_ms: f64,
    interval_s: f64,
    services: Vec<(usize, f64)>,
}

impl Breakwater {
    /// Each service starts with `credits` for an instance; `target_ms`: the queueing delay aimed at; `round_trip_s`: seconds
    /// between two adjustments.
    #[must_use]
    pub fn new(services: &[usize], credits: u32, target_ms: f64, round_trip_s: f64) -> Self {
        Self {
            target_ms: target_ms.max(1e-3),
            interval_s: round_trip_s,
            services: services.iter().map(|s| (*s, f64::from(credits))).collect(),
        }
    }
}

impl Controller for Breakwater {
    fn interval_s(&self) -> f64 {
        self.interval_s
    }

    fn decide(&mut self, view: &View<'_>, orders: &mut Vec<Order>) {
        for (service, credits) in &mut self.services {
            let Some(seen) = view.services.get(*service) else {
                continue;
            };
            let delay = seen.mean_wait_ms;
            if delay < self.target_ms {
                *credits += (ALPHA * *credits).max(1.0);
            } else {
                *credits *= (1.0 - BETA * (delay - self.target_ms) / self.target_ms).max(0.5);
            }
            *credits = credits.clamp(1.0, 1e6);
            orders.push(Order::Concurrency {
                service: *service,
                requests: *credits as u32,
            });
        }
    }
}
