//! Autothrottle's captain (Wang et al., *Autothrottle: a practical bi-level approach to resource management for SLO-targeted
//! microservices*, NSDI 2024): a service's processor quota follows the share of periods in which it was throttled.
//!
//! Quota is workers here, and a service counts as throttled by the share of its requests that had to wait for one. The upper level,
//! a bandit that sets the target, is left out: the target is given.

use std::collections::VecDeque;

use crate::controller::{Controller, Order, View};

const ALPHA: f64 = 3.0;
const BETA_MOST: f64 = 0.9;
const BETA_LEAST: f64 = 0.5;
const HISTORY: usize = 50;

/// One captain for each service.
#[derive(Debug)]
pub struct Captain {
    target: f64,
    services: Vec<State>,
}

#[derive(Debug)]
struct State {
    service: usize,
    quota: f64,
    margin: f64,
    usage: VecDeque<f64>,
    most: f64,
}

impl Captain {
    /// Captains of services, each with its workers at the start; `target`: share of periods that may be throttled.
    #[must_use]
    pub fn new(services: &[(usize, u32)], target: f64) -> Self {
        let start = |(service, workers): &(usize, u32)| State {
            service: *service,
            quota: f64::from(*workers),
            margin: 0.0,
            usage: VecDeque::new(),
            most: f64::from(*workers) * 4.0,
        };
        Self {
            target,
            services: services.iter().map(start).collect(),
        }
    }
}

impl Controller for Captain {
    fn interval_s(&self) -> f64 {
        1.0
    }

    fn decide(&mut self, view: &View<'_>, orders: &mut Vec<Order>) {
        for state in &mut self.services {
            let Some(seen) = view.services.get(state.service) else {
                continue;
            };
            let throttled = seen.waited_share;
            let used = seen.utilisation * f64::from(seen.workers);
            state.usage.push_back(used);
            if state.usage.len() > HISTORY {
                state.usage.pop_front();
            }
            state.margin = (state.margin + throttled - self.target).max(0.0);
            if throttled > ALPHA * self.target {
                state.quota *= 1.0 + throttled - ALPHA * self.target;
            } else {
                let n = state.usage.len() as f64;
                let mean = state.usage.iter().sum::<f64>() / n;
                let deviation =
                    (state.usage.iter().map(|u| (u - mean).powi(2)).sum::<f64>() / n).sqrt();
                let proposed =
                    state.usage.iter().copied().fold(0.0, f64::max) + state.margin * deviation;
                if proposed <= BETA_MOST * state.quota {
                    state.quota = proposed.max(BETA_LEAST * state.quota);
                }
            }
            state.quota = state.quota.clamp(1.0, state.most);
            orders.push(Order::Workers {
                service: state.service,
                workers: state.quota.ceil() as u32,
            });
        }
    }
}
