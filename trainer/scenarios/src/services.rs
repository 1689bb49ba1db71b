//! What one instance of each service can do and costs.
//!
//! Own time and workers follow from one cause, so that what an instance sustains is what an instance of such a size does: the processor time of a
//! request, the cores of an instance, and the time a request waits for something that is no service of the mesh. Runtimes that
//! work in processes wait with a worker each and have few; those with an event loop have many.

use foremesh_model::{Capacity, Criticality, Protocol, Service};

use crate::random::{Random, significant, significant_up};

/// What nobody need know of a service, and what it really is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Truth {
    pub own_ms: f64,
    pub cv2: f64,
}

/// What is known of the place of a service.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub is_entry: bool,
    /// It may be made a store: it calls nobody, and nobody said what it is.
    pub may_store: bool,
    /// Visits for each request that enters the region, on average.
    pub visits: f64,
    /// Requests a second in the busiest hour that capacity is bought for.
    pub bought_rps: f64,
}

#[derive(Clone, Copy)]
enum Runtime {
    Processes,
    Threads,
    EventLoop,
}

/// What the services of a region have in common.
pub(crate) struct Landscape {
    store_share: f64,
    /// Share of the fields that nobody knows.
    gap: f64,
    /// Services whose maximum is below what they may need.
    binding: f64,
    work_ms: f64,
}

impl Landscape {
    pub fn drawn(gap: f64, services: usize, random: &mut Random) -> Self {
        Self {
            store_share: random.between(0.2, 0.85),
            gap,
            binding: if random.chance(0.07) {
                1.5 / services as f64
            } else {
                0.0
            },
            work_ms: random.log_normal(1.8, 0.5),
        }
    }

    /// Fills what is unknown of a service.
    pub fn fill(&self, service: &mut Service, place: Place, random: &mut Random) -> Truth {
        let becomes_store = random.chance(self.store_share);
        if place.may_store && becomes_store {
            service.protocol = Protocol::Tcp;
        } else if service.protocol == Protocol::Http {
            service.protocol = random.of_weighted(
                &[
                    (Protocol::Http, 0.55),
                    (Protocol::Grpc, 0.35),
                    (Protocol::Http2, 0.1),
                ],
                Protocol::Http,
            );
        }
        let criticality = random.of_weighted(
            &[
                (
                    Criticality::Critical,
                    if place.is_entry { 0.4 } else { 0.15 },
                ),
                (Criticality::Standard, 0.6),
                (
                    Criticality::Deferrable,
                    if place.is_entry { 0.05 } else { 0.2 },
                ),
            ],
            Criticality::Standard,
        );
        if service.criticality == Criticality::Standard {
            service.criticality = criticality;
        }
        if service.is_stateful() {
            self.store(service, place, random)
        } else {
            self.stateless(service, place, random)
        }
    }

    fn stateless(&self, service: &mut Service, place: Place, random: &mut Random) -> Truth {
        let runtime = random.of_weighted(
            &[
                (Runtime::Processes, 0.25),
                (Runtime::Threads, 0.4),
                (Runtime::EventLoop, 0.35),
            ],
            Runtime::Threads,
        );
        let cores: f64 = random.of_weighted(
            &[
                (0.1, 0.05),
                (0.25, 0.25),
                (0.5, 0.3),
                (1.0, 0.25),
                (2.0, 0.1),
                (4.0, 0.05),
            ],
            0.5,
        );
        // What every request asks for was made fast, reports and the like were not; so was what would need instances without end.
        let work_ms =
            random.log_normal(self.work_ms, 0.9) / (5.0 * place.visits).max(1.0).powf(0.35);
        let fleet = random.log_between(50.0, 300.0);
        let work_ms = work_ms.min(fleet * 800.0 * cores / place.bought_rps.max(1e-9));
        // Time that a request waits for something outside the mesh, as a multiple of its work; what takes a start-up of a compiler
        // and caches takes longer to start.
        let (waits, startup_s, cv2) = match runtime {
            Runtime::Processes => ((0.3, 4.0), (12.0, 0.8), 1.0),
            Runtime::Threads => ((0.5, 8.0), (45.0, 0.7), 1.0),
            Runtime::EventLoop => ((2.0, 25.0), (6.0, 0.8), 0.8),
        };
        let waits = random.log_between(waits.0, waits.1);
        let startup_s = random.log_normal(startup_s.0, startup_s.1);
        let own_ms = significant(
            (work_ms * (1.0 / f64::min(cores, 1.0) + waits)).clamp(0.3, 300.0),
            3,
        );
        let at_once = (cores * own_ms / work_ms).round().clamp(1.0, 64.0);
        let cv2 = significant(random.log_normal(cv2, 0.6).clamp(0.2, 6.0), 2);
        let drawn = Capacity {
            service_time_mean_ms: Some(own_ms),
            service_time_cv2: Some(cv2),
            concurrency: Some(at_once as u32),
            startup_s: Some(significant(startup_s.clamp(1.0, 300.0), 2)),
            warm_up_s: Some(match runtime {
                Runtime::Threads => significant(random.log_normal(30.0, 0.8).clamp(1.0, 240.0), 2),
                _ if random.chance(0.6) => 0.0,
                _ => significant(random.log_between(1.0, 60.0), 2),
            }),
            instance_cost_per_hour: Some(hourly_cost(cores, random)),
            cache_affinity: random.chance(0.04).then_some(true),
            ..Capacity::default()
        };
        let measured = significant(drawn.saturation_rps() * random.between(0.85, 1.05), 3);
        let was_measured = random.chance(0.15);
        let (fewest, most) = self.bounds(place, &drawn, random);
        let known = self.known(drawn, random);
        service.capacity = service.capacity.or(&Capacity {
            capacity_rps: was_measured.then_some(measured),
            min_instances: fewest,
            max_instances: most,
            ..known
        });
        self.consistent(service);
        service.port = service.port.or(Some(8080));
        Truth { own_ms, cv2 }
    }

