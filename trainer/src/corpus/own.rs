//! A user's own history as series to learn from, its last part held back.
//!
//! One instant ends the training of all series: what a day brought to one region's series is in those of the others, so a later end of one
//! would show the tests of another. Steps are read as UTC, as `foremesh forecast` does.

use std::collections::BTreeMap;

use foremesh_model::{
    History, METRIC_REQUESTS_PER_SECOND, MOST_REQUESTS_PER_SECOND, SeriesKey, Timestamp,
};

use super::{
    Real,
    read::step_of_week,
    siblings::{self, Aligned},
    steps::{Gather, Steps},
};
use crate::{Track, TrainError, track::MOST_DONORS};

const DAY_S: u32 = 86_400;
/// The part of a history that is held back, and the part of the rest that says when to stop.
const TAIL: i64 = 5;
const VALIDATION: i64 = 5;
/// Hours in steps of five minutes hold more to learn from in a day.
const LEAST_TAIL_DAYS: (u32, u32) = (14, 7);
/// Times that the shortest tail must fit into a history.
const LEAST_TAILS: i64 = 3;
/// Days of a series that must be known before what is learned from ends.
const LEAST_DAYS: i64 = 7;

/// A series of one's own.
#[derive(Debug, Clone)]
pub struct Own {
    /// All of it, named "region service".
    pub track: Track,
    /// Its first step since 1970, in steps.
    pub first: i64,
    /// Steps that weights are fitted to.
    pub trains_until: usize,
    /// Steps before what is held back. Between both lies what says when to stop.
    pub tail_from: usize,
    /// Whether enough of what is held back is known to test on.
    pub tests: bool,
}

impl Own {
    /// The series without what is held back.
    #[must_use]
    pub fn before_tail(&self) -> Real {
        Real {
            track: self.track.until(self.tail_from),
            trains_until: self.trains_until,
            in_benchmark: false,
        }
    }
}

/// A history, split.
#[derive(Debug, Clone)]
pub struct OwnHistory {
    /// Its series, in order of region and service.
    pub series: Vec<Own>,
    /// Seconds of a step.
    pub step_s: u32,
    /// The first step, the first that is held back, and the one after the last; since 1970.
    pub spans: [i64; 3],
    /// What cannot be learned from, and why.
    pub left_out: Vec<String>,
}

impl OwnHistory {
    /// The instant at which a step since 1970 begins.
    #[must_use]
    pub fn at(&self, step: i64) -> Timestamp {
        Timestamp::from_second(step.saturating_mul(i64::from(self.step_s)))
            .unwrap_or(Timestamp::MAX)
    }

    /// Days from one step to another.
    #[must_use]
    pub fn days(&self, from: i64, to: i64) -> f64 {
        (to - from) as f64 * f64::from(self.step_s) / f64::from(DAY_S)
    }
}

/// Splits a history in steps of `step_s` seconds (3600 or 300): the last fifth is held back, and of what is left the last fifth says when to stop.
///
/// # Errors
/// [`TrainError::NoSeries`], [`TrainError::HistoryTooShort`] and [`TrainError::NothingToTest`].
pub fn split(history: &History, step_s: u32) -> Result<OwnHistory, TrainError> {
    let mut left_out = Vec::new();
    let mut read: Vec<(&SeriesKey, Steps)> = Vec::new();
    for (key, series) in &history.series {
        if key.metric != METRIC_REQUESTS_PER_SECOND {
            continue;
        }
        let name = name(key);
        if series.step_s > step_s {
            left_out.push(format!("{name} has steps of {} s", series.step_s));
            continue;
        }
        let mut gather = Gather::new(step_s, series.step_s);
        let rates = series.values.iter().enumerate();
        let known = rates.filter(|(_, rate)| (0.0..=MOST_REQUESTS_PER_SECOND).contains(*rate));
        let added = known
            .into_iter()
            .try_for_each(|(index, rate)| gather.add(series.at(index).as_second(), *rate));
        match (added, gather.finish()) {
            (Ok(()), Some(steps)) => read.push((key, steps)),
            (Ok(()), None) => left_out.push(format!("{name} has no value")),
            (Err(cause), _) => left_out.push(format!("{name}: {cause}")),
        }
    }
    let a_day = i64::from(DAY_S / step_s.max(1));
    let (of_hours, of_minutes) = LEAST_TAIL_DAYS;
    let test_days = if step_s < 3600 { of_minutes } else { of_hours };
    let least = i64::from(test_days) * a_day;
    // A series that is left out says nothing of when the history begins and ends.
    let [begin, validation, tail, end] = loop {
        let begin = read.iter().map(|(_, steps)| steps.first).min();
        let end = read.iter().map(|(_, steps)| end_of(steps)).max();
        let (Some(begin), Some(end)) = (begin, end) else {
            return Err(TrainError::NoSeries { step_s, left_out });
        };
        if end - begin < LEAST_TAILS * least {
            return Err(TrainError::HistoryTooShort {
                days: (end - begin) as f64 / a_day as f64,
                least_days: LEAST_TAILS as f64 * f64::from(test_days),
                test_days: f64::from(test_days),
            });
        }
        let tail = end - ((end - begin) / TAIL).max(least);
        let validation = tail - ((tail - begin) / VALIDATION).max(least / 2);
        let before = read.len();
        read.retain(|(key, steps)| {
            let enough = known(steps, i64::MIN..validation) >= LEAST_DAYS * a_day;
            if !enough {
                let name = name(key);
                left_out.push(format!(
                    "{name} has less than {LEAST_DAYS} days to learn from"
                ));
            }
            enough
        });
        if read.len() == before {
            break [begin, validation, tail, end];
        }
    };
    let series = together(&read, step_s, [validation, tail, end]);
    let spans = [begin, tail, end];
    if !series.iter().any(|series| series.tests) {
        let days = (end - tail) as f64 / a_day as f64;
        return Err(TrainError::NothingToTest { days, left_out });
    }
    Ok(OwnHistory {
        series,
        step_s,
        spans,
        left_out,
    })
}

