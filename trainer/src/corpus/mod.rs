//! The real series that may train: NAB, Microsoft's cloud monitoring, ServeGen's clients and NASA's server.
//!
//! Read from a folder that is not part of the repository. Nothing else in that folder is looked at; in particular, series without
//! a licence for it never train. What the benchmark tests is kept out by time: see [`Real::trains_until`].

mod bench;
mod error;
mod files;
pub mod own;
mod read;
mod siblings;
mod steps;

use std::ops::Range;
use std::path::Path;

use crate::Track;

pub use error::CorpusError;

/// What a window is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// Weights are fitted to it.
    Train,
    /// When to stop, and what to choose, is read from it.
    Validation,
}

/// A real series.
#[derive(Debug, Clone)]
pub struct Real {
    /// All of it, also what must not train.
    pub track: Track,
    /// Steps of it that training may see, as input or as target; 0 where it must not train at all. Where the benchmark
    /// (planner/forecast/bench/series.tsv) tests the series, that ends before the first origin there; else after three
    /// quarters.
    pub trains_until: usize,
    /// Whether the benchmark tests it: what is chosen on its validation windows is chosen on the benchmark.
    pub in_benchmark: bool,
}

impl Real {
    /// The steps that may be targets.
    pub fn targets(&self, split: Split) -> Range<usize> {
        match split {
            Split::Train => 0..self.trains_until,
            Split::Validation => self.trains_until..self.track.steps(),
        }
    }

    /// The track as training may see it.
    #[must_use]
    pub fn training(&self) -> Track {
        self.track.until(self.trains_until)
    }
}

/// Reads the series of `folder` that are at least as fine as `step_s` (300 or 3600), in order of name.
///
/// # Errors
/// [`CorpusError`] naming the file and line of what is missing or broken.
pub fn read(folder: &Path, step_s: u32) -> Result<Vec<Real>, CorpusError> {
    read::all(folder, step_s)
}
