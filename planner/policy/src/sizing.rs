//! Instances of every service and hour as they are planned: sized, smoothed to schedules, with standby beside them.

use foremesh_model::{Criticality, Severity, Warning};

use crate::{
    Method,
    autoscaler::Expectation,
    gnn::Learned,
    ground::{Ground, warning},
    limits::rate_limit_rps,
    reasons::show,
    sampling::{BOUGHT, MEDIAN},
    schedule::{LEAD_AFTER_S, smooth},
    size::{ADMITTED_UTILISATION, Expected, hardest_hour, planned_utilisation},
};
use foremesh_simulate::analytic::Moments;

/// One service.
#[derive(Debug, Clone)]
pub(crate) struct Sized {
    /// Instances of the schedule by hour, standby not included.
    pub schedule: Vec<u32>,
    /// The fewest by hour that keep the objective.
    pub needs: Vec<u32>,
    pub standby: u32,
    /// Requests a second that demand may rise by before a new instance is warm.
    pub ramp_rps: f64,
    /// Requests a second that the scheduled instances take beyond what is planned, at their rate limit.
    pub reserve_rps: f64,
    /// What one instance admits each second.
    pub limit_rps: f64,
    /// Whether an hour's instances are ordered an hour ahead.
    pub ahead: bool,
    /// Instances that the highest hour would need if there were no maximum.
    pub wanted: u32,
    /// Whether the objectives are kept at the median demand of every hour when any one instance is lost; None where standby instances are
    /// there for that.
    pub bears_loss: Option<bool>,
    /// What an autoscaler does beyond the schedule; None: nothing.
    pub tracking: Option<Tracking>,
    /// The part of schedule or standby that is there to recover from faults; None: nothing is.
    pub recovery: Option<Recovery>,
}

/// Instances without which a mesh does not recover from faults.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Recovery {
    /// On standby; with an autoscaler, in every hour beyond what it asks for at the median.
    pub instances: u32,
    /// What it recovers from, in words.
    pub faults: Vec<String>,
}

/// What an autoscaler does beyond a schedule: as many instances as keep what each is given at a target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tracking {
    /// Requests a second that one instance is given at most before more are asked for.
    pub instance_rps: f64,
    /// Most instances.
    pub most: u32,
}

impl Tracking {
    /// The instances that are asked for where so much was seen.
    pub(crate) fn asks(&self, seen_rps: f64) -> u32 {
        foremesh_model::asked(seen_rps, self.instance_rps, self.most)
    }
}

impl Sized {
    pub(crate) fn fewest(&self) -> u32 {
        self.schedule.iter().copied().min().unwrap_or(0) + self.standby
    }

    pub(crate) fn most(&self) -> u32 {
        let tracked = self.tracking.map_or(0, |tracking| tracking.most);
        let scheduled = self.schedule.iter().copied().max().unwrap_or(0);
        scheduled.max(tracked) + self.standby
    }

