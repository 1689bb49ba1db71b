//! What happens next: a heap of events, and for waits of one length (timeouts) a queue each, of which only the head is in the heap.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BinaryHeap, VecDeque},
};

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The next request of an entry comes.
    Root,
    /// A request reaches the instance that was chosen for it.
    Arrive,
    /// A worker has done a request's own work.
    Done,
    /// The answer of an attempt reaches the caller.
    Reply,
    /// The connection for a waiting request is open.
    Connected,
    /// A connection that was opened ahead is open.
    Spare,
    /// The wait before a further attempt is over.
    Retry,
    /// The head of a lane of timeouts is due.
    Lane,
    /// The number of instances of a service changes.
    Instances,
    /// An instance that was ordered is ready.
    Ready,
    /// An instance that is down is no endpoint any more.
    Unlist,
    /// A fault begins or ends.
    Fault,
    /// A controller looks.
    Control,
}

/// Something that happens at a time; equal times in the order in which they were scheduled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    pub at: u64,
    order: u64,
    pub kind: Kind,
    pub outcome: u8,
    pub id: u32,
    pub generation: u32,
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Event {}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Event {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at).then(self.order.cmp(&other.order))
    }
}

/// All that is to come.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    heap: BinaryHeap<Reverse<Event>>,
    order: u64,
}

impl Agenda {
    #[inline]
    pub(super) fn put(&mut self, at: u64, kind: Kind, id: u32, generation: u32, outcome: u8) {
        self.order += 1;
        self.heap.push(Reverse(Event {
            at,
            order: self.order,
            kind,
            outcome,
            id,
            generation,
        }));
    }

    /// Takes what is next, if it is before then.
    #[inline]
    pub(super) fn next_before(&mut self, at: u64) -> Option<Event> {
        if self.heap.peek()?.0.at >= at {
            return None;
        }
        self.heap.pop().map(|Reverse(event)| event)
    }
}

/// Timeouts of one length, in the order in which they were set, which is the order in which they are due.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub length: Option<u64>,
    waiting: VecDeque<Timeout>,
    pub armed: bool,
}

/// A timeout of an attempt of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timeout {
    pub at: u64,
    pub call: u32,
    pub generation: u32,
    pub attempt: u32,
}

impl Lane {
    pub(super) fn of(length: Option<u64>) -> Self {
        Self {
            length,
            ..Self::default()
        }
    }

    #[inline]
    pub(super) fn push(&mut self, timeout: Timeout) {
        self.waiting.push_back(timeout);
    }

    #[inline]
    pub(super) fn head(&self) -> Option<&Timeout> {
        self.waiting.front()
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<Timeout> {
        self.waiting.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_by_order() {
        let mut agenda = Agenda::default();
        for (at, id) in [(5, 0), (3, 1), (5, 2), (1, 3)] {
            agenda.put(at, Kind::Root, id, 0, 0);
        }
        let ids: Vec<u32> = std::iter::from_fn(|| agenda.next_before(u64::MAX))
            .map(|e| e.id)
            .collect();
        assert_eq!(ids, [3, 1, 0, 2]);
    }
}
