//! Whether one net forecasts a history's held-back part better than another, beyond what chance would do.
//!
//! Both nets are asked what `foremesh forecast` asks: all that is known at an origin, without donors. The measure is the weighted quantile loss
//! (2 · pinball loss / demand, mean of the levels; Park et al. 2022), of each series on its own, so that a busy service counts no more
//! than a small one; over series the geometric mean. Days that lie together err together, and so do near-copies of a series: the interval comes
//! from drawing stretches of time and clusters of series with replacement, each independently (the pigeonhole bootstrap; Owen 2007).

use burn::tensor::Device;
use foremesh_forecast::{
    neural::{Batch, Frame, LEVELS, Layout, Window},
    pinball,
};
use foremesh_model::random::{mix, uniform};
use serde::Serialize;

use super::super::{
    model::Mixer,
    sample::{FEWEST_TARGETS, Samples},
    train::inputs,
};
use crate::corpus::own::{Own, OwnHistory};

/// Windows computed at once.
const AT_ONCE: usize = 128;
/// Windows of all series together that are enough.
const MOST_WINDOWS: usize = 4096;
/// Hours between origins, where windows are not too many: no divisor of a day, so that all hours are origins.
const HOURS_APART: usize = 11;
/// Stretches of time that are drawn: weeks, where there are as many.
const LEAST_STRETCHES: usize = 8;
const DRAWS: u64 = 2000;
/// The interval leaves out so much on each side.
const LEFT_OUT: f64 = 0.025;
/// A gain that is worth another model to keep.
const LEAST_GAIN: f64 = 0.01;

/// The losses of a series.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeriesScore {
    /// Its name, "region service".
    pub name: String,
    /// Weighted quantile loss of the net that training began with.
    pub start: f64,
    /// That of the candidate.
    pub candidate: f64,
}

/// What came of the comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Geometric mean of the weighted quantile losses of the net that training began with.
    pub start: f64,
    /// That of the candidate.
    pub candidate: f64,
    /// The candidate's by the other's, and its interval (95 %).
    pub ratio: f64,
    /// See `ratio`.
    pub interval: [f64; 2],
    /// Windows that both were asked.
    pub windows: usize,
    /// Each series.
    pub series: Vec<SeriesScore>,
}

impl Comparison {
    /// Whether the candidate is better: by 1 % at least, and beyond chance.
    #[must_use]
    pub fn is_better(&self) -> bool {
        self.ratio <= 1.0 - LEAST_GAIN && self.interval[1] < 1.0
    }
}

/// Sums of a series by stretch of time.
#[derive(Debug, Clone)]
struct Sums {
    name: String,
    cluster: String,
    /// Pinball losses of both nets.
    losses: Vec<[f64; 2]>,
    demand_rps: f64,
}

/// Compares two nets, `[start, candidate]`, on what is held back of a history.
pub(super) fn compare(
    nets: [&Mixer; 2],
    history: &OwnHistory,
    layout: Layout,
    device: &Device,
    seed: u64,
) -> Comparison {
    let (sums, windows) = sums(nets, history, layout, device);
    let whole = |sums: &Sums| {
        sums.losses
            .iter()
            .fold([0.0, 0.0], |[a, b], [x, y]| [a + x, b + y])
    };
    let series: Vec<SeriesScore> = sums
        .iter()
        .map(|sums| {
            let relative = |loss: f64| 2.0 * loss / (LEVELS as f64 * sums.demand_rps);
            let [start, candidate] = whole(sums).map(relative);
            SeriesScore {
                name: sums.name.clone(),
                start,
                candidate,
            }
        })
        .collect();
    let mean = |of: fn(&SeriesScore) -> f64| {
        let logs = series.iter().map(|score| of(score).max(1e-12).ln());
        (logs.sum::<f64>() / series.len().max(1) as f64).exp()
    };
    let (start, candidate) = (mean(|s| s.start), mean(|s| s.candidate));
    Comparison {
        ratio: candidate / start,
        start,
        candidate,
        interval: interval(&sums, seed),
        windows,
        series,
    }
}

