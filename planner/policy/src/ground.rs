//! What every step of the policy stands on: graph, demand by hour, stations and objectives, resolved and checked once.

use std::{collections::BTreeMap, sync::OnceLock};

use foremesh_model::{
    Demand, EdgeName, EntryDemand, LoadBalancing, ProfileRequest, Protocol, ProxyMode, RateLimit,
    Service, ServiceGraph, ServiceName, Severity, Slo, Warning,
    graph::Visits,
    station::{Station, proxy_rps, stations},
};

use crate::{
    PolicyError,
    limits::{rate_limit, rate_limit_rps, thinned},
    reasons::show,
    sampling::{BOUGHT, HourlyDemand, LEVELS, MEDIAN, Source, hourly_demand},
    search::refusable,
};
use foremesh_simulate::{
    PlanAssumptions,
    analytic::{CallerProxies, Callers, Calls, GammaQuantile, Workers},
};

/// Numbers of instances up to which rate limits are kept.
const KNOWN_LIMITS: u32 = 128;

/// An entry with its objective.
#[derive(Debug, Clone)]
pub(crate) struct Entry<'a> {
    pub node: usize,
    /// What is forecast under its names.
    pub demands: Vec<&'a EntryDemand>,
    pub slo: Slo,
    pub quantile: GammaQuantile,
    /// Requests at every service for each request that enters here.
    pub visits: Vec<f64>,
}

pub(crate) struct Ground<'a> {
    pub services: Vec<&'a Service>,
    pub edges: Vec<&'a foremesh_model::Edge>,
    pub edge_names: Vec<EdgeName>,
    /// Node indices of caller and callee of each edge.
    pub edge_ends: Vec<(usize, usize)>,
    pub calls: Calls,
    pub callers: Callers,
    pub stations: Vec<Station>,
    pub demand: HourlyDemand,
    /// Variance ÷ mean of the requests of one second, by service.
    pub dispersion: Vec<f64>,
    /// Squared coefficient of variation of the time between arrivals, by service.
    pub arrival_cv2: Vec<f64>,
    pub balancing: Vec<LoadBalancing>,
    /// Who calls each service, with the calls for each request of the caller.
    incoming: Vec<Vec<(usize, f64)>>,
    /// Proxies of the ingress gateway, fewest of the day.
    pub gateway_proxies: u32,
    pub entries: Vec<Entry<'a>>,
    pub reached: Vec<bool>,
    pub warnings: Vec<Warning>,
    /// Mean milliseconds of the way to each service and back, see [`way_ms`].
    pub way_ms: Vec<f64>,
    /// Share of requests that each service's rate limits may refuse.
    pub refusable: Vec<f64>,
    /// Rate limits of each service's instances by their number, from 1 on, where they were asked for: searches ask millions of times.
    rate_limits: Vec<OnceLock<Vec<RateLimit>>>,
}

pub(crate) fn warning(
    severity: Severity,
    code: &str,
    subject: impl ToString,
    text: impl Into<String>,
) -> Warning {
    Warning {
        severity,
        code: code.into(),
        subject: subject.to_string(),
        text: text.into(),
    }
}

impl<'a> Ground<'a> {
    /// The rate limit of each of so many instances of a service.
    pub(crate) fn rate_limit(&self, service: usize, instances: u32) -> RateLimit {
        let limit =
            |n: u32, limit_rps: f64| rate_limit(limit_rps, thinned(self.dispersion[service], n));
        let limit_rps = || rate_limit_rps(&self.stations[service]);
        let instances = instances.max(1);
        if instances > KNOWN_LIMITS {
            return limit(instances, limit_rps());
        }
        let known = self.rate_limits[service].get_or_init(|| {
            let limit_rps = limit_rps();
            (1..=KNOWN_LIMITS).map(|n| limit(n, limit_rps)).collect()
        });
        known[instances as usize - 1]
    }

