//! Kubernetes' horizontal pod autoscaler on processor utilisation, and KEDA's cron trigger above it.
//!
//! Read off kubernetes/kubernetes, `pkg/controller/podautoscaler/replica_calculator.go` (`GetResourceReplicas`) and the documentation of
//! `autoscaling/v2`: a look every 15 s; utilisation in whole percent of what is requested; within 10% of the target nothing changes; else
//! ready instances × utilisation ÷ target, rounded up. Instances that are not ready are left out, and where more are wanted count as idle: if that
//! brings the ratio within the tolerance or turns it round, nothing changes. More instances at once, by the larger of 100% and 4 in 15 s; fewer
//! only down to the highest recommendation of the last 300 s, then by any number (100% in 15 s).
//!
//! KEDA (keda.sh/docs/2.17/scalers/cron) hands its triggers to such an autoscaler as metrics, and of several metrics the one that asks for
//! most counts. A cron trigger asks for its number of replicas; the autoscaler's tolerance of 10% holds for it too.
//!
//! Simplified: requests and limits are the same, an instance's workers; measurements are those of the last 15 s and not older, and an instance
//! counts from when it is ready (the metrics server needs one window more).

use std::collections::VecDeque;

use crate::{
    InstanceStep,
    controller::{Controller, Order, ServiceView, View},
};

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
#[derive(Debug, Clone, PartialEq)]
pub struct HpaService {
    /// The service.
    pub service: usize,
    /// Utilisation that it aims at, 0 … 1.
    pub target: f64,
    /// Fewest instances.
    pub min: u32,
    /// Most instances.
    pub max: u32,
    /// Instances that a cron trigger asks for over time; empty: there is none.
    pub cron: Vec<InstanceStep>,
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

fn within_tolerance(ratio: f64) -> bool {
    (ratio - 1.0).abs() <= TOLERANCE
}

impl HpaService {
    /// What utilisation asks for.
    fn by_utilisation(&self, seen: &ServiceView, current: u32) -> u32 {
        let percent = (seen.utilisation * 100.0).floor();
        let ratio = percent / (self.target.max(0.01) * 100.0);
        let ready = f64::from(seen.ready);
        if seen.ready >= current || ratio <= 1.0 {
            return if within_tolerance(ratio) {
                current
            } else {
                (ready * ratio).ceil() as u32
            };
        }
        let with_idle = ratio * ready / f64::from(current);
        let wanted = (with_idle * f64::from(current)).ceil() as u32;
        if within_tolerance(with_idle) || with_idle < 1.0 || wanted < current {
            current
        } else {
            wanted
        }
    }

    /// What the cron trigger asks for, if there is one.
    fn by_cron(&self, now_s: f64, current: u32) -> Option<u32> {
        let step = self.cron.iter().rev().find(|step| step.starts_s <= now_s)?;
        let ratio = f64::from(step.instances) / f64::from(current.max(1));
        Some(if within_tolerance(ratio) {
            current
        } else {
            step.instances
        })
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
            let wanted = scaled
                .by_utilisation(seen, current)
                .max(scaled.by_cron(view.now_s, current).unwrap_or(0))
                .clamp(scaled.min, scaled.max.max(scaled.min));
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
                    instances: next,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaler(target: f64, cron: Vec<InstanceStep>) -> HpaService {
        HpaService {
            service: 0,
            target,
            min: 1,
            max: 100,
            cron,
        }
    }

    fn seen(ordered: u32, ready: u32, utilisation: f64) -> ServiceView {
        ServiceView {
            ready,
            ordered,
            workers: 1,
            utilisation,
            ..ServiceView::default()
        }
    }

    fn wanted(seen: ServiceView) -> u32 {
        scaler(0.5, Vec::new()).by_utilisation(&seen, seen.ordered)
    }

    #[test]
    fn replicas_follow_the_ratio_outside_the_tolerance() {
        assert_eq!(wanted(seen(10, 10, 0.54)), 10);
        assert_eq!(wanted(seen(10, 10, 0.56)), 12);
        assert_eq!(wanted(seen(10, 10, 0.44)), 9);
    }

    #[test]
    fn instances_that_start_count_as_idle_when_more_are_wanted() {
        // 4 ready at twice the target ask for 8; 8 are on their way, so nothing changes; at 2.5 times they ask for 10.
        assert_eq!(wanted(seen(8, 4, 1.0)), 8);
        assert_eq!(wanted(seen(8, 4, 1.25)), 10);
        // Idle ones would turn the ratio round.
        assert_eq!(wanted(seen(12, 4, 0.7)), 12);
        // Where fewer are wanted they are left out.
        assert_eq!(wanted(seen(8, 4, 0.25)), 2);
    }

    #[test]
    fn of_two_triggers_the_higher_counts_and_the_tolerance_holds_for_both() {
        let mut hpa = Hpa::new(vec![scaler(
            0.5,
            vec![InstanceStep {
                starts_s: 0.0,
                instances: 21,
            }],
        )]);
        let mut orders = |now_s: f64, service: ServiceView| {
            let mut orders = Vec::new();
            hpa.decide(
                &View {
                    now_s,
                    interval_s: 15.0,
                    services: &[service],
                    entries: &[],
                },
                &mut orders,
            );
            orders
        };
        let instances = |instances| {
            vec![Order::Instances {
                service: 0,
                instances,
            }]
        };
        // 21 are asked for; at most 100% more at once.
        assert_eq!(orders(15.0, seen(10, 10, 0.2)), instances(20));
        // 21 are within 10% of 20.
        assert_eq!(orders(30.0, seen(20, 20, 0.2)), []);
        // Utilisation asks for more than the trigger.
        assert_eq!(orders(45.0, seen(20, 20, 0.75)), instances(30));
    }

    #[test]
    fn fewer_only_after_the_stabilisation() {
        let mut hpa = Hpa::new(vec![scaler(0.5, Vec::new())]);
        let mut next = |now_s: f64, utilisation: f64| {
            let mut orders = Vec::new();
            let services = [seen(10, 10, utilisation)];
            let view = View {
                now_s,
                interval_s: 15.0,
                services: &services,
                entries: &[],
            };
            hpa.decide(&view, &mut orders);
            orders.len()
        };
        assert_eq!(next(15.0, 0.5), 0);
        assert!((2..=21).all(|look| next(f64::from(look) * 15.0, 0.1) == 0));
        assert_eq!(next(330.0, 0.1), 1);
    }
}
