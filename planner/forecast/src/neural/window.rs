//! From a window of history to the numbers that the net reads, and from its answers back to requests a second: one encoder for training
//! and for forecasting.
//!
//! On the shifted logarithm of [`crate::scale`] a window is level + weekly shape + known events + spread × what the net is asked. Everything
//! it reads is in units of the series' own level, shape and spread, so that it never learns what a service's rate is.

use std::ops::Range;

use super::{
    LEVELS, Layout, MEDIAN, TOKEN_STEPS,
    profile::{Prior, Profile, UNKNOWN_SPREAD},
    tokens::{METRICS, MOST_RESIDUAL, Seen, clip},
};
use crate::scale::LogScale;

/// Hours of history below which a window counts as cold.
const COLD_HOURS: f64 = 24.0;
/// What of a donor must be known, in hours.
const LEAST_DONOR_HOURS: f64 = 24.0;

/// Another region's demand for the same service.
#[derive(Debug, Clone, Copy)]
pub struct Donor<'a> {
    /// Requests a second at the same local steps as the window's history; NaN is a gap.
    pub demand: &'a [f32],
    /// What part of it the window's own demand is taken to be; None: unknown.
    pub share: Option<f64>,
}

/// What is known at an origin.
#[derive(Debug, Clone, Copy)]
pub struct Window<'a> {
    /// Requests a second of the steps before the origin, oldest first; NaN is a gap. More than [`Layout::history`] are cut.
    pub history: &'a [f32],
    /// Local step of the week of the origin; Monday 00:00 is 0.
    pub step_of_week: u32,
    /// From the first step of `history` to the end of the horizon: 1 on public holidays. Empty: none is known.
    pub day_off: &'a [u8],
    /// Over the same steps: ln of the uplift expected of known events. Empty: none is known.
    pub event_log_uplift: &'a [f32],
    /// Over the same steps: business metrics known in advance; two are looked at, NaN is a gap.
    pub metrics: &'a [&'a [f32]],
    /// Other regions, over the steps of `history`.
    pub donors: &'a [Donor<'a>],
    /// Standard deviation of the logarithm of how far off shares may be.
    pub share_spread: f64,
}

/// What turns the net's answers for one window into requests a second.
#[derive(Debug, Clone)]
pub struct Frame {
    scale: LogScale,
    /// By step ahead, on the forecasting scale.
    baseline: Vec<f64>,
    spread: f64,
}

impl Frame {
    /// What the net should answer for a demand: deviations from the baseline in units of the spread; NaN stays NaN.
    pub fn targets<'a>(&'a self, demand: &'a [f32]) -> impl Iterator<Item = f32> + 'a {
        let steps = demand.iter().zip(&self.baseline);
        steps.map(|(y, base)| ((self.scale.forward(f64::from(*y)) - base) / self.spread) as f32)
    }

    /// Quantiles of a step on the forecasting scale, from the net's answer for it.
    #[must_use]
    pub fn levels(&self, step: usize, answer: &[f32]) -> [f64; LEVELS] {
        let base = self.baseline.get(step).copied().unwrap_or_default();
        std::array::from_fn(|level| {
            let deviation = answer.get(level).map_or(0.0, |a| f64::from(*a));
            base + self.spread * deviation
        })
    }

    /// Quantiles of a step in requests a second.
    #[must_use]
    pub fn quantiles_rps(&self, step: usize, answer: &[f32]) -> [f64; LEVELS] {
        self.levels(step, answer).map(|z| self.scale.back(z))
    }

    /// The median of a step on the forecasting scale.
    #[must_use]
    pub fn median(&self, step: usize, answer: &[f32]) -> f64 {
        self.levels(step, answer)[MEDIAN]
    }
}

/// The numbers of many windows, one after the other: what a model is run on.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// `[windows, history tokens, TOKEN_FEATURES]`.
    pub history: Vec<f32>,
    /// `[windows, horizon tokens, TOKEN_FEATURES]`.
    pub horizon: Vec<f32>,
    /// `[windows, GLOBAL_FEATURES]`.
    pub global: Vec<f32>,
    /// How many windows.
    pub windows: usize,
}

/// A series beside the demand, in units of its own profile.
struct Beside {
    /// Deviations from the profile, by step; NaN is a gap.
    residuals: Vec<f64>,
    profile: Profile,
}

