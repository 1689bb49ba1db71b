//! The calls that a request makes: stage after stage, in each side by side or one after the other.

use foremesh_model::random::{mix, uniform};

use super::{Engine, parts::NONE, purpose};
use crate::Outcome;

impl Engine<'_> {
    /// Makes the calls of a stage, or of the next that has any; after the last the request is answered.
    pub(super) fn enter_stage(&mut self, id: u32, from: u32) {
        let mesh = self.mesh;
        let service = self.works.places[id as usize].service as usize;
        let stages = &mesh.services[service].stages;
        let mut stage = from as usize;
        while let Some(calls) = stages.get(stage) {
            self.works.places[id as usize].stage = stage as u32;
            if calls.parallel {
                // All are counted before the first is made, which may be answered at once.
                let stream = self.works.places[id as usize].stream;
                let total = self.calls_of_stage(stream, &calls.edges);
                if total > 0 {
                    let generation = self.works.places[id as usize].generation;
                    self.works.places[id as usize].outstanding = total;
                    for edge in &calls.edges {
                        for nth in 0..self.calls_of(stream, *edge) {
                            self.make_call(id, *edge as u32, nth);
                            if self.works.places[id as usize].generation != generation {
                                return;
                            }
                        }
                    }
                    return;
                }
            } else {
                let stream = self.works.places[id as usize].stream;
                let total = self.calls_of_stage(stream, &calls.edges);
                if total > 0 {
                    let work = &mut self.works.places[id as usize];
                    work.to_make = total;
                    work.outstanding = 1;
                    self.next_in_turn(id);
                    return;
                }
            }
            stage += 1;
        }
        let outcome = if self.works.places[id as usize].failed {
            Outcome::Error
        } else {
            Outcome::Ok
        };
        self.answer(id, outcome);
    }

    /// Makes the next call of a stage in which each waits for the one before.
    fn next_in_turn(&mut self, id: u32) {
        let mesh = self.mesh;
        let work = &mut self.works.places[id as usize];
        let calls = &mesh.services[work.service as usize].stages[work.stage as usize];
        let (stream, left) = (work.stream, work.to_make);
        work.to_make -= 1;
        let total = self.calls_of_stage(stream, &calls.edges);
        let mut nth = total - left;
        for edge in &calls.edges {
            let count = self.calls_of(stream, *edge);
            if nth < count {
                return self.make_call(id, *edge as u32, nth);
            }
            nth -= count;
        }
    }

    /// How many calls a request makes in a stage.
    fn calls_of_stage(&self, stream: u64, edges: &[usize]) -> u32 {
        edges.iter().map(|edge| self.calls_of(stream, *edge)).sum()
    }

    /// How many calls a request makes on an edge.
    fn calls_of(&self, stream: u64, edge: usize) -> u32 {
        let part = &self.edges[edge];
        let more = part.part_call > 0.0
            && uniform(mix(mix(stream, purpose::CALLS), edge as u64)) < part.part_call;
        part.whole_calls + u32::from(more)
    }

    fn make_call(&mut self, id: u32, edge: u32, nth: u32) {
        let work = &self.works.places[id as usize];
        let stream = mix(
            mix(work.stream, purpose::CHILD),
            u64::from(edge) << 32 | u64::from(nth),
        );
        let proxy = work.instance - self.services[work.service as usize].first;
        let priority = work.priority;
        self.start_call(edge, proxy, id, NONE, priority, stream);
    }

    /// A call that a request made is over.
    pub(super) fn answered(&mut self, id: u32, outcome: Outcome) {
        let work = &mut self.works.places[id as usize];
        work.failed |= outcome != Outcome::Ok;
        if work.to_make > 0 && !work.failed && !work.dropped {
            return self.next_in_turn(id);
        }
        work.to_make = 0;
        work.outstanding -= 1;
        if work.outstanding > 0 {
            return;
        }
        let (failed, stage, dropped) = (work.failed, work.stage, work.dropped);
        if dropped {
            self.leave_instance(id);
            self.free_work(id);
        } else if failed {
            self.answer(id, Outcome::Error);
        } else {
            self.enter_stage(id, stage + 1);
        }
    }
}
