//! Makes quantiles mean what they say: the scaled backtest errors of all series together, by distance, shrunk for each series.
//!
//! Hours are not exchangeable and one series shows few independent ones, so the shape of the errors is learned from all series at
//! once (by group of the horizon, [`crate::backtest`]), with a Student shape as the start where even that is little, a generalised Pareto
//! tail above 0.95, and each series' own shape as far as its errors are many.

use crate::{
    Step, backtest,
    combine::{Combined, ScaledError},
    quantiles::{self, Levels},
};

/// Student's quantiles with 5 degrees of freedom at the levels of [`foremesh_model::QUANTILE_LEVELS`], in units of the one at 0.9: where nothing is known yet.
const STUDENT: Levels = [
    -2.280, -1.365, -1.0, -0.623, -0.379, -0.181, 0.0, 0.181, 0.379, 0.623, 1.0, 1.365, 2.280,
    3.993,
];
/// Windows whose errors weigh as much as the Student shape.
const PRIOR_WINDOWS: f64 = 3.0;
/// Windows of one series that weigh as much as all series together.
const SERIES_WINDOWS: f64 = 60.0;
/// Gains, regressions and weights are fitted to the hours that the backtest then asks for, and every series shows only a few
/// independent windows: the 80% interval is wider by this share, and what lies beyond moves with its ends. Measured on one half of
/// the benchmark's series, checked on the other.
const WIDEN: f64 = 0.08;
/// What one series teaches the others is cut here, so that one that rests and leaps does not widen all.
const MOST_SCALED: f64 = 20.0;
/// Neighbouring hours err together: this many hours count as one window.
const HOURS_OF_A_WINDOW: usize = 12;

/// Steps that count as one window; where a step is a day, the days of a week.
fn window(step: Step) -> f64 {
    match step {
        Step::Day => step.week() as f64,
        _ => step.hours(HOURS_OF_A_WINDOW) as f64,
    }
}

/// The shape of scaled errors.
#[derive(Debug, Clone)]
pub(crate) struct Shapes {
    step: Step,
    all: Levels,
    groups: Vec<Levels>,
}

fn shape(errors: &mut [f64], windows: f64, towards: &Levels, prior: f64) -> Levels {
    if errors.is_empty() {
        return *towards;
    }
    errors.sort_unstable_by(f64::total_cmp);
    let mut levels = quantiles::levels_with_tail(errors);
    let own = windows / (windows + prior);
    for (level, towards) in levels.iter_mut().zip(towards) {
        *level = own * *level + (1.0 - own) * towards;
    }
    levels
}

impl Shapes {
    /// Learns from all series that were forecast together, on one grid.
    pub fn learn<'a>(step: Step, series: impl Iterator<Item = &'a Combined> + Clone) -> Self {
        let errors = || series.clone().flat_map(|combined| &combined.errors);
        let clipped = |e: &ScaledError| e.error.clamp(-MOST_SCALED, MOST_SCALED);
        let mut all: Vec<f64> = errors().map(clipped).collect();
        let windows = all.len() as f64 / window(step);
        let all = shape(&mut all, windows, &STUDENT, PRIOR_WINDOWS);
        let count = errors()
            .map(|e| backtest::group(step, e.ahead) + 1)
            .max()
            .unwrap_or(0);
        let mut groups: Vec<Vec<f64>> = vec![Vec::new(); count];
        for error in errors() {
            groups[backtest::group(step, error.ahead)].push(clipped(error));
        }
        let groups = groups
            .iter_mut()
            .enumerate()
            .map(|(group, errors)| {
                let windows = errors.len() as f64 / backtest::group_steps(step, group);
                shape(errors, windows, &all, SERIES_WINDOWS)
            })
            .collect();
        Self { step, all, groups }
    }

    /// The grid that it was learned on.
    pub fn step(&self) -> Step {
        self.step
    }

    /// The shape of a series' own errors.
    pub fn of_series(&self, combined: &Combined) -> Levels {
        let mut own: Vec<f64> = combined.errors.iter().map(|e| e.error).collect();
        let windows = own.len() as f64 / window(self.step);
        shape(&mut own, windows, &self.all, SERIES_WINDOWS)
    }

    /// The calibrated quantiles of an hour on the forecasting scale, from the median and its distances to the 0.1 and 0.9 quantiles; `own` is
    /// what [`Shapes::of_series`] says.
    pub fn levels(
        &self,
        own: &Levels,
        ahead: usize,
        median: f64,
        below: f64,
        above: f64,
    ) -> Levels {
        let group = self
            .groups
            .get(backtest::group(self.step, ahead))
            .or(self.groups.last())
            .unwrap_or(&self.all);
        let mut levels: Levels = std::array::from_fn(|level| {
            let scaled = group[level] + own[level] - self.all[level];
            let scaled = scaled + WIDEN * scaled.clamp(-1.0, 1.0);
            median + scaled * if scaled > 0.0 { above } else { below }
        });
        quantiles::make_rising(&mut levels);
        levels
    }

    /// The calibrated quantiles of a series by hour, on the forecasting scale.
    pub fn apply(&self, combined: &Combined) -> Vec<Levels> {
        let own = self.of_series(combined);
        let spread = combined.below.iter().zip(&combined.above);
        let hours = combined.median.iter().zip(spread).enumerate();
        hours
            .map(|(ahead, (median, (below, above)))| {
                self.levels(&own, ahead, *median, *below, *above)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use foremesh_model::QUANTILE_LEVELS;

    use super::*;

    #[test]
    fn the_start_is_students_shape() {
        use statrs::distribution::{ContinuousCDF, StudentsT};
        let student = StudentsT::new(0.0, 1.0, 5.0).unwrap();
        for (level, value) in QUANTILE_LEVELS.iter().zip(STUDENT) {
            let exact = student.inverse_cdf(*level) / student.inverse_cdf(0.9);
            assert!((exact - value).abs() < 2e-3, "{level}: {exact} {value}");
        }
    }
}
