//! What a region was really asked for: its launch, and its recorded rates as arrivals.

use std::collections::BTreeMap;

use foremesh_model::{
    Demand, EntryDemand, History, MOST_REQUESTS_PER_SECOND, QUANTILE_LEVELS, RegionName, Series,
    ServiceName, Timestamp, Warning,
};
use foremesh_simulate::{Arrivals, EntryLoad};

use super::HindcastError;

/// Seconds of the steps between which rates are interpolated.
pub(super) const STEP_S: f64 = 60.0;
/// Most hours of a plan.
const MOST_HOURS: u32 = 336;
const HOUR_S: i64 = 3600;

/// When a region launched, and how long its history goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Launch {
    /// The launch, as given or found.
    pub at: Timestamp,
    /// The hour in which it lies: the first of the plan.
    pub starts: Timestamp,
    /// Hours to replay.
    pub hours: u32,
}

/// The series of requests of a region.
fn requests<'a>(
    history: &'a History,
    region: &'a RegionName,
) -> impl Iterator<Item = (&'a ServiceName, &'a Series)> {
    let services = history.services(region).into_iter();
    services.filter_map(|service| Some((service, history.requests(region, service)?)))
}

/// Finds the launch: where it is said, else the first step with any request.
pub(super) fn launch(
    history: &History,
    region: &RegionName,
    launched: Option<Timestamp>,
    hours: Option<u32>,
) -> Result<Launch, HindcastError> {
    if !history.regions().contains(region) {
        let known = history.regions();
        return Err(HindcastError::UnknownRegion {
            region: region.clone(),
            known: known.iter().map(ToString::to_string).collect(),
        });
    }
    let first_request = |series: &Series| {
        let at = series.values.iter().position(|value| *value > 0.0)?;
        Some(series.at(at))
    };
    let begins = requests(history, region).map(|(_, series)| series.start);
    let ends = requests(history, region).map(|(_, series)| series.end());
    let found = requests(history, region)
        .filter_map(|(_, series)| first_request(series))
        .min();
    let (Some(found), Some(first), Some(last)) = (found, begins.min(), ends.max()) else {
        return Err(HindcastError::NoTraffic {
            region: region.clone(),
        });
    };
    let at = launched.unwrap_or(found);
    if at < first || at >= last {
        return Err(HindcastError::LaunchOutside {
            region: region.clone(),
            launched: at,
            first,
            last,
        });
    }
    let starts_s = at.as_second().div_euclid(HOUR_S) * HOUR_S;
    let starts = Timestamp::from_second(starts_s).unwrap_or(at);
    let there = (last.as_second() - starts_s).div_euclid(HOUR_S);
    let there = u32::try_from(there).unwrap_or(0).min(MOST_HOURS);
    if there == 0 || last.as_second() - at.as_second() < HOUR_S {
        return Err(HindcastError::TooShort {
            region: region.clone(),
            launched: at,
            end: last,
        });
    }
    match hours {
        Some(asked) if asked == 0 || asked > there => Err(HindcastError::Hours {
            region: region.clone(),
            launched: at,
            asked,
            there,
        }),
        asked => Ok(Launch {
            at,
            starts,
            hours: asked.unwrap_or(24.min(there)),
        }),
    }
}

/// What came, entry by entry.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Replay {
    /// Requests a second in each step of [`STEP_S`].
    pub entries: BTreeMap<ServiceName, RealEntry>,
    /// Hours.
    pub hours: u32,
    /// Seconds of the history's own steps, the coarsest.
    pub recorded_step_s: u32,
    /// Recorded steps within the time that were gaps.
    pub gaps: usize,
}

/// What came to one entry.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RealEntry {
    /// Requests a second in each step of [`STEP_S`].
    pub rates_rps: Vec<f64>,
    /// Variance ÷ mean of the requests of a second.
    pub dispersion: f64,
}

impl RealEntry {
    /// The rates of an hour.
    fn hour(&self, hour: u32) -> &[f64] {
        let steps = (HOUR_S as f64 / STEP_S) as usize;
        let from = hour as usize * steps;
        self.rates_rps.get(from..from + steps).unwrap_or_default()
    }

