//! Looking for answers by trying: one answer for all services, then service by service.
//!
//! What the net is measured against, and what makes its plans safe. Trials are counted, not timed.

use rayon::prelude::*;

use super::{
    action::{ACTIONS, Plan},
    cheapest::Cheapest,
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

    fn beats(&self, other: &Self) -> bool {
        beats(&self.judged, &other.judged)
    }
}

/// Whether a plan is to be preferred: keeps what is asked for less, or where neither does, keeps more.
fn beats(one: &Judged, other: &Judged) -> bool {
    match (one.kept >= ATTAINMENT, other.kept >= ATTAINMENT) {
        (true, true) => one.cost_per_hour < other.cost_per_hour,
        (false, false) => one.kept > other.kept,
        (attains, _) => attains,
    }
}

impl Region<'_> {
    /// A plan of these answers, tried.
    #[must_use]
    pub fn tried(&self, answers: Vec<[f64; ACTIONS]>, minutes: &[Minute]) -> Searched {
        let plan = self.plan(&answers);
        Searched {
            judged: plan.judged(self, minutes),
            answers,
            plan,
            trials: 1,
        }
    }

    /// For each share of what is allowed the best of several, the first of equals; nothing where there are none.
    fn best_each(
        &self,
        all: Vec<Vec<[f64; ACTIONS]>>,
        minutes: &[Minute],
        shares: &[f64],
    ) -> Vec<Searched> {
        let plans: Vec<(Plan, Vec<f64>)> = all
            .par_iter()
            .map(|answers| {
                let plan = self.plan(answers);
                let costs = plan.costs_per_hour(self, minutes);
                (plan, costs)
            })
            .collect();
        let costs = plans.iter().map(|(_, costs)| costs.iter().sum()).collect();
        let kept = |place: usize, minute: usize| {
            let (plan, _) = &plans[place];
            plan.kept_each(self, &minutes[minute], shares)
        };
        let best = Cheapest::of(costs, minutes.len(), shares.len(), kept).best_each();
        let each = best.into_iter().map(|(place, kept)| {
            let (plan, costs) = &plans[place];
            Searched {
                answers: all[place].clone(),
                plan: plan.clone(),
                judged: Judged {
                    cost_per_hour: costs.iter().sum(),
                    service_cost_per_hour: costs.clone(),
                    kept,
                },
                trials: all.len(),
            }
        });
        each.collect()
    }

    /// The best of several with all of what is allowed.
    fn best(&self, all: Vec<Vec<[f64; ACTIONS]>>, minutes: &[Minute]) -> Option<Searched> {
        self.best_each(all, minutes, &[1.0]).pop()
    }

    /// The best of the same answer for every service.
    #[must_use]
    pub fn uniform(&self, minutes: &[Minute]) -> Searched {
        let all = UTILIZATION_ANSWERS.iter().flat_map(|utilization| {
            let answers = SCORE_ANSWERS.iter().map(|score| [*score, *utilization]);
            answers.map(|answer| vec![answer; self.services()])
        });
        self.best(all.collect(), minutes)
            .unwrap_or_else(|| self.tried(vec![[0.0; ACTIONS]; self.services()], minutes))
    }

    /// The guard: all answers moved by the same, the cheapest that keeps as much as is asked with a share of what objectives and rate limits allow, or
    /// what keeps most.
    #[must_use]
    pub fn secured(&self, answers: &[[f64; ACTIONS]], minutes: &[Minute], share: f64) -> Searched {
        let mut secured = self.secured_each(answers, minutes, &[share]);
        secured.swap_remove(0)
    }

    /// The same for each of several shares, at little more than the price of one.
    pub(crate) fn secured_each(
        &self,
        answers: &[[f64; ACTIONS]],
        minutes: &[Minute],
        shares: &[f64],
    ) -> Vec<Searched> {
        let shifts = UTILIZATION_SHIFTS
            .iter()
            .flat_map(|utilization| SCORE_SHIFTS.iter().map(|score| [*score, *utilization]));
        let shifted = shifts.map(|[more_score, more_utilization]| {
            let each = answers.iter();
            each.map(|[score, utilization]| [score + more_score, utilization + more_utilization])
                .collect::<Vec<_>>()
        });
        self.best_each(shifted.collect(), minutes, shares)
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
                if let Some(found) = self.best(all, minutes).filter(|found| found.beats(&best)) {
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
