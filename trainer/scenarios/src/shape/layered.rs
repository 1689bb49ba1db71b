//! Tiers: web, a middle of several layers, stores.

use super::{Shape, entry_count, favoured};
use crate::random::Random;

pub(super) fn shape(services: usize, random: &mut Random) -> Shape {
    let entries = entry_count(services, random);
    let inner = services - entries;
    let most_layers = ((services as f64).log2() * 0.9).clamp(1.0, 7.0);
    let fewest_layers = 1 + usize::from(services > 25) + usize::from(services > 250);
    let layers = random.between(1.0, most_layers + 1.0) as usize;
    let layers = layers.max(fewest_layers).min(inner);
    let mut by_layer: Vec<Vec<usize>> = vec![Vec::new(); layers + 1];
    by_layer[0] = (0..entries).collect();
    // A middle as wide as it happens to be; every layer holds at least one.
    let weights: Vec<(usize, f64)> = (1..=layers)
        .map(|layer| (layer, random.between(0.3, 1.5)))
        .collect();
    let mut sizes = vec![1usize; layers + 1];
    for _ in layers..inner {
        sizes[random.of_weighted(&weights, layers)] += 1;
    }
    let mut next = entries;
    for layer in 1..=layers {
        by_layer[layer] = (next..next + sizes[layer]).collect();
        next += sizes[layer];
    }
    let more_callers = random.log_between(0.1, 2.2);
    let bend = random.between(1.0, 2.5);
    let skip = random.between(0.05, 0.3);
    let mut calls = Vec::new();
    for layer in 1..=layers {
        for callee in by_layer[layer].clone() {
            // Stores are shared less than the middle, but the popular ones by many.
            let popular = random.chance(0.04);
            let more = if popular {
                8.0 * more_callers
            } else {
                more_callers
            };
            for turn in 0..=random.geometric(more) {
                let from = if turn > 0 && random.chance(skip) {
                    random.below(layer)
                } else {
                    layer - 1
                };
                if let Some(caller) = favoured(&by_layer[from], bend, random) {
                    calls.push((caller, callee));
                }
            }
        }
    }
    Shape {
        calls,
        entries: by_layer.swap_remove(0),
    }
}
