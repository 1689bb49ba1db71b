//! The discrete-event core: integer nanoseconds, one heap, slabs, keyed random numbers. One run is single-threaded; replications run
//! beside each other.
//!
//! A request comes to an entry and becomes a call of the gateway. A call is an attempt after another: the caller's proxy checks its
//! limits, chooses an instance, finds a connection, sends (`client`). At the instance the proxy admits, queues or refuses, a worker
//! does the work, further calls are made, the answer goes back (`server`). Proxies judge instances (`health`).

mod agenda;
mod balance;
mod client;
mod control;
mod faults;
mod health;
mod instances;
mod parts;
mod server;

use agenda::{Agenda, Kind, Lane};
use foremesh_model::random::{mix, uniform};
use parts::{Call, Instance, InstanceState, Link, NONE, Proxy, Slab, Work};

use crate::{
    Arrivals, Mesh, Outcome, SimulateError,
    controller::Controller,
    quantiles::Quantiles,
    stats::{EdgeRun, EntryRun, Latencies, Run, ServiceRun},
};

/// Nanoseconds of a second.
pub(crate) const NS_PER_S: f64 = 1e9;

/// What a draw is for: part of its key.
pub(crate) mod purpose {
    pub const ARRIVAL: u64 = 1;
    pub const BURST: u64 = 2;
    pub const CALLS: u64 = 3;
    pub const CHOICE: u64 = 4;
    pub const WORK: u64 = 5;
    pub const ERROR: u64 = 6;
    pub const BACKOFF: u64 = 7;
    pub const ATTEMPT: u64 = 8;
    pub const CHILD: u64 = 9;
    pub const WAY: u64 = 10;
    pub const ADMISSION: u64 = 11;
    pub const PRIORITY: u64 = 12;
    pub const GATEWAY: u64 = 13;
    pub const STORM: u64 = 14;
}

/// How long is simulated, and with which seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunOptions {
    /// Seconds that are measured.
    pub measured_s: f64,
    /// Seconds before them that are simulated and not measured.
    pub warm_up_s: f64,
    /// Seed of every random number.
    pub seed: u64,
}

/// What of a service the core needs at hand.
struct ServicePart {
    work: Quantiles,
    error_rate: f64,
    /// By faults: added on the way, share of packets lost.
    added_ns: u64,
    loss: f64,
    workers: u32,
    max_admitted: u32,
    max_pending: u32,
    /// By controllers: requests of a lower priority are refused.
    least_priority: u32,
    rate_per_ns: f64,
    burst: f64,
    startup_ns: u64,
    warm_up_ns: u64,
    cold_factor: f64,
    drops_abandoned: bool,
    /// The first of its instances among all, and how many places it has.
    first: u32,
    places: u32,
    /// Instances that take requests, counted within the service.
    live: Vec<u32>,
    /// Requests in queues, since when, for the area under the queue.
    queued: u32,
    ready: u32,
    ordered: u32,
    area_at: u64,
}

/// What of an edge the core needs at hand.
struct EdgePart {
    callee: u32,
    /// Of the proxies and links of this edge among all.
    first_proxy: u32,
    first_link: u32,
    /// Links of one proxy.
    hosts: u32,
    one_way_ns: u64,
    whole_calls: u32,
    part_call: f64,
    connect_ns: u64,
}

/// The next request of an entry.
struct EntryPart {
    edge: u32,
    /// Requests so far.
    count: u64,
    /// Step of the rates and place in the record.
    position: usize,
    key: u64,
    second: u64,
    burst: f64,
    /// By faults: how many times the usual requests come.
    factor: f64,
    /// By controllers: share of the requests that are let in.
    admission: f64,
}

pub(crate) struct Engine<'a> {
    mesh: &'a Mesh,
    now: u64,
    measure_from: u64,
    ends: u64,
    agenda: Agenda,
    /// Two of each edge: whole calls and attempts.
    lanes: Vec<Lane>,
    services: Vec<ServicePart>,
    edges: Vec<EdgePart>,
    entries: Vec<EntryPart>,
    instances: Vec<Instance>,
    proxies: Vec<Proxy>,
    links: Vec<Link>,
    calls: Slab<Call>,
    works: Slab<Work>,
    faults: Vec<faults::FaultPart>,
    controls: Vec<control::ControlPart>,
    run: Run,
}

