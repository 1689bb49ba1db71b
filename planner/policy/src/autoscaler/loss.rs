//! The loss of any one instance, borne at every hour's median by schedule and autoscaler together.

use rayon::prelude::*;

use crate::{
    ground::Ground, sampling::MEDIAN, schedule::smooth, search::bearing_loss, sizing::Sized,
};

/// More in the schedule where an objective would be missed at an hour's median without any one of the instances that are there then.
pub(crate) fn with_loss_borne(ground: &Ground<'_>, mut services: Vec<Sized>) -> Vec<Sized> {
    let borne: Vec<(Vec<u32>, Vec<bool>)> = (0..ground.demand.hours())
        .into_par_iter()
        .map(|hour| {
            let median = &ground.demand.mean_rps[MEDIAN][hour];
            let each = services.iter().zip(median);
            let there: Vec<u32> = each.map(|(sized, rate)| sized.at(hour, *rate)).collect();
            let (mut needed, bears) = bearing_loss(ground, median.clone(), there.clone());
            for ((n, there), sized) in needed.iter_mut().zip(there).zip(&services) {
                if *n == there {
                    *n = sized.schedule[hour];
                }
            }
            (needed, bears)
        })
        .collect();
    for (s, sized) in services.iter_mut().enumerate() {
        let column: Vec<u32> = borne.iter().map(|(row, _)| row[s]).collect();
        if column != sized.schedule {
            sized.schedule = smooth(&column, sized.ahead, ground.stations[s].max_instances);
            let scheduled = sized.schedule.iter().copied().max().unwrap_or(0);
            if let Some(tracking) = &mut sized.tracking {
                tracking.most = tracking.most.max(scheduled);
            }
        }
        sized.bears_loss = Some(borne.iter().all(|(_, bears)| bears[s]));
    }
    services
}