fn sums(
    nets: [&Mixer; 2],
    history: &OwnHistory,
    layout: Layout,
    device: &Device,
) -> (Vec<Sums>, usize) {
    let tested: Vec<&Own> = history
        .series
        .iter()
        .filter(|series| series.tests)
        .collect();
    let [_, tail, end] = history.spans;
    let steps = usize::try_from(end - tail).unwrap_or(0);
    let stretches = (steps / layout.week()).max(LEAST_STRETCHES);
    let mut apart = HOURS_APART * layout.day() / 24;
    while tested.len() * (steps / apart) > MOST_WINDOWS {
        apart = 2 * apart + layout.day() / 24;
    }
    let mut all: Vec<Sums> = tested
        .iter()
        .map(|series| Sums {
            name: series.track.family.clone(),
            cluster: series.track.cluster.clone(),
            losses: vec![[0.0; 2]; stretches],
            demand_rps: 0.0,
        })
        .collect();
    let mut count = 0;
    let mut asked = Asked::default();
    for (place, series) in tested.iter().enumerate() {
        let last = series.track.steps().saturating_sub(FEWEST_TARGETS);
        for origin in (series.tail_from..last).step_by(apart) {
            let demand = &series.track.demand;
            let window = Window {
                history: &demand[origin.saturating_sub(layout.history())..origin],
                step_of_week: series.track.step_of_week(origin),
                day_off: &[],
                event_log_uplift: &[],
                metrics: &[],
                donors: &[],
                share_spread: 0.0,
            };
            let Some(frame) = asked.batch.push(layout, &window) else {
                continue;
            };
            asked.of.push((place, origin, frame));
            count += 1;
            if asked.of.len() == AT_ONCE {
                let asked = std::mem::take(&mut asked);
                asked.add(nets, &tested, layout, device, steps, &mut all);
            }
        }
    }
    asked.add(nets, &tested, layout, device, steps, &mut all);
    all.retain(|sums| sums.demand_rps > 0.0 && sums.losses.iter().any(|[start, _]| *start > 0.0));
    (all, count)
}

/// Windows that wait to be asked: of which series, from which origin.
#[derive(Default)]
struct Asked {
    batch: Batch,
    of: Vec<(usize, usize, Frame)>,
}

impl Asked {
    fn add(
        self,
        nets: [&Mixer; 2],
        tested: &[&Own],
        layout: Layout,
        device: &Device,
        tail_steps: usize,
        all: &mut [Sums],
    ) {
        if self.of.is_empty() {
            return;
        }
        let samples = Samples {
            inputs: self.batch,
            ..Samples::default()
        };
        let inputs = inputs(&samples, layout, device);
        let horizon = layout.horizon();
        for (net, mixer) in nets.into_iter().enumerate() {
            let answers = mixer.forward(&inputs).into_data_as::<f32>();
            let answers = answers.try_to_vec::<f32>().unwrap_or_default();
            let each = answers.chunks_exact(horizon * LEVELS);
            for ((place, origin, frame), answer) in self.of.iter().zip(each) {
                let (series, sums) = (tested[*place], &mut all[*place]);
                let stretches = sums.losses.len();
                let actual = series.track.demand.iter().skip(*origin).take(horizon);
                for (ahead, (actual, answer)) in actual.zip(answer.chunks_exact(LEVELS)).enumerate()
                {
                    if actual.is_nan() {
                        continue;
                    }
                    let after = origin + ahead - series.tail_from;
                    let stretch = (after * stretches / tail_steps.max(1)).min(stretches - 1);
                    let levels = frame.quantiles_rps(ahead, answer);
                    sums.losses[stretch][net] += pinball(&levels, f64::from(*actual));
                    if net == 0 {
                        sums.demand_rps += f64::from(*actual);
                    }
                }
            }
        }
    }
}

