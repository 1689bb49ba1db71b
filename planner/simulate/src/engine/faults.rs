//! What goes wrong, switched on and off at its time.
//!
//! How each kind acts: latency is added to a call's way to the service; errors replace the service's own rate; crashed instances refuse
//! connections until they are back; what is sent to unreachable ones gets lost, and so does what is sent between localities that are cut off
//! from each other, until connections are given up; less processor, less memory, slow dependencies and cold caches stretch work;
//! a lost packet is sent again after [`RETRANSMIT_MS`], which doubles each time; a retry storm multiplies arrivals.

use foremesh_model::{
    FaultKind,
    random::{mix, text_key, uniform},
};

use super::{
    Engine,
    agenda::Kind,
    ns,
    parts::{InstanceState, Line, NONE, Work, WorkState},
};
use crate::{Outcome, SimulateError};

/// The first wait before a lost packet is sent again: TCP's least on Linux.
const RETRANSMIT_MS: f64 = 200.0;
/// Memory pressure and cold caches change their effect this often while they last.
const STEPS: u32 = 20;

/// A fault with its place in the mesh.
pub(super) struct FaultPart {
    kind: FaultKind,
    key: u64,
    starts_ns: u64,
    ends_ns: u64,
    services: Vec<usize>,
    entries: Vec<usize>,
    /// Localities that cannot reach each other.
    cut: Vec<(usize, usize)>,
    active: bool,
}

/// Where a name stands among those that there are; an empty name means all.
fn named(
    names: &[&str],
    name: &str,
    field: String,
    kind: &'static str,
) -> Result<Vec<usize>, SimulateError> {
    let found: Vec<usize> = (0..names.len())
        .filter(|at| name.is_empty() || names[*at] == name)
        .collect();
    if found.is_empty() {
        return Err(SimulateError::Unknown {
            field,
            name: name.into(),
            kind,
            known: names.join(", "),
        });
    }
    Ok(found)
}

