//! Sums and products of Gaussian-process paths with the usual kernels: squared exponential, rational quadratic, Matérn ½,
//! periodic, linear, white. Stationary kernels are drawn as random Fourier features (waves of random frequency), which are
//! turned from step to step, so that a path costs a few multiplications a step instead of a Cholesky factor.

use std::f32::consts::TAU;

use super::{clock::Clock, random::Random};

/// Waves of a path with a stationary kernel.
const WAVES: usize = 12;
const MOST_KERNELS: usize = 4;

/// A composition: deviation about 1, mean about 0.
pub(super) fn path(clock: &Clock, random: &mut Random) -> Vec<f32> {
    let mut path = one(clock, random);
    for _ in 0..random.below(MOST_KERNELS) {
        let next = one(clock, random);
        if random.chance(0.6) {
            let weight = random.between(0.3, 1.2);
            for (value, next) in path.iter_mut().zip(&next) {
                *value += weight * next;
            }
        } else {
            // The product of independent paths has the product of their kernels.
            for (value, next) in path.iter_mut().zip(&next) {
                *value *= next;
            }
        }
    }
    standardise(&mut path);
    path
}

fn one(clock: &Clock, random: &mut Random) -> Vec<f32> {
    let mut path = vec![0.0; clock.steps];
    match random.weighted(&[0.2, 0.1, 0.15, 0.35, 0.1, 0.1]) {
        0 => {
            let length = clock.hours(random.log_between((3.0, 600.0)));
            for _ in 0..WAVES {
                let frequency = random.normal() / length;
                wave(frequency, 1.0, &mut path, random);
            }
        }
        1 => {
            // Scales of many sizes at once: each wave has a length of its own.
            let length = clock.hours(random.log_between((6.0, 300.0)));
            for _ in 0..WAVES {
                let spread = random.gamma_of_mean_1(1.0).max(0.01).sqrt();
                let frequency = random.normal() * spread / length;
                wave(frequency, 1.0, &mut path, random);
            }
        }
        2 => {
            let keeps = (-1.0 / clock.hours(random.log_between((0.5, 300.0)))).exp();
            let kick = (1.0 - keeps * keeps).sqrt();
            let mut value = random.normal();
            for entry in &mut path {
                *entry = value;
                value = keeps * value + kick * random.normal();
            }
        }
        3 => {
            let hours = [24.0, 24.0, 24.0, 168.0, 168.0, 12.0, 6.0, 8.0, 48.0];
            let period = match hours.get(random.below(hours.len() + 1)) {
                Some(hours) => clock.hours(*hours),
                None => clock.hours(random.log_between((2.0, 400.0))),
            };
            let smoothness = random.between(0.2, 1.0);
            for harmonic in 1..=8_u8 {
                let k = f32::from(harmonic);
                let size = (-0.25 * (k * smoothness).powi(2)).exp();
                if size > 0.01 && period / k > 2.0 {
                    wave(TAU * k / period, size, &mut path, random);
                }
            }
        }
        4 => {
            let (slope, start) = (random.normal() * 2.0, random.normal());
            for (step, entry) in path.iter_mut().enumerate() {
                *entry = start + slope * clock.share(step);
            }
        }
        _ => {
            for entry in &mut path {
                *entry = random.normal();
            }
        }
    }
    standardise(&mut path);
    path
}

/// Adds a wave of a random phase and size; `frequency` in radians a step.
fn wave(frequency: f32, size: f32, path: &mut [f32], random: &mut Random) {
    let (sin, cos) = frequency.sin_cos();
    let (mut x, mut y) = (size * random.normal(), size * random.normal());
    for value in path {
        *value += x;
        (x, y) = (x * cos - y * sin, x * sin + y * cos);
    }
}

fn standardise(path: &mut [f32]) {
    let count = path.len().max(1) as f32;
    let mean = path.iter().sum::<f32>() / count;
    let deviation = (path.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / count).sqrt();
    let scale = if deviation > 1e-6 {
        1.0 / deviation
    } else {
        0.0
    };
    for value in path {
        *value = ((*value - mean) * scale).clamp(-8.0, 8.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_of_size_1_and_of_many_kinds() {
        let mut random = Random::keyed(4, 9, 3600);
        let clock = Clock::draw(1680, 3600, &mut random);
        let (mut smooth, mut rough) = (0, 0);
        for _ in 0..300 {
            let path = path(&clock, &mut random);
            let square = path.iter().map(|v| v * v).sum::<f32>() / 1680.0;
            assert!((0.5..1.01).contains(&square), "{square}");
            let next = path.windows(2).map(|w| w[0] * w[1]).sum::<f32>() / 1680.0 / square;
            smooth += usize::from(next > 0.95);
            rough += usize::from(next < 0.6);
        }
        assert!(smooth > 40 && rough > 20, "{smooth} {rough}");
    }
}
