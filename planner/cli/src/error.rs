//! Why a command ended without a result.

use foremesh_pipeline::PipelineError;
use foremesh_trainer::TrainError;

/// Why a command ended without a result.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// A stage refused, or something outside failed.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// A training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Standard output takes no more, for another reason than a reader that left.
    #[error("standard output: {0}")]
    Output(std::io::Error),
}

impl CliError {
    /// Whether it is the world's fault and not the input's.
    pub fn is_outside(&self) -> bool {
        match self {
            Self::Pipeline(error) => error.is_outside(),
            Self::Train(error) => matches!(error, TrainError::Write { .. }),
            Self::Output(_) => true,
        }
    }
}
