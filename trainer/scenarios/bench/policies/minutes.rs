//! Minutes of a region's days as they may come, drawn from its forecast: what each entry is asked then, and what an autoscaler saw before.
//!
//! A path of demand is drawn for each seed (the Gaussian copula of [`foremesh_model::Dependence`]); within the hour minutes vary about the
//! path so that the highest of sixty is what the forecast says of the peak.
//!
//! Written apart from the minutes that plans are chosen on (`autoscaler::minutes` of the policy), so that a fault there is not forgiven here: other draws,
//! and minutes that remember more of the one before (0.7, there 0.5), which the forecast does not say.

use foremesh_model::{
    Demand, EntryDemand, ServiceGraph,
    graph::Visits,
    random::{mix, text_key, uniform},
};
use foremesh_simulate::analytic::{normal_score, normal_tail};

/// The expected highest of sixty normal values.
const HIGHEST_OF_SIXTY: f64 = 2.32;
/// How much of a minute's deviation the next one has.
const MINUTE_MEMORY: f64 = 0.7;

/// A day as it came.
pub struct Path<'a> {
    demand: &'a Demand,
    seed: u64,
    /// Normal scores, `[entry][hour]`.
    scores: Vec<Vec<f64>>,
    /// The node of each entry.
    nodes: Vec<usize>,
    visits: &'a Visits,
    services: usize,
}

impl<'a> Path<'a> {
    pub fn drawn(graph: &ServiceGraph, demand: &'a Demand, visits: &'a Visits, seed: u64) -> Self {
        let hours = demand.steps();
        let memory = demand.dependence.autocorrelation;
        let fresh = (1.0 - memory * memory).sqrt();
        let walk = |key: u64| -> Vec<f64> {
            let mut state = 0.0;
            (0..hours)
                .map(|hour| {
                    let draw = normal_score(uniform(mix(key, hour as u64)));
                    state = if hour == 0 {
                        draw
                    } else {
                        memory * state + fresh * draw
                    };
                    state
                })
                .collect()
        };
        let common = walk(mix(seed, 0xC));
        let (mut scores, mut nodes) = (Vec::new(), Vec::new());
        for (name, entry) in &demand.entries {
            let Some(node) = graph.resolve(name).and_then(|s| graph.node(&s.name)) else {
                continue;
            };
            let loading = entry.common_loading.clamp(-1.0, 1.0);
            let rest = (1.0 - loading * loading).sqrt();
            let own = walk(mix(seed, text_key(name.as_str())));
            scores.push(
                common
                    .iter()
                    .zip(&own)
                    .map(|(z, w)| loading * z + rest * w)
                    .collect(),
            );
            nodes.push(node.index());
        }
        Self {
            demand,
            seed,
            scores,
            nodes,
            visits,
            services: graph.len(),
        }
    }

    pub fn minutes(&self) -> usize {
        self.demand.steps() * 60
    }

    /// Requests a second of every entry in a minute.
    pub fn entry_rps(&self, minute: usize) -> Vec<f64> {
        let entries = self.demand.entries.values().zip(&self.scores);
        entries
            .enumerate()
            .map(|(e, (entry, scores))| {
                // Hours turn into each other from middle to middle.
                let at = (minute as f64 - 29.5) / 60.0;
                let last = scores.len() - 1;
                let before = (at.floor().max(0.0) as usize).min(last);
                let after = (before + 1).min(last);
                let weight = (at - before as f64).clamp(0.0, 1.0);
                let of = |hour: usize| level(entry, hour, scores[hour]);
                let mean = of(before) * (1.0 - weight) + of(after) * weight;
                let spread = entry.peak_to_mean.max(1.0).ln() / HIGHEST_OF_SIXTY;
                mean * (spread * self.minute_score(e, minute) - 0.5 * spread * spread).exp()
            })
            .collect()
    }

    /// A minute's deviation within its hour: the last few draws, each counting less.
    fn minute_score(&self, entry: usize, minute: usize) -> f64 {
        let key = mix(mix(self.seed, 0x4D), entry as u64);
        let draw = |minute: usize| normal_score(uniform(mix(key, minute as u64)));
        let fresh = (1.0 - MINUTE_MEMORY * MINUTE_MEMORY).sqrt();
        (0..8)
            .map(|ago| fresh * MINUTE_MEMORY.powi(ago) * draw(minute + 8 - ago as usize))
            .sum()
    }

    /// Requests a second of every service in a minute.
    pub fn service_rps(&self, minute: usize) -> Vec<f64> {
        let mut enters = vec![0.0; self.services];
        for (node, rps) in self.nodes.iter().zip(self.entry_rps(minute)) {
            enters[*node] += rps;
        }
        self.visits.rates(&enters)
    }
}

/// The demand of an hour at a normal score.
fn level(entry: &EntryDemand, hour: usize, score: f64) -> f64 {
    entry.at_level(hour, normal_tail(-score))
}
