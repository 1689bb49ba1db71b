//! The grid on which everything here works: whole hours since 1970, gaps as NaN, and the local hour of the week of each.
//!
//! Series come in any step. They are put on whole hours once, so that methods, donors and events can meet by hour number.

use foremesh_model::{MOST_REQUESTS_PER_SECOND, Series, Timestamp};
use jiff::tz::TimeZone;

/// Hours of history that are looked at: half a year. Older values move no forecast of two weeks.
pub(crate) const KEPT_HOURS: i64 = 26 * 168;
/// A history that begins with this many hours without a request began with the first one: many exporters report 0 for what does
/// not serve yet, and a forecast of what does would stay wide for weeks.
const NOT_YET_HOURS: usize = 24;
const HOUR_S: i64 = 3600;

/// Requests a second by hour; NaN is a gap. Neither begins nor ends with a gap.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Hourly {
    /// Hours since 1970 of the first value.
    pub first_hour: i64,
    /// Mean of each hour.
    pub values: Vec<f64>,
}

/// The hour since 1970 in which an instant lies.
pub(crate) fn hour_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(HOUR_S)
}

/// The instant at which an hour since 1970 begins.
pub(crate) fn start_of(hour: i64) -> Timestamp {
    Timestamp::from_second(hour.saturating_mul(HOUR_S)).unwrap_or(Timestamp::MAX)
}

/// Whether a value can be a rate of requests.
pub(crate) fn is_rate(value: f64) -> bool {
    (0.0..=MOST_REQUESTS_PER_SECOND).contains(&value)
}

impl Hourly {
    /// The series by hour as it was known at `as_of`: only steps and hours that had ended by then. An hour of which fewer
    /// than half of the values are known is a gap, and so is what cannot be a rate (negative, not finite). A step longer
    /// than an hour stands for each hour that begins in it.
    pub fn of(series: &Series, as_of: Timestamp) -> Self {
        let step = i64::from(series.step_s.max(1));
        let (start, as_of) = (series.start.as_second(), as_of.as_second());
        let ended = (as_of.saturating_sub(start)).div_euclid(step);
        let steps = usize::try_from(ended).unwrap_or(0).min(series.values.len());
        let Some(last) = series.values[..steps].iter().rposition(|v| is_rate(*v)) else {
            return Self::default();
        };
        let end_hour = ((start + (last as i64 + 1) * step + HOUR_S - 1).div_euclid(HOUR_S))
            .min(as_of.div_euclid(HOUR_S));
        let first_hour = start.div_euclid(HOUR_S).max(end_hour - KEPT_HOURS);
        let hours = usize::try_from(end_hour - first_hour).unwrap_or(0);
        let (mut sums, mut counts) = (vec![0.0; hours], vec![0u32; hours]);
        let mut add = |hour: i64, value: f64| {
            if let Ok(slot) = usize::try_from(hour - first_hour)
                && slot < hours
                && is_rate(value)
            {
                sums[slot] += value;
                counts[slot] += 1;
            }
        };
        let skipped = ((first_hour * HOUR_S - start).div_euclid(step)).max(0) as usize;
        for (index, value) in series.values[..steps].iter().enumerate().skip(skipped) {
            let from = start + index as i64 * step;
            if step <= HOUR_S {
                add(from.div_euclid(HOUR_S), *value);
            } else {
                for hour in (from + HOUR_S - 1).div_euclid(HOUR_S)
                    ..(from + step + HOUR_S - 1).div_euclid(HOUR_S)
                {
                    add(hour, *value);
                }
            }
        }
        let values = sums
            .iter()
            .zip(&counts)
            .map(|(sum, n)| {
                if *n == 0 || i64::from(*n) * 2 * step < HOUR_S {
                    f64::NAN
                } else {
                    sum / f64::from(*n)
                }
            })
            .collect();
        Self { first_hour, values }.trimmed()
    }

    fn trimmed(mut self) -> Self {
        let Some(last) = self.values.iter().rposition(|v| !v.is_nan()) else {
            return Self::default();
        };
        let first = self.values.iter().position(|v| !v.is_nan()).unwrap_or(0);
        let first = match self.values.iter().position(|v| *v > 0.0) {
            Some(served) if served - first >= NOT_YET_HOURS => served,
            _ => first,
        };
        self.values.truncate(last + 1);
        self.values.drain(..first);
        self.first_hour += first as i64;
        self
    }

    /// The hour after the last value.
    pub fn next_hour(&self) -> i64 {
        self.first_hour + self.values.len() as i64
    }

