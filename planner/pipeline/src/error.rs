//! Everything that can stop a plan, with whose fault it is: the command line's exit code follows from it.

use std::path::PathBuf;

use foremesh_forecast::ForecastError;
use foremesh_model::{GraphError, PackedError};
use foremesh_observe::ObserveError;
use foremesh_onnx::InferenceError;
use foremesh_policy::PolicyError;
use foremesh_render::RenderError;
use foremesh_simulate::SimulateError;
use thiserror::Error;

use crate::{FolderError, HindcastError};

/// Everything that can stop a plan.
#[derive(Debug, Error)]
pub enum PipelineError {
    /// A source could not be read.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// The demand could not be forecast.
    #[error(transparent)]
    Forecast(#[from] ForecastError),
    /// The settings could not be computed.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The settings could not be rendered.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The plan could not be simulated.
    #[error(transparent)]
    Simulate(#[from] SimulateError),
    /// No runtime for learned models, or a model that is none.
    #[error(transparent)]
    Inference(#[from] InferenceError),
    /// A region cannot be planned after the fact.
    #[error(transparent)]
    Hindcast(#[from] HindcastError),
    /// The graph contradicts itself.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A demand or profile string is not one.
    #[error(transparent)]
    Packed(#[from] PackedError),
    /// Files could not be written.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A request file that cannot be read.
    #[error("{file}: {cause}")]
    RequestRead {
        /// The file.
        file: PathBuf,
        /// What the operating system says.
        cause: std::io::Error,
    },
    /// A request or plan file with something wrong in it.
    #[error("{file}: {cause}")]
    RequestParse {
        /// The file.
        file: PathBuf,
        /// The place in it, what is wrong there and how to mend it.
        cause: String,
    },
    /// A field of a request out of its range.
    #[error("{field}: {cause}")]
    RequestValue {
        /// The field, as the user wrote it.
        field: String,
        /// What it must be.
        cause: String,
    },
    /// Neither a history file nor a Prometheus server was named.
    #[error(
        "no telemetry is named: set `history` to a CSV or Parquet file, or `prometheus` to a server"
    )]
    NoHistory,
    /// Both a history file and a Prometheus server were named.
    #[error(
        "both `history` and `prometheus` are set: keep one, so that it is clear which demand is planned for"
    )]
    TwoHistories,
    /// No source names any service.
    #[error(
        "no service is known: point `graph` at manifests or traces, or `history` at a file with services"
    )]
    NoServices,
    /// Paths without any file that could be linted.
    #[error(
        "no .yaml, .yml or .json file is in {}: name the folder that was rendered",
        paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    NothingToLint {
        /// The paths as given.
        paths: Vec<PathBuf>,
    },
    /// A service that the plan does not hold.
    #[error("the plan holds no service {name:?}; it holds {}", known.join(", "))]
    UnknownService {
        /// The name as given.
        name: String,
        /// The names that the plan holds.
        known: Vec<String>,
    },
}

impl PipelineError {
    /// Whether something outside failed (a server, a disk) rather than the input being wrong.
    pub fn is_outside(&self) -> bool {
        match self {
            Self::Observe(error) => error.is_outside(),
            Self::Folder(_) => true,
            _ => false,
        }
    }
}
