//! One hour of the search: the cheapest instances that keep every objective at a demand, near enough that no exchange of one instance for
//! others is cheaper.
//!
//! Instances are whole numbers and the latency of an entry is not separable, so the greedy additions of the floor
//! ([`Ground::allocate`]) leave some on the table: an instance that was added early may be spared by those added later. Here instances
//! are taken away first where most is saved for the slack that it costs, then exchanged: one more here for those that it lets go elsewhere.

use std::{cmp::Reverse, collections::BinaryHeap};

use foremesh_simulate::analytic::{Moments, Scratch};

use crate::ground::Ground;

/// Exchanges are looked for until a whole round finds none, and at most so often.
const MOST_ROUNDS: usize = 6;
/// Services that are tried to be taken from for one that is given to.
const TRIED_FOR_ONE: usize = 6;
/// A latency that uses this much of its objective has no slack left.
const NO_SLACK: f64 = 1e-4;

/// What an hour asks.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Requests a second at every service.
    pub rates_rps: Vec<f64>,
    /// Milliseconds that each entry must reach.
    pub entry_ms: Vec<f64>,
    /// The fewest instances of each service that are ever allowed.
    pub fewest: Vec<u32>,
}

impl Asked {
    /// The objectives at these rates, and nothing else.
    pub fn of_objectives(ground: &Ground<'_>, rates_rps: Vec<f64>) -> Self {
        Self {
            rates_rps,
            entry_ms: ground.entries.iter().map(|e| e.slo.latency_ms).collect(),
            fewest: Vec::new(),
        }
    }
}

/// Instances of an hour with what they make of the latencies; changed one service at a time and changed back.
pub(crate) struct Allocation<'g, 'a> {
    ground: &'g Ground<'a>,
    asked: &'g Asked,
    pub instances: Vec<u32>,
    own: Vec<Moments>,
    whole: Vec<Moments>,
    scratch: Scratch,
    /// Changes that may still be tried in exchanges.
    pub left: usize,
}

/// What changing one service changed, to take it back.
struct Before {
    service: usize,
    instances: u32,
    own: Vec<(usize, Moments)>,
    whole: Vec<(usize, Moments)>,
}

impl<'g, 'a> Allocation<'g, 'a> {
    pub fn new(ground: &'g Ground<'a>, asked: &'g Asked, instances: Vec<u32>) -> Self {
        let own = ground.own_of_all(&instances, &asked.rates_rps);
        Self {
            ground,
            asked,
            instances,
            whole: ground.calls.compose(&own),
            own,
            scratch: Scratch::default(),
            left: usize::MAX,
        }
    }

    fn set(&mut self, service: usize, instances: u32) -> Before {
        let (ground, rates) = (self.ground, &self.asked.rates_rps);
        self.left = self.left.saturating_sub(1);
        let mut own = vec![(service, self.own[service])];
        let before = std::mem::replace(&mut self.instances[service], instances);
        let proxies = ground.caller_proxies(service, &self.instances, rates);
        self.own[service] = ground.own(service, instances, rates[service], proxies);
        // Those it calls are now called by another number of proxies.
        for call in &ground.calls.by_caller[service] {
            let callee = call.callee;
            if callee == service {
                continue;
            }
            own.push((callee, self.own[callee]));
            let proxies = ground.caller_proxies(callee, &self.instances, rates);
            self.own[callee] = ground.own(callee, self.instances[callee], rates[callee], proxies);
        }
        let mut whole = Vec::new();
        ground.calls.recompose(
            &ground.callers,
            &self.own,
            &mut self.whole,
            own.iter().map(|(s, _)| *s),
            &mut self.scratch,
            &mut whole,
        );
        Before {
            service,
            instances: before,
            own,
            whole,
        }
    }

    fn back(&mut self, before: Before) {
        self.instances[before.service] = before.instances;
        for (service, own) in before.own.into_iter().rev() {
            self.own[service] = own;
        }
        for (service, whole) in before.whole.into_iter().rev() {
            self.whole[service] = whole;
        }
    }

    /// How much of its objective each entry leaves, as ln(objective ÷ latency); negative: missed.
    fn slack(&self, into: &mut Vec<f64>) {
        into.clear();
        for (entry, target) in self.ground.entries.iter().zip(&self.asked.entry_ms) {
            let latency = entry.quantile.of(self.whole[entry.node]).max(1e-9);
            into.push((target / latency).ln());
        }
    }

    pub fn holds(&self) -> bool {
        let mut entries = self.ground.entries.iter().zip(&self.asked.entry_ms);
        entries.all(|(entry, target)| entry.quantile.of(self.whole[entry.node]) <= *target)
    }

    /// Whether every objective is kept with so many more or fewer instances of a service; nothing is changed.
    pub fn holds_with(&mut self, service: usize, more: i32) -> bool {
        let instances = self.instances[service].saturating_add_signed(more);
        let before = self.set(service, instances);
        let holds = self.holds();
        self.back(before);
        holds
    }

    /// The latency of each entry with so many more or fewer instances of a service; nothing is changed.
    pub fn entry_ms_with(&mut self, service: usize, more: i32) -> Vec<f64> {
        let instances = self.instances[service].saturating_add_signed(more);
        let before = self.set(service, instances);
        let latencies_ms = self.entry_ms();
        self.back(before);
        latencies_ms
    }

    /// The latency of each entry.
    pub fn entry_ms(&self) -> Vec<f64> {
        let entries = self.ground.entries.iter();
        let latencies_ms = entries.map(|entry| entry.quantile.of(self.whole[entry.node]));
        latencies_ms.collect()
    }

