//! From a mesh to the parts that move.

use foremesh_model::random::mix;

use super::{
    EdgePart, Engine, EntryPart, NS_PER_S, ServicePart, Way,
    agenda::{Agenda, Lane},
    localities::Groups,
    ns,
    parts::{self, Instance, InstanceState, Link, Proxy, Slab},
};
use crate::{Mesh, Run, RunOptions, SimulateError, quantiles::Quantiles};

/// The wait until somebody notices; None: never.
fn notice(seconds: f64) -> Option<u64> {
    seconds.is_finite().then(|| ns(seconds))
}

fn ways(mesh: &Mesh) -> Vec<Way> {
    let localities = &mesh.localities;
    let count = localities.all.len();
    let pairs = (0..count).flat_map(|from| (0..count).map(move |to| (from, to)));
    pairs
        .map(|(from, to)| {
            let distance = localities.distance(from, to);
            let ms = [0.0, localities.other_zone_ms, localities.other_region_ms][distance];
            Way {
                ns: ns(ms / 1e3),
                cut: false,
                other_region: distance == 2,
            }
        })
        .collect()
}

impl<'a> Engine<'a> {
    pub(super) fn new(
        mesh: &'a Mesh,
        tables: &[Quantiles],
        options: &RunOptions,
    ) -> Result<Self, SimulateError> {
        if mesh.entries.is_empty() {
            return Err(SimulateError::NoDemand);
        }
        let mut instances = Vec::new();
        let mut services = Vec::new();
        for (service, table) in mesh.services.iter().zip(tables) {
            let home = service.most_instances();
            let elsewhere = service.remote.iter().flat_map(|remote| {
                std::iter::repeat_n(remote.locality as u32, remote.instances as usize)
            });
            let own = (0..home as usize).map(|place| {
                let spread = &service.placement;
                spread
                    .get(place % spread.len().max(1))
                    .copied()
                    .unwrap_or(0) as u32
            });
            let localities: Vec<u32> = own.chain(elsewhere).collect();
            let places = localities.len() as u32;
            let at_start = service
                .instances
                .first()
                .filter(|s| s.starts_s <= 0.0)
                .map_or(0, |s| s.instances);
            let first = instances.len() as u32;
            let burst = service
                .rate_limit
                .map_or(0.0, |limit| f64::from(limit.burst.max(1)));
            for (place, locality) in (0u32..).zip(&localities) {
                let remote = place >= home;
                let ready = place < at_start || remote;
                instances.push(Instance {
                    state: if ready {
                        InstanceState::Ready
                    } else {
                        InstanceState::Off
                    },
                    generation: 0,
                    busy: 0,
                    admitted: 0,
                    inside: 0,
                    queue: parts::Line::default(),
                    pending: parts::Line::default(),
                    tokens: burst,
                    tokens_at: 0,
                    ready_at: None,
                    slowed: 1.0,
                    service: services.len() as u32,
                    locality: *locality,
                    remote,
                    down_by: 0,
                    down_at: 0,
                    restarts: false,
                    threads: parts::Threads::default(),
                });
            }
            services.push(ServicePart {
                work: table.clone(),
                error_rate: service.error_rate,
                added_ns: 0,
                loss: 0.0,
                workers: service.workers,
                max_admitted: service.max_concurrent_requests.max(1),
                max_pending: service.max_pending_requests,
                least_priority: 0,
                rate_per_ns: service
                    .rate_limit
                    .map_or(f64::INFINITY, |l| l.requests_per_second / NS_PER_S),
                burst,
                startup_ns: ns(service.startup_s),
                warm_up_ns: ns(service.warm_up_s),
                cold_factor: service.cold_factor,
                drops_abandoned: service.drops_abandoned,
                proxy: service.proxy.into(),
                crash_noticed_ns: notice(service.noticed.crashed_s),
                unreachable_noticed_ns: notice(service.noticed.unreachable_s),
                first,
                places,
                home,
                live: (0..at_start).chain(home..places).collect(),
                groups: Groups::default(),
                queued: 0,
                ready: at_start,
                ordered: at_start,
                area_at: 0,
                draining: 0,
                busy: 0,
                busy_at: 0,
                busy_ns: 0,
            });
        }
        let at_home = mesh.localities.home();
        let (mut proxies, mut links) = (Vec::new(), Vec::new());
        let (mut edges, mut lanes) = (Vec::new(), Vec::new());
        for edge in &mesh.edges {
            let count = match edge.caller {
                Some(caller) => services[caller].places,
                None => edge.gateway_proxies.max(1),
            };
            let hosts = services[edge.callee].places;
            edges.push(EdgePart {
                callee: edge.callee,
                caller: edge.caller,
                gateway: edge.gateway.into(),
                connect_timeout_ns: ns(edge.connect_timeout_ms / 1e3),
                first_proxy: proxies.len() as u32,
                first_link: links.len() as u32,
                hosts,
                one_way_ns: ns(edge.one_way_ms / 1e3),
                whole_calls: edge.calls.floor() as u32,
                part_call: edge.calls.fract(),
                connect_ns: match edge.connections {
                    crate::Connections::Open => 0,
                    crate::Connections::OneRequest { connect_ms }
                    | crate::Connections::Multiplexed { connect_ms } => ns(connect_ms / 1e3),
                },
            });
            for proxy in 0..count {
                let locality = match edge.caller {
                    Some(caller) => instances[(services[caller].first + proxy) as usize].locality,
                    // The gateway stands in every zone of the region.
                    None => at_home
                        .get(proxy as usize % at_home.len().max(1))
                        .map_or(0, |at| *at as u32),
                };
                // Proxies that go round in turn do not all begin at the same instance.
                proxies.push(Proxy {
                    locality,
                    turn: (mix(options.seed, u64::from(proxy)) >> 32) as u32,
                    ..Proxy::default()
                });
            }
            links.resize(links.len() + (count * hosts) as usize, Link::default());
            for length in [edge.timeout_ms, edge.per_try_timeout_ms] {
                lanes.push(Lane::of(length.map(|ms| ns(ms / 1e3))));
            }
        }
        let entries = mesh
            .entries
            .iter()
            .enumerate()
            .map(|(i, entry)| EntryPart {
                edge: entry.edge as u32,
                count: 0,
                position: 0,
                key: mix(options.seed, i as u64),
                second: u64::MAX,
                burst: 1.0,
                factor: 1.0,
                admission: 1.0,
            })
            .collect();
        let measure_from = ns(options.warm_up_s);
        let ends = measure_from + ns(options.measured_s);
        Ok(Self {
            now: 0,
            measure_from,
            until: ends,
            ends,
            agenda: Agenda::default(),
            lanes,
            edges,
            entries,
            instances,
            proxies,
            links,
            between: ways(mesh),
            calls: Slab::default(),
            works: Slab::default(),
            trace: None,
            faults: Vec::new(),
            controls: Vec::new(),
            run: Run::blank(
                mesh,
                services.iter().map(|service| service.places),
                options.measured_s,
            ),
            services,
            mesh,
        })
    }
}
