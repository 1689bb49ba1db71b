//! Public holidays: the days off of each region as the hours that the net looks at.
//!
//! A day off is known by region, because calendars are. The history of a donor is read with the donor's days; the hours that are asked for
//! are this region's, on whatever clock they are met, so a donor's own holiday lowers no forecast of the net for a region that works.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use foremesh_model::RegionName;
use jiff::{civil::Date, tz::TimeZone};

use crate::MOST_HORIZON_HOURS;

/// The public holidays of a region and its donors.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DaysOff {
    here: BTreeSet<Date>,
    donors: BTreeMap<RegionName, BTreeSet<Date>>,
}

impl DaysOff {
    /// The days of the region itself, and those of donors whose days are others.
    #[must_use]
    pub fn new(here: BTreeSet<Date>, donors: BTreeMap<RegionName, BTreeSet<Date>>) -> Self {
        Self { here, donors }
    }

    /// The days of the region itself (`None`) or of a donor, which has this region's unless others are given.
    fn of(&self, donor: Option<&RegionName>) -> &BTreeSet<Date> {
        donor
            .and_then(|region| self.donors.get(region))
            .unwrap_or(&self.here)
    }

    /// Whether no day is known to be off anywhere.
    fn is_empty(&self) -> bool {
        self.here.is_empty() && self.donors.values().all(BTreeSet::is_empty)
    }

    /// By hour, 1 on days off: over `history` and `lead` hours between it and the hours `wanted` by the days of `donor` (`None`: the region
    /// itself), from `wanted` on by those of the region itself, as far as a net can look. Empty where no day is known to be off. Hours are
    /// counted since 1970; `zone` is where their clocks stand.
    pub(crate) fn by_hour(
        &self,
        donor: Option<&RegionName>,
        zone: &TimeZone,
        history: Range<i64>,
        lead: i64,
        wanted: i64,
    ) -> Vec<u8> {
        if self.is_empty() {
            return Vec::new();
        }
        let there = self.of(donor);
        let mut flags = flags(there, zone, history);
        flags.extend(self::flags(there, zone, wanted - lead..wanted));
        let horizon = wanted..wanted + i64::from(MOST_HORIZON_HOURS);
        flags.extend(self::flags(&self.here, zone, horizon));
        flags
    }
}

/// 1 for each hour that begins on one of the days.
fn flags(days: &BTreeSet<Date>, zone: &TimeZone, hours: Range<i64>) -> Vec<u8> {
    let mut flags = vec![0; usize::try_from(hours.end - hours.start).unwrap_or(0)];
    let starts = |day: Date| -> Option<i64> {
        let at = day.to_zoned(zone.clone()).ok()?.timestamp().as_second();
        Some((at + 3599).div_euclid(3600))
    };
    for day in days {
        let (Some(from), Some(to)) = (starts(*day), day.tomorrow().ok().and_then(starts)) else {
            continue;
        };
        for hour in from.max(hours.start)..to.min(hours.end) {
            let slot = usize::try_from(hour - hours.start);
            if let Some(flag) = slot.ok().and_then(|slot| flags.get_mut(slot)) {
                *flag = 1;
            }
        }
    }
    flags
}

#[cfg(test)]
mod tests {
    use foremesh_model::Timestamp;

    use super::*;
    use crate::{
        Step,
        steps::{Calendar, hour_of},
    };

    fn days(days: &[&str]) -> BTreeSet<Date> {
        days.iter().map(|day| day.parse().unwrap()).collect()
    }

    fn hour(at: &str) -> i64 {
        hour_of(at.parse::<Timestamp>().unwrap())
    }

    /// The hours that are off, counted from the first.
    fn off(flags: &[u8]) -> Vec<usize> {
        let there = flags.iter().enumerate().filter(|(_, flag)| **flag == 1);
        there.map(|(at, _)| at).collect()
    }

    #[test]
    fn a_day_off_is_a_day_of_the_local_clock() {
        let zone = |name| TimeZone::get(name).unwrap();
        let start = hour("2026-12-24T00:00:00Z");
        for (name, from) in [
            ("UTC", 24),
            ("Europe/Paris", 23),
            ("America/New_York", 29),
            ("Asia/Kolkata", 19),
        ] {
            let found = flags(&days(&["2026-12-25"]), &zone(name), start..start + 72);
            assert_eq!(off(&found), (from..from + 24).collect::<Vec<_>>(), "{name}");
            // The same hours as the calendar takes for those of that Friday.
            let calendar = Calendar::new(Step::Hour, &zone(name), start, start + 72);
            for (at, of_week) in calendar.slice(start, 72).iter().enumerate() {
                assert_eq!(found[at] == 1, of_week / 24 == 4, "{name} {at}");
            }
        }
        // A day of 23 hours and one of 25.
        for (day, hours) in [("2026-03-29", 23), ("2026-10-25", 25)] {
            let from = hour(&format!("{day}T00:00:00Z")) - 24;
            let found = flags(&days(&[day]), &zone("Europe/Paris"), from..from + 96);
            assert_eq!(off(&found).len(), hours);
        }
        // Cut at both ends.
        let found = flags(&days(&["2026-12-24"]), &TimeZone::UTC, start + 5..start + 9);
        assert_eq!(found, [1; 4]);
        assert!(flags(&days(&["2026-12-24"]), &TimeZone::UTC, start..start).is_empty());
    }

    #[test]
    fn the_past_is_the_donors_and_the_future_this_regions() {
        let donor: RegionName = "us-east-1".parse().unwrap();
        let start = hour("2026-11-24T00:00:00Z");
        let thanksgiving = days(&["2026-11-26"]);
        let here = days(&["2026-11-25", "2026-11-27"]);
        let known = DaysOff::new(here, [(donor.clone(), thanksgiving)].into());
        let seen = |donor, ends: i64| {
            let wanted = start + ends;
            let flags = known.by_hour(donor, &TimeZone::UTC, start..wanted - 5, 5, wanted);
            assert_eq!(flags.len() as i64, ends + i64::from(MOST_HORIZON_HOURS));
            off(&flags)
                .iter()
                .map(|at| at / 24)
                .collect::<BTreeSet<_>>()
        };
        // A history that ends with the 26th holds the donor's holiday; the 27th is ahead.
        assert_eq!(seen(Some(&donor), 72), [2, 3].into());
        // One that ends with the 24th has this region's days ahead, and not the donor's.
        assert_eq!(seen(Some(&donor), 24), [1, 3].into());
        assert_eq!(seen(None, 72), [1, 3].into());
        let other: RegionName = "eu-west-1".parse().unwrap();
        assert_eq!(seen(Some(&other), 72), [1, 3].into());
        // Hours between the history and what is asked for lie just before the latter, however old the history is.
        let late = known.by_hour(
            Some(&donor),
            &TimeZone::UTC,
            start - 2000..start - 1900,
            24,
            start + 72,
        );
        assert_eq!(off(&late)[..24], (100..124).collect::<Vec<_>>());
        assert!(
            DaysOff::default()
                .by_hour(None, &TimeZone::UTC, 0..9, 0, 9)
                .is_empty()
        );
    }
}
