//! The windows that the forecaster is trained on: synthetic and real tracks, cut at random origins with random knowledge of the past.
//!
//! A window is a pure function of the seed and its number, whatever thread makes it.

use foremesh_forecast::neural::{Batch, Donor, Layout, Window};
use foremesh_model::random::{mix, uniform};

use super::loss::{MOST_TARGET, step_weight};
use crate::{
    Track,
    corpus::{Real, Split},
    prior::Prior,
};

/// What share of windows is synthetic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Diet {
    /// Share of windows from the synthetic prior, 0 … 1.
    pub synthetic: f64,
    /// Share of the real windows that are two series mixed.
    pub mixed: f64,
}

impl Default for Diet {
    fn default() -> Self {
        Self {
            synthetic: 0.7,
            mixed: 0.5,
        }
    }
}

/// Tries to make a window before its number is given up for the next.
const TRIES: u64 = 20;
/// Share of windows whose past is all there is to see.
const WHOLE_PAST: f64 = 0.5;
/// Share of windows of a region that has just opened, or is about to.
const COLD: f64 = 0.2;
const COLD_MOST_HOURS: f64 = 72.0;
/// Share of the other windows that see no donors, no events, no metrics.
const NO_DONORS: f64 = 0.5;
const NO_EVENTS: f64 = 0.3;
const NO_METRICS: f64 = 0.3;
/// How far off shares are said to be.
const SHARE_SPREADS: (f64, f64) = (0.05, 0.5);
/// Share of the windows of a new region whose donors' shares are guesses: the region is one more like its donors, and only how much these
/// differ says how far off that may be.
const GUESSED: f64 = 0.5;
/// How much regions differ then: standard deviations of the logarithm of their size.
const REGIONS_DIFFER: (f64, f64) = (0.05, 1.2);
/// Steps of targets below which a window teaches nothing.
pub(super) const FEWEST_TARGETS: usize = 24;

/// Windows with what came.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    /// What the net reads.
    pub inputs: Batch,
    /// `[windows, steps]`: what it should say, 0 in gaps.
    pub targets: Vec<f32>,
    /// `[windows, steps]`: what each step counts, 0 in gaps.
    pub weights: Vec<f32>,
}

/// Random numbers of one window, each drawn under a name of its own.
#[derive(Debug, Clone, Copy)]
struct Keyed(u64);

impl Keyed {
    fn uniform(self, purpose: u64) -> f64 {
        uniform(mix(self.0, purpose))
    }

    fn chance(self, purpose: u64, share: f64) -> bool {
        self.uniform(purpose) < share
    }

    fn below(self, purpose: u64, most: usize) -> usize {
        ((self.uniform(purpose) * most as f64) as usize).min(most.saturating_sub(1))
    }

    fn between(self, purpose: u64, (low, high): (f64, f64)) -> f64 {
        low + self.uniform(purpose) * (high - low)
    }

    /// A standard normal, by twelve uniforms: tails do not matter here.
    fn normal(self, purpose: u64) -> f64 {
        let key = mix(self.0, purpose);
        (0..12).map(|i| uniform(mix(key, i))).sum::<f64>() - 6.0
    }
}

mod purpose {
    pub const KIND: u64 = 1;
    pub const SERIES: u64 = 2;
    pub const ORIGIN: u64 = 3;
    pub const PAST: u64 = 4;
    pub const PAST_LENGTH: u64 = 5;
    pub const COLD: u64 = 6;
    pub const COLD_LENGTH: u64 = 7;
    pub const DONORS: u64 = 8;
    pub const EVENTS: u64 = 9;
    pub const METRICS: u64 = 10;
    pub const SHARE_SPREAD: u64 = 11;
    pub const SHARE: u64 = 12;
    pub const PHASE: u64 = 13;
    pub const MIXED: u64 = 14;
    pub const OTHER: u64 = 15;
    pub const OTHER_SHARE: u64 = 16;
    pub const GUESSED: u64 = 17;
    pub const REGIONS_DIFFER: u64 = 18;
    pub const OWN_SIZE: u64 = 19;
    pub const HELD_BACK: u64 = 1 << 31;
    pub const TRY: u64 = 1 << 32;
}

/// Where windows come from.
#[derive(Debug, Clone)]
pub struct Source {
    layout: Layout,
    prior: Prior,
    /// What of each real series may train, by cluster.
    clusters: Vec<Vec<Track>>,
    diet: Diet,
    seed: u64,
}

impl Source {
    /// Synthetic windows, and with the share that `diet` leaves real ones. Without real series all are synthetic.
    pub fn new(layout: Layout, real: &[Real], diet: Diet, seed: u64) -> Self {
        let mut clusters: Vec<Vec<Track>> = Vec::new();
        for series in real {
            let track = series.training();
            if track.steps() <= FEWEST_TARGETS * 2 {
                continue;
            }
            let of = clusters.iter_mut().find(|c| c[0].cluster == track.cluster);
            match of {
                Some(cluster) => cluster.push(track),
                None => clusters.push(vec![track]),
            }
        }
        Self {
            layout,
            prior: Prior::new(seed, layout.step_s),
            clusters,
            diet,
            seed,
        }
    }

