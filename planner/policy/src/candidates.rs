//! What is weighed against each other, and which is chosen.
//!
//! Each candidate costs its instances and the minutes in which demand is expected to be more than they keep the objectives at, at the price
//! that the request gives. The floor is always among them. Those of the search are chosen only where they keep every objective that the floor
//! keeps at the demand that is bought.

use foremesh_model::{Candidate, ProfileRequest};
use rayon::prelude::*;

use crate::{
    ground::Ground, sampling::BOUGHT, schedule::smooth, search::BOUGHT_SCORE, sizing::Sizing,
};

/// The floor's name.
pub(crate) const FLOOR: &str = "schedule at the 0.99 quantile";

/// A way of sizing with what it is worth.
pub(crate) struct Weighed {
    pub candidate: Candidate,
    /// None: it is only there to be compared with.
    pub sizing: Option<Sizing>,
}

impl Weighed {
    /// Instances of the schedule, standby not included.
    pub(crate) fn by_hour(&self) -> Option<&Vec<Vec<u32>>> {
        self.sizing.as_ref().map(|sizing| &sizing.by_hour)
    }
}

/// Weighs a sizing: standby instances serve like any other.
pub(crate) fn weigh(
    ground: &Ground<'_>,
    request: &ProfileRequest,
    name: &str,
    sizing: Sizing,
) -> Weighed {
    let standby: Vec<u32> = sizing.services.iter().map(|sized| sized.standby).collect();
    let by_hour: Vec<Vec<u32>> = sizing
        .by_hour
        .iter()
        .map(|row| row.iter().zip(&standby).map(|(n, more)| n + more).collect())
        .collect();
    Weighed {
        candidate: weigh_hours(ground, request, name, &by_hour),
        sizing: Some(sizing),
    }
}

/// The floor's schedule at other levels of demand, and without a schedule.
pub(crate) fn compared(
    ground: &Ground<'_>,
    request: &ProfileRequest,
    floor: &Sizing,
) -> Vec<Weighed> {
    let limits: Vec<f64> = floor.services.iter().map(|s| s.limit_rps).collect();
    let (needed, planned) = (ground.needed_target(&limits), ground.planned_target());
    let standby = |row: Vec<u32>| -> Vec<u32> {
        let services = row.into_iter().zip(&floor.services);
        services.map(|(n, sized)| n + sized.standby).collect()
    };
    let at_level = |level: usize| -> Vec<Vec<u32>> {
        let (_, plan) = ground.allocate_hours(level, &needed, &planned);
        let smoothed = smoothed(ground, floor, &plan);
        smoothed.into_iter().map(standby).collect()
    };
    let peak: Vec<u32> = (0..ground.services.len())
        .map(|s| floor.by_hour.iter().map(|row| row[s]).max().unwrap_or(1))
        .collect();
    [
        ("schedule at the 0.95 quantile", at_level(1)),
        ("schedule at the 0.999 quantile", at_level(3)),
        (
            "static at the highest hour",
            vec![standby(peak); floor.by_hour.len()],
        ),
    ]
    .into_iter()
    .map(|(name, by_hour)| Weighed {
        candidate: weigh_hours(ground, request, name, &by_hour),
        sizing: None,
    })
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
    name: &str,
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
        name: name.into(),
        instance_cost,
        violation_minutes,
        holds: (0..by_hour.len()).all(holds),
        kept_in_simulation: None,
        score: -(instance_cost + request.cost.violation_per_minute * violation_minutes),
    }
}
