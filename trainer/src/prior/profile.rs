//! The shape of a week: what the time of day and the day of the week say about demand, as the logarithm of a factor.

use std::f32::consts::TAU;

use super::{
    clock::DAYS_A_WEEK,
    mixture::{CHANCES, DAY_SHAPES, DayShape, Family, Process},
    random::Random,
};

/// Harmonics of a smooth day: up to three hours a wave.
const HARMONICS: usize = 8;
/// A shape is not allowed to fall deeper below its mean than this: e^-6 is a four-hundredth.
const DEEPEST_LOG: f32 = -6.0;

/// A week's shape in `steps_per_day` steps for each of seven days.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    pub steps_per_day: usize,
    /// ln of the factor, Monday first, mean 0; moves with drifting phase.
    pub smooth: Vec<f32>,
    /// ln of the factor of cron spikes, which stand where they stand; empty without.
    pub sharp: Vec<f32>,
    /// Which days of the week are days off.
    pub off: [bool; DAYS_A_WEEK],
}

impl Profile {
    pub fn draw(family: &Family, steps_per_day: usize, random: &mut Random) -> Self {
        let off = days_off(random);
        let swing = random.log_between(family.swing);
        let kind = DAY_SHAPES
            .get(random.weighted(&family.day_shapes))
            .copied()
            .unwrap_or(DayShape::Flat);
        let workday = day(kind, steps_per_day, swing, random);
        let mut smooth = Vec::with_capacity(DAYS_A_WEEK * steps_per_day);
        if random.chance(CHANCES.no_week) {
            for _ in 0..DAYS_A_WEEK {
                smooth.extend_from_slice(&workday);
            }
        } else {
            let level = random.gaussian(family.weekend_log);
            let free_day = free_day(&workday, kind, steps_per_day, swing, random);
            // A service that hardly knows weekends knows no Tuesdays.
            let spread = random.log_between((0.005, 0.08)).min(family.weekend_log.1);
            // A batch that runs on one day of the week rests on the others.
            let only = (kind == DayShape::Blocks && random.chance(0.35))
                .then(|| (random.below(DAYS_A_WEEK), random.between(-4.0, -0.5)));
            for (weekday, off) in off.iter().enumerate() {
                let own = random.gaussian((0.0, spread));
                let (shape, mut shift) = if *off {
                    (&free_day, level + own)
                } else {
                    (&workday, own)
                };
                if let Some((only, rest)) = only
                    && weekday != only
                {
                    shift += rest;
                }
                smooth.extend(shape.iter().map(|v| v + shift));
            }
        }
        centre(&mut smooth);
        let sharp = if family.process != Process::Steady && random.chance(CHANCES.cron) {
            cron(steps_per_day, random)
        } else {
            Vec::new()
        };
        Self {
            steps_per_day,
            smooth,
            sharp,
            off,
        }
    }

    /// Another region's week: the same but for some smooth difference and a weekend of its own size.
    #[must_use]
    pub fn varied(&self, difference: f32, random: &mut Random) -> Self {
        let mut copy = self.clone();
        let smoothness = random.between(0.5, 1.2);
        let own = smooth_day(self.steps_per_day, difference, smoothness, random);
        let weekend = random.gaussian((0.0, difference));
        for (weekday, day) in copy.smooth.chunks_mut(self.steps_per_day).enumerate() {
            let shift = if self.off.get(weekday).copied().unwrap_or(false) {
                weekend
            } else {
                0.0
            };
            for (value, own) in day.iter_mut().zip(&own) {
                *value += own + shift;
            }
        }
        copy
    }
}

fn days_off(random: &mut Random) -> [bool; DAYS_A_WEEK] {
    let [friday, sunday] = CHANCES.other_weekends;
    match random.weighted(&[1.0 - friday - sunday, friday, sunday]) {
        1 => [false, false, false, false, true, true, false],
        2 => [false, false, false, false, false, false, true],
        _ => [false, false, false, false, false, true, true],
    }
}

