//! Kubernetes' horizontal pod autoscaler: documentation of `autoscaling/v2` and its defaults (sync of 15 s, tolerance of 10%, scale-up at
//! once by 100% or 4 pods, scale-down by the highest recommendation of the last 300 s).

use std::collections::VecDeque;

use crate::controller::{Controller, Order, View};

const TOLERANCE: f64 = 0.1;
const MOST_ADDED: u32 = 4;

/// One autoscaler for each service, on processor utilisation.
#[derive(Debug)]
pub struct Hpa {
    services: Vec<HpaService>,
    stabilisation_s: f64,
    recommended: Vec<VecDeque<(f64, u32)>>,
}

/// What one autoscaler is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HpaService {
    /// The service.
    pub service: usize,
    /// Utilisation that it aims at, 0 … 1.
    pub target: f64,
    /// Fewest instances.
    pub min: u32,
    /// Most instances.
    pub max: u32,
}

impl Hpa {
    /// Autoscalers with the default stabilisation of 300 s.
    #[must_use]
    pub fn new(services: Vec<HpaService>) -> Self {
        Self::stabilised(services, 300.0)
    }

    /// Autoscalers that keep the highest recommendation of this many seconds when they scale down.
    #[must_use]
    pub fn stabilised(services: Vec<HpaService>, stabilisation_s: f64) -> Self {
        let recommended = services.iter().map(|_| VecDeque::new()).collect();
        Self {
            services,
            stabilisation_s,
            recommended,
        }
    }
}

impl Controller for Hpa {
    fn interval_s(&self) -> f64 {
        15.0
    }

    fn decide(&mut self, view: &View<'_>, orders: &mut Vec<Order>) {
        for (scaled, recommended) in self.services.iter().zip(&mut self.recommended) {
            let Some(seen) = view.services.get(scaled.service) else {
                continue;
            };
            let current = seen.ordered.max(1);
            let ratio = seen.utilisation / scaled.target.max(0.01);
            let wanted = if (ratio - 1.0).abs() <= TOLERANCE {
                current
            } else {
                (f64::from(seen.ready) * ratio).ceil() as u32
            };
            let wanted = wanted.clamp(scaled.min, scaled.max);
            recommended.push_back((view.now_s, wanted));
            while recommended
                .front()
                .is_some_and(|(at, _)| view.now_s - at > self.stabilisation_s)
            {
                recommended.pop_front();
            }
            let highest = recommended.iter().map(|(_, n)| *n).max().unwrap_or(wanted);
            let next = if wanted > current {
                wanted.min((current * 2).max(current + MOST_ADDED))
            } else {
                highest.min(current)
            };
            if next != seen.ordered {
                orders.push(Order::Instances {
                    service: scaled.service,
                    instances: next.clamp(scaled.min, scaled.max),
                });
            }
        }
    }
}