    /// The mean over an hour.
    pub fn mean_rps(&self, hour: u32) -> f64 {
        let rates = self.hour(hour);
        rates.iter().sum::<f64>() / rates.len().max(1) as f64
    }

    /// The highest of an hour.
    fn highest_rps(&self, hour: u32) -> f64 {
        self.hour(hour).iter().copied().fold(0.0, f64::max)
    }
}

/// The recorded demand of a region's entries. A value stands at the middle of its step; between two the rate is a straight line. Within a second
/// arrivals bunch as the plan measured of its donors, and are Poisson where no history is finer than an hour.
pub(super) fn replay(
    history: &History,
    region: &RegionName,
    launch: &Launch,
    planned: &Demand,
    warnings: &[Warning],
) -> Result<Replay, HindcastError> {
    let assumed = |entry: &ServiceName| {
        let mut about = warnings.iter().filter(|w| w.code == "peak_assumed");
        about.any(|w| w.subject.contains(entry.as_str()))
    };
    let mut found = Replay {
        entries: BTreeMap::new(),
        hours: launch.hours,
        recorded_step_s: 0,
        gaps: 0,
    };
    for (entry, demand) in &planned.entries {
        let series = requests(history, region)
            .find(|(name, _)| *name == entry)
            .or_else(|| requests(history, region).find(|(name, _)| name.short() == entry.short()));
        let Some((_, series)) = series else {
            continue;
        };
        let (rates_rps, gaps) = interpolated(series, launch);
        found.recorded_step_s = found.recorded_step_s.max(series.step_s);
        found.gaps += gaps;
        found.entries.insert(
            entry.clone(),
            RealEntry {
                rates_rps,
                dispersion: if assumed(entry) {
                    1.0
                } else {
                    demand.dispersion.max(1.0)
                },
            },
        );
    }
    let any = |entry: &RealEntry| entry.rates_rps.iter().any(|rate| *rate > 0.0);
    if found.entries.values().any(any) {
        return Ok(found);
    }
    Err(HindcastError::NoCommonEntry {
        region: region.clone(),
        measured: requests(history, region)
            .map(|(service, _)| service.to_string())
            .collect(),
        planned: planned.entries.keys().map(ToString::to_string).collect(),
    })
}

/// The rates of each step of the replay, and how many recorded steps within it are gaps.
fn interpolated(series: &Series, launch: &Launch) -> (Vec<f64>, usize) {
    let own_step_s = f64::from(series.step_s.max(1));
    // Seconds from the start of the replay to the middle of the series' first step.
    let first_s = (series.start.as_second() - launch.starts.as_second()) as f64 + own_step_s / 2.0;
    let horizon_s = f64::from(launch.hours) * HOUR_S as f64;
    let launched_s = (launch.at.as_second() - launch.starts.as_second()) as f64;
    let known: Vec<(f64, f64)> = series
        .values
        .iter()
        .enumerate()
        .filter(|(_, value)| value.is_finite())
        .map(|(i, value)| {
            let at_s = first_s + i as f64 * own_step_s;
            (at_s, value.clamp(0.0, MOST_REQUESTS_PER_SECOND))
        })
        .collect();
    let within = |i: usize| {
        let at_s = first_s + i as f64 * own_step_s;
        (0.0..horizon_s).contains(&at_s)
    };
    let gaps = (0..series.values.len()).filter(|i| within(*i) && series.values[*i].is_nan());
    let rate_at = |at_s: f64| {
        let above = known.partition_point(|(known_s, _)| *known_s < at_s);
        match (
            above.checked_sub(1).and_then(|i| known.get(i)),
            known.get(above),
        ) {
            (Some((from_s, from)), Some((to_s, to))) => {
                from + (to - from) * (at_s - from_s) / (to_s - from_s)
            }
            (Some((_, only)), None) | (None, Some((_, only))) => *only,
            (None, None) => 0.0,
        }
    };
    let steps = (horizon_s / STEP_S) as usize;
    let rates = (0..steps)
        .map(|step| (step as f64 + 0.5) * STEP_S)
        // Nothing comes before the launch.
        .map(|at_s| {
            if at_s < launched_s {
                0.0
            } else {
                rate_at(at_s)
            }
        });
    (rates.collect(), gaps.count())
}

