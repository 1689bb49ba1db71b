//! Holidays of countries that do not exist: single days, long weekends, whole weeks, bridge days and eves. What they share with
//! real calendars is how often they fall, that they cluster, and that each service answers in its own way.

use super::{clock::Clock, mixture::CHANCES, mixture::Family, random::Random};

/// Holidays a year that stand alone; that make a block with a weekend; that last a week.
const SINGLES_A_YEAR: f32 = 9.0;
const BLOCKS_A_YEAR: f32 = 1.6;
const WEEKS_A_YEAR: f32 = 0.8;

/// One day of a country's calendar.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Day {
    /// Printed in calendars.
    pub told: bool,
    /// How much of a holiday it is: 1 a holiday, less on eves and bridge days, 0 any other day.
    pub weight: f32,
    /// ln of this holiday's own effect beyond what the service's answer says.
    pub own: f32,
}

/// A country's calendar over the days of a track.
#[derive(Debug, Clone)]
pub(super) struct Calendar(pub Vec<Day>);

impl Calendar {
    pub fn draw(clock: &Clock, off: &[bool; 7], random: &mut Random) -> Self {
        let days = clock.days();
        let mut calendar = Self(vec![Day::default(); days]);
        let years = days as f32 / 365.0;
        let is_off = |day: usize| off.get(clock.weekday(day)).copied().unwrap_or(false);
        for _ in 0..random.poisson(SINGLES_A_YEAR * years) as usize {
            let day = random.below(days.max(1));
            let own = random.gaussian((0.0, 0.1));
            let told = !random.chance(CHANCES.untold_holiday);
            let weight = if random.chance(0.25) {
                random.between(0.1, 0.7)
            } else {
                1.0
            };
            calendar.mark(day, told, weight, own);
            // The day between a holiday and the weekend is printed nowhere.
            let bridge = random.between(0.2, 0.9);
            for (next, beyond) in [
                (Some(day + 1), Some(day + 2)),
                (day.checked_sub(1), day.checked_sub(2)),
            ] {
                if let (Some(next), Some(beyond)) = (next, beyond)
                    && !is_off(next)
                    && is_off(beyond)
                    && !is_off(day)
                {
                    calendar.mark(next, false, bridge, own);
                }
            }
        }
        for _ in 0..random.poisson(BLOCKS_A_YEAR * years) as usize {
            let near = random.below(days.max(1));
            let Some(first) = (near..days).find(|day| is_off(*day)) else {
                continue;
            };
            let own = random.gaussian((-0.05, 0.2));
            for day in first.saturating_sub(1)..first + 3 {
                calendar.mark(day, true, 1.0, own);
            }
        }
        for _ in 0..random.poisson(WEEKS_A_YEAR * years) as usize {
            let first = random.below(days.max(1));
            let length = 3 + random.below(6);
            let own = random.gaussian((-0.1, 0.35));
            let untold = if random.chance(0.4) { 2 } else { 0 };
            for day in first..first + length + untold {
                calendar.mark(day, day < first + length, 1.0, own);
            }
            if let Some(eve) = first.checked_sub(1) {
                calendar.mark(eve, false, random.between(0.0, 0.8), own);
            }
        }
        calendar
    }

    fn mark(&mut self, day: usize, told: bool, weight: f32, own: f32) {
        if let Some(entry) = self.0.get_mut(day)
            && weight >= entry.weight
        {
            *entry = Day {
                told: told || entry.told,
                weight,
                own,
            };
        }
    }

    /// By step: 1 on holidays that calendars print.
    pub fn day_off(&self, clock: &Clock) -> Vec<u8> {
        (0..clock.steps)
            .map(|step| {
                let day = clock.local(step) / clock.steps_per_day();
                u8::from(self.0.get(day).is_some_and(|d| d.told))
            })
            .collect()
    }
}

/// How a service answers to holidays.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    /// How far a holiday becomes a day off of the week, 0 … 1.
    pub like_day_off: f32,
    /// ln of the effect beyond that.
    pub log: f32,
    /// How much each holiday's own effect touches it.
    pub own: f32,
}

impl Answer {
    pub fn draw(family: &Family, random: &mut Random) -> Self {
        if !random.chance(CHANCES.holidays_matter) {
            return Self {
                like_day_off: 0.0,
                log: 0.0,
                own: 0.0,
            };
        }
        let log = random.gaussian(family.holiday_log);
        Self {
            like_day_off: if random.chance(0.65) {
                random.between(0.5, 1.0)
            } else {
                0.0
            },
            log,
            own: (family.holiday_log.1 / 0.2).min(1.5) * random.unit(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_has_as_many_holidays_as_countries_have() {
        let mut random = Random::keyed(2, 0, 3600);
        let weekend = [false, false, false, false, false, true, true];
        let clock = Clock::draw(365 * 24, 3600, &mut random);
        let mut told = 0;
        for _ in 0..200 {
            let calendar = Calendar::draw(&clock, &weekend, &mut random);
            told += calendar.0.iter().filter(|d| d.told).count();
        }
        let a_year = told as f32 / 200.0;
        assert!((12.0..25.0).contains(&a_year), "{a_year}");
    }
}
