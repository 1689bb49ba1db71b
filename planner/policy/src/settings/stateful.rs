//! What is set around services that keep state: nothing at them, and at their callers' proxies only what keeps a dead connection from
//! being waited for and, where the catalogue says how many connections a store accepts, what keeps its callers within that.

use std::collections::BTreeMap;

use foremesh_model::{
    ConnectionSettings, EdgeName, Reason, ServiceName, Severity, StatefulSettings, Warning,
    quantise,
};

use super::{Parts, edge::proxy_load, service::identity};
use crate::{
    ground::warning,
    limits::{NEEDED_LEVEL, ProxyLoad},
    reasons::{Reasons, Under, show},
    sampling::BOUGHT,
    size::{ADMITTED_UTILISATION, hardest_hour, planned_utilisation},
};
use foremesh_simulate::analytic::count_quantile;

/// A lost SYN is sent again after one second and after three (RFC 6298): within this, one may be lost.
const CONNECT_TIMEOUT_MS: u32 = 3000;
/// The meshes' own default, and far above the ten minutes and less after which clients' pools close idle connections by themselves: a
/// proxy that closes first breaks the next query.
const IDLE_TIMEOUT_S: u32 = 3600;
/// Share of the connections that the known callers are given together; administrators, migrations and jobs need some too.
const SHARE_OF_CALLERS: f64 = 0.9;

pub(super) fn services(
    parts: &Parts<'_>,
    reasons: &mut Reasons,
    warnings: &mut Vec<Warning>,
) -> BTreeMap<ServiceName, StatefulSettings> {
    let ground = parts.ground;
    let mut settings = BTreeMap::new();
    for s in (0..ground.services.len()).filter(|s| ground.stations[*s].stateful) {
        let service = ground.services[s];
        let mut why = reasons.under("stateful_services", &service.name);
        let port = identity(parts, s, &mut why);
        why.set(
            "proxy_mode",
            Reason::new("given", "As the request says.", []),
        );
        let instances = service.instances.filter(|n| *n > 0);
        if let Some(instances) = instances {
            why.set(
                "instances",
                Reason::new(
                    "left_alone",
                    format!(
                        "It keeps state: {instances} run as the manifests or the catalogue say, and nothing changes that: no autoscaler, no ejection, no rate limit, no retries."
                    ),
                    [("instances", f64::from(instances))],
                ),
            );
        }
        let max_connections = accepts(parts, s);
        if let Some(accepted) = max_connections {
            why.set(
                "max_connections",
                Reason::new(
                    "catalogue",
                    format!(
                        "The catalogue says that one instance accepts {}.",
                        service.capacity.max_connections.unwrap_or(accepted)
                    ),
                    [("max_connections", f64::from(accepted))],
                ),
            );
        }
        if ground.reached[s] {
            warn(parts, s, instances, warnings);
        }
        settings.insert(
            service.name.clone(),
            StatefulSettings {
                protocol: service.protocol,
                port,
                criticality: service.criticality,
                instances,
                max_connections,
                proxy_mode: parts.input.request.proxy_mode,
            },
        );
    }
    settings
}

/// Connections that all instances together accept, where the catalogue says it.
fn accepts(parts: &Parts<'_>, s: usize) -> Option<u32> {
    let of_one = parts.ground.services[s].capacity.max_connections?;
    Some(of_one.saturating_mul(parts.ground.stations[s].max_instances))
}

