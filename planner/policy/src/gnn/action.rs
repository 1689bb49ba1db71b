//! What is decided of a service, and the instances that follow.

use super::region::Region;
use crate::{autoscaler::Minute, limits::rate_limit_rps, schedule::smooth};

/// Numbers that are decided of each service.
pub const ACTIONS: usize = 2;
/// How far an answer of 1 moves the demand that the schedule is bought for, in normal scores.
const SCORE_OF_ONE: f64 = 1.5;
/// Normal scores of demand that a schedule may be bought for.
const SCORES: [f64; 2] = [-3.0, 3.0];
/// Busy shares that an autoscaler may aim at.
const UTILIZATIONS: [f64; 2] = [0.1, 0.9];

/// What is decided of a service.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Action {
    /// The demand of each hour that the schedule is bought for, as a normal score: 0 is the median.
    pub score: f64,
    /// The busy share of its workers above which instances are added, in the schedule and by the autoscaler.
    pub utilization: f64,
}

impl Action {
    /// The action of a net's answer; `[0, 0]` is the median, at the busy share that the floor's rule plans with.
    #[must_use]
    pub fn of(answer: [f64; ACTIONS], planned_utilization: f64) -> Self {
        let [score, utilization] = answer.map(|a| if a.is_finite() { a } else { 0.0 });
        let odds = (planned_utilization / (1.0 - planned_utilization))
            * utilization.clamp(-20.0, 20.0).exp();
        Self {
            score: (SCORE_OF_ONE * score).clamp(SCORES[0], SCORES[1]),
            utilization: (odds / (1.0 + odds)).clamp(UTILIZATIONS[0], UTILIZATIONS[1]),
        }
    }
}

/// Instances by hour, and what an autoscaler does beyond them.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The schedule, `[hour][service]`.
    pub schedule: Vec<Vec<u32>>,
    /// Requests a second that one instance is given before more are ordered, by service.
    pub instance_rps: Vec<f64>,
}

impl Region<'_> {
    /// The plan of a net's answers, `[services]`.
    #[must_use]
    pub fn plan(&self, answers: &[[f64; ACTIONS]]) -> Plan {
        let ground = &self.ground;
        let mut schedule = vec![vec![0u32; self.services()]; self.hours()];
        let mut instance_rps = Vec::with_capacity(self.services());
        for (s, station) in ground.stations.iter().enumerate() {
            let answer = answers.get(s).copied().unwrap_or_default();
            let action = Action::of(answer, self.planned_utilization[s]);
            let busy_rps = station.bearable_rps() * action.utilization;
            let each = busy_rps.min(rate_limit_rps(station)).max(1e-9);
            instance_rps.push(each);
            let wanted: Vec<u32> = (0..self.hours())
                .map(|hour| {
                    let fewest = self.fewest[hour][s];
                    match self.decides(s) {
                        true => instances(ground.rate_at(hour, s, action.score), each)
                            .min(station.max_instances)
                            .max(fewest),
                        false => fewest,
                    }
                })
                .collect();
            let ahead = station.lead_s() > crate::schedule::LEAD_AFTER_S;
            let smoothed = smooth(&wanted, ahead, station.max_instances);
            for (hour, n) in schedule.iter_mut().zip(smoothed) {
                hour[s] = n;
            }
        }
        Plan {
            schedule,
            instance_rps,
        }
    }
}

fn instances(rate_rps: f64, each_rps: f64) -> u32 {
    (rate_rps / each_rps - 1e-9).ceil().clamp(0.0, 1e9) as u32
}

impl Plan {
    /// Instances of every service in a minute.
    #[must_use]
    pub fn instances(&self, region: &Region<'_>, minute: &Minute) -> Vec<u32> {
        let Some(scheduled) = self.schedule.get(minute.hour) else {
            return Vec::new();
        };
        let reacted = minute.seen_rps.iter().zip(&self.instance_rps);
        let each = scheduled.iter().zip(reacted).zip(&region.ground.stations);
        each.map(
            |((scheduled, (seen, each)), station)| match station.stateful {
                true => *scheduled,
                false => instances(*seen, *each)
                    .min(station.max_instances)
                    .max(*scheduled),
            },
        )
        .collect()
    }
}
