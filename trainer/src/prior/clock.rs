//! The local time of a track: which day and which part of the day a step is.

use super::random::Random;

pub(super) const DAYS_A_WEEK: usize = 7;

/// The local time axis of a track.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    pub steps: usize,
    pub step_s: u32,
    /// Local step of the week of the first step.
    pub first: usize,
}

impl Clock {
    /// Most series are read from some hour of some day; a first step of the week is drawn.
    pub fn draw(steps: usize, step_s: u32, random: &mut Random) -> Self {
        let week = DAYS_A_WEEK * (86_400 / step_s) as usize;
        let first = random.below(week);
        Self {
            steps,
            step_s,
            first,
        }
    }

    pub fn steps_per_day(&self) -> usize {
        (86_400 / self.step_s) as usize
    }

    /// Steps of so many hours.
    pub fn hours(&self, hours: f32) -> f32 {
        hours * 3600.0 / self.step_s as f32
    }

    /// Days that the track touches.
    pub fn days(&self) -> usize {
        (self.first % self.steps_per_day() + self.steps).div_ceil(self.steps_per_day())
    }

    /// Day of the week (0 is Monday) of the track's day.
    pub fn weekday(&self, day: usize) -> usize {
        (self.first / self.steps_per_day() + day) % DAYS_A_WEEK
    }

    /// Local steps since the first touched day began, of a step.
    pub fn local(&self, step: usize) -> usize {
        self.first % self.steps_per_day() + step
    }

    /// The part of the track that has passed, 0 … 1.
    pub fn share(&self, step: usize) -> f32 {
        step as f32 / self.steps.max(1) as f32
    }

    pub fn any_step(&self, random: &mut Random) -> usize {
        random.below(self.steps.max(1))
    }

    pub fn track_days(&self) -> f32 {
        self.steps as f32 / self.steps_per_day() as f32
    }
}

/// Values that are known once a day and move evenly in between.
#[derive(Debug, Clone)]
pub(super) struct Knots(pub Vec<f32>);

impl Knots {
    /// One knot for each touched day and one more, from a function of the day.
    pub fn of(clock: &Clock, mut value: impl FnMut(usize) -> f32) -> Self {
        Self((0..clock.days() + 2).map(&mut value).collect())
    }

    /// Adds the knots to a track, each step its own share of two neighbours.
    pub fn add_to(&self, clock: &Clock, values: &mut [f32]) {
        let a_day = clock.steps_per_day();
        for (step, value) in values.iter_mut().enumerate() {
            let local = clock.local(step);
            let (day, part) = (local / a_day, (local % a_day) as f32 / a_day as f32);
            let (Some(left), Some(right)) = (self.0.get(day), self.0.get(day + 1)) else {
                continue;
            };
            *value += left + part * (right - left);
        }
    }
}
