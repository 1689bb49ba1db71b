//! One history of one service in one region, and its forecast for the hours that the plan asks of it.

use std::ops::Range;

use foremesh_model::{Event, History, RegionName, Series, ServiceName, Timestamp};
use jiff::tz::TimeZone;

use crate::{
    Step,
    blend::Known,
    business::BusinessMetrics,
    check::Zones,
    combine::{self, Combined},
    drivers::Driven,
    events,
    holidays::DaysOff,
    steps::{Calendar, Steps, same_local_hour},
};

/// Weeks after which a forecast further ahead only repeats itself.
fn most_lead_weeks(step: Step) -> i64 {
    match step {
        Step::FiveMinutes => 1,
        Step::Hour | Step::Day => 4,
    }
}

/// A service in a region, the region itself or a donor.
#[derive(Debug, Clone)]
pub(crate) struct Source<'a> {
    pub region: &'a RegionName,
    pub service: &'a ServiceName,
    /// As measured, without what business metrics did.
    pub hourly: Steps,
    /// Without its events too.
    pub clean: Steps,
    /// What business metrics do.
    pub driven: Driven<'a>,
}

impl<'a> Source<'a> {
    /// Reads a series as it was known at an instant, and business metrics to the end of what is asked; `None` where nothing was known.
    pub fn read(
        region: &'a RegionName,
        service: &'a ServiceName,
        series: &Series,
        events: &[Event],
        (metrics, known_until, asked_until): (&BusinessMetrics<'a>, Timestamp, i64),
    ) -> Option<Self> {
        let hourly = Steps::of(Step::Hour, series, known_until);
        if hourly.values.is_empty() {
            return None;
        }
        let clean = events::without(Step::Hour, &hourly, events, region, service);
        let range = hourly.first..hourly.end().max(asked_until);
        let metrics = metrics.over(Step::Hour, (region, service), &range);
        let driven = Driven::learn(Step::Hour, &clean, metrics);
        Some(Self {
            region,
            service,
            hourly: driven.without(&hourly),
            clean: driven.without(&clean),
            driven,
        })
    }

    /// Forecasts the hours `wanted` (since 1970), which must not begin before the history ends. `calendar` holds the hours of
    /// the history and four weeks more than the hours wanted.
    pub fn combine(&self, calendar: &Calendar, wanted: &Range<i64>) -> Option<Combined> {
        let horizon =
            usize::try_from(wanted.end - folded(Step::Hour, self.hourly.end(), wanted.start))
                .unwrap_or(0);
        combine::combine(
            Step::Hour,
            &self.clean.values,
            self.hours_of_week(calendar, horizon),
            horizon,
        )
    }

    /// By hour of the history and of what is asked after it: 1 on days off. `here` is the region that is planned.
    pub fn day_off(
        &self,
        days: &DaysOff,
        here: &RegionName,
        zone: &TimeZone,
        wanted: &Range<i64>,
    ) -> Vec<u8> {
        let history = self.hourly.first..self.hourly.end();
        let lead = wanted.start - folded(Step::Hour, history.end, wanted.start);
        let donor = (self.region != here).then_some(self.region);
        days.by_hour(donor, zone, history, lead.max(0), wanted.start)
    }

    /// What [`Source::combine`] said, with the history that it was said of.
    pub fn known<'b>(
        &'b self,
        combined: &'b Combined,
        calendar: &'b Calendar,
        day_off: &'b [u8],
    ) -> Known<'b> {
        Known {
            combined,
            values: &self.clean.values,
            step_of_week: self.hours_of_week(calendar, combined.median.len()),
            day_off,
        }
    }

    /// Its demand in an hour without events, with what business metrics did; NaN where it is not known.
    pub fn driven_at(&self, hour: i64) -> f64 {
        self.clean.at(hour) * self.driven.at(hour).mean.exp()
    }

    fn hours_of_week<'b>(&self, calendar: &'b Calendar, horizon: usize) -> &'b [u16] {
        calendar.slice(self.hourly.first, self.hourly.values.len() + horizon)
    }
}

/// `end`, moved by whole weeks to within some weeks of the step wanted.
pub(crate) fn folded(step: Step, end: i64, wanted: i64) -> i64 {
    let week = step.week() as i64;
    let most = week * most_lead_weeks(step);
    let lead = wanted - end;
    if lead > most {
        end + (lead - most + week - 1).div_euclid(week) * week
    } else {
        end
    }
}

/// The hours of a region's own clock at which this region's hours are met.
pub(crate) fn wanted(hours: &[i64], zones: &Zones, region: &RegionName) -> Range<i64> {
    let there = |hour: &i64| same_local_hour(*hour, &zones.here, zones.of(region));
    let first = hours.iter().map(there).min().unwrap_or(0);
    let last = hours.iter().map(there).max().unwrap_or(0);
    first..last + 1
}

/// The series of a service in a region: by its full name, else by its name without namespace.
pub(crate) fn find<'a>(
    history: &'a History,
    region: &RegionName,
    service: &ServiceName,
) -> Option<&'a Series> {
    history
        .requests(region, service)
        .or_else(|| history.requests(region, &ServiceName::new(service.short()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_leads_are_shortened_by_whole_weeks() {
        let folded = |end, wanted| folded(Step::Hour, end, wanted);
        assert_eq!(folded(0, 672), 0);
        assert_eq!(folded(0, 673), 168);
        let moved = folded(5, 100_000);
        assert!((100_000 - moved) <= 4 * 168 && (100_000 - moved) > 3 * 168);
        assert_eq!((moved - 5) % 168, 0);
    }
}