fn name(key: &SeriesKey) -> String {
    format!("{} {}", key.region, key.service)
}

fn end_of(steps: &Steps) -> i64 {
    steps.first + steps.values.len() as i64
}

/// How many steps of a range since 1970 are known.
fn known(steps: &Steps, range: std::ops::Range<i64>) -> i64 {
    let numbered = (steps.first..).zip(&steps.values);
    numbered
        .filter(|(step, value)| range.contains(step) && value.is_finite())
        .count() as i64
}

/// The series with each other as donors, where they are of one service.
fn together(read: &[(&SeriesKey, Steps)], step_s: u32, ends: [i64; 3]) -> Vec<Own> {
    let [validation, tail, end] = ends;
    let until = |steps: &Steps, end: i64| {
        usize::try_from(end - steps.first)
            .unwrap_or(0)
            .min(steps.values.len())
    };
    let hourly: Vec<(i64, Vec<f32>)> = read
        .iter()
        .map(|(_, steps)| {
            let trained = steps.values.get(..until(steps, validation));
            siblings::by_hour(steps.first, trained.unwrap_or(&[]), step_s)
        })
        .collect();
    let aligned: Vec<Aligned<'_>> = hourly
        .iter()
        .map(|(first, values)| Aligned {
            first: *first,
            values,
        })
        .collect();
    let copies = siblings::copies(&aligned);
    // Regions of a service are donors however alike they are.
    let each: Vec<usize> = (0..read.len()).collect();
    let mut of_service: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (place, (key, _)) in read.iter().enumerate() {
        of_service.entry(&key.service).or_default().push(place);
    }
    let own = |(place, (key, steps)): (usize, &(&SeriesKey, Steps))| {
        let regions = of_service.get(&key.service);
        let may_give: Vec<bool> = each
            .iter()
            .map(|other| regions.is_some_and(|regions| regions.contains(other)))
            .collect();
        let donors = siblings::donors(place, &aligned, &each, &may_give, MOST_DONORS)
            .into_iter()
            .filter_map(|other| read.get(other))
            .map(|(_, other)| {
                let other = Aligned {
                    first: other.first,
                    values: &other.values,
                };
                (steps.first..end_of(steps))
                    .map(|step| other.at(step))
                    .collect()
            })
            .collect();
        let first_copy = copies.get(place).and_then(|first| read.get(*first));
        let in_tail = known(steps, tail..end);
        let busy = steps
            .values
            .iter()
            .skip(until(steps, tail))
            .any(|v| *v > 0.0);
        let count = steps.values.len();
        Own {
            track: Track {
                family: name(key),
                cluster: first_copy.map_or_else(|| name(key), |(first, _)| name(first)),
                step_s,
                first_step_of_week: step_of_week(steps.first * i64::from(step_s), step_s),
                calendar_known: true,
                demand: steps.values.clone(),
                day_off: vec![0; count],
                event_log_uplift: vec![0.0; count],
                metrics: Vec::new(),
                donors,
            },
            first: steps.first,
            trains_until: until(steps, validation),
            tail_from: until(steps, tail),
            tests: busy && in_tail * 2 >= end - tail,
        }
    };
    read.iter().enumerate().map(own).collect()
}

