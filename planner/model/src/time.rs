//! Instants, and the one way to read them from text.

use thiserror::Error;

/// An instant, in UTC; written as RFC 3339.
pub type Timestamp = jiff::Timestamp;

/// Why a timestamp was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TimeError {
    /// The text is no RFC 3339 instant.
    #[error("{text:?} is not a time: write it as 2026-12-01T06:00:00Z ({cause})")]
    NotAnInstant {
        /// The text as given.
        text: String,
        /// What the parser says.
        cause: String,
    },
}

/// Reads an instant: RFC 3339 (`2026-12-01T06:00:00Z`, any offset), `2026-12-01 06:00:00` (taken as UTC), or seconds
/// since 1970 (milliseconds when the number has more than 11 digits).
///
/// # Errors
/// [`TimeError::NotAnInstant`] when it is none of these.
pub fn parse_timestamp(text: &str) -> Result<Timestamp, TimeError> {
    let trimmed = text.trim();
    let refuse = |cause: String| TimeError::NotAnInstant {
        text: text.into(),
        cause,
    };
    if !trimmed.is_empty() && trimmed.chars().all(|c| c.is_ascii_digit() || c == '.') {
        let seconds: f64 = trimmed.parse().map_err(|e| refuse(format!("{e}")))?;
        let seconds = if seconds >= 1e11 {
            seconds / 1000.0
        } else {
            seconds
        };
        return Timestamp::from_microsecond((seconds * 1e6).round() as i64)
            .map_err(|e| refuse(e.to_string()));
    }
    trimmed.parse::<Timestamp>().or_else(|with_offset| {
        trimmed
            .parse::<jiff::civil::DateTime>()
            .and_then(|civil| civil.to_zoned(jiff::tz::TimeZone::UTC))
            .map(|zoned| zoned.timestamp())
            .map_err(|_| refuse(with_offset.to_string()))
    })
}
