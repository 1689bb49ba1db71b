//! Series that rest more than half of their steps: whether a step is busy, and how busy if it is, forecast apart.
//!
//! On a logarithm, rest and work are two worlds, and a median between both is in neither. So: the chance that a step is busy, as Teunter, Syntetos &
//! Babai (2011) smooth it ("Intermittent demand: linking forecasting to inventory obsolescence", EJOR 214), here by hour of the week, each shrunk towards
//! the hour of the day and that towards all; and the distribution of the busy steps as it was seen. Quantiles are those of the mixture of both with rest.

use crate::{
    Step,
    quantiles::{self, Levels},
};
use foremesh_model::QUANTILE_LEVELS;

/// Busy steps below which nothing is known of how busy they are.
const FEWEST_BUSY: usize = 3;
/// Days of history below which rest may be the night.
const FEWEST_DAYS: usize = 4;
/// Days after which a step weighs half.
const HALF_LIFE_DAYS: f64 = 14.0;
/// Hours that pull an hour of the day towards all hours, and an hour of the week towards that of the day.
const DAY_PRIOR: f64 = 6.0;
const WEEK_PRIOR: f64 = 4.0;

/// Weight of busy steps and of all.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    busy: f64,
    all: f64,
}

impl Seen {
    fn add(&mut self, weight: f64, busy: bool) {
        self.busy += if busy { weight } else { 0.0 };
        self.all += weight;
    }

    fn chance(self, expected: f64, prior: f64) -> f64 {
        (self.busy + prior * expected) / (self.all + prior)
    }
}

/// Whether a series mostly rests, and enough is known of it to say how.
pub(crate) fn rests(step: Step, values: &[f64]) -> bool {
    let known = values.iter().filter(|v| !v.is_nan()).count();
    let busy = values.iter().filter(|v| **v > 0.0).count();
    busy >= FEWEST_BUSY && known >= FEWEST_DAYS * step.day() && busy * 2 < known
}

/// Quantiles in requests a second of `horizon` steps after `values` (NaN is a gap); `step_of_week` covers both. `None` where the series is not one that
/// mostly rests, or too little is known.
pub(crate) fn levels(
    step: Step,
    values: &[f64],
    step_of_week: &[u16],
    horizon: usize,
) -> Option<Vec<Levels>> {
    let mut sizes: Vec<f64> = values.iter().copied().filter(|v| *v > 0.0).collect();
    let ahead = step_of_week.get(values.len()..values.len() + horizon)?;
    if !rests(step, values) {
        return None;
    }
    sizes.sort_unstable_by(f64::total_cmp);
    let hour = step.hours(1);
    let (of_day, of_week) = (step.day() / hour, step.week() / hour);
    let mut all = Seen::default();
    let (mut days, mut weeks) = (vec![all; of_day], vec![all; of_week]);
    let half_life = HALF_LIFE_DAYS * step.day() as f64;
    for (at, (value, slot)) in values.iter().zip(step_of_week).enumerate() {
        if value.is_nan() {
            continue;
        }
        let age = (values.len() - 1 - at) as f64;
        let weight = (-age / half_life).exp2() / hour as f64;
        let cell = usize::from(*slot) / hour;
        all.add(weight, *value > 0.0);
        days[cell % of_day].add(weight, *value > 0.0);
        weeks[cell % of_week].add(weight, *value > 0.0);
    }
    let anywhere = all.chance(0.0, 0.0);
    let of_slot = |slot: &u16| -> Levels {
        let cell = usize::from(*slot) / hour;
        let chance = days[cell % of_day].chance(anywhere, DAY_PRIOR);
        let chance = weeks[cell % of_week].chance(chance, WEEK_PRIOR);
        QUANTILE_LEVELS.map(|level| {
            let among_busy = (level - (1.0 - chance)) / chance;
            if among_busy > 0.0 {
                quantiles::of_sorted(&sizes, among_busy)
            } else {
                0.0
            }
        })
    };
    Some(ahead.iter().map(of_slot).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantiles::{LEVEL_50, LEVEL_90};

    fn slots(step: Step, steps: usize) -> Vec<u16> {
        (0..steps).map(|at| (at % step.week()) as u16).collect()
    }

    #[test]
    fn a_job_at_night_is_forecast_at_night() {
        let step = Step::Hour;
        let values: Vec<f64> = (0..42 * 24)
            .map(|hour| {
                if hour % 24 == 2 {
                    50.0 + f64::from(hour % 7)
                } else {
                    0.0
                }
            })
            .collect();
        let said = levels(step, &values, &slots(step, 44 * 24), 48).unwrap();
        for (hour, levels) in said.iter().enumerate() {
            assert!(levels.is_sorted());
            let busy = hour % 24 == 2;
            assert_eq!(levels[LEVEL_50] > 40.0, busy, "hour {hour}: {levels:?}");
            assert!(busy || levels[LEVEL_90] == 0.0, "hour {hour}: {levels:?}");
        }
    }

    #[test]
    fn the_chance_is_the_share_of_busy_steps() {
        for step in Step::ALL {
            // Every tenth step: neither day nor week has that rhythm in cells of an hour.
            let count = 40 * step.day().max(7);
            let values: Vec<f64> = (0..count)
                .map(|at| {
                    if at % 10 == 3 {
                        1.0 + (at / 10 % 5) as f64
                    } else {
                        0.0
                    }
                })
                .collect();
            let said = levels(step, &values, &slots(step, count + 7), 7).unwrap();
            let busy = |level: usize| said.iter().filter(|l| l[level] > 0.0).count();
            assert_eq!((busy(LEVEL_50), busy(12)), (0, 7), "{step}");
            assert!(said.iter().all(|l| l[13] <= 5.0));
        }
    }

    #[test]
    fn what_is_busy_rests_or_is_hardly_known_is_left_alone() {
        let of = |values: &[f64]| levels(Step::Hour, values, &slots(Step::Hour, 2000), 24);
        assert!(of(&[3.0; 500]).is_none());
        assert!(of(&[0.0; 500]).is_none());
        assert!(of(&[f64::NAN; 500]).is_none());
        assert!(of(&[0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0]).is_none());
        // Half of a day at rest is a night.
        let nights: Vec<f64> = (0..480)
            .map(|hour| f64::from(u8::from(hour % 24 >= 12)))
            .collect();
        assert!(of(&nights).is_none());
    }
}
