//! Telemetry of a shop that does not exist: generated, seeded, the same bytes for the same seed. The examples and the demo read it;
//! no figure of accuracy is taken from it.

pub mod demand;
mod history;
mod manifests;
pub mod many;
mod random;
pub mod shop;
mod traces;

use std::{
    fs,
    io::BufWriter,
    path::{Path, PathBuf},
};

use thiserror::Error;

/// Why nothing, or not everything, was generated.
#[derive(Debug, Error)]
pub enum GenerateError {
    /// A file could not be written.
    #[error("{path}: {cause}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// A row could not be written.
    #[error("the history could not be written: {0}")]
    Rows(#[from] csv::Error),
    /// The history could not be written to its end.
    #[error("the history could not be written: {0}")]
    Flush(#[from] std::io::Error),
    /// A time outside the calendar, or a time zone that is not in the database.
    #[error("time: {0}")]
    Time(#[from] jiff::Error),
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), GenerateError> {
    let refuse = |cause| GenerateError::File {
        path: path.into(),
        cause,
    };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(refuse)?;
    }
    fs::write(path, bytes).map_err(refuse)
}

fn create(path: &Path) -> Result<BufWriter<fs::File>, GenerateError> {
    put(path, b"")?;
    let file = fs::File::create(path).map_err(|cause| GenerateError::File {
        path: path.into(),
        cause,
    })?;
    Ok(BufWriter::new(file))
}

/// Writes the whole telemetry of the shop into a folder.
///
/// # Errors
/// [`GenerateError`] when a file cannot be written.
pub fn generate(seed: u64, out: &Path) -> Result<(), GenerateError> {
    history::write(seed, create(&out.join("history.csv"))?)?;
    for region in &shop::REGIONS {
        let path = out.join("traces").join(format!("{}.json", region.name));
        put(
            &path,
            format!("{:#}\n", traces::traces(seed, region)?).as_bytes(),
        )?;
    }
    for service in &shop::SERVICES {
        let path = out.join("manifests").join(format!("{}.yaml", service.name));
        put(&path, manifests::service(service).as_bytes())?;
    }
    let path = out
        .join("manifests")
        .join(format!("{}.yaml", shop::STORE.name));
    put(&path, manifests::store().as_bytes())?;
    put(
        &out.join("manifests/limits.yaml"),
        manifests::limits().as_bytes(),
    )?;
    put(
        &out.join("catalogue.yaml"),
        manifests::catalogue().as_bytes(),
    )
}

/// Writes the requests a second of a generated `history.csv` as OpenMetrics text (a gauge `shop_requests_per_second`), for
/// `promtool tsdb create-blocks-from openmetrics`.
///
/// # Errors
/// [`GenerateError`] when the history cannot be read or the samples cannot be written.
pub fn openmetrics(history: &Path, samples: &Path) -> Result<(), GenerateError> {
    history::to_openmetrics(csv::Reader::from_path(history)?, create(samples)?)
}

/// Writes `history.csv` and `graph.json` of the speed benchmark into a folder.
///
/// # Errors
/// [`GenerateError`] when a file cannot be written.
pub fn generate_many(
    seed: u64,
    entries: usize,
    days: u32,
    out: &Path,
) -> Result<(), GenerateError> {
    many::write_history(seed, entries, days, create(&out.join("history.csv"))?)?;
    put(
        &out.join("graph.json"),
        format!("{:#}\n", many::graph(entries)).as_bytes(),
    )
}
