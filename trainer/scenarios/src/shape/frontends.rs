//! Several entries, each a back-end for a front-end, over the same domain services.

use super::{Shape, favoured};
use crate::random::Random;

/// Domain services that one front-end's back-end knows by itself, about.
const KNOWN_TO_A_FRONTEND: f64 = 25.0;

pub(super) fn shape(services: usize, random: &mut Random) -> Shape {
    let most = (services / 4 + 1).clamp(2, 8);
    let entries = (random.log_between(2.0, most as f64 + 1.0) as usize).clamp(2, most);
    let inner = services - entries;
    let with_store = random.between(0.2, 0.8);
    let domains = ((inner as f64 / (1.0 + with_store)) as usize).clamp(1, inner);
    let known = random
        .between(0.2, 0.7)
        .min(KNOWN_TO_A_FRONTEND / domains as f64);
    let between = random.between(0.1, 0.9);
    // Sign-in, users, notifications: called by every front-end and by many domains.
    let shared = (domains / 12).clamp(1, 4);
    let domain = |i: usize| entries + i;
    let mut calls = Vec::new();
    for i in 0..domains {
        let is_shared = i + shared >= domains;
        let mut callers = 0;
        for entry in 0..entries {
            if is_shared || random.chance(known) {
                calls.push((entry, domain(i)));
                callers += 1;
            }
        }
        if callers == 0 {
            // A domain behind a domain, or one that a single client uses.
            let caller = if i > 0 && random.chance(0.7) {
                domain(random.below(i))
            } else {
                random.below(entries)
            };
            calls.push((caller, domain(i)));
        }
        for _ in 0..random.geometric(between) {
            let ahead = domains - i - 1;
            if ahead > 0 {
                calls.push((domain(i), domain(i + 1 + random.below(ahead))));
            }
        }
        if !is_shared && random.chance(0.35) {
            calls.push((domain(i), domain(domains - 1 - random.below(shared))));
        }
    }
    let owners: Vec<usize> = (entries..entries + domains).collect();
    for store in entries + domains..services {
        // A store of its own; a few are read by neighbours too.
        let owner = owners[(store - entries) % domains];
        calls.push((owner, store));
        if random.chance(0.15) {
            for _ in 0..=random.geometric(0.7) {
                if let Some(reader) = favoured(&owners, 1.0, random) {
                    calls.push((reader, store));
                }
            }
        }
    }
    Shape {
        calls,
        entries: (0..entries).collect(),
    }
}
