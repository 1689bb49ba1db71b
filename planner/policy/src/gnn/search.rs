//! Looking for answers by trying: one answer for all services, then service by service.
//!
//! What the net is measured against, and what makes its plans safe. Trials are counted, not timed.

use rayon::prelude::*;

use super::{
    action::{ACTIONS, Plan},
    judge::Judged,
    region::Region,
};
use crate::autoscaler::Minute;

/// The share of minutes that a plan must keep.
pub const ATTAINMENT: f64 = 0.995;
/// Answers for the schedule's demand that are tried.
const SCORE_ANSWERS: [f64; 7] = [-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.55];
/// Answers for the busy share that are tried, the boldest first.
const UTILIZATION_ANSWERS: [f64; 14] = [
    1.4, 1.0, 0.75, 0.5, 0.25, 0.0, -0.25, -0.5, -0.75, -1.0, -1.4, -1.8, -2.4, -3.2,
];
/// What is added to every answer for the schedule's demand to make a plan safe.
const SCORE_SHIFTS: [f64; 3] = [0.0, -0.6, 0.6];
/// What is added to every answer for the busy share, the boldest first.
const UTILIZATION_SHIFTS: [f64; 15] = [
    0.6, 0.45, 0.3, 0.2, 0.1, 0.0, -0.1, -0.2, -0.35, -0.5, -0.75, -1.0, -1.5, -2.2, -3.2,
];
/// Rounds over all services.
const ROUNDS: usize = 2;

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Searched {
    /// By service.
    pub answers: Vec<[f64; ACTIONS]>,
    /// What they mean.
    pub plan: Plan,
    /// What they show on the minutes they were chosen on.
    pub judged: Judged,
    /// Plans that were tried.
    pub trials: usize,
}

impl Searched {
    /// Whether it keeps as much as is asked.
    #[must_use]
    pub fn attains(&self) -> bool {
        self.judged.kept >= ATTAINMENT
    }

    /// Whether it is to be preferred: keeps what is asked for less, or where neither does, keeps more.
    fn beats(&self, other: &Self) -> bool {
        match (self.attains(), other.attains()) {
            (true, true) => self.judged.cost_per_hour < other.judged.cost_per_hour,
            (false, false) => self.judged.kept > other.judged.kept,
            (attains, _) => attains,
        }
    }
}

impl Region<'_> {
    /// A plan of these answers, tried.
    #[must_use]
    pub fn tried(&self, answers: Vec<[f64; ACTIONS]>, minutes: &[Minute]) -> Searched {
        self.tried_within(answers, minutes, 1.0)
    }

    fn tried_within(
        &self,
        answers: Vec<[f64; ACTIONS]>,
        minutes: &[Minute],
        share: f64,
    ) -> Searched {
        let plan = self.plan(&answers);
        Searched {
            judged: plan.judged_within(self, minutes, share),
            answers,
            plan,
            trials: 1,
        }
    }

    /// The best of several, the first of equals.
    fn best(
        &self,
        all: Vec<Vec<[f64; ACTIONS]>>,
        minutes: &[Minute],
        share: f64,
    ) -> Option<Searched> {
        let trials = all.len();
        let tried: Vec<Searched> = all
            .into_par_iter()
            .map(|answers| self.tried_within(answers, minutes, share))
            .collect();
        let best = tried
            .into_iter()
            .reduce(|best, next| if next.beats(&best) { next } else { best })?;
        Some(Searched { trials, ..best })
    }

    /// The best of the same answer for every service.
    #[must_use]
    pub fn uniform(&self, minutes: &[Minute]) -> Searched {
        let all = UTILIZATION_ANSWERS.iter().flat_map(|utilization| {
            let answers = SCORE_ANSWERS.iter().map(|score| [*score, *utilization]);
            answers.map(|answer| vec![answer; self.services()])
        });
        self.best(all.collect(), minutes, 1.0)
            .unwrap_or_else(|| self.tried(vec![[0.0; ACTIONS]; self.services()], minutes))
    }

    /// The guard: all answers moved by the same, the cheapest that keeps as much as is asked with a share of what objectives and rate limits allow, or
    /// what keeps most.
    #[must_use]
    pub fn secured(&self, answers: &[[f64; ACTIONS]], minutes: &[Minute], share: f64) -> Searched {
        let shifts = UTILIZATION_SHIFTS
            .iter()
            .flat_map(|utilization| SCORE_SHIFTS.iter().map(|score| [*score, *utilization]));
        let shifted = shifts.map(|[more_score, more_utilization]| {
            let each = answers.iter();
            each.map(|[score, utilization]| [score + more_score, utilization + more_utilization])
                .collect::<Vec<_>>()
        });
        self.best(shifted.collect(), minutes, share)
            .unwrap_or_else(|| self.tried_within(answers.to_vec(), minutes, share))
    }

    /// Service by service, the dearest first, from what is given; at most so many trials.
    #[must_use]
    pub fn searched(&self, from: Searched, minutes: &[Minute], most_trials: usize) -> Searched {
        let mut best = from;
        for _ in 0..ROUNDS {
            let cost = &best.judged.service_cost_per_hour;
            let mut order: Vec<usize> = (0..self.services()).filter(|s| self.decides(*s)).collect();
            order.sort_by(|a, b| cost[*b].total_cmp(&cost[*a]).then(a.cmp(b)));
            let before = best.judged.cost_per_hour;
            for service in order {
                let others = UTILIZATION_ANSWERS.iter().flat_map(|utilization| {
                    SCORE_ANSWERS.iter().map(|score| [*score, *utilization])
                });
                let all: Vec<_> = others
                    .map(|answer| {
                        let mut answers = best.answers.clone();
                        answers[service] = answer;
                        answers
                    })
                    .collect();
                let trials = best.trials + all.len();
                if trials > most_trials {
                    return best;
                }
                if let Some(found) = self
                    .best(all, minutes, 1.0)
                    .filter(|found| found.beats(&best))
                {
                    best = found;
                }
                best.trials = trials;
            }
            if best.judged.cost_per_hour >= before * (1.0 - 1e-6) {
                break;
            }
        }
        best
    }
}
