//! How a rate is measured: counted requests, over-dispersed counts, a counter that is scraped at jittering times, rounding.

use super::{clock::Clock, mixture::CHANCES, random::Random};

/// Fewer requests a step can only be counted one by one.
const FEW_REQUESTS: f32 = 300.0;

#[derive(Debug, Clone, Copy)]
enum Counting {
    Exact,
    Poisson,
    /// Requests that come in clumps: variance above the mean by mean²/shape.
    OverDispersed(f32),
    /// Scrapes that come early or late by up to this part of a step.
    Scraped(f32),
}

/// How the series of one service are measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measure {
    counting: Counting,
    /// Steps a unit that values are rounded to.
    rounded_to: Option<f32>,
}

impl Measure {
    /// `loudest` is the largest deviation of the log noise of the service's family: what is an aggregate does not clump.
    pub fn draw(clock: &Clock, mean_rps: f32, loudest: f32, random: &mut Random) -> Self {
        let few = mean_rps * (clock.step_s as f32) < FEW_REQUESTS;
        let counting = match random.weighted(&CHANCES.counting) {
            2 => {
                let least = (0.5 / loudest.max(1e-3).powi(2)).clamp(2.0, 5_000.0);
                Counting::OverDispersed(random.log_between((least, 10_000.0)))
            }
            1 => Counting::Poisson,
            _ if few => Counting::Poisson,
            3 => Counting::Scraped(random.log_between((0.002, 0.15)) * 300.0 / clock.step_s as f32),
            _ => Counting::Exact,
        };
        let rounded_to = random
            .chance(CHANCES.rounded)
            .then(|| random.log_between((2.0, 200.0)) / mean_rps.max(1e-6));
        Self {
            counting,
            rounded_to,
        }
    }

    /// Turns true rates into measured ones.
    pub fn apply(self, clock: &Clock, demand: &mut [f32], random: &mut Random) {
        let step_s = clock.step_s as f32;
        match self.counting {
            Counting::Exact => {}
            Counting::Poisson => {
                for rate in demand.iter_mut() {
                    *rate = random.poisson(*rate * step_s) / step_s;
                }
            }
            Counting::OverDispersed(shape) => {
                for rate in demand.iter_mut() {
                    let clumped = *rate * random.gamma_of_mean_1(shape);
                    *rate = random.poisson(clumped * step_s) / step_s;
                }
            }
            Counting::Scraped(jitter) => {
                let mut before = random.between(-jitter, jitter);
                for rate in demand.iter_mut() {
                    let after = random.between(-jitter, jitter);
                    *rate *= (1.0 + after - before).max(0.0);
                    before = after;
                }
            }
        }
        if let Some(unit) = self.rounded_to {
            for rate in demand.iter_mut() {
                *rate = (*rate * unit).round() / unit;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_keeps_the_mean_and_widens_by_kind() {
        let mut random = Random::keyed(8, 2, 300);
        let clock = Clock::draw(20_000, 300, &mut random);
        let mut dispersion = |counting| {
            let measure = Measure {
                counting,
                rounded_to: None,
            };
            let mut demand = vec![0.5; 20_000];
            measure.apply(&clock, &mut demand, &mut random);
            let counts: Vec<f32> = demand.iter().map(|v| v * 300.0).collect();
            let mean = counts.iter().sum::<f32>() / 20_000.0;
            assert!((mean / 150.0 - 1.0).abs() < 0.03, "{mean}");
            counts.iter().map(|c| (c - mean).powi(2)).sum::<f32>() / 20_000.0 / mean
        };
        assert_eq!(dispersion(Counting::Exact), 0.0);
        assert!((0.9..1.1).contains(&dispersion(Counting::Poisson)));
        assert!((13.0..19.0).contains(&dispersion(Counting::OverDispersed(10.0))));
        assert!(dispersion(Counting::Scraped(0.1)) > 0.5);
    }
}
