//! History from Parquet, through the column readers of the parquet crate and without Arrow, a batch of rows at a time.

use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
};

use bytes::Bytes;
use foremesh_model::{History, Timestamp, parse_timestamp};
use parquet::{
    basic::{ConvertedType, LogicalType, TimeUnit, TimestampType},
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::{ByteArray, DataType},
    errors::ParquetError,
    file::reader::{ChunkReader, FileReader, SerializedFileReader},
    schema::types::ColumnDescriptor,
};

use super::{
    Content,
    columns::Columns,
    gather::{Gather, Unit},
};
use crate::{ObserveError, Observed};

/// Rows that are decoded at once.
const BATCH_ROWS: usize = 8192;

/// Reads a history from the bytes of a Parquet file; `file` is what diagnostics call it.
///
/// # Errors
/// See [`super::read_history`].
pub fn parse_parquet(
    bytes: Vec<u8>,
    file: &str,
    as_of: Option<Timestamp>,
) -> Result<Observed<History>, ObserveError> {
    parse(bytes, file, Content::History(as_of))
}

pub(super) fn parse(
    bytes: Vec<u8>,
    file: &str,
    content: Content,
) -> Result<Observed<History>, ObserveError> {
    guarded(Bytes::from(bytes), file, content)
}

pub(super) fn read(
    source: File,
    file: &str,
    content: Content,
) -> Result<Observed<History>, ObserveError> {
    guarded(source, file, content)
}

/// The parquet crate answers most damage with an error, but states in its documentation that some invalid files make it
/// panic: that must not end the process of a provider.
fn guarded(
    source: impl ChunkReader + 'static,
    file: &str,
    content: Content,
) -> Result<Observed<History>, ObserveError> {
    catch_unwind(AssertUnwindSafe(|| read_rows(source, file, content)))
        .unwrap_or_else(|_| Err(damaged(file, "its pages contradict its footer")))
}

fn damaged(file: &str, cause: impl ToString) -> ObserveError {
    ObserveError::Parquet {
        file: file.into(),
        cause: format!(
            "the Parquet file cannot be read ({}); write it again, uncompressed or with snappy or zstd",
            cause.to_string().trim_start_matches("Parquet error: ")
        ),
    }
}

fn read_rows(
    source: impl ChunkReader + 'static,
    file: &str,
    content: Content,
) -> Result<Observed<History>, ObserveError> {
    let reader = SerializedFileReader::new(source).map_err(|e| damaged(file, e))?;
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    let names: Vec<String> = schema.columns().iter().map(|c| c.path().string()).collect();
    let columns = Columns::of(file, &names, content)?;
    let time_unit = Instants::of(file, &schema.column(columns.timestamp))?;
    for position in [columns.region, columns.service] {
        let column = schema.column(position);
        if !matches!(column.physical_type(), parquet::basic::Type::BYTE_ARRAY) {
            return Err(wrong_type(file, &column, "strings (UTF8)"));
        }
    }
    for position in &columns.metric_positions {
        number_type(file, &schema.column(*position))?;
    }
    let mut gather = Gather::new(file, Unit::Row, content, &columns.metrics);
    let mut row = 0u64;
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).map_err(|e| damaged(file, e))?;
        let open = |position: usize| {
            let column = schema.column(position);
            if column.max_rep_level() > 0 {
                return Err(wrong_type(
                    file,
                    &column,
                    "one value for each row, not a list",
                ));
            }
            let reader = group
                .get_column_reader(position)
                .map_err(|e| damaged(file, e))?;
            Ok(Column {
                reader,
                definition: column.max_def_level(),
            })
        };
        let mut times = open(columns.timestamp)?;
        let (mut regions, mut services) = (open(columns.region)?, open(columns.service)?);
        let mut metrics = columns
            .metric_positions
            .iter()
            .map(|position| open(*position))
            .collect::<Result<Vec<_>, _>>()?;
        let mut values = vec![f64::NAN; metrics.len()];
        loop {
            let failed = |e: ParquetError| damaged(file, e);
            let at = times.instants(time_unit).map_err(failed)?;
            if at.is_empty() {
                break;
            }
            let names = (
                regions.texts().map_err(failed)?,
                services.texts().map_err(failed)?,
            );
            let numbers = metrics
                .iter_mut()
                .map(Column::numbers)
                .collect::<Result<Vec<_>, _>>()
                .map_err(failed)?;
            for (position, at) in at.iter().enumerate() {
                row += 1;
                let refuse = |column: &str, cause: String| ObserveError::Cell {
                    file: file.into(),
                    place: format!("row {row}"),
                    column: column.into(),
                    cause,
                };
                let at_us = match at {
                    Instant::Known(at_us) => *at_us,
                    Instant::Missing => {
                        return Err(refuse(
                            "timestamp",
                            "the cell is empty: give every row its time".into(),
                        ));
                    }
                    Instant::Refused(cause) => return Err(refuse("timestamp", cause.clone())),
                };
                if gather.too_late(at_us) {
                    continue;
                }
                let text = |texts: &[Option<ByteArray>]| {
                    texts
                        .get(position)
                        .cloned()
                        .flatten()
                        .map(|t| t.data().trim_ascii().to_vec())
                };
                let region = text(&names.0).unwrap_or_default();
                let service = text(&names.1).unwrap_or_default();
                let entity = gather
                    .entity(&region, &service)
                    .map_err(|bad| refuse(bad.column, bad.cause.to_string()))?;
                for (value, column) in values.iter_mut().zip(&numbers) {
                    *value = column.get(position).copied().unwrap_or(f64::NAN);
                }
                gather.push(entity, at_us, row, &values);
            }
        }
    }
    gather.finish()
}