    /// Gives a service one more.
    pub fn add(&mut self, service: usize) {
        self.set(service, self.instances[service].saturating_add(1));
    }

    fn unit_cost(&self, service: usize) -> f64 {
        self.ground.stations[service].cost_per_hour.max(1e-9)
    }

    /// Whether the service may have one instance less, whatever that makes of latencies.
    fn may_shrink(&self, service: usize) -> bool {
        self.instances[service] > self.asked.fewest[service].max(1)
            && !self.ground.stations[service].stateful
    }

    /// The largest share of any entry's slack that a change used; infinite where an objective is missed after it.
    fn used(before: &[f64], after: &[f64]) -> f64 {
        before
            .iter()
            .zip(after)
            .map(|(b, a)| {
                if *a < 0.0 {
                    f64::INFINITY
                } else {
                    (b - a).max(0.0) / b.max(NO_SLACK)
                }
            })
            .fold(0.0, f64::max)
    }

    /// Takes instances away while every objective is kept, each time where most is saved for the slack it costs. Slack only gets less, so
    /// that what a service was worth when it was last looked at bounds what it is worth now: only those that may be next are looked at.
    pub fn shrink(&mut self) {
        let (mut slack, mut after) = (Vec::new(), Vec::new());
        self.slack(&mut slack);
        if slack.iter().any(|s| *s < 0.0) {
            return;
        }
        // What each is worth at most, as bits, which are in the order of numbers that are not negative. Nothing is known of any yet.
        let mut queue: BinaryHeap<(u64, Reverse<usize>)> = (0..self.instances.len())
            .filter(|service| self.may_shrink(*service))
            .map(|service| (u64::MAX, Reverse(service)))
            .collect();
        while let Some((_, Reverse(service))) = queue.pop() {
            if !self.may_shrink(service) {
                continue;
            }
            let before = self.set(service, self.instances[service] - 1);
            self.slack(&mut after);
            let used = Self::used(&slack, &after);
            if used.is_infinite() {
                // It will not fit later either.
                self.back(before);
                continue;
            }
            let worth = (self.unit_cost(service) / used.max(1e-9)).to_bits();
            if queue.peek().is_none_or(|(at_most, _)| worth >= *at_most) {
                std::mem::swap(&mut slack, &mut after);
            } else {
                self.back(before);
            }
            queue.push((worth, Reverse(service)));
        }
    }

    /// Gives one instance to a service where that lets others go that cost more together; until none does.
    pub fn exchange(&mut self) {
        let services = self.instances.len();
        let (mut slack, mut after) = (Vec::new(), Vec::new());
        self.slack(&mut slack);
        if slack.iter().any(|s| *s < 0.0) {
            return;
        }
        for _ in 0..MOST_ROUNDS {
            // What each would use if it were taken from, at what there is now.
            let mut uses: Vec<(f64, usize)> = Vec::new();
            for s in 0..services {
                if !self.may_shrink(s) {
                    continue;
                }
                let before = self.set(s, self.instances[s] - 1);
                self.slack(&mut after);
                self.back(before);
                let lost = slack
                    .iter()
                    .zip(&after)
                    .map(|(b, a)| (b - a).max(0.0))
                    .fold(0.0, f64::max);
                uses.push((lost, s));
            }
            let mut improved = false;
            for to in 0..services {
                if self.left == 0 {
                    return;
                }
                let station = &self.ground.stations[to];
                if station.stateful || self.instances[to] >= station.max_instances {
                    continue;
                }
                improved |= self.give(to, &uses, &mut slack);
            }
            if !improved {
                break;
            }
        }
    }

    /// Whether one more of a service was worth what it let go.
    fn give(&mut self, to: usize, uses: &[(f64, usize)], slack: &mut Vec<f64>) -> bool {
        let price = self.unit_cost(to);
        let given = self.set(to, self.instances[to] + 1);
        let mut now = Vec::new();
        self.slack(&mut now);
        let room = now.iter().copied().fold(f64::INFINITY, f64::min);
        let gain = now
            .iter()
            .zip(slack.iter())
            .map(|(n, s)| n - s)
            .fold(0.0, f64::max);
        if gain <= 1e-9 {
            self.back(given);
            return false;
        }
        // Those that may fit into what there is now, the dearest first, of equals the one that uses least.
        let mut from: Vec<(f64, f64, usize)> = uses
            .iter()
            .filter(|(lost, s)| *s != to && self.may_shrink(*s) && *lost <= 1.2 * (room + gain))
            .map(|(lost, s)| (self.unit_cost(*s), *lost, *s))
            .collect();
        from.sort_by(|a, b| {
            (b.0 / (b.1 + 1e-6))
                .total_cmp(&(a.0 / (a.1 + 1e-6)))
                .then(a.2.cmp(&b.2))
        });
        let (mut saved, mut taken) = (0.0, Vec::new());
        for (cost, _, s) in from.into_iter().take(TRIED_FOR_ONE) {
            let before = self.set(s, self.instances[s] - 1);
            let mut then = Vec::new();
            self.slack(&mut then);
            if then.iter().any(|s| *s < 0.0) {
                self.back(before);
            } else {
                saved += cost;
                taken.push(before);
                now = then;
            }
        }
        if saved > price * (1.0 + 1e-9) {
            *slack = now;
            return true;
        }
        for before in taken.into_iter().rev() {
            self.back(before);
        }
        self.back(given);
        false
    }
}
