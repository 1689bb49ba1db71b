//! What every training here shares: the optimiser, averaged weights, checkpoints that resume, learning curves, files.

mod average;
mod checkpoint;
mod curve;
mod files;
pub(crate) mod onnx;
mod optimiser;

pub(crate) use average::Average;
pub(crate) use checkpoint::{Checkpoint, load, save};
pub use curve::{Line, draw};
pub(crate) use files::{facts, made, sha256, some_of, write, write_model};
pub(crate) use optimiser::{Schedule, adam_w};