fn wrong_type(file: &str, column: &ColumnDescriptor, wanted: &str) -> ObserveError {
    ObserveError::Parquet {
        file: file.into(),
        cause: format!(
            "column {}: {} is stored, {wanted} is needed; convert the column when writing the file",
            column.path().string(),
            match column.logical_type_ref() {
                Some(logical) => format!("{} ({logical:?})", column.physical_type()),
                None => column.physical_type().to_string(),
            }
        ),
    }
}

fn number_type(file: &str, column: &ColumnDescriptor) -> Result<(), ObserveError> {
    use parquet::basic::Type;
    let plain = match column.logical_type_ref() {
        None => column.converted_type() != ConvertedType::DECIMAL,
        Some(LogicalType::Integer(_)) => true,
        Some(_) => false,
    };
    let number = matches!(
        column.physical_type(),
        Type::INT32 | Type::INT64 | Type::FLOAT | Type::DOUBLE
    );
    if plain && number {
        Ok(())
    } else {
        Err(wrong_type(file, column, "a number (DOUBLE, FLOAT or INT)"))
    }
}

/// How the column of timestamps counts.
#[derive(Debug, Clone, Copy)]
enum Instants {
    /// Ticks since 1970, this many in a second.
    Ticks(i64),
    /// Seconds since 1970, or milliseconds where the number has more than eleven digits.
    Epoch,
    /// Legacy twelve-byte instants.
    Int96,
    /// Text.
    Text,
}

impl Instants {
    fn of(file: &str, column: &ColumnDescriptor) -> Result<Self, ObserveError> {
        use parquet::basic::Type;
        match (column.physical_type(), column.logical_type_ref()) {
            (Type::INT64, Some(LogicalType::Timestamp(TimestampType { unit, .. }))) => {
                Ok(Self::Ticks(match unit {
                    TimeUnit::MILLIS => 1_000,
                    TimeUnit::MICROS => 1_000_000,
                    TimeUnit::NANOS => 1_000_000_000,
                }))
            }
            (Type::INT64, None | Some(LogicalType::Integer(_))) => {
                Ok(match column.converted_type() {
                    ConvertedType::TIMESTAMP_MILLIS => Self::Ticks(1_000),
                    ConvertedType::TIMESTAMP_MICROS => Self::Ticks(1_000_000),
                    _ => Self::Epoch,
                })
            }
            (Type::INT96, _) => Ok(Self::Int96),
            (Type::BYTE_ARRAY, _) => Ok(Self::Text),
            _ => Err(wrong_type(
                file,
                column,
                "TIMESTAMP, INT64 (seconds or milliseconds since 1970) or a string",
            )),
        }
    }
}

/// One cell of the column of timestamps.
enum Instant {
    Known(i64),
    Missing,
    Refused(String),
}

/// A column of one row group.
struct Column {
    reader: ColumnReader,
    definition: i16,
}

