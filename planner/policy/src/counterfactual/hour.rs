//! A schedule alone: what one instance less would break in the hour in which most is asked of the service. What is on standby does not count: the
//! schedule is planned without.

use std::collections::BTreeMap;

use foremesh_model::ServiceName;
use rayon::prelude::*;

use super::{Said, fewest_allowed};
use crate::{
    Method,
    ground::Ground,
    reasons::{apart, show},
    sampling::BOUGHT,
    schedule::round_instances_up,
    search::{Allocation, Asked},
    size::{ADMITTED_UTILISATION, hardest_hour, planned_utilisation},
    sizing::Sizing,
};

/// What one instance less would break.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Bound {
    /// The fewest that the catalogue allows.
    Minimum { fewest: u32 },
    /// None would be left.
    Nobody,
    /// Rate limits that refuse too many with all of them already.
    Refuses,
    /// The rate limit of those that are left.
    Admitted,
    /// An entry's objective.
    Objective(Late),
    /// An objective at the median demand, once another instance is lost.
    Loss,
    /// An objective that is missed with all of them already.
    Later { late: Late, now_ms: f64 },
    /// The part of an entry's objective that the floor plans with.
    Near { late: Late, planned_ms: f64 },
    /// The busy share that the floor plans with.
    Busier { planned: f64 },
    /// Nothing in this hour.
    Nothing(Why),
}

/// Why there is one that its hardest hour can do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Numbers above twenty are rounded up.
    Rounded,
    /// The search looks beyond the demand that is bought.
    Searched,
    /// The floor's additions.
    Added,
}

/// An entry that uses more than it may with one less.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Late {
    entry: ServiceName,
    percentile: f64,
    pub latency_ms: f64,
    objective_ms: f64,
}

/// What an instance does in the hour, with all of them and with one less: shares of its saturation.
#[derive(Debug, Clone, Copy)]
struct Busy {
    now: f64,
    then: f64,
}

/// Of each of these services.
pub(super) fn all(ground: &Ground<'_>, sizing: &Sizing, services: &[usize]) -> Vec<Said> {
    let bounds = bounds(ground, sizing, services).into_iter();
    let said = bounds.map(|(service, bound)| {
        let (hour, rate_rps) = hardest_hour(&ground.demand, BOUGHT, service);
        let all = sizing.by_hour[hour][service];
        let of = |instances: u32| {
            let saturation_rps = ground.stations[service].bearable_rps();
            rate_rps / (f64::from(instances.max(1)) * saturation_rps)
        };
        let busy = Busy {
            now: of(all),
            then: of(all.saturating_sub(1)),
        };
        let aside = sizing.services[service].standby > 0;
        Said {
            service,
            text: bound.text(busy, aside),
            inputs: bound.inputs(busy, all),
        }
    });
    said.collect()
}

/// What one instance less of each of these services would break.
pub(super) fn bounds(
    ground: &Ground<'_>,
    sizing: &Sizing,
    services: &[usize],
) -> Vec<(usize, Bound)> {
    // One composition of all latencies serves every service whose hardest hour it is.
    let mut hours: BTreeMap<usize, Vec<(usize, f64)>> = BTreeMap::new();
    for service in services {
        let (hour, rate_rps) = hardest_hour(&ground.demand, BOUGHT, *service);
        hours.entry(hour).or_default().push((*service, rate_rps));
    }
    let hours: Vec<(usize, Vec<(usize, f64)>)> = hours.into_iter().collect();
    let bounds: Vec<Vec<(usize, Bound)>> = hours
        .into_par_iter()
        .map(|(hour, services)| of_hour(ground, sizing, hour, &services))
        .collect();
    bounds.into_iter().flatten().collect()
}

fn of_hour(
    ground: &Ground<'_>,
    sizing: &Sizing,
    hour: usize,
    services: &[(usize, f64)],
) -> Vec<(usize, Bound)> {
    let bought = Asked::of_objectives(ground, ground.demand.peak_rps(BOUGHT, hour));
    let median = Asked::of_objectives(ground, ground.rates_at(hour, 0.0));
    let instances = &sizing.by_hour[hour];
    let searched = matches!(sizing.method, Method::Search { .. });
    let bought = Allocation::new(ground, &bought, instances.clone());
    let mut at = At {
        ground,
        sizing,
        hour,
        searched,
        planned_ms: ground.planned_target().entry_ms,
        now_ms: bought.entry_ms(),
        bought,
        median: searched.then(|| Allocation::new(ground, &median, instances.clone())),
    };
    let bounds = services
        .iter()
        .map(|(service, rate_rps)| (*service, at.bound(*service, *rate_rps)));
    bounds.collect()
}

