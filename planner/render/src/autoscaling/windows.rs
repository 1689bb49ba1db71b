//! A schedule of hours as cron windows in the region's local time.
//!
//! KEDA takes the greatest of all active triggers, so windows may touch and overlap: a step that needs more instances
//! begins early, by the time in which an instance starts and warms up, and the first begins an hour before go-live, because warm-up helps
//! no instance when all are new.
//!
//! After the horizon the most instances are held, so that a plan that nobody renewed costs money and not the region. Cron knows no year:
//! a plan's windows lie within one, and what ends on a day of next year is taken for this year's where the object is applied before that
//! day of this year. So the hold ends 330 days after the start unless `hold_hours` says otherwise: long enough for any plan to
//! be renewed, and an object may be applied up to 35 days ahead without holding the most before go-live. Once the hold has ended, and until
//! the plan's days come round again, the fewest instances are left (and what measured requests ask for, where a Prometheus is named).
//!
//! Local hours repeat when summer time ends, and cron would take the first of the two. A boundary in such an hour is moved outwards
//! (starts earlier, ends later) by an hour.

use foremesh_model::{ServiceName, ServiceSettings, Settings, Timestamp};
use jiff::{SignedDuration, tz::TimeZone};

use crate::{RenderError, RenderOptions};

/// A time in which a number of instances is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) name: String,
    pub(super) start: String,
    pub(super) end: String,
    pub(super) instances: u32,
}

/// Minutes before the plan's start at which its first instances are wanted.
const FIRST_LEAD_MINUTES: i64 = 60;
/// Windows must lie within one year; some days are kept for the leads.
const LONGEST_HOURS: u32 = 360 * 24;
/// Hours after the plan's start until which the most instances are held where the options say nothing; the rest of the year is how
/// long before the start an object may be applied.
const HELD_UNTIL_HOURS: u32 = 330 * 24;
/// Until an ordered instance is ready and begins to warm up. The settings know no start-up time, so a minute is assumed.
const START_S: u32 = 60;
/// Until a window that has begun changes the number of instances: KEDA's polling (15 s) and the autoscaler's next look (15 s).
const NOTICED_S: u32 = 30;
/// No rise begins later than this before its hour: a service with a short warm-up has to start all the same.
const LEAST_LEAD_MINUTES: u32 = 3;

pub(super) fn of(
    settings: &Settings,
    options: &RenderOptions,
    name: &ServiceName,
    service: &ServiceSettings,
) -> Result<Vec<Window>, RenderError> {
    let too_long = || RenderError::Value {
        path: format!(
            "services[{:?}].instances, horizon_hours and the option hold_hours",
            name.as_str()
        ),
        value: "a time of more than 360 days".into(),
        must: "shorter: cron windows know no year".into(),
    };
    let zone = TimeZone::get(&settings.timezone).map_err(|_| RenderError::Value {
        path: "timezone".into(),
        value: settings.timezone.clone(),
        must: "an IANA time zone, for example Europe/Paris".into(),
    })?;
    let last_step = service.instances.last().map_or(0, |step| step.starts_hour);
    let horizon = settings.horizon_hours.max(last_step.saturating_add(1));
    // KEDA refuses an object without triggers; a schedule that never moves still has this one.
    let hold_until = match options.hold_hours {
        Some(hours) => horizon.saturating_add(hours.max(1)),
        None => horizon.saturating_add(1).max(HELD_UNTIL_HOURS),
    };
    if hold_until > LONGEST_HOURS {
        return Err(too_long());
    }
    let lead_minutes = lead_minutes(service.warm_up.duration_s);
    let fewest = service.fewest_instances();
    let most = service.most_scheduled_instances();
    let at = |hour: u32, lead: i64| {
        settings
            .starts
            .checked_add(SignedDuration::from_mins(i64::from(hour) * 60 - lead))
            .map_err(|_| too_long())
    };
    let window = |name: String, (from, lead): (u32, i64), to: u32, instances: u32| {
        Ok::<_, RenderError>(Window {
            name,
            start: cron(at(from, lead)?, &zone, -1),
            end: cron(at(to, 0)?, &zone, 1),
            instances,
        })
    };
    let mut windows = Vec::new();
    let mut before = 0;
    for (index, step) in service.instances.iter().enumerate() {
        let until = service
            .instances
            .get(index + 1)
            .map_or(horizon, |next| next.starts_hour);
        let instances = step.instances.saturating_add(service.standby_instances);
        let lead = match index {
            0 => lead_minutes.max(FIRST_LEAD_MINUTES),
            _ if instances > before => lead_minutes,
            _ => 0,
        };
        if instances > fewest {
            let name = format!("hour-{}", step.starts_hour);
            windows.push(window(name, (step.starts_hour, lead), until, instances)?);
        }
        before = instances;
    }
    windows.push(window(
        "after-the-plan".into(),
        (horizon, 0),
        hold_until,
        most,
    )?);
    Ok(without_twins(windows))
}

/// Of windows that became one where clocks go back, the one that wants the most: KEDA would take it as well.
fn without_twins(windows: Vec<Window>) -> Vec<Window> {
    let mut kept: Vec<Window> = Vec::with_capacity(windows.len());
    for window in windows {
        let twin = kept
            .iter_mut()
            .find(|other| (&other.start, &other.end) == (&window.start, &window.end));
        match twin {
            Some(twin) if twin.instances < window.instances => *twin = window,
            Some(_) => {}
            None => kept.push(window),
        }
    }
    kept
}

