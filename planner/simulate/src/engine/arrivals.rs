//! Requests from outside: when they come, whether they are let in, which proxy of the gateway takes them.

use foremesh_model::random::{mix, uniform};

use super::{Engine, EntryPart, NS_PER_S, agenda::Kind, parts::NONE, purpose};
use crate::{Arrivals, Outcome};

impl Engine<'_> {
    /// The next request of an entry is here.
    pub(super) fn root(&mut self, entry: usize) {
        self.enter(entry);
        if let Arrivals::Replay(_) = self.mesh.entries[entry].arrivals {
            // A recorded request in a storm comes as often as the storm says; Poisson arrivals come at a higher rate.
            let part = &self.entries[entry];
            let more = part.factor - 1.0;
            let chance = uniform(mix(mix(part.key, purpose::STORM), part.count));
            for _ in 0..(more.max(0.0) + chance) as u32 {
                self.enter(entry);
            }
        }
        self.schedule_root(entry);
    }

    /// A request comes from outside.
    fn enter(&mut self, entry: usize) {
        let part = &mut self.entries[entry];
        let stream = mix(part.key, part.count);
        part.count += 1;
        let edge = part.edge;
        self.run.roots += 1;
        let mesh = self.mesh;
        let ramp = &mesh.entries[entry].ramp;
        if !ramp.is_empty() {
            let now_s = self.now as f64 / NS_PER_S;
            let step = ramp.iter().rev().find(|step| step.starts_s <= now_s);
            let share = step.map_or(0.0, |step| step.share);
            if share < 1.0 && uniform(mix(stream, purpose::RAMP)) >= share {
                self.run.entries[entry].elsewhere += u64::from(self.measured());
                return;
            }
        }
        for control in &mut self.controls {
            control.entries[entry].offered += 1;
        }
        let admission = self.entries[entry].admission;
        if admission < 1.0 && uniform(mix(stream, purpose::ADMISSION)) >= admission {
            if self.measured() {
                let slo = &self.mesh.entries[entry].slo;
                let came = self.now - self.measure_from;
                self.run.entries[entry].record(came, 0, Outcome::RateLimited, slo);
            }
            return;
        }
        // Connections from outside are spread over the gateway's proxies, by a draw of their own: the choice of an instance by hash must not
        // follow from the proxy.
        let proxies = u64::from(self.mesh.edges[edge as usize].gateway_proxies.max(1));
        let proxy = ((mix(stream, purpose::GATEWAY) >> 32) * proxies) >> 32;
        let priority = (mix(stream, purpose::PRIORITY) >> 32) as u32;
        self.start_call(edge, proxy as u32, NONE, entry as u32, priority, stream);
    }

    /// Puts the next request of an entry on the agenda.
    pub(super) fn schedule_root(&mut self, entry: usize) {
        let part = &mut self.entries[entry];
        let at = match &self.mesh.entries[entry].arrivals {
            Arrivals::Replay(times) => {
                let at = times.get(part.position).copied();
                part.position += 1;
                at
            }
            Arrivals::Poisson {
                step_s,
                rates_rps,
                dispersion,
            } => next_poisson(part, self.now, self.ends, *step_s, rates_rps, *dispersion),
        };
        if let Some(at) = at {
            self.agenda
                .put(at.max(self.now), Kind::Root, entry as u32, 0, 0);
        }
    }
}

/// The next arrival of a Poisson process whose rate changes by step, and where arrivals come in bursts also by second: a unit
/// exponential is spent at the rate of each piece until it is used up.
fn next_poisson(
    part: &mut EntryPart,
    now: u64,
    ends: u64,
    step_s: f64,
    rates_rps: &[f64],
    dispersion: f64,
) -> Option<u64> {
    let mut left = -uniform(mix(mix(part.key, purpose::ARRIVAL), part.count)).ln();
    let mut at = now as f64;
    let bursty = dispersion > 1.0;
    let step_ns = step_s * NS_PER_S;
    while (at as u64) < ends {
        let mut step = (at / step_ns) as usize;
        // Where the division falls short of a whole number, the step that ends here is over.
        step += usize::from((step + 1) as f64 * step_ns <= at);
        let rate = rates_rps.get(step).or(rates_rps.last()).copied()?;
        let mut piece_ends = if step + 1 < rates_rps.len() {
            (step + 1) as f64 * step_ns
        } else {
            f64::INFINITY
        };
        let mut rate_here = rate * part.factor;
        if bursty {
            let second = (at / NS_PER_S) as u64;
            if part.second != second {
                part.second = second;
                part.burst = burst(mix(mix(part.key, purpose::BURST), second), rate, dispersion);
            }
            rate_here *= part.burst;
            piece_ends = piece_ends.min((second + 1) as f64 * NS_PER_S);
        }
        let per_ns = rate_here / NS_PER_S;
        let until = left / per_ns;
        if per_ns > 0.0 && at + until < piece_ends {
            return Some((at + until).round() as u64);
        }
        if piece_ends.is_infinite() {
            return None;
        }
        left -= (piece_ends - at) * per_ns;
        at = piece_ends;
    }
    None
}

/// The factor of a second's rate: gamma with mean 1 and the variance that gives counts of a second the dispersion asked for.
fn burst(key: u64, rate: f64, dispersion: f64) -> f64 {
    if rate <= 0.0 {
        return 1.0;
    }
    // Var(N)/E(N) = 1 + rate·Var(factor).
    let variance = (dispersion - 1.0) / rate;
    gamma_draw(key, 1.0 / variance) * variance
}

/// A gamma variable of scale 1 (Marsaglia & Tsang, *A simple method for generating gamma variables*, 2000).
fn gamma_draw(key: u64, shape: f64) -> f64 {
    if shape < 1.0 {
        let boost = uniform(mix(key, 0)).powf(1.0 / shape);
        return boost * gamma_draw(mix(key, 1), shape + 1.0);
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    for round in 0..64u64 {
        let key = mix(key, round + 2);
        let (u, v) = (uniform(mix(key, 1)), uniform(mix(key, 2)));
        let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
        let cube = (1.0 + c * normal).powi(3);
        let accept = uniform(mix(key, 3));
        if cube > 0.0 && accept.ln() < 0.5 * normal * normal + d - d * cube + d * cube.ln() {
            return d * cube;
        }
    }
    shape
}
