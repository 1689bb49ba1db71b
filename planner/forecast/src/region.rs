//! The demand of a region: its own history where it has one, donors where it has not, both in its first weeks.

use std::{collections::BTreeMap, ops::Range};

use foremesh_model::{
    Demand, Dependence, EntryDemand, Event, History, RegionName, RegionRequest, ServiceName,
    Severity, Warning,
};
use rayon::prelude::*;

use crate::{
    METHOD, METHOD_WITH_NET, Step,
    blend::{self, Known},
    burst::{self, Burst},
    business::BusinessMetrics,
    calibrate::Shapes,
    check::{self, Zones},
    cold_start,
    combine::Combined,
    dependence,
    entry::{Context, Part},
    error::ForecastError,
    events::{self, Occurrences},
    holidays::DaysOff,
    neural::Forecaster,
    notes::Notes,
    source::{Source, find, wanted},
    steps::{Calendar, hour_of},
};

/// Hours of own history that show a weekly profile twice.
const TWO_WEEKS: usize = 336;
/// Share of the variance of a log-share that all entries have in common.
const COMMON_SHARE: f64 = 0.5;

/// What a region's forecast is made from.
#[derive(Debug, Clone, Copy)]
pub struct ForecastInput<'a> {
    /// Everything measured; what is later than the request's `as_of` is not looked at.
    pub history: &'a History,
    /// What is asked.
    pub request: &'a RegionRequest,
    /// The services that take requests from outside. Other series are used for nothing but the spread of shares.
    pub entries: &'a [ServiceName],
    /// The net that joins the statistical methods; None: they forecast alone.
    pub forecaster: Option<Forecaster<'a>>,
    /// Public holidays, which the net looks at.
    pub days_off: &'a DaysOff,
    /// Other metrics of the same regions and services, at most [`crate::MOST_BUSINESS_METRICS`]; unlike the history they are looked at beyond `as_of`, where their
    /// values are what is planned. A donor's are the donor's.
    pub business_metrics: Option<&'a History>,
}

/// The forecast of a region.
#[derive(Debug, Clone, PartialEq)]
pub struct RegionForecast {
    /// Quantiles for each entry and hour from go-live, canonical.
    pub demand: Demand,
    /// What was assumed or is missing, the worst first.
    pub warnings: Vec<Warning>,
}

