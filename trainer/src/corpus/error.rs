//! Why the real series could not be read.

use thiserror::Error;

/// Why the real series could not be read.
#[derive(Debug, Error)]
pub enum CorpusError {
    /// A file or folder could not be read.
    #[error(
        "cannot read {path}: {cause}; the folder of real series must hold nab, msft-cloud-monitoring, servegen-m-small and nasa-http"
    )]
    Read {
        /// The path.
        path: String,
        /// What the system says.
        cause: String,
    },
    /// A folder holds no file of the kind that is looked for.
    #[error("{path} holds no file named {pattern}; fetch the data set again")]
    NothingThere {
        /// The folder.
        path: String,
        /// What was looked for.
        pattern: &'static str,
    },
    /// A file has no value at all.
    #[error("{path} holds no value; fetch the data set again")]
    Empty {
        /// The file.
        path: String,
    },
    /// A line that is not what the data set's format says.
    #[error("{path}, line {line}: {cause}")]
    Line {
        /// The file.
        path: String,
        /// Counted from 1.
        line: u64,
        /// What is wrong.
        cause: String,
    },
    /// The list of series that the benchmark tests is broken.
    #[error("the benchmark's list planner/forecast/bench/series.tsv, line {line}: {cause}")]
    BenchList {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        cause: String,
    },
}
