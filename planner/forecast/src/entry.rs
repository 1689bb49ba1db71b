//! The demand of one service of a region before events: its own history, donors, or both in its first weeks.

use foremesh_model::{RegionName, ServiceName};

use crate::{
    blend::Blended,
    burst::{self, Burst},
    check::{self, Zones},
    cold_start::{self, LogShare, Mixer},
    error::ForecastError,
    events::{self, LogUplift},
    opening::{Opened, Opening},
    quantiles::{LEVEL_50, LEVEL_90, Levels, NORMAL_90},
    region::ForecastInput,
    source::{Source, find, wanted},
    steps::{hour_of, same_local_hour},
};

/// Hours of own history from which donors are not needed.
const ENOUGH_HOURS: usize = 21 * 24;
/// Hours of own history below which donors alone speak.
const FEWEST_HOURS: usize = 24;
/// The net's weight in a cold start: of the level of a region that nobody has seen, the mixture of donors knows as much.
const OPENING_WEIGHT: f64 = 0.25;

/// What one entry's demand is made of, before events.
pub(crate) struct Part {
    pub levels: Vec<Levels>,
    /// Index of the source that says most.
    pub main: usize,
    pub burst: Option<Burst>,
    /// Variance of the logarithm of demand that the share adds, and that the sources have.
    pub share_variance: f64,
    pub error_variance: f64,
    pub own_hours: usize,
    pub donors: usize,
}

/// What all entries of a region are forecast with.
pub(crate) struct Context<'a> {
    pub input: &'a ForecastInput<'a>,
    pub zones: &'a Zones,
    pub hours: &'a [i64],
    pub sources: &'a [Source<'a>],
    pub blended: &'a [Option<Blended>],
    /// Spread of the log-share before anything of this region was seen.
    pub spread: f64,
}

