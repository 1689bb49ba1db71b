//! Where a level goes over weeks: the trends and the shifts of deploys and migrations, as the logarithm of a factor.

use super::{
    clock::{Clock, Knots},
    mixture::CHANCES,
    random::Random,
};

/// Adds one of the trends, or none. `strength` scales it: regions share a part of one trend and have a part of their own.
pub(super) fn add_trend(clock: &Clock, strength: f32, values: &mut [f32], random: &mut Random) {
    let days = clock.track_days().max(1.0);
    // Growth is a matter of months: what a track shows of it goes with its length.
    let months = days / 30.0;
    let growth = strength * random.gaussian((0.04, 0.18)) * months.sqrt();
    let knots = match random.weighted(&CHANCES.trends) {
        1 => Knots::of(clock, |day| {
            (1.0 + growth * day as f32 / days).max(0.1).ln()
        }),
        2 => Knots::of(clock, |day| growth * day as f32 / days),
        3 => {
            let fast = random.log_between((2.0, 40.0));
            let size = strength * random.gaussian((0.2, 0.4));
            Knots::of(clock, |day| {
                (1.0 + size * (1.0 - (-(day as f32) / fast).exp()))
                    .max(0.1)
                    .ln()
            })
        }
        4 => {
            let (step, drift) = (strength * random.log_between((0.003, 0.1)), growth / days);
            let mut level = 0.0;
            Knots::of(clock, |_| {
                level += drift + step * random.normal();
                level
            })
        }
        5 => {
            let (mut slope, mut level) = (growth / days, 0.0);
            let often = random.log_between((0.01, 0.1));
            let bend = strength * random.log_between((0.002, 0.02));
            Knots::of(clock, |_| {
                if random.chance(often) {
                    slope += random.laplace(bend);
                }
                level += slope;
                level
            })
        }
        _ => return,
    };
    knots.add_to(clock, values);
}

/// Adds shifts: at once or over days, for good or for a while.
pub(super) fn add_shifts(clock: &Clock, values: &mut [f32], random: &mut Random) {
    if !random.chance(CHANCES.level_shifts) {
        return;
    }
    let count = 1 + random.poisson(0.6) as usize;
    for _ in 0..count {
        let from = clock.any_step(random);
        let size = if random.chance(0.12) {
            // A migration: most of the traffic goes or comes.
            random.laplace(1.0)
        } else {
            random.laplace(0.18)
        };
        let width = if random.chance(0.6) {
            1.0
        } else {
            clock.hours(random.log_between((2.0, 96.0)))
        };
        let until = if random.chance(0.35) {
            from + clock.hours(random.log_between((4.0, 240.0))) as usize
        } else {
            values.len()
        };
        for (step, value) in values.iter_mut().enumerate().skip(from) {
            let ramp = ((step - from + 1) as f32 / width).min(1.0);
            if step < until {
                *value += size * ramp;
            } else {
                break;
            }
        }
    }
}

/// ln of the part of its later traffic that a service takes while it is launched: canary stages, or an S curve. What comes
/// before the first step of it is nothing at all; its step is answered too.
pub(super) fn launch(clock: &Clock, random: &mut Random) -> (usize, Vec<f32>) {
    let first = if random.chance(0.3) {
        0
    } else {
        (random.between(0.0, 0.7) * clock.steps as f32) as usize
    };
    let mut values = vec![0.0; clock.steps];
    if random.chance(0.5) {
        let mut step = first;
        let mut share = random.log_between((0.01, 0.25));
        while share < 1.0 && step < clock.steps {
            let until =
                (step + 1 + clock.hours(random.log_between((1.0, 72.0))) as usize).min(clock.steps);
            if let Some(stage) = values.get_mut(step..until) {
                stage.fill(share.ln());
            }
            step = until;
            share *= random.between(1.5, 5.0);
        }
    } else {
        let middle = clock.hours(random.log_between((6.0, 500.0)));
        let width = middle / random.between(2.0, 6.0);
        let least = random.log_between((0.002, 0.3));
        for (since, value) in values.iter_mut().skip(first).enumerate() {
            let grown = 1.0 / (1.0 + (-(since as f32 - middle) / width).exp());
            *value = (least + (1.0 - least) * grown).ln();
        }
    }
    (first, values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trends_move_and_stay_finite() {
        let mut random = Random::keyed(1, 1, 3600);
        let clock = Clock::draw(1680, 3600, &mut random);
        let mut moved = 0;
        for _ in 0..400 {
            let mut values = vec![0.0; 1680];
            add_trend(&clock, 1.0, &mut values, &mut random);
            assert!(values.iter().all(|v| v.is_finite() && v.abs() < 6.0));
            moved += usize::from((values[1679] - values[0]).abs() > 0.02);
        }
        assert!((150..350).contains(&moved), "{moved}");
    }

    #[test]
    fn a_launch_grows_to_its_full_size() {
        let mut random = Random::keyed(1, 2, 3600);
        let clock = Clock::draw(1680, 3600, &mut random);
        for _ in 0..200 {
            let (first, values) = launch(&clock, &mut random);
            assert!(values[first] <= 0.0 && values.iter().all(|v| *v <= 1e-6));
            assert!(values[1679] >= values[first]);
        }
    }
}
