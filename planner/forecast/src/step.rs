//! The grids that series are forecast on. All that methods know of time they ask here, so that there is one ensemble and not one for each grid.

use std::{fmt, str::FromStr};

use foremesh_model::Timestamp;

/// The steps that a series is forecast in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Step {
    /// Five minutes.
    FiveMinutes,
    /// An hour.
    #[default]
    Hour,
    /// A day.
    Day,
}

/// What a text is, if it names no step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write 5m, 1h or 1d")]
pub struct NoStep;

const HOUR_S: i64 = 3600;
const DAY_S: i64 = 86_400;

impl Step {
    /// All of them, from fine to coarse.
    pub const ALL: [Step; 3] = [Step::FiveMinutes, Step::Hour, Step::Day];

    /// Seconds of a step.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        match self {
            Self::FiveMinutes => 300,
            Self::Hour => HOUR_S,
            Self::Day => DAY_S,
        }
    }

    /// The furthest horizon in steps: two days of five minutes, two weeks of hours or days. Further ahead five minutes of one hour differ by
    /// nothing that can be foreseen.
    #[must_use]
    pub const fn most_horizon(self) -> u32 {
        match self {
            Self::FiveMinutes => 576,
            Self::Hour => 336,
            Self::Day => 14,
        }
    }

    /// Weeks of history that are looked at; older values move no forecast of two weeks, and five minutes are many.
    #[must_use]
    pub const fn kept_weeks(self) -> usize {
        match self {
            Self::FiveMinutes => 7,
            Self::Hour => 26,
            Self::Day => 104,
        }
    }

    /// The instant at which a step since 1970 begins.
    pub(crate) fn start_of(self, at: i64) -> Timestamp {
        Timestamp::from_second(at.saturating_mul(self.seconds())).unwrap_or(Timestamp::MAX)
    }

    /// Steps of a day.
    pub(crate) const fn day(self) -> usize {
        (DAY_S / self.seconds()) as usize
    }

    /// Steps of a week.
    pub(crate) const fn week(self) -> usize {
        7 * self.day()
    }

    /// Steps in so many hours, at least one.
    pub(crate) const fn hours(self, hours: usize) -> usize {
        let steps = hours as i64 * HOUR_S / self.seconds();
        if steps < 1 { 1 } else { steps as usize }
    }

    /// Hours of a step.
    pub(crate) fn in_hours(self) -> f64 {
        self.seconds() as f64 / HOUR_S as f64
    }

    /// A gain of smoothing by the hour as one by the step: what is left of a value after an hour is the same. A day is no
    /// twenty-four hours of the same noise: its gains are taken as they are.
    pub(crate) fn gain(self, of_an_hour: f64) -> f64 {
        match self {
            Self::Hour | Self::Day => of_an_hour,
            Self::FiveMinutes => 1.0 - self.carry(1.0 - of_an_hour),
        }
    }

    /// What is left after a step of something of which so much is left after an hour.
    pub(crate) fn carry(self, of_an_hour: f64) -> f64 {
        match self {
            Self::Hour => of_an_hour,
            _ => of_an_hour.powf(self.in_hours()),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FiveMinutes => "5m",
            Self::Hour => "1h",
            Self::Day => "1d",
        })
    }
}

impl FromStr for Step {
    type Err = NoStep;

    fn from_str(text: &str) -> Result<Self, NoStep> {
        let found = Self::ALL.into_iter().find(|step| step.to_string() == text);
        found.ok_or(NoStep)
    }
}

/// Seconds as people write them: `5m`, `48h`, `14d`.
pub(crate) fn duration(seconds: i64) -> String {
    match seconds {
        s if s >= 3 * DAY_S && s % DAY_S == 0 => format!("{}d", s / DAY_S),
        s if s == DAY_S => "1d".into(),
        s if s % HOUR_S == 0 => format!("{}h", s / HOUR_S),
        s if s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_read_as_it_is_written() {
        for step in Step::ALL {
            assert_eq!(step.to_string().parse(), Ok(step));
            assert_eq!(step.week(), 7 * step.day());
        }
        assert_eq!("10m".parse::<Step>(), Err(NoStep));
        assert_eq!(
            [300, 7200, 86_400, 172_800, 1_209_600, 90].map(duration),
            ["5m", "2h", "1d", "48h", "14d", "90s"]
        );
    }

    #[test]
    fn an_hour_of_steps_leaves_what_an_hour_leaves() {
        let step = Step::FiveMinutes;
        assert!(((1.0 - step.gain(0.3)).powi(12) - 0.7).abs() < 1e-12);
        assert_eq!(Step::Hour.gain(0.3), 0.3);
        assert_eq!(Step::Hour.carry(0.7), 0.7);
        assert_eq!((Step::Day.hours(6), step.hours(6)), (1, 72));
    }
}
