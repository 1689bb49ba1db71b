//! What is set at a service, on the side that is called.

use foremesh_model::{
    Criticality, LoadBalancing, Protocol, Reason, Schedule, ServiceNeeds, ServiceSettings,
    Severity, WarmUp, Warning, quantise_up,
};

use super::{Parts, instances, queue};
use crate::{
    ground::warning,
    limits::{
        ASSUMED_ERROR_RATE, EjectionInputs, FALSE_EJECTIONS_PER_DAY, FEWEST_ERRORS, INSTANCE_LEVEL,
        outlier_ejection, rate_limit, round_count_up, round_s_up, thinned,
    },
    reasons::{Reasons, Under, by_sidecar, show},
    sampling::{BOUGHT, MEDIAN},
    size::{ADMITTED_UTILISATION, hardest_hour},
};
use foremesh_simulate::analytic::count_quantile;

/// Port that is assumed where no source gives one.
const ASSUMED_PORT: u16 = 8080;
/// Error rate below which nothing is believed: the telemetry of a short time without errors does not prove less.
const LOWEST_ERROR_RATE: f64 = 1e-4;
/// Percent of its share that a new instance gets at first.
const WARM_UP_MINIMUM_PERCENT: u32 = 10;
/// The numbers that several values of one service share.
struct Load {
    service: usize,
    /// Requests a second of the highest hour at 0.99, peak included, and the hour.
    demand_rps: f64,
    hour: usize,
    /// Most requests a second of one of the instances that are needed, in any hour.
    instance_rps: f64,
    /// Variance ÷ mean of the requests of one second at one instance.
    dispersion: f64,
    /// Mean milliseconds that a request is at an instance, what it calls included.
    time_ms: f64,
}

