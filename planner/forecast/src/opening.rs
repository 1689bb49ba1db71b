//! What the net says of a region that is opening: its first hours, or nothing yet, beside donors in local time.

use jiff::tz::TimeZone;

use crate::{
    Step,
    blend::within_reach,
    holidays::DaysOff,
    neural::{Answer, Donor, Forecaster, NeuralError, Window},
    quantiles::Levels,
    source::Source,
    steps::{Calendar, same_local_hour},
};

/// Donors that the net is shown: it was trained with up to four.
const MOST_DONORS: usize = 4;

/// Hours before the instant from which the net answers too while the region has shown nothing: a new day of donors moves the average of three answers
/// a third as much as it moves one, and a plan that nothing happened to stays quiet.
const LAGS: [i64; 3] = [0, 24, 48];

/// A service of an opening region.
#[derive(Debug)]
pub(crate) struct Opening<'a> {
    /// What the region itself shows so far.
    pub own: Option<&'a Source<'a>>,
    /// Other regions that have the service, with their clocks, and what part of their demand is expected.
    pub donors: Vec<(&'a Source<'a>, &'a TimeZone, f64)>,
    /// The region's clock.
    pub here: &'a TimeZone,
    /// Public holidays.
    pub days_off: &'a DaysOff,
    /// The hour (since 1970) from which nothing is known.
    pub as_of: i64,
    /// Standard deviation of the logarithm of how far off the shares may be.
    pub share_spread: f64,
}

/// Quantiles in requests a second by hour.
#[derive(Debug)]
pub(crate) struct Opened {
    first_hour: i64,
    levels: Vec<Levels>,
}

impl Opened {
    /// The quantiles of an hour since 1970; `None` before the net's first.
    pub fn at(&self, hour: i64) -> Option<&Levels> {
        let ahead = usize::try_from(hour - self.first_hour).ok()?;
        self.levels
            .get(within_reach(Step::Hour, ahead, self.levels.len()))
    }
}

impl Opening<'_> {
    /// Asks the net; `None` where nothing says a level.
    pub fn ask(&self, forecaster: Forecaster<'_>) -> Result<Option<Opened>, NeuralError> {
        let (origin, lags) = match self.own {
            // Its own last hours say more than anything.
            Some(own) => (own.hourly.end(), &LAGS[..1]),
            None => (self.as_of, &LAGS[..]),
        };
        let seen: Vec<Seen> = lags
            .iter()
            .map(|lag| self.seen(origin - lag, forecaster.layout().history()))
            .collect();
        let donors: Vec<Vec<Donor<'_>>> = seen.iter().map(Seen::donors).collect();
        let windows: Vec<Window<'_>> = seen
            .iter()
            .zip(&donors)
            .map(|(seen, donors)| Window {
                history: &seen.history,
                step_of_week: seen.step_of_week,
                day_off: &seen.day_off,
                event_log_uplift: &[],
                metrics: &[],
                donors,
                share_spread: self.share_spread,
            })
            .collect();
        let reach = forecaster.layout().horizon();
        let answers = forecaster.answer(&windows)?;
        let answered: Vec<(Answer, usize)> = answers
            .into_iter()
            .zip(lags)
            .filter_map(|(answer, lag)| Some((answer?, *lag as usize)))
            .collect();
        if answered.is_empty() {
            return Ok(None);
        }
        let levels = (0..reach).map(|ahead| {
            let mut mean = Levels::default();
            for (answer, lag) in &answered {
                let said = answer.quantiles_rps(within_reach(Step::Hour, ahead + lag, reach));
                for (mean, said) in mean.iter_mut().zip(said) {
                    *mean += said / answered.len() as f64;
                }
            }
            mean
        });
        Ok(Some(Opened {
            first_hour: origin,
            levels: levels.collect(),
        }))
    }

    /// What is known at an hour since 1970, of so many hours before it.
    fn seen(&self, origin: i64, hours: usize) -> Seen {
        let hours = origin - hours as i64..origin;
        let mut shown: Vec<&(&Source<'_>, &TimeZone, f64)> = self.donors.iter().collect();
        shown.sort_by_key(|(donor, ..)| std::cmp::Reverse(donor.clean.known()));
        shown.truncate(MOST_DONORS);
        let of_donors = shown.iter().map(|(donor, there, share)| {
            let at = |hour| donor.clean.at(same_local_hour(hour, self.here, there)) as f32;
            (hours.clone().map(at).collect(), *share)
        });
        let own = |hour| self.own.map_or(f32::NAN, |own| own.clean.at(hour) as f32);
        let calendar = Calendar::new(Step::Hour, self.here, origin, origin + 1);
        Seen {
            history: hours.clone().map(own).collect(),
            step_of_week: calendar
                .slice(origin, 1)
                .first()
                .copied()
                .map_or(0, u32::from),
            of_donors: of_donors.collect(),
            day_off: self
                .days_off
                .by_hour(None, self.here, hours.clone(), 0, origin),
        }
    }
}

/// What a window is made of.
struct Seen {
    history: Vec<f32>,
    step_of_week: u32,
    day_off: Vec<u8>,
    /// Demand and share of each donor.
    of_donors: Vec<(Vec<f32>, f64)>,
}

impl Seen {
    fn donors(&self) -> Vec<Donor<'_>> {
        let donors = self.of_donors.iter().map(|(demand, share)| Donor {
            demand,
            share: Some(*share),
        });
        donors.collect()
    }
}
