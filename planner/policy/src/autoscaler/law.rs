//! One service's schedule and target, weighed on the minutes that may come.

use rayon::prelude::*;

use super::{
    Minute, Options,
    carried::{Carried, Knowledge},
    loss::with_loss_borne,
};
use crate::{
    Method,
    ground::Ground,
    limits::significant_down,
    sampling::{BOUGHT, MEDIAN},
    schedule::{round_instances_up, smooth},
    sizing::{Sized, Sizing, Tracking},
};

/// Normal scores of the demand that a schedule may be bought for: from one that comes nearly always to the 0.998 quantile.
const SCORES: [f64; 6] = [-1.0, 0.0, 0.842, 1.645, 2.326, 2.878];
/// More instances than the fewest that a schedule may always have.
const MORE: [u32; 5] = [0, 1, 2, 4, 8];
/// Of what the fewest instances may be asked, the part at which more are asked for.
const PARTS: [f64; 13] = [
    1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.4, 0.3,
];
/// Minutes that are counted before it is asked if the count is too high already.
const SOME_MINUTES: usize = 64;
/// The normal score of the demand up to which instances are asked for: the 0.9995 quantile.
pub(crate) const MOST_SCORE: f64 = 3.29;

/// What one service does.
#[derive(Debug, Clone)]
struct Law {
    /// The fewest instances of each hour, before the schedule is made smooth.
    needs: Vec<u32>,
    tracking: Option<Tracking>,
}

/// What is the same in every round.
pub(super) struct Contest<'a> {
    ground: &'a Ground<'a>,
    floor: &'a Sizing,
    minutes: &'a [Minute],
    options: &'a Options,
    knowledge: Vec<Option<Knowledge>>,
    /// Requests a second that one instance of each service may be given.
    limit_rps: Vec<f64>,
    /// Requests a second, `[score][hour][service]`.
    rates_rps: Vec<Vec<Vec<f64>>>,
    /// The most that instances are asked for, by service.
    most_rps: Vec<f64>,
    /// Minutes that lie in each hour.
    minutes_of_hour: Vec<u64>,
    /// What the region's instances cost an hour.
    pub cost_per_hour: f64,
}

impl<'a> Contest<'a> {
    pub(super) fn of(
        ground: &'a Ground<'a>,
        floor: &'a Sizing,
        minutes: &'a [Minute],
        options: &'a Options,
    ) -> Self {
        let hours = ground.demand.hours();
        let at = |score: f64| -> Vec<Vec<f64>> {
            (0..hours)
                .map(|hour| ground.rates_at(hour, score))
                .collect()
        };
        let highest =
            |rows: &[Vec<f64>], s: usize| rows.iter().map(|row| row[s]).fold(0.0, f64::max);
        let most = at(MOST_SCORE);
        let most_rps = (0..ground.services.len())
            .map(|s| highest(&most, s))
            .collect::<Vec<_>>();
        let all = |hour: usize| -> f64 { ground.rates_at(hour, 0.0).iter().sum() };
        let busiest = (0..hours)
            .max_by(|a, b| all(*a).total_cmp(&all(*b)).then(b.cmp(a)))
            .unwrap_or(0);
        let rates = ground.demand.peak_rps(BOUGHT, busiest);
        let there = &floor.by_hour[busiest];
        let mut minutes_of_hour = vec![0; hours];
        for minute in minutes {
            minutes_of_hour[minute.hour] += 1;
        }
        Self {
            minutes_of_hour,
            knowledge: Knowledge::of_all(ground, options.share, &most_rps, there, &rates),
            limit_rps: ground.searched_target(options.share).instance_rps,
            rates_rps: SCORES.map(at).into(),
            cost_per_hour: ground.cost_of(there),
            most_rps,
            ground,
            floor,
            minutes,
            options,
        }
    }

    fn smooth(&self, s: usize, needs: &[u32]) -> Vec<u32> {
        let most = self.ground.stations[s].max_instances;
        smooth(needs, self.floor.services[s].ahead, most)
    }

    /// The cheapest for each service where the whole of each entry's latency is worth so much an hour.
    pub(super) fn sizing(&self, worths: &[f64]) -> Sizing {
        let ground = self.ground;
        let laws: Vec<Law> = (0..ground.services.len())
            .into_par_iter()
            .map(|s| match &self.knowledge[s] {
                Some(known) => self.law(s, &known.at(worths)),
                None => self.left_alone(s),
            })
            .collect();
        let services = laws.into_iter().zip(&self.floor.services).enumerate();
        let services = services
            .map(|(s, (law, sized))| Sized {
                schedule: self.smooth(s, &law.needs),
                needs: law.needs,
                standby: 0,
                tracking: law.tracking,
                bears_loss: None,
                ..sized.clone()
            })
            .collect();
        let method = Method::Tracking {
            share: self.options.share,
        };
        Sizing::of(ground, method, with_loss_borne(ground, services))
    }

    /// What keeps state, and what no demand reaches.
    fn left_alone(&self, s: usize) -> Law {
        let fewest = self.ground.stations[s].min_instances;
        Law {
            needs: vec![fewest; self.ground.demand.hours()],
            tracking: None,
        }
    }