impl Engine<'_> {
    /// Finds what the faults name, and puts their begin and end on the agenda.
    pub(super) fn plan_faults(&mut self, seed: u64) -> Result<(), SimulateError> {
        let horizon_s = self.ends as f64 / super::NS_PER_S;
        for (i, fault) in self.mesh.faults.iter().enumerate() {
            let field = || format!("fault {:?}", fault.name);
            if let Some((name, value, must)) = fault.kind.fault() {
                return Err(SimulateError::Number {
                    subject: field(),
                    field: name,
                    value,
                    must,
                });
            }
            let ends_s = fault.starts_s + fault.duration_s;
            if !(fault.starts_s >= 0.0
                && fault.duration_s > 0.0
                && fault.starts_s < horizon_s
                && ends_s.is_finite())
            {
                return Err(SimulateError::Outside {
                    field: field(),
                    starts_s: fault.starts_s,
                    ends_s,
                    horizon_s,
                });
            }
            let name = fault.kind.service();
            let storm = matches!(fault.kind, FaultKind::RetryStorm { .. });
            let mesh = self.mesh;
            let (found, cut) = if let FaultKind::LocalityPartition { locality, other } = &fault.kind
            {
                let all = mesh.localities.all.iter().map(|l| l.name.as_str());
                let names: Vec<&str> = all.collect();
                let at = named(&names, locality, field(), "localities")?;
                let others = if other.is_empty() {
                    (0..names.len()).collect()
                } else {
                    named(&names, other, field(), "localities")?
                };
                let pairs = at.iter().flat_map(|a| others.iter().map(|b| (*a, *b)));
                (Vec::new(), pairs.filter(|(a, b)| a != b).collect())
            } else if storm {
                let names: Vec<&str> = mesh.entries.iter().map(|e| e.name.as_str()).collect();
                (named(&names, name, field(), "entries")?, Vec::new())
            } else {
                let names: Vec<&str> = mesh.services.iter().map(|s| s.name.as_str()).collect();
                (named(&names, name, field(), "services")?, Vec::new())
            };
            let (starts_ns, ends_ns) = (ns(fault.starts_s), ns(ends_s));
            let (services, entries) = if storm {
                (Vec::new(), found)
            } else {
                (found, Vec::new())
            };
            self.faults.push(FaultPart {
                kind: fault.kind.clone(),
                key: mix(seed, text_key(&fault.name)),
                starts_ns,
                ends_ns,
                services,
                entries,
                cut,
                active: false,
            });
            let steps = match fault.kind {
                FaultKind::Memory { .. } | FaultKind::ColdCache { .. } => STEPS,
                _ => 1,
            };
            for step in 0..=steps {
                let at = starts_ns + (ends_ns - starts_ns) / u64::from(steps) * u64::from(step);
                self.agenda.put(
                    if step == steps { ends_ns } else { at },
                    Kind::Fault,
                    i as u32,
                    0,
                    0,
                );
            }
        }
        Ok(())
    }

    /// A fault begins, changes or ends: what it touches is worked out anew from all faults that last.
    pub(super) fn fault(&mut self, id: usize) {
        let fault = &mut self.faults[id];
        let was = fault.active;
        fault.active = self.now < fault.ends_ns;
        let (begins, over) = (!was && fault.active, was && !fault.active);
        let (kind, key, services) = (fault.kind.clone(), fault.key, fault.services.clone());
        let restarts = !matches!(kind, FaultKind::Partition { .. });
        match kind {
            FaultKind::Crash { share, .. } | FaultKind::Partition { share, .. } => {
                for service in services {
                    if begins {
                        self.take_down(service, share, key, id, restarts);
                    } else if over {
                        self.bring_back(service, id);
                    }
                }
            }
            FaultKind::Memory { share, .. } => {
                self.refresh();
                if over {
                    // Killed for want of memory, and started again.
                    for service in services {
                        self.take_down(service, share, key, id, restarts);
                        self.bring_back(service, id);
                    }
                }
            }
            _ => self.refresh(),
        }
    }

    /// The instances of a service that a fault hits: a share of those that run, at least one; the same ones as long as the same ones run. Those
    /// elsewhere are spared.
    fn hit(
        &self,
        service: usize,
        share: f64,
        key: u64,
        may_be: &dyn Fn(InstanceState) -> bool,
    ) -> Vec<u32> {
        let part = &self.services[service];
        let mut in_use: Vec<u32> = (part.first..part.first + part.home)
            .filter(|i| may_be(self.instances[*i as usize].state))
            .collect();
        in_use.sort_by_key(|i| (mix(key, u64::from(*i - part.first)), *i));
        let count = ((in_use.len() as f64 * share).round() as usize)
            .max(1)
            .min(in_use.len());
        in_use.truncate(count);
        in_use
    }

    /// Takes instances down: whoever waits for them is told, be they crashed or out of reach.
    fn take_down(&mut self, service: usize, share: f64, key: u64, fault: usize, restarts: bool) {
        self.area(service);
        let running = |state: InstanceState| state == InstanceState::Ready;
        for i in self.hit(service, share, key, &running) {
            let instance = &mut self.instances[i as usize];
            instance.state = InstanceState::Down;
            instance.down_by = fault as u32;
            instance.down_at = self.now;
            instance.restarts = restarts;
            let generation = instance.generation;
            let part = &mut self.services[service];
            part.ready -= 1;
            let noticed = if restarts {
                part.crash_noticed_ns
            } else {
                part.unreachable_noticed_ns
            };
            if let Some(noticed) = noticed {
                let at = self.now + noticed;
                self.agenda.put(at, Kind::Unlist, i, generation, 0);
            }
            self.break_off(i, restarts);
        }
    }

    /// What a fault took down is there again: at once, or after its start-up.
    fn bring_back(&mut self, service: usize, fault: usize) {
        let part = &self.services[service];
        for i in part.first..part.first + part.places {
            let instance = &self.instances[i as usize];
            if instance.state == InstanceState::Down && instance.down_by == fault as u32 {
                let wait = if instance.restarts {
                    part.startup_ns
                } else {
                    0
                };
                let at = self.now + wait;
                self.agenda.put(at, Kind::Ready, i, instance.generation, 0);
            }
        }
    }

    /// An instance that has just become ready feels what still lasts.
    pub(super) fn greet(&mut self) {
        if self.faults.iter().any(|fault| fault.active) {
            self.refresh();
        }
    }

    /// All that an instance was doing breaks off. Whoever waits for a crashed one is told; nobody hears of one that cannot be reached, until
    /// connections are given up.
    fn break_off(&mut self, instance: u32, told: bool) {
        let inside: Vec<(u32, u32)> = (0u32..)
            .zip(&self.works.places)
            .filter(|(_, work)| {
                work.instance == instance
                    && !matches!(work.state, WorkState::Free | WorkState::Travelling)
            })
            .map(|(id, work)| (id, work.generation))
            .collect();
        let calling = |work: &Work| work.state == WorkState::Calling;
        let left = inside
            .iter()
            .filter(|(id, _)| calling(&self.works.places[*id as usize]))
            .count();
        let at = &mut self.instances[instance as usize];
        let service = at.service as usize;
        self.services[service].queued -= at.queue.length + at.pending.length;
        let was_busy = if at.remote { 0 } else { i64::from(at.busy) };
        at.busy = 0;
        at.queue = Line::default();
        at.pending = Line::default();
        at.admitted = 0;
        // Those that wait for calls are still inside until the last of them is answered.
        at.inside = left as u32;
        self.busy(service, -was_busy);
        for (id, generation) in inside {
            let work = &mut self.works.places[id as usize];
            if work.generation != generation {
                continue;
            }
            work.let_in = false;
            if work.state == WorkState::Calling {
                let gone = *work;
                work.failed = true;
                work.dropped = true;
                work.call = NONE;
                self.tell_caller(&gone, Outcome::Connection, !told);
            } else {
                self.end_work(id, Outcome::Connection, !told);
            }
        }
    }

    /// Works out what lasting faults do to ways, errors, work and arrivals.
    fn refresh(&mut self) {
        for (part, model) in self.services.iter_mut().zip(&self.mesh.services) {
            part.error_rate = model.error_rate;
            part.added_ns = 0;
            part.loss = 0.0;
            for i in part.first..part.first + part.places {
                self.instances[i as usize].slowed = 1.0;
            }
        }
        self.entries.iter_mut().for_each(|entry| entry.factor = 1.0);
        self.between.iter_mut().for_each(|way| way.cut = false);
        for id in 0..self.faults.len() {
            let fault = &self.faults[id];
            if !fault.active {
                continue;
            }
            let passed = (self.now - fault.starts_ns) as f64
                / (fault.ends_ns - fault.starts_ns).max(1) as f64;
            let (kind, key) = (fault.kind.clone(), fault.key);
            let (services, entries) = (fault.services.clone(), fault.entries.clone());
            let count = self.mesh.localities.all.len();
            for (a, b) in &fault.cut {
                self.between[a * count + b].cut = true;
                self.between[b * count + a].cut = true;
            }
            for s in services {
                match kind {
                    FaultKind::Latency { added_ms, .. } => {
                        self.services[s].added_ns += ns(added_ms / 1e3)
                    }
                    FaultKind::Errors { rate, .. } => {
                        self.services[s].error_rate = self.services[s].error_rate.max(rate)
                    }
                    FaultKind::PacketLoss { rate, .. } => {
                        self.services[s].loss = self.services[s].loss.max(rate)
                    }
                    FaultKind::Cpu { share, factor, .. } => self.slow(s, share, key, factor),
                    FaultKind::Memory { share, factor, .. } => {
                        self.slow(s, share, key, 1.0 + (factor - 1.0) * passed)
                    }
                    FaultKind::SlowDependency { factor, .. } => self.slow(s, 1.0, key, factor),
                    FaultKind::ColdCache { factor, .. } => {
                        self.slow(s, 1.0, key, 1.0 + (factor - 1.0) * (1.0 - passed))
                    }
                    FaultKind::Crash { .. }
                    | FaultKind::Partition { .. }
                    | FaultKind::LocalityPartition { .. }
                    | FaultKind::RetryStorm { .. } => {}
                }
            }
            if let FaultKind::RetryStorm { factor, .. } = kind {
                entries
                    .into_iter()
                    .for_each(|e| self.entries[e].factor *= factor);
            }
        }
    }

    fn slow(&mut self, service: usize, share: f64, key: u64, factor: f64) {
        let there = |state: InstanceState| state != InstanceState::Off;
        for i in self.hit(service, share, key, &there) {
            self.instances[i as usize].slowed *= factor;
        }
    }

    /// Nanoseconds that faults add to a call's way to a service.
    #[inline]
    pub(super) fn delay_ns(&self, service: usize, key: u64) -> u64 {
        let part = &self.services[service];
        let mut delay = part.added_ns;
        if part.loss > 0.0 {
            for (round, doubled) in (0u64..6).zip([1.0, 2.0, 4.0, 8.0, 16.0, 32.0]) {
                if uniform(mix(key, round)) >= part.loss {
                    break;
                }
                delay += ns(RETRANSMIT_MS * doubled / 1e3);
            }
        }
        delay
    }
}
