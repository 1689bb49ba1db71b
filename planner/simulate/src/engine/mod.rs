//! The discrete-event core: integer nanoseconds, one heap, slabs, keyed random numbers. One run is single-threaded; replications run
//! beside each other.
//!
//! A request comes to an entry and becomes a call of the gateway. A call is an attempt after another: the caller's proxy checks its
//! limits, chooses an instance, finds a connection, sends (`client`). At the instance the proxy admits, queues or refuses, a worker
//! does the work, further calls are made, the answer goes back (`server`). Proxies judge instances (`health`).

mod agenda;
mod arrivals;
mod balance;
mod build;
mod client;
mod connections;
mod control;
mod course;
mod faults;
mod health;
mod instances;
mod localities;
mod parts;
mod retries;
mod rotation;
mod server;
mod stages;
mod trace;

pub use course::{Course, Prepared};

use agenda::{Agenda, Kind, Lane};
use parts::{Call, Instance, Link, Proxy, Slab, Work};

use crate::{
    Mesh, Outcome, ProxyModel, SimulateError, controller::Controller, quantiles::Quantiles,
    stats::Run, trace::TraceSample,
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
    pub const LOCALITY: u64 = 15;
    pub const RAMP: u64 = 16;
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
    proxy: ProxyPart,
    /// Until those that are down are no endpoints any more; None: they stay.
    crash_noticed_ns: Option<u64>,
    unreachable_noticed_ns: Option<u64>,
    /// The first of its instances among all, how many places it has, and how many of them are not elsewhere: those come first.
    first: u32,
    places: u32,
    home: u32,
    /// Instances that take requests, counted within the service.
    live: Vec<u32>,
    groups: localities::Groups,
    /// Requests in queues, since when, for the area under the queue.
    queued: u32,
    ready: u32,
    /// Those that take no more and finish what they have.
    draining: u32,
    ordered: u32,
    area_at: u64,
    /// Busy workers, since when, and the nanoseconds of all until then.
    busy: u64,
    busy_at: u64,
    busy_ns: u64,
}

/// What a proxy spends on a request.
#[derive(Debug, Clone, Copy)]
struct ProxyPart {
    cost_ns: u64,
    threads: u64,
}

impl From<ProxyModel> for ProxyPart {
    fn from(model: ProxyModel) -> Self {
        Self {
            cost_ns: ns(model.cost_ms / 1e3),
            threads: u64::from(model.threads.clamp(1, ProxyModel::MOST_THREADS)),
        }
    }
}

/// The way from one locality to another.
#[derive(Debug, Clone, Copy)]
struct Way {
    ns: u64,
    cut: bool,
    /// Bytes on it cost money.
    other_region: bool,
}

/// What of an edge the core needs at hand.
struct EdgePart {
    callee: usize,
    caller: Option<usize>,
    gateway: ProxyPart,
    connect_timeout_ns: u64,
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
    /// Where it stops to be looked at.
    until: u64,
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
    /// From each locality to each; empty: everything stands together.
    between: Vec<Way>,
    calls: Slab<Call>,
    works: Slab<Work>,
    faults: Vec<faults::FaultPart>,
    controls: Vec<control::ControlPart>,
    trace: Option<trace::Recorder>,
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
    simulate_recorded(mesh, tables, options, controllers, None).map(|(run, _)| run)
}

/// The same, and, where they are wanted, traces of so many of its requests.
pub(crate) fn simulate_recorded(
    mesh: &Mesh,
    tables: &[Quantiles],
    options: &RunOptions,
    controllers: Vec<Box<dyn Controller>>,
    traces: Option<usize>,
) -> Result<(Run, Option<TraceSample>), SimulateError> {
    let mut engine = Engine::new(mesh, tables, options)?;
    engine.trace = traces.map(trace::Recorder::new);
    engine.start(options.seed)?;
    engine.employ_controllers(controllers);
    while engine.step() {}
    let sample = engine.trace.take().map(trace::Recorder::finish);
    Ok((engine.finish(), sample))
}

fn ns(seconds: f64) -> u64 {
    (seconds * NS_PER_S).round().clamp(0.0, 1e19) as u64
}

impl Engine<'_> {
    fn start(&mut self, seed: u64) -> Result<(), SimulateError> {
        (0..self.services.len()).for_each(|service| self.regroup(service));
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
        let Some(event) = self.agenda.next_before(self.until) else {
            return false;
        };
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
            Kind::Unlist => self.unlist(id, generation),
            Kind::Fault => self.fault(id as usize),
            Kind::Control => self.control(id as usize),
        }
        true
    }

    fn finish(mut self) -> Run {
        self.close();
        let nothing = Run::blank(self.mesh, std::iter::empty(), 0.0);
        let mut run = std::mem::replace(&mut self.run, nothing);
        self.sum_up(&mut run);
        run
    }

    /// Adds up what lasts, until where it stops.
    fn close(&mut self) {
        self.now = self.until;
        for service in 0..self.services.len() {
            self.area(service);
        }
    }

    /// Counts those that have waited too long, and judges minutes.
    fn sum_up(&self, run: &mut Run) {
        for call in &self.calls.places {
            let open = call.state != parts::CallState::Free && call.parent == parts::NONE;
            if !open || call.started < self.measure_from {
                continue;
            }
            // Who has waited for longer than the objective allows is not answered in time, whatever would come yet.
            let slo = &self.mesh.entries[call.entry as usize].slo;
            let (came, waited) = (call.started - self.measure_from, self.now - call.started);
            if waited as f64 > slo.latency_ms * 1e6 {
                run.entries[call.entry as usize].record(came, waited, Outcome::Unanswered, slo);
            }
        }
        for (entry, model) in run.entries.iter_mut().zip(&self.mesh.entries) {
            entry.judge(&model.slo);
        }
    }

    #[inline]
    fn measured(&self) -> bool {
        self.now >= self.measure_from
    }

    /// So many more workers of a service are busy, or fewer.
    #[inline]
    fn busy(&mut self, service: usize, change: i64) {
        let part = &mut self.services[service];
        let from = part.busy_at.max(self.measure_from);
        part.busy_ns += (self.now - part.busy_at) * part.busy;
        if self.now > from {
            let seconds = (self.now - from) as f64 / NS_PER_S;
            self.run.services[service].busy_s += seconds * part.busy as f64;
        }
        part.busy_at = self.now;
        part.busy = part.busy.saturating_add_signed(change);
    }

    /// Adds the area under queue, readiness and cost of a service since its last change.
    fn area(&mut self, service: usize) {
        self.busy(service, 0);
        let part = &mut self.services[service];
        let from = part.area_at.max(self.measure_from);
        if self.now > from {
            let seconds = (self.now - from) as f64 / NS_PER_S;
            let run = &mut self.run.services[service];
            run.queued_s += seconds * f64::from(part.queued);
            run.offered_s +=
                seconds * f64::from(part.ready + part.draining) * f64::from(part.workers);
            run.instance_s += seconds * f64::from(part.ordered + part.draining);
            let planned = f64::from(self.mesh.services[service].workers.max(1));
            run.paid_instance_s += seconds
                * f64::from(part.ordered + part.draining)
                * (f64::from(part.workers) / planned);
        }
        part.area_at = self.now;
    }

    /// Counts one more in a queue of a service.
    #[inline]
    fn queued(&mut self, service: usize) {
        self.area(service);
        self.services[service].queued += 1;
        let most = &mut self.run.services[service].most_queued;
        *most = (*most).max(self.services[service].queued);
    }
}