/// Simulates a mesh once.
///
/// # Errors
/// [`SimulateError`] when a number, a name or an index of the mesh cannot be, or nothing ever comes.
pub fn simulate(mesh: &Mesh, options: &RunOptions) -> Result<Run, SimulateError> {
    simulate_with(mesh, options, Vec::new())
}

/// Simulates a mesh once, with controllers that react.
///
/// # Errors
/// As [`simulate`].
pub fn simulate_with(
    mesh: &Mesh,
    options: &RunOptions,
    controllers: Vec<Box<dyn Controller>>,
) -> Result<Run, SimulateError> {
    mesh.check()?;
    simulate_prepared(mesh, &tables(mesh)?, options, controllers)
}

/// The quantiles of every service's work: they take longer to make than a short run, so that replications and windows share them.
///
/// # Errors
/// [`SimulateError`] when a time cannot be.
pub fn tables(mesh: &Mesh) -> Result<Vec<Quantiles>, SimulateError> {
    mesh.services.iter().map(|s| s.work.table()).collect()
}

/// A run of a mesh that was checked ([`Mesh::check`]) and whose tables were made ([`tables`]).
///
/// # Errors
/// As [`simulate`].
pub fn simulate_prepared(
    mesh: &Mesh,
    tables: &[Quantiles],
    options: &RunOptions,
    controllers: Vec<Box<dyn Controller>>,
) -> Result<Run, SimulateError> {
    let mut engine = Engine::new(mesh, tables, options)?;
    engine.start(options.seed)?;
    engine.employ_controllers(controllers);
    while engine.step() {}
    Ok(engine.finish())
}

fn ns(seconds: f64) -> u64 {
    (seconds * NS_PER_S).round().clamp(0.0, 1e19) as u64
}

