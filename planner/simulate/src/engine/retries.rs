//! What follows an attempt that failed: another one, within budgets and after a wait, or the end of the call.

use foremesh_model::random::{mix, uniform};

use super::{
    Engine,
    agenda::Kind,
    parts::{CallState, NONE},
    purpose,
};
use crate::{Outcome, RetryModel};

impl Engine<'_> {
    /// An attempt has failed: another one, or the end.
    pub(super) fn failed(&mut self, id: u32, outcome: Outcome) {
        self.trace_attempt_over(id, outcome);
        let call = self.calls.places[id as usize];
        let retries = self.mesh.edges[call.edge as usize].retries;
        let proxy = self.proxy_index(call.edge, call.proxy);
        if call.counted_retry {
            self.proxies[proxy].retries -= 1;
            self.calls.places[id as usize].counted_retry = false;
        }
        // Envoy never tries again what a proxy refused because it was full, and 429 only when asked to.
        let wanted = match outcome {
            Outcome::Error | Outcome::AttemptTimeout => retries.on_5xx,
            Outcome::Connection => retries.on_connect_failure || retries.on_5xx,
            _ => false,
        };
        if !wanted || call.attempt >= retries.attempts || !self.may_retry(call.edge, proxy) {
            return self.end_call(id, outcome);
        }
        self.proxies[proxy].retries += 1;
        let call = &mut self.calls.places[id as usize];
        call.counted_retry = true;
        call.attempt += 1;
        call.state = CallState::BackingOff;
        let most = RetryModel::most_wait(call.attempt) * retries.base_backoff_ms;
        let drawn = uniform(mix(
            mix(call.stream, purpose::BACKOFF),
            u64::from(call.attempt),
        ));
        let at = self.now + (drawn * most * 1e6) as u64;
        self.agenda.put(at, Kind::Retry, id, call.generation, 0);
    }

    /// Whether the proxy may have one more retry in flight.
    fn may_retry(&self, edge: u32, proxy: usize) -> bool {
        let model = &self.mesh.edges[edge as usize];
        let proxy = &self.proxies[proxy];
        match model.retries.budget_percent {
            Some(percent) => {
                let open = f64::from(proxy.in_flight + proxy.pending);
                let most =
                    ((open * percent / 100.0) as u32).max(model.retries.budget_min_concurrent);
                proxy.retries < most
            }
            None => proxy.retries < model.limits.max_concurrent_retries,
        }
    }

    pub(super) fn retry(&mut self, id: u32, generation: u32) {
        let call = &self.calls.places[id as usize];
        if call.generation == generation && call.state == CallState::BackingOff {
            self.attempt(id);
        }
    }

    /// The call is over: its place is free, whoever made it goes on.
    pub(super) fn end_call(&mut self, id: u32, outcome: Outcome) {
        self.trace_call_over(id, outcome);
        let call = self.calls.places[id as usize];
        if call.counted_retry {
            let proxy = self.proxy_index(call.edge, call.proxy);
            self.proxies[proxy].retries -= 1;
        }
        let place = &mut self.calls.places[id as usize];
        place.state = CallState::Free;
        place.generation = (place.generation + 1) & 0xfffff;
        self.calls.release(id);
        let took = self.now - call.started;
        if self.measured() {
            let edge = &mut self.run.edges[call.edge as usize];
            edge.latency.record(took);
            edge.outcomes[outcome as usize] += 1;
        }
        if call.parent == NONE && outcome == Outcome::Ok && !self.controls.is_empty() {
            let slow = took as f64 > self.mesh.entries[call.entry as usize].slo.latency_ms * 1e6;
            for control in &mut self.controls {
                let tally = &mut control.entries[call.entry as usize];
                tally.latency.record(took);
                tally.good += u64::from(!slow);
            }
        }
        if call.parent != NONE {
            self.answered(call.parent, outcome);
        } else if call.started >= self.measure_from {
            let slo = &self.mesh.entries[call.entry as usize].slo;
            let came = call.started - self.measure_from;
            self.run.entries[call.entry as usize].record(came, took, outcome, slo);
        }
    }
}
