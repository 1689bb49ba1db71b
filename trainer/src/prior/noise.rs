//! What no calendar explains: log noise with a slow, a fast and a white part, with heavy tails, louder at some hours or after
//! some day.

use super::{
    clock::Clock,
    mixture::{CHANCES, Family, Process},
    random::Random,
};

/// A uniform number of variance 1 lies within this of 0.
const SQRT_3: f32 = 1.732_050_8;
/// Largest deviation of the log noise of a family that is neither loud nor quiet.
const USUAL_NOISE: f32 = 0.4;

/// How the noise of a service behaves; its regions share the behaviour, and each has a sequence of its own.
#[derive(Debug, Clone)]
pub(super) struct Noise {
    slow: Part,
    fast: Part,
    white: f32,
    /// Chance of a shock a step and the factor on its size.
    shocks: Option<(f32, f32)>,
    /// Exponent on the hour's demand: below 0 louder at night, above 0 louder at the peak.
    pub by_demand: f32,
}

#[derive(Debug, Clone, Copy)]
struct Part {
    deviation: f32,
    keeps: f32,
}

impl Part {
    fn with_half_life(deviation: f32, steps: f32) -> Self {
        Self {
            deviation,
            keeps: 0.5_f32.powf(1.0 / steps.max(0.05)),
        }
    }

    fn innovation(self) -> f32 {
        self.deviation * (1.0 - self.keeps * self.keeps).sqrt()
    }
}

impl Noise {
    pub fn draw(family: &Family, clock: &Clock, random: &mut Random) -> Self {
        let total = random.log_between(family.noise);
        // What persists for days is the larger part of most services' noise, and nearly all of a tenant's.
        let persists = match family.process {
            Process::OnAndOff => 4.0,
            _ => 1.6,
        };
        let shares = [
            persists * random.exponential(),
            random.exponential(),
            random.exponential(),
        ];
        let sum = shares.iter().sum::<f32>().max(1e-6);
        let [slow, fast, white] = shares.map(|share| total * (share / sum).sqrt());
        let loudness = (family.noise.1 / USUAL_NOISE).clamp(0.6, 1.8);
        Self {
            slow: Part::with_half_life(slow, clock.hours(random.log_between((10.0, 300.0)))),
            fast: Part::with_half_life(fast, clock.hours(random.log_between((0.2, 8.0)))),
            white,
            shocks: random.chance(CHANCES.heavy_shocks * loudness).then(|| {
                (
                    random.log_between((0.002, 0.05)),
                    random.log_between((2.0, 12.0)),
                )
            }),
            by_demand: if random.chance(CHANCES.noise_by_demand) {
                random.gaussian((-0.25, 0.4)).clamp(-1.2, 1.2)
            } else {
                0.0
            },
        }
    }

    /// One sequence of it.
    pub fn sequence(&self, steps: usize, random: &mut Random) -> Vec<f32> {
        let (slow_kick, fast_kick) = (self.slow.innovation(), self.fast.innovation());
        let mut slow = self.slow.deviation * random.normal();
        let mut fast = self.fast.deviation * random.normal();
        let mut until_shock = self.steps_to_shock(random);
        (0..steps)
            .map(|_| {
                let shock = match self.shocks {
                    Some((_, factor)) if until_shock < 1.0 => {
                        until_shock = self.steps_to_shock(random);
                        1.0 + factor * random.exponential()
                    }
                    _ => 1.0,
                };
                until_shock -= 1.0;
                // A sum of very many: even kicks make it normal, at half the price.
                let kick = slow_kick * random.between(-SQRT_3, SQRT_3);
                slow = self.slow.keeps * slow + kick;
                fast = self.fast.keeps * fast + shock * fast_kick * random.normal();
                slow + fast + shock * self.white * random.normal()
            })
            .collect()
    }

    fn steps_to_shock(&self, random: &mut Random) -> f32 {
        match self.shocks {
            Some((chance, _)) => random.exponential() / chance,
            None => f32::INFINITY,
        }
    }
}

/// Makes the noise louder or quieter by regime: each from some step on, or for a while.
pub(super) fn add_regimes(noise: &mut [f32], clock: &Clock, random: &mut Random) {
    if !random.chance(CHANCES.noise_regimes) {
        return;
    }
    for _ in 0..=random.below(2) {
        let from = clock.any_step(random);
        let factor = random.log_between((0.3, 4.0));
        let until = if random.chance(0.5) {
            noise.len()
        } else {
            (from + clock.hours(random.log_between((12.0, 400.0))) as usize).min(noise.len())
        };
        for value in noise.get_mut(from..until).into_iter().flatten() {
            *value *= factor;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prior::mixture::FAMILIES;

    #[test]
    fn its_size_is_within_the_familys_range() {
        let mut random = Random::keyed(9, 0, 3600);
        let clock = Clock::draw(20_000, 3600, &mut random);
        let family = &FAMILIES[0];
        let mut persistent = 0;
        for _ in 0..40 {
            let noise = Noise::draw(family, &clock, &mut random);
            let values = noise.sequence(20_000, &mut random);
            let variance = values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32;
            let size = variance.sqrt();
            let (least, most) = family.noise;
            assert!((0.5 * least..2.5 * most).contains(&size), "{size}");
            let lagged = values.windows(2).map(|w| w[0] * w[1]).sum::<f32>() / values.len() as f32;
            persistent += usize::from(lagged / variance > 0.5);
        }
        assert!((8..38).contains(&persistent), "{persistent}");
    }
}