    /// Instances in an hour once an autoscaler has seen so much, standby not included.
    pub(crate) fn at(&self, hour: usize, seen_rps: f64) -> u32 {
        let asked = self.tracking.map_or(0, |tracking| tracking.asks(seen_rps));
        self.schedule[hour].max(asked)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Sizing {
    pub method: Method,
    pub services: Vec<Sized>,
    /// Instances at the demand that is bought, `[hour][service]`: those of the schedule, and what an autoscaler adds.
    pub by_hour: Vec<Vec<u32>>,
    /// What they show at the demand that capacity is bought for.
    pub expected: Expected,
    pub bounds_ms: Vec<f64>,
    /// What is expected with an autoscaler; None: the schedule alone says it.
    pub expectation: Option<Expectation>,
    /// What the learned policy says of each service, where it made this.
    pub learned: Vec<Learned>,
}

impl Sizing {
    /// The latency of each service in the hour in which its mean is highest.
    pub(crate) fn worst_latency(&self, ground: &Ground<'_>) -> Vec<Moments> {
        (0..ground.services.len())
            .map(|s| {
                self.expected
                    .whole
                    .iter()
                    .map(|whole| whole[s])
                    .max_by(|a, b| a.mean.total_cmp(&b.mean))
                    .unwrap_or_default()
            })
            .collect()
    }

    /// Mean milliseconds that a service's requests wait for what it calls, in the hour in which they take longest.
    pub(crate) fn callees_ms(&self, ground: &Ground<'_>, service: usize) -> f64 {
        let by_hour = self.expected.whole.iter().map(|whole| whole[service].mean);
        let longest = by_hour
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
        longest.map_or(0.0, |(hour, whole_ms)| {
            let instances = &self.by_hour[hour];
            let rates_rps = ground.demand.peak_rps(BOUGHT, hour);
            let proxies = ground.caller_proxies(service, instances, &rates_rps);
            let own = ground.own(service, instances[service], rates_rps[service], proxies);
            (whole_ms - own.mean).max(0.0)
        })
    }
}

/// The floor.
pub(crate) fn size(ground: &Ground<'_>) -> Sizing {
    let limits: Vec<f64> = ground.stations.iter().map(rate_limit_rps).collect();
    let (needed, planned) = (ground.needed_target(&limits), ground.planned_target());
    let (needs, plan) = ground.allocate_hours(BOUGHT, &needed, &planned);
    let services: Vec<Sized> = (0..ground.services.len())
        .map(|s| {
            let column = |rows: &[Vec<u32>]| rows.iter().map(|row| row[s]).collect::<Vec<u32>>();
            let rate = hardest_hour(&ground.demand, BOUGHT, s).1;
            let wanted = ground.stable(s, rate, &needed);
            one(
                ground,
                s,
                &column(&needs),
                &column(&plan),
                limits[s],
                wanted,
            )
        })
        .collect();
    Sizing::of(ground, Method::FLOOR, services)
}

impl Sizing {
    pub(crate) fn of(ground: &Ground<'_>, method: Method, services: Vec<Sized>) -> Self {
        let by_hour: Vec<Vec<u32>> = (0..ground.demand.hours())
            .map(|h| {
                let rates = ground.demand.peak_rps(BOUGHT, h);
                let sized = services.iter().zip(rates);
                sized.map(|(sized, rate)| sized.at(h, rate)).collect()
            })
            .collect();
        let expected = ground.expected(BOUGHT, &by_hour);
        Self {
            method,
            services,
            by_hour,
            expected,
            bounds_ms: ground.bounds_ms(),
            learned: Vec::new(),
            expectation: None,
        }
    }

    /// What is to say of a sizing that is chosen.
    pub(crate) fn warn(&self, ground: &Ground<'_>, warnings: &mut Vec<Warning>) {
        for (s, sized) in self.services.iter().enumerate() {
            let station = &ground.stations[s];
            if station.stateful {
                // What is to say of these stands with their settings.
            } else if sized.wanted > station.max_instances {
                warnings.push(warning(
                    Severity::Severe,
                    "max_instances_reached",
                    ground.name(s),
                    format!(
                        "needs {} instances at the 0.99 quantile of its highest hour, max_instances is {}: requests beyond them are refused; raise max_instances or the capacity of one instance",
                        sized.wanted, station.max_instances
                    ),
                ));
            } else if ground.reached[s]
                && sized.most() >= station.max_instances
                && sized.standby == 0
                && sized.bears_loss.is_none_or(|bears| !bears)
                && station.max_instances > 1
            {
                warnings.push(warning(
                    Severity::Caution,
                    "no_standby",
                    ground.name(s),
                    format!("max_instances {} leaves no instance on standby: a lost instance is missed until another has started", station.max_instances),
                ));
            }
            if !ground.reached[s] && !station.stateful {
                warnings.push(warning(
                    Severity::Note,
                    "no_demand",
                    ground.name(s),
                    format!(
                        "no demand reaches it: it keeps its fewest instances ({}); if it takes requests, add them to the history or add the calls to it to the graph or the catalogue",
                        station.min_instances
                    ),
                ));
            }
        }
        for (entry, bound_ms) in ground.entries.iter().zip(&self.bounds_ms) {
            if *bound_ms >= entry.slo.latency_ms {
                warnings.push(warning(
                    Severity::Severe,
                    "objective_below_service_time",
                    ground.name(entry.node),
                    format!(
                        "the objective of {} ms at the {}th percentile lies below {} ms, which the services and the way of each call take with no wait at all: no number of instances keeps it; raise slo.latency_ms or make the services faster",
                        show(entry.slo.latency_ms), show(entry.slo.percentile), show(*bound_ms)
                    ),
                ));
            }
        }
    }
}

fn one(
    ground: &Ground<'_>,
    s: usize,
    needs: &[u32],
    plan: &[u32],
    limit_rps: f64,
    wanted: u32,
) -> Sized {
    let station = &ground.stations[s];
    let ahead = station.lead_s() > LEAD_AFTER_S;
    let schedule = smooth(plan, ahead, station.max_instances);
    let needs = needs.to_vec();
    let criticality = ground.services[s].criticality;
    // Demand climbs within an hour at most as fast as from hour to hour, or from what is likely to what is bought.
    let bought = ground.bought_rps(s);
    let rise = bought.windows(2).map(|w| w[1] - w[0]).fold(0.0, f64::max);
    let gap = (0..bought.len())
        .map(|h| bought[h] - ground.demand.mean_rps[MEDIAN][h][s])
        .fold(0.0, f64::max);
    let ramp_rps = rise.max(gap) / 3600.0 * station.lead_s();
    let fewest = schedule.iter().copied().min().unwrap_or(0);
    let reserve_rps = f64::from(fewest)
        * station.bearable_rps()
        * (ADMITTED_UTILISATION - planned_utilisation(criticality));
    let for_ramp = ((ramp_rps - reserve_rps)
        / (station.bearable_rps() * planned_utilisation(criticality)))
    .ceil()
    .clamp(0.0, 1e6) as u32;
    let for_failure = u32::from(criticality != Criticality::Deferrable || fewest < 2);
    let most = schedule.iter().copied().max().unwrap_or(0);
    let standby = if ground.reached[s] {
        (for_ramp + for_failure).min(station.max_instances.saturating_sub(most))
    } else {
        0
    };
    Sized {
        schedule,
        needs,
        standby,
        ramp_rps,
        reserve_rps,
        limit_rps,
        ahead,
        wanted,
        bears_loss: None,
        tracking: None,
        recovery: None,
    }
}
