//! Business metrics: drivers that are planned or known ahead (active users, planned spend), on which demand depends at the same
//! step or some hours later; some say nothing.

use super::{clock::Clock, mixture::CHANCES, profile::Profile, random::Random};

/// One metric, and what it does to demand.
#[derive(Debug, Clone)]
pub(super) struct Driver {
    /// As it is known, NaN where it is not.
    pub metric: Vec<f32>,
    /// ln of its effect on demand; empty where it says nothing.
    pub effect: Vec<f32>,
}

pub(super) fn draw(clock: &Clock, profile: &Profile, random: &mut Random) -> Vec<Driver> {
    (0..random.weighted(&CHANCES.metrics))
        .map(|_| one(clock, profile, random))
        .collect()
}

fn one(clock: &Clock, profile: &Profile, random: &mut Random) -> Driver {
    let cause = if random.chance(0.65) {
        wandering(clock, random)
    } else {
        pulses(clock, random)
    };
    let elasticity = random.log_between((0.2, 1.3));
    let lag = if random.chance(0.6) {
        0
    } else {
        clock.hours(random.log_between((0.5, 48.0))) as usize
    };
    let effect = if random.chance(CHANCES.metric_idle) {
        Vec::new()
    } else {
        (0..clock.steps)
            .map(|step| {
                let at = step.saturating_sub(lag);
                elasticity * cause.get(at).copied().unwrap_or(0.0)
            })
            .collect()
    };
    let seasons = if random.chance(0.5) {
        random.between(0.2, 1.0)
    } else {
        0.0
    };
    let noise = random.log_between((0.003, 0.15));
    let level = random.log_between((1.0, 1e6));
    // Planned by the day, or known by the step.
    let block = if random.chance(0.4) {
        clock.steps_per_day()
    } else {
        1
    };
    let missing = if random.chance(0.15) {
        random.between(0.005, 0.1)
    } else {
        0.0
    };
    let week = profile.smooth.len().max(1);
    let metric = (0..clock.steps)
        .map(|step| {
            let at = step / block * block;
            let season = profile
                .smooth
                .get((clock.first + at) % week)
                .copied()
                .unwrap_or(0.0);
            let log = cause.get(at).copied().unwrap_or(0.0)
                + seasons * season
                + if at == step {
                    noise * random.normal()
                } else {
                    0.0
                };
            if missing > 0.0 && random.chance(missing) {
                f32::NAN
            } else {
                level * log.exp()
            }
        })
        .collect();
    Driver { metric, effect }
}

/// The number of users: days to weeks of memory.
fn wandering(clock: &Clock, random: &mut Random) -> Vec<f32> {
    let size = random.log_between((0.05, 0.5));
    let keeps = (-1.0 / clock.hours(random.log_between((12.0, 400.0)))).exp();
    let kick = size * (1.0 - keeps * keeps).sqrt();
    let mut value = size * random.normal();
    (0..clock.steps)
        .map(|_| {
            value = keeps * value + kick * random.normal();
            value
        })
        .collect()
}

/// Spend: on for some time, off for some time.
fn pulses(clock: &Clock, random: &mut Random) -> Vec<f32> {
    let size = random.log_between((0.1, 1.2));
    let (on, off) = (
        clock.hours(random.log_between((2.0, 100.0))),
        clock.hours(random.log_between((20.0, 400.0))),
    );
    let mut left = random.exponential() * off;
    let mut height = 0.0;
    (0..clock.steps)
        .map(|_| {
            if left < 1.0 {
                (left, height) = if height == 0.0 {
                    (
                        1.0 + random.exponential() * on,
                        size * random.between(0.4, 1.4),
                    )
                } else {
                    (1.0 + random.exponential() * off, 0.0)
                };
            }
            left -= 1.0;
            height
        })
        .collect()
}
