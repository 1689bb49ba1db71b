//! TopFull (Park et al., *TopFull: an adaptive top-down overload control for SLO-oriented microservices*, SIGCOMM 2024) without its learned
//! step sizes: requests are limited where they enter, multiplicatively up and down (the paper's MIMD comparison).

use crate::controller::{Controller, Order, View};

const DECREASE: f64 = 0.05;
const INCREASE: f64 = 0.01;

/// Admission at entries.
#[derive(Debug)]
pub struct TopFull {
    /// The latency of each entry that its 95th percentile must not exceed, with its admission.
    entries: Vec<(f64, f64)>,
}

impl TopFull {
    /// One limit for each entry, by its objective in milliseconds.
    #[must_use]
    pub fn new(objectives_ms: &[f64]) -> Self {
        Self {
            entries: objectives_ms.iter().map(|ms| (*ms, 1.0)).collect(),
        }
    }
}

impl Controller for TopFull {
    fn interval_s(&self) -> f64 {
        1.0
    }

    fn decide(&mut self, view: &View<'_>, orders: &mut Vec<Order>) {
        for (entry, ((objective_ms, share), seen)) in
            self.entries.iter_mut().zip(view.entries).enumerate()
        {
            let failing = seen.answered_rps < 0.9 * seen.offered_rps * *share;
            let slow = seen.latency.quantile_ms(0.95) > *objective_ms;
            *share = if slow || failing {
                *share * (1.0 - DECREASE)
            } else {
                *share * (1.0 + INCREASE)
            }
            .clamp(0.01, 1.0);
            orders.push(Order::Admission {
                entry,
                share: *share,
            });
        }
    }
}