    /// Windows number `first` to `first + count`.
    pub fn samples(&self, first: u64, count: usize) -> Samples {
        let mut samples = Samples::default();
        for number in first..first + count as u64 {
            for again in 0..TRIES {
                let key = mix(mix(self.seed, number), purpose::TRY + again);
                if self.push(Keyed(key), number + (again << 40), &mut samples) {
                    break;
                }
            }
        }
        samples
    }

    /// Windows of real series after what of them trains, one every twelve hours: those that the benchmark tests are left out, so that nothing is
    /// chosen on what is reported.
    pub fn held_back(&self, real: &[Real]) -> Samples {
        self.held_back_every(real, (12 * 3600 / self.layout.step_s) as usize)
    }

    /// The same, one window every so many steps.
    pub(super) fn held_back_every(&self, real: &[Real], steps: usize) -> Samples {
        let mut samples = Samples::default();
        let tested = real.iter().enumerate();
        for (i, series) in tested.filter(|(_, s)| !s.in_benchmark && s.trains_until > 0) {
            let targets = series.targets(Split::Validation);
            let last = targets.end.saturating_sub(FEWEST_TARGETS);
            for origin in (targets.start..last).step_by(steps.max(1)) {
                let key = Keyed(mix(
                    mix(self.seed, purpose::HELD_BACK + i as u64),
                    origin as u64,
                ));
                self.cut(&series.track, origin, key, &mut samples);
            }
        }
        samples
    }

    fn push(&self, key: Keyed, index: u64, samples: &mut Samples) -> bool {
        let (past, ahead) = (self.layout.history(), self.layout.horizon());
        let synthetic = self.clusters.is_empty() || key.chance(purpose::KIND, self.diet.synthetic);
        if synthetic {
            let track = self.prior.draw(index, past + ahead);
            return self.cut(&track, past, key, samples);
        }
        let of_clusters = &self.clusters[key.below(purpose::SERIES, self.clusters.len())];
        let track = &of_clusters[key.below(purpose::SERIES + 100, of_clusters.len())];
        let latest = track.steps() - FEWEST_TARGETS;
        let origin = FEWEST_TARGETS + key.below(purpose::ORIGIN, latest - FEWEST_TARGETS);
        if key.chance(purpose::MIXED, self.diet.mixed) {
            let other = &self.clusters[key.below(purpose::OTHER, self.clusters.len())];
            let other = &other[key.below(purpose::OTHER + 100, other.len())];
            let share = key.between(purpose::OTHER_SHARE, (0.1, 0.9)) as f32;
            return self.cut(&mixed(track, other, share), origin, key, samples);
        }
        self.cut(track, origin, key, samples)
    }

    /// Cuts a window of a track at an origin; false: it teaches nothing.
    fn cut(&self, track: &Track, origin: usize, key: Keyed, samples: &mut Samples) -> bool {
        let (past, ahead) = (self.layout.history(), self.layout.horizon());
        let steps_an_hour = 3600.0 / f64::from(self.layout.step_s);
        let actual = &track.demand[origin..track.steps().min(origin + ahead)];
        let known = actual.iter().filter(|v| !v.is_nan()).count();
        if known < FEWEST_TARGETS {
            return false;
        }
        let from = origin.saturating_sub(past);
        let length = origin - from;
        let has_donors = track.donors.iter().any(|donor| !donor.is_empty());
        let cold = has_donors && key.chance(purpose::COLD, COLD);
        let seen = if cold {
            // Half of them have not opened yet.
            let hours = key.between(purpose::COLD_LENGTH, (-COLD_MOST_HOURS, COLD_MOST_HOURS));
            (hours.max(0.0) * steps_an_hour) as usize
        } else if key.chance(purpose::PAST, WHOLE_PAST) {
            length
        } else {
            // From a day to all there is, in equal steps of the logarithm.
            let (least, most) = (24.0 * steps_an_hour, past as f64);
            let drawn = key.uniform(purpose::PAST_LENGTH);
            (least * (most / least).powf(drawn)) as usize
        };
        let mut history = track.demand[from..origin].to_vec();
        let hidden = length.saturating_sub(seen);
        history[..hidden].fill(f32::NAN);

        let with_donors = cold || (has_donors && !key.chance(purpose::DONORS, NO_DONORS));
        let share_spread = key.between(purpose::SHARE_SPREAD, SHARE_SPREADS);
        let guessed = cold && key.chance(purpose::GUESSED, GUESSED);
        let differ = key.between(purpose::REGIONS_DIFFER, REGIONS_DIFFER);
        let own_size = differ * key.normal(purpose::OWN_SIZE);
        let window_of = from..origin;
        let donors: Vec<Donor<'_>> = track
            .donors
            .iter()
            .enumerate()
            .filter(|_| with_donors)
            .filter_map(|(i, donor)| {
                let drawn = key.normal(purpose::SHARE + i as u64 * 1000);
                let off = if guessed {
                    differ * drawn - own_size
                } else {
                    share_spread * drawn
                };
                let share = true_share(&track.demand, donor, window_of.clone(), ahead);
                Some(Donor {
                    demand: donor.get(window_of.clone())?,
                    share: share.map(|share| share * off.exp()),
                })
            })
            .collect();
        let until = track.steps().min(origin + ahead);
        let events: &[f32] = if key.chance(purpose::EVENTS, NO_EVENTS) {
            &[]
        } else {
            track.event_log_uplift.get(from..until).unwrap_or(&[])
        };
        let metrics: Vec<&[f32]> = if key.chance(purpose::METRICS, NO_METRICS) {
            Vec::new()
        } else {
            let all = track.metrics.iter();
            all.filter_map(|metric| metric.get(from..until)).collect()
        };
        let week = self.layout.week();
        let phase = if track.calendar_known {
            0
        } else {
            key.below(purpose::PHASE, week)
        };
        let window = Window {
            history: &history,
            step_of_week: ((track.step_of_week(origin) as usize + phase) % week) as u32,
            day_off: track.day_off.get(from..until).unwrap_or(&[]),
            event_log_uplift: events,
            metrics: &metrics,
            donors: &donors,
            share_spread,
        };
        let Some(frame) = samples.inputs.push(self.layout, &window) else {
            return false;
        };
        let mut told = frame.targets(actual);
        for step in 0..ahead {
            let target = told.next().filter(|target| target.is_finite());
            let target_known = target.is_some();
            samples
                .targets
                .push(target.unwrap_or(0.0).clamp(-MOST_TARGET, MOST_TARGET));
            let weight = if target_known { step_weight(step) } else { 0.0 };
            samples.weights.push(weight);
        }
        true
    }
}