/// People sleep longer: a day off is later, flatter, and may have a shape of its own.
fn free_day(
    workday: &[f32],
    kind: DayShape,
    steps_per_day: usize,
    swing: f32,
    random: &mut Random,
) -> Vec<f32> {
    let later = (random.between(0.0, 2.0) * steps_per_day as f32 / 24.0) as usize;
    let flatter = random.between(0.6, 1.1);
    let own = if random.chance(0.5) {
        random.between(0.0, 0.7)
    } else {
        0.0
    };
    let other = if kind == DayShape::Office {
        day(DayShape::Consumer, steps_per_day, swing, random)
    } else {
        day(kind, steps_per_day, swing, random)
    };
    (0..steps_per_day)
        .map(|step| {
            let from = (step + steps_per_day - later.min(steps_per_day)) % steps_per_day;
            let of = |shape: &[f32], at: usize| shape.get(at).copied().unwrap_or(0.0);
            flatter * ((1.0 - own) * of(workday, from) + own * of(&other, step))
        })
        .collect()
}

/// One day's shape: ln of the factor, mean 0.
fn day(kind: DayShape, steps_per_day: usize, swing: f32, random: &mut Random) -> Vec<f32> {
    let mut shape = match kind {
        DayShape::Smooth => {
            let smoothness = random.between(0.25, 1.2);
            smooth_day(steps_per_day, swing, smoothness, random)
        }
        DayShape::Flat => smooth_day(steps_per_day, 0.1 * swing, 0.5, random),
        DayShape::Consumer => {
            let floor = random.log_between((0.03, 0.5));
            let midday = (
                random.gaussian((12.5, 1.5)),
                random.between(2.0, 4.0),
                random.between(0.4, 1.0),
            );
            let evening = (
                random.gaussian((20.0, 1.2)),
                random.between(1.3, 3.0),
                random.between(0.3, 1.3),
            );
            from_hours(steps_per_day, |hour| {
                swing * (floor + bump(hour, midday) + bump(hour, evening)).ln()
            })
        }
        DayShape::Office => {
            let floor = random.log_between((0.02, 0.6));
            let (opens, closes) = (random.gaussian((8.5, 0.8)), random.gaussian((17.5, 1.0)));
            let (rise, fall) = (random.between(0.2, 1.0), random.between(0.3, 1.6));
            let lunch = if random.chance(0.6) {
                random.between(0.05, 0.35)
            } else {
                0.0
            };
            let edge = |hours: f32, width: f32| 1.0 / (1.0 + (-hours / width).exp());
            from_hours(steps_per_day, |hour| {
                let plateau = edge(hour - opens, rise) * edge(closes - hour, fall);
                let dip = 1.0 - bump(hour, (12.5, 0.6, lunch));
                swing * (floor + plateau * dip).ln()
            })
        }
        DayShape::Blocks => {
            let floor = random.log_between((0.001, 0.5));
            let blocks: Vec<(f32, f32, f32)> = (0..1 + random.below(5))
                .map(|_| {
                    (
                        random.between(0.0, 24.0),
                        random.log_between((0.2, 4.0)),
                        random.between(0.3, 1.0),
                    )
                })
                .collect();
            from_hours(steps_per_day, |hour| {
                let work: f32 = blocks
                    .iter()
                    .map(|(starts, hours, size)| {
                        if (hour - starts).rem_euclid(24.0) < *hours {
                            *size
                        } else {
                            0.0
                        }
                    })
                    .sum();
                swing * (floor + work).ln()
            })
        }
    };
    centre(&mut shape);
    for value in &mut shape {
        *value = value.max(DEEPEST_LOG);
    }
    shape
}

/// A random periodic function as a Gaussian process with a periodic kernel has it: harmonics whose size falls with the square
/// of their number, the faster the smoother. Its deviation is about `size`.
fn smooth_day(steps_per_day: usize, size: f32, smoothness: f32, random: &mut Random) -> Vec<f32> {
    let mut shape = vec![0.0; steps_per_day];
    let weights: Vec<f32> = (1..=HARMONICS)
        .map(|k| (-0.5 * (k as f32 * smoothness).powi(2) * 0.5).exp())
        .collect();
    let norm = weights.iter().map(|w| w * w).sum::<f32>().sqrt().max(1e-6);
    for (harmonic, weight) in weights.iter().enumerate() {
        let (a, b) = (random.normal(), random.normal());
        let scale = size * weight / norm;
        if scale < 1e-5 {
            continue;
        }
        // Turned from step to step: a sine for each would cost more than all the rest.
        let (sin, cos) = (TAU * (harmonic + 1) as f32 / steps_per_day as f32).sin_cos();
        let (mut x, mut y) = (scale * a, scale * b);
        for value in &mut shape {
            *value += x;
            (x, y) = (x * cos - y * sin, x * sin + y * cos);
        }
    }
    shape
}

