//! History from files: one table of `timestamp,region,service` and metric columns, as CSV or Parquet.
//!
//! `as_of` is applied while reading. A row at or after it is passed over as soon as its timestamp is known: its other cells
//! are not looked at, so neither their values nor their mistakes can change a value, an inferred step or a warning. Only a row
//! whose timestamp itself cannot be read is refused wherever it stands, because nobody can say when it was.

mod columns;
mod csv;
mod gather;
mod parquet;

use std::{
    io::{BufRead, Read},
    path::Path,
};

use foremesh_model::{History, Timestamp};

use crate::{ObserveError, Observed, files};

pub(crate) use self::gather::gaps;
pub use self::{csv::parse_csv, parquet::parse_parquet};

/// Reads a history from a CSV (`.csv`, `.csv.gz`) or Parquet file, whichever its first bytes say, as it was known at
/// `as_of`: rows at or after it are passed over, and so are steps that had not ended by then.
///
/// # Errors
/// [`ObserveError`] naming file, line (row) and column of what cannot be used, and how to mend it.
pub fn read_history(
    path: &Path,
    as_of: Option<Timestamp>,
) -> Result<Observed<History>, ObserveError> {
    read_table(path, Content::History(as_of))
}

/// Reads business metrics from a file of the same form: every row counts, whenever it is, as later ones say what is planned. Requests a second
/// are left out, and so the file may be a history with more columns.
///
/// # Errors
/// As [`read_history`].
pub fn read_business_metrics(path: &Path) -> Result<Observed<History>, ObserveError> {
    read_table(path, Content::BusinessMetrics)
}

/// What a table holds.
#[derive(Debug, Clone, Copy)]
enum Content {
    /// What was measured before an instant: requests a second, and perhaps more.
    History(Option<Timestamp>),
    /// What is known and planned: metrics other than requests a second.
    BusinessMetrics,
}

impl Content {
    fn as_of(self) -> Option<Timestamp> {
        match self {
            Self::History(as_of) => as_of,
            Self::BusinessMetrics => None,
        }
    }
}

fn read_table(path: &Path, content: Content) -> Result<Observed<History>, ObserveError> {
    let name = path.display().to_string();
    let mut reader = files::open(path)?;
    let head = reader.fill_buf().map_err(|e| files::refused(path, e))?;
    if head.starts_with(b"PAR1") {
        drop(reader);
        let mut start = [0; 2];
        let mut file = std::fs::File::open(path).map_err(|e| files::refused(path, e))?;
        let gzip = file.read_exact(&mut start).is_ok() && start == [0x1f, 0x8b];
        return if gzip {
            // Parquet is read from its end, so it is unpacked first.
            parquet::parse(files::read(path)?, &name, content)
        } else {
            parquet::read(file, &name, content)
        };
    }
    if head.contains(&0) {
        return Err(ObserveError::HistoryKind {
            file: name,
            cause: "it holds zero bytes, as no text does".into(),
        });
    }
    csv::read(reader, &name, content)
}
