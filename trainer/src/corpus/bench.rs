//! Which series the benchmark of the forecasts tests, and from which hour on: training must not look past it.

use std::collections::BTreeMap;

use super::CorpusError;

/// The benchmark's own list: compiled in, so that it and the training cannot disagree.
const LIST: &str = include_str!("../../../planner/forecast/bench/series.tsv");

/// Hours since 1970 of the first origin of each series that is tested.
pub(super) fn first_origins() -> Result<BTreeMap<&'static str, i64>, CorpusError> {
    let mut origins = BTreeMap::new();
    for (place, line) in LIST.lines().enumerate().skip(1) {
        if line.starts_with('#') {
            continue;
        }
        let broken = |cause: &str| CorpusError::BenchList {
            line: place + 1,
            cause: cause.to_owned(),
        };
        let mut cells = line.split('\t');
        let (Some(name), Some(_), Some(list)) = (cells.next(), cells.next(), cells.next()) else {
            return Err(broken("it needs the columns series, hours and origins"));
        };
        let mut first = None;
        for hour in list.split(',').filter(|hour| !hour.is_empty()) {
            let hour: i64 = hour
                .parse()
                .map_err(|_| broken("an origin is no whole number of hours"))?;
            first = Some(first.map_or(hour, |least: i64| least.min(hour)));
        }
        if let Some(first) = first {
            origins.insert(name, first);
        }
    }
    Ok(origins)
}
