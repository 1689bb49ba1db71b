//! The weekly profile of a series on the forecasting scale: what the net's answers are deviations from.
//!
//! Cells are means over the weeks, the latest weighing most; a cell that was seen seldom is moved towards the same time of other days, or
//! towards what donors do at that time, and those towards the level.

use super::Layout;

/// What a week ago weighs against now.
const WEEK_WEIGHT: f64 = 0.75;
/// Weeks that pull a cell towards the time of the day.
const CELL_PRIOR: f64 = 0.5;
/// Days that pull a time of the day towards what is known without it.
const DAY_PRIOR: f64 = 1.0;
/// Hours of own history that weigh as much as what a share says of the level.
const LEVEL_PRIOR_HOURS: f64 = 6.0;
/// Hours of own history that weigh as much as what donors, or nothing, say of the spread.
const SPREAD_PRIOR_HOURS: f64 = 48.0;
/// From the mean absolute deviation to the standard deviation, normal.
const MEAN_ABSOLUTE: f64 = 1.2533;
const LEAST_SPREAD: f64 = 0.01;
/// Spread of a series about which nothing is known.
pub(super) const UNKNOWN_SPREAD: f64 = 0.3;

/// Level, weekly shape and spread.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    /// The level.
    pub level: f64,
    /// By step of the week, what is added to the level.
    pub shape: Vec<f64>,
    /// Standard deviation of what is left, at least 0.01.
    pub spread: f64,
    /// Standard deviation of the shape over the week.
    pub shape_spread: f64,
}

/// What is known of a profile before the series itself is looked at.
#[derive(Debug, Clone)]
pub(super) struct Prior {
    /// Its level, where a share says one.
    pub level: Option<f64>,
    /// Standard deviation of what several shares say of it; 0 of one.
    pub level_spread: f64,
    /// Its weekly shape.
    pub shape: Vec<f64>,
    /// Its spread.
    pub spread: f64,
}

impl Profile {
    /// From values on the forecasting scale with known events taken out; the last lies just before `step_of_week`. `None`: nothing says a
    /// level.
    pub fn of(
        layout: Layout,
        values: &[f64],
        step_of_week: usize,
        prior: Option<&Prior>,
    ) -> Option<Self> {
        let (week, day) = (layout.week(), layout.day());
        let of_week = |i: usize| (step_of_week + week - (values.len() - i) % week) % week;
        let week_weights: Vec<f64> = (0..=values.len() / week)
            .map(|weeks| WEEK_WEIGHT.powi(weeks as i32))
            .collect();
        let weight = |i: usize| week_weights[(values.len() - 1 - i) / week];
        let hour = 3600.0 / f64::from(layout.step_s);
        let before = |at: usize| prior.map_or(0.0, |prior| prior.shape[at]);

        let (mut sum, mut total, mut known) = (0.0, 0.0, 0usize);
        for (i, value) in values.iter().enumerate().filter(|(_, v)| !v.is_nan()) {
            sum += weight(i) * (value - before(of_week(i)));
            total += weight(i);
            known += 1;
        }
        let told = prior.and_then(|prior| prior.level);
        let own = known as f64 / (known as f64 + LEVEL_PRIOR_HOURS * hour);
        let level = match (total > 0.0, told) {
            (true, Some(told)) => own * (sum / total) + (1.0 - own) * told,
            (true, None) => sum / total,
            (false, told) => told?,
        };

        let mut days = vec![(0.0, 0.0); day];
        let mut cells = vec![(0.0, 0.0); week];
        for (i, value) in values.iter().enumerate().filter(|(_, v)| !v.is_nan()) {
            let at = of_week(i);
            let off = value - level;
            let (of_day, of_cell) = (&mut days[at % day], &mut cells[at]);
            of_day.0 += weight(i) * (off - before(at));
            of_day.1 += weight(i);
            of_cell.0 += weight(i) * off;
            of_cell.1 += weight(i);
        }
        let cells = smoothed(&cells, (hour / 4.0) as usize);
        let days = smoothed(&days, (hour / 4.0) as usize);
        let shape: Vec<f64> = (0..week)
            .map(|at| {
                let (sum, count) = days[at % day];
                let expected = before(at) + sum / (count + DAY_PRIOR);
                let (sum, count) = cells[at];
                (sum + CELL_PRIOR * expected) / (count + CELL_PRIOR)
            })
            .collect();

        let (mut off, mut total) = (0.0, 0.0);
        for (i, value) in values.iter().enumerate().filter(|(_, v)| !v.is_nan()) {
            off += weight(i) * (value - level - shape[of_week(i)]).abs();
            total += weight(i);
        }
        let expected = prior.map_or(UNKNOWN_SPREAD, |prior| prior.spread);
        let trust = known as f64 / (known as f64 + SPREAD_PRIOR_HOURS * hour);
        let seen = if total > 0.0 {
            MEAN_ABSOLUTE * off / total
        } else {
            0.0
        };
        let mean = shape.iter().sum::<f64>() / week as f64;
        let variance = shape.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / week as f64;
        Some(Self {
            level,
            spread: (trust * seen + (1.0 - trust) * expected).max(LEAST_SPREAD),
            shape_spread: variance.sqrt(),
            shape,
        })
    }