    pub(crate) fn of(
        graph: &'a ServiceGraph,
        demand: &'a Demand,
        request: &ProfileRequest,
    ) -> Result<Self, PolicyError> {
        if graph.is_empty() {
            return Err(PolicyError::EmptyGraph);
        }
        check_objectives(request)?;
        let visits = Visits::of(graph)?;
        let mut stations = stations(graph, &request.cost)?;
        if request.proxy_mode == ProxyMode::None {
            for station in &mut stations {
                station.proxy_rps = f64::INFINITY;
            }
        }
        let mut warnings = Vec::new();
        let sources = resolve_entries(graph, demand, &mut warnings)?;
        if demand.steps() == 0 {
            return Err(PolicyError::NoDemand);
        }
        let n = graph.len();
        let hourly = hourly_demand(demand, &sources, &visits, n);
        let petgraph = graph.petgraph();
        let edge_ends: Vec<(usize, usize)> = petgraph
            .edge_indices()
            .filter_map(|e| petgraph.edge_endpoints(e))
            .map(|(a, b)| (a.index(), b.index()))
            .collect();
        let services: Vec<&Service> = graph.services().collect();
        let edges: Vec<&foremesh_model::Edge> = graph.edges().collect();
        let edge_names = edges
            .iter()
            .map(|e| EdgeName::new(e.caller.clone(), e.callee.clone()))
            .collect();
        let calls = Calls::of(graph, &visits);
        let reached = reached(&visits, &sources, n);
        let mut incoming: Vec<Vec<(usize, f64)>> = vec![Vec::new(); n];
        for (caller, calls) in calls.by_caller.iter().enumerate() {
            for call in calls {
                incoming[call.callee].push((caller, call.fan_out));
            }
        }
        let dispersion = dispersions(&calls, &incoming, &hourly, &sources, true);
        let arrival_cv2 = dispersions(&calls, &incoming, &hourly, &sources, false)
            .into_iter()
            .map(|d| d.min(100.0))
            .collect();
        let balancing = services
            .iter()
            .zip(&stations)
            .map(|(service, station)| balancing(service, station))
            .collect();
        let entries = entries(graph, request, &sources, &visits, n, &mut warnings);
        let gateway_proxies = request.gateway_proxies.unwrap_or(GATEWAY_PROXIES).max(1);
        warnings.extend(gateway_too_small(demand, &entries, gateway_proxies));
        Ok(Self {
            services,
            edges,
            edge_names,
            edge_ends,
            callers: Callers::of(&calls),
            rate_limits: vec![OnceLock::new(); n],
            calls,
            way_ms: stations
                .iter()
                .map(|station| way_ms(request, station))
                .collect(),
            stations,
            demand: hourly,
            dispersion,
            arrival_cv2,
            balancing,
            incoming,
            gateway_proxies,
            refusable: refusable(&entries, n),
            entries,
            reached,
            warnings,
        })
    }

    pub(crate) fn name(&self, service: usize) -> &'a ServiceName {
        &self.services[service].name
    }

    /// As many equal proxies as know as much of a service as its callers do.
    pub(crate) fn caller_proxies(
        &self,
        service: usize,
        instances: &[u32],
        rates_rps: &[f64],
    ) -> f64 {
        let mut proxies = CallerProxies::default();
        let mut called = 0.0;
        for (caller, fan_out) in &self.incoming[service] {
            let rate = rates_rps[*caller] * fan_out;
            called += rate;
            proxies.add(rate, instances[*caller]);
        }
        if self.entries.iter().any(|entry| entry.node == service) {
            proxies.add((rates_rps[service] - called).max(0.0), self.gateway_proxies);
        }
        proxies.equal()
    }

    /// How a service works on requests that so many proxies choose instances for.
    pub(crate) fn workers(&self, service: usize, caller_proxies: f64) -> Workers {
        let station = &self.stations[service];
        Workers {
            per_instance: station.workers,
            holding_ms: station.holding_ms,
            service_cv2: station.cv2,
            arrival_cv2: self.arrival_cv2[service],
            balancing: self.balancing[service],
            caller_proxies,
        }
    }

    /// Requests a second at the level that capacity is bought at, peak included, in every hour.
    pub(crate) fn bought_rps(&self, service: usize) -> Vec<f64> {
        (0..self.demand.hours())
            .map(|h| self.demand.mean_rps[BOUGHT][h][service] * self.demand.peak[h][service])
            .collect()
    }
}