/// What the engineer has to know, and to act on: the mesh cannot.
fn warn(parts: &Parts<'_>, s: usize, instances: Option<u32>, warnings: &mut Vec<Warning>) {
    let ground = parts.ground;
    let station = &ground.stations[s];
    let name = ground.name(s);
    let (hour, demand_rps) = hardest_hour(&ground.demand, BOUGHT, s);
    if instances.is_none() {
        warnings.push(warning(
            Severity::Caution,
            "stateful_instances_unknown",
            name,
            "it keeps state and is left as it is, but no source says how many instances run: 1 is taken for what its callers and the expected latency need; \
             give its manifest, or instances in the catalogue",
        ));
    }
    let there_are = station.max_instances;
    if !station.capacity_known {
        warnings.push(warning(
            Severity::Caution,
            "stateful_capacity_unknown",
            name,
            format!(
                "it keeps state and is left as it is; whether it bears {} requests/s (0.99 quantile of hour {hour}) is not checked, as nobody says what it can do{}: \
                 give capacity_rps in the catalogue",
                show(demand_rps),
                match station.assumed.iter().find(|(field, _)| *field == "service_time_mean_ms") {
                    Some((_, ms)) => format!(", and {} ms are assumed for a call to it", show(*ms)),
                    None => String::new(),
                }
            ),
        ));
        return;
    }
    let at = |utilisation: f64| {
        let each = station.bearable_rps() * utilisation;
        (demand_rps / each - 1e-9).ceil().clamp(0.0, 1e9) as u32
    };
    let planned = planned_utilisation(ground.services[s].criticality);
    let capacity_rps = station.bearable_rps() * f64::from(there_are);
    if parts.sizing.services[s].wanted > there_are {
        warnings.push(warning(
            Severity::Severe,
            "stateful_capacity_exceeded",
            name,
            format!(
                "it keeps state, so the mesh cannot add to it: {} requests/s are expected at the 0.99 quantile of hour {hour}, and {there_are} instance(s) bear {} at {}% of their capacity of {}; \
                 make it larger before go-live (replicas for reading, shards, bigger machines: {} of these instances would do if the load can be spread)",
                show(demand_rps),
                show(capacity_rps * ADMITTED_UTILISATION),
                show(ADMITTED_UTILISATION * 100.0),
                show(capacity_rps),
                at(planned).max(parts.sizing.services[s].wanted),
            ),
        ));
    } else if at(planned) > there_are {
        warnings.push(warning(
            Severity::Caution,
            "stateful_capacity_close",
            name,
            format!(
                "it keeps state, so the mesh cannot add to it: {} requests/s at the 0.99 quantile of hour {hour} are {}% of what {there_are} instance(s) can do, more than the {}% that is planned with; \
                 make it larger before go-live",
                show(demand_rps),
                show(100.0 * demand_rps / capacity_rps),
                show(planned * 100.0),
            ),
        ));
    }
}

/// One caller of a service that keeps state.
struct Caller {
    edge: usize,
    load: ProxyLoad,
    /// Calls a second in the hour in which it makes most.
    calls_rps: f64,
}

