//! A schedule beside an autoscaler: which minutes drawn from the forecast would be missed with one instance less in each hour of a service's schedule,
//! the autoscaler as it is, and whether the loss of another would still be borne.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::{Said, fewest_allowed};
use crate::{
    Method, PolicyError, PolicyInput,
    autoscaler::{Draw, Minute, PATHS, drawn_as},
    draw::mix,
    ground::Ground,
    sampling::MEDIAN,
    search::{Allocation, Asked},
    sizing::{Sized, Sizing},
};

/// Minutes times services that are looked at: a fraction of a second of work. Where no minute says anything, the medians of all hours come on top.
const LOOKS: usize = 16_000;
/// The most minutes; fewer than a path each say nothing.
const MOST_MINUTES: usize = 512;
/// Sets these draws apart from those that chose the plan.
const PURPOSE: u64 = 0x006c_6573;

/// Of each of these services; of none in regions so large that too few minutes could be looked at.
pub(super) fn all(
    input: &PolicyInput<'_>,
    ground: &Ground<'_>,
    sizing: &Sizing,
    services: &[usize],
) -> Result<Vec<Said>, PolicyError> {
    if services.is_empty() {
        return Ok(Vec::new());
    }
    let minutes = drawn_for(input, ground, services.len())?;
    if minutes.is_empty() {
        return Ok(Vec::new());
    }
    let region = Lessened {
        ground,
        sizing,
        services,
        admitted_rps: ground.searched_target(1.0).instance_rps,
    };
    let seen: Vec<Seen> = minutes
        .par_iter()
        .map(|minute| region.seen(minute))
        .collect();
    let now = seen.iter().filter(|seen| seen.missed).count();
    let counts: Vec<Counts> = (0..services.len())
        .map(|at| Counts {
            minutes: seen.len(),
            now,
            then: seen.iter().filter(|seen| seen.then[at].missed).count(),
            fewer: seen.iter().filter(|seen| seen.then[at].fewer).count(),
        })
        .collect();
    let unsaid = (0..services.len()).filter(|at| counts[*at].then == now);
    let unbearable = region.unbearable(&unsaid.collect::<Vec<_>>());
    let said = services.iter().zip(counts).enumerate();
    let said = said.map(|(at, (service, counts))| Said {
        service: *service,
        text: region.text(*service, &counts, unbearable.get(&at).copied()),
        inputs: vec![
            ("drawn_minutes", counts.minutes as f64),
            ("missed_minutes", counts.now as f64),
            ("one_less_missed_minutes", counts.then as f64),
        ],
    });
    Ok(said.collect())
}

/// A minute as planned, and with one less of each service.
struct Seen {
    missed: bool,
    then: Vec<Then>,
}

/// With one less of a service.
struct Then {
    missed: bool,
    /// There is one less: it is not the fewest, and the autoscaler does not bring it.
    fewer: bool,
}

/// Minutes of a service.
struct Counts {
    minutes: usize,
    /// Missed as planned.
    now: usize,
    /// Missed with one less.
    then: usize,
    /// In which there is one less.
    fewer: usize,
}

/// The minutes that are looked at where so many services are; none where they would be too few.
pub(super) fn drawn_for(
    input: &PolicyInput<'_>,
    ground: &Ground<'_>,
    services: usize,
) -> Result<Vec<Minute>, PolicyError> {
    let draw = Draw {
        key: mix(input.demand.seed, PURPOSE),
        paths: PATHS,
        each: (LOOKS / services.max(1)).min(MOST_MINUTES) / PATHS,
    };
    drawn_as(input.graph, input.demand, ground, &draw)
}

struct Lessened<'g, 'a> {
    ground: &'g Ground<'a>,
    sizing: &'g Sizing,
    services: &'g [usize],
    /// What an instance of each service admits each second.
    admitted_rps: Vec<f64>,
}

impl Lessened<'_, '_> {
    /// The fewest instances that a service's schedule may have.
    fn fewest(&self, service: usize) -> u32 {
        self.ground.stations[service].min_instances.max(1)
    }

    /// By how many fewer there are, 0 or 1, where the schedule has one less and so much was seen.
    fn less(&self, service: usize, hour: usize, seen_rps: f64) -> u32 {
        let sized: &Sized = &self.sizing.services[service];
        let there = sized.at(hour, seen_rps);
        let asks = sized.tracking.map_or(0, |tracking| tracking.asks(seen_rps));
        let scheduled = sized.schedule[hour]
            .saturating_sub(1)
            .max(self.fewest(service));
        there.saturating_sub(scheduled.max(asks))
    }

