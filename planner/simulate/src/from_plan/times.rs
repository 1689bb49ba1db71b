//! What of a plan changes over time: instances by hour, and the go-live ramp.

use foremesh_model::{Schedule, Settings};

use crate::{InstanceStep, RampStep};

/// The schedule from an hour on, standby included. What an hour has more is ordered so long before it that it is ready and warm when the hour
/// begins, as the rendered autoscalers order it; what it has less goes when it begins.
pub(super) fn steps(
    schedule: &Schedule,
    standby: u32,
    from_hour: u32,
    horizon_hours: u32,
    lead_s: f64,
) -> Vec<InstanceStep> {
    let mut last = InstanceStep {
        starts_s: 0.0,
        instances: schedule.at(from_hour) + standby,
    };
    let mut steps = vec![last];
    for hour in from_hour + 1..horizon_hours.max(from_hour + 1) {
        let instances = schedule.at(hour) + standby;
        if instances == last.instances {
            continue;
        }
        let begins_s = f64::from(hour - from_hour) * 3600.0;
        let ahead_s = if instances > last.instances {
            lead_s
        } else {
            0.0
        };
        last = InstanceStep {
            // Not before what the hours before it ordered.
            starts_s: (begins_s - ahead_s).max(last.starts_s),
            instances,
        };
        steps.push(last);
    }
    // What was ordered before the start is there at the start.
    let there = steps.iter().take_while(|step| step.starts_s <= 0.0).count();
    steps.drain(..there - 1);
    steps
}

/// The stages of the go-live ramp that an hour and those after it see.
pub(super) fn ramp(settings: &Settings, from_hour: u32) -> Vec<RampStep> {
    let starts_s = |minute: u32| f64::from(minute) * 60.0 - f64::from(from_hour) * 3600.0;
    let steps = settings.ramp.iter().map(|stage| RampStep {
        starts_s: starts_s(stage.starts_minute).max(0.0),
        share: f64::from(stage.percent) / 100.0,
    });
    let steps: Vec<RampStep> = steps.collect();
    // Once everything is let in there is nothing to draw.
    let over = steps
        .last()
        .is_some_and(|last| last.starts_s <= 0.0 && last.share >= 1.0);
    if over { Vec::new() } else { steps }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_are_ordered_ahead_and_falls_wait_for_their_hour() {
        let schedule = Schedule::from_hours(&[2, 4, 4, 3, 6]);
        let found = |from_hour: u32, lead_s: f64| -> Vec<(f64, u32)> {
            let steps = steps(&schedule, 1, from_hour, 5, lead_s);
            steps.iter().map(|s| (s.starts_s, s.instances)).collect()
        };
        let hour = |n: u32| f64::from(n) * 3600.0;
        assert_eq!(
            found(0, 150.0),
            [
                (0.0, 3),
                (hour(1) - 150.0, 5),
                (hour(3), 4),
                (hour(4) - 150.0, 7)
            ]
        );
        assert_eq!(found(2, 0.0), [(0.0, 5), (hour(1), 4), (hour(2), 7)]);
        // Longer than an hour: what the first hour's rise needs was ordered before, and a rise never overtakes the fall before it.
        assert_eq!(found(0, 4000.0), [(0.0, 5), (hour(3), 4), (hour(3), 7)]);
    }
}
