//! Campaigns: a ramp, a plateau, a decay, and what somebody expected of them, which is never quite what came.

use super::{clock::Clock, mixture::CHANCES, random::Random};

#[derive(Debug, Clone)]
pub(super) struct Campaign {
    from: usize,
    until: usize,
    ramp: f32,
    decay: f32,
    log_size: f32,
    /// What was expected, where somebody told, and from which step on.
    expected: Option<(usize, f32)>,
}

/// The campaigns of a track; each may be one of a series that returns every so many days.
pub(super) fn draw(clock: &Clock, random: &mut Random) -> Vec<Campaign> {
    let mut campaigns = Vec::new();
    if !random.chance(CHANCES.campaigns) {
        return campaigns;
    }
    let kinds = 1 + random.below(2);
    for _ in 0..kinds {
        let length = clock.hours(random.log_between((1.0, 100.0))).max(1.0);
        let typical = if random.chance(0.12) {
            -random.between(0.1, 0.7)
        } else {
            random.log_between((0.08, 1.6))
        };
        let told = random.chance(CHANCES.campaign_told);
        let punctual = random.chance(0.8);
        let trust = random.log_between((0.03, 0.5));
        let returns = random
            .chance(0.5)
            .then(|| clock.steps_per_day() * [1, 2, 7, 7, 7, 14, 14, 28][random.below(8)]);
        let mut from = clock.any_step(random);
        if let Some(every) = returns {
            from %= every;
        }
        loop {
            let came = if told && random.chance(CHANCES.campaign_void) {
                0.0
            } else {
                typical * random.gaussian((1.0, 0.25))
            };
            campaigns.push(Campaign {
                from,
                until: from + length as usize,
                ramp: if random.chance(0.5) {
                    1.0
                } else {
                    (length * random.between(0.05, 0.5)).max(1.0)
                },
                decay: if random.chance(0.4) {
                    0.0
                } else {
                    length * random.between(0.05, 1.0)
                },
                log_size: came,
                expected: told.then(|| {
                    let late = if punctual {
                        0.0
                    } else {
                        clock.hours(3.0) * random.normal()
                    };
                    let first = from.saturating_add_signed(late.round() as isize);
                    (first, typical + trust * random.normal())
                }),
            });
            match returns {
                Some(every) if from + every < clock.steps && length < every as f32 => from += every,
                _ => break,
            }
        }
    }
    campaigns
}

impl Campaign {
    /// Adds what came of it; `factor` scales it for a region, `lead` is by how many steps the region's local clock is ahead.
    pub fn add(&self, factor: f32, lead: i32, values: &mut [f32]) {
        let size = self.log_size * factor;
        if size == 0.0 {
            return;
        }
        let moved = |step: usize| step.saturating_add_signed(lead as isize);
        let (from, until) = (moved(self.from), moved(self.until));
        for (since, value) in values
            .get_mut(from..)
            .into_iter()
            .flatten()
            .take(until.saturating_sub(from))
            .enumerate()
        {
            *value += size * ((since + 1) as f32 / self.ramp).min(1.0);
        }
        if self.decay > 0.0 {
            let keeps = (-1.0 / self.decay).exp();
            let mut left = size;
            for value in values.get_mut(until..).into_iter().flatten() {
                left *= keeps;
                if left.abs() < 0.01 {
                    break;
                }
                *value += left;
            }
        }
    }

    /// Writes down what was expected.
    pub fn tell(&self, uplift: &mut [f32]) {
        let Some((first, expected)) = self.expected else {
            return;
        };
        for value in uplift
            .get_mut(first..)
            .into_iter()
            .flatten()
            .take(self.until.saturating_sub(self.from).max(1))
        {
            *value += expected;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_expected_resembles_what_came() {
        let mut random = Random::keyed(3, 0, 3600);
        let clock = Clock::draw(1680, 3600, &mut random);
        let (mut both, mut expected_squares, mut came_squares) = (0.0, 0.0, 0.0);
        for _ in 0..500 {
            let (mut uplift, mut values) = (vec![0.0; 1680], vec![0.0; 1680]);
            for campaign in draw(&clock, &mut random) {
                campaign.tell(&mut uplift);
                campaign.add(1.0, 0, &mut values);
            }
            for (expected, came) in uplift.iter().zip(&values).filter(|(e, _)| **e != 0.0) {
                both += f64::from(expected * came);
                expected_squares += f64::from(expected * expected);
                came_squares += f64::from(came * came);
            }
        }
        let correlation = both / (expected_squares * came_squares).sqrt();
        assert!((0.6..0.98).contains(&correlation), "{correlation}");
    }
}
