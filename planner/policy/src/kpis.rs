//! What the settings are expected to do, and how other ways of sizing would have fared.

use foremesh_model::{EdgeKpi, EntryKpi, Kpis, ServiceKpi, Settings, Severity, Warning};

use crate::{
    cuts,
    ground::{Ground, warning},
    reasons::show,
    refusals,
    sampling::{BOUGHT, MEDIAN},
    size::hardest_hour,
    sizing::Sizing,
};
use foremesh_simulate::analytic::{GammaQuantile, Wait};

/// Services that a missed objective names: those behind them are seldom what has to change first.
const MOST_WAITS_NAMED: usize = 3;

pub(crate) fn kpis(
    ground: &Ground<'_>,
    sizing: &Sizing,
    settings: &Settings,
    warnings: &mut Vec<Warning>,
) -> Kpis {
    let mut kpis = Kpis {
        holds: true,
        ..Kpis::default()
    };
    for (s, sized) in sizing.services.iter().enumerate() {
        let (hour, rate) = hardest_hour(&ground.demand, BOUGHT, s);
        let station = &ground.stations[s];
        let instances = sizing.by_hour.get(hour).map_or(1, |row| row[s]);
        kpis.services.insert(
            ground.name(s).clone(),
            ServiceKpi {
                demand_p50_rps: ground.demand.mean_rps[MEDIAN][hour][s],
                demand_p99_rps: rate,
                utilisation: (!station.is_boundless()).then(|| {
                    (rate / (f64::from(instances.max(1)) * station.saturation_rps)).min(1.0)
                }),
                mean_wait_ms: if station.is_boundless() {
                    0.0
                } else {
                    let rates = ground.demand.peak_rps(BOUGHT, hour);
                    let proxies = ground.caller_proxies(s, &sizing.by_hour[hour], &rates);
                    Wait::of(&ground.workers(s, proxies), instances, rate)
                        .moments()
                        .mean
                },
            },
        );
        let hours = match &sizing.expectation {
            Some(expected) => expected.instance_hours[s],
            None => {
                let hours = sized.schedule.iter();
                hours.map(|n| f64::from(n + sized.standby)).sum()
            }
        };
        kpis.instance_hours += hours;
        kpis.instance_cost += hours * station.cost_per_hour;
        if sized.wanted > station.max_instances {
            kpis.holds = false;
        }
    }
    let p99 = GammaQuantile::at(0.99);
    let worst = sizing.worst_latency(ground);
    let hardest: Vec<(usize, f64)> = (0..ground.entries.len())
        .map(|e| hardest_of(sizing, e))
        .collect();
    let hours: Vec<usize> = hardest.iter().map(|(hour, _)| *hour).collect();
    let cuts = cuts::cuts(ground, sizing, settings, &hours);
    cuts::warn(ground, settings, &worst, &cuts, warnings);
    for (i, name) in ground.edge_names.iter().enumerate() {
        let (caller, callee) = ground.edge_ends[i];
        kpis.edges.insert(
            name.clone(),
            EdgeKpi {
                calls_rps: hardest_hour(&ground.demand, BOUGHT, caller).1
                    * ground.edges[i].fan_out(),
                latency_p99_ms: p99.of(worst[callee]),
                cut_by_timeout: cuts.iter().map(|cut| cut.edges[i]).fold(0.0, f64::max),
            },
        );
    }
    let mut failing = Vec::with_capacity(ground.entries.len());
    for (e, entry) in ground.entries.iter().enumerate() {
        let (hardest_hour, latency_ms) = hardest[e];
        // A call that fails or is cut fails the request; retries are granted only where the request was not worked on, and not counted.
        let errors: f64 = (0..ground.edges.len())
            .map(|i| {
                let edge = ground.edges[i];
                entry.visits[ground.edge_ends[i].0]
                    * edge.fan_out()
                    * edge.error_rate.unwrap_or(0.0)
            })
            .sum();
        // What the entry itself shows as failing holds the errors of its calls, and its own.
        let own = ground.services[entry.node].measured.error_rate;
        let errors = errors.max(-(-own.unwrap_or(0.0).clamp(0.0, 1.0 - 1e-12)).ln_1p());
        failing.push(errors);
        let availability = (-errors - cuts[e].for_each_request).exp();
        let name = ground.name(entry.node);
        let in_time = latency_ms <= entry.slo.latency_ms;
        let available = availability >= entry.slo.availability;
        if !in_time && sizing.bounds_ms[e] < entry.slo.latency_ms {
            warnings.push(warning(
                Severity::Severe,
                "objective_missed",
                name,
                format!(
                    "the {}th percentile is expected at {} ms in hour {hardest_hour}, the objective is {} ms: {}; raise max_instances where it is reached, make these faster, or raise slo.latency_ms",
                    show(entry.slo.percentile), show(latency_ms), show(entry.slo.latency_ms), longest_waits(ground, sizing, e, hardest_hour)
                ),
            ));
        }
        if !available {
            warnings.push(cuts::missed(ground, e, availability, errors, &cuts[e]));
        }
        kpis.holds &= in_time && available;
        kpis.entries.insert(
            name.clone(),
            EntryKpi {
                latency_ms,
                objective_ms: entry.slo.latency_ms,
                availability,
                cut_by_timeouts: 1.0 - (-cuts[e].for_each_request).exp(),
                holds: in_time && available,
                hardest_hour: hardest_hour as u32,
            },
        );
    }
    refusals::warn(ground, sizing, settings, &failing, &cuts, warnings);
    debug_assert_eq!(
        settings.services.len() + settings.stateful_services.len(),
        kpis.services.len()
    );
    kpis
}

