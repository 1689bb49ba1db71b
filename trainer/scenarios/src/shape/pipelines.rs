//! Chains of stages with side calls, which split and meet in shared stores.

use super::{Shape, favoured};
use crate::random::Random;

/// From this depth on no chain branches off: a request that passes more stages answers nobody in time.
const DEEPEST_BRANCH: usize = 10;

pub(super) fn shape(services: usize, random: &mut Random) -> Shape {
    let stores = if services < 5 {
        0
    } else {
        (services as f64 * random.between(0.05, 0.2)) as usize
    };
    let last = services - stores;
    let length = random.log_between(3.0, 14.0);
    let side = random.between(0.1, 0.9);
    let branching = random.between(0.5, 0.9);
    let most_entries = (services / 10).clamp(1, 6);
    let mut shape = Shape {
        calls: Vec::new(),
        entries: vec![0],
    };
    let mut depth = vec![0usize; services];
    // Stages that more may follow.
    let mut open = vec![0usize];
    let mut next = 1;
    while next < last {
        let enters = shape.entries.len() < most_entries && !random.chance(branching);
        let mut at = if enters && next > 1 {
            shape.entries.push(next);
            open.push(next);
            next += 1;
            next - 1
        } else {
            favoured(&open, 1.0, random).unwrap_or(0)
        };
        let stages = (length * random.between(0.6, 1.4)) as usize;
        for _ in 0..stages.max(1).min(last - next) {
            shape.calls.push((at, next));
            depth[next] = depth[at] + 1;
            if depth[next] <= DEEPEST_BRANCH {
                open.push(next);
            }
            at = next;
            next += 1;
            for _ in 0..random.geometric(side).min(last - next) {
                // What a stage asks on the side: a lookup, a check, a conversion.
                shape.calls.push((at, next));
                depth[next] = depth[at] + 1;
                next += 1;
            }
            if next >= last {
                break;
            }
        }
        if random.chance(0.2) && at + 1 < next {
            // It meets another chain again.
            shape.calls.push((at, at + 1 + random.below(next - at - 1)));
        }
    }
    for store in last..services {
        for _ in 0..=random.geometric(1.2) {
            shape.calls.push((random.below(last), store));
        }
    }
    shape
}