fn from_hours(steps_per_day: usize, value: impl Fn(f32) -> f32) -> Vec<f32> {
    (0..steps_per_day)
        .map(|step| value((step as f32 + 0.5) * 24.0 / steps_per_day as f32))
        .collect()
}

/// A bell around an hour of the day (centre, width, height), around the clock.
fn bump(hour: f32, (centre, width, height): (f32, f32, f32)) -> f32 {
    let away = (hour - centre + 12.0).rem_euclid(24.0) - 12.0;
    height * (-0.5 * (away / width).powi(2)).exp()
}

/// Spikes every so many minutes or hours, at a fixed offset.
fn cron(steps_per_day: usize, random: &mut Random) -> Vec<f32> {
    let minutes = [15, 30, 60, 120, 180, 240, 360, 720, 1440];
    let period = minutes
        .get(random.below(minutes.len()))
        .copied()
        .unwrap_or(60);
    let step_minutes = 1440 / steps_per_day;
    if period <= step_minutes {
        return Vec::new();
    }
    let every = period / step_minutes;
    let offset = if random.chance(0.6) {
        0
    } else {
        random.below(every)
    };
    let size = random.log_between((0.1, 2.0));
    let width = 1 + random.below((every / 4).clamp(1, 3));
    let only_workdays = random.chance(0.2);
    (0..DAYS_A_WEEK * steps_per_day)
        .map(|step| {
            let since = (step + every - offset) % every;
            if since >= width || (only_workdays && step / steps_per_day >= 5) {
                0.0
            } else {
                size / (since + 1) as f32
            }
        })
        .collect()
}

fn centre(values: &mut [f32]) {
    let mean = values.iter().sum::<f32>() / values.len().max(1) as f32;
    for value in values {
        *value -= mean;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prior::mixture::FAMILIES;

    #[test]
    fn weeks_are_finite_and_centred() {
        let mut random = Random::keyed(5, 0, 3600);
        for family in &FAMILIES {
            for steps_per_day in [24, 288] {
                let week = Profile::draw(family, steps_per_day, &mut random);
                assert_eq!(week.smooth.len(), 7 * steps_per_day);
                assert!(week.smooth.iter().all(|v| v.is_finite()), "{}", family.name);
                let mean = week.smooth.iter().sum::<f32>() / week.smooth.len() as f32;
                assert!(mean.abs() < 0.05, "{}: {mean}", family.name);
            }
        }
    }

    #[test]
    fn offices_are_quiet_at_night_and_at_weekends() {
        let mut random = Random::keyed(6, 0, 3600);
        let office = FAMILIES.iter().find(|f| f.name == "office").unwrap();
        let (mut day, mut night, mut weekend) = (0.0, 0.0, 0.0);
        for _ in 0..300 {
            let week = Profile::draw(office, 24, &mut random);
            day += week.smooth[24 + 10];
            night += week.smooth[24 + 3];
            weekend += week.smooth[6 * 24 + 10];
        }
        assert!(day > night + 300.0 * 0.5, "{day} {night}");
        assert!(day > weekend + 300.0 * 0.4, "{day} {weekend}");
    }

    #[test]
    fn cron_spikes_stand_at_fixed_steps() {
        let mut random = Random::keyed(7, 0, 300);
        let spikes = cron(288, &mut random);
        let day: Vec<bool> = spikes[..288].iter().map(|v| *v > 0.0).collect();
        assert!(day.iter().any(|s| *s) && !day.iter().all(|s| *s));
        assert!(spikes[288..576].iter().map(|v| *v > 0.0).eq(day));
    }
}
