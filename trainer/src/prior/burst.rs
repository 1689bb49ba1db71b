//! Bursts: clusters of events, each followed by its own (a Hawkes process by generations), with a heavy tail of sizes; most
//! decay fast, what goes viral decays by a power of time.

use super::{clock::Clock, random::Random};

const MOST_BURSTS: usize = 600;
const MOST_FACTOR: f32 = 80.0;

/// How a service bursts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bursts {
    a_day: f32,
    /// Tail index of the sizes: the smaller, the heavier.
    tail: f32,
    typical: f32,
    half_life: f32,
    viral: bool,
    /// Bursts that one burst sets off, on average.
    children: f32,
}

impl Bursts {
    pub fn draw(a_day: (f32, f32), clock: &Clock, random: &mut Random) -> Self {
        Self {
            a_day: random.log_between(a_day),
            tail: random.between(0.8, 3.5),
            typical: random.log_between((0.1, 2.0)),
            half_life: clock.hours(random.log_between((0.1, 8.0))),
            viral: random.chance(0.3),
            children: if random.chance(0.4) {
                random.between(0.1, 0.7)
            } else {
                0.0
            },
        }
    }

    /// Adds one sequence of bursts to a logarithm.
    pub fn add(&self, clock: &Clock, values: &mut [f32], random: &mut Random) {
        let count = random.poisson(self.a_day * clock.track_days()) as usize;
        if count == 0 {
            return;
        }
        let mut starts: Vec<usize> = (0..count.min(MOST_BURSTS))
            .map(|_| clock.any_step(random))
            .collect();
        let mut next = 0;
        let mut extra = vec![0.0_f32; values.len()];
        while let Some(start) = starts.get(next).copied() {
            next += 1;
            if starts.len() < MOST_BURSTS && random.chance(self.children) {
                let later = random.exponential() * self.half_life * 4.0;
                starts.push(start + 1 + later as usize);
            }
            let u = random.unit().max(1e-6);
            let size = (self.typical * u.powf(-1.0 / self.tail)).min(MOST_FACTOR);
            self.one(start, size, &mut extra, random);
        }
        for (value, extra) in values.iter_mut().zip(&extra) {
            if *extra > 0.0 {
                *value += extra.ln_1p();
            }
        }
    }

    fn one(&self, start: usize, size: f32, extra: &mut [f32], random: &mut Random) {
        let half_life = self.half_life * random.between(0.5, 2.0);
        let after = extra.get_mut(start..).into_iter().flatten();
        if self.viral {
            let (delay, power) = (half_life.max(0.5), random.between(0.7, 1.6));
            let reach = (delay * 60.0) as usize + 2;
            for (since, value) in after.take(reach).enumerate() {
                *value += size * (1.0 + since as f32 / delay).powf(-power);
            }
        } else {
            let keeps = 0.5_f32.powf(1.0 / half_life.max(0.05));
            let mut left = size;
            for value in after {
                *value += left;
                left *= keeps;
                if left < 0.01 {
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_only_add_and_some_are_large() {
        let mut random = Random::keyed(4, 0, 3600);
        let clock = Clock::draw(1680, 3600, &mut random);
        let mut large = 0;
        for _ in 0..200 {
            let mut values = vec![0.0; 1680];
            Bursts::draw((0.1, 4.0), &clock, &mut random).add(&clock, &mut values, &mut random);
            assert!(values.iter().all(|v| *v >= 0.0 && v.is_finite()));
            large += usize::from(values.iter().any(|v| *v > 3_f32.ln()));
        }
        assert!(large > 60, "{large}");
    }
}