impl Beside {
    /// Of a series that is known over `values` and whose week is that of the window.
    fn of(layout: Layout, values: &[f32], step_of_week: usize, profiled: usize) -> Option<Self> {
        let rates: Vec<f64> = values.iter().map(|v| f64::from(*v)).collect();
        let known = rates.iter().filter(|v| !v.is_nan()).count() as f64;
        if known * f64::from(layout.step_s) < LEAST_DONOR_HOURS * 3600.0 {
            return None;
        }
        let scale = LogScale::of(&rates);
        let z: Vec<f64> = rates.iter().map(|v| scale.forward(*v)).collect();
        let profile = Profile::of(layout, z.get(..profiled)?, step_of_week, None)?;
        let week = layout.week();
        let start = (step_of_week + week - profiled % week) % week;
        let residuals = z.iter().enumerate();
        let residuals = residuals.map(|(i, z)| (z - profile.at(start + i)) / profile.spread);
        Some(Self {
            residuals: residuals.collect(),
            profile,
        })
    }
}

impl Batch {
    /// Adds a window. `None`: nothing is known of its level, and nothing was added.
    pub fn push(&mut self, layout: Layout, window: &Window<'_>) -> Option<Frame> {
        let cut = window.history.len().saturating_sub(layout.history());
        let history = &window.history[cut..];
        let (past, horizon) = (history.len(), layout.horizon());
        let week = layout.week();
        let now = window.step_of_week as usize % week;
        let first = (now + week - past % week) % week;
        let event = |i: usize| -> f64 {
            let at = window.event_log_uplift.get(cut + i);
            at.map_or(0.0, |e| f64::from(*e))
        };

        let donors: Vec<(Beside, Option<f64>)> = window
            .donors
            .iter()
            .filter_map(|donor| {
                let demand = donor.demand.get(cut..cut + past)?;
                Some((Beside::of(layout, demand, now, past)?, donor.share))
            })
            .collect();
        let rates: Vec<f64> = history.iter().map(|v| f64::from(*v)).collect();
        let known = rates.iter().filter(|v| !v.is_nan()).count();
        let known_hours = known as f64 * f64::from(layout.step_s) / 3600.0;
        let cold = known_hours < COLD_HOURS;
        let scale = if cold {
            let shared = window.donors.iter().filter_map(|donor| {
                let share = donor.share?;
                Some(donor.demand.iter().map(move |v| f64::from(*v) * share))
            });
            let expected: Vec<f64> = shared.flatten().collect();
            LogScale::of(if expected.iter().any(|v| !v.is_nan()) {
                &expected
            } else {
                &rates
            })
        } else {
            LogScale::of(&rates)
        };
        let prior = prior(&donors, layout);
        let z: Vec<f64> = (0..past)
            .map(|i| scale.forward(rates[i]) - event(i))
            .collect();
        let profile = Profile::of(layout, &z, now, prior.as_ref())?;
        // While the level rests on shares, their error is part of the spread: what it is said to be, and what donors disagree by.
        let unsure = match &prior {
            Some(prior) if prior.level.is_some() => {
                window.share_spread.hypot(prior.level_spread) / (1.0 + known_hours / 12.0)
            }
            _ => 0.0,
        };
        let spread = profile.spread.hypot(unsure);

        let metrics: Vec<Option<Vec<f64>>> = (0..METRICS)
            .map(|at| {
                let metric = window.metrics.get(at)?;
                let values = metric.get(cut..metric.len().min(cut + past + horizon))?;
                let beside = Beside::of(layout, values, now, past.min(values.len()))?;
                Some(beside.residuals)
            })
            .collect();
        let known_donors = donors.len() as f64;
        let of_donors = |i: usize| -> f64 {
            let there = donors
                .iter()
                .filter_map(|(donor, _)| donor.residuals.get(i));
            let (sum, count) = there
                .filter(|r| !r.is_nan())
                .fold((0.0, 0.0), |(sum, count), r| (sum + r, count + 1.0));
            if count > 0.0 { sum / count } else { f64::NAN }
        };
        let see = Seen {
            layout,
            first,
            shape: &profile,
            spread,
            residual: &|i| {
                if i < past {
                    (z[i] - profile.at(first + i)) / spread
                } else {
                    f64::NAN
                }
            },
            donors: &of_donors,
            event: &event,
            day_off: &|i| window.day_off.get(cut + i).map_or(0.0, |d| f64::from(*d)),
            metrics: &metrics,
        };
        // Tokens end at the origin; those before the first known step are empty.
        let before = layout.history() - past;
        for token in 0..layout.history_tokens {
            let from = (token * TOKEN_STEPS) as i64 - before as i64;
            let ago = (layout.history_tokens - token) as f64 / layout.history_tokens as f64;
            see.token(from, -ago, &mut self.history);
        }
        for token in 0..layout.horizon_tokens {
            let from = (past + token * TOKEN_STEPS) as i64;
            let ahead = (token + 1) as f64 / layout.horizon_tokens as f64;
            see.token(from, ahead, &mut self.horizon);
        }

        let recent = |steps: Range<usize>| -> f64 {
            let known = steps.map(|i| (see.residual)(i)).filter(|r| !r.is_nan());
            let (sum, count) = known.fold((0.0, 0.0), |(s, c), r| {
                (s + clip(r, MOST_RESIDUAL), c + 1.0)
            });
            if count > 0.0 { sum / count } else { 0.0 }
        };
        let there = || rates.iter().filter(|v| !v.is_nan());
        let mean = there().sum::<f64>() / (known as f64).max(1.0);
        let zeros = there().filter(|v| **v == 0.0).count() as f64 / (known as f64).max(1.0);
        let expected_rps = if known > 0 {
            mean
        } else {
            scale.back(profile.level)
        };
        let of_donors = donors.iter().map(|(donor, _)| donor.profile.spread);
        let global = [
            spread.ln() / 2.0,
            (profile.shape_spread + 0.01).ln() / 2.0,
            (expected_rps * f64::from(layout.step_s) + 1.0).ln() / 8.0,
            known as f64 / layout.history() as f64,
            (known_hours / 24.0 + 1.0).ln() / 4.0,
            f64::from(u8::from(cold)),
            unsure / spread,
            known_donors / 4.0,
            if donors.is_empty() {
                0.0
            } else {
                (of_donors.sum::<f64>() / known_donors / profile.spread).ln() / 2.0
            },
            zeros,
            recent(past.saturating_sub(layout.day())..past),
            recent(past.saturating_sub(week)..past),
        ];
        self.global.extend(global.map(|g: f64| g as f32));
        self.windows += 1;
        let baseline = (past..past + horizon).map(|i| profile.at(first + i) + event(i));
        Some(Frame {
            scale,
            baseline: baseline.collect(),
            spread,
        })
    }
}