/// The interval of the geometric mean of the ratios.
fn interval(series: &[Sums], seed: u64) -> [f64; 2] {
    let mut clusters: Vec<&str> = series.iter().map(|sums| sums.cluster.as_str()).collect();
    clusters.sort_unstable();
    clusters.dedup();
    let of: Vec<usize> = series
        .iter()
        .map(|sums| clusters.binary_search(&sums.cluster.as_str()).unwrap_or(0))
        .collect();
    let stretches = series.first().map_or(0, |sums| sums.losses.len());
    let draw = |key: u64, count: usize| -> Vec<f64> {
        let mut times = vec![0.0; count];
        for i in 0..count {
            let drawn = (uniform(mix(key, i as u64)) * count as f64) as usize;
            times[drawn.min(count - 1)] += 1.0;
        }
        times
    };
    let mut logs: Vec<f64> = (0..DRAWS)
        .filter_map(|number| {
            let key = mix(seed, number);
            let (of_time, of_clusters) = (
                draw(mix(key, 1), stretches),
                draw(mix(key, 2), clusters.len()),
            );
            let (mut sum, mut weight) = (0.0, 0.0);
            for (sums, cluster) in series.iter().zip(&of) {
                let times = of_clusters[*cluster];
                let [start, candidate] = sums
                    .losses
                    .iter()
                    .zip(&of_time)
                    .fold([0.0, 0.0], |[a, b], ([x, y], times)| {
                        [a + times * x, b + times * y]
                    });
                if times > 0.0 && start > 0.0 && candidate > 0.0 {
                    sum += times * (candidate / start).ln();
                    weight += times;
                }
            }
            (weight > 0.0).then(|| sum / weight)
        })
        .collect();
    logs.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = (share * logs.len() as f64) as usize;
        let log = logs.get(place.min(logs.len().saturating_sub(1)));
        log.map_or(f64::NAN, |log| log.exp())
    };
    [at(LEFT_OUT), at(1.0 - LEFT_OUT)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Losses of as many series as there are gains; chance is what stretches and series differ by.
    fn series(gains: &[f64], chance: f64) -> Vec<Sums> {
        let of = |(i, gain): (usize, &f64)| Sums {
            name: i.to_string(),
            cluster: i.to_string(),
            losses: (0..8)
                .map(|stretch| {
                    let drawn = uniform(mix(i as u64, stretch)) - 0.5;
                    let size = 1000f64.powi(i as i32 % 3);
                    [size, size * (gain + chance * drawn)]
                })
                .collect(),
            demand_rps: 1.0,
        };
        gains.iter().enumerate().map(of).collect()
    }

    #[test]
    fn the_interval_is_as_wide_as_time_and_series_differ() {
        let [low, high] = interval(&series(&[0.9; 20], 0.05), 1);
        assert!(low < 0.9 && 0.9 < high && high - low < 0.05, "{low} {high}");
        // Nothing beyond chance.
        let [low, high] = interval(&series(&[1.0; 20], 0.3), 1);
        assert!(low < 1.0 && 1.0 < high, "{low} {high}");
        // Half of the series gain, half lose as much.
        let mixed: Vec<f64> = (0..20)
            .map(|i| if i % 2 == 0 { 0.8 } else { 1.25 })
            .collect();
        let [low, high] = interval(&series(&mixed, 0.01), 1);
        assert!(low < 0.95 && 1.05 < high, "{low} {high}");
        // One series that gained in most of its stretches, and lost all of that in one.
        let mut one = series(&[0.9], 0.0);
        one[0].losses[3] = [1.0, 1.8];
        let [low, high] = interval(&one, 1);
        assert!(low < 0.95 && 1.0 < high, "{low} {high}");
        assert_eq!(interval(&one, 1), [low, high]);
    }

    #[test]
    fn a_gain_must_be_large_enough_and_beyond_chance() {
        let of = |ratio: f64, interval: [f64; 2]| Comparison {
            start: 1.0,
            candidate: ratio,
            ratio,
            interval,
            windows: 1,
            series: Vec::new(),
        };
        assert!(of(0.97, [0.95, 0.99]).is_better());
        assert!(!of(0.97, [0.93, 1.01]).is_better());
        assert!(!of(0.995, [0.994, 0.996]).is_better());
        assert!(!of(0.9, [f64::NAN; 2]).is_better());
    }
}