impl Replay {
    /// As loads of a simulation.
    pub fn loads(&self) -> Vec<EntryLoad> {
        self.entries
            .iter()
            .map(|(entry, real)| EntryLoad {
                entry: entry.clone(),
                arrivals: Arrivals::Poisson {
                    step_s: STEP_S,
                    rates_rps: real.rates_rps.clone(),
                    dispersion: real.dispersion,
                },
            })
            .collect()
    }

    /// Requests a second of all entries in each step of [`STEP_S`].
    pub fn total_rps(&self) -> Vec<f64> {
        let steps = self.entries.values().map(|e| e.rates_rps.len()).max();
        (0..steps.unwrap_or(0))
            .map(|step| {
                let rates = self.entries.values().filter_map(|e| e.rates_rps.get(step));
                rates.sum()
            })
            .collect()
    }

    /// The same as a forecast that is certain: the highest rate of each hour at every quantile.
    pub fn certain(&self, planned: &Demand) -> Demand {
        let entries = self.entries.iter().map(|(entry, real)| {
            let quantiles_rps = (0..self.hours)
                .map(|hour| vec![real.highest_rps(hour); QUANTILE_LEVELS.len()])
                .collect();
            let certain = EntryDemand {
                quantiles_rps,
                peak_to_mean: 1.0,
                dispersion: real.dispersion,
                common_loading: 0.0,
            };
            (entry.clone(), certain)
        });
        Demand {
            entries: entries.collect(),
            method: "what came".into(),
            ..planned.clone()
        }
        .canonical()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn name(text: &str) -> RegionName {
        RegionName::new(text).unwrap()
    }

    fn history(start: i64, step_s: u32, values: Vec<f64>) -> History {
        let service = ServiceName::new("shop/web").unwrap();
        let key = foremesh_model::SeriesKey::requests(name("new"), service);
        let series = Series {
            start: at(start),
            step_s,
            values,
        };
        History {
            series: [(key, series)].into(),
        }
    }

    #[test]
    fn the_launch_is_the_first_step_with_a_request() {
        let mut values = vec![f64::NAN, 0.0, 0.0];
        values.extend([5.0; 12]);
        let history = history(0, 900, values);
        let found = launch(&history, &name("new"), None, None).unwrap();
        assert_eq!(
            found,
            Launch {
                at: at(2700),
                starts: at(0),
                hours: 3
            }
        );
        let later = launch(&history, &name("new"), Some(at(7200)), Some(1)).unwrap();
        assert_eq!((later.starts, later.hours), (at(7200), 1));
    }

    #[test]
    fn what_cannot_be_replayed_is_named() {
        let history = history(0, 900, vec![5.0; 8]);
        let region = name("new");
        let said = |launched, hours| {
            launch(&history, &region, launched, hours)
                .unwrap_err()
                .to_string()
        };
        assert!(said(Some(at(7200)), None).contains("lies outside the history of new"));
        assert!(said(Some(at(-1)), None).contains("begins at 1970-01-01T00:00:00Z"));
        assert!(said(Some(at(4500)), None).contains("less than an hour after its launch"));
        assert!(said(None, Some(9)).contains("--hours 9: the history of new holds 2 whole hours"));
        let other = launch(&history, &name("old"), None, None).unwrap_err();
        assert!(other.to_string().contains("no region old; it has new"));
    }

    #[test]
    fn rates_are_lines_between_the_middles_of_steps_and_gaps_are_bridged() {
        let history = history(0, 1800, vec![10.0, f64::NAN, 40.0, 40.0]);
        let region = name("new");
        let launch = launch(&history, &region, None, None).unwrap();
        let series = history.series.values().next().unwrap();
        let (rates, gaps) = interpolated(series, &launch);
        assert_eq!((rates.len(), gaps), (120, 1));
        // From 10 at the 15th minute to 40 at the 75th.
        assert_eq!(rates[0], 10.0);
        assert!((rates[45] - (10.0 + 30.0 * 30.5 / 60.0)).abs() < 1e-9);
        assert_eq!(rates[119], 40.0);
    }
}
