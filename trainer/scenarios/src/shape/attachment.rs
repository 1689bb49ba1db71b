//! Services join one by one; who calls much gets more calls, and shared leaves are called from everywhere.
//!
//! The out-degrees follow from copying the caller of an existing call (a redirection model of preferential attachment:
//! Krapivsky & Redner, *Organization of growing random networks*, 2001).

use super::{Shape, entry_count, favoured};
use crate::random::Random;

pub(super) fn shape(services: usize, random: &mut Random) -> Shape {
    let denser = random.log_between(0.3, 4.5);
    grown(services, denser, random)
}

/// A grown graph with so many calls for each service beyond the first.
pub(super) fn grown(services: usize, denser: f64, random: &mut Random) -> Shape {
    let entries = entry_count(services, random);
    let copied = random.between(0.15, 0.6);
    let mut calls: Vec<(usize, usize)> = Vec::with_capacity(services * 4);
    for service in entries..services {
        let caller = match calls.get(random.below(calls.len())) {
            Some((caller, _)) if random.chance(copied) => *caller,
            _ => random.below(service),
        };
        calls.push((caller, service));
    }
    // The shared leaves stand last, so that everybody may call them.
    let hubs: Vec<usize> = (services - (services / 40).clamp(1, services - entries)..services)
        .rev()
        .collect();
    let to_hubs = random.between(0.4, 0.8);
    for _ in 0..(denser * services as f64) as usize {
        let caller = match calls.get(random.below(calls.len())) {
            Some((caller, _)) if random.chance(copied) => *caller,
            _ => random.below(services),
        };
        let callee = if random.chance(to_hubs) {
            favoured(&hubs, 3.5, random).unwrap_or(services - 1)
        } else {
            caller + 1 + random.below(services - caller)
        };
        if caller < callee && callee < services {
            calls.push((caller, callee));
        }
    }
    Shape {
        calls,
        entries: (0..entries).collect(),
    }
}
