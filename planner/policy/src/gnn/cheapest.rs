//! The cheapest of several plans that keeps what is asked, without judging all of them on all minutes.
//!
//! What a plan costs takes little; what it keeps takes the latencies of every minute, which is most of the work. So plans are held against the minutes from the
//! cheapest on, and one is given up as soon as it has missed too many: the answer is the same as if each were judged on all. Minutes that
//! earlier plans missed come first, and what a minute showed counts for all shares of what is allowed.

use std::cmp::Reverse;

use rayon::prelude::*;

use super::search::ATTAINMENT;

/// Minutes that are looked at before a plan may be given up: some for each thread. The answer does not depend on it.
fn at_once() -> usize {
    4 * rayon::current_num_threads()
}

/// Several plans on the same minutes.
pub(super) struct Cheapest<K> {
    costs: Vec<f64>,
    minutes: usize,
    shares: usize,
    /// For each share whether a plan keeps a minute.
    kept: K,
    /// What it said, by plan and minute.
    seen: Vec<Vec<Option<Vec<bool>>>>,
}

impl<K: Fn(usize, usize) -> Vec<bool> + Sync> Cheapest<K> {
    /// Plans of such costs on so many minutes. `kept` says of the place of a plan and a minute whether the plan keeps it, for each of so many shares.
    pub fn of(costs: Vec<f64>, minutes: usize, shares: usize, kept: K) -> Self {
        Self {
            seen: vec![vec![None; minutes]; costs.len()],
            costs,
            minutes,
            shares,
            kept,
        }
    }

    /// For each share the place of the cheapest plan that keeps what is asked with it, or where none does of the one that keeps most, the first of equals; and the part of
    /// minutes that it keeps. Nothing without plans.
    pub fn best_each(&mut self) -> Vec<(usize, f64)> {
        let mut order: Vec<usize> = (0..self.costs.len()).collect();
        order.sort_by(|a, b| self.costs[*a].total_cmp(&self.costs[*b]).then(a.cmp(b)));
        let each = (0..self.shares).filter_map(|share| {
            let place = self.best(&order, share)?;
            let missed = self.missed(place, share, usize::MAX);
            Some((place, self.part(missed)))
        });
        each.collect()
    }

    fn best(&mut self, cheapest_first: &[usize], share: usize) -> Option<usize> {
        let most = (0..=self.minutes)
            .rev()
            .find(|missed| self.part(*missed) >= ATTAINMENT);
        for place in cheapest_first {
            if most.is_some_and(|most| self.missed(*place, share, most) <= most) {
                return Some(*place);
            }
        }
        (0..self.costs.len()).min_by_key(|place| self.missed(*place, share, usize::MAX))
    }

    /// The part of minutes that is kept.
    fn part(&self, missed: usize) -> f64 {
        (self.minutes - missed) as f64 / self.minutes.max(1) as f64
    }

    /// The minutes that a plan misses with a share: all of them, or some that are more than `most`.
    fn missed(&mut self, place: usize, share: usize, most: usize) -> usize {
        let misses = |of_plan: &[Option<Vec<bool>>], minute: usize| {
            of_plan[minute].as_ref().is_some_and(|kept| !kept[share])
        };
        let (known, mut left): (Vec<usize>, Vec<usize>) =
            (0..self.minutes).partition(|minute| self.seen[place][*minute].is_some());
        let known = known.into_iter();
        let mut missed = known
            .filter(|minute| misses(&self.seen[place], *minute))
            .count();
        left.sort_by_cached_key(|minute| {
            let plans = self.seen.iter();
            Reverse(plans.filter(|of_plan| misses(of_plan, *minute)).count())
        });
        for some in left.chunks(at_once()) {
            if missed > most {
                break;
            }
            let kept: Vec<Vec<bool>> = some
                .par_iter()
                .map(|minute| (self.kept)(place, *minute))
                .collect();
            for (minute, kept) in some.iter().zip(kept) {
                missed += usize::from(!kept[share]);
                self.seen[place][*minute] = Some(kept);
            }
        }
        missed
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use foremesh_model::random::{mix, uniform};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_one_that_judging_all_would_take(
            seed in any::<u64>(),
            plans in 0usize..12,
            minutes in 0usize..400,
            shares in 1usize..4,
            misses in 0.0f64..0.03,
        ) {
            // Some cost the same; a share that allows less keeps less.
            let costs: Vec<f64> = (0..plans)
                .map(|place| (8.0 * uniform(mix(seed, place as u64))).floor())
                .collect();
            let kept = |place: usize, minute: usize| -> Vec<bool> {
                let of_plan = misses * 8.0 * uniform(mix(seed, 99 + place as u64));
                let drawn = uniform(mix(mix(seed, place as u64), minute as u64));
                (0..shares).map(|share| drawn > of_plan * (1 + share) as f64 / 2.0).collect()
            };
            let found = Cheapest::of(costs.clone(), minutes, shares, kept).best_each();
            if plans == 0 {
                prop_assert!(found.is_empty());
                return Ok(());
            }
            for (share, found) in found.into_iter().enumerate() {
                let part = |place: usize| {
                    let all = (0..minutes).filter(|minute| kept(place, *minute)[share]).count();
                    all as f64 / minutes.max(1) as f64
                };
                let attains = (0..plans).filter(|place| part(*place) >= ATTAINMENT);
                let cheapest = attains.min_by(|a, b| costs[*a].total_cmp(&costs[*b]));
                let most = (0..plans).rev().max_by(|a, b| part(*a).total_cmp(&part(*b)));
                let place = cheapest.or(most).unwrap();
                prop_assert_eq!(found, (place, part(place)));
            }
        }
    }

    #[test]
    fn what_misses_too_much_is_given_up() {
        let looks = AtomicUsize::new(0);
        let kept = |place: usize, _: usize| {
            looks.fetch_add(1, Ordering::Relaxed);
            vec![place == 3]
        };
        let costs = vec![1.0, 2.0, 3.0, 4.0, 5.0];
        let found = Cheapest::of(costs, 1000, 1, kept).best_each();
        assert_eq!(found, [(3, 1.0)]);
        assert_eq!(looks.into_inner(), 3 * at_once() + 1000);
    }
}