/// An hour, at the demand that is bought and at its median.
struct At<'g, 'a> {
    ground: &'g Ground<'a>,
    sizing: &'g Sizing,
    hour: usize,
    searched: bool,
    /// What the floor plans with of each entry's objective.
    planned_ms: Vec<f64>,
    /// The latency of each entry with all instances.
    now_ms: Vec<f64>,
    bought: Allocation<'g, 'a>,
    /// Where a loss must be borne by the schedule.
    median: Option<Allocation<'g, 'a>>,
}

impl At<'_, '_> {
    fn bound(&mut self, service: usize, rate_rps: f64) -> Bound {
        let ground = self.ground;
        let station = &ground.stations[service];
        let all = self.bought.instances[service];
        let less = all.saturating_sub(1);
        let fewest = station.min_instances.max(1);
        let sized = &self.sizing.services[service];
        let bears = self.searched && sized.bears_loss == Some(true) && sized.standby == 0;
        if less < fewest && !bears {
            return Bound::Minimum { fewest };
        }
        if less == 0 {
            return Bound::Nobody;
        }
        if ground.refuses(service, rate_rps, all) {
            return Bound::Refuses;
        }
        if ground.refuses(service, rate_rps, less) {
            return Bound::Admitted;
        }
        let then_ms = self.bought.entry_ms_with(service, -1);
        let objectives_ms: Vec<f64> = ground.entries.iter().map(|e| e.slo.latency_ms).collect();
        let kept = |e: usize, allowed: f64, now: f64| now <= allowed && then_ms[e] > allowed;
        if let Some(e) = self.worst(service, &then_ms, &objectives_ms, kept) {
            return Bound::Objective(self.late(e, then_ms[e]));
        }
        if bears && !self.bears_loss(service, less) {
            return Bound::Loss;
        }
        let later =
            |e: usize, allowed: f64, now: f64| now > allowed && then_ms[e] > now * (1.0 + 1e-6);
        if let Some(e) = self.worst(service, &then_ms, &objectives_ms, later) {
            let (late, now_ms) = (self.late(e, then_ms[e]), self.now_ms[e]);
            return Bound::Later { late, now_ms };
        }
        if less < fewest {
            return Bound::Minimum { fewest };
        }
        if !self.searched {
            if let Some(e) = self.worst(service, &then_ms, &self.planned_ms, kept) {
                let (late, planned_ms) = (self.late(e, then_ms[e]), self.planned_ms[e]);
                return Bound::Near { late, planned_ms };
            }
            let planned = planned_utilisation(ground.services[service].criticality);
            let carried = |n: u32| f64::from(n) * station.bearable_rps() * planned * (1.0 + 1e-9);
            if rate_rps > carried(less) && rate_rps <= carried(all) {
                return Bound::Busier { planned };
            }
        }
        Bound::Nothing(match (round_instances_up(less) == all, self.searched) {
            (true, _) => Why::Rounded,
            (_, true) => Why::Searched,
            (_, false) => Why::Added,
        })
    }

    /// Of the entries on whose way a service is and of which `broken` says so, by what it may use and uses with all instances: the one that
    /// uses most of what it may.
    fn worst(
        &self,
        service: usize,
        then_ms: &[f64],
        allowed_ms: &[f64],
        broken: impl Fn(usize, f64, f64) -> bool,
    ) -> Option<usize> {
        let entries = self.ground.entries.iter().enumerate();
        let on_way = entries.filter(|(_, entry)| entry.visits[service] > 0.0);
        let broken = on_way
            .map(|(e, _)| e)
            .filter(|e| broken(*e, allowed_ms[*e], self.now_ms[*e]));
        broken.max_by(|a, b| {
            let used = |e: usize| then_ms[e] / allowed_ms[e];
            used(*a).total_cmp(&used(*b)).then(b.cmp(a))
        })
    }

