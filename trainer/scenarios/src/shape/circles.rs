//! Services joined one by one, of which groups call each other in circles.
//!
//! Circles stay inside blocks of neighbouring numbers: all other calls lead to higher numbers, so that none leads back from
//! one block to another and no circle is larger than its block. The plan inverts a matrix for each circle.

use super::{Shape, attachment};
use crate::random::Random;

/// The largest block: the real graph of 1,238 services has a circle of 356.
const MOST_IN_A_BLOCK: f64 = 100.0;

pub(super) fn shape(services: usize, random: &mut Random) -> Shape {
    let denser = random.log_between(0.2, 3.0);
    let mut shape = attachment::grown(services, denser, random);
    let first = shape.entries.len();
    let share = random.log_between(0.04, 0.4);
    let largest = (services as f64 * 0.3).clamp(3.0, MOST_IN_A_BLOCK);
    let mut left = ((services as f64 * share) as usize).max(2);
    let mut start = first + random.below(services.saturating_sub(first + 1) / 2 + 1);
    while left >= 2 && start + 1 < services {
        // Pairs and triples are what most circles are.
        let size = if random.chance(0.88) {
            2 + random.below(3)
        } else {
            random.log_between(2.0, largest) as usize
        };
        let size = size.clamp(2, services - start);
        let mutual = random.between(0.3, 1.0);
        for at in 1..size {
            let (caller, callee) = (start + random.below(at), start + at);
            shape.calls.push((caller, callee));
            // The first pair always calls back: a block without a circle is none.
            if at == 1 || random.chance(mutual) {
                shape.calls.push((callee, caller));
            }
            if size > 2 && random.chance(0.3) {
                shape.calls.push((callee, start + random.below(size)));
            }
        }
        left = left.saturating_sub(size);
        start += size + random.geometric(size as f64);
    }
    shape
}
