//! What can go wrong in training.

use std::path::PathBuf;

use crate::corpus::CorpusError;

/// What can go wrong in training.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The real series cannot be read.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// A checkpoint cannot be read or written, or is not this training's.
    #[error("checkpoint {path}: {cause}", path = path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong, and how to mend it.
        cause: String,
    },
    /// A net cannot be written as a model file.
    #[error("the net cannot be written as ONNX: {0}")]
    Export(String),
    /// A learning curve cannot be drawn.
    #[error("the learning curve cannot be drawn: {0}")]
    Curve(String),
    /// A file cannot be written.
    #[error("{path} cannot be written: {cause}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// No evaluation was reached.
    #[error("the time was up before the first evaluation: give --hours more")]
    NothingTrained,
    /// The loss is no number any more.
    #[error(
        "the loss is no number at step {step}: lower the learning rate, or look for broken series in --data"
    )]
    Diverged {
        /// The step.
        step: u64,
    },
}
