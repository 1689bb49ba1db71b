//! How the seasons drift: habits that come earlier or later, a change of clocks, days that are more or less pronounced.

use super::{
    clock::{Clock, Knots},
    mixture::{CHANCES, Process},
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

/// Adds what a day has of its own and passes on to the next: weather, news, a customer's quarter.
pub(super) fn add_days(process: Process, clock: &Clock, log: &mut [f32], random: &mut Random) {
    let (size, keeps) = if process == Process::OnAndOff {
        // What a tenant does today says what it does tomorrow, not what it does a week later.
        if !random.chance(CHANCES.tenant_wanders) {
            return;
        }
        (random.log_between((0.1, 1.2)), random.between(0.7, 0.99))
    } else {
        if !random.chance(CHANCES.day_levels) {
            return;
        }
        (random.log_between((0.01, 0.25)), random.between(0.2, 0.97))
    };
    let kick = size * (1.0_f32 - keeps * keeps).sqrt();
    let mut value = size * random.normal();
    Knots::of(clock, |_| {
        value = keeps * value + kick * random.normal();
        value
    })
    .add_to(clock, log);
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
    fn a_day_resembles_the_day_before() {
        let mut random = Random::keyed(12, 2, 3600);
        let clock = Clock::draw(1680, 3600, &mut random);
        let (mut near, mut far, mut squares) = (0.0, 0.0, 0.0);
        for _ in 0..500 {
            let mut log = vec![0.0; 1680];
            add_days(Process::OnAndOff, &clock, &mut log, &mut random);
            for step in 0..1680 - 168 {
                squares += log[step] * log[step];
                near += log[step] * log[step + 24];
                far += log[step] * log[step + 168];
            }
        }
        assert!(
            near > 0.7 * squares && far < 0.8 * near,
            "{near} {far} {squares}"
        );
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
