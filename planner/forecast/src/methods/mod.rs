//! The forecasting methods, each behind one small trait.
//!
//! A method is fitted once to the whole history and then run through it: at each origin it says what it would have forecast
//! from the values before that origin alone. What a fit may learn from the whole history is a handful of gains, never a profile
//! or a level. Methods work on the scale of [`crate::scale`] and answer medians; spread comes from their errors.

use crate::Step;

mod anomaly;
mod decomposed;
mod double_seasonal;
mod ridge;
mod seasonal_naive;

pub(crate) use double_seasonal::{mean_error, mean_error_within};

/// What a method is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Task<'a> {
    /// The grid that it is on.
    pub step: Step,
    /// The history on the forecasting scale; NaN is a gap.
    pub z: &'a [f64],
    /// The local step of the week of each step of the history and of the horizon after it.
    pub step_of_week: &'a [u16],
    /// Where to forecast from, rising: the index of the first step that is not known. The last is `z.len()`.
    pub origins: &'a [usize],
    /// Steps to forecast from each origin.
    pub horizon: usize,
    /// Filled by the first method that decomposes: decompositions cost more than all else together, and two methods need them.
    pub seasons: &'a SharedSeasons,
}

/// The decompositions of a task, made once.
pub(crate) type SharedSeasons = std::sync::OnceLock<Option<Vec<decomposed::Seasons>>>;

/// Forecasts from each origin: one row of `horizon` values for each.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    horizon: usize,
    values: Vec<f64>,
}

impl Rows {
    pub fn new(task: &Task<'_>) -> Self {
        Self {
            horizon: task.horizon,
            values: vec![0.0; task.origins.len() * task.horizon],
        }
    }

    pub fn row(&self, origin: usize) -> &[f64] {
        &self.values[origin * self.horizon..(origin + 1) * self.horizon]
    }

    pub fn row_mut(&mut self, origin: usize) -> &mut [f64] {
        &mut self.values[origin * self.horizon..(origin + 1) * self.horizon]
    }
}

/// A forecasting method.
pub(crate) trait Method: Sync {
    /// Its name in reports.
    fn name(&self) -> &'static str;
    /// The median forecasts from each origin; `None` where the history is too short for it.
    fn forecast(&self, task: &Task<'_>) -> Option<Rows>;
}

/// All methods, in the order of reports.
pub(crate) fn all() -> Vec<Box<dyn Method>> {
    vec![
        Box::new(seasonal_naive::SeasonalNaive),
        Box::new(anomaly::AnomalyRegression),
        Box::new(decomposed::MstlEts),
        Box::new(decomposed::Theta),
        Box::new(ridge::DecomposableRidge),
        Box::new(double_seasonal::DoubleSeasonal::weekly()),
        Box::new(double_seasonal::DoubleSeasonal::daily()),
    ]
}
