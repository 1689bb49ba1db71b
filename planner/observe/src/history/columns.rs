//! The header of a table: which column says what, and what a user with other columns probably meant.

use foremesh_model::{METRIC_REQUESTS_PER_SECOND, parse_timestamp};

use super::Content;
use crate::ObserveError;

/// The columns that say what a row is about.
const KEY_COLUMNS: [&str; 3] = ["timestamp", "region", "service"];

impl Content {
    /// The columns that a table needs, for people.
    fn columns(self) -> &'static str {
        match self {
            Self::History(_) => "timestamp, region, service and requests_per_second",
            Self::BusinessMetrics => "timestamp, region, service and one for each metric",
        }
    }
}

/// Where in a row everything stands.
pub(super) struct Columns {
    pub width: usize,
    pub timestamp: usize,
    pub region: usize,
    pub service: usize,
    pub metrics: Vec<String>,
    pub metric_positions: Vec<usize>,
}

impl Columns {
    /// Reads a header; names are compared without regard to case and outer white space.
    pub(super) fn of(
        file: &str,
        header: &[String],
        content: Content,
    ) -> Result<Self, ObserveError> {
        let names: Vec<String> = header
            .iter()
            .map(|name| name.trim().to_lowercase())
            .collect();
        for (position, name) in names.iter().enumerate() {
            if names[..position].contains(name) {
                return Err(ObserveError::DuplicateColumn {
                    file: file.into(),
                    column: if name.is_empty() {
                        "without a name".into()
                    } else {
                        name.clone()
                    },
                });
            }
        }
        let find = |column: &'static str| {
            names.iter().position(|name| name == column).ok_or_else(|| {
                ObserveError::MissingColumn {
                    file: file.into(),
                    column,
                    found: names.join(", "),
                    wanted: content.columns(),
                    hint: hint(&names),
                }
            })
        };
        let [timestamp, region, service] = [
            find(KEY_COLUMNS[0])?,
            find(KEY_COLUMNS[1])?,
            find(KEY_COLUMNS[2])?,
        ];
        let is_metric = |position: &usize| {
            let name = names[*position].as_str();
            let left_out = match content {
                Content::History(_) => "",
                Content::BusinessMetrics => METRIC_REQUESTS_PER_SECOND,
            };
            !KEY_COLUMNS.contains(&name) && !["", left_out].contains(&name)
        };
        let metric_positions: Vec<usize> = (0..names.len()).filter(is_metric).collect();
        match content {
            Content::History(_) => {
                find(METRIC_REQUESTS_PER_SECOND)?;
            }
            Content::BusinessMetrics if metric_positions.is_empty() => {
                find("of a metric, such as active_users,")?;
            }
            Content::BusinessMetrics => {}
        }
        Ok(Self {
            width: names.len(),
            timestamp,
            region,
            service,
            metrics: metric_positions.iter().map(|p| names[*p].clone()).collect(),
            metric_positions,
        })
    }
}

/// What a user with these columns probably meant.
fn hint(names: &[String]) -> String {
    if let [only] = names
        && let Some(separator) = [';', '\t', '|'].into_iter().find(|s| only.contains(*s))
    {
        return format!("; the cells seem to be separated by {separator:?}: use commas");
    }
    for (name, factor) in [("requests_per_minute", 60), ("requests_per_hour", 3600)] {
        if names.iter().any(|n| n == name) {
            return format!("; divide {name} by {factor}");
        }
    }
    if names
        .iter()
        .all(|name| name.parse::<f64>().is_ok() || parse_timestamp(name).is_ok() || name.is_empty())
    {
        return "; the first line seems to hold values: put a header before it".into();
    }
    String::new()
}
