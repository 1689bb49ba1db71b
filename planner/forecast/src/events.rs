//! Events: what they do to the past is taken out before fitting, what they will do is put on the forecast.
//!
//! A known uplift multiplies. An unknown one is learned from past events of the same name: the log-ratio of what was measured to
//! what the weeks around it would have led one to expect, first pulled towards all entries' mean, then towards no effect.

use std::{collections::BTreeMap, ops::Range};

use foremesh_model::{Event, RegionName, ServiceName, Severity, Timestamp};

use crate::{
    Step,
    notes::Notes,
    quantiles::{self, LEVEL_50, LEVEL_90, Levels, NORMAL_90},
    steps::Steps,
};

/// Smallest uplift by which a past value is divided, below it the step counts as a gap; and the smallest that is learned.
const LEAST_UPLIFT: f64 = 0.05;
/// Occurrences that weigh as much as "no effect", and as the mean of all entries.
const PRIOR_OCCURRENCES: f64 = 0.5;
/// Spread of the log-uplift between occurrences where only one is known, as a share of its size, and at least.
const ASSUMED_SPREAD: f64 = 0.4;
const LEAST_SPREAD: f64 = 0.05;
/// Hours on each side that tell what the weeks around are off by.
const HOURS_AROUND: usize = 72;
/// Smallest part of a step from which the effect of an event can be told.
const LEAST_OVERLAP: f64 = 0.1;

/// What an event does to the logarithm of demand.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct LogUplift {
    pub mean: f64,
    /// Standard deviation.
    pub spread: f64,
    /// Past occurrences it was learned from; 0 where it was given.
    pub occurrences: usize,
}

impl LogUplift {
    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self {
            mean: self.mean + other.mean,
            spread: self.spread.hypot(other.spread),
            occurrences: self.occurrences + other.occurrences,
        }
    }
}

/// Log-ratios of past occurrences, by event name and entry.
pub(crate) type Occurrences = BTreeMap<String, BTreeMap<ServiceName, Vec<f64>>>;

/// The share of a step since 1970 during which an event lasts.
fn overlap(step: Step, event: &Event, at: i64) -> f64 {
    event.overlap(step.start_of(at), step.start_of(at + 1))
}

/// The steps of a history.
fn known(steps: &Steps) -> Range<i64> {
    steps.first..steps.end()
}

/// The steps of a range that an event touches: an event of a thousand years costs no more than the range.
fn touched(step: Step, event: &Event, within: &Range<i64>) -> Range<i64> {
    let all = steps(step, event);
    all.start.max(within.start)..all.end.min(within.end)
}

/// The steps that an event touches.
fn steps(step: Step, event: &Event) -> Range<i64> {
    let on = step.seconds();
    event.starts.as_second().div_euclid(on)..(event.ends.as_second() + on - 1).div_euclid(on)
}

/// The history without its events: known uplifts divided out, hours of unknown ones as gaps.
pub(crate) fn without(
    step: Step,
    measured: &Steps,
    events: &[Event],
    region: &RegionName,
    service: &ServiceName,
) -> Steps {
    let mut clean = measured.clone();
    for event in events.iter().filter(|event| event.touches(region, service)) {
        for at in touched(step, event, &known(measured)) {
            let slot = usize::try_from(at - clean.first)
                .ok()
                .and_then(|index| clean.values.get_mut(index));
            let Some(value) = slot else { continue };
            *value = match event.uplift {
                Some(uplift) if uplift >= LEAST_UPLIFT => {
                    *value / (1.0 + overlap(step, event, at) * (uplift - 1.0))
                }
                _ => f64::NAN,
            };
        }
    }
    // A history that is nothing but events still says more than none.
    if clean.known() == 0 {
        measured.clone()
    } else {
        clean
    }
}

