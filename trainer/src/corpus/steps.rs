//! From points in time to regular steps, as planner/forecast/bench/prepare.py does it: a step is the mean of its points, and one
//! with fewer than half of its points is a gap.

/// More steps than ten years of five minutes are a mistake in a timestamp.
const MOST_STEPS: i64 = 10 * 366 * 288;

/// Values by step; NaN is a gap.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Steps {
    /// Number of the first step since 1970.
    pub first: i64,
    pub values: Vec<f32>,
}

/// Sums of points by step.
#[derive(Debug, Default)]
pub(super) struct Gather {
    step_s: i64,
    /// Seconds from one point to the next.
    point_s: i64,
    first: i64,
    sums: Vec<(f64, u32)>,
}

impl Gather {
    pub fn new(step_s: u32, point_s: u32) -> Self {
        Self {
            step_s: i64::from(step_s.max(1)),
            point_s: i64::from(point_s),
            ..Self::default()
        }
    }

    /// Adds a point. Points come in order of time, or nearly so.
    ///
    /// # Errors
    /// A text where the point is more than ten years from the first.
    pub fn add(&mut self, second: i64, value: f64) -> Result<(), String> {
        let step = second.div_euclid(self.step_s);
        if self.sums.is_empty() {
            self.first = step;
        }
        if (step - self.first).abs() > MOST_STEPS {
            return Err("its time is more than ten years from the first line's".into());
        }
        if step < self.first {
            let before = usize::try_from(self.first - step).unwrap_or(0);
            self.sums
                .splice(0..0, std::iter::repeat_n((0.0, 0), before));
            self.first = step;
        }
        let place = usize::try_from(step - self.first).unwrap_or(0);
        if place >= self.sums.len() {
            self.sums.resize(place + 1, (0.0, 0));
        }
        if let Some((sum, count)) = self.sums.get_mut(place) {
            *sum += value;
            *count += 1;
        }
        Ok(())
    }

    /// The steps from the first to the last that is known; `None` where none is.
    pub fn finish(self) -> Option<Steps> {
        let known = |count: u32| i64::from(count) * 2 * self.point_s >= self.step_s && count > 0;
        let begin = self.sums.iter().position(|(_, count)| known(*count))?;
        let end = self.sums.iter().rposition(|(_, count)| known(*count))? + 1;
        let values = self
            .sums
            .get(begin..end)?
            .iter()
            .map(|(sum, count)| {
                if known(*count) {
                    (sum / f64::from(*count)) as f32
                } else {
                    f32::NAN
                }
            })
            .collect();
        Some(Steps {
            first: self.first + begin as i64,
            values,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_with_fewer_than_half_of_its_points_is_a_gap() {
        let mut gather = Gather::new(3600, 1200);
        for (second, value) in [(0, 1.0), (1200, 2.0), (3600, 9.0), (7200, 4.0), (8400, 6.0)] {
            gather.add(second, value).unwrap();
        }
        let steps = gather.finish().unwrap();
        assert_eq!(steps.first, 0);
        assert_eq!(steps.values[0], 1.5);
        assert!(steps.values[1].is_nan());
        assert_eq!(steps.values[2], 5.0);
    }

    #[test]
    fn a_time_that_is_out_of_place_is_refused() {
        let mut gather = Gather::new(300, 300);
        gather.add(0, 1.0).unwrap();
        assert!(gather.add(4_000_000_000, 1.0).is_err());
    }
}
