//! How many requests enter, when: profile in local time × growth × noise × sale.

use jiff::{Timestamp, civil::Weekday, tz::TimeZone};

use crate::random::Draws;

/// The first instant of the history.
pub const STARTS: &str = "2026-10-05T00:00:00Z";
/// The instant after its last step.
pub const ENDS: &str = "2026-12-01T00:00:00Z";
/// Seconds of a step.
pub const STEP_S: i64 = 900;
/// The one event of the past: name, start, end, uplift.
pub const AUTUMN_SALE: (&str, &str, &str, f64) = (
    "autumn sale",
    "2026-10-23T06:00:00Z",
    "2026-10-26T22:00:00Z",
    1.55,
);

/// Share of the evening's rate by local hour, web shop: a lunch hump and an evening peak.
const WEB_BY_HOUR: [f64; 24] = [
    0.27, 0.18, 0.13, 0.11, 0.11, 0.14, 0.22, 0.34, 0.47, 0.58, 0.65, 0.71, 0.77, 0.74, 0.68, 0.66,
    0.69, 0.76, 0.86, 0.96, 1.00, 0.94, 0.72, 0.45,
];
/// The same for phones: they wake earlier and go to bed later.
const MOBILE_BY_HOUR: [f64; 24] = [
    0.36, 0.24, 0.16, 0.13, 0.14, 0.20, 0.37, 0.58, 0.64, 0.58, 0.57, 0.64, 0.78, 0.73, 0.62, 0.60,
    0.67, 0.81, 0.88, 0.94, 1.00, 0.98, 0.84, 0.58,
];

/// What a kind of customer does over the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// People at a desk.
    Web,
    /// People with a phone.
    Mobile,
}

impl Profile {
    /// The share of the average evening's rate at an instant, in local time; between hours it is interpolated.
    pub fn at(self, at: Timestamp, timezone: &TimeZone) -> f64 {
        let local = at.to_zoned(timezone.clone());
        let by_hour = match self {
            Self::Web => &WEB_BY_HOUR,
            Self::Mobile => &MOBILE_BY_HOUR,
        };
        let hour = usize::from(local.hour().unsigned_abs());
        let part = f64::from(local.minute()) / 60.0;
        let share = by_hour[hour % 24] * (1.0 - part) + by_hour[(hour + 1) % 24] * part;
        let week = match (self, local.weekday()) {
            (Self::Web, Weekday::Saturday) => 0.92,
            (Self::Web, Weekday::Sunday) => 1.12,
            (Self::Mobile, Weekday::Saturday) => 1.15,
            (Self::Mobile, Weekday::Sunday) => 1.20,
            (_, Weekday::Monday) => 1.04,
            (_, Weekday::Friday) => 0.95,
            _ => 1.0,
        };
        share * week
    }
}

/// The rates of one entry of one region, step by step.
#[derive(Debug)]
pub struct Rates {
    draws: Draws,
    profile: Profile,
    timezone: TimeZone,
    evening_rps: f64,
    starts: Timestamp,
    noise: f64,
}

impl Rates {
    /// Rates that start at `starts`; `purpose` names the stream of draws.
    pub fn new(
        seed: u64,
        purpose: &str,
        profile: Profile,
        timezone: TimeZone,
        evening_rps: f64,
        starts: Timestamp,
    ) -> Self {
        Self {
            draws: Draws::new(seed, purpose),
            profile,
            timezone,
            evening_rps,
            starts,
            noise: 0.0,
        }
    }

    /// The mean rate over the step that begins at `at`; `uplift` multiplies it.
    pub fn next(&mut self, at: Timestamp, uplift: f64) -> f64 {
        let days = at.duration_since(self.starts).as_secs_f64() / 86_400.0;
        let growth = 1.0 + 0.0012 * days;
        // Slow wander that remembers, and what single requests add.
        self.noise = 0.92 * self.noise + 0.012 * self.draws.normal();
        let sampling = 0.015 * self.draws.normal();
        let mean = self.evening_rps * self.profile.at(at, &self.timezone) * growth * uplift;
        mean * (self.noise + sampling).exp()
    }
}