impl<'a> Engine<'a> {
    fn new(
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
            let places = service.most_instances();
            let at_start = service
                .instances
                .first()
                .filter(|s| s.starts_s <= 0.0)
                .map_or(0, |s| s.instances);
            let first = instances.len() as u32;
            let burst = service
                .rate_limit
                .map_or(0.0, |limit| f64::from(limit.burst.max(1)));
            for place in 0..places {
                let ready = place < at_start;
                instances.push(Instance {
                    state: if ready {
                        InstanceState::Ready
                    } else {
                        InstanceState::Off
                    },
                    generation: 0,
                    busy: 0,
                    admitted: 0,
                    queue: parts::Line::default(),
                    pending: parts::Line::default(),
                    tokens: burst,
                    tokens_at: 0,
                    ready_at: None,
                    slowed: 1.0,
                    service: services.len() as u32,
                    down_by: 0,
                    restarts: false,
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
                first,
                places,
                live: (0..at_start).collect(),
                queued: 0,
                ready: at_start,
                ordered: at_start,
                area_at: 0,
            });
        }
        let (mut proxies, mut links) = (Vec::new(), Vec::new());
        let (mut edges, mut lanes) = (Vec::new(), Vec::new());
        for edge in &mesh.edges {
            let count = match edge.caller {
                Some(caller) => services[caller].places,
                None => edge.gateway_proxies.max(1),
            };
            let hosts = services[edge.callee].places;
            edges.push(EdgePart {
                callee: edge.callee as u32,
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
                // Proxies that go round in turn do not all begin at the same instance.
                proxies.push(Proxy {
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
        Ok(Self {
            now: 0,
            measure_from,
            ends: measure_from + ns(options.measured_s),
            agenda: Agenda::default(),
            lanes,
            edges,
            entries,
            instances,
            proxies,
            links,
            calls: Slab::default(),
            works: Slab::default(),
            faults: Vec::new(),
            controls: Vec::new(),
            run: Run {
                measured_s: options.measured_s,
                entries: mesh.entries.iter().map(|_| EntryRun::new()).collect(),
                edges: mesh
                    .edges
                    .iter()
                    .map(|_| EdgeRun {
                        latency: Latencies::new(2),
                        outcomes: [0; Outcome::COUNT],
                        attempts: 0,
                        ejections: 0,
                        connections: 0,
                    })
                    .collect(),
                services: vec![ServiceRun::default(); mesh.services.len()],
                events: 0,
                roots: 0,
                most_open_calls: 0,
            },
            services,
            mesh,
        })
    }

    fn start(&mut self, seed: u64) -> Result<(), SimulateError> {
        self.plan_faults(seed)?;
        for entry in 0..self.entries.len() {
            self.schedule_root(entry);
        }
        for (service, model) in self.mesh.services.iter().enumerate() {
            for (step, change) in model.instances.iter().enumerate() {
                if change.starts_s > 0.0 {
                    self.agenda.put(
                        ns(change.starts_s),
                        Kind::Instances,
                        service as u32,
                        step as u32,
                        0,
                    );
                }
            }
        }
        Ok(())
    }

    /// Does what is next; false at the end.
    fn step(&mut self) -> bool {
        let Some(event) = self.agenda.next() else {
            return false;
        };
        if event.at >= self.ends {
            return false;
        }
        self.now = event.at;
        self.run.events += 1;
        let (id, generation) = (event.id, event.generation);
        match event.kind {
            Kind::Root => self.root(id as usize),
            Kind::Arrive => self.arrive(id),
            Kind::Done => self.done(id, generation),
            Kind::Reply => self.reply(id, generation, Outcome::of(event.outcome)),
            Kind::Connected => self.connected(id, generation),
            Kind::Spare => self.spare_open(id, generation),
            Kind::Retry => self.retry(id, generation),
            Kind::Lane => self.lane_due(id as usize),
            Kind::Instances => self.change_instances(id as usize, generation as usize),
            Kind::Ready => self.ready(id, generation),
            Kind::Fault => self.fault(id as usize),
            Kind::Control => self.control(id as usize),
        }
        true
    }

    fn finish(mut self) -> Run {
        self.now = self.ends;
        for service in 0..self.services.len() {
            self.area(service);
        }
        for (entry, model) in self.run.entries.iter_mut().zip(&self.mesh.entries) {
            entry.close_minute(&model.slo);
        }
        for work in &self.works.places {
            if work.state == parts::WorkState::Working {
                let held = self.ends.saturating_sub(work.since.max(self.measure_from));
                self.run.services[work.service as usize].busy_s += held as f64 / NS_PER_S;
            }
        }
        self.run
    }

    #[inline]
    fn measured(&self) -> bool {
        self.now >= self.measure_from
    }

    /// Adds the area under queue, readiness and cost of a service since its last change.
    fn area(&mut self, service: usize) {
        let part = &mut self.services[service];
        let from = part.area_at.max(self.measure_from);
        if self.now > from {
            let seconds = (self.now - from) as f64 / NS_PER_S;
            let run = &mut self.run.services[service];
            run.queued_s += seconds * f64::from(part.queued);
            run.offered_s += seconds * f64::from(part.ready) * f64::from(part.workers);
            run.instance_s += seconds * f64::from(part.ordered);
        }
        part.area_at = self.now;
    }

    fn root(&mut self, entry: usize) {
        self.enter(entry);
        if let Arrivals::Replay(_) = self.mesh.entries[entry].arrivals {
            // A recorded request in a storm comes as often as the storm says; Poisson arrivals come at a higher rate.
            let part = &self.entries[entry];
            let more = part.factor - 1.0;
            let chance = uniform(mix(mix(part.key, purpose::STORM), part.count));
            for _ in 0..(more.max(0.0) + chance) as u32 {
                self.enter(entry);
            }
        }
        self.schedule_root(entry);
    }

    /// A request comes from outside.
    fn enter(&mut self, entry: usize) {
        let part = &mut self.entries[entry];
        let stream = mix(part.key, part.count);
        part.count += 1;
        let edge = part.edge;
        self.run.roots += 1;
        for control in &mut self.controls {
            control.entries[entry].offered += 1;
        }
        let admission = self.entries[entry].admission;
        if admission < 1.0 && uniform(mix(stream, purpose::ADMISSION)) >= admission {
            if self.measured() {
                let slo = &self.mesh.entries[entry].slo;
                let since = self.now - self.measure_from;
                self.run.entries[entry].record(since, 0, Outcome::RateLimited, slo);
            }
            return;
        }
        // Connections from outside are spread over the gateway's proxies, by a draw of their own: the choice of an instance by hash must not
        // follow from the proxy.
        let proxies = u64::from(self.mesh.edges[edge as usize].gateway_proxies.max(1));
        let proxy = ((mix(stream, purpose::GATEWAY) >> 32) * proxies) >> 32;
        let priority = (mix(stream, purpose::PRIORITY) >> 32) as u32;
        self.start_call(edge, proxy as u32, NONE, entry as u32, priority, stream);
    }

    /// Puts the next request of an entry on the agenda.
    fn schedule_root(&mut self, entry: usize) {
        let part = &mut self.entries[entry];
        let at = match &self.mesh.entries[entry].arrivals {
            Arrivals::Replay(times) => {
                let at = times.get(part.position).copied();
                part.position += 1;
                at
            }
            Arrivals::Poisson {
                step_s,
                rates_rps,
                dispersion,
            } => next_poisson(part, self.now, self.ends, *step_s, rates_rps, *dispersion),
        };
        if let Some(at) = at {
            self.agenda
                .put(at.max(self.now), Kind::Root, entry as u32, 0, 0);
        }
    }
}

/// The next arrival of a Poisson process whose rate changes by step, and where arrivals come in bursts also by second: a unit
/// exponential is spent at the rate of each piece until it is used up.
fn next_poisson(
    part: &mut EntryPart,
    now: u64,
    ends: u64,
    step_s: f64,
    rates_rps: &[f64],
    dispersion: f64,
) -> Option<u64> {
    let mut left = -uniform(mix(mix(part.key, purpose::ARRIVAL), part.count)).ln();
    let mut at = now as f64;
    let bursty = dispersion > 1.0;
    let step_ns = step_s * NS_PER_S;
    while (at as u64) < ends {
        let step = (at / step_ns) as usize;
        let rate = rates_rps.get(step).or(rates_rps.last()).copied()?;
        let mut piece_ends = if step + 1 < rates_rps.len() {
            (step + 1) as f64 * step_ns
        } else {
            f64::INFINITY
        };
        let mut rate_here = rate * part.factor;
        if bursty {
            let second = (at / NS_PER_S) as u64;
            if part.second != second {
                part.second = second;
                part.burst = burst(mix(mix(part.key, purpose::BURST), second), rate, dispersion);
            }
            rate_here *= part.burst;
            piece_ends = piece_ends.min((second + 1) as f64 * NS_PER_S);
        }
        let per_ns = rate_here / NS_PER_S;
        let until = left / per_ns;
        if per_ns > 0.0 && at + until < piece_ends {
            return Some((at + until).round() as u64);
        }
        if piece_ends.is_infinite() {
            return None;
        }
        left -= (piece_ends - at) * per_ns;
        at = piece_ends;
    }
    None
}

/// The factor of a second's rate: gamma with mean 1 and the variance that gives counts of a second the dispersion asked for.
fn burst(key: u64, rate: f64, dispersion: f64) -> f64 {
    if rate <= 0.0 {
        return 1.0;
    }
    // Var(N)/E(N) = 1 + rate·Var(factor).
    let variance = (dispersion - 1.0) / rate;
    gamma_draw(key, 1.0 / variance) * variance
}

/// A gamma variable of scale 1 (Marsaglia & Tsang, *A simple method for generating gamma variables*, 2000).
fn gamma_draw(key: u64, shape: f64) -> f64 {
    if shape < 1.0 {
        let boost = uniform(mix(key, 0)).powf(1.0 / shape);
        return boost * gamma_draw(mix(key, 1), shape + 1.0);
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    for round in 0..64u64 {
        let key = mix(key, round + 2);
        let (u, v) = (uniform(mix(key, 1)), uniform(mix(key, 2)));
        let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
        let cube = (1.0 + c * normal).powi(3);
        let accept = uniform(mix(key, 3));
        if cube > 0.0 && accept.ln() < 0.5 * normal * normal + d - d * cube + d * cube.ln() {
            return d * cube;
        }
    }
    shape
}
