//! How the seasons drift: habits that come earlier or later, a change of clocks, days that are more or less pronounced.

use super::{
    clock::{Clock, Knots},
    mixture::CHANCES,
    random::Random,
};

/// Steps by which habits are late, by step: constant, drifting, and an hour off after a change of clocks.
pub(super) fn phases(calm: bool, clock: &Clock, late: f32, random: &mut Random) -> Vec<f32> {
    let mut phase = vec![late; clock.steps];
    if !calm && random.chance(CHANCES.phase_drift) {
        let (a_day, pull) = (clock.hours(random.log_between((0.02, 0.35))), 0.9);
        let mut value = 0.0;
        Knots::of(clock, |_| {
            value = pull * value + a_day * random.normal();
            value
        })
        .add_to(clock, &mut phase);
    }
    if random.chance(CHANCES.clock_change) {
        let hour = clock.hours(if random.chance(0.5) { 1.0 } else { -1.0 });
        let from = clock.any_step(random);
        for value in phase.iter_mut().skip(from) {
            *value += hour;
        }
    }
    phase
}

/// Factors on the seasons, by step.
pub(super) fn amplitudes(calm: bool, clock: &Clock, random: &mut Random) -> Vec<f32> {
    let mut amplitude = vec![1.0; clock.steps];
    if !calm && random.chance(CHANCES.amplitude_drift) {
        let (size, keeps) = (random.log_between((0.01, 0.2)), random.between(0.3, 0.98));
        let kick = size * (1.0_f32 - keeps * keeps).sqrt();
        let mut value = 0.0;
        Knots::of(clock, |_| {
            value = keeps * value + kick * random.normal();
            value
        })
        .add_to(clock, &mut amplitude);
    }
    amplitude
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_change_by_an_hour_and_habits_by_less() {
        let mut random = Random::keyed(12, 0, 300);
        let clock = Clock::draw(30 * 288, 300, &mut random);
        let mut changed = 0;
        for _ in 0..400 {
            let phase = phases(true, &clock, 0.0, &mut random);
            assert!(phase.iter().all(|p| *p == 0.0 || p.abs() == 12.0));
            changed += usize::from(phase.last() != Some(&0.0));
        }
        assert!((25..80).contains(&changed), "{changed}");
        let widest = (0..200)
            .flat_map(|_| phases(false, &clock, 0.0, &mut random))
            .fold(0.0_f32, |most, p| most.max(p.abs()));
        assert!((13.0..60.0).contains(&widest), "{widest}");
    }

    #[test]
    fn a_calm_service_keeps_its_amplitude() {
        let mut random = Random::keyed(12, 1, 3600);
        let clock = Clock::draw(1680, 3600, &mut random);
        assert_eq!(amplitudes(true, &clock, &mut random), vec![1.0; 1680]);
        let moved = (0..100)
            .filter(|_| {
                amplitudes(false, &clock, &mut random)
                    .iter()
                    .any(|a| (a - 1.0).abs() > 0.02)
            })
            .count();
        assert!((25..75).contains(&moved), "{moved}");
    }
}
