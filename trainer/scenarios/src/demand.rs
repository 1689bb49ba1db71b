//! What is asked of the region: a day and a week in shape, a forecast that knows less the further it looks, now and then a campaign.

use std::collections::BTreeMap;

use foremesh_model::{
    Demand, Dependence, EntryDemand, QUANTILE_LEVELS, RegionName, ServiceName, Timestamp,
};
use foremesh_simulate::analytic::normal_score;

use crate::{ScenarioError, random::Random};

/// 1 January 2026, midnight in UTC, a Thursday.
const FIRST_DAY_S: i64 = 1_767_225_600;
const DAY_S: i64 = 86_400;
/// Of the week's days, by what 1 January 2026 is: Saturday and Sunday.
const WEEKEND: std::ops::RangeInclusive<i64> = 2..=3;

const REGIONS: [(&str, &str); 6] = [
    ("eu-west-3", "Europe/Paris"),
    ("us-east-1", "America/New_York"),
    ("ap-southeast-2", "Australia/Sydney"),
    ("ap-south-1", "Asia/Kolkata"),
    ("sa-east-1", "America/Sao_Paulo"),
    ("eu-central-1", "Europe/Berlin"),
];

/// What the busiest region is asked, in requests a second.
const MOST_RPS: f64 = 3_000.0;

/// The level of the whole region and the share of each entry.
pub(crate) struct Level {
    /// Requests a second that enter in the median of each entry's busiest hour, all entries together.
    pub total_rps: f64,
    /// By entry; they add up to 1.
    pub shares: Vec<f64>,
}

impl Level {
    /// Nearly log-uniform up to [`MOST_RPS`]; a region of many services has some traffic at least.
    pub fn drawn(services: usize, entries: usize, random: &mut Random) -> Self {
        let least = (0.5 * (services as f64).powf(1.15)).clamp(1.0, 400.0);
        let total_rps = least * (MOST_RPS / least).powf(random.unit().powf(0.75));
        let weights: Vec<f64> = (0..entries).map(|_| random.log_normal(1.0, 1.0)).collect();
        let sum: f64 = weights.iter().sum();
        Self {
            total_rps,
            shares: weights.into_iter().map(|weight| weight / sum).collect(),
        }
    }
}

/// Draws the demand of entries of known levels.
pub(crate) fn draw(
    entries: &[(ServiceName, f64)],
    seed: u64,
    random: &mut Random,
) -> Result<Demand, ScenarioError> {
    let hours = random.of_weighted(&[(24usize, 0.4), (48, 0.3), (72, 0.3)], 24);
    let (region, timezone) = REGIONS[random.below(REGIONS.len())];
    let starts = FIRST_DAY_S + DAY_S * random.below(364) as i64 + 3_600 * random.below(24) as i64;
    let lead_h = random.log_between(1.0, 72.0) as i64;
    // A region that launches knows its demand from others; one that runs knows its own.
    let cold = random.chance(0.4);
    let spread = if cold {
        random.log_between(0.2, 0.45)
    } else {
        random.log_between(0.05, 0.25)
    };
    let autocorrelation = random.between(0.3, 0.97);
    let loading = random.between(0.1, 0.95);
    let peak_hour = random.between(10.0, 21.0);
    let campaign = random.chance(0.2).then(|| Campaign {
        from: random.below(hours),
        hours: 1 + random.below(8),
        uplift: random.log_between(1.3, 3.0),
    });
    let mut by_name = BTreeMap::new();
    for (name, level_rps) in entries {
        let day = Day::drawn(peak_hour, random);
        let touched = random.chance(0.7);
        let spread = (spread * random.log_normal(1.0, 0.2)).clamp(0.05, 0.5);
        let mut course: Vec<f64> = (0..hours)
            .map(|hour| {
                let at_s = starts + 3_600 * hour as i64;
                let rise = campaign.as_ref().filter(|c| touched && c.lasts(hour));
                day.at(at_s) * rise.map_or(1.0, |c| c.uplift) * random.log_normal(1.0, 0.03)
            })
            .collect();
        let highest = course.iter().copied().fold(1e-9, f64::max);
        course
            .iter_mut()
            .for_each(|value| *value *= level_rps / highest);
        // The forecast of a surprise is open upwards.
        let upwards = random.between(1.0, 1.4);
        let quantiles_rps = course
            .iter()
            .enumerate()
            .map(|(hour, median)| {
                let ahead = (lead_h as f64 + hour as f64) / 144.0;
                let deviation = (spread * (0.7 + 0.6 * ahead.sqrt())).clamp(0.05, 0.5);
                quantiles(*median, deviation, upwards)
            })
            .collect();
        let burst = random.unit();
        by_name.insert(
            name.clone(),
            EntryDemand {
                quantiles_rps,
                peak_to_mean: 1.02 + 0.9 * burst * burst * random.between(0.5, 1.0),
                dispersion: 10f64.powf(burst * burst),
                common_loading: (loading + 0.1 * random.normal()).clamp(0.0, 0.98),
            },
        );
    }
    let at = |seconds| Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    Ok(Demand {
        region: RegionName::new(region)?,
        timezone: timezone.into(),
        as_of: at(starts - 3_600 * lead_h),
        starts: at(starts),
        step_s: 3_600,
        entries: by_name,
        dependence: Dependence { autocorrelation },
        seed,
        method: "scenario".into(),
    }
    .canonical())
}

fn quantiles(median: f64, deviation: f64, upwards: f64) -> Vec<f64> {
    QUANTILE_LEVELS
        .into_iter()
        .map(|level| {
            let score = normal_score(level);
            let widened = if score > 0.0 { score * upwards } else { score };
            median * (deviation * widened).exp()
        })
        .collect()
}

/// A sale or a launch.
struct Campaign {
    from: usize,
    hours: usize,
    uplift: f64,
}

impl Campaign {
    fn lasts(&self, hour: usize) -> bool {
        (self.from..self.from + self.hours).contains(&hour)
    }
}

/// How the hours of a day and the days of a week differ.
struct Day {
    peak_hour: f64,
    /// What the quietest hour is of the busiest.
    night: f64,
    /// Above 1 the peak is narrow.
    sharpness: f64,
    /// A second, lower peak so many hours before the first, with this height.
    earlier: (f64, f64),
    weekend: f64,
}

impl Day {
    fn drawn(peak_hour: f64, random: &mut Random) -> Self {
        // Machines and partners in other time zones ask by night as by day.
        let steady = random.chance(0.12);
        Self {
            peak_hour: peak_hour + 1.5 * random.normal(),
            night: if steady {
                0.85
            } else {
                random.between(0.08, 0.6)
            },
            sharpness: random.log_between(0.7, 2.5),
            earlier: (random.between(4.0, 9.0), random.between(0.0, 0.9)),
            weekend: random.log_normal(0.9, 0.25).clamp(0.4, 1.6),
        }
    }

    fn at(&self, instant_s: i64) -> f64 {
        let hour = (instant_s.rem_euclid(DAY_S)) as f64 / 3_600.0;
        let bump = |peak: f64| {
            let angle = (hour - peak) / 24.0 * std::f64::consts::TAU;
            (0.5 + 0.5 * angle.cos()).powf(self.sharpness)
        };
        let (before, height) = self.earlier;
        let high = bump(self.peak_hour).max(height * bump(self.peak_hour - before));
        let days = (instant_s - FIRST_DAY_S).div_euclid(DAY_S).rem_euclid(7);
        let week = if WEEKEND.contains(&days) {
            self.weekend
        } else {
            1.0
        };
        week * (self.night + (1.0 - self.night) * high)
    }
}
