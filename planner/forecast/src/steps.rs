//! Series on a grid: whole steps since 1970, gaps as NaN, and the local step of the week of each.
//!
//! Series come in any step. They are put on whole hours (or five minutes, or days) once, so that methods, donors and events can meet by number.

use foremesh_model::{MOST_REQUESTS_PER_SECOND, Series, Timestamp};
use jiff::tz::TimeZone;

use crate::{Step, quantiles};

/// A history that begins with this many hours without a request began with the first one: many exporters report 0 for what does
/// not serve yet, and a forecast of what does would stay wide for weeks.
const NOT_YET_HOURS: usize = 24;
const HOUR_S: i64 = 3600;
/// Weeks on each side that tell what a step would have been.
const WEEKS_AROUND: i64 = 4;

/// Requests a second by step; NaN is a gap. Neither begins nor ends with a gap.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Steps {
    /// Steps since 1970 of the first value.
    pub first: i64,
    /// Mean of each step.
    pub values: Vec<f64>,
}

/// The hour since 1970 in which an instant lies.
pub(crate) fn hour_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(HOUR_S)
}

/// Whether a value can be a rate of requests.
pub(crate) fn is_rate(value: f64) -> bool {
    (0.0..=MOST_REQUESTS_PER_SECOND).contains(&value)
}

impl Steps {
    /// The series by step as it was known at `as_of`: only what had ended by then. A step of which fewer than half of the
    /// values are known is a gap, and so is what cannot be a rate (negative, not finite). A value that is longer than a
    /// step stands for each step that begins in it.
    pub fn of(step: Step, series: &Series, as_of: Timestamp) -> Self {
        let on = step.seconds();
        let own = i64::from(series.step_s.max(1));
        let (start, as_of) = (series.start.as_second(), as_of.as_second());
        let ended = (as_of.saturating_sub(start)).div_euclid(own);
        let known = usize::try_from(ended).unwrap_or(0).min(series.values.len());
        let Some(last) = series.values[..known].iter().rposition(|v| is_rate(*v)) else {
            return Self::default();
        };
        let end =
            ((start + (last as i64 + 1) * own + on - 1).div_euclid(on)).min(as_of.div_euclid(on));
        let kept = (step.kept_weeks() * step.week()) as i64;
        let first = start.div_euclid(on).max(end - kept);
        let count = usize::try_from(end - first).unwrap_or(0);
        let (mut sums, mut counts) = (vec![0.0; count], vec![0u32; count]);
        let mut add = |at: i64, value: f64| {
            if let Ok(slot) = usize::try_from(at - first)
                && slot < count
                && is_rate(value)
            {
                sums[slot] += value;
                counts[slot] += 1;
            }
        };
        let skipped = ((first * on - start).div_euclid(own)).max(0) as usize;
        for (index, value) in series.values[..known].iter().enumerate().skip(skipped) {
            let from = start + index as i64 * own;
            if own <= on {
                add(from.div_euclid(on), *value);
            } else {
                for at in (from + on - 1).div_euclid(on)..(from + own + on - 1).div_euclid(on) {
                    add(at, *value);
                }
            }
        }
        let values = sums
            .iter()
            .zip(&counts)
            .map(|(sum, n)| {
                if *n == 0 || i64::from(*n) * 2 * own < on {
                    f64::NAN
                } else {
                    sum / f64::from(*n)
                }
            })
            .collect();
        Self { first, values }.trimmed(step)
    }

    fn trimmed(mut self, step: Step) -> Self {
        let Some(last) = self.values.iter().rposition(|v| !v.is_nan()) else {
            return Self::default();
        };
        let first = self.values.iter().position(|v| !v.is_nan()).unwrap_or(0);
        let first = match self.values.iter().position(|v| *v > 0.0) {
            Some(served) if served - first >= step.hours(NOT_YET_HOURS) => served,
            _ => first,
        };
        self.values.truncate(last + 1);
        self.values.drain(..first);
        self.first += first as i64;
        self
    }

    /// The step after the last value.
    pub fn end(&self) -> i64 {
        self.first + self.values.len() as i64
    }

