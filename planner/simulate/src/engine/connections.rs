//! Connections of a caller's proxy to the instances: opened when needed or ahead of need, waited for, given on.

use super::{
    Engine,
    agenda::Kind,
    parts::{Call, CallState, InstanceState, NONE},
};
use crate::{Connections, Outcome};

impl Engine<'_> {
    pub(super) fn count_connection(&mut self, edge: u32) {
        if self.measured() {
            self.run.edges[edge as usize].connections += 1;
        }
    }

    pub(super) fn open_connection(&mut self, edge: u32, proxy: usize, link: usize) {
        self.proxies[proxy].connections += 1;
        self.links[link].connections += 1;
        self.count_connection(edge);
    }

    /// A request waits until its connection is open.
    pub(super) fn wait(&mut self, id: u32, proxy: usize, until: u64) {
        self.proxies[proxy].pending += 1;
        let call = &mut self.calls.places[id as usize];
        call.state = CallState::Pending;
        self.agenda.put(
            until,
            Kind::Connected,
            id,
            call.generation.wrapping_add(call.attempt << 20),
            0,
        );
    }

    pub(super) fn connected(&mut self, id: u32, generation: u32) {
        let call = self.calls.places[id as usize];
        if call.state != CallState::Pending
            || call.generation.wrapping_add(call.attempt << 20) != generation
        {
            return;
        }
        let proxy = self.proxy_index(call.edge, call.proxy);
        self.proxies[proxy].pending -= 1;
        if self.has_room(&call) {
            return self.send(id);
        }
        let model = &self.mesh.edges[call.edge as usize];
        if matches!(model.connections, Connections::OneRequest { .. }) {
            let link = self.link_index(call.edge, call.proxy, call.host);
            self.free_connection(proxy, link);
        }
        self.failed(id, Outcome::Overflow);
    }

    /// A request waits until a connection to its instance is free.
    pub(super) fn stand_in_line(&mut self, id: u32, proxy: usize, link: usize) {
        self.proxies[proxy].pending += 1;
        let call = &mut self.calls.places[id as usize];
        call.state = CallState::Pending;
        call.next = NONE;
        let line = &mut self.links[link].waiting;
        let tail = line.tail;
        if line.head == NONE {
            line.head = id;
        }
        line.tail = id;
        line.length += 1;
        if tail != NONE {
            self.calls.places[tail as usize].next = id;
        }
    }

    /// Takes a request that gave up out of the line in which it stands; false: it stands in none.
    pub(super) fn leave_line(&mut self, id: u32, link: usize) -> bool {
        let mut before = NONE;
        let mut at = self.links[link].waiting.head;
        while at != NONE {
            let next = self.calls.places[at as usize].next;
            if at == id {
                if before == NONE {
                    self.links[link].waiting.head = next;
                } else {
                    self.calls.places[before as usize].next = next;
                }
                if self.links[link].waiting.tail == id {
                    self.links[link].waiting.tail = before;
                }
                self.links[link].waiting.length -= 1;
                return true;
            }
            before = at;
            at = next;
        }
        false
    }

    /// Opens connections ahead of need, as many as the ratio asks for.
    pub(super) fn connect_ahead(&mut self, edge: u32, proxy: u32, host: u32) {
        let model = &self.mesh.edges[edge as usize];
        if model.preconnect_ratio <= 1.0 {
            return;
        }
        let (proxy, link) = (
            self.proxy_index(edge, proxy),
            self.link_index(edge, proxy, host),
        );
        let used = self.links[link].connections - self.links[link].idle;
        let wanted = (f64::from(used) * model.preconnect_ratio).ceil() as u32;
        while self.links[link].connections < wanted
            && self.proxies[proxy].connections < model.limits.max_connections
        {
            self.open_connection(edge, proxy, link);
            let at = self.now + self.edges[edge as usize].connect_ns;
            self.agenda.put(at, Kind::Spare, link as u32, edge, 0);
        }
    }

    pub(super) fn spare_open(&mut self, link: u32, edge: u32) {
        let part = &self.edges[edge as usize];
        let proxy = part.first_proxy + (link - part.first_link) / part.hosts.max(1);
        self.free_connection(proxy as usize, link as usize);
    }

    /// A connection is free: the first in line takes it.
    pub(super) fn free_connection(&mut self, proxy: usize, link: usize) {
        while let Some(first) = self.first_in_line(proxy, link) {
            if self.has_room(&self.calls.places[first as usize]) {
                return self.send(first);
            }
            self.failed(first, Outcome::Overflow);
        }
        self.links[link].idle += 1;
    }

    /// Takes the first out of the line for an instance.
    fn first_in_line(&mut self, proxy: usize, link: usize) -> Option<u32> {
        let first = self.links[link].waiting.head;
        if first == NONE {
            return None;
        }
        let next = self.calls.places[first as usize].next;
        let line = &mut self.links[link].waiting;
        line.head = next;
        if next == NONE {
            line.tail = NONE;
        }
        line.length -= 1;
        self.proxies[proxy].pending -= 1;
        Some(first)
    }

    /// The connection of a call broke: those that wait for it get a new one. Where none can be opened all of them fail at once, as Envoy purges
    /// what is pending when a connection fails.
    pub(super) fn connect_anew(&mut self, call: &Call, proxy: usize, link: usize) {
        if self.links[link].waiting.head == NONE {
            return;
        }
        let part = &self.edges[call.edge as usize];
        let instance = (self.services[part.callee].first + call.host) as usize;
        let there = &self.instances[instance];
        if matches!(there.state, InstanceState::Ready | InstanceState::Draining)
            && !self.is_cut(self.proxies[proxy].locality, there.locality)
        {
            self.open_connection(call.edge, proxy, link);
            let at = self.now + self.edges[call.edge as usize].connect_ns;
            return self.agenda.put(at, Kind::Spare, link as u32, call.edge, 0);
        }
        // Those that come while these are told stand behind them.
        for _ in 0..self.links[link].waiting.length {
            let Some(first) = self.first_in_line(proxy, link) else {
                return;
            };
            self.failed(first, Outcome::Connection);
        }
    }
}