pub(super) fn settings(
    parts: &Parts<'_>,
    s: usize,
    reasons: &mut Reasons,
    warnings: &mut Vec<Warning>,
) -> ServiceSettings {
    let Parts { ground, sizing, .. } = parts;
    let (service, station, sized) = (ground.services[s], &ground.stations[s], &sizing.services[s]);
    let mut why = reasons.under("services", &service.name);
    let load = load(parts, s);
    assumptions(parts, s, warnings);
    let port = identity(parts, s, &mut why);
    instances::explain(parts, s, load.demand_rps, load.hour, &mut why);

    let needs_most = sized.needs.iter().copied().max().unwrap_or(1);
    let rate_limit = rate_limit(sized.limit_rps, load.dispersion);
    why.set(
        "rate_limit.requests_per_second",
        Reason::new(
            "capacity_at_objective",
            format!(
                "One instance is saturated at {} requests/s{}; {}% of that is admitted, rounded, because waits grow without bound beyond.",
                show(station.bearable_rps()), by_sidecar(station), show(ADMITTED_UTILISATION * 100.0)
            ),
            [("saturation_rps", station.bearable_rps()), ("admitted_utilisation", ADMITTED_UTILISATION)],
        ),
    );
    why.set(
        "rate_limit.burst",
        Reason::new(
            "dispersion_quantile",
            format!(
                "At {} requests/s and a dispersion of {} one second in a thousand brings more than this, rounded up.",
                show(sized.limit_rps), show(load.dispersion)
            ),
            [("requests_per_second", sized.limit_rps), ("dispersion", load.dispersion), ("level", INSTANCE_LEVEL)],
        ),
    );

    let in_flight = sized.limit_rps * load.time_ms / 1000.0;
    let at_limit = count_quantile(in_flight, load.dispersion, INSTANCE_LEVEL);
    let concurrent_requests = round_count_up(
        count_quantile(
            load.instance_rps * load.time_ms / 1000.0,
            load.dispersion,
            0.99,
        )
        .max(1),
    );
    let max_concurrent_requests = round_count_up(
        at_limit
            .max(station.workers)
            .max(concurrent_requests)
            .max(2),
    );
    why.set(
        "max_concurrent_requests",
        Reason::new(
            "littles_law",
            format!(
                "{} requests/s that each stay {} ms make {} in flight on average and at most {at_limit} in 99.9% of moments; {} workers of its own are the least.",
                show(sized.limit_rps), show(load.time_ms), show(in_flight), station.workers
            ),
            [("requests_per_second", sized.limit_rps), ("time_ms", load.time_ms), ("dispersion", load.dispersion), ("workers", f64::from(station.workers))],
        ),
    );
    let max_pending_requests =
        queue::most(parts, s, load.dispersion, max_concurrent_requests, &mut why);

    let outlier_ejection = ejection(parts, &load, &mut why);
    let load_balancing = balancing(parts, &load, &mut why);
    let warm_up = warm_up(parts, s, load_balancing, &mut why);
    let preconnect_ratio = preconnect(&load, load_balancing, sized.limit_rps, &mut why);

    let needs_schedule = Schedule::from_hours(&sized.needs);
    let demand_rps = quantise_up(load.demand_rps).min(sized.limit_rps * f64::from(needs_most));
    why.set(
        "needs.demand_rps",
        Reason::new(
            "joint_quantile",
            format!(
                "{} requests/s at the 0.99 quantile of hour {}, peak within the hour included ({} at the median), rounded up, and at most what the instances admit.",
                show(load.demand_rps), load.hour, show(ground.demand.mean_rps[MEDIAN][load.hour][s])
            ),
            [("demand_p99_rps", load.demand_rps), ("peak_to_mean", ground.demand.peak[load.hour][s])],
        ),
    );
    why.set(
        "needs.concurrent_requests",
        Reason::new(
            "littles_law",
            format!(
                "The busiest needed instance gets {} requests/s that each stay {} ms; the 0.99 quantile of those in flight.",
                show(load.instance_rps), show(load.time_ms)
            ),
            [("instance_rps", load.instance_rps), ("time_ms", load.time_ms)],
        ),
    );
    why.set(
        "needs.instances",
        Reason::new(
            "fewest_at_objective",
            format!(
                "With each instance at its rate limit of {} requests/s and the whole latency of the objective used, no hour works with fewer ({} in the highest).",
                show(sized.limit_rps), needs_most
            ),
            [("limit_rps", sized.limit_rps), ("most", f64::from(needs_most))],
        ),
    );
    why.set(
        "proxy_mode",
        Reason::new("given", "As the request says.", []),
    );

    ServiceSettings {
        protocol: service.protocol,
        port,
        criticality: service.criticality,
        instances: Schedule::from_hours(&sized.schedule),
        standby_instances: sized.standby,
        autoscaling: instances::autoscaling(parts, s, &mut why),
        rate_limit,
        max_concurrent_requests,
        max_pending_requests,
        outlier_ejection,
        load_balancing,
        warm_up,
        preconnect_ratio,
        proxy_mode: parts.input.request.proxy_mode,
        needs: ServiceNeeds {
            demand_rps,
            concurrent_requests,
            instances: needs_schedule,
        },
    }
}

fn load(parts: &Parts<'_>, s: usize) -> Load {
    let Parts {
        ground,
        sizing,
        worst,
        ..
    } = parts;
    let sized = &sizing.services[s];
    let (hour, demand_rps) = hardest_hour(&ground.demand, BOUGHT, s);
    let instance_rps = ground
        .bought_rps(s)
        .iter()
        .zip(&sized.needs)
        .map(|(rate, needs)| rate / f64::from((*needs).max(1)))
        .fold(0.0, f64::max)
        .min(sized.limit_rps);
    Load {
        service: s,
        demand_rps,
        hour,
        instance_rps,
        dispersion: thinned(ground.dispersion[s], sized.fewest()),
        time_ms: worst[s].mean - ground.way_ms[s],
    }
}

fn assumptions(parts: &Parts<'_>, s: usize, warnings: &mut Vec<Warning>) {
    let station = &parts.ground.stations[s];
    let mut assumed: Vec<String> = station
        .assumed
        .iter()
        .map(|(field, value)| format!("{field} {}", show(*value)))
        .collect();
    if parts.ground.services[s].port.is_none() {
        assumed.push(format!("port {ASSUMED_PORT}"));
    }
    if !assumed.is_empty() && parts.ground.reached[s] {
        let derived = if station.from_observed_latency {
            format!(
                "; its own time of {} ms was derived from the latency of calls to it",
                show(station.service_ms)
            )
        } else {
            String::new()
        };
        warnings.push(warning(
            Severity::Caution,
            "capacity_assumed",
            parts.ground.name(s),
            format!(
                "assumed: {}{derived}; give them in the catalogue",
                assumed.join(", ")
            ),
        ));
    }
}

