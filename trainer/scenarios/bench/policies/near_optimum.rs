//! What a search without haste finds: CMA-ES over what every service buys ahead and how busy it may be.
//!
//! The variant with a diagonal covariance (Ros and Hansen, *A simple modification in CMA-ES achieving linear time and space complexity*, 2008), written
//! here because the kept crate (`cmaes`) stands on another version of its linear algebra than everything else. It tries plans on the same kind of minutes as
//! the learned policy does, and begins with the best one answer for all services.

use foremesh_policy::gnn::{ACTIONS, ATTAINMENT, Minute, Region, Searched};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

/// Plans that are tried of each region: a hundred times those that make a learned plan safe.
pub const TRIALS: usize = 4_500;
/// Step at first, in units of answers.
const FIRST_STEP: f64 = 0.5;
/// What a missed share of minutes costs beyond what may be missed, in costs of the plan that it begins with.
const MISSED: f64 = 50.0;

/// The best answers that are found.
pub fn near_optimum(region: &Region<'_>, minutes: &[Minute], seed: u64) -> Vec<[f64; ACTIONS]> {
    let from = region.uniform(minutes);
    let unit = from.judged.cost_per_hour.max(1e-9);
    let value = |found: &Searched| {
        let missed = (ATTAINMENT - found.judged.kept).max(0.0);
        found.judged.cost_per_hour / unit + MISSED * missed
    };
    let answers = |x: &[f64]| -> Vec<[f64; ACTIONS]> {
        let each = x.chunks_exact(ACTIONS);
        each.map(|answer| [answer[0], answer[1]]).collect()
    };
    let mut best = (value(&from), from.answers.clone());
    let start: Vec<f64> = from.answers.iter().flatten().copied().collect();
    let n = start.len() as f64;
    let tries = 2 * (4 + (3.0 * n.ln()) as usize);
    let parents = tries / 2;
    let weights: Vec<f64> = (1..=parents)
        .map(|rank| (parents as f64 + 0.5).ln() - (rank as f64).ln())
        .collect();
    let sum: f64 = weights.iter().sum();
    let weights: Vec<f64> = weights.iter().map(|w| w / sum).collect();
    let effective = 1.0 / weights.iter().map(|w| w * w).sum::<f64>();
    let step_rate = (effective + 2.0) / (n + effective + 5.0);
    let damping = 1.0 + 2.0 * (((effective - 1.0) / (n + 1.0)).sqrt() - 1.0).max(0.0) + step_rate;
    let path_rate = (4.0 + effective / n) / (n + 4.0 + 2.0 * effective / n);
    let faster = (n + 2.0) / 3.0;
    let one_rate = (faster * 2.0 / ((n + 1.3).powi(2) + effective)).min(0.5);
    let many_rate = (faster * 2.0 * (effective - 2.0 + 1.0 / effective)
        / ((n + 2.0).powi(2) + effective))
        .min(1.0 - one_rate);
    let usual_length = n.sqrt() * (1.0 - 1.0 / (4.0 * n) + 1.0 / (21.0 * n * n));

    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (mut mean, mut step) = (start, FIRST_STEP);
    let mut variance = vec![1.0f64; mean.len()];
    let (mut step_path, mut path) = (vec![0.0f64; mean.len()], vec![0.0f64; mean.len()]);
    for generation in 1..=(TRIALS / tries) as i32 {
        let draws: Vec<Vec<f64>> = (0..tries)
            .map(|_| {
                mean.iter()
                    .map(|_| StandardNormal.sample(&mut random))
                    .collect()
            })
            .collect();
        let mut tried: Vec<(f64, &Vec<f64>, Searched)> = draws
            .par_iter()
            .map(|draw| {
                let each = mean.iter().zip(draw).zip(&variance);
                let x: Vec<f64> = each.map(|((m, z), v)| m + step * v.sqrt() * z).collect();
                let found = region.tried(answers(&x), minutes);
                (value(&found), draw, found)
            })
            .collect();
        tried.sort_by(|a, b| a.0.total_cmp(&b.0));
        if tried[0].0 < best.0 {
            best = (tried[0].0, tried[0].2.answers.clone());
        }
        let moved = |i: usize| -> f64 {
            let each = weights.iter().zip(&tried);
            each.map(|(w, (_, draw, _))| w * draw[i]).sum()
        };
        let moved: Vec<f64> = (0..mean.len()).map(moved).collect();
        for (path, z) in step_path.iter_mut().zip(&moved) {
            *path =
                (1.0 - step_rate) * *path + (step_rate * (2.0 - step_rate) * effective).sqrt() * z;
        }
        let length = step_path.iter().map(|p| p * p).sum::<f64>().sqrt();
        let early = (1.0 - (1.0 - step_rate).powi(2 * generation)).sqrt();
        let goes_on = length / early < (1.4 + 2.0 / (n + 1.0)) * usual_length;
        let keeps = f64::from(u8::from(goes_on));
        for i in 0..mean.len() {
            let deviation = variance[i].sqrt();
            mean[i] += step * deviation * moved[i];
            path[i] = (1.0 - path_rate) * path[i]
                + keeps * (path_rate * (2.0 - path_rate) * effective).sqrt() * deviation * moved[i];
            let each = weights.iter().zip(&tried);
            let many: f64 = each.map(|(w, (_, draw, _))| w * draw[i] * draw[i]).sum();
            variance[i] = (1.0 - one_rate - many_rate) * variance[i]
                + one_rate
                    * (path[i] * path[i]
                        + (1.0 - keeps) * path_rate * (2.0 - path_rate) * variance[i])
                + many_rate * variance[i] * many;
        }
        step *= ((step_rate / damping) * (length / usual_length - 1.0)).exp();
        if !(1e-6..1e3).contains(&step) {
            break;
        }
    }
    best.1
}