    /// How many hours are known.
    pub fn known(&self) -> usize {
        self.values.iter().filter(|v| !v.is_nan()).count()
    }

    /// The value of an hour since 1970; NaN where it is not known.
    pub fn at(&self, hour: i64) -> f64 {
        usize::try_from(hour - self.first_hour)
            .ok()
            .and_then(|index| self.values.get(index))
            .copied()
            .unwrap_or(f64::NAN)
    }
}

/// The local hour of the week (Monday 00:00 is 0) of each hour in a range.
#[derive(Debug, Clone)]
pub(crate) struct Calendar {
    first_hour: i64,
    hour_of_week: Vec<u16>,
}

impl Calendar {
    /// The calendar of a time zone for the hours `first_hour..end_hour`. A zone with half an hour of offset counts the hour
    /// in which the local one begins.
    pub fn new(zone: &TimeZone, first_hour: i64, end_hour: i64) -> Self {
        let hour_of_week = (first_hour..end_hour.max(first_hour))
            .map(|hour| {
                let local = (hour * HOUR_S + offset_s(zone, hour)).div_euclid(HOUR_S);
                // 1970 began on a Thursday.
                (local + 3 * 24).rem_euclid(168) as u16
            })
            .collect();
        Self {
            first_hour,
            hour_of_week,
        }
    }

    /// The hours of the week from `first_hour`, `length` of them; empty where the calendar does not hold them all.
    pub fn slice(&self, first_hour: i64, length: usize) -> &[u16] {
        usize::try_from(first_hour - self.first_hour)
            .ok()
            .and_then(|from| self.hour_of_week.get(from..from + length))
            .unwrap_or(&[])
    }
}

fn offset_s(zone: &TimeZone, hour: i64) -> i64 {
    i64::from(zone.to_offset(start_of(hour)).seconds())
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
        let all = Hourly::of(&minutes, at(99_999));
        assert_eq!(all.first_hour, 2);
        assert_eq!(all.values[..2], [1.0, 3.0]);
        assert!(all.values[2].is_nan());
        assert_eq!(all.values[3], 7.0);
        // The fourth hour had not ended: neither it nor the gap before it is known.
        assert_eq!(
            Hourly::of(&minutes, at(7200 + 4 * 3600 - 1)).values,
            [1.0, 3.0]
        );
    }

    #[test]
    fn what_cannot_be_a_rate_is_a_gap() {
        let hours = series(0, 3600, &[-1.0, 2.0, f64::INFINITY, 1e300, 4.0, f64::NAN]);
        let hourly = Hourly::of(&hours, at(1 << 33));
        assert_eq!(
            (hourly.first_hour, hourly.values.len(), hourly.known()),
            (1, 4, 2)
        );
        assert_eq!(hourly.at(4), 4.0);
        assert!(hourly.at(-7).is_nan());
    }

    #[test]
    fn a_day_without_a_request_is_before_the_history() {
        let mut values = vec![0.0; 30];
        values.extend([4.0, 0.0, 5.0]);
        let late = Hourly::of(&series(0, 3600, &values), at(1 << 33));
        assert_eq!((late.first_hour, late.values), (30, vec![4.0, 0.0, 5.0]));
        // A quiet night is part of the history, and so is a service that never served.
        let night = Hourly::of(&series(0, 3600, &values[10..]), at(1 << 33));
        assert_eq!(night.values.len(), 23);
        let never = Hourly::of(&series(0, 3600, &values[..30]), at(1 << 33));
        assert_eq!(never.values.len(), 30);
    }

    #[test]
    fn a_daily_value_stands_for_its_hours() {
        let days = series(0, 86_400, &[1.0, 2.0]);
        let hourly = Hourly::of(&days, at(1 << 33));
        assert_eq!(
            (hourly.values.len(), hourly.values[23], hourly.values[24]),
            (48, 1.0, 2.0)
        );
    }

    #[test]
    fn only_half_a_year_is_kept() {
        let years = series(0, 3600, &vec![1.0; 87_600]);
        assert_eq!(
            Hourly::of(&years, at(87_600 * 3600)).values.len() as i64,
            KEPT_HOURS
        );
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
        let calendar = Calendar::new(&paris, noon_in_paris, noon_in_paris + 2);
        // 1 December 2026 is a Tuesday.
        assert_eq!(calendar.slice(noon_in_paris, 2), [24 + 12, 24 + 13]);
        assert!(calendar.slice(noon_in_paris, 3).is_empty());
    }
}
