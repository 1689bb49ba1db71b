//! History from CSV. Rows are taken line by line, so that an unclosed quote damages its own line and not the rest of the
//! file (a quoted line break has no meaning in a history); a line without quotes is split here, any other by the csv crate.
//! Names are interned and no row allocates: a million rows must be read well within two seconds.

use std::{io::BufRead, ops::Range};

use foremesh_model::{History, Timestamp, parse_timestamp};

use super::{
    Content,
    columns::Columns,
    gather::{EntityIndex, Gather, Unit},
};
use crate::{ObserveError, Observed};

/// Reads a history from the bytes of a CSV file; `file` is what diagnostics call it.
///
/// # Errors
/// See [`super::read_history`].
pub fn parse_csv(
    bytes: &[u8],
    file: &str,
    as_of: Option<Timestamp>,
) -> Result<Observed<History>, ObserveError> {
    read(bytes, file, Content::History(as_of))
}

pub(super) fn read(
    mut reader: impl BufRead,
    file: &str,
    content: Content,
) -> Result<Observed<History>, ObserveError> {
    let mut line = Vec::new();
    let mut number = 0u64;
    let mut next = |line: &mut Vec<u8>, number: &mut u64| -> Result<bool, ObserveError> {
        loop {
            line.clear();
            let read = reader
                .read_until(b'\n', line)
                .map_err(|e| ObserveError::Read {
                    path: file.into(),
                    cause: e.to_string(),
                })?;
            if read == 0 {
                return Ok(false);
            }
            *number += 1;
            if *number == 1 && line.starts_with(b"\xef\xbb\xbf") {
                line.drain(..3);
            }
            while line
                .last()
                .is_some_and(|byte| matches!(byte, b'\n' | b'\r'))
            {
                line.pop();
            }
            if !line.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    };
    let mut cells = Cells::default();
    if !next(&mut line, &mut number)? {
        return Err(ObserveError::HistoryKind {
            file: file.into(),
            cause: "it is empty".into(),
        });
    }
    cells.split(&line);
    let columns = Columns::of(file, &cells.texts(&line), content)?;
    let mut gather = Gather::new(file, Unit::Line, content, &columns.metrics);
    let mut values = vec![f64::NAN; columns.metrics.len()];
    let mut last_time: (Vec<u8>, i64) = (Vec::new(), 0);
    let mut last_entity: Option<(Vec<u8>, Vec<u8>, EntityIndex)> = None;
    while next(&mut line, &mut number)? {
        let closed = cells.split(&line);
        let cell = |position: usize| cells.get(&line, position);
        let refuse = |column: &str, cause: String| ObserveError::Cell {
            file: file.into(),
            place: format!("line {number}"),
            column: column.into(),
            cause,
        };
        let text = cell(columns.timestamp);
        if text != last_time.0.as_slice() || text.is_empty() {
            let at = parse_timestamp(&String::from_utf8_lossy(text))
                .map_err(|e| refuse("timestamp", e.to_string()))?;
            last_time.0.clear();
            last_time.0.extend_from_slice(text);
            last_time.1 = at.as_microsecond();
        }
        let at_us = last_time.1;
        if gather.too_late(at_us) {
            continue;
        }
        if !closed {
            return Err(ObserveError::Quote {
                file: file.into(),
                line: number,
            });
        }
        if cells.len() != columns.width {
            return Err(ObserveError::Cells {
                file: file.into(),
                line: number,
                found: cells.len(),
                expected: columns.width,
            });
        }
        let (region, service) = (cell(columns.region), cell(columns.service));
        let entity = match &last_entity {
            Some((r, s, entity)) if r == region && s == service => *entity,
            _ => {
                let entity = gather
                    .entity(region, service)
                    .map_err(|bad| refuse(bad.column, bad.cause.to_string()))?;
                last_entity = Some((region.to_vec(), service.to_vec(), entity));
                entity
            }
        };
        for ((value, position), name) in values
            .iter_mut()
            .zip(&columns.metric_positions)
            .zip(&columns.metrics)
        {
            *value = number_of(cell(*position)).ok_or_else(|| {
                let text = String::from_utf8_lossy(cell(*position)).into_owned();
                let cure = if text.contains(',') {
                    "write a point, not a comma, before the decimals"
                } else {
                    "write a number such as 12.5, or leave the cell empty where the value is missing"
                };
                refuse(name, format!("{text:?} is not a number: {cure}"))
            })?;
        }
        gather.push(entity, at_us, number, &values);
    }
    gather.finish()
}

/// A number, NaN for the usual ways to write that there is none.
fn number_of(cell: &[u8]) -> Option<f64> {
    if cell.is_empty() {
        return Some(f64::NAN);
    }
    let text = std::str::from_utf8(cell).ok()?;
    match text.parse() {
        Ok(value) => Some(value),
        Err(_) => ["null", "na", "n/a", "none", "-"]
            .iter()
            .any(|missing| text.eq_ignore_ascii_case(missing))
            .then_some(f64::NAN),
    }
}

/// The cells of one line, as ranges of it, or as copies where the line has quotes.
#[derive(Default)]
struct Cells {
    ranges: Vec<Range<usize>>,
    quoted: Option<csv::ByteRecord>,
}

impl Cells {
    /// Splits a line; false where a quote is not closed.
    fn split(&mut self, line: &[u8]) -> bool {
        self.ranges.clear();
        self.quoted = None;
        if line.contains(&b'"') {
            let mut record = csv::ByteRecord::new();
            let read = csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .trim(csv::Trim::All)
                .from_reader(line)
                .read_byte_record(&mut record);
            self.quoted = Some(record);
            return read.is_ok() && line.iter().filter(|byte| **byte == b'"').count() % 2 == 0;
        }
        let mut start = 0;
        for (position, byte) in line.iter().enumerate() {
            if *byte == b',' {
                self.ranges.push(start..position);
                start = position + 1;
            }
        }
        self.ranges.push(start..line.len());
        true
    }

    fn len(&self) -> usize {
        self.quoted
            .as_ref()
            .map_or(self.ranges.len(), csv::ByteRecord::len)
    }

    /// A cell without outer white space; empty where there is none.
    fn get<'a>(&'a self, line: &'a [u8], position: usize) -> &'a [u8] {
        match &self.quoted {
            Some(record) => record.get(position).unwrap_or_default(),
            None => self
                .ranges
                .get(position)
                .and_then(|range| line.get(range.clone()))
                .unwrap_or_default(),
        }
        .trim_ascii()
    }

    fn texts(&self, line: &[u8]) -> Vec<String> {
        (0..self.len())
            .map(|position| String::from_utf8_lossy(self.get(line, position)).into_owned())
            .collect()
    }
}