/// How long before its hour a rise begins: an instance is ordered, starts, and only then warms up.
fn lead_minutes(warm_up_s: u32) -> i64 {
    let ready_s = warm_up_s.saturating_add(START_S + NOTICED_S);
    i64::from(ready_s.div_ceil(60).max(LEAST_LEAD_MINUTES))
}

/// `minute hour day month *` in local time; a moment whose local time comes twice is moved by hours towards `outwards`.
fn cron(moment: Timestamp, zone: &TimeZone, outwards: i64) -> String {
    let mut moment = moment;
    for _ in 0..3 {
        let local = zone.to_datetime(moment);
        if !zone.to_ambiguous_timestamp(local).is_ambiguous() {
            break;
        }
        match moment.checked_add(SignedDuration::from_hours(outwards)) {
            Ok(moved) => moment = moved,
            Err(_) => break,
        }
    }
    let local = zone.to_datetime(moment);
    format!(
        "{} {} {} {} *",
        local.minute(),
        local.hour(),
        local.day(),
        local.month()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        serde_json::from_str(include_str!("../../tests/data/shop.json")).unwrap()
    }

    fn windows(settings: &Settings, options: &RenderOptions) -> Vec<(String, String, u32)> {
        let (name, service) = settings.services.first_key_value().unwrap();
        of(settings, options, name, service)
            .unwrap()
            .into_iter()
            .map(|window| (window.start, window.end, window.instances))
            .collect()
    }

    fn window(start: &str, end: &str, instances: u32) -> (String, String, u32) {
        (start.into(), end.into(), instances)
    }

    #[test]
    fn steps_become_local_windows_that_begin_early_when_they_rise() {
        let mut settings = settings();
        let service = settings.services.first_entry().unwrap().into_mut();
        service.instances = "0:4,1:2,7:9,8:3".parse().unwrap();
        service.standby_instances = 1;
        service.warm_up.duration_s = 90;
        settings.horizon_hours = 12;
        let options = RenderOptions {
            hold_hours: Some(24),
            ..RenderOptions::default()
        };
        // 06:00 UTC is 07:00 in Paris.
        assert_eq!(
            windows(&settings, &options),
            [
                window("0 6 1 12 *", "0 8 1 12 *", 5),
                window("57 13 1 12 *", "0 15 1 12 *", 10),
                window("0 15 1 12 *", "0 19 1 12 *", 4),
                window("0 19 1 12 *", "0 19 2 12 *", 10),
            ]
        );
    }

    #[test]
    fn an_hour_that_comes_twice_widens_the_window() {
        let mut settings = settings();
        let service = settings.services.first_entry().unwrap().into_mut();
        service.instances = "0:9,1:5,2:1".parse().unwrap();
        service.standby_instances = 0;
        service.warm_up.duration_s = 0;
        settings.horizon_hours = 4;
        // Summer time ends on 25 October 2026 at 01:00 UTC: 02:00 comes at 00:00 and again at 01:00 UTC.
        settings.starts = "2026-10-24T23:00:00Z".parse().unwrap();
        let options = RenderOptions {
            hold_hours: Some(0),
            ..RenderOptions::default()
        };
        assert_eq!(
            windows(&settings, &options)[1],
            window("0 1 25 10 *", "0 3 25 10 *", 5)
        );
    }

    #[test]
    fn windows_that_became_one_are_written_once_with_the_most() {
        let windows = vec![
            window("0 1 1 11 *", "0 2 1 11 *", 2),
            window("0 1 1 11 *", "0 2 1 11 *", 3),
            window("0 2 1 11 *", "0 3 1 11 *", 1),
        ]
        .into_iter()
        .map(|(start, end, instances)| Window {
            name: String::new(),
            start,
            end,
            instances,
        })
        .collect();
        let kept: Vec<u32> = without_twins(windows).iter().map(|w| w.instances).collect();
        assert_eq!(kept, [3, 1]);
    }

    #[test]
    fn a_rise_begins_early_enough_to_start_and_to_warm_up() {
        for (warm_up_s, minutes) in [
            (0, 3),
            (60, 3),
            (90, 3),
            (150, 4),
            (151, 5),
            (300, 7),
            (u32::MAX, 71_582_789),
        ] {
            assert_eq!(lead_minutes(warm_up_s), minutes, "{warm_up_s} s");
        }
    }

    #[test]
    fn the_most_instances_are_held_for_most_of_a_year_unless_the_options_say_otherwise() {
        let mut settings = settings();
        let last = |settings: &Settings, hold_hours| {
            let options = RenderOptions {
                hold_hours,
                ..RenderOptions::default()
            };
            windows(settings, &options).pop().unwrap()
        };
        // 1 December 2026 and 330 days is 27 October 2027; the most are five.
        assert_eq!(
            last(&settings, None),
            window("0 7 3 12 *", "0 8 27 10 *", 5)
        );
        assert_eq!(
            last(&settings, Some(168)),
            window("0 7 3 12 *", "0 7 10 12 *", 5)
        );
        // A plan that is longer than that is still held, and no window is without length.
        settings.horizon_hours = HELD_UNTIL_HOURS + 24;
        let (start, end, _) = last(&settings, None);
        assert_ne!(start, end);
    }

    #[test]
    fn half_hour_zones_keep_their_minutes_and_long_plans_are_refused() {
        let mut settings = settings();
        settings.timezone = "Asia/Kolkata".into();
        assert!(
            windows(&settings, &RenderOptions::default())[0]
                .1
                .starts_with("30 ")
        );
        settings.horizon_hours = u32::MAX;
        let (name, service) = settings.services.first_key_value().unwrap();
        let refused = of(&settings, &RenderOptions::default(), name, service).unwrap_err();
        assert!(refused.to_string().contains("no year"), "{refused}");
    }
}
