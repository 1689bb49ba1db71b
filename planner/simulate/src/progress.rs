//! How far a long simulation is: counted by the threads that simulate, read by whoever watches.

use std::sync::atomic::{AtomicU64, Ordering};

/// Pieces of work that are expected and done. It changes nothing in what is simulated.
#[derive(Debug, Default)]
pub struct Progress {
    expected: AtomicU64,
    done: AtomicU64,
}

impl Progress {
    /// More pieces will be done.
    pub fn expect(&self, pieces: u64) {
        self.expected.fetch_add(pieces, Ordering::Relaxed);
    }

    /// Another piece is done.
    pub fn tick(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// Pieces that are done, of how many; 0 of 0 before anything is expected.
    #[must_use]
    pub fn pieces(&self) -> (u64, u64) {
        let done = self.done.load(Ordering::Relaxed);
        (done, self.expected.load(Ordering::Relaxed))
    }
}
