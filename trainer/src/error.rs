//! What can go wrong in training.

use std::path::PathBuf;

use foremesh_onnx::ModelError;

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
    /// No GPU to train on.
    #[error("no GPU to train on: {0}")]
    Gpu(String),
    /// The model to begin with cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The model to begin with is not a net that this program trains.
    #[error(
        "{origin}: is no net that this program can train further: {cause}; give a model that `foremesh train forecaster` of this version wrote"
    )]
    OtherNet {
        /// The file.
        origin: String,
        /// What is missing.
        cause: String,
    },
    /// A history without anything to learn from.
    #[error(
        "the history holds no series of requests_per_second that can be learned from{}: give a history with a column requests_per_second in steps of at most {step_s} s",
        told(.left_out)
    )]
    NoSeries {
        /// Longest step of a series.
        step_s: u32,
        /// Series that were left out, and why.
        left_out: Vec<String>,
    },
    /// A history that is too short to learn from and to test on.
    #[error(
        "the history spans {days:.1} days, and fine-tuning needs at least {least_days:.0}: {test_days:.0} to test on, and twice as many to learn from"
    )]
    HistoryTooShort {
        /// What it spans.
        days: f64,
        /// What it must span.
        least_days: f64,
        /// What of that is tested on.
        test_days: f64,
    },
    /// Nothing of the history can be tested on.
    #[error(
        "no series can be tested on: the last {days:.0} days of the history are held back for that, and no series has requests in half of these hours{}",
        told(.left_out)
    )]
    NothingToTest {
        /// What is tested on.
        days: f64,
        /// Series that were left out, and why.
        left_out: Vec<String>,
    },
    /// A region to learn on cannot be drawn.
    #[error("a region to learn on cannot be drawn: {0}")]
    Scenario(String),
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
    /// Drawn regions in which plans do not differ.
    #[error(
        "of {drawn} regions drawn {what} none has anything to learn: some plan must keep what is asked, and plans must differ in cost; draw more"
    )]
    NothingToLearn {
        /// Regions that were drawn.
        drawn: usize,
        /// What for.
        what: &'static str,
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

/// At most four of what was left out.
fn told(left_out: &[String]) -> String {
    let more = left_out.len().saturating_sub(4);
    let first: Vec<&str> = left_out.iter().take(4).map(String::as_str).collect();
    match (first.is_empty(), more) {
        (true, _) => String::new(),
        (false, 0) => format!(" ({})", first.join("; ")),
        (false, more) => format!(" ({}; and {more} more)", first.join("; ")),
    }
}
