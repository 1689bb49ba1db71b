//! A schedule beside an autoscaler: which minutes drawn from the forecast would be missed with one instance less in each hour of a service's schedule,
//! the autoscaler as it is, and whether the loss of another would still be borne.

use rayon::prelude::*;

use super::Said;
use crate::{
    PolicyError, PolicyInput,
    autoscaler::{Draw, Minute, PATHS, drawn_as},
    draw::mix,
    ground::Ground,
    sampling::MEDIAN,
    search::{Allocation, Asked},
    sizing::{Sized, Sizing},
};

/// Minutes times services that are looked at: a fraction of a second of work.
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
        objectives_ms: ground.entries.iter().map(|e| e.slo.latency_ms).collect(),
    };
    let missed: Vec<(bool, Vec<bool>)> = minutes
        .par_iter()
        .map(|minute| region.missed(minute))
        .collect();
    let unbearable = region.unbearable();
    let now = missed.iter().filter(|(now, _)| *now).count();
    let said = services.iter().enumerate().map(|(at, service)| {
        let then = missed.iter().filter(|(_, then)| then[at]).count();
        let bound = region.bound(*service, [minutes.len(), now, then], unbearable[at]);
        Said {
            service: *service,
            text: bound,
            inputs: vec![
                ("drawn_minutes", minutes.len() as f64),
                ("missed_minutes", now as f64),
                ("one_less_missed_minutes", then as f64),
            ],
        }
    });
    Ok(said.collect())
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
    objectives_ms: Vec<f64>,
}

impl Lessened<'_, '_> {
    fn asked(&self, rates_rps: Vec<f64>) -> Asked {
        Asked {
            rates_rps,
            entry_ms: self.objectives_ms.clone(),
            fewest: Vec::new(),
        }
    }

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

    /// Whether a minute is missed as planned; and with one less, by place in `services`.
    fn missed(&self, minute: &Minute) -> (bool, Vec<bool>) {
        let (ground, hour) = (self.ground, minute.hour);
        let instances: Vec<u32> = self
            .sizing
            .services
            .iter()
            .zip(&minute.seen_rps)
            .map(|(sized, seen)| sized.at(hour, *seen) + sized.standby)
            .collect();
        let admitted = ground.admits(&minute.now_rps, &instances);
        let asked = self.asked(minute.now_rps.clone());
        let mut all = Allocation::new(ground, &asked, instances);
        let missed = !admitted || !all.holds();
        let then = self.services.iter().map(|service| {
            let less = self.less(*service, hour, minute.seen_rps[*service]);
            if missed || less == 0 {
                return missed;
            }
            let left = all.instances[*service] - less;
            ground.refuses(*service, minute.now_rps[*service], left)
                || !all.holds_with(*service, -(less as i32))
        });
        let then = then.collect();
        (missed, then)
    }

    /// By place in `services`, the first hour at whose median an objective that is kept while an instance is lost would not be with one less.
    fn unbearable(&self) -> Vec<Option<usize>> {
        let by_hour: Vec<Vec<bool>> = (0..self.ground.demand.hours())
            .into_par_iter()
            .map(|hour| self.unbearable_at(hour))
            .collect();
        (0..self.services.len())
            .map(|at| by_hour.iter().position(|row| row[at]))
            .collect()
    }

    fn unbearable_at(&self, hour: usize) -> Vec<bool> {
        let ground = self.ground;
        let median = &ground.demand.mean_rps[MEDIAN][hour];
        let each = self.sizing.services.iter().zip(median);
        let instances = each.map(|(sized, rate)| sized.at(hour, *rate)).collect();
        let asked = self.asked(median.clone());
        let mut all = Allocation::new(ground, &asked, instances);
        let unbearable = self.services.iter().map(|service| {
            let less = self.less(*service, hour, median[*service]);
            let bears = self.sizing.services[*service].bears_loss == Some(true);
            if less == 0 || !bears || !ground.must_bear_loss(*service) {
                return false;
            }
            all.instances[*service] <= less + 1 || !all.holds_with(*service, -(less as i32) - 1)
        });
        unbearable.collect()
    }

    /// As the end of a sentence about the schedule.
    fn bound(
        &self,
        service: usize,
        [minutes, now, then]: [usize; 3],
        unbearable: Option<usize>,
    ) -> String {
        let fewest = self.fewest(service);
        let schedule = &self.sizing.services[service].schedule;
        let less = "with one less in each hour of the schedule";
        if then > now {
            let beside = unbearable.map_or(String::new(), |hour| {
                format!(", and the loss of an instance would not be borne in hour {hour}")
            });
            return format!(
                "{less} {then} of {minutes} minutes drawn from the forecast would be missed in place of {now}{beside}"
            );
        }
        if let Some(hour) = unbearable {
            return format!(
                "{less} an objective would be missed at the median of hour {hour} while an instance is lost"
            );
        }
        if schedule.iter().all(|n| *n <= fewest) {
            return match fewest {
                1 => "one is the fewest that is allowed".into(),
                _ => format!("{fewest} are the fewest that are allowed"),
            };
        }
        format!(
            "{less} no more than {now} of {minutes} minutes drawn from the forecast would be missed: it is there for rarer ones, or because what others have is decided with it"
        )
    }
}
