//! Events: what they do to the past is taken out before fitting, what they will do is put on the forecast.
//!
//! A known uplift multiplies. An unknown one is learned from past events of the same name: the log-ratio of what was measured to
//! what the weeks around it would have led one to expect, first pulled towards all entries' mean, then towards no effect.

use std::collections::BTreeMap;

use foremesh_model::{Event, RegionName, ServiceName};

use crate::{
    quantiles,
    steps::{Steps, start_of},
};

/// Smallest uplift by which a past value is divided; below it the hour counts as a gap.
const LEAST_UPLIFT: f64 = 0.05;
/// Occurrences that weigh as much as "no effect", and as the mean of all entries.
const PRIOR_OCCURRENCES: f64 = 0.5;
/// Spread of the log-uplift between occurrences where only one is known, as a share of its size, and at least.
const ASSUMED_SPREAD: f64 = 0.4;
const LEAST_SPREAD: f64 = 0.05;
/// Weeks on each side that tell what an hour would have been.
const WEEKS_AROUND: i64 = 4;

/// What an event does to the logarithm of demand.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct LogUplift {
    pub mean: f64,
    /// Standard deviation.
    pub spread: f64,
    /// Past occurrences it was learned from; 0 where it was given.
    pub occurrences: usize,
}

/// Log-ratios of past occurrences, by event name and entry.
pub(crate) type Occurrences = BTreeMap<String, BTreeMap<ServiceName, Vec<f64>>>;

/// The share of an hour during which an event lasts.
fn overlap(event: &Event, hour: i64) -> f64 {
    event.overlap(start_of(hour), start_of(hour + 1))
}

fn hours(event: &Event) -> std::ops::Range<i64> {
    event.starts.as_second().div_euclid(3600)..(event.ends.as_second() + 3599).div_euclid(3600)
}

/// The history without its events: known uplifts divided out, hours of unknown ones as gaps.
pub(crate) fn without(
    hourly: &Steps,
    events: &[Event],
    region: &RegionName,
    service: &ServiceName,
) -> Steps {
    let mut clean = hourly.clone();
    for event in events.iter().filter(|event| event.touches(region, service)) {
        for hour in hours(event) {
            let slot = usize::try_from(hour - clean.first)
                .ok()
                .and_then(|index| clean.values.get_mut(index));
            let Some(value) = slot else { continue };
            *value = match event.uplift {
                Some(uplift) if uplift >= LEAST_UPLIFT => {
                    *value / (1.0 + overlap(event, hour) * (uplift - 1.0))
                }
                _ => f64::NAN,
            };
        }
    }
    // A history that is nothing but events still says more than none.
    if clean.known() == 0 {
        hourly.clone()
    } else {
        clean
    }
}

/// Adds what past events without a known uplift did to this series.
pub(crate) fn learn(
    occurrences: &mut Occurrences,
    hourly: &Steps,
    clean: &Steps,
    events: &[Event],
    region: &RegionName,
    service: &ServiceName,
) {
    for event in events
        .iter()
        .filter(|event| event.uplift.is_none() && event.touches(region, service))
    {
        let mut ratios: Vec<f64> = hours(event)
            .filter(|hour| overlap(event, *hour) > 0.5)
            .filter_map(|hour| Some((hourly.at(hour) / expected(clean, hour)?).ln()))
            .filter(|ratio| ratio.is_finite())
            .collect();
        // What the hours around the event were off by is not the event's.
        let mut around: Vec<f64> = (hours(event).start - 72..hours(event).start)
            .chain(hours(event).end..hours(event).end + 72)
            .filter_map(|hour| Some((clean.at(hour) / expected(clean, hour)?).ln()))
            .filter(|ratio| ratio.is_finite())
            .collect();
        if !ratios.is_empty() {
            let ratio = quantiles::median(&mut ratios) - quantiles::median(&mut around);
            occurrences
                .entry(event.name.clone())
                .or_default()
                .entry(service.clone())
                .or_default()
                .push(ratio);
        }
    }
}

/// The median of the same hour in the weeks around, events left out.
fn expected(clean: &Steps, hour: i64) -> Option<f64> {
    let mut weeks: Vec<f64> = (-WEEKS_AROUND..=WEEKS_AROUND)
        .filter(|week| *week != 0)
        .map(|week| clean.at(hour + week * 168))
        .filter(|value| *value > 0.0)
        .collect();
    (!weeks.is_empty()).then(|| quantiles::median(&mut weeks))
}

