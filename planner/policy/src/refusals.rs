//! What full queues refuse of the demand that is planned for: queues are made by it, and a plan says where it is more than may fail.

use foremesh_model::{Settings, Severity, Warning};
use foremesh_simulate::analytic::refused;

use crate::{
    cuts::Cut,
    ground::{Ground, warning},
    limits::thinned,
    reasons::show,
    sampling::MEDIAN,
    sizing::Sizing,
};

/// Requests a second that one instance is asked where most is planned for it, and no more than its rate limit lets in: at the demand that is bought or, where
/// the loss of one is borne by the others, at the median without it. With an autoscaler in all but the worst of the minutes drawn from the forecast.
fn planned_rps(ground: &Ground<'_>, sizing: &Sizing, s: usize) -> f64 {
    let sized = &sizing.services[s];
    if let Some(expected) = &sizing.expectation {
        return expected.instance_rps[s].min(sized.limit_rps);
    }
    let bears_loss = u32::from(ground.must_bear_loss(s));
    let bought = ground.bought_rps(s);
    let each = (0..ground.demand.hours()).map(|hour| {
        let there = sized.schedule[hour] + sized.standby;
        let left = there.saturating_sub(bears_loss);
        let median = ground.demand.mean_rps[MEDIAN][hour][s];
        (bought[hour] / f64::from(there.max(1))).max(median / f64::from(left.max(1)))
    });
    each.fold(0.0, f64::max).min(sized.limit_rps)
}

/// What is planned for one instance of a service, and the places in it that are taken all the same.
pub(crate) struct Planned {
    /// Requests a second, see [`planned_rps`].
    pub rps: f64,
    /// Requests that hold a place and neither a worker nor one in its queue, on average: they wait for what the service calls.
    elsewhere: f64,
    workers: u32,
    holding_ms: f64,
    /// Half of the sum of the squared coefficients of variation of work and arrivals.
    variability: f64,
}

impl Planned {
    pub fn of(ground: &Ground<'_>, sizing: &Sizing, s: usize) -> Self {
        let station = &ground.stations[s];
        let rps = planned_rps(ground, sizing, s);
        let arrival_cv2 = thinned(ground.arrival_cv2[s], sizing.services[s].fewest());
        let outside_workers_ms = (station.service_ms - station.holding_ms).max(0.0);
        let elsewhere_ms = sizing.callees_ms(ground, s) + outside_workers_ms;
        Self {
            rps,
            elsewhere: rps * elsewhere_ms / 1000.0,
            workers: station.workers,
            holding_ms: station.holding_ms,
            variability: 0.5 * (arrival_cv2 + station.cv2),
        }
    }

    /// The share of it that an instance refuses which works on so many at once and queues so many (`simulate::analytic::refused`).
    pub fn refused(&self, max_concurrent_requests: u32, queue: f64) -> f64 {
        let beside = f64::from(max_concurrent_requests) - self.elsewhere;
        refused(
            self.workers,
            (beside.max(f64::from(self.workers)) + queue) as u32,
            self.rps * self.holding_ms / 1000.0,
            self.variability,
        )
    }
}

/// Names the entries whose objective full queues may break: those that keep it by what fails and what timeouts cut, and would not if each instance on their
/// way refused at once what it refuses where most is planned for it. That is the most it can be: proxies send calls where fewer wait, and not all
/// services have their hardest time together, so that no verdict changes.
pub(crate) fn warn(
    ground: &Ground<'_>,
    sizing: &Sizing,
    settings: &Settings,
    failing: &[f64],
    cuts: &[Cut],
    warnings: &mut Vec<Warning>,
) {
    let refused: Vec<f64> = (0..ground.stations.len())
        .map(|s| {
            let set = settings.services.get(ground.name(s));
            set.map_or(0.0, |set| {
                let queue = f64::from(set.max_pending_requests);
                Planned::of(ground, sizing, s).refused(set.max_concurrent_requests, queue)
            })
        })
        .collect();
    for (e, entry) in ground.entries.iter().enumerate() {
        let of_service = |s: usize| entry.visits[s] * refused[s];
        let otherwise = failing[e] + cuts[e].for_each_request;
        let whole = |refused: f64| (-otherwise - refused).exp();
        let by_queues: f64 = (0..refused.len()).map(of_service).sum();
        if whole(0.0) < entry.slo.availability || whole(by_queues) >= entry.slo.availability {
            continue;
        }
        let most = (0..refused.len())
            .max_by(|a, b| of_service(*a).total_cmp(&of_service(*b)).then(b.cmp(a)));
        let Some(most) = most else { continue };
        let name = ground.name(most);
        let set = &settings.services[name];
        warnings.push(warning(
            Severity::Caution,
            "queues_may_refuse",
            ground.name(entry.node),
            format!(
                "where most is planned for each instance (or one of them is lost), full queues may refuse up to {}% of the requests, and errors and timeouts leave {}% of the {}% that may fail; most are refused at {name}: up to {}% of its calls, with {} worked on and {} queued at most; see the reason of its max_pending_requests, and give it more workers or more min_instances, make its work faster or less scattered, or lower slo.availability",
                show((1.0 - (-by_queues).exp()) * 100.0),
                show((whole(0.0) - entry.slo.availability) * 100.0),
                show((1.0 - entry.slo.availability) * 100.0),
                show(refused[most] * 100.0),
                set.max_concurrent_requests,
                set.max_pending_requests,
            ),
        ));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use foremesh_model::ProfileRequest;

    use super::Planned;
    use crate::{ground::Ground, search::tests::region, sizing::size};

    #[test]
    fn only_the_wait_for_callees_takes_places_beside_the_queue() {
        for seed in 0..20 {
            let (graph, demand) = region(seed, 5);
            let request = ProfileRequest::default();
            let ground = Ground::of(&graph, &demand, &request).unwrap();
            let sizing = size(&ground);
            for s in 0..5 {
                let planned = Planned::of(&ground, &sizing, s);
                let calls = &ground.calls.by_caller[s];
                // A service that calls nobody keeps all its places for work and queue, however long that queue is.
                assert_eq!(calls.is_empty(), planned.elsewhere < 1e-9, "{seed} {s}");
                // What the others wait for is at least the work of the slowest that they call.
                let work_ms = |callee: usize| ground.stations[callee].service_ms;
                for call in calls {
                    let least = planned.rps * call.fan_out.min(1.0) * work_ms(call.callee) / 1000.0;
                    assert!(planned.elsewhere >= 0.99 * least, "{seed} {s}");
                }
            }
        }
    }
}