    /// The median of the same step of the week in the weeks around, as far as they are known and not 0.
    pub fn around(&self, step: Step, at: i64) -> Option<f64> {
        let mut weeks: Vec<f64> = (-WEEKS_AROUND..=WEEKS_AROUND)
            .filter(|week| *week != 0)
            .map(|week| self.at(at + week * step.week() as i64))
            .filter(|value| *value > 0.0)
            .collect();
        (!weeks.is_empty()).then(|| quantiles::median(&mut weeks))
    }

    /// How many steps are known.
    pub fn known(&self) -> usize {
        self.values.iter().filter(|v| !v.is_nan()).count()
    }

    /// The value of a step since 1970; NaN where it is not known.
    pub fn at(&self, step: i64) -> f64 {
        usize::try_from(step - self.first)
            .ok()
            .and_then(|index| self.values.get(index))
            .copied()
            .unwrap_or(f64::NAN)
    }
}

/// The local step of the week (the first of Monday is 0) of each step in a range.
#[derive(Debug, Clone)]
pub(crate) struct Calendar {
    first: i64,
    step_of_week: Vec<u16>,
}

impl Calendar {
    /// The calendar of a time zone for the steps `first..end`. Where the zone's offset is no whole number of steps, a step counts as the
    /// one in which it begins.
    pub fn new(step: Step, zone: &TimeZone, first: i64, end: i64) -> Self {
        let (on, week) = (step.seconds(), step.week() as i64);
        // 1970 began on a Thursday.
        let monday = 3 * step.day() as i64;
        let step_of_week = (first..end.max(first))
            .map(|at| {
                let from = at.saturating_mul(on);
                let local = (from + offset_at(zone, from)).div_euclid(on);
                (local + monday).rem_euclid(week) as u16
            })
            .collect();
        Self {
            first,
            step_of_week,
        }
    }

    /// The steps of the week from `first` on, `length` of them; empty where the calendar does not hold them all.
    pub fn slice(&self, first: i64, length: usize) -> &[u16] {
        usize::try_from(first - self.first)
            .ok()
            .and_then(|from| self.step_of_week.get(from..from + length))
            .unwrap_or(&[])
    }
}

fn offset_s(zone: &TimeZone, hour: i64) -> i64 {
    offset_at(zone, hour.saturating_mul(HOUR_S))
}

fn offset_at(zone: &TimeZone, second: i64) -> i64 {
    let at = Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
    i64::from(zone.to_offset(at).seconds())
}

