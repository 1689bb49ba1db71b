//! Outages: demand that stops or shrinks, and the wave of retries when it returns. Some are only a lack of data.

use super::{clock::Clock, mixture::CHANCES, random::Random};

/// Draws the outages of one region and writes them into its requests a second.
pub(super) fn apply(clock: &Clock, demand: &mut [f32], random: &mut Random) {
    if !random.chance(CHANCES.outages) {
        return;
    }
    for _ in 0..1 + random.poisson(0.5) as usize {
        let from = clock.any_step(random);
        let length = clock.hours(random.log_between((0.08, 40.0))).ceil() as usize;
        let until = (from + length.max(1)).min(demand.len());
        let unseen = random.chance(CHANCES.outage_unseen);
        let left = if random.chance(0.5) {
            0.0
        } else {
            random.between(0.0, 0.7)
        };
        for value in demand.get_mut(from..until).into_iter().flatten() {
            *value = if unseen { f32::NAN } else { *value * left };
        }
        if random.chance(CHANCES.retry_wave) {
            let mut wave = random.log_between((0.1, 2.0));
            let decay = (length as f32 * random.between(0.1, 0.8))
                .min(clock.hours(6.0))
                .max(0.3);
            let keeps = (-1.0 / decay).exp();
            for value in demand.get_mut(until..).into_iter().flatten() {
                if wave < 0.01 {
                    break;
                }
                *value *= 1.0 + wave;
                wave *= keeps;
            }
        }
    }
}

/// Draws single steps at which next to nothing was counted.
pub(super) fn blips(clock: &Clock, demand: &mut [f32], random: &mut Random) {
    if !random.chance(CHANCES.blips) {
        return;
    }
    for _ in 0..=random.below(3) {
        let left = if random.chance(0.6) {
            0.0
        } else {
            random.between(0.0, 0.4)
        };
        let at = clock.any_step(random);
        if let Some(value) = demand.get_mut(at) {
            *value *= left;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blips_are_few() {
        let mut random = Random::keyed(8, 3, 3600);
        let clock = Clock::draw(1680, 3600, &mut random);
        let mut touched = 0;
        for _ in 0..1000 {
            let mut demand = vec![10.0; 1680];
            blips(&clock, &mut demand, &mut random);
            let steps = demand.iter().filter(|v| **v < 10.0).count();
            assert!(steps <= 3, "{steps}");
            touched += usize::from(steps > 0);
        }
        assert!((80..170).contains(&touched), "{touched}");
    }

    #[test]
    fn outages_make_zeros_gaps_and_waves() {
        let mut random = Random::keyed(8, 0, 3600);
        let clock = Clock::draw(1680, 3600, &mut random);
        let (mut zeros, mut gaps, mut waves) = (0, 0, 0);
        for _ in 0..1000 {
            let mut demand = vec![10.0; 1680];
            apply(&clock, &mut demand, &mut random);
            zeros += usize::from(demand.contains(&0.0));
            gaps += usize::from(demand.iter().any(|v| v.is_nan()));
            waves += usize::from(demand.iter().any(|v| *v > 10.1));
        }
        assert!(
            zeros > 40 && gaps > 20 && waves > 40,
            "{zeros} {gaps} {waves}"
        );
    }
}
