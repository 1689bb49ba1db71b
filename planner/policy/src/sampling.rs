//! Demand of every service and hour: sample paths of the entries pushed through the graph.
//!
//! An internal service gets the quantile of what reaches it, not the sum of its entries' quantiles. Paths follow the
//! Gaussian copula of [`foremesh_model::Dependence`]; the marginals are exact: the paths of an entry and step are ranked
//! and the i-th takes the quantile at (i + ½)/n (Latin hypercube sampling with dependence by ranks: Stein, *Large sample
//! properties of simulations using Latin hypercube sampling*, 1987), interpolated in the normal score.

use foremesh_model::{Demand, EntryDemand, QUANTILE_LEVELS, graph::Visits};
use rayon::prelude::*;

use crate::draw::{mix, normals, text_key};
use foremesh_simulate::analytic::normal_score;

/// Sample paths. The 0.99 quantile lies between the third and the fourth highest.
const PATHS: usize = 256;
/// Paths that one task pushes through the graph.
const PATHS_OF_A_TASK: usize = 32;

/// The levels at which demand is kept for every service and hour.
pub(crate) const LEVELS: [f64; 4] = [0.5, 0.95, 0.99, 0.999];
pub(crate) const MEDIAN: usize = 0;
pub(crate) const BOUGHT: usize = 2;

/// An entry of the demand with its node in the graph.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub node: usize,
    pub name: &'a str,
    pub demand: &'a EntryDemand,
}

/// Requests a second at every service, by level of [`LEVELS`], hour and service.
#[derive(Debug, Clone)]
pub(crate) struct HourlyDemand {
    /// Mean of the hour: `mean_rps[level][hour][service]`.
    pub mean_rps: Vec<Vec<Vec<f64>>>,
    /// What the highest minute is above that mean: `peak[hour][service]`, at least 1.
    pub peak: Vec<Vec<f64>>,
}

impl HourlyDemand {
    pub(crate) fn hours(&self) -> usize {
        self.peak.len()
    }

    /// Requests a second with the peak within the hour.
    pub(crate) fn peak_rps(&self, level: usize, hour: usize) -> Vec<f64> {
        self.mean_rps[level][hour]
            .iter()
            .zip(&self.peak[hour])
            .map(|(mean, peak)| mean * peak)
            .collect()
    }
}

fn sane(value: f64) -> f64 {
    if value.is_finite() {
        value.clamp(0.0, 1e12)
    } else {
        0.0
    }
}

