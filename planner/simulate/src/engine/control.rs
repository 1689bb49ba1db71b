//! Controllers look at intervals; what they order is done at once.

use super::{Engine, NS_PER_S, agenda::Kind, ns, parts::NONE};
use crate::{
    Latencies,
    controller::{Controller, EntryView, Order, ServiceView, View},
};

/// A controller and what was measured for it since it last looked.
pub(super) struct ControlPart {
    controller: Box<dyn Controller>,
    looked_at: u64,
    /// Busy nanoseconds of each service until then.
    busy_ns: Vec<u64>,
    pub services: Vec<ServiceTally>,
    pub entries: Vec<EntryTally>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ServiceTally {
    pub arrived: u64,
    pub done: u64,
    pub wait_ns: u64,
    pub answered: u64,
    pub stay_ns: u64,
    pub least_ns: u64,
}

#[derive(Debug)]
pub(super) struct EntryTally {
    pub offered: u64,
    pub good: u64,
    pub latency: Latencies,
}

impl Engine<'_> {
    pub(super) fn employ_controllers(&mut self, controllers: Vec<Box<dyn Controller>>) {
        for controller in controllers {
            let at = ns(controller.interval_s().max(1e-3));
            self.agenda
                .put(at, Kind::Control, self.controls.len() as u32, 0, 0);
            self.controls.push(ControlPart {
                controller,
                looked_at: 0,
                busy_ns: vec![0; self.services.len()],
                services: vec![ServiceTally::default(); self.services.len()],
                entries: self.fresh_entries(),
            });
        }
    }

    fn fresh_entries(&self) -> Vec<EntryTally> {
        let fresh = |_| EntryTally {
            offered: 0,
            good: 0,
            latency: Latencies::new(2),
        };
        self.entries.iter().map(fresh).collect()
    }

    pub(super) fn control(&mut self, id: usize) {
        let seconds = (self.now - self.controls[id].looked_at) as f64 / NS_PER_S;
        (0..self.services.len()).for_each(|service| self.busy(service, 0));
        let services: Vec<ServiceView> = self
            .services
            .iter()
            .zip(&self.controls[id].services)
            .zip(&self.controls[id].busy_ns)
            .map(|((part, tally), before)| {
                let there = (part.ready + part.draining).max(1);
                let offered = f64::from(there) * f64::from(part.workers) * seconds;
                let each = |sum: u64, count: u64| {
                    if count == 0 {
                        0.0
                    } else {
                        sum as f64 / count as f64 / 1e6
                    }
                };
                let range = part.first as usize..(part.first + part.places) as usize;
                let waits: Vec<u64> = range.clone().map(|i| self.oldest_wait(i)).collect();
                ServiceView {
                    ready: part.ready,
                    ordered: part.ordered,
                    workers: part.workers,
                    utilisation: (part.busy_ns - before) as f64 / NS_PER_S / offered.max(1e-12),
                    arrivals_rps: tally.arrived as f64 / seconds,
                    done_rps: tally.done as f64 / seconds,
                    mean_wait_ms: each(tally.wait_ns, tally.done),
                    backlogged: waits.iter().filter(|wait| **wait > 0).count() as u32,
                    oldest_wait_ms: each(waits.iter().sum(), u64::from(part.ready)),
                    least_ms: tally.least_ns as f64 / 1e6,
                    mean_ms: each(tally.stay_ns, tally.answered),
                    queued: part.queued,
                    in_flight: self.instances[range].iter().map(|i| i.admitted).sum(),
                }
            })
            .collect();
        let mut orders = Vec::new();
        let fresh = self.fresh_entries();
        let control = &mut self.controls[id];
        let tallies = std::mem::replace(&mut control.entries, fresh);
        let entries: Vec<EntryView<'_>> = tallies
            .iter()
            .map(|tally| EntryView {
                offered_rps: tally.offered as f64 / seconds,
                answered_rps: tally.latency.count() as f64 / seconds,
                good_rps: tally.good as f64 / seconds,
                latency: &tally.latency,
            })
            .collect();
        let view = View {
            now_s: self.now as f64 / NS_PER_S,
            interval_s: seconds,
            services: &services,
            entries: &entries,
        };
        control.controller.decide(&view, &mut orders);
        control.looked_at = self.now;
        control.busy_ns = self.services.iter().map(|part| part.busy_ns).collect();
        control.services.fill(ServiceTally::default());
        let next = self.now + ns(control.controller.interval_s().max(1e-3));
        self.agenda.put(next, Kind::Control, id as u32, 0, 0);
        orders.into_iter().for_each(|order| self.obey(order));
    }

    /// Nanoseconds that the first that waits for a worker of an instance has waited.
    fn oldest_wait(&self, instance: usize) -> u64 {
        let mut at = self.instances[instance].queue.head;
        while at != NONE {
            let work = &self.works.places[at as usize];
            if !work.dropped {
                return self.now - work.arrived;
            }
            at = work.next;
        }
        0
    }

    /// Does what is ordered; orders for what does not exist are passed over.
    fn obey(&mut self, order: Order) {
        match order {
            Order::Instances { service, instances } if service < self.services.len() => {
                self.want(service, instances)
            }
            Order::Workers { service, workers } if service < self.services.len() => {
                self.area(service);
                self.services[service].workers = workers.max(1);
                let part = &self.services[service];
                for i in part.first..part.first + part.places {
                    self.employ(service, i as usize);
                }
            }
            Order::Concurrency { service, requests } if service < self.services.len() => {
                self.services[service].max_admitted = requests.max(1);
                self.services[service].max_pending = 0;
            }
            Order::RateLimit { service, limit } if service < self.services.len() => {
                let part = &mut self.services[service];
                part.rate_per_ns =
                    limit.map_or(f64::INFINITY, |l| l.requests_per_second / NS_PER_S);
                part.burst = limit.map_or(0.0, |l| f64::from(l.burst.max(1)));
            }
            Order::Priority { service, share } if service < self.services.len() => {
                self.services[service].least_priority =
                    ((1.0 - share.clamp(0.0, 1.0)) * f64::from(u32::MAX)) as u32;
            }
            Order::Admission { entry, share } if entry < self.entries.len() => {
                self.entries[entry].admission = share.clamp(0.0, 1.0);
            }
            _ => {}
        }
    }
}
