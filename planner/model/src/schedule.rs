//! Instances over time, written as one short text so that a profile of hundreds of services stays readable and small.

use std::{fmt, ops::Deref, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// From an hour on, this many instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScheduleStep {
    /// Hours after the start of the plan.
    pub starts_hour: u32,
    /// Instances from then on.
    pub instances: u32,
}

/// Instances over time, run-length coded: each step holds until the next. Written `hour:instances`, joined by commas:
/// `0:4,7:9,22:4` is four instances, nine from hour 7 on, four again from hour 22 on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Schedule(Vec<ScheduleStep>);

/// Why a schedule was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScheduleError {
    /// A step is not `hour:instances`.
    #[error("{0:?} is not a step of a schedule: write hour:instances, for example 0:4,7:9")]
    Step(String),
    /// The steps do not start at hour 0 or do not rise.
    #[error(
        "the schedule {0:?} does not start at hour 0 or its hours do not rise: write for example 0:4,7:9"
    )]
    Order(String),
}

impl Schedule {
    /// Codes one number of instances for each hour.
    pub fn from_hours(by_hour: &[u32]) -> Self {
        let mut steps: Vec<ScheduleStep> = Vec::new();
        for (hour, instances) in by_hour.iter().enumerate() {
            if steps.last().is_none_or(|last| last.instances != *instances) {
                steps.push(ScheduleStep {
                    starts_hour: hour as u32,
                    instances: *instances,
                });
            }
        }
        Self(steps)
    }

    /// Instances at an hour; 0 for an empty schedule.
    pub fn at(&self, hour: u32) -> u32 {
        self.0
            .iter()
            .take_while(|step| step.starts_hour <= hour)
            .last()
            .map_or(0, |step| step.instances)
    }

    /// The instances of the first `hours` hours, one number each.
    pub fn by_hour(&self, hours: u32) -> Vec<u32> {
        (0..hours).map(|hour| self.at(hour)).collect()
    }

    /// The fewest instances of any step; 0 for an empty schedule.
    pub fn fewest(&self) -> u32 {
        self.0.iter().map(|step| step.instances).min().unwrap_or(0)
    }

    /// The most instances of any step; 0 for an empty schedule.
    pub fn most(&self) -> u32 {
        self.0.iter().map(|step| step.instances).max().unwrap_or(0)
    }
}

impl Deref for Schedule {
    type Target = [ScheduleStep];
    fn deref(&self) -> &[ScheduleStep] {
        &self.0
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            write!(
                f,
                "{}{}:{}",
                if i == 0 { "" } else { "," },
                step.starts_hour,
                step.instances
            )?;
        }
        Ok(())
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;
    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let mut steps: Vec<ScheduleStep> = Vec::new();
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let step = part
                .split_once(':')
                .and_then(|(hour, instances)| {
                    Some((hour.trim().parse().ok()?, instances.trim().parse().ok()?))
                })
                .ok_or_else(|| ScheduleError::Step(part.into()))?;
            steps.push(ScheduleStep {
                starts_hour: step.0,
                instances: step.1,
            });
        }
        let rises = steps
            .windows(2)
            .all(|pair| pair[0].starts_hour < pair[1].starts_hour);
        if rises && steps.first().is_none_or(|first| first.starts_hour == 0) {
            Ok(Self(steps))
        } else {
            Err(ScheduleError::Order(text.into()))
        }
    }
}

impl TryFrom<String> for Schedule {
    type Error = ScheduleError;
    fn try_from(text: String) -> Result<Self, ScheduleError> {
        text.parse()
    }
}

impl From<Schedule> for String {
    fn from(schedule: Schedule) -> String {
        schedule.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_become_steps_and_text_and_come_back() {
        let schedule = Schedule::from_hours(&[4, 4, 9, 9, 9, 4]);
        assert_eq!(schedule.to_string(), "0:4,2:9,5:4");
        assert_eq!("0:4, 2:9,5:4".parse(), Ok(schedule.clone()));
        assert_eq!(schedule.by_hour(7), [4, 4, 9, 9, 9, 4, 4]);
        assert_eq!(
            (schedule.fewest(), schedule.most(), schedule.len()),
            (4, 9, 3)
        );
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        assert_eq!(
            "0:4,x".parse::<Schedule>(),
            Err(ScheduleError::Step("x".into()))
        );
        assert_eq!(
            "1:4".parse::<Schedule>(),
            Err(ScheduleError::Order("1:4".into()))
        );
        assert_eq!(
            "0:4,0:5".parse::<Schedule>(),
            Err(ScheduleError::Order("0:4,0:5".into()))
        );
    }
}
