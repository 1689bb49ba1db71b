//! The numbers of a token: what a day (or two hours) of a window looks like to the net.

use super::{Layout, TOKEN_FEATURES, TOKEN_STEPS, profile::Profile};

/// Residuals beyond so many spreads tell no more.
pub(super) const MOST_RESIDUAL: f64 = 6.0;
/// Channels of business metrics.
pub(super) const METRICS: usize = 2;

pub(super) fn clip(value: f64, most: f64) -> f64 {
    value.clamp(-most, most)
}

/// A window as its tokens see it; steps count from the first of the history.
pub(super) struct Seen<'a> {
    pub layout: Layout,
    pub first: usize,
    pub shape: &'a Profile,
    pub spread: f64,
    pub residual: &'a dyn Fn(usize) -> f64,
    pub donors: &'a dyn Fn(usize) -> f64,
    pub event: &'a dyn Fn(usize) -> f64,
    pub day_off: &'a dyn Fn(usize) -> f64,
    /// Deviations of business metrics from their own profiles.
    pub metrics: &'a [Option<Vec<f64>>],
}

impl Seen<'_> {
    /// The numbers of the token whose first step is `from`.
    pub(super) fn token(&self, from: i64, when: f64, out: &mut Vec<f32>) {
        let start = out.len();
        let week = self.layout.week();
        let of_week = |i: i64| (self.first as i64 + i).rem_euclid(week as i64) as usize;
        let steps = || from..from + TOKEN_STEPS as i64;
        let known = |value: f64| {
            if value.is_nan() {
                0.0
            } else {
                clip(value, MOST_RESIDUAL) / 2.0
            }
        };
        let at = |i: i64, what: &dyn Fn(usize) -> f64| usize::try_from(i).map_or(f64::NAN, what);
        let mut put = |value: f64| out.push(value as f32);
        for i in steps() {
            put(known(at(i, self.residual)));
        }
        for i in steps() {
            put(f64::from(u8::from(!at(i, self.residual).is_nan())));
        }
        let shape_spread = self.shape.shape_spread.max(0.02);
        for i in steps() {
            put(clip(self.shape.shape[of_week(i)] / shape_spread, 4.0) / 2.0);
        }
        let mut donors_known = 0.0;
        for i in steps() {
            let donors = at(i, self.donors);
            donors_known += f64::from(u8::from(!donors.is_nan()));
            put(known(donors));
        }
        for i in steps() {
            let event = at(i, self.event);
            put(if event.is_nan() {
                0.0
            } else {
                clip(event / self.spread, 12.0) / 4.0
            });
        }
        for i in steps() {
            let off = at(i, self.day_off);
            put(if off.is_nan() { 0.0 } else { off });
        }
        let mut metrics_known = [0.0; METRICS];
        for (metric, seen) in self.metrics.iter().zip(&mut metrics_known) {
            let of = |i: usize| -> f64 {
                let there = metric.as_ref().and_then(|metric| metric.get(i));
                there.copied().unwrap_or(f64::NAN)
            };
            for i in steps() {
                let value = at(i, &of);
                *seen += f64::from(u8::from(!value.is_nan()));
                put(known(value));
            }
        }
        put(donors_known / TOKEN_STEPS as f64);
        for seen in metrics_known {
            put(seen / TOKEN_STEPS as f64);
        }
        let day = self.layout.day();
        let middle = of_week(from + TOKEN_STEPS as i64 / 2);
        for weekday in 0..7 {
            put(f64::from(u8::from(middle / day == weekday)));
        }
        let angle = (of_week(from) % day) as f64 / day as f64 * std::f64::consts::TAU;
        put(angle.sin());
        put(angle.cos());
        put(when);
        debug_assert_eq!(out.len() - start, TOKEN_FEATURES);
    }
}