impl Context<'_> {
    /// What a service's demand is made of.
    pub fn entry(&self, entry: &ServiceName) -> Result<Part, ForecastError> {
        let request = self.input.request;
        let of_entry = || {
            self.sources
                .iter()
                .enumerate()
                .filter(|(index, s)| s.service == entry && self.blended[*index].is_some())
        };
        let own = of_entry().find(|(_, source)| *source.region == request.region);
        let own_hours = own.map_or(0, |(_, source)| source.hourly.known());
        let donors: Vec<(usize, f64)> = of_entry()
            .filter(|(_, source)| *source.region != request.region && own_hours < ENOUGH_HOURS)
            .filter_map(|(index, source)| Some((index, *request.donors.get(source.region)?)))
            .collect();
        let burst = own
            .map(|(index, _)| index)
            .into_iter()
            .chain(donors.iter().map(|(index, _)| *index));
        let burst = burst
            .filter_map(|index| self.burst(index))
            .reduce(|a, b| Burst {
                peak_to_mean: a.peak_to_mean.max(b.peak_to_mean),
                dispersion: a.dispersion.max(b.dispersion),
            });
        let part = |levels: Vec<Levels>, main: usize, share_variance: f64| {
            let error_variance = mean_log_variance(&levels);
            Part {
                levels,
                main,
                burst,
                share_variance,
                error_variance,
                own_hours,
                donors: donors.len(),
            }
        };
        match (own, donors.is_empty()) {
            (None, true) => Err(self.unknown(entry)),
            (Some((index, _)), true) => Ok(part(self.own(index), index, 0.0)),
            (None, false) => {
                let (levels, share) = self.mixed(&donors, None)?;
                let mut part = part(levels, donors[0].0, share.spread.powi(2));
                part.error_variance = (part.error_variance - part.share_variance).max(0.0);
                Ok(part)
            }
            (Some((index, source)), false) => {
                let (mixed, share) = self.mixed(&donors, Some(source))?;
                let weight = (own_hours.saturating_sub(FEWEST_HOURS) as f64
                    / (ENOUGH_HOURS - FEWEST_HOURS) as f64)
                    .min(1.0);
                let levels = mixed
                    .iter()
                    .zip(self.own(index))
                    .map(|(mixed, own)| between(mixed, &own, weight))
                    .collect();
                let main = if weight > 0.5 { index } else { donors[0].0 };
                let share_variance = ((1.0 - weight) * share.spread).powi(2);
                let mut part = part(levels, main, share_variance);
                part.error_variance = (part.error_variance - share_variance).max(0.0);
                Ok(part)
            }
        }
    }

    fn unknown(&self, entry: &ServiceName) -> ForecastError {
        let request = self.input.request;
        let regions: Vec<&RegionName> = std::iter::once(&request.region)
            .chain(request.donors.keys())
            .collect();
        let known = check::known(self.input.history, request.as_of);
        let mut services: Vec<&ServiceName> = regions
            .iter()
            .filter_map(|region| known.get(region))
            .flatten()
            .copied()
            .collect();
        services.sort();
        services.dedup();
        ForecastError::UnknownService {
            service: entry.clone(),
            regions: check::list(regions.iter().map(|region| region.as_str())),
            known: check::list(services.iter().map(|service| service.as_str())),
        }
    }

    fn burst(&self, index: usize) -> Option<Burst> {
        let source = &self.sources[index];
        burst::measure(
            find(self.input.history, source.region, source.service)?,
            self.input.request.as_of,
        )
    }

    /// The calibrated quantiles of each hour wanted: the end of what was forecast.
    fn quantiles(&self, index: usize) -> Vec<Levels> {
        let wanted = wanted(self.hours, self.zones, self.sources[index].region);
        let length = usize::try_from(wanted.end - wanted.start).unwrap_or(0);
        self.blended[index].as_ref().map_or(Vec::new(), |blended| {
            let from = blended.levels.len().saturating_sub(length);
            blended.levels[from..].to_vec()
        })
    }

    fn own(&self, index: usize) -> Vec<Levels> {
        self.quantiles(index)
    }

    /// Donors in local time × their shares, with what the net makes of them, and the widest of the shares.
    fn mixed(
        &self,
        donors: &[(usize, f64)],
        own: Option<&Source<'_>>,
    ) -> Result<(Vec<Levels>, LogShare), ForecastError> {
        let opened = self.opened(donors, own)?;
        let prior = LogShare {
            mean: 0.0,
            spread: self.share_spread(donors),
        };
        let parts: Vec<(Vec<Levels>, i64, f64, LogShare, &RegionName)> = donors
            .iter()
            .map(|(index, share)| {
                let donor = &self.sources[*index];
                let first = wanted(self.hours, self.zones, donor.region).start;
                let posterior = own.map_or(prior, |own| {
                    let there =
                        |hour| same_local_hour(hour, &self.zones.here, self.zones.of(donor.region));
                    let recent = own.clean.end() - 7 * 24..own.clean.end();
                    let pairs: Vec<(f64, f64)> = recent
                        .map(|hour| (own.driven_at(hour), share * donor.driven_at(there(hour))))
                        .collect();
                    cold_start::update(prior, &pairs)
                });
                (
                    self.quantiles(*index),
                    first,
                    *share,
                    posterior,
                    donor.region,
                )
            })
            .collect();
        let mut mixer = Mixer::new();
        let levels = self
            .hours
            .iter()
            .map(|hour| {
                let of_hour: Vec<(Levels, LogShare)> = parts
                    .iter()
                    .filter_map(|(levels, first, share, posterior, region)| {
                        let there = same_local_hour(*hour, &self.zones.here, self.zones.of(region));
                        let levels = levels.get(usize::try_from(there - first).ok()?)?;
                        Some((levels.map(|value| value * share), *posterior))
                    })
                    .collect();
                let mixed = mixer.mix(&of_hour);
                match opened.as_ref().and_then(|opened| opened.at(*hour)) {
                    Some(net) => {
                        // The net was shown donors without what their metrics did.
                        let mut net = *net;
                        events::lift(&mut net, self.driven(donors, *hour));
                        between(&mixed, &net, OPENING_WEIGHT)
                    }
                    None => mixed,
                }
            })
            .collect();
        let widest = parts
            .iter()
            .map(|part| part.3)
            .max_by(|a, b| a.spread.total_cmp(&b.spread))
            .unwrap_or(prior);
        Ok((levels, widest))
    }

    /// What business metrics do at some donors in an hour of this region's clock, mean over them.
    fn driven(&self, donors: &[(usize, f64)], hour: i64) -> LogUplift {
        let each = donors.iter().map(|(index, _)| {
            let donor = &self.sources[*index];
            let there = same_local_hour(hour, &self.zones.here, self.zones.of(donor.region));
            donor.driven.at(there).mean
        });
        LogUplift {
            mean: each.sum::<f64>() / donors.len().max(1) as f64,
            ..LogUplift::default()
        }
    }

    /// How far off donors' shares may be: as the request says, else as regions differ, and these donors.
    fn share_spread(&self, donors: &[(usize, f64)]) -> f64 {
        if self.input.request.share_uncertainty.is_some() {
            return self.spread;
        }
        let levels: Vec<f64> = donors
            .iter()
            .filter(|(_, share)| *share > 0.0)
            .filter_map(|(index, share)| {
                Some((share * cold_start::level(&self.sources[*index].clean)?).ln())
            })
            .collect();
        cold_start::spread_of_donors(self.spread, &levels)
    }

    /// What the net says with donors beside the region's own first hours.
    fn opened(
        &self,
        donors: &[(usize, f64)],
        own: Option<&Source<'_>>,
    ) -> Result<Option<Opened>, ForecastError> {
        let Some(forecaster) = self.input.forecaster else {
            return Ok(None);
        };
        let opening = Opening {
            own,
            donors: donors
                .iter()
                .map(|(index, share)| {
                    let donor = &self.sources[*index];
                    (donor, self.zones.of(donor.region), *share)
                })
                .collect(),
            here: &self.zones.here,
            days_off: self.input.days_off,
            as_of: hour_of(self.input.request.as_of),
            share_spread: self.spread,
        };
        Ok(opening.ask(forecaster)?)
    }
}

/// Between two sets of quantiles, on the logarithm where both are positive.
fn between(from: &Levels, to: &Levels, weight: f64) -> Levels {
    std::array::from_fn(|level| {
        let (a, b) = (from[level], to[level]);
        if a > 0.0 && b > 0.0 {
            (a.ln() * (1.0 - weight) + b.ln() * weight).exp()
        } else {
            a * (1.0 - weight) + b * weight
        }
    })
}

fn mean_log_variance(levels: &[Levels]) -> f64 {
    let of = |levels: &Levels| {
        let width = (levels[LEVEL_90] / levels[LEVEL_50]).ln() / NORMAL_90;
        if width.is_finite() {
            width.powi(2)
        } else {
            0.0
        }
    };
    levels.iter().map(of).sum::<f64>() / levels.len().max(1) as f64
}
