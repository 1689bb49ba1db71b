//! The series, the windows and the peers' answers, from their files.

use std::{collections::BTreeMap, error::Error, fs};

use foremesh_forecast::Step;
use foremesh_model::QUANTILE_LEVELS;

use crate::score::Quantiles;

/// Series and origin, steps since 1970.
pub type Windows = Vec<(String, i64)>;

/// A series by step; NaN is a gap.
pub struct Data {
    /// Steps since 1970 of the first value.
    pub first: i64,
    /// Requests a second.
    pub values: Vec<f64>,
}

impl Data {
    /// What was known at an origin.
    pub fn until(&self, origin: i64) -> &[f64] {
        let end = usize::try_from(origin - self.first)
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
            let (first, last) = (*hours.keys().next()?, *hours.keys().next_back()?);
            let values = (first..=last)
                .map(|hour| hours.get(&hour).copied().unwrap_or(f64::NAN))
                .collect();
            Some((name, Data { first, values }))
        })
        .collect())
}

/// Reads the list of windows: every `every`th origin, of every second series where `half` says which. The list has hours; a day's origin is
/// the day in which they lie.
pub fn read_windows(
    path: &str,
    step: Step,
    every: usize,
    half: Option<usize>,
    origins: usize,
) -> Result<Windows, Box<dyn Error>> {
    let mut windows = Vec::new();
    let text = fs::read_to_string(path)?;
    let rows = text.lines().skip(1).filter(|line| !line.starts_with('#'));
    for (index, line) in rows.enumerate() {
        let mut cells = line.split('\t');
        let (Some(name), Some(listed)) = (cells.next(), cells.nth(1)) else {
            return Err(format!("{path}: {line:?} has fewer than three cells").into());
        };
        if half.is_some_and(|half| index % 2 != half) {
            continue;
        }
        for origin in listed.split(',').step_by(every) {
            let second = origin.parse::<i64>()? * 3600;
            let origin = second.div_euclid(step.seconds());
            windows
                .extend((0..origins as i64).map(|more| (name.to_owned(), origin + more * APART)));
        }
    }
    Ok(windows)
}

/// Steps between further origins: five hours and five minutes, or two days and a half.
const APART: i64 = 61;

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