    /// What is expected at a step of the week.
    pub fn at(&self, step_of_week: usize) -> f64 {
        self.level + self.shape[step_of_week % self.shape.len()]
    }
}

/// Sums with those of their neighbours on the circle, nearer ones weighing more; as they are without neighbours.
fn smoothed(cells: &[(f64, f64)], neighbours: usize) -> Vec<(f64, f64)> {
    if neighbours == 0 {
        return cells.to_vec();
    }
    let n = cells.len();
    (0..n)
        .map(|at| {
            let (mut sum, mut count) = (0.0, 0.0);
            for aside in 0..=2 * neighbours {
                let weight = 1.0 - aside.abs_diff(neighbours) as f64 / (neighbours + 1) as f64;
                let (s, c) = cells[(at + n + aside - neighbours) % n];
                sum += weight * s;
                count += weight * c;
            }
            (sum, count)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOURLY: Layout = Layout::HOURLY;

    fn wave(hour: usize) -> f64 {
        3.0 + (hour as f64 / 24.0 * std::f64::consts::TAU).sin() + f64::from(hour % 168 < 24)
    }

    #[test]
    fn a_week_that_repeats_is_its_own_profile() {
        let values: Vec<f64> = (0..8 * 168).map(wave).collect();
        let profile = Profile::of(HOURLY, &values, 0, None).unwrap();
        for hour in 0..168 {
            assert!((profile.at(hour) - wave(hour)).abs() < 0.15, "{hour}");
        }
        assert!(profile.spread < 0.1);
        // The last value lies just before the step that is named.
        let shifted = Profile::of(HOURLY, &values[..values.len() - 30], 138, None).unwrap();
        assert!((shifted.at(150) - wave(150)).abs() < 0.15);
    }

    #[test]
    fn without_history_donors_say_shape_and_share_says_level() {
        let prior = Prior {
            level: Some(5.0),
            level_spread: 0.0,
            shape: (0..168).map(|hour| wave(hour) - 3.0).collect(),
            spread: 0.2,
        };
        let cold = Profile::of(HOURLY, &[], 12, Some(&prior)).unwrap();
        assert!((cold.at(6) - 2.0 - wave(6)).abs() < 1e-9);
        assert_eq!(cold.spread, 0.2);
        // Half a day twice as high moves the level and keeps the shape of the rest.
        let first: Vec<f64> = (0..12).map(|hour| wave(hour) + 4.0).collect();
        let warm = Profile::of(HOURLY, &first, 12, Some(&prior)).unwrap();
        let moved = warm.at(100) - cold.at(100);
        assert!(moved > 1.0 && moved < 2.0, "{moved}");
        let unknown = Prior {
            level: None,
            ..prior
        };
        assert!(Profile::of(HOURLY, &[f64::NAN; 30], 12, Some(&unknown)).is_none());
    }
}