/// Explains protocol, port and criticality; answers the port.
pub(super) fn identity(parts: &Parts<'_>, s: usize, why: &mut Under<'_>) -> u16 {
    let service = parts.ground.services[s];
    why.set(
        "protocol",
        Reason::new("graph", "As the service graph and the catalogue say.", []),
    );
    why.set(
        "port",
        match service.port {
            Some(_) => Reason::new("graph", "As the service graph and the catalogue say.", []),
            None => Reason::new(
                "assumed",
                format!("No source gives its port; {ASSUMED_PORT} is assumed."),
                [],
            ),
        },
    );
    why.set(
        "criticality",
        Reason::new(
            "graph",
            match service.criticality {
                Criticality::Critical => "The catalogue calls it critical: it is shed last.",
                Criticality::Standard => "The usual case.",
                Criticality::Deferrable => "The catalogue calls it deferrable: it is shed first.",
            },
            [],
        ),
    );
    service.port.unwrap_or(ASSUMED_PORT)
}

fn ejection(
    parts: &Parts<'_>,
    load: &Load,
    why: &mut Under<'_>,
) -> foremesh_model::OutlierEjection {
    let Parts { ground, sizing, .. } = parts;
    let s = load.service;
    let sized = &sizing.services[s];
    let (mut errors, mut weight) = (0.0, 0.0);
    for (i, (caller, callee)) in ground.edge_ends.iter().enumerate() {
        if let Some(rate) = ground.edges[i].error_rate.filter(|_| *callee == s) {
            let w = (ground.demand.mean_rps[MEDIAN][load.hour][*caller]
                * ground.edges[i].fan_out())
            .max(1e-9);
            errors += w * rate;
            weight += w;
        }
    }
    let observed = weight > 0.0;
    let error_rate = if observed {
        (errors / weight).max(LOWEST_ERROR_RATE)
    } else {
        ASSUMED_ERROR_RATE
    };
    let spare_share = sized
        .schedule
        .iter()
        .zip(&sized.needs)
        .map(|(n, needs)| 1.0 - f64::from(*needs) / f64::from((n + sized.standby).max(1)))
        .fold(1.0, f64::min);
    let inputs = EjectionInputs {
        error_rate,
        instance_rps: load.instance_rps,
        fewest: sized.fewest(),
        spare_share,
    };
    let station = &ground.stations[s];
    let ejection = outlier_ejection(&inputs, station);
    why.set(
        "outlier_ejection.consecutive_errors",
        Reason::new(
            "binomial_tail",
            format!(
                "At {} requests/s and {} error rate of {}% a run of this many errors happens to a healthy instance less than once in {} days; never under {FEWEST_ERRORS}.",
                show(load.instance_rps),
                if observed { "an observed" } else { "an assumed" },
                show(error_rate * 100.0),
                show(1.0 / FALSE_EJECTIONS_PER_DAY)
            ),
            [("error_rate", error_rate), ("instance_rps", load.instance_rps), ("false_ejections_per_day", FALSE_EJECTIONS_PER_DAY)],
        ),
    );
    why.set(
        "outlier_ejection.interval_s",
        Reason::new(
            "sweep",
            "Often enough to end an ejection in time; less often where an instance sees less than a request a second.",
            [("instance_rps", load.instance_rps)],
        ),
    );
    why.set(
        "outlier_ejection.base_ejection_s",
        Reason::new(
            "startup_time",
            format!(
                "An instance that restarts is ready after {} s; an ejection lasts that long, between 15 and 300 s.",
                show(station.startup_s)
            ),
            [("startup_s", station.startup_s)],
        ),
    );
    why.set(
        "outlier_ejection.max_ejection_percent",
        Reason::new(
            "spare_capacity",
            format!(
                "No hour can spare more than {}% of its instances, standby included; one of {} may always go, never all.",
                show((spare_share * 100.0).floor()), inputs.fewest
            ),
            [("spare_percent", spare_share * 100.0), ("fewest_instances", f64::from(inputs.fewest))],
        ),
    );
    why.set(
        "outlier_ejection.min_health_percent",
        Reason::new(
            "shared_fault",
            "With fewer than half healthy the fault is likelier a shared one, and ejecting more only concentrates the load.",
            [],
        ),
    );
    ejection
}

