//! Last week again: the baseline that every method has to beat.

use super::{Method, Rows, Task};

/// The value of the same step one week before; where that is a gap, two weeks before and so on, then the day before, then the
/// last known value.
pub(crate) struct SeasonalNaive;

impl Method for SeasonalNaive {
    fn name(&self) -> &'static str {
        "seasonal naive"
    }

    fn forecast(&self, task: &Task<'_>) -> Option<Rows> {
        let mut rows = Rows::new(task);
        for (index, &origin) in task.origins.iter().enumerate() {
            let known = &task.z[..origin];
            let last = known.iter().rev().copied().find(|z| !z.is_nan())?;
            for (ahead, value) in rows.row_mut(index).iter_mut().enumerate() {
                *value = before(known, origin + ahead, task.step.week())
                    .or_else(|| before(known, origin + ahead, task.step.day()))
                    .unwrap_or(last);
            }
        }
        Some(rows)
    }
}

/// The latest known value a whole number of periods before `target`.
pub(crate) fn before(known: &[f64], target: usize, period: usize) -> Option<f64> {
    let mut at = target.checked_sub(period)?;
    loop {
        if let Some(value) = known.get(at).filter(|z| !z.is_nan()) {
            return Some(*value);
        }
        at = at.checked_sub(period)?;
    }
}
