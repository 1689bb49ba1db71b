//! Minutes as they may come, each with what an autoscaler had seen when it placed the last orders that count in it.
//!
//! Paths of the entries' forecasts follow the Gaussian copula of [`foremesh_model::Dependence`]; between the middles of steps the demand moves
//! in a straight line, and minutes vary about it so that the highest of an hour is what the forecast says of the peak.

use foremesh_model::{Demand, EntryDemand, ServiceGraph, graph::Visits, station::Station};
use foremesh_simulate::analytic::normal_tail;
use rayon::prelude::*;

use crate::{
    PolicyError,
    draw::{mix, normals, text_key},
    ground::Ground,
    sampling::clamp_or,
};

/// Seconds until a rise of demand is an order for instances: half of the minute over which requests are measured, a scrape, a poll and a look
/// of the autoscaler (15 s each).
pub(crate) const REACTION_S: f64 = 75.0;
/// Minutes for which the most that was asked for is kept (Kubernetes' stabilisation window of 300 s).
const STABILISATION_MINUTES: usize = 5;
/// The expected highest of sixty normal values: the minutes of an hour.
const HIGHEST_OF_SIXTY: f64 = 2.32;
/// How much of a minute's deviation the next one has. The forecast does not say; half is neither a walk nor mere noise.
const MINUTE_MEMORY: f64 = 0.5;
/// Paths of demand.
pub(crate) const PATHS: usize = 64;
/// Minutes that are drawn: as many as tell one violated minute in a thousand, fewer in large regions.
const MINUTES: [usize; 2] = [256, 1_536];
/// Numbers that all minutes together may hold.
const NUMBERS: usize = 8_000_000;
/// Sets these draws apart from all others.
const PURPOSE: u64 = 0x6175_746f;

/// A minute as it may come.
#[derive(Debug, Clone, PartialEq)]
pub struct Minute {
    /// The hour of the plan.
    pub hour: usize,
    /// Requests a second at every service.
    pub now_rps: Vec<f64>,
    /// The most that was seen while its instances could be ordered, or are kept.
    pub seen_rps: Vec<f64>,
}

/// Minutes from an order's cause until its instances are warm.
fn lead_minutes(station: &Station) -> usize {
    (((REACTION_S + station.lead_s()) / 60.0).round() as usize).clamp(1, 60)
}

struct Source<'a> {
    node: usize,
    demand: &'a EntryDemand,
    key: u64,
}

/// Which minutes are drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draw {
    pub key: u64,
    pub paths: usize,
    /// Minutes of each path.
    pub each: usize,
}

impl Draw {
    /// Those that plans are chosen on.
    fn usual(demand: &Demand, services: usize) -> Self {
        let minutes = (NUMBERS / (2 * services).max(1)).clamp(MINUTES[0], MINUTES[1]);
        Self {
            key: mix(demand.seed, PURPOSE),
            paths: PATHS,
            each: minutes.div_ceil(PATHS),
        }
    }
}

/// Draws the minutes that plans are chosen on, over the whole horizon.
pub(crate) fn drawn(
    graph: &ServiceGraph,
    demand: &Demand,
    ground: &Ground<'_>,
) -> Result<Vec<Minute>, PolicyError> {
    let draw = Draw::usual(demand, ground.services.len());
    drawn_as(graph, demand, ground, &draw)
}

/// Draws minutes over the whole horizon.
pub(crate) fn drawn_as(
    graph: &ServiceGraph,
    demand: &Demand,
    ground: &Ground<'_>,
    draw: &Draw,
) -> Result<Vec<Minute>, PolicyError> {
    let visits = Visits::of(graph)?;
    let sources: Vec<Source<'_>> = demand
        .entries
        .iter()
        .filter_map(|(name, entry)| {
            let node = graph.resolve(name).and_then(|s| graph.node(&s.name))?;
            Some(Source {
                node: node.index(),
                demand: entry,
                key: text_key(name.as_str()),
            })
        })
        .collect();
    let leads: Vec<usize> = ground.stations.iter().map(lead_minutes).collect();
    let drawing = Drawing {
        demand,
        sources,
        visits,
        leads,
        hours: ground.demand.hours(),
    };
    Ok((0..draw.paths)
        .into_par_iter()
        .flat_map_iter(|path| drawing.path(path as u64, draw))
        .collect())
}

