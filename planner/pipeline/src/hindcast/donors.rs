//! Whom a region that has launched would have been planned from, the day before.

use std::collections::BTreeMap;

use foremesh_model::{History, RegionName, RegionRequest, Timestamp};
use serde::Serialize;

use super::{HindcastError, HindcastRequest};

/// Days before `as_of` that tell how much traffic a region has.
const LEVEL_DAYS: i64 = 28;
/// Hours that a donor must have been measured.
const FEWEST_HOURS: i64 = 24;
/// The least uncertainty of a share that nobody gave: what is assumed where nothing shows it.
const LEAST_UNCERTAINTY: f64 = 0.3;
/// The most that a plan takes.
const MOST_UNCERTAINTY: f64 = 2.0;

/// Where the donors' shares come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DonorsFrom {
    /// The command line.
    Options,
    /// The request, which plans this region.
    Request,
    /// Nobody said how large the region would be: it is planned as a middling one of those that there were.
    AllRegions,
}

/// Donors with their shares.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Donors {
    pub shares: BTreeMap<RegionName, f64>,
    pub uncertainty: Option<f64>,
    pub from: DonorsFrom,
}

/// The donors of a region. `known` is the history as of the day before the launch, without the region itself.
pub(super) fn donors(
    known: &History,
    as_of: Timestamp,
    asked: &RegionRequest,
    request: &HindcastRequest,
) -> Result<Donors, HindcastError> {
    let region = &request.region;
    let own = |shares: &BTreeMap<RegionName, f64>| -> BTreeMap<RegionName, f64> {
        let others = shares.iter().filter(|(donor, _)| *donor != region);
        others
            .map(|(donor, share)| (donor.clone(), *share))
            .collect()
    };
    let given = if !request.donors.is_empty() {
        Some((own(&request.donors), DonorsFrom::Options))
    } else if asked.region == *region && !own(&asked.donors).is_empty() {
        Some((own(&asked.donors), DonorsFrom::Request))
    } else {
        None
    };
    let donors = match given {
        Some((shares, from)) => Donors {
            shares,
            uncertainty: asked.share_uncertainty,
            from,
        },
        None => middling(known, as_of, asked.share_uncertainty),
    };
    let hours = |donor: &RegionName| {
        let series = known.series.iter();
        series
            .filter(|(key, _)| key.region == *donor)
            .map(|(_, series)| {
                let steps = (series.values.len() - series.gaps()) as i64;
                steps * i64::from(series.step_s) / 3600
            })
            .max()
            .unwrap_or(0)
    };
    if donors
        .shares
        .keys()
        .any(|donor| hours(donor) >= FEWEST_HOURS)
    {
        return Ok(donors);
    }
    let listed: Vec<String> = donors
        .shares
        .keys()
        .map(|donor| format!("{donor} has {} hours of history by then", hours(donor)))
        .collect();
    Err(HindcastError::TooLittleDonorData {
        region: region.clone(),
        as_of,
        known: if listed.is_empty() {
            "no other region has any history by then".into()
        } else {
            listed.join(", ")
        },
    })
}

/// All regions, each with the share that makes it as large as their geometric mean; how far they lie apart says how far off that may be.
fn middling(known: &History, as_of: Timestamp, asked: Option<f64>) -> Donors {
    let levels: BTreeMap<RegionName, f64> = known
        .regions()
        .into_iter()
        .filter_map(|region| Some((region.clone(), level(known, region, as_of)?)))
        .collect();
    let logs: Vec<f64> = levels.values().map(|level| level.ln()).collect();
    let count = logs.len() as f64;
    let mean = logs.iter().sum::<f64>() / count.max(1.0);
    let squares: f64 = logs.iter().map(|log| (log - mean).powi(2)).sum();
    let spread = (squares / (count - 1.0).max(1.0)).sqrt();
    Donors {
        shares: levels
            .into_iter()
            .map(|(region, level)| {
                // Four digits: a share of sixteen says more than is known.
                let share = mean.exp() / level;
                (region, (share * 1e4).round().max(1.0) / 1e4)
            })
            .collect(),
        uncertainty: Some(
            asked.unwrap_or_else(|| spread.clamp(LEAST_UNCERTAINTY, MOST_UNCERTAINTY)),
        ),
        from: DonorsFrom::AllRegions,
    }
}

/// Mean requests a second of a region's services over the weeks before an instant.
fn level(known: &History, region: &RegionName, as_of: Timestamp) -> Option<f64> {
    let since = as_of.as_second() - LEVEL_DAYS * 86_400;
    let mut sum = 0.0;
    for service in known.services(region) {
        let series = known.requests(region, service)?;
        let recent = (0..series.values.len())
            .filter(|i| series.at(*i).as_second() >= since)
            .map(|i| series.values[i])
            .filter(|value| value.is_finite());
        let (total, count) = recent.fold((0.0, 0u32), |(t, c), value| (t + value, c + 1));
        sum += total / f64::from(count.max(1));
    }
    Some(sum).filter(|level| *level > 0.0)
}