    fn seen(&self, minute: &Minute) -> Seen {
        let (ground, hour) = (self.ground, minute.hour);
        let each = self.sizing.services.iter().zip(&minute.seen_rps);
        let instances: Vec<u32> = each
            .map(|(sized, seen)| sized.at(hour, *seen) + sized.standby)
            .collect();
        let admitted = ground.admits(&minute.now_rps, &instances);
        let asked = Asked::of_objectives(ground, minute.now_rps.clone());
        let mut all = Allocation::new(ground, &asked, instances);
        let missed = !admitted || !all.holds();
        let then = self.services.iter().map(|service| {
            let less = self.less(*service, hour, minute.seen_rps[*service]);
            let left = all.instances[*service] - less;
            Then {
                fewer: less > 0,
                missed: missed
                    || less > 0
                        && (ground.refuses(*service, minute.now_rps[*service], left)
                            || !all.holds_with(*service, -(less as i32))),
            }
        });
        let then = then.collect();
        Seen { missed, then }
    }

    /// Of these places in `services`, the first hour at whose median the loss of an instance, which is borne, would not be with one less.
    fn unbearable(&self, places: &[usize]) -> BTreeMap<usize, usize> {
        let bearing: Vec<usize> = places
            .iter()
            .copied()
            .filter(|at| {
                let service = self.services[*at];
                let bears = self.sizing.services[service].bears_loss == Some(true);
                bears && self.ground.must_bear_loss(service)
            })
            .collect();
        if bearing.is_empty() {
            return BTreeMap::new();
        }
        let by_hour: Vec<Vec<bool>> = (0..self.ground.demand.hours())
            .into_par_iter()
            .map(|hour| self.unbearable_at(hour, &bearing))
            .collect();
        let hours = bearing.iter().enumerate().filter_map(|(i, at)| {
            let hour = by_hour.iter().position(|row| row[i])?;
            Some((*at, hour))
        });
        hours.collect()
    }

    fn unbearable_at(&self, hour: usize, places: &[usize]) -> Vec<bool> {
        let ground = self.ground;
        let median = &ground.demand.mean_rps[MEDIAN][hour];
        // What a net or the rule says is bounded at the peaks of the median.
        let peaks = match self.sizing.method {
            Method::Gnn { .. } | Method::Rule { .. } => ground.demand.peak_rps(MEDIAN, hour),
            _ => median.clone(),
        };
        let each = self.sizing.services.iter().zip(median);
        let instances = each.map(|(sized, rate)| sized.at(hour, *rate)).collect();
        let asked = Asked::of_objectives(ground, median.clone());
        let mut all = Allocation::new(ground, &asked, instances);
        let unbearable = places.iter().map(|at| {
            let service = self.services[*at];
            let less = self.less(service, hour, median[service]);
            let left = all.instances[service].saturating_sub(less + 1);
            less > 0
                && (left == 0
                    || f64::from(left) * self.admitted_rps[service] < peaks[service]
                    || !all.holds_with(service, -(less as i32) - 1))
        });
        unbearable.collect()
    }

    /// As the end of a sentence about the schedule; `unbearable`: the hour in which the loss of an instance would not be borne.
    fn text(&self, service: usize, counts: &Counts, unbearable: Option<usize>) -> String {
        let fewest = self.fewest(service);
        let sized = &self.sizing.services[service];
        let Counts {
            minutes,
            now,
            then,
            fewer,
        } = counts;
        if sized.schedule.iter().all(|n| *n <= fewest) {
            return fewest_allowed(fewest);
        }
        let less = match sized.schedule.iter().any(|n| *n <= fewest) {
            true => format!("with one less in each hour that has more than {fewest}"),
            false => "with one less in each hour of the schedule".into(),
        };
        if then > now {
            return format!(
                "{less} {then} of {minutes} minutes drawn from the forecast would be missed in place of {now}"
            );
        }
        if let Some(hour) = unbearable {
            return format!(
                "{less} the loss of an instance would not be borne at the median of hour {hour}"
            );
        }
        if *fewer == 0 {
            return format!(
                "{less} there would be as many in all of {minutes} minutes drawn from the forecast: the autoscaler asks for them"
            );
        }
        let why = match sized.recovery {
            Some(_) => "",
            None => ": it is there for rarer ones, or because what others have is decided with it",
        };
        format!(
            "{less} no more than {now} of {minutes} minutes drawn from the forecast would be missed{why}"
        )
    }
}