/// What part of a donor's demand a demand is, over the steps of a window and what comes after it, where both are known.
fn true_share(
    demand: &[f32],
    donor: &[f32],
    window: std::ops::Range<usize>,
    ahead: usize,
) -> Option<f64> {
    let until = (window.end + ahead).min(demand.len()).min(donor.len());
    let both = (window.start..until)
        .map(|i| (f64::from(demand[i]), f64::from(donor[i])))
        .filter(|(own, other)| !own.is_nan() && !other.is_nan());
    let (own, other) = both.fold((0.0, 0.0), |(a, b), (own, other)| (a + own, b + other));
    (own > 0.0 && other > 0.0).then(|| own / other)
}

/// Two tracks as one, each in units of its own mean, the second from the same step of the week on.
fn mixed(one: &Track, other: &Track, share: f32) -> Track {
    let mean = |values: &[f32]| {
        let known = values.iter().filter(|v| !v.is_nan());
        let (sum, count) = known.fold((0.0f64, 0.0f64), |(s, c), v| (s + f64::from(*v), c + 1.0));
        ((sum / count.max(1.0)) as f32).max(1e-6)
    };
    let week = (7 * 86_400 / one.step_s.max(1)) as usize;
    let known = one.calendar_known && other.calendar_known;
    let shift = if known {
        let (here, there) = (
            one.first_step_of_week as usize,
            other.first_step_of_week as usize,
        );
        (here + week - there % week) % week
    } else {
        0
    };
    let (of_one, of_other) = (mean(&one.demand), mean(&other.demand));
    let steps = one.steps().min(other.steps().saturating_sub(shift));
    let demand = (0..steps).map(|i| {
        let there = other.demand.get(i + shift).copied().unwrap_or(f32::NAN);
        of_one * ((1.0 - share) * one.demand[i] / of_one + share * there / of_other)
    });
    if steps < one.steps() / 2 {
        return one.clone();
    }
    let mut demand: Vec<f32> = demand.collect();
    demand.extend(one.demand.iter().skip(steps).map(|_| f32::NAN));
    Track {
        demand,
        donors: Vec::new(),
        calendar_known: known,
        ..one.clone()
    }
}

impl Samples {
    /// The windows in parts of at most `most`.
    pub fn parts(&self, most: usize) -> impl Iterator<Item = Samples> + '_ {
        let windows = self.inputs.windows;
        let of = move |values: &[f32], from: usize, to: usize| -> Vec<f32> {
            let each = values.len() / windows.max(1);
            values[from * each..to * each].to_vec()
        };
        (0..windows).step_by(most.max(1)).map(move |from| {
            let to = (from + most).min(windows);
            Samples {
                inputs: Batch {
                    history: of(&self.inputs.history, from, to),
                    horizon: of(&self.inputs.horizon, from, to),
                    global: of(&self.inputs.global, from, to),
                    windows: to - from,
                },
                targets: of(&self.targets, from, to),
                weights: of(&self.weights, from, to),
            }
        })
    }
}
