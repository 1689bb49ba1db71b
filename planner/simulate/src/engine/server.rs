//! The side that is called: the instance's proxy, its workers, the calls that a request makes, the answer.

use foremesh_model::random::{mix, uniform};

use super::client::MOST_WAITING;
use super::{
    Engine,
    agenda::Kind,
    parts::{InstanceState, Line, NONE, Slab, Work, WorkState},
    purpose,
};
use crate::Outcome;

fn push(line: &mut Line, works: &mut Slab<Work>, id: u32) {
    works.places[id as usize].next = NONE;
    if line.tail == NONE {
        line.head = id;
    } else {
        works.places[line.tail as usize].next = id;
    }
    line.tail = id;
    line.length += 1;
}

/// The first in line, still wanted or dropped.
fn pop(line: &mut Line, works: &Slab<Work>) -> Option<u32> {
    let id = line.head;
    if id == NONE {
        return None;
    }
    line.head = works.places[id as usize].next;
    if line.head == NONE {
        line.tail = NONE;
    }
    // Those that were dropped have been taken off the length already.
    line.length -= u32::from(!works.places[id as usize].dropped);
    Some(id)
}

impl Engine<'_> {
    /// A request reaches its instance.
    pub(super) fn arrive(&mut self, id: u32) {
        let work = self.works.places[id as usize];
        if work.dropped {
            self.free_work(id);
            return;
        }
        let (s, i) = (work.service as usize, work.instance as usize);
        if self.measured() {
            let host = work.instance - self.services[s].first;
            let run = &mut self.run.services[s];
            run.requests_by_instance[host as usize] += 1;
            if self.instances[i].remote {
                run.elsewhere += 1;
            } else {
                run.requests += 1;
            }
        }
        self.works.places[id as usize].arrived = self.now;
        for control in &mut self.controls {
            control.services[s].arrived += 1;
        }
        if !matches!(
            self.instances[i].state,
            InstanceState::Ready | InstanceState::Draining
        ) {
            // A crashed instance refuses; what is sent to one that cannot be reached gets lost.
            let lost =
                self.instances[i].state == InstanceState::Down && !self.instances[i].restarts;
            return self.end_work(id, Outcome::Connection, lost);
        }
        if work.priority < self.services[s].least_priority || !self.admitted_by_bucket(s, i) {
            if self.measured() {
                self.run.services[s].rate_limited += 1;
            }
            return self.answer(id, Outcome::RateLimited);
        }
        let part = &self.services[s];
        if self.instances[i].admitted < part.max_admitted {
            self.admit(id);
        } else if self.instances[i].pending.length < part.max_pending.min(MOST_WAITING) {
            self.works.places[id as usize].state = WorkState::Pending;
            push(&mut self.instances[i].pending, &mut self.works, id);
            self.queued(s);
        } else {
            self.refuse(id);
        }
    }

    /// Takes a token of the instance's bucket; false: there is none.
    fn admitted_by_bucket(&mut self, service: usize, instance: usize) -> bool {
        let part = &self.services[service];
        if part.rate_per_ns.is_infinite() {
            return true;
        }
        let at = &mut self.instances[instance];
        at.tokens =
            (at.tokens + (self.now - at.tokens_at) as f64 * part.rate_per_ns).min(part.burst);
        at.tokens_at = self.now;
        if at.tokens < 1.0 {
            return false;
        }
        at.tokens -= 1.0;
        true
    }

    /// Lets a request into the instance: to a worker, or into the queue for one.
    fn admit(&mut self, id: u32) {
        let work = self.works.places[id as usize];
        let (s, i) = (work.service as usize, work.instance as usize);
        if self.instances[i].queue.length >= MOST_WAITING {
            return self.refuse(id);
        }
        self.instances[i].admitted += 1;
        self.instances[i].inside += 1;
        self.works.places[id as usize].let_in = true;
        if self.instances[i].busy < self.services[s].workers {
            self.begin(id);
        } else {
            self.works.places[id as usize].state = WorkState::Queued;
            push(&mut self.instances[i].queue, &mut self.works, id);
            self.queued(s);
        }
    }

    /// There is no place for a request that has not been let in.
    fn refuse(&mut self, id: u32) {
        let work = &self.works.places[id as usize];
        if self.measured() {
            self.run.services[work.service as usize].refused += 1;
        }
        self.end_work(id, Outcome::Refused, false);
    }

    fn begin(&mut self, id: u32) {
        self.trace_work(id);
        let work = &mut self.works.places[id as usize];
        work.state = WorkState::Working;
        work.since = self.now;
        let (generation, stream) = (work.generation, work.stream);
        let (s, i) = (work.service as usize, work.instance as usize);
        self.instances[i].busy += 1;
        if !self.instances[i].remote {
            self.busy(s, 1);
        }
        let part = &self.services[s];
        let mut takes = part.work.draw(mix(stream, purpose::WORK)) * self.instances[i].slowed;
        if let Some(ready_at) = self.instances[i].ready_at
            && part.warm_up_ns > 0
        {
            let cold = 1.0 - ((self.now - ready_at) as f64 / part.warm_up_ns as f64).min(1.0);
            takes *= 1.0 + (part.cold_factor - 1.0) * cold;
        }
        self.agenda.put(
            self.now + takes.round() as u64,
            Kind::Done,
            id,
            generation,
            0,
        );
    }

    /// A worker has done a request's own work; the next in the queue gets the worker.
    pub(super) fn done(&mut self, id: u32, generation: u32) {
        let work = self.works.places[id as usize];
        if work.generation != generation || work.state != WorkState::Working {
            return;
        }
        let (s, i) = (work.service as usize, work.instance as usize);
        if !self.instances[i].remote {
            self.busy(s, -1);
            self.run.services[s].done += u64::from(self.measured());
        }
        for control in &mut self.controls {
            let tally = &mut control.services[s];
            tally.done += 1;
            tally.wait_ns += work.since - work.arrived;
        }
        self.instances[i].busy -= 1;
        self.employ(s, i);
        if work.dropped {
            // Nobody waits for it: it makes no calls.
            self.leave_instance(id);
            return self.free_work(id);
        }
        let error_rate = self.services[s].error_rate;
        if error_rate > 0.0 && uniform(mix(work.stream, purpose::ERROR)) < error_rate {
            return self.answer(id, Outcome::Error);
        }
        self.works.places[id as usize].state = WorkState::Calling;
        self.enter_stage(id, 0);
    }

    /// Gives idle workers of an instance to those that wait for one.
    pub(super) fn employ(&mut self, s: usize, i: usize) {
        while self.instances[i].busy < self.services[s].workers {
            let Some(next) = pop(&mut self.instances[i].queue, &self.works) else {
                return;
            };
            if self.works.places[next as usize].dropped {
                self.leave_instance(next);
                self.free_work(next);
            } else {
                self.area(s);
                self.services[s].queued -= 1;
                self.begin(next);
            }
        }
    }

    /// Sends the answer back, if anybody still waits for it.
    pub(super) fn answer(&mut self, id: u32, outcome: Outcome) {
        let state = self.works.places[id as usize].state;
        if !matches!(state, WorkState::Travelling | WorkState::Pending) {
            self.leave_instance(id);
            let work = &self.works.places[id as usize];
            let stay = self.now - work.arrived;
            for control in &mut self.controls {
                let tally = &mut control.services[work.service as usize];
                tally.least_ns = if tally.answered == 0 {
                    stay
                } else {
                    tally.least_ns.min(stay)
                };
                tally.answered += 1;
                tally.stay_ns += stay;
            }
        }
        self.end_work(id, outcome, false);
    }

    /// The end of a request, whose instance has been seen to. `lost`: the caller hears nothing until it gives the connection up.
    pub(super) fn end_work(&mut self, id: u32, outcome: Outcome, lost: bool) {
        let work = self.works.places[id as usize];
        self.trace_work_over(id, Some(outcome));
        self.free_work(id);
        self.tell_caller(&work, outcome, lost);
    }

    /// Whoever waits for a request learns how it ended.
    pub(super) fn tell_caller(&mut self, work: &Work, outcome: Outcome, lost: bool) {
        if work.call == NONE {
            return;
        }
        let call = &self.calls.places[work.call as usize];
        let edge = &self.edges[call.edge as usize];
        let mut one_way = if lost {
            edge.connect_timeout_ns
        } else {
            edge.one_way_ns
        };
        let proxy = self.proxy_index(call.edge, call.proxy);
        let (from, to) = (
            self.instances[work.instance as usize].locality,
            self.proxies[proxy].locality,
        );
        if from != to && !lost {
            one_way += self.between_ns(from, to);
            if self.measured() && self.crosses_regions(from, to) {
                self.run.edges[call.edge as usize].cross_region_bytes +=
                    self.mesh.edges[call.edge as usize].response_bytes;
            }
        }
        let tag = work.call_generation | call.attempt << 20;
        if one_way == 0 {
            self.reply(work.call, tag, outcome);
        } else {
            self.agenda.put(
                self.now + one_way,
                Kind::Reply,
                work.call,
                tag,
                outcome as u8,
            );
        }
    }

    /// A request leaves the instance.
    pub(super) fn leave_instance(&mut self, id: u32) {
        let work = &self.works.places[id as usize];
        let (s, i) = (work.service as usize, work.instance as usize);
        self.instances[i].inside -= 1;
        self.give_up_place(id);
        if self.instances[i].state == InstanceState::Draining && self.instances[i].inside == 0 {
            self.end_instance(s, i);
        }
    }

    /// A request gives back its place at the instance's proxy; the first that waits there comes in.
    fn give_up_place(&mut self, id: u32) {
        let work = &mut self.works.places[id as usize];
        if !work.let_in {
            return;
        }
        work.let_in = false;
        let (s, i) = (work.service as usize, work.instance as usize);
        self.instances[i].admitted -= 1;
        if self.instances[i].admitted < self.services[s].max_admitted {
            while let Some(next) = pop(&mut self.instances[i].pending, &self.works) {
                if self.works.places[next as usize].dropped {
                    self.free_work(next);
                    continue;
                }
                self.area(s);
                self.services[s].queued -= 1;
                self.admit(next);
                break;
            }
        }
    }

    pub(super) fn free_work(&mut self, id: u32) {
        self.trace_work_over(id, None);
        let work = &mut self.works.places[id as usize];
        work.state = WorkState::Free;
        work.generation = work.generation.wrapping_add(1);
        self.works.release(id);
    }

    /// Nobody waits for a request any more. In a proxy's queue it is dropped; inside, work goes on unless the service drops it, but the
    /// instance's proxy, which saw the request reset, no longer counts it.
    pub(super) fn abandon(&mut self, id: u32, generation: u32) {
        if id == NONE {
            return;
        }
        let drops = self.services[self.works.places[id as usize].service as usize].drops_abandoned;
        let work = &mut self.works.places[id as usize];
        if work.generation != generation || work.state == WorkState::Free {
            return;
        }
        work.call = NONE;
        let (state, service, instance) =
            (work.state, work.service as usize, work.instance as usize);
        match state {
            WorkState::Travelling => work.dropped = true,
            WorkState::Pending => {
                work.dropped = true;
                self.instances[instance].pending.length -= 1;
                self.area(service);
                self.services[service].queued -= 1;
            }
            WorkState::Queued if drops => {
                work.dropped = true;
                self.instances[instance].queue.length -= 1;
                self.area(service);
                self.services[service].queued -= 1;
            }
            _ => work.dropped |= drops,
        }
        self.give_up_place(id);
    }
}
