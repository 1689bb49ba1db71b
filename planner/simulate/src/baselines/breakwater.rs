//! Breakwater (Cho et al., *Overload control for µs-scale RPCs with Breakwater*, OSDI 2020): every round trip a server looks how
//! long the first in its queue has waited; below the target it adds max(0.1% of its clients, 1) credits, above it multiplies them by
//! max(1 − 2% · (delay − target) ÷ target, 0.5). It never has fewer credits than cores, and begins with as many. Constants and bounds are those of
//! the authors' code (shenango/caladan, `breakwater/src/bw_config.h` and `srpc_cc_worker` in `bw_server.c`).
//!
//! Simplified: a request without a credit is refused at the instance's proxy, where Breakwater's client keeps or drops it; so credits are
//! requests inside an instance, none is issued to clients that need none, and demand is neither told nor speculated on. The instances of a
//! service share one number of credits, from the mean over them. Its second line of defence, dropping requests at twice the target (active queue
//! management), is left out: it is for credits issued beyond what there is.

use crate::controller::{Controller, Order, View};

/// Additive increase for each client.
const ALPHA: f64 = 0.001;
/// Multiplicative decrease.
const BETA: f64 = 0.02;

/// What Breakwater is told of a service.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakwaterService {
    /// The service.
    pub service: usize,
    /// Workers of an instance: the fewest credits.
    pub workers: u32,
    /// Proxies that call it.
    pub clients: u32,
    /// Milliseconds of queueing that are aimed at. The authors' recommendation for the longest work they tried (100 µs) is five times the work.
    pub target_ms: f64,
}

/// Credits of services.
#[derive(Debug)]
pub struct Breakwater {
    interval_s: f64,
    services: Vec<(BreakwaterService, f64)>,
}

impl Breakwater {
    /// `round_trip_s`: seconds between two adjustments.
    #[must_use]
    pub fn new(services: &[BreakwaterService], round_trip_s: f64) -> Self {
        Self {
            interval_s: round_trip_s,
            services: services
                .iter()
                .map(|one| (*one, f64::from(one.workers.max(1))))
                .collect(),
        }
    }
}

impl Controller for Breakwater {
    fn interval_s(&self) -> f64 {
        self.interval_s
    }

    fn decide(&mut self, view: &View<'_>, orders: &mut Vec<Order>) {
        for (one, credits) in &mut self.services {
            let Some(seen) = view.services.get(one.service) else {
                continue;
            };
            let (delay, target) = (seen.oldest_wait_ms, one.target_ms.max(1e-3));
            if delay < target {
                *credits += (ALPHA * f64::from(one.clients)).max(1.0);
            } else {
                *credits *= (1.0 - BETA * (delay - target) / target).max(0.5);
            }
            *credits = credits.clamp(f64::from(one.workers.max(1)), 1e6);
            orders.push(Order::Concurrency {
                service: one.service,
                requests: *credits as u32,
            });
        }
    }
}