    /// A database, a cache or a broker: as large as its operators made it for what it is asked.
    fn store(&self, service: &mut Service, place: Place, random: &mut Random) -> Truth {
        let own_ms = significant(random.log_normal(1.2, 0.8).clamp(0.3, 30.0), 3);
        let cv2 = significant(random.log_normal(1.5, 0.6).clamp(0.2, 6.0), 2);
        let at_once = random.log_between(8.0, 64.0).round();
        let drawn = Capacity {
            service_time_mean_ms: Some(own_ms),
            service_time_cv2: Some(cv2),
            concurrency: Some(at_once as u32),
            instance_cost_per_hour: Some(hourly_cost(
                random.of_weighted(&[(1.0, 0.3), (2.0, 0.4), (4.0, 0.3)], 2.0),
                random,
            )),
            ..Capacity::default()
        };
        let connections = significant(random.log_between(100.0, 8_000.0), 2) as u32;
        let limits_them = random.chance(0.4);
        // Nobody says what one database in three bears.
        let measured = !random.chance(0.35);
        let busy = random.between(0.05, 0.65);
        service.capacity = service.capacity.or(&Capacity {
            concurrency: drawn.concurrency.filter(|_| measured),
            max_connections: limits_them.then_some(connections),
            ..self.known(drawn, random)
        });
        let at_least = random.of_weighted(&[(1u32, 0.4), (2, 0.2), (3, 0.4)], 1);
        // Where nobody says its own time, the plan takes the default or what callers saw; it bears what is asked either way.
        let known = &service.capacity;
        let slowest_ms = known.service_time_mean_ms().max(1.5 * own_ms);
        let sustained = f64::from(known.concurrency()) * 1000.0 / slowest_ms;
        let needed = place.bought_rps / (known.capacity_rps.unwrap_or(sustained) * busy);
        let there_are = (needed.ceil().clamp(1.0, 1e6) as u32).max(at_least);
        service.instances = service.instances.or(Some(there_are));
        Truth { own_ms, cv2 }
    }

    /// The fewest and the most instances. The most is ample but for a few services of a few regions.
    fn bounds(
        &self,
        place: Place,
        capacity: &Capacity,
        random: &mut Random,
    ) -> (Option<u32>, Option<u32>) {
        let fewest = random.of_weighted(
            &[
                (None, 0.3),
                (Some(1), 0.5),
                (Some(2), 0.15),
                (Some(3), 0.05),
            ],
            None,
        );
        let needed = place.bought_rps / (0.7 * capacity.saturation_rps());
        let ample = significant_up(5.0 + needed * random.between(2.0, 8.0), 1) as u32;
        let says_so = random.chance(0.35);
        let tight = (needed * random.between(0.8, 1.3)).ceil().max(1.0) as u32;
        let most = if random.chance(self.binding) && !place.is_entry {
            Some(tight)
        } else {
            says_so.then_some(ample)
        };
        (fewest, most)
    }

    /// What somebody knows of a capacity.
    fn known(&self, drawn: Capacity, random: &mut Random) -> Capacity {
        let nothing = random.chance(0.3 * self.gap);
        let mut keep = |more: f64| !(random.chance(self.gap + more) || nothing);
        Capacity {
            service_time_mean_ms: drawn.service_time_mean_ms.filter(|_| keep(0.0)),
            service_time_cv2: drawn.service_time_cv2.filter(|_| keep(0.15)),
            concurrency: drawn.concurrency.filter(|_| keep(0.0)),
            startup_s: drawn.startup_s.filter(|_| keep(0.0)),
            warm_up_s: drawn.warm_up_s.filter(|_| keep(0.15)),
            instance_cost_per_hour: drawn.instance_cost_per_hour.filter(|_| keep(0.1)),
            ..drawn
        }
    }

    /// A given maximum and a drawn minimum may contradict each other.
    fn consistent(&self, service: &mut Service) {
        let capacity = &mut service.capacity;
        if capacity.min_instances() > capacity.max_instances() {
            capacity.min_instances = capacity.max_instances;
        }
    }
}

/// What an instance of so many cores costs: on demand mostly, spare capacity at a third, a few with special hardware.
fn hourly_cost(cores: f64, random: &mut Random) -> f64 {
    let class = random.of_weighted(&[(1.0, 0.75), (0.35, 0.15), (1.8, 0.08), (12.0, 0.02)], 1.0);
    let memory = random.between(0.7, 1.6);
    significant(0.045 * cores * class * memory, 2)
}