/// What donors say of a profile.
fn prior(donors: &[(Beside, Option<f64>)], layout: Layout) -> Option<Prior> {
    if donors.is_empty() {
        return None;
    }
    let count = donors.len() as f64;
    let shape = (0..layout.week()).map(|at| {
        let shapes = donors.iter().map(|(donor, _)| donor.profile.shape[at]);
        shapes.sum::<f64>() / count
    });
    let levels: Vec<f64> = donors
        .iter()
        .filter_map(|(donor, share)| Some(donor.profile.level + share.filter(|s| *s > 0.0)?.ln()))
        .collect();
    let mean = levels.iter().sum::<f64>() / levels.len().max(1) as f64;
    let squares: f64 = levels.iter().map(|level| (level - mean).powi(2)).sum();
    let spreads = donors.iter().map(|(donor, _)| donor.profile.spread);
    Some(Prior {
        level: (!levels.is_empty()).then_some(mean),
        level_spread: (squares / levels.len().saturating_sub(1).max(1) as f64).sqrt(),
        shape: shape.collect(),
        spread: (spreads.sum::<f64>() / count).min(10.0 * UNKNOWN_SPREAD),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neural::{GLOBAL_FEATURES, TOKEN_FEATURES};

    const HOURLY: Layout = Layout::HOURLY;

    fn shop(hours: usize, times: f32) -> Vec<f32> {
        let rate = |hour: usize| {
            let day = (hour as f32 / 24.0 * std::f32::consts::TAU).sin();
            times * (100.0 + 60.0 * day + (hour * 7919 % 13) as f32)
        };
        (0..hours).map(rate).collect()
    }

    fn window(history: &[f32]) -> Window<'_> {
        Window {
            history,
            step_of_week: 100,
            day_off: &[],
            event_log_uplift: &[],
            metrics: &[],
            donors: &[],
            share_spread: 0.0,
        }
    }

    fn encoded(window: &Window<'_>) -> (Batch, Frame) {
        let mut batch = Batch::default();
        let frame = batch.push(HOURLY, window).unwrap();
        assert_eq!(batch.history.len(), 56 * TOKEN_FEATURES);
        assert_eq!(batch.horizon.len(), 14 * TOKEN_FEATURES);
        assert_eq!(batch.global.len(), GLOBAL_FEATURES);
        let all = batch
            .history
            .iter()
            .chain(&batch.horizon)
            .chain(&batch.global);
        assert!(all.clone().all(|v| v.is_finite()));
        (batch, frame)
    }

    #[test]
    fn a_service_a_thousand_times_as_busy_looks_the_same() {
        let (small, large) = (shop(1500, 1.0), shop(1500, 1000.0));
        let (a, frame) = encoded(&window(&small));
        let (b, of_large) = encoded(&window(&large));
        let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3);
        assert!(close(&a.history, &b.history) && close(&a.horizon, &b.horizon));
        let answer = [0.5; LEVELS];
        let ratio = of_large.quantiles_rps(7, &answer)[0] / frame.quantiles_rps(7, &answer)[0];
        assert!((ratio / 1000.0 - 1.0).abs() < 1e-3, "{ratio}");
    }

    #[test]
    fn targets_are_what_the_answers_mean() {
        let history = shop(1400, 1.0);
        let (_, frame) = encoded(&window(&history));
        let ahead = [80.0, f32::NAN, 140.0];
        let targets: Vec<f32> = frame.targets(&ahead).collect();
        assert!(targets[1].is_nan());
        for step in [0, 2] {
            let back = frame.quantiles_rps(step, &[targets[step]; LEVELS])[MEDIAN];
            assert!((back / f64::from(ahead[step]) - 1.0).abs() < 1e-4, "{back}");
        }
    }

    #[test]
    fn gaps_silence_and_little_history_are_stood() {
        for history in [
            vec![f32::NAN; 40],
            vec![0.0; 2000],
            vec![7.0; 1344],
            vec![1.0, f32::NAN, 3.0],
            [vec![f32::NAN; 900], shop(300, 1e-4)].concat(),
        ] {
            let mut batch = Batch::default();
            let some = history.iter().any(|v| !v.is_nan());
            assert_eq!(batch.push(HOURLY, &window(&history)).is_some(), some);
            assert_eq!(batch.windows, usize::from(some));
            assert!(batch.history.iter().all(|v| v.is_finite()));
        }
    }

    #[test]
    fn a_region_without_history_is_its_donor_times_its_share() {
        let donor = shop(1344, 10.0);
        let nothing = vec![f32::NAN; 1344];
        let donors = [Donor {
            demand: &donor,
            share: Some(0.25),
        }];
        let (batch, frame) = encoded(&Window {
            donors: &donors,
            share_spread: 0.3,
            ..window(&nothing)
        });
        let at = frame.quantiles_rps(0, &[0.0; LEVELS])[MEDIAN];
        // A week after the donor's first step of the last week.
        let expected = 0.25 * f64::from(donor[1344 - 168]);
        assert!((at / expected - 1.0).abs() < 0.1, "{at} {expected}");
        assert_eq!(batch.global[5], 1.0);
        assert!(batch.global[6] > 0.5, "the share is most of what is unsure");
    }

    #[test]
    fn a_known_event_is_in_the_baseline_and_out_of_the_profile() {
        let mut history = shop(1344, 1.0);
        let mut uplift = vec![0.0; 1344 + 336];
        for hour in 1200..1248 {
            history[hour] *= 3.0;
            uplift[hour] = 3f32.ln();
        }
        uplift[1344] = 2f32.ln();
        let plain = shop(1344, 1.0);
        let (_, without) = encoded(&window(&plain));
        let (_, with) = encoded(&Window {
            event_log_uplift: &uplift,
            ..window(&history)
        });
        let ratio = |step: usize| {
            let of = |frame: &Frame| frame.quantiles_rps(step, &[0.0; LEVELS])[MEDIAN];
            of(&with) / of(&without)
        };
        assert!((ratio(0) - 2.0).abs() < 0.2, "{}", ratio(0));
        assert!((ratio(1) - 1.0).abs() < 0.1, "{}", ratio(1));
    }
}