/// Draws the demand of every service. `services` is the number of services of the graph.
pub(crate) fn hourly_demand(
    demand: &Demand,
    sources: &[Source<'_>],
    visits: &Visits,
    services: usize,
) -> HourlyDemand {
    let steps = sources
        .iter()
        .map(|s| s.demand.quantiles_rps.len())
        .max()
        .unwrap_or(0);
    let interpolation = interpolation();
    let memory = clamp_or(demand.dependence.autocorrelation, 0.0, 0.999, 0.0);
    let fresh = (1.0 - memory * memory).sqrt();
    let keys: Vec<u64> = sources
        .iter()
        .map(|s| mix(mix(demand.seed, 0xE), text_key(s.name)))
        .collect();
    let common_key = mix(demand.seed, 0xC);
    let mut common = vec![0.0; PATHS];
    let mut own: Vec<Vec<f64>> = vec![vec![0.0; PATHS]; sources.len()];
    let (mut by_step, mut peak_by_step) = (Vec::with_capacity(steps), Vec::with_capacity(steps));
    for step in 0..steps {
        let (memory, fresh) = if step == 0 {
            (0.0, 1.0)
        } else {
            (memory, fresh)
        };
        advance(&mut common, common_key, step, memory, fresh);
        let values: Vec<Vec<f64>> = own
            .par_iter_mut()
            .zip(sources.par_iter().zip(&keys))
            .map(|(own, (source, key))| {
                advance(own, *key, step, memory, fresh);
                ranked_values(source.demand, step, &common, own, &interpolation)
            })
            .collect();
        by_step.push(quantiles_of_step(&values, sources, visits, services));
        peak_by_step.push(peaks_of_step(sources, visits, services, step));
    }
    to_hours(by_step, peak_by_step, demand.step_s, services)
}

pub(crate) fn clamp_or(value: f64, low: f64, high: f64, otherwise: f64) -> f64 {
    if value.is_finite() {
        value.clamp(low, high)
    } else {
        otherwise
    }
}

/// One step of an autoregression of order one with unit variance, on every path.
fn advance(state: &mut [f64], key: u64, step: usize, memory: f64, fresh: f64) {
    let key = mix(key, step as u64);
    for (pair, chunk) in state.chunks_mut(2).enumerate() {
        let (a, b) = normals(mix(key, pair as u64));
        for (value, draw) in chunk.iter_mut().zip([a, b]) {
            *value = memory * *value + fresh * draw;
        }
    }
}

/// For each rank the quantile level below it and the weight of the next one.
fn interpolation() -> Vec<(usize, f64)> {
    let knots = QUANTILE_LEVELS.map(normal_score);
    (0..PATHS)
        .map(|rank| {
            let score = normal_score((rank as f64 + 0.5) / PATHS as f64);
            let above = knots
                .partition_point(|k| *k < score)
                .clamp(1, knots.len() - 1);
            let weight = (score - knots[above - 1]) / (knots[above] - knots[above - 1]);
            (above - 1, weight.clamp(0.0, 1.0))
        })
        .collect()
}

fn ranked_values(
    entry: &EntryDemand,
    step: usize,
    common: &[f64],
    own: &[f64],
    interpolation: &[(usize, f64)],
) -> Vec<f64> {
    let Some(quantiles) = entry.quantiles_rps.get(step).filter(|q| !q.is_empty()) else {
        return vec![0.0; PATHS];
    };
    let loading = clamp_or(entry.common_loading, -1.0, 1.0, 0.0);
    let rest = (1.0 - loading * loading).sqrt();
    let mut order: Vec<(f64, usize)> = common
        .iter()
        .zip(own)
        .map(|(z, w)| loading * z + rest * w)
        .zip(0..)
        .collect();
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let at = |level: usize| sane(quantiles[level.min(quantiles.len() - 1)]);
    let mut values = vec![0.0; PATHS];
    for ((_, path), (below, weight)) in order.into_iter().zip(interpolation) {
        let (low, high) = (at(*below), at(*below + 1));
        values[path] = low + (high - low) * weight;
    }
    values
}

/// Quantiles at [`LEVELS`] of every service: `[level][service]`.
fn quantiles_of_step(
    values: &[Vec<f64>],
    sources: &[Source<'_>],
    visits: &Visits,
    services: usize,
) -> Vec<Vec<f64>> {
    let rates: Vec<Vec<f64>> = (0..PATHS / PATHS_OF_A_TASK)
        .into_par_iter()
        .flat_map_iter(|task| {
            (task * PATHS_OF_A_TASK..(task + 1) * PATHS_OF_A_TASK).map(|path| {
                let mut external = vec![0.0; services];
                for (source, values) in sources.iter().zip(values) {
                    external[source.node] += values[path];
                }
                visits.rates(&external)
            })
        })
        .collect();
    let by_service: Vec<[f64; LEVELS.len()]> = (0..services)
        .into_par_iter()
        .map(|service| {
            let mut sample: Vec<f64> = rates.iter().map(|rates| sane(rates[service])).collect();
            sample.sort_unstable_by(f64::total_cmp);
            sample_quantiles(&sample)
        })
        .collect();
    (0..LEVELS.len())
        .map(|level| by_service.iter().map(|q| q[level]).collect())
        .collect()
}

/// Quantiles of a sorted sample whose i-th value stands at (i + ½)/n; beyond the last one along the normal score.
fn sample_quantiles(sample: &[f64]) -> [f64; LEVELS.len()] {
    let at = |level: f64| {
        let position = (level * sample.len() as f64 - 0.5).clamp(0.0, (sample.len() - 1) as f64);
        let below = (position as usize).min(sample.len() - 2);
        sample[below] + (sample[below + 1] - sample[below]) * (position - below as f64)
    };
    let (high, bought) = (at(0.95), at(0.99));
    // The scores of 0.95, 0.99 and 0.999 are 1.645, 2.326 and 3.090.
    [
        at(0.5),
        high,
        bought,
        bought + (bought - high) * (3.090 - 2.326) / (2.326 - 1.645),
    ]
}

/// What the highest minute is above the mean at every service, entries weighted by what they send there.
fn peaks_of_step(
    sources: &[Source<'_>],
    visits: &Visits,
    services: usize,
    step: usize,
) -> Vec<f64> {
    let (mut plain, mut peaked) = (vec![0.0; services], vec![0.0; services]);
    for source in sources {
        let rate = sane(source.demand.at_level(step, 0.99));
        plain[source.node] += rate;
        peaked[source.node] += rate * clamp_or(source.demand.peak_to_mean, 1.0, 100.0, 1.0);
    }
    visits
        .rates(&plain)
        .into_iter()
        .zip(visits.rates(&peaked))
        .map(|(plain, peaked)| {
            if plain > 0.0 {
                (peaked / plain).max(1.0)
            } else {
                1.0
            }
        })
        .collect()
}

/// Steps to hours: the highest step of an hour counts, and a step longer than an hour counts in each of its hours.
fn to_hours(
    by_step: Vec<Vec<Vec<f64>>>,
    peak_by_step: Vec<Vec<f64>>,
    step_s: u32,
    services: usize,
) -> HourlyDemand {
    let step_s = u64::from(step_s.max(1));
    let steps = by_step.len() as u64;
    let hours = (steps * step_s).div_ceil(3600) as usize;
    let mut mean_rps = vec![vec![vec![0.0f64; services]; hours]; LEVELS.len()];
    let mut peak = vec![vec![1.0f64; services]; hours];
    for hour in 0..hours {
        let first = hour as u64 * 3600 / step_s;
        let end = ((hour as u64 + 1) * 3600).div_ceil(step_s).min(steps);
        for step in first..end {
            let step = step as usize;
            for (level, hours) in mean_rps.iter_mut().enumerate() {
                for (to, from) in hours[hour].iter_mut().zip(&by_step[step][level]) {
                    *to = to.max(*from);
                }
            }
            for (to, from) in peak[hour].iter_mut().zip(&peak_by_step[step]) {
                *to = to.max(*from);
            }
        }
    }
    HourlyDemand { mean_rps, peak }
}
