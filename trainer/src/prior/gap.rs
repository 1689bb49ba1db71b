//! Missing data: single steps, blocks, whole days, and everything before monitoring began.

use super::{clock::Clock, mixture::CHANCES, random::Random};

/// At most this part of a track is missing at its beginning.
const MOST_LATE: f32 = 0.6;

/// Draws what is missing of one measured series.
pub(super) fn apply(clock: &Clock, values: &mut [f32], random: &mut Random) {
    let [points, blocks, days, late] = CHANCES.gaps;
    if random.chance(points) {
        let missing = random.log_between((0.001, 0.08));
        // From gap to gap, not from step to step: few are missing.
        let mut step = (random.exponential() / missing) as usize;
        while let Some(value) = values.get_mut(step) {
            *value = f32::NAN;
            step += 1 + (random.exponential() / missing) as usize;
        }
    }
    if random.chance(blocks) {
        for _ in 0..=random.below(4) {
            let length = clock.hours(random.log_between((0.3, 30.0))).ceil() as usize;
            remove(values, clock.any_step(random), length);
        }
    }
    if random.chance(days) {
        for _ in 0..=random.below(3) {
            let a_day = clock.steps_per_day();
            let day = random.below(clock.days().max(1));
            let first = (day * a_day).saturating_sub(clock.local(0));
            remove(values, first, a_day * (1 + random.below(3)));
        }
    }
    if random.chance(late) {
        let first = random.between(0.02, MOST_LATE) * values.len() as f32;
        remove(values, 0, first as usize);
    }
}

fn remove(values: &mut [f32], from: usize, length: usize) {
    let until = from.saturating_add(length).min(values.len());
    for value in values.get_mut(from..until).into_iter().flatten() {
        *value = f32::NAN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_is_missing_and_much_is_left() {
        let mut random = Random::keyed(8, 1, 3600);
        let clock = Clock::draw(1680, 3600, &mut random);
        let (mut whole, mut missing) = (0, 0);
        for _ in 0..1000 {
            let mut values = vec![1.0; 1680];
            apply(&clock, &mut values, &mut random);
            let gaps = values.iter().filter(|v| v.is_nan()).count();
            assert!(gaps < 1400, "{gaps}");
            whole += usize::from(gaps == 0);
            missing += gaps;
        }
        assert!((350..750).contains(&whole), "{whole}");
        assert!((20_000..200_000).contains(&missing), "{missing}");
    }
}