/// The hour since 1970 at which clocks in `there` show what clocks in `here` show at `hour`: a donor's nine in the morning for
/// this region's nine in the morning.
pub(crate) fn same_local_hour(hour: i64, here: &TimeZone, there: &TimeZone) -> i64 {
    let local_s = hour * HOUR_S + offset_s(here, hour);
    // Two rounds settle the offset across a change of clocks.
    let guess = (local_s - offset_s(there, hour)).div_euclid(HOUR_S);
    (local_s - offset_s(there, guess)).div_euclid(HOUR_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn series(start: i64, step_s: u32, values: &[f64]) -> Series {
        Series {
            start: at(start),
            step_s,
            values: values.to_vec(),
        }
    }

    #[test]
    fn minutes_become_hours_that_had_ended() {
        let mut values = vec![1.0; 60];
        values.extend(vec![3.0; 60]);
        values.extend(vec![f64::NAN; 31]);
        values.extend(vec![5.0; 29]);
        values.extend(vec![7.0; 60]);
        let minutes = series(7200, 60, &values);
        let all = Steps::of(Step::Hour, &minutes, at(99_999));
        assert_eq!(all.first, 2);
        assert_eq!(all.values[..2], [1.0, 3.0]);
        assert!(all.values[2].is_nan());
        assert_eq!(all.values[3], 7.0);
        // The fourth hour had not ended: neither it nor the gap before it is known.
        assert_eq!(
            Steps::of(Step::Hour, &minutes, at(7200 + 4 * 3600 - 1)).values,
            [1.0, 3.0]
        );
    }

    #[test]
    fn what_cannot_be_a_rate_is_a_gap() {
        let hours = series(0, 3600, &[-1.0, 2.0, f64::INFINITY, 1e300, 4.0, f64::NAN]);
        let hourly = Steps::of(Step::Hour, &hours, at(1 << 33));
        assert_eq!(
            (hourly.first, hourly.values.len(), hourly.known()),
            (1, 4, 2)
        );
        assert_eq!(hourly.at(4), 4.0);
        assert!(hourly.at(-7).is_nan());
    }

    #[test]
    fn a_day_without_a_request_is_before_the_history() {
        let mut values = vec![0.0; 30];
        values.extend([4.0, 0.0, 5.0]);
        let late = Steps::of(Step::Hour, &series(0, 3600, &values), at(1 << 33));
        assert_eq!((late.first, late.values), (30, vec![4.0, 0.0, 5.0]));
        // A quiet night is part of the history, and so is a service that never served.
        let night = Steps::of(Step::Hour, &series(0, 3600, &values[10..]), at(1 << 33));
        assert_eq!(night.values.len(), 23);
        let never = Steps::of(Step::Hour, &series(0, 3600, &values[..30]), at(1 << 33));
        assert_eq!(never.values.len(), 30);
    }

    #[test]
    fn a_daily_value_stands_for_its_hours() {
        let days = series(0, 86_400, &[1.0, 2.0]);
        let hourly = Steps::of(Step::Hour, &days, at(1 << 33));
        assert_eq!(
            (hourly.values.len(), hourly.values[23], hourly.values[24]),
            (48, 1.0, 2.0)
        );
    }

    #[test]
    fn of_ten_years_only_so_many_weeks_are_kept() {
        for step in Step::ALL {
            let count = 10 * 52 * step.week();
            let years = series(0, step.seconds() as u32, &vec![1.0; count]);
            let kept = Steps::of(step, &years, years.end());
            assert_eq!(kept.values.len(), step.kept_weeks() * step.week());
            assert_eq!(kept.end(), count as i64);
        }
    }

    #[test]
    fn five_minutes_and_days_are_cut_from_minutes() {
        let minutes = series(600, 60, &(0..2880).map(f64::from).collect::<Vec<_>>());
        let five = Steps::of(Step::FiveMinutes, &minutes, at(1 << 33));
        assert_eq!(
            (five.first, five.values[0], five.values.len()),
            (2, 2.0, 576)
        );
        // The first day lacks ten minutes; of the third fewer than half are known.
        let days = Steps::of(Step::Day, &minutes, at(1 << 33));
        assert_eq!((days.first, days.values.len()), (0, 2));
        assert_eq!(
            days.values[0],
            (0..1430).map(f64::from).sum::<f64>() / 1430.0
        );
        let calendar = Calendar::new(Step::FiveMinutes, &TimeZone::UTC, 0, 2016);
        assert_eq!(calendar.slice(0, 1), [3 * 288]);
        let calendar = Calendar::new(Step::Day, &TimeZone::UTC, 0, 9);
        assert_eq!(calendar.slice(0, 9), [3, 4, 5, 6, 0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_donors_morning_is_this_regions_morning() {
        let zone = |name| TimeZone::get(name).unwrap();
        let (paris, dublin, tokyo) = (
            zone("Europe/Paris"),
            zone("Europe/Dublin"),
            zone("Asia/Tokyo"),
        );
        let noon_in_paris = hour_of("2026-12-01T11:00:00Z".parse().unwrap());
        assert_eq!(
            same_local_hour(noon_in_paris, &paris, &dublin),
            noon_in_paris + 1
        );
        assert_eq!(
            same_local_hour(noon_in_paris, &paris, &tokyo),
            noon_in_paris - 8
        );
        let calendar = Calendar::new(Step::Hour, &paris, noon_in_paris, noon_in_paris + 2);
        // 1 December 2026 is a Tuesday.
        assert_eq!(calendar.slice(noon_in_paris, 2), [24 + 12, 24 + 13]);
        assert!(calendar.slice(noon_in_paris, 3).is_empty());
    }
}
