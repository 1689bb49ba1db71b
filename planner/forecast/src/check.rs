//! Refuses requests that cannot be forecast, each with its own error.

use std::collections::BTreeMap;

use foremesh_model::{
    Event, History, METRIC_REQUESTS_PER_SECOND, RegionName, RegionRequest, ServiceName, Timestamp,
};
use jiff::tz::TimeZone;

use crate::{ForecastError, MOST_HORIZON_HOURS, MOST_LEAD_DAYS, region::ForecastInput};

/// The time zones of a request.
#[derive(Debug, Clone)]
pub(crate) struct Zones {
    pub here: TimeZone,
    donors: BTreeMap<RegionName, TimeZone>,
}

impl Zones {
    /// The time zone of the region itself or of a donor, which has this region's unless another is given.
    pub fn of(&self, region: &RegionName) -> &TimeZone {
        self.donors.get(region).unwrap_or(&self.here)
    }
}

/// Names separated by commas, the first twenty of them.
pub(crate) fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const MOST: usize = 20;
    let names: Vec<&str> = names.collect();
    match names.len() {
        0 => "none".into(),
        n if n <= MOST => names.join(", "),
        n => format!("{} and {} more", names[..MOST].join(", "), n - MOST),
    }
}

/// The regions and services that have requests a second before `as_of`.
pub(crate) fn known(
    history: &History,
    as_of: Timestamp,
) -> BTreeMap<&RegionName, Vec<&ServiceName>> {
    let mut known: BTreeMap<&RegionName, Vec<&ServiceName>> = BTreeMap::new();
    for (key, series) in &history.series {
        if key.metric == METRIC_REQUESTS_PER_SECOND
            && series.start < as_of
            && !series.values.is_empty()
        {
            known.entry(&key.region).or_default().push(&key.service);
        }
    }
    known
}

/// Checks everything that can be checked before anything is computed.
pub(crate) fn check(input: &ForecastInput<'_>) -> Result<Zones, ForecastError> {
    let request = input.request;
    check_times(request)?;
    let zones = zones(request)?;
    check_events(&request.events)?;
    if let Some(spread) = request
        .share_uncertainty
        .filter(|s| !(0.0..=2.0).contains(s))
    {
        return Err(ForecastError::ShareUncertainty(spread.to_string()));
    }
    for (donor, share) in &request.donors {
        if !(share.is_finite() && *share > 0.0) {
            return Err(ForecastError::DonorShare {
                donor: donor.clone(),
                share: share.to_string(),
            });
        }
    }
    let known = known(input.history, request.as_of);
    if known.is_empty() {
        return Err(ForecastError::EmptyHistory {
            as_of: request.as_of,
        });
    }
    let regions = list(known.keys().map(|region| region.as_str()));
    if let Some(donor) = request
        .donors
        .keys()
        .find(|donor| !known.contains_key(donor))
    {
        return Err(ForecastError::UnknownDonor {
            donor: donor.clone(),
            known: regions,
        });
    }
    if request.donors.is_empty() && !known.contains_key(&request.region) {
        let example = known
            .keys()
            .next()
            .map_or(String::new(), |region| region.to_string());
        return Err(ForecastError::UnknownRegion {
            region: request.region.clone(),
            example,
            known: regions,
        });
    }
    if input.entries.is_empty() {
        return Err(ForecastError::NoEntries);
    }
    Ok(zones)
}

fn check_times(request: &RegionRequest) -> Result<(), ForecastError> {
    let (go_live, as_of) = (request.go_live, request.as_of);
    if go_live < as_of {
        return Err(ForecastError::GoLiveBeforeAsOf { go_live, as_of });
    }
    if go_live.as_second() - as_of.as_second() > MOST_LEAD_DAYS * 86_400 {
        return Err(ForecastError::GoLiveTooLate { go_live, as_of });
    }
    if !(1..=MOST_HORIZON_HOURS).contains(&request.horizon_hours) {
        return Err(ForecastError::Horizon(u64::from(request.horizon_hours)));
    }
    Ok(())
}

fn zones(request: &RegionRequest) -> Result<Zones, ForecastError> {
    let zone = |field: &dyn Fn() -> String, name: &str| {
        TimeZone::get(name).map_err(|_| ForecastError::TimeZone {
            field: field(),
            name: name.into(),
        })
    };
    let here = zone(&|| "timezone".into(), &request.timezone)?;
    let mut donors = BTreeMap::new();
    for (region, name) in &request.donor_timezones {
        donors.insert(
            region.clone(),
            zone(&|| format!("donor_timezones.\"{region}\""), name)?,
        );
    }
    donors.remove(&request.region);
    Ok(Zones { here, donors })
}

pub(crate) fn check_events(events: &[Event]) -> Result<(), ForecastError> {
    for (index, event) in events.iter().enumerate() {
        let name = event.name.clone();
        match (event.fault(), event.uplift) {
            (None, _) => {}
            (Some(("uplift", _)), Some(uplift)) => {
                return Err(ForecastError::EventUplift {
                    index,
                    name,
                    uplift: uplift.to_string(),
                });
            }
            (Some(_), _) => {
                return Err(ForecastError::EventTimes {
                    index,
                    name,
                    starts: event.starts,
                    ends: event.ends,
                });
            }
        }
    }
    Ok(())
}