/// Where an entry's requests wait longest in an hour, and why more instances do not mend it: what the reader has to change.
fn longest_waits(ground: &Ground<'_>, sizing: &Sizing, entry: usize, hour: usize) -> String {
    let instances = &sizing.by_hour[hour];
    let rates = ground.demand.peak_rps(BOUGHT, hour);
    let visits = &ground.entries[entry].visits;
    let mut waits: Vec<(usize, f64)> = (0..instances.len())
        .filter(|s| visits[*s] > 0.0 && !ground.stations[*s].is_boundless())
        .map(|s| {
            let proxies = ground.caller_proxies(s, instances, &rates);
            let wait = Wait::of(&ground.workers(s, proxies), instances[s], rates[s]);
            (s, visits[s] * wait.moments().mean)
        })
        .filter(|(_, wait_ms)| *wait_ms > 0.0)
        .collect();
    waits.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let named: Vec<String> = waits
        .iter()
        .take(MOST_WAITS_NAMED)
        .map(|&(s, wait_ms)| {
            let station = &ground.stations[s];
            let why = if station.stateful {
                "keeps state and is not scaled".to_owned()
            } else if instances[s] >= station.max_instances {
                format!("has reached max_instances, {}", station.max_instances)
            } else {
                format!("gains too little from more than {} instances", instances[s])
            };
            format!(
                "`{}` ({why}; {} ms of waits a request)",
                ground.name(s),
                show(wait_ms)
            )
        })
        .collect();
    if named.is_empty() {
        "it is not waits that last, but the work itself and its scatter".to_owned()
    } else {
        format!("its requests wait longest for {}", named.join(", "))
    }
}

/// The hour in which an entry's latency is highest, and that latency in milliseconds.
fn hardest_of(sizing: &Sizing, entry: usize) -> (usize, f64) {
    let by_hour = sizing
        .expected
        .entry_ms
        .iter()
        .map(|of_hour| of_hour[entry]);
    by_hour.enumerate().fold(
        (0, 0.0),
        |best, next| if next.1 > best.1 { next } else { best },
    )
}
