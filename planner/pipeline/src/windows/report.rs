//! What the windows of several replications say of the whole time, each number with its 95% interval over the replications.

use std::collections::BTreeMap;

use foremesh_simulate::{Estimate, InstanceStep};
use serde::{Deserialize, Serialize};

use super::run::{Lived, Tally};

/// What an entry lived through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DayEntry {
    /// Requests a second that came.
    pub offered_rps: Estimate,
    /// Share of requests that were answered.
    pub availability: Estimate,
    /// Share of requests that were answered within the objective's latency.
    pub good_share: Estimate,
    /// Median milliseconds of those answered.
    pub latency_p50_ms: Estimate,
    /// Their percentile of the objective.
    pub latency_objective_percentile_ms: Estimate,
    /// The objective's milliseconds.
    pub objective_ms: f64,
    /// Minutes in which more requests were slow or failed than the objective allows. Where the drawn windows saw none, half of the interval
    /// is what the time they stand for may still hold with 95% (rule of three: 3 ÷ the share that was seen).
    pub violation_minutes: Estimate,
    /// Whether latency and availability keep the objective over the whole time.
    pub holds: bool,
}

/// What a service lived through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DayService {
    /// Instances on average.
    pub instances: Estimate,
    /// Busy share of the ready workers.
    pub utilisation: Estimate,
    /// Requests a second that its proxies turned away.
    pub turned_away_rps: Estimate,
}

/// What an hour was like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DayHour {
    /// Hours after the start.
    pub hour: u32,
    /// Requests a second that came, all entries together.
    pub offered_rps: Estimate,
    /// Minutes of it in which an entry missed its objective, summed over entries.
    pub violation_minutes: Estimate,
}

/// What became of the whole time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DayReport {
    /// Replications, each with windows and random numbers of its own.
    pub replications: u32,
    /// Hours of the whole time.
    pub hours: f64,
    /// Windows of each replication.
    pub windows: u32,
    /// Share of the whole time that each replication simulated.
    pub simulated_share: f64,
    /// By entry.
    pub entries: BTreeMap<String, DayEntry>,
    /// By service.
    pub services: BTreeMap<String, DayService>,
    /// The hours of which any was simulated, in order.
    pub by_hour: Vec<DayHour>,
    /// Cost of all instances over the whole time.
    pub instance_cost: Estimate,
    /// Minutes in which an entry missed its objective, summed over entries; the interval as that of an entry.
    pub violation_minutes: Estimate,
    /// Whether every entry keeps its objective over the whole time.
    pub holds: bool,
    /// Requests simulated, all replications together.
    pub requests: u64,
    /// Events simulated, all replications together.
    pub events: u64,
}

/// What was never seen in windows that stand for more may still happen between them: with 95% at most three times in as many as were looked at
/// (Hanley & Lippman-Hand 1983, the rule of three).
fn or_unseen(minutes: Estimate, tallies: &[Tally]) -> Estimate {
    let drawn_s: f64 = tallies.iter().map(|tally| tally.drawn_s).sum();
    let stood_for_s = tallies.iter().map(|tally| tally.stood_for_s).sum::<f64>();
    if minutes.mean > 0.0 || drawn_s <= 0.0 {
        return minutes;
    }
    let of_each = stood_for_s / tallies.len() as f64;
    Estimate {
        half_width: Some(3.0 * of_each / drawn_s),
        ..minutes
    }
}

/// The integral of a schedule, in instance-seconds.
fn instance_seconds(steps: &[InstanceStep], horizon_s: f64) -> f64 {
    let ends = steps.iter().skip(1).map(|step| step.starts_s);
    steps
        .iter()
        .zip(ends.chain([horizon_s]))
        .map(|(step, ends_s)| {
            let seconds = ends_s.min(horizon_s) - step.starts_s.min(horizon_s);
            f64::from(step.instances) * seconds.max(0.0)
        })
        .sum()
}