fn balancing(parts: &Parts<'_>, load: &Load, why: &mut Under<'_>) -> LoadBalancing {
    let s = load.service;
    let chosen = parts.ground.balancing[s];
    let station = &parts.ground.stations[s];
    let text = match chosen {
        LoadBalancing::RoundRobin => {
            "Opaque TCP: the proxy sees connections and no requests, so it takes instances in turn."
                .to_string()
        }
        LoadBalancing::RingHash => format!(
            "The same key should reach the same instance; a ring suffices for at most {} instances.",
            station.max_instances
        ),
        LoadBalancing::Maglev => {
            "The same key should reach the same instance; Maglev's table spreads many instances evenly.".into()
        }
        LoadBalancing::LeastRequest | LoadBalancing::Random => {
            "The less busy of two drawn at random comes nearest one common queue; nothing asks for the same instance.".into()
        }
    };
    let instances = &parts.sizing.by_hour[load.hour];
    let rates = parts.ground.demand.peak_rps(BOUGHT, load.hour);
    let proxies = parts.ground.caller_proxies(s, instances, &rates);
    let workers = parts.ground.workers(s, proxies);
    let share = workers.split_share(instances[s], load.demand_rps);
    why.set(
        "load_balancing",
        Reason::new(
            "least_wait",
            text,
            [("caller_proxies", proxies), ("split_share", share)],
        ),
    );
    chosen
}

fn warm_up(parts: &Parts<'_>, s: usize, balancing: LoadBalancing, why: &mut Under<'_>) -> WarmUp {
    let station = &parts.ground.stations[s];
    let acts = matches!(
        balancing,
        LoadBalancing::LeastRequest | LoadBalancing::RoundRobin
    );
    let duration_s = if acts {
        round_s_up(station.warm_up_s.min(3600.0))
    } else {
        0
    };
    why.set(
        "warm_up.duration_s",
        Reason::new(
            "warm_up_time",
            if acts {
                format!("A new instance is warm {} s after it is ready, rounded up. At the first launch, with all instances new, it does nothing.", show(station.warm_up_s))
            } else {
                "Slow start acts with least request and round robin only; a hashed key goes where its hash says.".into()
            },
            [("warm_up_s", station.warm_up_s)],
        ),
    );
    why.set(
        "warm_up.minimum_percent",
        Reason::new(
            "warm_up_time",
            "A cold instance starts with a tenth of its share: enough to warm it, too little to be missed.",
            [],
        ),
    );
    why.set(
        "warm_up.aggression",
        Reason::new(
            "warm_up_time",
            "The share climbs in a straight line; nothing is known of the shape.",
            [],
        ),
    );
    WarmUp {
        duration_s,
        minimum_percent: WARM_UP_MINIMUM_PERCENT,
        aggression: 1.0,
    }
}

fn preconnect(load: &Load, balancing: LoadBalancing, limit_rps: f64, why: &mut Under<'_>) -> f64 {
    let acts = matches!(balancing, LoadBalancing::RoundRobin | LoadBalancing::Random);
    let mean = limit_rps * load.time_ms / 1000.0;
    let wanted = f64::from(count_quantile(mean, load.dispersion, 0.99)) / mean.max(0.01);
    let ratio = if acts {
        ((wanted.clamp(1.0, 3.0) * 10.0).ceil() / 10.0).min(3.0)
    } else {
        1.0
    };
    why.set(
        "preconnect_ratio",
        Reason::new(
            "connections_in_use",
            if acts {
                format!(
                    "{} connections are in use on average and {} times as many in 99% of moments; between 1 and 3.",
                    show(mean), show(wanted)
                )
            } else {
                "Connections can be opened ahead only where the next instance is known, with round robin or random.".into()
            },
            [("connections", mean)],
        ),
    );
    ratio
}

/// Whether the proxy sees requests of this protocol.
pub(super) fn sees_requests(protocol: Protocol) -> bool {
    protocol != Protocol::Tcp
}