/// Mean milliseconds that a call to a service and its answer spend on the network and in both proxies while nothing waits there, with what the simulation
/// assumes of each. To another zone as often as instances and callers that are spread by the zones' shares are apart; the simulation, which places instances,
/// knows better by some tenths of a millisecond. What was derived from observed latencies is taken to hold the way, as what callers see does; where
/// only the service itself was observed it is left out.
fn way_ms(request: &ProfileRequest, station: &Station) -> f64 {
    if station.from_observed_latency {
        return 0.0;
    }
    let assumed = PlanAssumptions::default();
    let all: f64 = request
        .localities
        .values()
        .map(|share| f64::from(*share))
        .sum();
    let shares = request
        .localities
        .values()
        .map(|share| f64::from(*share) / all.max(1.0));
    let together: f64 = shares.map(|share| share * share).sum();
    let apart = if all > 0.0 { 1.0 - together } else { 0.0 };
    let proxies = match request.proxy_mode {
        ProxyMode::None => 0.0,
        _ => assumed.proxy.cost_ms + station.proxy_ms,
    };
    2.0 * (assumed.one_way_ms + apart * assumed.other_zone_ms) + proxies
}

/// Nobody plans the gateway, but all that enters passes it.
fn gateway_too_small(demand: &Demand, entries: &[Entry<'_>], proxies: u32) -> Option<Warning> {
    let enters = |hour: usize| -> f64 {
        let demands = entries.iter().flat_map(|entry| &entry.demands);
        demands
            .map(|of| demand.peak_rps(of, hour as u32, LEVELS[BOUGHT]))
            .sum()
    };
    let (hour, rps) = (0..demand.steps())
        .map(|hour| (hour, enters(hour)))
        .max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))?;
    let needed = (rps / proxy_rps(0.0)).ceil();
    (needed > f64::from(proxies)).then(|| {
        warning(
            Severity::Caution,
            "gateway_too_small",
            "gateway_proxies",
            format!(
                "{} requests/s enter in hour {hour} at the {} quantile, and {proxies} proxies of the ingress gateway pass on {}: give it {needed} at least, and say so with gateway_proxies",
                show(rps),
                LEVELS[BOUGHT],
                show(f64::from(proxies) * proxy_rps(0.0)),
            ),
        )
    })
}

fn check_objectives(request: &ProfileRequest) -> Result<(), PolicyError> {
    let fault = |place: String, slo: &Slo| match slo.fault() {
        Some((field, cause)) => Err(PolicyError::Objective {
            place,
            field,
            cause,
        }),
        None => Ok(()),
    };
    fault("slo".into(), &request.slo)?;
    request
        .slos
        .iter()
        .try_for_each(|(name, slo)| fault(format!("slos[\"{name}\"]"), slo))
}