impl DayReport {
    /// Sums up. `counts` says which services' instances cost.
    pub(crate) fn of(lived: &Lived<'_>, tallies: &[Tally], counts: &dyn Fn(&str) -> bool) -> Self {
        let horizon_s = lived.horizon_s.max(1e-9);
        let over = |value: &dyn Fn(&Tally) -> f64| {
            Estimate::of(&tallies.iter().map(value).collect::<Vec<_>>())
        };
        let entries: BTreeMap<String, DayEntry> = lived
            .mesh
            .entries
            .iter()
            .enumerate()
            .map(|(i, model)| {
                let slo = model.slo;
                let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 1.0 };
                let entry = |tally: &Tally, value: &dyn Fn(&super::run::EntryTally) -> f64| {
                    tally.entries.get(i).map_or(0.0, value)
                };
                let of = |value: &dyn Fn(&super::run::EntryTally) -> f64| {
                    over(&|tally| entry(tally, value))
                };
                let availability = of(&|e| share(e.answered, e.requests));
                let at_percentile = of(&|e| e.latency.quantile_ms(slo.percentile / 100.0));
                let day = DayEntry {
                    offered_rps: of(&|e| e.requests / horizon_s),
                    availability,
                    good_share: of(&|e| share(e.good, e.requests)),
                    latency_p50_ms: of(&|e| e.latency.quantile_ms(0.5)),
                    latency_objective_percentile_ms: at_percentile,
                    objective_ms: slo.latency_ms,
                    violation_minutes: or_unseen(of(&|e| e.violation_minutes), tallies),
                    holds: availability.mean >= slo.availability
                        && at_percentile.mean <= slo.latency_ms,
                };
                (model.name.clone(), day)
            })
            .collect();
        // A schedule's instances are known for every second; an autoscaler's are known where it was simulated.
        let seconds_of = |tally: &Tally, service: usize| {
            let model = &lived.mesh.services[service];
            match lived.scaled.iter().any(|scaled| scaled.service == service) {
                true => tally.services.get(service).map_or(0.0, |s| s.instance_s),
                false => instance_seconds(&model.instances, horizon_s),
            }
        };
        let services = lived.mesh.services.iter().enumerate().map(|(i, model)| {
            let of = |value: &dyn Fn(&super::run::ServiceTally) -> f64| {
                over(&|tally| tally.services.get(i).map_or(0.0, value))
            };
            let day = DayService {
                instances: over(&|tally| seconds_of(tally, i) / horizon_s),
                utilisation: of(&|s| s.busy_s / s.offered_s.max(1e-9)),
                turned_away_rps: of(&|s| s.turned_away / horizon_s),
            };
            (model.name.clone(), day)
        });
        let mut seen: Vec<u32> = tallies
            .iter()
            .flat_map(|tally| tally.hours.keys().copied())
            .collect();
        seen.sort_unstable();
        seen.dedup();
        let by_hour = seen.into_iter().map(|hour| {
            // An hour is told by what was seen of it, in the replications that saw any.
            let of = |value: &dyn Fn(&super::run::HourTally) -> f64| {
                let values = tallies.iter().filter_map(|tally| tally.hours.get(&hour));
                Estimate::of(&values.map(value).collect::<Vec<_>>())
            };
            DayHour {
                hour,
                offered_rps: of(&|h| h.requests / h.seconds.max(1e-9)),
                violation_minutes: of(&|h| h.violation_minutes / h.seconds.max(1e-9) * 3600.0),
            }
        });
        let first = tallies.first();
        Self {
            replications: tallies.len() as u32,
            hours: horizon_s / 3600.0,
            windows: first.map_or(0, |tally| tally.windows),
            simulated_share: first.map_or(0.0, |tally| tally.simulated_s / horizon_s),
            services: services.collect(),
            by_hour: by_hour.collect(),
            instance_cost: over(&|tally| {
                let costs = lived.mesh.services.iter().enumerate();
                costs
                    .filter(|(_, model)| counts(&model.name))
                    .map(|(i, model)| seconds_of(tally, i) / 3600.0 * model.cost_per_hour)
                    .sum()
            }),
            violation_minutes: or_unseen(
                over(&|tally| tally.entries.iter().map(|e| e.violation_minutes).sum()),
                tallies,
            ),
            holds: entries.values().all(|entry| entry.holds),
            entries,
            requests: tallies.iter().map(|tally| tally.requests).sum(),
            events: tallies.iter().map(|tally| tally.events).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_windows_did_not_see_is_not_taken_for_impossible() {
        let tally = || Tally {
            drawn_s: 600.0,
            stood_for_s: 84_000.0,
            ..Tally::default()
        };
        let none = or_unseen(Estimate::of(&[0.0, 0.0]), &[tally(), tally()]);
        // 1400 minutes, of which 20 were looked at.
        assert_eq!(none.half_width, Some(3.0 * 84_000.0 / 1200.0));
        let some = Estimate::of(&[1.0, 3.0]);
        assert_eq!(or_unseen(some, &[tally(), tally()]), some);
        // Every second was looked at.
        assert_eq!(
            or_unseen(Estimate::of(&[0.0]), &[Tally::default()]).half_width,
            None
        );
    }

    #[test]
    fn a_schedule_costs_what_its_steps_last() {
        let step = |starts_s, instances| InstanceStep {
            starts_s,
            instances,
        };
        let steps = [step(0.0, 2), step(3600.0, 5), step(9000.0, 7)];
        assert_eq!(
            instance_seconds(&steps, 7200.0),
            2.0 * 3600.0 + 5.0 * 3600.0
        );
        assert_eq!(instance_seconds(&steps[..1], 60.0), 120.0);
    }
}