impl Column {
    /// The next rows as instants in microseconds; empty at the end.
    fn instants(&mut self, unit: Instants) -> Result<Vec<Instant>, ParquetError> {
        let known = |value: Option<i64>| value.map_or(Instant::Missing, Instant::Known);
        match (&mut self.reader, unit) {
            (ColumnReader::Int64ColumnReader(reader), unit) => {
                let cells = next_rows(reader, self.definition)?;
                Ok(cells
                    .into_iter()
                    .map(|cell| {
                        known(cell.map(|ticks| match unit {
                            Instants::Ticks(per_second) if per_second > 1_000_000 => {
                                ticks.div_euclid(1_000)
                            }
                            Instants::Ticks(per_second) => {
                                ticks.saturating_mul(1_000_000 / per_second)
                            }
                            _ if ticks.abs() >= 100_000_000_000 => ticks.saturating_mul(1_000),
                            _ => ticks.saturating_mul(1_000_000),
                        }))
                    })
                    .collect())
            }
            (ColumnReader::Int96ColumnReader(reader), _) => {
                let cells = next_rows(reader, self.definition)?;
                Ok(cells
                    .into_iter()
                    .map(|cell| known(cell.map(|at| at.to_micros())))
                    .collect())
            }
            (ColumnReader::ByteArrayColumnReader(reader), _) => {
                let cells = next_rows(reader, self.definition)?;
                let mut last: Option<(ByteArray, i64)> = None;
                Ok(cells
                    .into_iter()
                    .map(|cell| {
                        let Some(text) = cell else {
                            return Instant::Missing;
                        };
                        if let Some((same, at_us)) = &last
                            && *same == text
                        {
                            return Instant::Known(*at_us);
                        }
                        match parse_timestamp(&String::from_utf8_lossy(text.data())) {
                            Ok(at) => {
                                last = Some((text, at.as_microsecond()));
                                Instant::Known(at.as_microsecond())
                            }
                            Err(error) => Instant::Refused(error.to_string()),
                        }
                    })
                    .collect())
            }
            _ => Err(ParquetError::General(
                "the timestamps change their type".into(),
            )),
        }
    }

    fn texts(&mut self) -> Result<Vec<Option<ByteArray>>, ParquetError> {
        match &mut self.reader {
            ColumnReader::ByteArrayColumnReader(reader) => next_rows(reader, self.definition),
            _ => Err(ParquetError::General("a name is no text".into())),
        }
    }

    fn numbers(&mut self) -> Result<Vec<f64>, ParquetError> {
        let flat =
            |cells: Vec<Option<f64>>| cells.into_iter().map(|c| c.unwrap_or(f64::NAN)).collect();
        let definition = self.definition;
        Ok(match &mut self.reader {
            ColumnReader::DoubleColumnReader(reader) => flat(next_rows(reader, definition)?),
            ColumnReader::FloatColumnReader(reader) => flat(
                next_rows(reader, definition)?
                    .into_iter()
                    .map(|c| c.map(f64::from))
                    .collect(),
            ),
            ColumnReader::Int32ColumnReader(reader) => flat(
                next_rows(reader, definition)?
                    .into_iter()
                    .map(|c| c.map(f64::from))
                    .collect(),
            ),
            ColumnReader::Int64ColumnReader(reader) => flat(
                next_rows(reader, definition)?
                    .into_iter()
                    .map(|c| c.map(|v| v as f64))
                    .collect(),
            ),
            _ => return Err(ParquetError::General("a metric is no number".into())),
        })
    }
}

/// The next cells of a flat column, None where a cell is null.
fn next_rows<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    definition: i16,
) -> Result<Vec<Option<T::T>>, ParquetError> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    let mut rows = 0;
    // One call stops at the end of a page; columns have pages of different lengths, but a batch must have one.
    while rows < BATCH_ROWS {
        let (read, ..) =
            reader.read_records(BATCH_ROWS - rows, Some(&mut levels), None, &mut values)?;
        if read == 0 {
            break;
        }
        rows += read;
    }
    if definition == 0 {
        return Ok(values.into_iter().map(Some).collect());
    }
    let mut values = values.into_iter();
    Ok(levels
        .into_iter()
        .map(|level| {
            if level == definition {
                values.next()
            } else {
                None
            }
        })
        .collect())
}