/// Adds what past events without a known uplift did to this series.
pub(crate) fn learn(
    occurrences: &mut Occurrences,
    step: Step,
    measured: &Steps,
    clean: &Steps,
    events: &[Event],
    (region, service): (&RegionName, &ServiceName),
) {
    for event in events
        .iter()
        .filter(|event| event.uplift.is_none() && event.touches(region, service))
    {
        let whole = steps(step, event);
        let touched = touched(step, event, &known(measured));
        let most = touched.clone().map(|at| overlap(step, event, at));
        let enough = (0.5 * most.fold(0.0, f64::max)).max(LEAST_OVERLAP);
        // What the steps around the event were off by is not the event's.
        let near = step.hours(HOURS_AROUND) as i64;
        let mut around: Vec<f64> = (whole.start - near..whole.start)
            .chain(whole.end..whole.end + near)
            .filter_map(|at| Some((clean.at(at) / clean.around(step, at)?).ln()))
            .filter(|ratio| ratio.is_finite())
            .collect();
        let off = quantiles::median(&mut around).exp();
        let mut ratios: Vec<f64> = touched
            .clone()
            .filter_map(|at| {
                let share = overlap(step, event, at);
                let ratio = measured.at(at) / (off * clean.around(step, at)?);
                // What lasts for a part of the step moves its mean by that part.
                (share >= enough && ratio.is_finite())
                    .then(|| (1.0 + (ratio - 1.0) / share).max(LEAST_UPLIFT).ln())
            })
            .filter(|ratio| ratio.is_finite())
            .collect();
        if !ratios.is_empty() {
            let ratio = quantiles::median(&mut ratios);
            occurrences
                .entry(event.name.clone())
                .or_default()
                .entry(service.clone())
                .or_default()
                .push(ratio);
        }
    }
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

/// The events that touch a service in a span, with what they do. Says what was learned and what is left out; `subject` is what notes call the service.
pub(crate) fn ahead<'e>(
    events: &'e [Event],
    (region, service): (&RegionName, &ServiceName),
    (starts, ends): (Timestamp, Timestamp),
    occurrences: &Occurrences,
    (subject, notes): (&str, &mut Notes),
) -> Vec<(&'e Event, LogUplift)> {
    let mut uplifts = Vec::new();
    for event in events {
        if !event.touches(region, service) || event.overlap(starts, ends) == 0.0 {
            continue;
        }
        match uplift(event, service, occurrences) {
            Some(uplift) => {
                if uplift.occurrences > 0 {
                    let text = format!(
                        "the uplift of event {:?} is learned from past events of that name; give uplift to fix it",
                        event.name
                    );
                    notes.about(Severity::Note, "event_learned", subject, text);
                }
                uplifts.push((event, uplift));
            }
            None => {
                let text = format!(
                    "event {:?} has no uplift, and the history shows no past event of that name whose effect can be told: it is left out; give uplift, for example 1.5",
                    event.name
                );
                notes.about(Severity::Caution, "event_unknown", subject, text);
            }
        }
    }
    uplifts
}

/// The uplift of all events together in a step since 1970: log-uplift and its spread.
pub(crate) fn together(step: Step, events: &[(&Event, LogUplift)], at: i64) -> LogUplift {
    let mut all = LogUplift::default();
    let mut variance = 0.0;
    for (event, uplift) in events {
        let share = overlap(step, event, at);
        if share > 0.0 {
            let factor = 1.0 + share * (uplift.mean.exp() - 1.0);
            all.mean += factor.max(1e-6).ln();
            variance += (share * uplift.spread).powi(2);
        }
    }
    all.spread = variance.sqrt();
    all
}

/// Multiplies quantiles by an uplift; an uncertain one also widens them.
pub(crate) fn lift(levels: &mut Levels, uplift: LogUplift) {
    if uplift == LogUplift::default() {
        return;
    }
    let median = levels[LEVEL_50];
    let width = if median > 0.0 {
        (levels[LEVEL_90] / median).ln() / NORMAL_90
    } else {
        0.0
    };
    let wider = if width > 1e-3 {
        (1.0 + (uplift.spread / width).powi(2)).sqrt().min(10.0)
    } else {
        1.0
    };
    for level in levels.iter_mut() {
        let ratio = if median > 0.0 {
            (*level / median).powf(wider)
        } else {
            1.0
        };
        let around = if median > 0.0 { median * ratio } else { *level };
        *level = around * uplift.mean.exp();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, first_hour: i64, last_hour: i64, uplift: Option<f64>) -> Event {
        Event {
            name: name.into(),
            starts: Step::Hour.start_of(first_hour),
            ends: Step::Hour.start_of(last_hour),
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
            Step::Hour,
            &hourly,
            &[event("sale", 500, 510, Some(2.0))],
            &region,
            &service,
        );
        assert!((known.at(505) - (100.0 + f64::from(505 % 24))).abs() < 1e-9);

        let unknown = [event("sale", 500, 510, None)];
        let clean = without(Step::Hour, &hourly, &unknown, &region, &service);
        assert!(clean.at(505).is_nan() && !clean.at(510).is_nan());
        let mut occurrences = Occurrences::new();
        learn(
            &mut occurrences,
            Step::Hour,
            &hourly,
            &clean,
            &unknown,
            (&region, &service),
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
        sale.ends = Timestamp::from_second(11 * 3600 + 1800).unwrap();
        let uplift = uplift(&sale, &names().1, &Occurrences::new()).unwrap();
        let events = [(&sale, uplift)];
        assert!((together(Step::Hour, &events, 10).mean.exp() - 3.0).abs() < 1e-9);
        assert!((together(Step::Hour, &events, 11).mean.exp() - 2.0).abs() < 1e-9);
        assert_eq!(together(Step::Hour, &events, 12), LogUplift::default());
    }
}