struct Drawing<'a> {
    demand: &'a Demand,
    sources: Vec<Source<'a>>,
    visits: Visits,
    leads: Vec<usize>,
    hours: usize,
}

impl Drawing<'_> {
    /// Minutes of one path, one of each equal part of the horizon; which part of an hour they lie in differs from path to path.
    fn path(&self, path: u64, draw: &Draw) -> Vec<Minute> {
        let key = mix(draw.key, path);
        let steps = self.demand.steps();
        let memory = clamp_or(self.demand.dependence.autocorrelation, 0.0, 0.999, 0.0);
        let common = walk(mix(key, 0xC), steps, memory);
        let scores: Vec<Vec<f64>> = self
            .sources
            .iter()
            .map(|source| {
                let loading = clamp_or(source.demand.common_loading, -1.0, 1.0, 0.0);
                let rest = (1.0 - loading * loading).sqrt();
                let own = walk(mix(key, source.key), steps, memory);
                let both = common.iter().zip(&own);
                both.map(|(z, w)| loading * z + rest * w).collect()
            })
            .collect();
        let total = (self.hours * 60) as f64;
        (0..draw.each)
            .map(|i| {
                let key = mix(key, 0xD00 + i as u64);
                // Of all paths together, one minute in each small part.
                let offset = (path as f64 + 0.5) / draw.paths as f64;
                let at = ((i as f64 + offset) / draw.each as f64 * total) as usize;
                self.minute(key, at.min(self.hours * 60 - 1), &scores)
            })
            .collect()
    }

    fn minute(&self, key: u64, at: usize, scores: &[Vec<f64>]) -> Minute {
        let longest = self.leads.iter().copied().max().unwrap_or(1) + STABILISATION_MINUTES;
        let deviations: Vec<Vec<f64>> = self
            .sources
            .iter()
            .map(|source| walk(mix(key, source.key), longest + 1, MINUTE_MEMORY))
            .collect();
        let rates = |ago: usize| -> Vec<f64> {
            let mut enters = vec![0.0; self.leads.len()];
            for ((source, scores), deviations) in self.sources.iter().zip(scores).zip(&deviations) {
                let deviation = deviations[longest - ago];
                enters[source.node] +=
                    self.entry_rps(source, scores, at.saturating_sub(ago), deviation);
            }
            self.visits.rates(&enters)
        };
        let now_rps = rates(0);
        let mut seen_rps = vec![0.0f64; now_rps.len()];
        for ago in 1..=longest {
            let then = rates(ago);
            for (s, seen) in seen_rps.iter_mut().enumerate() {
                if (self.leads[s]..=self.leads[s] + STABILISATION_MINUTES).contains(&ago) {
                    *seen = seen.max(then[s]);
                }
            }
        }
        Minute {
            hour: at / 60,
            now_rps,
            seen_rps,
        }
    }

    fn entry_rps(&self, source: &Source<'_>, scores: &[f64], minute: usize, deviation: f64) -> f64 {
        let last = scores.len().saturating_sub(1);
        let step_s = f64::from(self.demand.step_s.max(1));
        let at = ((minute as f64 + 0.5) * 60.0 / step_s - 0.5).max(0.0);
        let before = (at as usize).min(last);
        let after = (before + 1).min(last);
        let weight = (at - before as f64).clamp(0.0, 1.0);
        let of = |step: usize| {
            let level = 1.0 - normal_tail(scores[step]);
            let rate = source.demand.at_level(step, level);
            if rate.is_finite() { rate.max(0.0) } else { 0.0 }
        };
        let mean = of(before) * (1.0 - weight) + of(after) * weight;
        let peak = source.demand.peak_to_mean;
        let peak = if peak.is_finite() {
            peak.clamp(1.0, 100.0)
        } else {
            1.0
        };
        let spread = peak.ln() / HIGHEST_OF_SIXTY;
        mean * (spread * deviation - 0.5 * spread * spread).exp()
    }
}

/// An autoregression of order one with unit variance.
fn walk(key: u64, length: usize, memory: f64) -> Vec<f64> {
    let fresh = (1.0 - memory * memory).sqrt();
    let mut state = 0.0;
    (0..length)
        .map(|i| {
            let (draw, _) = normals(mix(key, i as u64));
            state = if i == 0 {
                draw
            } else {
                memory * state + fresh * draw
            };
            state
        })
        .collect()
}
