//! DAGOR (Zhou et al., *Overload control for scaling WeChat microservices*, SoCC 2018): a service whose requests queue for more than 20 ms on
//! average refuses the least important ones; the priority of a request is drawn where it enters and holds for all of its calls.
//!
//! The level moves as published: a window of a second, 5% fewer admitted when overloaded, 1% more when not.

use crate::controller::{Controller, Order, View};

const OVERLOADED_MS: f64 = 20.0;
const ALPHA: f64 = 0.05;
const BETA: f64 = 0.01;

/// Admission levels of services.
#[derive(Debug)]
pub struct Dagor(Vec<(usize, f64)>);

impl Dagor {
    /// One level for each of these services.
    #[must_use]
    pub fn new(services: &[usize]) -> Self {
        Self(services.iter().map(|service| (*service, 1.0)).collect())
    }
}

impl Controller for Dagor {
    fn interval_s(&self) -> f64 {
        1.0
    }

    fn decide(&mut self, view: &View<'_>, orders: &mut Vec<Order>) {
        for (service, share) in &mut self.0 {
            let Some(seen) = view.services.get(*service) else {
                continue;
            };
            *share = if seen.mean_wait_ms > OVERLOADED_MS {
                *share * (1.0 - ALPHA)
            } else {
                *share * (1.0 + BETA)
            }
            .clamp(0.01, 1.0);
            orders.push(Order::Priority {
                service: *service,
                share: *share,
            });
        }
    }
}