pub(super) fn connections(
    parts: &Parts<'_>,
    reasons: &mut Reasons,
    warnings: &mut Vec<Warning>,
) -> BTreeMap<EdgeName, ConnectionSettings> {
    let ground = parts.ground;
    let mut by_callee: BTreeMap<usize, Vec<Caller>> = BTreeMap::new();
    for (i, (caller, callee)) in ground.edge_ends.iter().enumerate() {
        if !ground.stations[*callee].stateful {
            continue;
        }
        let sized = &parts.sizing.services[*caller];
        let proxies: Vec<u32> = sized.schedule.iter().map(|n| n + sized.standby).collect();
        let fan_out = ground.edges[i].fan_out();
        by_callee.entry(*callee).or_default().push(Caller {
            edge: i,
            load: proxy_load(parts, *caller, *callee, Some(ground.edges[i]), &proxies),
            calls_rps: hardest_hour(&ground.demand, BOUGHT, *caller).1 * fan_out,
        });
    }
    let mut settings = BTreeMap::new();
    for (callee, callers) in by_callee {
        let accepted = accepts(parts, callee);
        let all_rps: f64 = callers.iter().map(|c| c.calls_rps).sum();
        let all_proxies: f64 = callers.iter().map(|c| f64::from(c.load.most.max(1))).sum();
        let mut short = Vec::new();
        for caller in &callers {
            let name = &ground.edge_names[caller.edge];
            let mut why = reasons.under("connections", name);
            let share = if all_rps > 0.0 {
                caller.calls_rps / all_rps
            } else {
                1.0 / callers.len() as f64
            };
            let most = f64::from(caller.load.most.max(1));
            let max_connections = accepted.map(|accepted| {
                // Nobody can be given less than one for each proxy; what is left is shared by calls.
                let rest = (SHARE_OF_CALLERS * f64::from(accepted) - all_proxies).max(0.0);
                let of_one = 1.0 + rest * share / most;
                let limit = round_count_down(of_one);
                let needed =
                    count_quantile(caller.load.in_flight, caller.load.dispersion, NEEDED_LEVEL);
                if limit < needed || rest <= 0.0 {
                    short.push(format!("{name} (needs {}, gets {limit})", needed.max(1)));
                }
                why.set(
                    "max_connections",
                    Reason::new(
                        "share_of_what_the_callee_accepts",
                        format!(
                            "{}% of the {accepted} connections that it accepts are for its known callers: one for each of their proxies, the rest by calls; this one makes {}% of them from at most {} proxies; rounded down.",
                            show(SHARE_OF_CALLERS * 100.0),
                            show(share * 100.0),
                            caller.load.most
                        ),
                        [
                            ("accepted", f64::from(accepted)),
                            ("share", share),
                            ("most_caller_proxies", f64::from(caller.load.most)),
                        ],
                    ),
                );
                limit
            });
            explain(&mut why, &caller.load);
            settings.insert(
                name.clone(),
                ConnectionSettings {
                    connect_timeout_ms: CONNECT_TIMEOUT_MS,
                    idle_timeout_s: IDLE_TIMEOUT_S,
                    max_connections,
                    most_caller_proxies: caller.load.most,
                },
            );
        }
        if let (Some(accepted), false) = (accepted, short.is_empty()) {
            warnings.push(warning(
                Severity::Caution,
                "stateful_connections_short",
                ground.name(callee),
                format!(
                    "it accepts {accepted} connections, which leaves a proxy of its callers fewer than it has calls in flight in its busiest hour: {}; \
                     raise max_connections of the service (and in the catalogue), or put a connection pooler in front of it",
                    short.join(", ")
                ),
            ));
        }
    }
    settings
}

fn explain(why: &mut Under<'_>, load: &ProxyLoad) {
    why.set(
        "connect_timeout_ms",
        Reason::new(
            "one_lost_packet",
            "Opening a connection may lose one packet, which is sent again after one second and after three; no answer by then is none.",
            [],
        ),
    );
    why.set(
        "idle_timeout_s",
        Reason::new(
            "client_closes_first",
            "The mesh's default of an hour: the client's pool closes idle connections earlier by itself, and a query on a connection that a proxy has closed fails.",
            [],
        ),
    );
    why.set(
        "most_caller_proxies",
        Reason::new(
            "most_callers",
            "The most proxies of its caller in any hour, standby included.",
            [("most", f64::from(load.most))],
        ),
    );
}

/// The largest count that an engineer would write and that is not above `count`; at least 1, because no mesh can say 0.
fn round_count_down(count: f64) -> u32 {
    let whole = count.floor().clamp(1.0, 4e9);
    if whole <= 10.0 {
        return whole as u32;
    }
    let near = quantise(whole);
    let down = if near <= whole {
        near
    } else {
        // Steps of the rounding are less than a fifth apart.
        (1..=20)
            .map(|k| quantise(whole / (1.0 + 0.02 * f64::from(k))))
            .find(|down| *down <= whole)
            .unwrap_or(whole)
    };
    down.floor() as u32
}

#[cfg(test)]
mod tests {
    use super::round_count_down;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn counts_are_rounded_down_and_not_far(count in 1.0f64..1e6) {
            let down = f64::from(round_count_down(count));
            prop_assert!(down <= count && down >= 0.75 * count.floor(), "{down} of {count}");
        }
    }

    #[test]
    fn less_than_one_connection_cannot_be_said() {
        assert_eq!(round_count_down(0.2), 1);
    }
}