/// Forecasts the demand of a region by hour from go-live.
///
/// Equal inputs give equal bytes, whatever the number of threads; nothing after `as_of` moves any.
///
/// # Errors
/// [`ForecastError`], one variant for each cause.
pub fn forecast_region(input: &ForecastInput<'_>) -> Result<RegionForecast, ForecastError> {
    let zones = check::check(input)?;
    // What was announced later is not looked at.
    let mut request = input.request.clone();
    request.events.retain(|event| event.is_known(request.as_of));
    let request = &request;
    let input = &ForecastInput { request, ..*input };
    let starts = hour_of(request.go_live);
    let hours: Vec<i64> = (starts..starts + i64::from(request.horizon_hours)).collect();
    let mut entries = input.entries.to_vec();
    entries.sort();
    entries.dedup();

    let wanted = |region: &RegionName| wanted(&hours, &zones, region);
    let metrics = BusinessMetrics::of(input.business_metrics)?;
    let sources = read_sources(input, &entries, &metrics, &wanted);
    let occurrences = learn_events(&sources, &request.events);
    let calendars = calendars(&sources, &zones, &wanted);
    let combined: Vec<Option<Combined>> = sources
        .par_iter()
        .map(|source| source.combine(calendars.get(source.region)?, &wanted(source.region)))
        .collect();
    let shapes = Shapes::learn(Step::Hour, combined.iter().flatten());
    let days_off: Vec<Vec<u8>> = sources
        .iter()
        .map(|source| {
            let (region, zone) = (source.region, zones.of(source.region));
            source.day_off(input.days_off, &request.region, zone, &wanted(region))
        })
        .collect();
    let known: Vec<Option<Known<'_>>> = sources
        .iter()
        .zip(&combined)
        .zip(&days_off)
        .map(|((source, combined), day_off)| {
            Some(source.known(combined.as_ref()?, calendars.get(source.region)?, day_off))
        })
        .collect();
    let mut blended = blend::blend(input.forecaster, &shapes, &known)?;

    let mut notes = Notes::of("entries");
    for (source, blended) in sources.iter().zip(&mut blended) {
        let levels = blended.iter_mut().flat_map(|blended| &mut blended.levels);
        for (hour, levels) in wanted(source.region).rev().zip(levels.rev()) {
            events::lift(levels, source.driven.at(hour));
        }
        let subject = format!("{} {}", source.region, source.service);
        source.driven.note(&subject, &mut notes);
    }
    let matched = sources.iter().any(|source| !source.driven.is_empty());
    metrics.note_unmatched(matched, request.region.as_str(), &mut notes);
    if input.forecaster.is_none() && *input.days_off != DaysOff::default() {
        let text = "public holidays move nothing without a learned forecaster: give one, or list what a holiday does as an event";
        notes.add(Severity::Note, "holidays_unused", &request.region, text);
    }
    let (shown, comparisons) = cold_start::share_spread(&levels(&sources));
    let spread = request.share_uncertainty.unwrap_or(shown);
    let context = Context {
        input,
        zones: &zones,
        hours: &hours,
        sources: &sources,
        blended: &blended,
        spread,
    };
    let parts = entries
        .par_iter()
        .map(|entry| context.entry(entry))
        .collect::<Result<Vec<_>, _>>()?;
    note_sources(&parts, &context, comparisons, &mut notes);

    let main: Vec<(&Combined, i64)> = parts
        .iter()
        .filter_map(|part| {
            Some((
                combined[part.main].as_ref()?,
                sources[part.main].hourly.first,
            ))
        })
        .collect();
    let loadings = dependence::common_loadings(&main);
    let hourly_autocorrelation =
        dependence::autocorrelation(main.iter().map(|(combined, _)| *combined));
    let mut autocorrelation = 0.0;
    let mut demands = BTreeMap::new();
    for ((mut part, loading), entry) in parts.into_iter().zip(loadings).zip(&entries) {
        // The error of a share is the same in all hours, and half of it in all entries.
        let total = part.error_variance + part.share_variance;
        let of_share = if total > 0.0 {
            part.share_variance / total
        } else {
            0.0
        };
        autocorrelation += of_share + (1.0 - of_share) * hourly_autocorrelation;
        let common = (1.0 - of_share) * loading.powi(2) + of_share * COMMON_SHARE;
        let uplifts = events::ahead(
            &request.events,
            (&request.region, entry),
            (
                Step::Hour.start_of(starts),
                Step::Hour.start_of(starts + i64::from(request.horizon_hours)),
            ),
            &occurrences,
            (entry.as_str(), &mut notes),
        );
        for (hour, levels) in hours.iter().zip(&mut part.levels) {
            events::lift(levels, events::together(Step::Hour, &uplifts, *hour));
        }
        let burst = part.burst.unwrap_or_else(|| {
            notes.about(Severity::Note, "peak_assumed", entry, burst_assumed());
            Burst {
                peak_to_mean: burst::ASSUMED_PEAK_TO_MEAN,
                dispersion: burst::ASSUMED_DISPERSION,
            }
        });
        demands.insert(
            entry.clone(),
            EntryDemand {
                quantiles_rps: part.levels.iter().map(|levels| levels.to_vec()).collect(),
                peak_to_mean: burst.peak_to_mean,
                dispersion: burst.dispersion,
                common_loading: common.sqrt() * loading.signum(),
            },
        );
    }
    let demand = Demand {
        region: request.region.clone(),
        timezone: request.timezone.clone(),
        as_of: request.as_of,
        starts: Step::Hour.start_of(starts),
        step_s: 3600,
        dependence: Dependence {
            autocorrelation: autocorrelation / demands.len().max(1) as f64,
        },
        entries: demands,
        seed: request.seed,
        method: input.forecaster.map_or_else(
            || METHOD.into(),
            |forecaster| format!("{METHOD_WITH_NET} ({})", forecaster.identity()),
        ),
    };
    Ok(RegionForecast {
        demand: demand.canonical(),
        warnings: notes.finish(),
    })
}

fn burst_assumed() -> String {
    format!(
        "no history is finer than an hour: the highest minute of an hour is taken for {} times its mean, and the variance of requests for {} times that of Poisson arrivals; give telemetry by minute to measure both",
        burst::ASSUMED_PEAK_TO_MEAN,
        burst::ASSUMED_DISPERSION
    )
}

fn read_sources<'a>(
    input: &'a ForecastInput<'a>,
    entries: &'a [ServiceName],
    metrics: &BusinessMetrics<'a>,
    wanted: &(impl Fn(&RegionName) -> Range<i64> + Sync),
) -> Vec<Source<'a>> {
    let request = input.request;
    let regions: Vec<&RegionName> = std::iter::once(&request.region)
        .chain(
            request
                .donors
                .keys()
                .filter(|donor| **donor != request.region),
        )
        .collect();
    let pairs: Vec<(&RegionName, &ServiceName)> = regions
        .iter()
        .flat_map(|region| entries.iter().map(move |entry| (*region, entry)))
        .collect();
    pairs
        .par_iter()
        .filter_map(|(region, entry)| {
            let series = find(input.history, region, entry)?;
            // What a donor to the east knew later than our hour shows on its clocks is not used, to keep to one kind of forecast.
            let wanted = wanted(region);
            let known_until = request.as_of.min(Step::Hour.start_of(wanted.start));
            let known = (metrics, known_until, wanted.end);
            Source::read(region, entry, series, &request.events, known)
        })
        .collect()
}

