//! Long times in the simulator: a day at thousands of requests a second is simulated as windows of time, each at its full rate, because queues
//! do not scale with the rate.
//!
//! Some windows are chosen for what may go wrong in them (instances change, the load or the risk is highest) and stand for themselves alone. The rest of the
//! time is divided into strata; in each, windows are drawn at random, without replacement, and stand for all of it (Cochran, *Sampling
//! Techniques*, 1977, chapter 5). Every replication draws anew, so that the spread between replications holds both what chance does
//! in a window and what the choice of windows does.

mod report;
mod run;

pub use report::{DayEntry, DayHour, DayReport, DayService};
pub(crate) use run::{Autoscaled, Lived, instances_for, run_windows};

use foremesh_model::random::mix;
use serde::{Deserialize, Serialize};

/// Why a span of time is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowReason {
    /// The first requests come.
    Launch,
    /// Instances change at its start.
    Change,
    /// The load is highest.
    Load,
    /// The steady state in formulas says that an objective is nearest to breaking.
    Risk,
    /// Drawn at random.
    Random,
}

/// A span of time that is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Seconds after the start at which it begins.
    pub starts_s: f64,
    /// Seconds that it lasts.
    pub length_s: f64,
    /// Seconds that each of its seconds stands for: 1 where it was chosen for itself, more where it was drawn for others too.
    pub weight: f64,
    /// Why it is simulated.
    pub reason: WindowReason,
}

/// What windows are chosen from.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowRequest {
    /// Seconds of the whole time.
    pub horizon_s: f64,
    /// Minutes of a window, a divisor of 60.
    pub minutes: u32,
    /// Spans that are simulated for themselves: start in seconds, length in seconds, why. Each takes the windows that it touches.
    pub certain: Vec<(f64, f64, WindowReason)>,
    /// Seconds of a stratum.
    pub stratum_s: f64,
    /// Windows that are drawn in each stratum, at least one where anything is left to draw.
    pub random: u32,
    /// Seed of what is drawn.
    pub seed: u64,
}

/// The windows of a request in order of time. They never overlap, and their lengths times their weights sum to the whole time.
pub fn windows(request: &WindowRequest) -> impl Iterator<Item = Window> + use<> {
    let slot_s = f64::from(request.minutes.max(1)) * 60.0;
    let slots = (request.horizon_s / slot_s).ceil().max(0.0) as usize;
    let mut chosen: Vec<Option<(f64, WindowReason)>> = vec![None; slots];
    for (starts_s, length_s, reason) in &request.certain {
        let first = (starts_s / slot_s).floor().max(0.0) as usize;
        let last = ((starts_s + length_s) / slot_s).ceil().max(0.0) as usize;
        for slot in chosen.iter_mut().take(last).skip(first) {
            slot.get_or_insert((1.0, *reason));
        }
    }
    let in_stratum = (request.stratum_s / slot_s).round().max(1.0) as usize;
    for (stratum, part) in chosen.chunks_mut(in_stratum).enumerate() {
        let key = |slot: &usize| {
            mix(
                mix(request.seed, stratum as u64),
                (stratum * in_stratum + slot) as u64,
            )
        };
        let mut left: Vec<usize> = (0..part.len()).filter(|i| part[*i].is_none()).collect();
        let all = left.len();
        left.sort_by_key(key);
        left.truncate(request.random.max(1) as usize);
        let weight = all as f64 / left.len().max(1) as f64;
        for slot in left {
            part[slot] = Some((weight, WindowReason::Random));
        }
    }
    let mut windows: Vec<Window> = Vec::new();
    for (slot, (weight, reason)) in chosen
        .iter()
        .enumerate()
        .filter_map(|(slot, chosen)| Some((slot, (*chosen)?)))
    {
        let starts_s = slot as f64 * slot_s;
        let length_s = slot_s.min(request.horizon_s - starts_s);
        // Neighbours of one kind are one window, so that one warm-up serves both; hours stay apart, for they are reported one by one.
        let joined = windows.last_mut().filter(|before| {
            before.starts_s + before.length_s == starts_s
                && before.weight == weight
                && starts_s % 3600.0 != 0.0
                && (before.reason == reason || weight == 1.0)
        });
        match joined {
            Some(before) => before.length_s += length_s,
            None => windows.push(Window {
                starts_s,
                length_s,
                weight,
                reason,
            }),
        }
    }
    windows.into_iter()
}

