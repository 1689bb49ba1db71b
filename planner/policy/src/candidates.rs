//! What is weighed against each other, and which is chosen.
//!
//! Each candidate costs its instances and the minutes in which demand is expected to be more than they keep the objectives at, at the price
//! that the request gives. The floor is always among them. Those of the search are chosen only where they keep every objective that the floor
//! keeps at the demand that is bought.

use std::fmt;

use foremesh_model::{Candidate, ProfileRequest};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    ground::Ground,
    sampling::{BOUGHT, LEVELS},
    schedule::smooth,
    search::BOUGHT_SCORE,
    sizing::Sizing,
};

/// How a candidate's instances come about; as text it is the candidate's name.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The floor's rules, hour by hour.
    Schedule {
        /// The quantile of demand that is planned for, 0 … 1; the floor itself has 0.99.
        quantile: f64,
    },
    /// The floor's instances of its highest hour, all the time.
    Static,
    /// What the search ends with.
    Search {
        /// Share of objectives and limits that is planned with, 0 … 1.
        share: f64,
    },
    /// A schedule and what an autoscaler does beyond it, chosen together.
    Tracking {
        /// Share of objectives and limits that is planned with, 0 … 1.
        share: f64,
    },
    /// What the learned policy says, made safe on minutes of the forecast.
    Gnn {
        /// Share of objectives and limits that it is made safe with, 0 … 1.
        share: f64,
    },
    /// The floor's rule with an autoscaler beyond it, made safe on minutes of the forecast.
    Rule {
        /// Share of objectives and limits that it is made safe with, 0 … 1.
        share: f64,
    },
    /// What the search begins with: the instance that helps most for its cost, again and again.
    Greedy {
        /// Share of objectives and limits that is planned with, 0 … 1.
        share: f64,
    },
}

impl Method {
    /// The floor.
    pub(crate) const FLOOR: Self = Self::Schedule {
        quantile: LEVELS[BOUGHT],
    };
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Schedule { quantile } => write!(f, "schedule at the {quantile} quantile"),
            Self::Tracking { share } => {
                write!(f, "schedule and autoscaler with {share} of what is allowed")
            }
            Self::Gnn { share } => {
                write!(
                    f,
                    "learned policy and autoscaler with {share} of what is allowed"
                )
            }
            Self::Rule { share } => {
                write!(f, "rule and autoscaler with {share} of what is allowed")
            }
            Self::Static => f.write_str("static at the highest hour"),
            Self::Search { share } => write!(f, "search with {share} of what is allowed"),
            Self::Greedy { share } => write!(f, "greedy additions with {share} of what is allowed"),
        }
    }
}

/// A way of sizing with what it is worth.
pub(crate) struct Weighed {
    pub sizing: Sizing,
    pub candidate: Candidate,
}

impl Weighed {
    /// Takes it before all that it was compared with.
    pub(crate) fn chosen(self, others: impl IntoIterator<Item = Candidate>) -> Chosen {
        Chosen {
            sizing: self.sizing,
            candidates: std::iter::once(self.candidate).chain(others).collect(),
        }
    }
}

/// What is taken.
pub(crate) struct Chosen {
    pub sizing: Sizing,
    /// The one that is taken, and what it was compared with.
    pub candidates: Vec<Candidate>,
}

/// Weighs a sizing: standby instances serve like any other.
pub(crate) fn weigh(ground: &Ground<'_>, request: &ProfileRequest, sizing: Sizing) -> Weighed {
    let standby: Vec<u32> = sizing.services.iter().map(|sized| sized.standby).collect();
    let expected = sizing
        .expectation
        .as_ref()
        .map(|e| (e.instance_cost, e.violation_minutes));
    let by_hour: Vec<Vec<u32>> = sizing
        .by_hour
        .iter()
        .map(|row| row.iter().zip(&standby).map(|(n, more)| n + more).collect())
        .collect();
    let mut candidate = weigh_hours(ground, request, sizing.method, &by_hour);
    if let Some((instance_cost, violation_minutes)) = expected {
        candidate.instance_cost = instance_cost;
        candidate.violation_minutes = violation_minutes;
        let violations = request.cost.violation_per_minute * violation_minutes;
        candidate.score = -(instance_cost + violations);
    }
    Weighed { candidate, sizing }
}

/// The floor's schedule at other levels of demand, and without a schedule.
pub(crate) fn compared(
    ground: &Ground<'_>,
    request: &ProfileRequest,
    floor: &Sizing,
) -> Vec<Candidate> {
    let limits: Vec<f64> = floor.services.iter().map(|s| s.limit_rps).collect();
    let (needed, planned) = (ground.needed_target(&limits), ground.planned_target());
    let standby = |row: Vec<u32>| -> Vec<u32> {
        let services = row.into_iter().zip(&floor.services);
        services.map(|(n, sized)| n + sized.standby).collect()
    };
    let at_level = |level: usize| -> (Method, Vec<Vec<u32>>) {
        let (_, plan) = ground.allocate_hours(level, &needed, &planned);
        let smoothed = smoothed(ground, floor, &plan);
        let quantile = LEVELS[level];
        let method = Method::Schedule { quantile };
        (method, smoothed.into_iter().map(standby).collect())
    };
    let peak: Vec<u32> = (0..ground.services.len())
        .map(|s| floor.by_hour.iter().map(|row| row[s]).max().unwrap_or(1))
        .collect();
    [
        at_level(BOUGHT - 1),
        at_level(BOUGHT + 1),
        (Method::Static, vec![standby(peak); floor.by_hour.len()]),
    ]
    .into_iter()
    .map(|(method, by_hour)| weigh_hours(ground, request, method, &by_hour))
    .collect()
}

/// Instances by hour as schedules that an autoscaler can follow.
pub(crate) fn smoothed(ground: &Ground<'_>, floor: &Sizing, plan: &[Vec<u32>]) -> Vec<Vec<u32>> {
    let columns: Vec<Vec<u32>> = (0..ground.services.len())
        .map(|s| {
            let column: Vec<u32> = plan.iter().map(|row| row[s]).collect();
            let most = ground.stations[s].max_instances;
            smooth(&column, floor.services[s].ahead, most)
        })
        .collect();
    (0..plan.len())
        .map(|h| columns.iter().map(|column| column[h]).collect())
        .collect()
}

/// Weighs instances by hour, standby included.
pub(crate) fn weigh_hours(
    ground: &Ground<'_>,
    request: &ProfileRequest,
    method: Method,
    by_hour: &[Vec<u32>],
) -> Candidate {
    let instance_cost: f64 = by_hour.iter().map(|row| ground.cost_of(row)).sum();
    let expected = ground.expected(BOUGHT, by_hour);
    let holds = |hour: usize| {
        expected.holds(ground, hour)
            && ground.admits(&ground.rates_at(hour, BOUGHT_SCORE), &by_hour[hour])
    };
    let shares: Vec<f64> = by_hour
        .par_iter()
        .enumerate()
        .map(|(hour, row)| ground.violated_share(hour, row, holds(hour).then_some(BOUGHT_SCORE)))
        .collect();
    let violation_minutes = 60.0 * shares.iter().sum::<f64>();
    Candidate {
        name: method.to_string(),
        instance_cost,
        violation_minutes,
        holds: (0..by_hour.len()).all(holds),
        kept_in_simulation: None,
        score: -(instance_cost + request.cost.violation_per_minute * violation_minutes),
    }
}