    fn late(&self, entry: usize, latency_ms: f64) -> Late {
        let of = &self.ground.entries[entry];
        Late {
            entry: self.ground.name(of.node).clone(),
            percentile: of.slo.percentile,
            latency_ms,
            objective_ms: of.slo.latency_ms,
        }
    }

    /// Whether the objectives are kept at the median demand with one less and another one lost.
    fn bears_loss(&mut self, service: usize, less: u32) -> bool {
        let (ground, left) = (self.ground, less - 1);
        let rate_rps = ground.rate_at(self.hour, service, 0.0);
        let Some(median) = &mut self.median else {
            return true;
        };
        left > 0 && !ground.refuses(service, rate_rps, left) && median.holds_with(service, -2)
    }
}

impl Bound {
    /// As the end of a sentence about the hour and its instances; `aside`: there are others on standby.
    fn text(&self, busy: Busy, aside: bool) -> String {
        let percent = |share: f64| show(share * 100.0);
        let less = match aside {
            true => "with one less, standby aside,",
            false => "with one less",
        };
        let busy_then = |than: f64| {
            let [then, than] = apart(busy.then * 100.0, than * 100.0);
            (format!("{less} each would be {then}% busy"), than)
        };
        let late = |late: &Late, than: f64| {
            let [then, than] = apart(late.latency_ms, than);
            let Late {
                entry, percentile, ..
            } = late;
            let would =
                format!("{less} the {percentile}th percentile of {entry} would be {then} ms");
            (would, than)
        };
        match self {
            Self::Minimum { fewest } => fewest_allowed(*fewest),
            Self::Nobody => format!("{less} none would be left"),
            Self::Refuses => {
                let (would, now) = busy_then(busy.now);
                format!("{would} in place of {now}%: too many are refused with all of them already")
            }
            Self::Admitted => {
                let (would, limit) = busy_then(ADMITTED_UTILISATION);
                format!("{would}, and a rate limit at {limit}% would refuse bursts")
            }
            Self::Objective(of) => {
                let (would, objective) = late(of, of.objective_ms);
                format!("{would}, the objective is {objective} ms")
            }
            Self::Loss => format!(
                "{less} an objective would be missed at the median demand while an instance is lost"
            ),
            Self::Later { late: of, now_ms } => {
                let (would, now) = late(of, *now_ms);
                format!(
                    "{would} in place of {now} ms: the objective of {} ms is missed with all of them already",
                    show(of.objective_ms)
                )
            }
            Self::Near {
                late: of,
                planned_ms,
            } => {
                let (would, planned) = late(of, *planned_ms);
                format!(
                    "{would}, where {planned} of the objective's {} ms are planned with",
                    show(of.objective_ms)
                )
            }
            Self::Busier { planned } => {
                let (would, planned) = busy_then(*planned);
                format!("{would}, where {planned}% are planned with")
            }
            Self::Nothing(why) => format!(
                "one less would do in this hour ({}% busy): {}",
                percent(busy.then),
                match why {
                    Why::Rounded => "numbers above twenty are rounded up",
                    Why::Searched =>
                        "it is there for rarer demand, for what formulas do not know, or because an hour beside it needs it",
                    Why::Added =>
                        "an hour beside it needs it, or it was added before others that spare it",
                }
            ),
        }
    }

    fn inputs(&self, busy: Busy, all: u32) -> Vec<(&'static str, f64)> {
        let busy = (all > 1).then_some(("one_less_utilisation", busy.then));
        let latency = match self {
            Self::Objective(late) | Self::Near { late, .. } | Self::Later { late, .. } => {
                Some(("one_less_latency_ms", late.latency_ms))
            }
            _ => None,
        };
        busy.into_iter().chain(latency).collect()
    }

    #[cfg(test)]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Minimum { .. } => "minimum",
            Self::Nobody => "nobody",
            Self::Refuses => "refuses",
            Self::Admitted => "admitted",
            Self::Objective(_) => "objective",
            Self::Loss => "loss",
            Self::Later { .. } => "later",
            Self::Near { .. } => "near",
            Self::Busier { .. } => "busier",
            Self::Nothing(_) => "nothing",
        }
    }
}