fn few(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.collect();
    let shown = names.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(8) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn resolve_entries<'a>(
    graph: &ServiceGraph,
    demand: &'a Demand,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Source<'a>>, PolicyError> {
    let mut sources = Vec::new();
    for (name, entry) in &demand.entries {
        match graph.resolve(name).and_then(|s| graph.node(&s.name)) {
            Some(node) => sources.push(Source {
                node: node.index(),
                name: name.as_str(),
                demand: entry,
            }),
            None => {
                let alike: Vec<String> = graph
                    .services()
                    .filter(|s| s.name.short() == name.short())
                    .map(|s| s.name.to_string())
                    .collect();
                let candidates = if alike.is_empty() {
                    few(graph.roots().iter().map(|s| s.name.to_string()))
                } else {
                    few(alike.into_iter())
                };
                warnings.push(warning(
                    Severity::Severe,
                    "entry_unknown",
                    name,
                    format!(
                        "the demand of {name} is not planned: the graph holds no such service, or several of that name; \
                         candidates: {candidates}. Write the name as namespace/name in the history, or add the service to the graph or the catalogue"
                    ),
                ));
            }
        }
    }
    if sources.is_empty() && !demand.entries.is_empty() {
        return Err(PolicyError::NoEntry {
            entries: few(demand.entries.keys().map(ToString::to_string)),
            known: few(graph.services().map(|s| s.name.to_string())),
        });
    }
    if sources.is_empty() {
        return Err(PolicyError::NoDemand);
    }
    Ok(sources)
}

fn reached(visits: &Visits, sources: &[Source<'_>], n: usize) -> Vec<bool> {
    let mut external = vec![0.0; n];
    for source in sources {
        external[source.node] = 1.0;
    }
    visits
        .rates(&external)
        .into_iter()
        .map(|r| r > 1e-12)
        .collect()
}

/// The index of dispersion at every service: arrivals of the callers split or multiplied by their fan-out and superposed by
/// rate (Whitt, *The queueing network analyzer*, 1983). A caller that makes k calls for a request makes them in one second,
/// so counts of a second are k times as dispersed (`batched`); for the time between arrivals the calls stand apart.
fn dispersions(
    calls: &Calls,
    incoming: &[Vec<(usize, f64)>],
    hourly: &HourlyDemand,
    sources: &[Source<'_>],
    batched: bool,
) -> Vec<f64> {
    let n = incoming.len();
    let hours = hourly.hours().max(1) as f64;
    let rate: Vec<f64> = (0..n)
        .map(|s| hourly.mean_rps[MEDIAN].iter().map(|h| h[s]).sum::<f64>() / hours)
        .collect();
    let mut outside = vec![(0.0, 0.0); n];
    for source in sources {
        let median = (0..source.demand.quantiles_rps.len())
            .map(|step| source.demand.at_level(step, 0.5).max(0.0))
            .sum::<f64>()
            .max(1e-9);
        let own = if source.demand.dispersion.is_finite() {
            source.demand.dispersion.clamp(1.0, 1000.0)
        } else {
            1.0
        };
        outside[source.node].0 += median;
        outside[source.node].1 += median * own;
    }
    let mut dispersion = vec![1.0f64; n];
    for (members, circle) in &calls.groups {
        for _ in 0..if *circle { 40 } else { 1 } {
            for service in members {
                let mut flow = 0.0;
                let mut weighted = 0.0;
                for (caller, fan_out) in &incoming[*service] {
                    let f = if batched { *fan_out } else { fan_out.min(1.0) };
                    let rest = f.fract();
                    let through = if f > 0.0 {
                        f * dispersion[*caller] + rest * (1.0 - rest) / f
                    } else {
                        1.0
                    };
                    flow += rate[*caller] * fan_out;
                    weighted += rate[*caller] * fan_out * through;
                }
                let (own, own_weighted) = outside[*service];
                if own > 0.0 {
                    let own_rate = (rate[*service] - flow).max(1e-9);
                    flow += own_rate;
                    weighted += own_rate * own_weighted / own;
                }
                dispersion[*service] = if flow > 0.0 {
                    (weighted / flow).clamp(1.0, 1000.0)
                } else {
                    1.0
                };
            }
        }
    }
    dispersion
}

/// Gateway proxies where the request says nothing.
const GATEWAY_PROXIES: u32 = 2;
/// Instances up to which a ring is balanced better than Maglev's table is worth.
const SMALL_RING: u32 = 10;

fn balancing(service: &Service, station: &Station) -> LoadBalancing {
    if service.protocol == Protocol::Tcp || station.stateful {
        // Connections live long and carry unequal loads; the proxy sees no requests to count.
        return LoadBalancing::RoundRobin;
    }
    if !station.cache_affinity {
        return LoadBalancing::LeastRequest;
    }
    // By the most instances that there may be, not by the forecast: a move of demand must not move every key.
    if station.max_instances <= SMALL_RING {
        LoadBalancing::RingHash
    } else {
        LoadBalancing::Maglev
    }
}

fn entries<'a>(
    graph: &ServiceGraph,
    request: &ProfileRequest,
    sources: &[Source<'a>],
    visits: &Visits,
    n: usize,
    warnings: &mut Vec<Warning>,
) -> Vec<Entry<'a>> {
    let mut slos: BTreeMap<usize, Slo> = BTreeMap::new();
    for source in sources {
        slos.insert(source.node, request.slo);
    }
    for (name, slo) in &request.slos {
        match graph.resolve(name).and_then(|s| graph.node(&s.name)) {
            Some(node) if slos.contains_key(&node.index()) => {
                slos.insert(node.index(), *slo);
            }
            Some(_) => warnings.push(warning(
                Severity::Caution,
                "objective_unused",
                name,
                format!("slos names {name}, for which there is no demand: its objective moves nothing; add its requests to the history"),
            )),
            None => warnings.push(warning(
                Severity::Caution,
                "objective_unused",
                name,
                format!("slos names {name}, which the graph does not hold: mend the name or add the service"),
            )),
        }
    }
    slos.into_iter()
        .map(|(node, slo)| {
            let mut external = vec![0.0; n];
            external[node] = 1.0;
            let own = sources.iter().filter(|source| source.node == node);
            Entry {
                node,
                demands: own.map(|source| source.demand).collect(),
                slo,
                quantile: GammaQuantile::at(slo.percentile / 100.0),
                visits: visits.rates(&external),
            }
        })
        .collect()
}
