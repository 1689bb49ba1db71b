//! The caller's side of a call: limits, choice of an instance, connections, attempts, timeouts.

use foremesh_model::random::mix;

use super::{
    Engine, ProxyPart,
    agenda::{Kind, Timeout},
    parts::{Call, CallState, NONE, TRIED, Threads, Work, WorkState},
    purpose,
};
use crate::{Connections, Outcome};

/// Requests that wait at a proxy at most, where no limit is set: memory is not endless.
pub(super) const MOST_WAITING: u32 = 65_536;

/// When a request that reaches a proxy at a time has passed it.
#[inline]
fn pass(threads: &mut Threads, proxy: ProxyPart, at: u64, key: u64) -> u64 {
    if proxy.cost_ns == 0 {
        return at;
    }
    let free = &mut threads[(key % proxy.threads) as usize];
    *free = at.max(*free) + proxy.cost_ns;
    *free
}

impl Engine<'_> {
    #[inline]
    pub(super) fn proxy_index(&self, edge: u32, proxy: u32) -> usize {
        (self.edges[edge as usize].first_proxy + proxy) as usize
    }

    #[inline]
    pub(super) fn link_index(&self, edge: u32, proxy: u32, host: u32) -> usize {
        let part = &self.edges[edge as usize];
        (part.first_link + proxy * part.hosts + host) as usize
    }

    /// A proxy is asked to make a call.
    pub(super) fn start_call(
        &mut self,
        edge: u32,
        proxy: u32,
        parent: u32,
        entry: u32,
        priority: u32,
        stream: u64,
    ) {
        let now = self.now;
        let id = self.calls.insert(|old| Call {
            generation: old.map_or(0, |call| call.generation),
            state: CallState::Pending,
            counted_retry: false,
            edge,
            proxy,
            parent,
            entry,
            priority,
            attempt: 0,
            host: NONE,
            tried: [NONE; TRIED],
            work: NONE,
            work_generation: 0,
            next: NONE,
            stream,
            started: now,
        });
        self.run.most_open_calls = self.run.most_open_calls.max(self.calls.in_use());
        self.trace_call(id);
        self.set_timeout(id, 0);
        self.attempt(id);
    }

    /// Sets the timeout of the whole call (0) or of its attempt (1).
    fn set_timeout(&mut self, id: u32, which: usize) {
        let call = &self.calls.places[id as usize];
        let index = call.edge as usize * 2 + which;
        let lane = &mut self.lanes[index];
        let Some(length) = lane.length else { return };
        let at = self.now + length;
        lane.push(Timeout {
            at,
            call: id,
            generation: call.generation,
            attempt: call.attempt,
        });
        if !lane.armed {
            lane.armed = true;
            self.agenda.put(at, Kind::Lane, index as u32, 0, 0);
        }
    }

    /// Ends what is due in a lane, and waits for the next that still matters.
    pub(super) fn lane_due(&mut self, index: usize) {
        let attempts = index % 2 == 1;
        loop {
            let Some(head) = self.lanes[index].head().copied() else {
                self.lanes[index].armed = false;
                return;
            };
            let call = &self.calls.places[head.call as usize];
            let alive = call.generation == head.generation
                && call.state != CallState::Free
                && (!attempts || (call.attempt == head.attempt && call.state == CallState::Sent));
            if alive && head.at > self.now {
                self.agenda.put(head.at, Kind::Lane, index as u32, 0, 0);
                return;
            }
            self.lanes[index].pop();
            if alive && attempts {
                self.leave(head.call, true);
                self.judge(head.call, Outcome::AttemptTimeout);
                self.failed(head.call, Outcome::AttemptTimeout);
            } else if alive {
                let sent = call.state == CallState::Sent;
                self.leave(head.call, true);
                if sent {
                    self.judge(head.call, Outcome::Timeout);
                }
                self.end_call(head.call, Outcome::Timeout);
            }
        }
    }

    /// Makes the next attempt of a call.
    pub(super) fn attempt(&mut self, id: u32) {
        self.trace_attempt(id);
        let call = self.calls.places[id as usize];
        let edge = &self.mesh.edges[call.edge as usize];
        let limits = edge.limits;
        let proxy = self.proxy_index(call.edge, call.proxy);
        let Some(host) = self.choose(&call) else {
            return self.failed(id, Outcome::NoInstance);
        };
        let place = &mut self.calls.places[id as usize];
        place.host = host;
        place.tried[call.attempt as usize % TRIED] = host;
        let link = self.link_index(call.edge, call.proxy, host);
        match edge.connections {
            Connections::Open => self.send_or_refuse(id),
            Connections::Multiplexed { .. } => {
                if self.links[link].open_at <= self.now {
                    return self.send_or_refuse(id);
                }
                if self.proxies[proxy].pending >= limits.max_pending_requests.min(MOST_WAITING) {
                    return self.failed(id, Outcome::Overflow);
                }
                if self.links[link].open_at == u64::MAX {
                    self.links[link].open_at = self.now + self.edges[call.edge as usize].connect_ns;
                    self.count_connection(call.edge);
                }
                self.wait(id, proxy, self.links[link].open_at);
            }
            Connections::OneRequest { .. } => {
                if self.links[link].idle > 0 {
                    if !self.has_room(&call) {
                        return self.failed(id, Outcome::Overflow);
                    }
                    self.links[link].idle -= 1;
                    self.send(id);
                } else if self.proxies[proxy].pending
                    >= limits.max_pending_requests.min(MOST_WAITING)
                {
                    self.failed(id, Outcome::Overflow);
                } else if self.proxies[proxy].connections < limits.max_connections
                    || self.links[link].connections == 0
                {
                    self.open_connection(call.edge, proxy, link);
                    let at = self.now + self.edges[call.edge as usize].connect_ns;
                    self.wait(id, proxy, at);
                } else {
                    self.stand_in_line(id, proxy, link);
                }
                self.connect_ahead(call.edge, call.proxy, host);
            }
        }
    }

    /// Whether a call's proxy may have one more request in flight. Envoy asks when a request gets its connection, not when it begins to wait for one.
    pub(super) fn has_room(&self, call: &Call) -> bool {
        let limits = &self.mesh.edges[call.edge as usize].limits;
        let proxy = self.proxy_index(call.edge, call.proxy);
        self.proxies[proxy].in_flight < limits.max_concurrent_requests
    }

    /// Sends an attempt that has its connection, if the proxy may.
    pub(super) fn send_or_refuse(&mut self, id: u32) {
        if self.has_room(&self.calls.places[id as usize]) {
            self.send(id);
        } else {
            self.failed(id, Outcome::Overflow);
        }
    }

    /// Sends an attempt on its way.
    pub(super) fn send(&mut self, id: u32) {
        let call = &mut self.calls.places[id as usize];
        call.state = CallState::Sent;
        let call = *call;
        let (service, one_way) = {
            let part = &self.edges[call.edge as usize];
            (part.callee as u32, part.one_way_ns)
        };
        let (proxy, link) = (
            self.proxy_index(call.edge, call.proxy),
            self.link_index(call.edge, call.proxy, call.host),
        );
        self.proxies[proxy].in_flight += 1;
        self.links[link].active += 1;
        if self.measured() {
            self.run.edges[call.edge as usize].attempts += 1;
        }
        let instance = self.services[service as usize].first + call.host;
        let stream = mix(mix(call.stream, purpose::ATTEMPT), u64::from(call.attempt));
        let work = self.works.insert(|old| Work {
            generation: old.map_or(0, |work| work.generation),
            state: WorkState::Travelling,
            failed: false,
            dropped: false,
            let_in: false,
            service,
            instance,
            call: id,
            call_generation: call.generation,
            priority: call.priority,
            next: NONE,
            stage: 0,
            to_make: 0,
            outstanding: 0,
            stream,
            since: 0,
            arrived: 0,
        });
        let place = &mut self.calls.places[id as usize];
        place.work = work;
        place.work_generation = self.works.places[work as usize].generation;
        self.trace_sent(id, work);
        self.set_timeout(id, 1);
        let (from, to) = (
            self.proxies[proxy].locality,
            self.instances[instance as usize].locality,
        );
        if from != to {
            if self.is_cut(from, to) {
                return self.end_work(work, Outcome::Connection, true);
            }
            if self.crosses_regions(from, to) && self.measured() {
                self.run.edges[call.edge as usize].cross_region_bytes +=
                    self.mesh.edges[call.edge as usize].request_bytes;
            }
        }
        let way = one_way
            + self.between_ns(from, to)
            + self.delay_ns(service as usize, mix(stream, purpose::WAY));
        let delay = self.proxies_ns(&call, proxy, instance as usize, way, stream);
        if delay == 0 {
            self.arrive(work);
        } else {
            self.agenda.put(self.now + delay, Kind::Arrive, work, 0, 0);
        }
    }

    /// Nanoseconds until a request has passed both proxies and a way of `way` between them. A thread of a proxy takes requests one after the
    /// other, and spends what the request and its answer cost when the request passes.
    fn proxies_ns(
        &mut self,
        call: &Call,
        proxy: usize,
        instance: usize,
        way: u64,
        stream: u64,
    ) -> u64 {
        let part = &self.edges[call.edge as usize];
        let (caller, gateway) = (part.caller, part.gateway);
        let callee = self.services[part.callee].proxy;
        let mut at = self.now;
        match caller {
            Some(caller) => {
                let cost = self.services[caller].proxy;
                let own = (self.services[caller].first + call.proxy) as usize;
                at = pass(&mut self.instances[own].threads, cost, at, stream);
            }
            None => at = pass(&mut self.proxies[proxy].threads, gateway, at, stream),
        }
        at = pass(
            &mut self.instances[instance].threads,
            callee,
            at + way,
            stream >> 32,
        );
        at - self.now
    }

    /// Gives back what an attempt holds at its proxy; `broken`: its connection cannot be used again.
    fn leave(&mut self, id: u32, broken: bool) {
        let call = self.calls.places[id as usize];
        let proxy = self.proxy_index(call.edge, call.proxy);
        match call.state {
            CallState::Free => {}
            CallState::BackingOff => {}
            CallState::Pending => {
                self.proxies[proxy].pending -= 1;
                let link = self.link_index(call.edge, call.proxy, call.host);
                let one_request = matches!(
                    self.mesh.edges[call.edge as usize].connections,
                    Connections::OneRequest { .. }
                );
                if !self.leave_line(id, link) && one_request {
                    // The connection that was being opened for it is idle when it is open.
                    let at = self.now + self.edges[call.edge as usize].connect_ns;
                    self.agenda.put(at, Kind::Spare, link as u32, call.edge, 0);
                }
            }
            CallState::Sent => {
                self.proxies[proxy].in_flight -= 1;
                let link = self.link_index(call.edge, call.proxy, call.host);
                self.links[link].active -= 1;
                if matches!(
                    self.mesh.edges[call.edge as usize].connections,
                    Connections::OneRequest { .. }
                ) {
                    if broken {
                        self.links[link].connections -= 1;
                        self.proxies[proxy].connections -= 1;
                        self.connect_anew(&call, proxy, link);
                    } else {
                        self.free_connection(proxy, link);
                    }
                }
                self.abandon(call.work, call.work_generation);
            }
        }
    }

    /// The answer of an attempt is here.
    pub(super) fn reply(&mut self, id: u32, generation: u32, outcome: Outcome) {
        let call = self.calls.places[id as usize];
        if call.generation != generation & 0xfffff
            || call.state != CallState::Sent
            || call.attempt != generation >> 20
        {
            return;
        }
        self.calls.places[id as usize].work = NONE;
        self.leave(id, outcome == Outcome::Connection);
        self.judge(id, outcome);
        if outcome == Outcome::Ok {
            self.end_call(id, outcome);
        } else {
            self.failed(id, outcome);
        }
    }
}