/// Of instants with what each is worth, the `most` worth most, the earlier of equals; in order of time.
pub(crate) fn foremost(mut instants: Vec<(f64, f64)>, most: usize) -> Vec<f64> {
    instants.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.total_cmp(&b.0)));
    instants.truncate(most);
    let mut times: Vec<f64> = instants.into_iter().map(|(at, _)| at).collect();
    times.sort_by(f64::total_cmp);
    times
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request() -> WindowRequest {
        WindowRequest {
            horizon_s: 6.0 * 3600.0,
            minutes: 5,
            certain: vec![
                (0.0, 900.0, WindowReason::Launch),
                (7200.0, 60.0, WindowReason::Change),
            ],
            stratum_s: 3600.0,
            random: 1,
            seed: 1,
        }
    }

    #[test]
    fn what_is_risky_is_always_seen_and_the_rest_is_drawn() {
        let chosen: Vec<Window> = windows(&request()).collect();
        assert_eq!((chosen[0].length_s, chosen[0].weight), (900.0, 1.0));
        assert_eq!(chosen[0].reason, WindowReason::Launch);
        assert!(
            chosen
                .iter()
                .any(|w| w.starts_s == 7200.0 && w.reason == WindowReason::Change)
        );
        // Nine of twelve are left in the first hour, eleven in the third, all in the others.
        let mut weights: Vec<f64> = chosen
            .iter()
            .filter(|w| w.reason == WindowReason::Random)
            .map(|w| w.weight)
            .collect();
        weights.sort_by(f64::total_cmp);
        assert_eq!(weights, [9.0, 11.0, 12.0, 12.0, 12.0, 12.0]);
        assert_eq!(windows(&request()).collect::<Vec<_>>(), chosen);
        let other = WindowRequest {
            seed: 2,
            ..request()
        };
        assert_ne!(windows(&other).collect::<Vec<_>>(), chosen);
    }

    #[test]
    fn every_window_is_drawn_as_often_as_any_other() {
        let mut drawn = [0u32; 72];
        for seed in 0..4000 {
            let request = WindowRequest {
                certain: Vec::new(),
                seed,
                ..request()
            };
            for window in windows(&request) {
                drawn[(window.starts_s / 300.0) as usize] += 1;
            }
        }
        // 333 expected; chi-squared with 66 degrees of freedom stays below its 0.9999 quantile.
        let chi2: f64 = drawn
            .iter()
            .map(|n| (f64::from(*n) - 333.33).powi(2) / 333.33)
            .sum();
        assert!(chi2 < 118.0, "{chi2}");
    }

    proptest! {
        #[test]
        fn windows_stand_for_the_whole_time_and_never_overlap(
            hours in 1u32..30,
            minutes in prop::sample::select(vec![1u32, 2, 5, 10, 60]),
            certain in proptest::collection::vec((0.0f64..100_000.0, 0.0f64..4000.0), 0..8),
            stratum in 1u32..5,
            random in 0u32..20,
            seed: u64,
        ) {
            let request = WindowRequest {
                horizon_s: f64::from(hours) * 3600.0,
                minutes,
                certain: certain.into_iter().map(|(at, long)| (at, long, WindowReason::Load)).collect(),
                stratum_s: f64::from(stratum) * 3600.0,
                random,
                seed,
            };
            let chosen: Vec<Window> = windows(&request).collect();
            let stands_for: f64 = chosen.iter().map(|w| w.length_s * w.weight).sum();
            prop_assert!((stands_for - request.horizon_s).abs() < 1e-6 * request.horizon_s);
            for pair in chosen.windows(2) {
                prop_assert!(pair[0].starts_s + pair[0].length_s <= pair[1].starts_s);
            }
            for w in &chosen {
                prop_assert!(w.weight >= 1.0 && w.starts_s + w.length_s <= request.horizon_s);
                prop_assert!((w.starts_s / 3600.0).floor() == ((w.starts_s + w.length_s - 1.0) / 3600.0).floor());
            }
        }
    }
}