#[cfg(test)]
mod tests {
    use foremesh_model::{RegionName, Series, ServiceName};

    use super::*;

    fn history(series: &[(&str, &str, u32, Vec<f64>)]) -> History {
        let of = |(region, service, step_s, values): &(&str, &str, u32, Vec<f64>)| {
            let region = RegionName::new(*region).unwrap();
            let service = ServiceName::new(*service).unwrap();
            let series = Series {
                start: Timestamp::from_second(1_700_006_400).unwrap(),
                step_s: *step_s,
                values: values.clone(),
            };
            (SeriesKey::requests(region, service), series)
        };
        History {
            series: series.iter().map(of).collect(),
        }
    }

    fn waves(hours: usize, size: f64) -> Vec<f64> {
        let rate = |hour: usize| {
            let noise = (hour * 7919 % 101) as f64 / 101.0;
            size * (2.0 + (hour as f64 / 24.0 * std::f64::consts::TAU).sin() + noise)
        };
        (0..hours).map(rate).collect()
    }

    #[test]
    fn the_last_fifth_is_held_back_and_regions_give_to_each_other() {
        let day = 24;
        let history = history(&[
            ("east", "shop", 3600, waves(100 * day, 1.0)),
            ("west", "shop", 3600, waves(90 * day, 3.0)),
            ("west", "other", 3600, waves(100 * day, 3.0)),
            ("north", "shop", 86_400, vec![1.0; 100]),
            ("south", "shop", 3600, vec![f64::NAN; 100 * day]),
        ]);
        let own = split(&history, 3600).unwrap();
        let names: Vec<&str> = own.series.iter().map(|s| s.track.family.as_str()).collect();
        assert_eq!(names, ["east shop", "west other", "west shop"]);
        assert_eq!(
            own.left_out,
            ["north shop has steps of 86400 s", "south shop has no value"]
        );
        assert_eq!(own.days(own.spans[0], own.spans[1]), 80.0);
        let east = &own.series[0];
        assert_eq!((east.tail_from, east.trains_until), (80 * day, 64 * day));
        // 15 November 2023, a Wednesday.
        assert_eq!(east.track.first_step_of_week, 48);
        assert_eq!(east.track.donors.len(), 1);
        assert_eq!(east.track.donors[0].len(), 100 * day);
        assert!((east.track.donors[0][30] / east.track.demand[30] - 3.0).abs() < 1e-4);
        assert_eq!(east.track.cluster, own.series[2].track.cluster);
        assert!(own.series[1].track.donors.is_empty());
        let real = east.before_tail();
        assert_eq!(
            (real.track.steps(), real.trains_until),
            (80 * day, 64 * day)
        );
        assert_eq!(real.track.donors[0].len(), 80 * day);
        // A region that opened yesterday does not move the tail of the others.
        let mut later = history.clone();
        let late = self::history(&[("new", "shop", 3600, waves(30 * day, 1.0))]);
        for (key, mut series) in late.series {
            series.start = Timestamp::from_second(1_700_006_400 + 99 * 86_400).unwrap();
            later.series.insert(key, series);
        }
        let later = split(&later, 3600).unwrap();
        assert_eq!(later.spans, own.spans);
        assert_eq!(later.series.len(), 3);
        // Half of the tail is there.
        assert!(own.series.iter().all(|series| series.tests));
    }

    #[test]
    fn what_cannot_be_learned_from_is_said() {
        let said = |history: &History| split(history, 3600).unwrap_err().to_string();
        let short = said(&history(&[("east", "shop", 3600, waves(41 * 24, 1.0))]));
        assert_eq!(
            short,
            "the history spans 41.0 days, and fine-tuning needs at least 42: 14 to test on, and twice as many to learn from"
        );
        assert!(split(&history(&[("e", "s", 3600, waves(42 * 24, 1.0))]), 3600).is_ok());
        let nothing = said(&history(&[("east", "shop", 60, vec![f64::NAN; 99])]));
        assert!(nothing.contains("(east shop has no value)"), "{nothing}");
        assert!(said(&History::default()).contains("no series of requests_per_second"));
        let mut gone = waves(100 * 24, 1.0);
        gone[80 * 24..].fill(f64::NAN);
        gone[100 * 24 - 1] = 1.0;
        let gone = said(&history(&[("east", "shop", 3600, gone)]));
        assert!(gone.contains("the last 20 days"), "{gone}");
    }
}
