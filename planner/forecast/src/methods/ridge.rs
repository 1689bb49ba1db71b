//! Prophet's decomposable model (Taylor & Letham 2018, "Forecasting at scale") as one ridge: a piecewise linear trend, Fourier
//! terms of the day that differ at weekends, and the day of the week. Events are taken out before and put on after (`events`).
//!
//! It is refitted at every origin: running sums make that one solve of some thirty unknowns. Old hours fade; the trend goes on flat,
//! because a slope of some weeks says little about the next; what the last day was off the fit fades over the horizon.

use std::f64::consts::TAU;

use super::{Method, Rows, Task};
use crate::{Step, linear::NormalEquations};

/// Fourier pairs of the day, and of the day at weekends on top.
const DAILY: usize = 6;
const WEEKEND: usize = 4;
/// Days after which a step weighs half.
const HALF_LIFE_DAYS: f64 = 21.0;
/// Days between the bends of the trend.
const BEND_SPACING_DAYS: usize = 14;
const MOST_BENDS: usize = 12;
const FEWEST_HOURS: usize = 72;
const FEWEST_STEPS: usize = 14;
/// Penalties, in hours.
const SEASON_PENALTY: f64 = 2.0;
const BEND_PENALTY: f64 = 30.0;
/// Hours after which what the last day was off has faded to 1/e, and what of it counts.
const FADE_HOURS: f64 = 72.0;
const CARRY: f64 = 0.7;

/// Decomposable ridge.
pub(crate) struct DecomposableRidge;

const SEASONAL: usize = 2 * DAILY + 2 * WEEKEND + 6;

impl Method for DecomposableRidge {
    fn name(&self) -> &'static str {
        "decomposable ridge"
    }

    fn forecast(&self, task: &Task<'_>) -> Option<Rows> {
        let (step, week) = (task.step, task.step.week());
        if task.z.len() < step.hours(FEWEST_HOURS).max(FEWEST_STEPS) {
            return None;
        }
        let seasons: Vec<[f64; SEASONAL]> = (0..week).map(|at| seasonal(step, at)).collect();
        let spacing = BEND_SPACING_DAYS * step.day();
        let half_life = HALF_LIFE_DAYS * step.day() as f64;
        let fade = FADE_HOURS / step.in_hours();
        let bends = ((task.z.len() / spacing).max(1) - 1).min(MOST_BENDS);
        let first_bend = task.z.len().saturating_sub((bends + 1) * spacing);
        let features = 2 + bends + SEASONAL;
        let row_of = |hour: usize, of_trend: usize, row: &mut Vec<f64>| {
            row.clear();
            row.push(1.0);
            let day = |from: usize| of_trend.saturating_sub(from) as f64 / spacing as f64;
            row.push(day(0));
            row.extend((1..=bends).map(|bend| day(first_bend + bend * spacing)));
            row.extend(seasons[usize::from(task.step_of_week[hour]) % week]);
        };
        let mut equations = NormalEquations::new(features);
        let mut row = Vec::with_capacity(features);
        let mut rows = Rows::new(task);
        let mut at = 0;
        for (index, &origin) in task.origins.iter().enumerate() {
            for hour in at..origin {
                if !task.z[hour].is_nan() {
                    row_of(hour, hour, &mut row);
                    equations.add(
                        &row,
                        task.z[hour],
                        ((hour as f64 - task.z.len() as f64) / half_life).exp2(),
                    );
                }
            }
            at = origin;
            // Weights fade from the end of the history, penalties from the origin: the same rows weigh the same. Steps of five minutes are a twelfth
            // of an hour's row each; a day is a row.
            let unit = ((origin as f64 - task.z.len() as f64) / half_life).exp2()
                / step.in_hours().min(1.0);
            let coefficients = equations.solve(|i| match i {
                0 => 0.0,
                1 => unit,
                i if i < 2 + bends => unit * BEND_PENALTY,
                _ => unit * SEASON_PENALTY,
            })?;
            let mut value_at = |hour: usize, of_trend: usize| {
                row_of(hour, of_trend, &mut row);
                row.iter()
                    .zip(&coefficients)
                    .map(|(f, c)| f * c)
                    .sum::<f64>()
            };
            let (mut off, mut count) = (0.0, 0.0);
            for hour in origin.saturating_sub(step.day())..origin {
                if !task.z[hour].is_nan() {
                    off += task.z[hour] - value_at(hour, hour);
                    count += 1.0;
                }
            }
            let off = if count > 0.0 {
                CARRY * off / count
            } else {
                0.0
            };
            for (ahead, value) in rows.row_mut(index).iter_mut().enumerate() {
                *value = value_at(origin + ahead, origin) + off * (-(ahead as f64) / fade).exp();
            }
        }
        Some(rows)
    }
}

fn seasonal(step: Step, step_of_week: usize) -> [f64; SEASONAL] {
    let mut features = [0.0; SEASONAL];
    let day = step_of_week / step.day();
    let weekend = f64::from(u8::from(day >= 5));
    let angle = TAU * (step_of_week % step.day()) as f64 / step.day() as f64;
    let daily = if step == Step::Day { 0 } else { DAILY };
    for k in 0..daily {
        let (sin, cos) = (angle * (k + 1) as f64).sin_cos();
        features[2 * k] = sin;
        features[2 * k + 1] = cos;
        if k < WEEKEND {
            features[2 * DAILY + 2 * k] = sin * weekend;
            features[2 * DAILY + 2 * k + 1] = cos * weekend;
        }
    }
    // Six contrasts of the seven days.
    if day < 6 {
        features[2 * DAILY + 2 * WEEKEND + day] = 1.0;
    }
    features
}
