//! Trees whose fan-out has a heavy tail.

use std::collections::VecDeque;

use super::Shape;
use crate::random::Random;

/// More kinds of calls than any one service of the real graphs makes.
const MOST_CHILDREN: f64 = 90.0;

pub(super) fn shape(services: usize, random: &mut Random) -> Shape {
    let most = (services / 10).clamp(1, 4);
    let roots = if random.chance(0.6) {
        1
    } else {
        1 + random.below(most)
    };
    // Pareto: below 1 the mean has no end, from 2.5 on nearly all have one child.
    let tail = random.between(1.1, 2.5);
    let leaf = random.between(0.1, 0.5);
    let deep = random.between(0.1, 0.8);
    let deepest = 4 + (2.5 * (services as f64).ln()) as usize;
    let mut depth = vec![0; services];
    let mut open: VecDeque<usize> = (0..roots).collect();
    let mut calls = Vec::with_capacity(services);
    let mut next = roots;
    let mut first = roots;
    while next < services {
        let deeper = random.chance(deep);
        let picked = if deeper {
            open.pop_back()
        } else {
            open.pop_front()
        };
        // Where all are leaves one is none after all.
        let caller = picked.unwrap_or_else(|| random.below(next));
        if depth[caller] >= deepest {
            continue;
        }
        let is_root = first > 0 && caller < roots;
        first = first.saturating_sub(usize::from(is_root));
        if !is_root && picked.is_some() && random.chance(leaf) {
            continue;
        }
        let children = random.unit().max(1e-9).powf(-1.0 / tail).min(MOST_CHILDREN) as usize;
        for _ in 0..children.max(1).min(services - next) {
            calls.push((caller, next));
            depth[next] = depth[caller] + 1;
            open.push_back(next);
            next += 1;
        }
    }
    Shape {
        calls,
        entries: (0..roots).collect(),
    }
}
