//! Reading the formats of the data sets: NAB's and Microsoft's CSV, ServeGen's rows, NASA's seconds in an archive.
//!
//! planner/observe reads histories with a region and a service in each row, which none of these has.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read},
    path::{Path, PathBuf},
};

use jiff::{Timestamp, civil::DateTime};

use super::{
    CorpusError,
    steps::{Gather, Steps},
};

/// July's log of NASA ends after so many seconds, and August's follows without a mark.
const NASA_JULY_SECONDS: usize = 2_381_546;
/// 1995-07-01 and 1995-08-01, 00:00 at UTC−4.
const NASA_JULY: i64 = 804_571_200;
const NASA_AUGUST: i64 = 807_249_600;
/// The server was down: what was asked of it is not known.
const NASA_DOWN: std::ops::Range<i64> =
    NASA_AUGUST + 14 * 3600 + 52 * 60..NASA_AUGUST + 2 * 86_400 + 4 * 3600 + 36 * 60;

fn read_error(path: &Path, cause: impl ToString) -> CorpusError {
    CorpusError::Read {
        path: path.display().to_string(),
        cause: cause.to_string(),
    }
}

fn line_error(path: &Path, line: u64, cause: impl Into<String>) -> CorpusError {
    CorpusError::Line {
        path: path.display().to_string(),
        line,
        cause: cause.into(),
    }
}

fn some(path: &Path, gather: Gather) -> Result<Steps, CorpusError> {
    gather.finish().ok_or_else(|| CorpusError::Empty {
        path: path.display().to_string(),
    })
}

/// The files of a folder whose name begins and ends so, in order of name.
pub(super) fn listed(folder: &Path, pattern: &'static str) -> Result<Vec<PathBuf>, CorpusError> {
    let (prefix, suffix) = pattern.split_once('*').unwrap_or((pattern, ""));
    let mut found = Vec::new();
    for entry in folder.read_dir().map_err(|e| read_error(folder, e))? {
        let path = entry.map_err(|e| read_error(folder, e))?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("");
        if name.starts_with(prefix) && name.ends_with(suffix) {
            found.push(path);
        }
    }
    found.sort();
    if found.is_empty() {
        return Err(CorpusError::NothingThere {
            path: folder.display().to_string(),
            pattern,
        });
    }
    Ok(found)
}

fn open(path: &Path) -> Result<Box<dyn Read>, CorpusError> {
    let file = BufReader::new(File::open(path).map_err(|e| read_error(path, e))?);
    Ok(if path.extension().is_some_and(|e| e == "gz") {
        Box::new(flate2::read::MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    })
}

/// A CSV with a header, a time and a value in each row (NAB, Microsoft). `per_value_s` divides the values: 1, or the seconds that
/// one value counts requests over.
pub(super) fn timed_csv(
    path: &Path,
    point_s: u32,
    per_value_s: f64,
    step_s: u32,
) -> Result<Steps, CorpusError> {
    let mut gather = Gather::new(step_s, point_s);
    rows(path, true, |line, row| {
        let second = seconds(row.get(0).unwrap_or(""))
            .ok_or_else(|| line_error(path, line, "its first cell is no time"))?;
        let text = row.get(1).unwrap_or("");
        if text.is_empty() {
            return Ok(());
        }
        let value = rate(path, line, text)? / per_value_s;
        gather
            .add(second, value)
            .map_err(|cause| line_error(path, line, cause))
    })?;
    some(path, gather)
}

/// ServeGen: rows without a header, seconds since some Monday or other day, and requests a second.
pub(super) fn servegen(path: &Path, step_s: u32) -> Result<Steps, CorpusError> {
    let mut gather = Gather::new(step_s, 600);
    rows(path, false, |line, row| {
        let text = row.get(0).unwrap_or("");
        let second: i64 = text
            .parse()
            .map_err(|_| line_error(path, line, "its first cell is no number of seconds"))?;
        let value = rate(path, line, row.get(1).unwrap_or(""))?;
        gather
            .add(second, value)
            .map_err(|cause| line_error(path, line, cause))
    })?;
    some(path, gather)
}

/// NASA: an archive with one file, requests of each second with spaces between.
pub(super) fn nasa(path: &Path, step_s: u32) -> Result<Steps, CorpusError> {
    let file = File::open(path).map_err(|e| read_error(path, e))?;
    let mut archive = tar::Archive::new(bzip2::read::MultiBzDecoder::new(BufReader::new(file)));
    let mut entries = archive.entries().map_err(|e| read_error(path, e))?;
    let entry = entries
        .find(|entry| {
            entry
                .as_ref()
                .map_or(true, |entry| entry.header().entry_type().is_file())
        })
        .ok_or_else(|| read_error(path, "the archive holds no file"))?
        .map_err(|e| read_error(path, e))?;
    let mut gather = Gather::new(step_s, 1);
    let mut number = 0;
    for chunk in BufReader::with_capacity(1 << 16, entry).split(b' ') {
        let chunk = chunk.map_err(|e| read_error(path, e))?;
        for text in chunk
            .split(u8::is_ascii_whitespace)
            .filter(|text| !text.is_empty())
        {
            let value = std::str::from_utf8(text)
                .ok()
                .and_then(|text| text.parse::<f64>().ok())
                .filter(|value| value.is_finite() && *value >= 0.0)
                .ok_or_else(|| {
                    read_error(
                        path,
                        format!("value {} is no count of requests", number + 1),
                    )
                })?;
            let second = if number < NASA_JULY_SECONDS {
                NASA_JULY + number as i64
            } else {
                NASA_AUGUST + (number - NASA_JULY_SECONDS) as i64
            };
            number += 1;
            if !NASA_DOWN.contains(&second) {
                gather
                    .add(second, value)
                    .map_err(|cause| read_error(path, cause))?;
            }
        }
    }
    if number <= NASA_JULY_SECONDS {
        return Err(read_error(
            path,
            format!("it holds {number} seconds where July alone has {NASA_JULY_SECONDS}"),
        ));
    }
    some(path, gather)
}

fn rows(
    path: &Path,
    has_headers: bool,
    mut each: impl FnMut(u64, &csv::StringRecord) -> Result<(), CorpusError>,
) -> Result<(), CorpusError> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(has_headers)
        .from_reader(open(path)?);
    let mut row = csv::StringRecord::new();
    loop {
        match reader.read_record(&mut row) {
            Ok(true) => each(row.position().map_or(0, csv::Position::line), &row)?,
            Ok(false) => return Ok(()),
            Err(e) => {
                let line = e
                    .position()
                    .map_or(reader.position().line(), csv::Position::line);
                return Err(line_error(path, line, e.to_string()));
            }
        }
    }
}

/// `2015-02-26 21:42:53` (taken as UTC) or `2018-04-25T00:00:00Z`.
fn seconds(text: &str) -> Option<i64> {
    if text.ends_with('Z') {
        return text.parse::<Timestamp>().ok().map(Timestamp::as_second);
    }
    let at: DateTime = text.parse().ok()?;
    let zoned = at.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_second())
}

fn rate(path: &Path, line: u64, text: &str) -> Result<f64, CorpusError> {
    text.parse::<f64>()
        .ok()
        .filter(|value| value.is_finite() && *value >= 0.0)
        .ok_or_else(|| line_error(path, line, format!("\"{text}\" is no number of at least 0")))
}
