//! Autothrottle's captain (Wang et al., *Autothrottle: a practical bi-level approach to resource management for SLO-targeted
//! microservices*, NSDI 2024): a service's processor quota follows the share of its periods of 100 ms that were throttled. Steps, order
//! and constants are those of `CaptainScaler` in the authors' code (microsoft/autothrottle, `worker-daemon.py`), which looks at every period:
//!
//! - every second (10 periods): margin += throttled − target, at least 0; above 3 × target the quota is multiplied by 1 + throttled − 3 × target;
//!   else the most used of the last 50 periods + margin × their standard deviation is proposed, and taken where it is at most 0.9 of the quota,
//!   but not below half of it;
//! - in any period after a cut, throttled above 3 × target takes the cut back twice over.
//!
//! Simplified: the quota is whole workers, rounded up, and the same for every instance. A kernel throttles a period whose demand exceeds its
//! quota; workers here never exceed theirs, they leave requests waiting. So a period counts as throttled where requests still wait for a worker at
//! its end, which is when the demand of the period and what it began with did not fit. (The share of requests that waited would be something else:
//! bursts within a period do not throttle it.) Use is counted when work is done. The upper level, a bandit that sets the target, is left out: the
//! target is given. An instance costs in proportion to its workers, so that quota given back is saved and quota taken is paid.

use std::collections::VecDeque;

use crate::controller::{Controller, Order, View};

const PERIOD_S: f64 = 0.1;
/// Periods of a decision.
const DECISION: usize = 10;
/// Periods of which the most used counts.
const HISTORY: usize = 50;
const ALPHA: f64 = 3.0;
const BETA_MOST: f64 = 0.9;
const BETA_LEAST: f64 = 0.5;
const FIRST_MARGIN: f64 = 3.0;

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
    last_quota: f64,
    cut: bool,
    margin: f64,
    periods: usize,
    throttled: VecDeque<f64>,
    usage: VecDeque<f64>,
    most: f64,
}

impl Captain {
    /// Captains of services, each with its workers at the start, which they may multiply by four; `target`: share of periods that may be
    /// throttled.
    #[must_use]
    pub fn new(services: &[(usize, u32)], target: f64) -> Self {
        let start = |(service, workers): &(usize, u32)| State {
            service: *service,
            quota: f64::from(*workers),
            last_quota: f64::from(*workers),
            cut: false,
            margin: FIRST_MARGIN,
            periods: 0,
            throttled: VecDeque::from([0.0; DECISION]),
            usage: VecDeque::from([0.0; HISTORY]),
            most: f64::from(*workers) * 4.0,
        };
        Self {
            target,
            services: services.iter().map(start).collect(),
        }
    }
}

/// Mean and standard deviation of a sample.
fn moments(values: &VecDeque<f64>) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0)).sqrt())
}

impl State {
    fn forget_throttling(&mut self) {
        self.throttled.iter_mut().for_each(|period| *period = 0.0);
    }

    /// One period of 100 ms is over: `throttled`, 0 … 1 over the instances, and the workers of one that were used.
    fn period(&mut self, throttled: f64, used: f64, target: f64) {
        self.throttled.pop_front();
        self.throttled.push_back(throttled);
        self.usage.pop_front();
        self.usage.push_back(used);
        let (rate, _) = moments(&self.throttled);
        if self.cut && rate > ALPHA * target {
            self.quota = 2.0 * self.last_quota - self.quota;
            self.margin += rate - target;
            self.forget_throttling();
            self.cut = false;
        }
        self.periods += 1;
        if self.periods.is_multiple_of(DECISION) {
            self.decide(target);
        }
        self.quota = self.quota.clamp(1.0, self.most);
    }

    fn decide(&mut self, target: f64) {
        let (rate, _) = moments(&self.throttled);
        let (_, deviation) = moments(&self.usage);
        self.last_quota = self.quota;
        self.margin = (self.margin + rate - target).max(0.0);
        self.cut = false;
        if rate > ALPHA * target {
            self.quota *= 1.0 + rate - ALPHA * target;
        } else {
            let most = self.usage.iter().copied().fold(0.0, f64::max);
            let proposed = most + self.margin * deviation;
            if proposed <= BETA_MOST * self.quota {
                self.quota = proposed.max(BETA_LEAST * self.quota);
                self.cut = true;
            }
        }
        self.forget_throttling();
    }
}

impl Controller for Captain {
    fn interval_s(&self) -> f64 {
        PERIOD_S
    }

    fn decide(&mut self, view: &View<'_>, orders: &mut Vec<Order>) {
        for state in &mut self.services {
            let Some(seen) = view.services.get(state.service) else {
                continue;
            };
            let throttled = f64::from(seen.backlogged) / f64::from(seen.ready.max(1));
            let workers = f64::from(seen.workers);
            let used = (seen.utilisation * workers).min(workers);
            state.period(throttled.min(1.0), used, self.target);
            orders.push(Order::Workers {
                service: state.service,
                workers: state.quota.ceil() as u32,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one() -> State {
        Captain::new(&[(0, 16)], 0.1).services.remove(0)
    }

    #[test]
    fn an_idle_quota_is_halved_each_second_and_no_faster() {
        let mut state = one();
        (0..10).for_each(|_| state.period(0.0, 2.0, 0.1));
        assert_eq!(state.quota, 8.0);
        assert!(state.cut);
    }

    #[test]
    fn a_cut_that_throttles_is_taken_back_twice_over() {
        let mut state = one();
        (0..10).for_each(|_| state.period(0.0, 2.0, 0.1));
        // The fourth throttled period of ten is the first beyond three times the target.
        (0..4).for_each(|_| state.period(1.0, 8.0, 0.1));
        assert_eq!(state.quota, 2.0 * 16.0 - 8.0);
    }

    #[test]
    fn throttling_beyond_three_targets_scales_up_at_once() {
        let mut state = one();
        (0..10).for_each(|_| state.period(1.0, 16.0, 0.1));
        assert!((state.quota - 16.0 * 1.7).abs() < 1e-9, "{}", state.quota);
    }
}