/// What a future event does to an entry: its known uplift, or what past events of its name did.
pub(crate) fn uplift(
    event: &Event,
    service: &ServiceName,
    occurrences: &Occurrences,
) -> Option<LogUplift> {
    if let Some(uplift) = event.uplift {
        return Some(LogUplift {
            mean: uplift.max(1e-6).ln(),
            spread: 0.0,
            occurrences: 0,
        });
    }
    let by_service = occurrences.get(&event.name)?;
    let all: Vec<f64> = by_service.values().flatten().copied().collect();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let count = all.len() as f64;
    let pooled = mean(&all) * count / (count + PRIOR_OCCURRENCES);
    let own = by_service.get(service).map_or(&[][..], Vec::as_slice);
    let own_count = own.len() as f64;
    let shrunk =
        (own_count * mean(own) + PRIOR_OCCURRENCES * pooled) / (own_count + PRIOR_OCCURRENCES);
    let variance = all
        .iter()
        .map(|ratio| (ratio - mean(&all)).powi(2))
        .sum::<f64>();
    let assumed = (ASSUMED_SPREAD * shrunk).powi(2);
    let spread = ((variance + assumed) / count).sqrt().max(LEAST_SPREAD);
    Some(LogUplift {
        mean: shrunk,
        spread,
        occurrences: own.len().max(all.len()),
    })
}

/// The uplift of all events together in an hour: log-uplift and its spread.
pub(crate) fn in_hour(events: &[(&Event, LogUplift)], hour: i64) -> LogUplift {
    let mut all = LogUplift::default();
    let mut variance = 0.0;
    for (event, uplift) in events {
        let share = overlap(event, hour);
        if share > 0.0 {
            let factor = 1.0 + share * (uplift.mean.exp() - 1.0);
            all.mean += factor.max(1e-6).ln();
            variance += (share * uplift.spread).powi(2);
        }
    }
    all.spread = variance.sqrt();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, first_hour: i64, last_hour: i64, uplift: Option<f64>) -> Event {
        Event {
            name: name.into(),
            starts: start_of(first_hour),
            ends: start_of(last_hour),
            uplift,
            known_since: None,
            services: vec![],
            regions: vec![],
        }
    }

    fn names() -> (RegionName, ServiceName) {
        (
            RegionName::new("r").unwrap(),
            ServiceName::new("s").unwrap(),
        )
    }

    #[test]
    fn a_known_uplift_is_divided_out_and_an_unknown_one_is_learned() {
        let (region, service) = names();
        let mut values: Vec<f64> = (0..168 * 6).map(|h| 100.0 + f64::from(h % 24)).collect();
        for value in &mut values[500..510] {
            *value *= 2.0;
        }
        let hourly = Steps { first: 0, values };
        let known = without(
            &hourly,
            &[event("sale", 500, 510, Some(2.0))],
            &region,
            &service,
        );
        assert!((known.at(505) - (100.0 + f64::from(505 % 24))).abs() < 1e-9);

        let unknown = [event("sale", 500, 510, None)];
        let clean = without(&hourly, &unknown, &region, &service);
        assert!(clean.at(505).is_nan() && !clean.at(510).is_nan());
        let mut occurrences = Occurrences::new();
        learn(
            &mut occurrences,
            &hourly,
            &clean,
            &unknown,
            &region,
            &service,
        );
        let learned = uplift(&event("sale", 2000, 2010, None), &service, &occurrences).unwrap();
        // Doubled once: pulled somewhat towards no effect.
        assert!(
            learned.mean > 0.5 * 2f64.ln() && learned.mean < 2f64.ln(),
            "{learned:?}"
        );
        assert!(learned.spread > 0.0 && learned.occurrences == 1);
        assert_eq!(
            uplift(&event("launch", 2000, 2010, None), &service, &occurrences),
            None
        );
    }

    #[test]
    fn half_an_hour_counts_half() {
        let mut sale = event("sale", 10, 12, Some(3.0));
        sale.ends = foremesh_model::Timestamp::from_second(11 * 3600 + 1800).unwrap();
        let uplift = uplift(&sale, &names().1, &Occurrences::new()).unwrap();
        let events = [(&sale, uplift)];
        assert!((in_hour(&events, 10).mean.exp() - 3.0).abs() < 1e-9);
        assert!((in_hour(&events, 11).mean.exp() - 2.0).abs() < 1e-9);
        assert_eq!(in_hour(&events, 12), LogUplift::default());
    }
}
