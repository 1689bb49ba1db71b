//! The series, the windows and the peers' answers, from their files.

use std::{collections::BTreeMap, error::Error, fs};

use foremesh_model::QUANTILE_LEVELS;

use crate::score::Quantiles;

/// Series and origin, hours since 1970.
pub type Windows = Vec<(String, i64)>;

/// A series by hour; NaN is a gap.
pub struct Data {
    /// Hours since 1970 of the first value.
    pub first_hour: i64,
    /// Requests a second.
    pub values: Vec<f64>,
}

impl Data {
    /// What was known at an origin.
    pub fn until(&self, origin: i64) -> &[f64] {
        let end = usize::try_from(origin - self.first_hour)
            .unwrap_or(0)
            .min(self.values.len());
        &self.values[..end]
    }
}

/// Reads what prepare.py wrote.
pub fn read_series(path: &str) -> Result<BTreeMap<String, Data>, Box<dyn Error>> {
    let mut points: BTreeMap<String, BTreeMap<i64, f64>> = BTreeMap::new();
    for line in fs::read_to_string(path)?.lines().skip(1) {
        let mut cells = line.split(',');
        let (Some(name), Some(hour), Some(value)) = (cells.next(), cells.next(), cells.next())
        else {
            return Err(format!("{path}: {line:?} has fewer than three cells").into());
        };
        points
            .entry(name.to_owned())
            .or_default()
            .insert(hour.parse()?, value.parse()?);
    }
    Ok(points
        .into_iter()
        .filter_map(|(name, hours)| {
            let (first_hour, last) = (*hours.keys().next()?, *hours.keys().next_back()?);
            let values = (first_hour..=last)
                .map(|hour| hours.get(&hour).copied().unwrap_or(f64::NAN))
                .collect();
            Some((name, Data { first_hour, values }))
        })
        .collect())
}

/// Reads the list of windows: every `every`th origin, of every second series where `half` says which.
pub fn read_windows(
    path: &str,
    every: usize,
    half: Option<usize>,
) -> Result<Windows, Box<dyn Error>> {
    let mut windows = Vec::new();
    let text = fs::read_to_string(path)?;
    let rows = text.lines().skip(1).filter(|line| !line.starts_with('#'));
    for (index, line) in rows.enumerate() {
        let mut cells = line.split('\t');
        let (Some(name), Some(origins)) = (cells.next(), cells.nth(1)) else {
            return Err(format!("{path}: {line:?} has fewer than three cells").into());
        };
        if half.is_some_and(|half| index % 2 != half) {
            continue;
        }
        for origin in origins.split(',').step_by(every) {
            windows.push((name.to_owned(), origin.parse()?));
        }
    }
    Ok(windows)
}

/// By method, then by window: quantiles and milliseconds.
pub type Peers = BTreeMap<String, BTreeMap<(String, i64), (Quantiles, f64)>>;

/// Reads what peers.py wrote: lines of method, series, origin, ms, then 14 quantiles for each hour ahead.
pub fn read_peers(path: &str) -> Result<Peers, Box<dyn Error>> {
    let mut peers = Peers::new();
    for line in fs::read_to_string(path)?.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let [method, series, origin, ms, ref values @ ..] = cells[..] else {
            return Err(format!("{path}: a line has fewer than four cells").into());
        };
        let values = values
            .iter()
            .map(|v| v.parse())
            .collect::<Result<Vec<f64>, _>>()?;
        let quantiles = values
            .chunks_exact(QUANTILE_LEVELS.len())
            .map(<[f64]>::to_vec)
            .collect();
        peers.entry(method.to_owned()).or_default().insert(
            (series.to_owned(), origin.parse()?),
            (quantiles, ms.parse()?),
        );
    }
    Ok(peers)
}