fn learn_events(sources: &[Source<'_>], events: &[Event]) -> Occurrences {
    let mut occurrences = Occurrences::new();
    for source in sources {
        events::learn(
            &mut occurrences,
            Step::Hour,
            &source.hourly,
            &source.clean,
            events,
            (source.region, source.service),
        );
    }
    occurrences
}

fn calendars<'a>(
    sources: &[Source<'a>],
    zones: &Zones,
    wanted: &impl Fn(&RegionName) -> Range<i64>,
) -> BTreeMap<&'a RegionName, Calendar> {
    let mut ranges: BTreeMap<&RegionName, Range<i64>> = BTreeMap::new();
    for source in sources {
        let end = wanted(source.region).end.max(source.hourly.end()) + 1;
        let range = ranges
            .entry(source.region)
            .or_insert(source.hourly.first..end);
        *range = range.start.min(source.hourly.first)..range.end.max(end);
    }
    ranges
        .into_iter()
        .map(|(region, range)| {
            (
                region,
                Calendar::new(Step::Hour, zones.of(region), range.start, range.end),
            )
        })
        .collect()
}

fn levels<'a>(sources: &'a [Source<'a>]) -> BTreeMap<(&'a RegionName, &'a ServiceName), f64> {
    sources
        .iter()
        .filter_map(|source| {
            Some((
                (source.region, source.service),
                cold_start::level(&source.clean)?,
            ))
        })
        .collect()
}

fn note_sources(parts: &[Part], context: &Context<'_>, comparisons: usize, notes: &mut Notes) {
    let request = context.input.request;
    let as_of_hour = hour_of(request.as_of);
    for part in parts {
        let source = &context.sources[part.main];
        let entry = source.service;
        if part.donors > 0 {
            let text = if part.own_hours == 0 {
                "the region has no history of its own: demand is that of the donors in local time, times their share".to_owned()
            } else {
                "the region has less than three weeks of its own history: donors fill what is missing, and its first hours correct their share".to_owned()
            };
            notes.about(Severity::Note, "cold_start", entry, text);
        } else if part.own_hours < TWO_WEEKS {
            let text = "the history is shorter than two weeks: no weekly profile can be learned and the quantiles are mostly assumed; name donors, or plan again when more is known";
            notes.about(Severity::Caution, "short_history", entry, text);
        }
        if source.hourly.end() < as_of_hour - 24 {
            let text = format!(
                "the history in region {} ends more than a day before as_of: the hours between are forecast too; check the telemetry, or move as_of",
                source.region
            );
            notes.about(Severity::Caution, "stale_history", entry, text);
        }
        let gaps = source.hourly.values.len() - source.hourly.known();
        if gaps * 10 > source.hourly.values.len() {
            let text = format!(
                "more than a tenth of the hours of the history in region {} are gaps",
                source.region
            );
            notes.about(Severity::Caution, "gaps", entry, text);
        }
        if source.hourly.values.iter().all(|v| v.is_nan() || *v == 0.0) {
            let text = format!(
                "the history in region {} shows no request at all: demand is forecast as nothing",
                source.region
            );
            notes.about(Severity::Caution, "no_requests", entry, text);
        }
    }
    if parts.iter().any(|part| part.donors > 0) {
        let percent = 100.0 * context.spread;
        let source = if request.share_uncertainty.is_some() {
            "as share_uncertainty says".to_owned()
        } else if comparisons == 0 {
            "an assumption, because no two regions share services from which it could be read"
                .to_owned()
        } else {
            format!(
                "read from {comparisons} comparison{} of services between regions",
                if comparisons == 1 { "" } else { "s" }
            )
        };
        let text = format!(
            "the donors' shares are taken to be off by {percent:.0}% (standard deviation, {source}): this alone lifts the 0.99 quantile, for which \
             capacity is bought, to {:.1} times the median; share_uncertainty states how sure the shares are",
            (2.326 * context.spread).exp()
        );
        notes.add(Severity::Note, "share_spread", &request.region, text);
    }
    if request.donors.contains_key(&request.region) {
        let text = "a region cannot be its own donor: the share is ignored";
        notes.add(Severity::Caution, "own_donor", &request.region, text);
    }
}