    fn law(&self, s: usize, carried: &Carried) -> Law {
        let ground = self.ground;
        let station = &ground.stations[s];
        let most = station.max_instances;
        let violated_hour = 60.0 * self.options.violation_per_minute;
        let each = 1.0 / self.minutes.len().max(1) as f64;
        // Beside each other, as they are read again and again.
        let minutes: Vec<(usize, f64, f64)> = (self.minutes.iter())
            .map(|minute| (minute.hour, minute.seen_rps[s], minute.now_rps[s]))
            .collect();
        let mut best: Option<(f64, Law)> = None;
        for (needs, schedule) in self.schedules(s, carried) {
            let fewest = schedule.iter().copied().min().unwrap_or(1).max(1);
            let scheduled = schedule.iter().copied().max().unwrap_or(1);
            let hours = self.minutes_of_hour.iter().zip(&schedule);
            let of_schedule: u64 = hours.map(|(minutes, n)| minutes * u64::from(*n)).sum();
            let whole = carried.by(fewest) / f64::from(fewest);
            // With this one the loss of one is borne at any demand.
            let without_one = self.limit_rps[s] * f64::from(fewest - 1) / f64::from(fewest);
            let targets = PARTS.iter().map(|part| whole * part);
            for target in targets.chain([without_one.min(whole)]) {
                let instance_rps = significant_down(target, 3).max(1e-6);
                if !self.bears_loss(s, &schedule, instance_rps) {
                    continue;
                }
                let wanted = (self.most_rps[s] / instance_rps).ceil().clamp(1.0, 1e6) as u32;
                let tracking = Tracking {
                    instance_rps,
                    most: round_instances_up(wanted).max(scheduled).min(most),
                };
                let (mut instances, mut missed) = (of_schedule, 0u32);
                let least = best.as_ref().map_or(f64::INFINITY, |(least, _)| *least);
                // What is counted only grows: nothing dearer than the best is counted to the end.
                let mut cost = 0.0;
                for some in minutes.chunks(SOME_MINUTES) {
                    for (hour, seen_rps, now_rps) in some {
                        let planned = schedule[*hour];
                        let n = planned.max(tracking.asks(*seen_rps));
                        instances += u64::from(n - planned);
                        missed += u32::from(*now_rps > carried.by(n));
                    }
                    cost = each
                        * (instances as f64 * station.cost_per_hour
                            + f64::from(missed) * violated_hour);
                    if cost >= least {
                        break;
                    }
                }
                if cost < least {
                    let law = Law {
                        needs: needs.clone(),
                        tracking: Some(tracking),
                    };
                    best = Some((cost, law));
                }
            }
        }
        best.map_or_else(|| self.left_alone(s), |(_, law)| law)
    }

    /// The schedules that are weighed, before and after they were made smooth: for a quantile of demand, with some more than the fewest, with or
    /// without one to lose at the median.
    fn schedules(&self, s: usize, carried: &Carried) -> Vec<(Vec<u32>, Vec<u32>)> {
        let ground = self.ground;
        let station = &ground.stations[s];
        let must_bear = ground.must_bear_loss(s);
        // One that may be lost is never the last.
        let least = station.min_instances.max(1 + u32::from(must_bear));
        let left: Vec<u32> = (0..ground.demand.hours())
            .map(|hour| {
                let median = ground.demand.mean_rps[MEDIAN][hour][s];
                (median / self.limit_rps[s] - 1e-9).ceil().clamp(0.0, 1e9) as u32 + 1
            })
            .collect();
        let mut found: Vec<(Vec<u32>, Vec<u32>)> = Vec::new();
        for rates in &self.rates_rps {
            let carrying: Vec<u32> = rates
                .iter()
                .map(|row| carried.needed(row[s], station.max_instances))
                .collect();
            for more in MORE {
                for holds_loss in [false, true] {
                    let needs: Vec<u32> = carrying
                        .iter()
                        .zip(&left)
                        .map(|(carrying, left)| {
                            let left = if holds_loss && must_bear { *left } else { 1 };
                            (*carrying)
                                .max(least + more)
                                .max(left)
                                .min(station.max_instances)
                        })
                        .collect();
                    if found.iter().all(|(other, _)| *other != needs) {
                        let schedule = self.smooth(s, &needs);
                        found.push((needs, schedule));
                    }
                }
            }
        }
        found
    }

    /// Whether a service's own limits leave room for the loss of an instance at every demand up to the median of each hour: its schedule has one
    /// more than that needs, or the target asks for one more.
    fn bears_loss(&self, s: usize, schedule: &[u32], instance_rps: f64) -> bool {
        let most = self.ground.stations[s].max_instances;
        !self.ground.must_bear_loss(s)
            || schedule.iter().enumerate().all(|(hour, n)| {
                let left = self.limit_rps[s] * f64::from(n.saturating_sub(1));
                left >= self.ground.demand.mean_rps[MEDIAN][hour][s]
                    || left >= f64::from(*n) * instance_rps
                    || *n >= most
            })
    }
}
