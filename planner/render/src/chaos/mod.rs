//! Faults as experiments of chaos tools: the same nouns that are simulated, tried on the real cluster.
//!
//! What a fault becomes is decided here, for both tools; how it is written stands in a module each. A fault that an experiment can only
//! come near is rendered with a note that says where it differs; one that would do something else, or nothing, is refused. Nothing is left out.

mod chaos_mesh;
mod litmus;

use std::collections::BTreeMap;

use foremesh_model::{Fault, FaultKind, Protocol, ProxyMode, ServiceName, Settings};

use crate::{
    RenderError, RenderOptions, Target, check, document::number, kubernetes::Place, policy, ramp,
};

/// What is rendered for a chaos tool.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChaosRequest {
    /// The faults, with times from the start of the experiment.
    pub faults: Vec<Fault>,
    /// Mean milliseconds of each service's own work, where known: by them a slow dependency becomes a delay.
    pub service_times_ms: BTreeMap<ServiceName, f64>,
}

/// Renders faults for `target` ([`Target::ChaosMesh`] or [`Target::Litmus`]): texts by path relative to the folder they belong in.
///
/// # Errors
/// [`RenderError`] when a fault cannot be expressed, names a service that the settings do not hold, or has a number that cannot be; and for a
/// target that renders no faults.
pub fn render_chaos(
    settings: &Settings,
    target: Target,
    request: &ChaosRequest,
    options: &RenderOptions,
) -> Result<BTreeMap<String, String>, RenderError> {
    check::check(settings, options)?;
    if request.faults.is_empty() {
        return Err(RenderError::NoFaults {
            target: target.name(),
        });
    }
    let ramp = ramp::Position::find(settings, options)?;
    let injections = injections(settings, target, request, options)?;
    let (name, text) = match target {
        Target::ChaosMesh => (
            "workflow.yaml",
            chaos_mesh::render(settings, options, &ramp, injections)?,
        ),
        Target::Litmus => (
            "engines.yaml",
            litmus::render(settings, options, &ramp, injections)?,
        ),
        Target::Istio | Target::Envoy | Target::Autoscaling | Target::Hcl | Target::Ansible => {
            return Err(RenderError::RendersNoFaults {
                target: target.name(),
                targets: Target::CHAOS.map(Target::name).join(", "),
            });
        }
    };
    Ok(BTreeMap::from([(name.to_owned(), text)]))
}

/// One fault at one service.
struct Injection<'a> {
    /// Of the fault in the list, from 1.
    number: usize,
    /// Of the service among those that the fault hits, from 1; None: there is no other.
    nth: Option<usize>,
    fault: &'a Fault,
    service: &'a ServiceName,
    place: Place,
    action: Action,
    /// Where it differs from the fault.
    notes: Vec<String>,
}

/// What is done to the instances of a service.
#[derive(Clone, Copy)]
enum Action {
    /// What it sends takes longer.
    Delay { ms: f64 },
    /// A share of the packets that it sends is lost.
    Loss { percent: f64 },
    /// A share of the instances does not run.
    Down { share: f64 },
    /// A share of the instances cannot be reached.
    CutOff { share: f64 },
    /// The instances of one zone and what stands in another cannot reach each other.
    Apart,
    /// A share of the instances has less processor.
    Cpu { share: f64, load_percent: u32 },
    /// A share of the instances runs out of memory.
    Memory { share: f64 },
    /// A share of the answers is an error.
    HttpErrors { rate: f64, port: u16 },
}

impl Injection<'_> {
    /// The name of the fault among all. Short, because both tools put names with endings of their own into labels, which have 63 places.
    fn fault_name(&self) -> String {
        let kind = self.fault.kind.word().replace('_', "-");
        format!("fault-{}-{kind}", self.number)
    }

    /// A name among all injections.
    fn name(&self) -> String {
        match self.nth {
            Some(nth) => format!("{}-{nth}", self.fault_name()),
            None => self.fault_name(),
        }
    }
}

/// Percent in whole numbers, as both tools count instances; at least one.
fn percent(share: f64) -> u32 {
    (share * 100.0).round().clamp(1.0, 100.0) as u32
}

/// A number with at most three places after the point.
fn short(value: f64) -> String {
    number((value * 1e3).round() / 1e3).to_string()
}

fn injections<'a>(
    settings: &'a Settings,
    target: Target,
    request: &'a ChaosRequest,
    options: &RenderOptions,
) -> Result<Vec<Injection<'a>>, RenderError> {
    let mut all = Vec::new();
    for (index, fault) in request.faults.iter().enumerate() {
        check_numbers(index, fault)?;
        let services = services(settings, index, fault)?;
        let several = services.len() > 1;
        for (nth, service) in (1..).zip(services) {
            let (action, notes) = action(settings, target, request, fault, service)?;
            all.push(Injection {
                number: index + 1,
                nth: several.then_some(nth),
                fault,
                service,
                place: Place::of(service, options)?,
                action,
                notes,
            });
        }
    }
    Ok(all)
}

fn check_numbers(index: usize, fault: &Fault) -> Result<(), RenderError> {
    let refuse = |field: &str, value: f64, must: &str| RenderError::Value {
        path: format!("faults[{index}].{field}"),
        value: value.to_string(),
        must: must.trim_start_matches("must be ").to_owned(),
    };
    if let Some((field, value, must)) = fault.kind.fault() {
        return Err(refuse(field, value, must));
    }
    // A day is longer than any experiment, and short enough for every unit of time below.
    for (field, value, least) in [
        ("starts_s", fault.starts_s, 0.0),
        ("duration_s", fault.duration_s, 0.001),
    ] {
        if !(least..=86_400.0).contains(&value) {
            return Err(refuse(field, value, &format!("between {least} and 86400")));
        }
    }
    Ok(())
}

/// The services that a fault hits, in order of name.
fn services<'a>(
    settings: &'a Settings,
    index: usize,
    fault: &Fault,
) -> Result<Vec<&'a ServiceName>, RenderError> {
    let named = fault.kind.service();
    let known = settings
        .services
        .keys()
        .chain(settings.stateful_services.keys());
    let mut found: Vec<&ServiceName> = known
        .filter(|name| named.is_empty() || name.as_str() == named)
        .collect();
    found.sort();
    if found.is_empty() {
        return Err(RenderError::UnknownService {
            path: format!("faults[{index}].service"),
            service: named.into(),
        });
    }
    Ok(found)
}

/// What a fault becomes at a service, and where that differs from the fault.
fn action(
    settings: &Settings,
    target: Target,
    request: &ChaosRequest,
    fault: &Fault,
    service: &ServiceName,
) -> Result<(Action, Vec<String>), RenderError> {
    let refuse = |what: String, cure: String| RenderError::Inexpressible {
        path: format!("fault {:?}", fault.name),
        target: target.name(),
        what,
        cure,
    };
    Ok(match &fault.kind {
        FaultKind::Latency { added_ms, .. } => (Action::Delay { ms: *added_ms }, Vec::new()),
        FaultKind::PacketLoss { rate, .. } => (
            Action::Loss {
                percent: rate * 100.0,
            },
            Vec::new(),
        ),
        FaultKind::Crash { share, .. } => (Action::Down { share: *share }, Vec::new()),
        FaultKind::Partition { share, .. } => (Action::CutOff { share: *share }, Vec::new()),
        FaultKind::Cpu { share, factor, .. } => {
            let load_percent = ((1.0 - 1.0 / factor) * 100.0).round() as u32;
            if load_percent == 0 {
                return Err(refuse(
                    format!("work that takes {factor} times as long"),
                    "give a factor of at least 1.01".into(),
                ));
            }
            let note = format!(
                "one core is kept {load_percent}% busy so that work takes {} times longer on instances limited to one core; where their limit is \
                 higher, raise the workers to as many cores, and without a limit nothing may slow down",
                short(*factor)
            );
            (
                Action::Cpu {
                    share: *share,
                    load_percent,
                },
                vec![note],
            )
        }
        FaultKind::Memory { share, factor, .. } => {
            let note = format!(
                "memory is taken at once and held: how much longer work takes ({} times at last in the simulation) depends on the instances, and \
                 they are killed when they pass their limit, not at the end",
                short(*factor)
            );
            (Action::Memory { share: *share }, vec![note])
        }
        FaultKind::SlowDependency { factor, .. } => {
            let known = request.service_times_ms.get(service).copied();
            let Some(own_ms) = known.filter(|ms| *ms > 0.0 && *factor > 1.0) else {
                return Err(refuse(
                    format!(
                        "work of {service} that takes {factor} times as long: how long it takes is not known, or nothing changes"
                    ),
                    format!(
                        "write latency:{service},added_ms=… with the milliseconds that it shall take longer"
                    ),
                ));
            };
            let ms = (factor - 1.0) * own_ms;
            let note = format!(
                "what {service} sends is delayed by {} ms, {} times its own {} ms of work less the work itself: in the simulation its workers \
                 are held as long, here they are free, so no queue grows before them",
                short(ms),
                short(*factor),
                short(own_ms)
            );
            (Action::Delay { ms }, vec![note])
        }
        FaultKind::LocalityPartition { locality, other } => {
            for name in [locality, other] {
                if zone(settings, name).is_none() {
                    return Err(refuse(
                        format!(
                            "a cut between {locality:?} and {other:?}: {name:?} is no zone of the plan, and only zones of one cluster can be told apart"
                        ),
                        format!(
                            "write locality_partition:ZONE,other=ZONE with two of {}",
                            zones(settings).join(", ")
                        ),
                    ));
                }
            }
            if target != Target::ChaosMesh {
                return Err(refuse(
                    "a cut between two zones: its experiments choose no instances by zone".into(),
                    format!(
                        "render it for {}, or write partition:SERVICE,share=…",
                        Target::ChaosMesh.name()
                    ),
                ));
            }
            (Action::Apart, Vec::new())
        }
        FaultKind::Errors { rate, .. } => {
            (http_errors(settings, service, *rate, &refuse)?, Vec::new())
        }
        FaultKind::RetryStorm { factor, .. } => {
            return Err(refuse(
                "more requests from outside: it breaks what is inside".into(),
                format!(
                    "send {} times the usual requests with a load generator, and render the other faults",
                    short(*factor)
                ),
            ));
        }
        FaultKind::ColdCache { .. } => {
            return Err(refuse(
                "an empty cache that fills again: which process holds it and how it is emptied is the service's own matter".into(),
                format!("empty the cache by the service's own means, or write slow_dependency:{service},factor=… for the time after"),
            ));
        }
    })
}

/// The zones that the plan's entries name.
fn zones(settings: &Settings) -> Vec<&str> {
    let entries = settings.entries.values();
    let mut all: Vec<&str> = entries
        .flat_map(|entry| &entry.localities)
        .map(|locality| locality.locality.as_str())
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// A zone's own name, as nodes carry it: localities are written `region/zone`.
fn zone<'a>(settings: &Settings, locality: &'a str) -> Option<&'a str> {
    let known = zones(settings).contains(&locality);
    let own = locality.rsplit('/').next().unwrap_or(locality);
    known.then_some(own)
}

/// Errors are written into answers by a proxy of the tool, which sees nothing where the mesh has its own (chaos-mesh/chaos-mesh#4389,
/// litmuschaos/litmus-go#622): the experiment would succeed without doing anything.
fn http_errors(
    settings: &Settings,
    service: &ServiceName,
    rate: f64,
    refuse: &dyn Fn(String, String) -> RenderError,
) -> Result<Action, RenderError> {
    let (protocol, port) = match (
        settings.services.get(service),
        settings.stateful_services.get(service),
    ) {
        (Some(planned), _) => (planned.protocol, planned.port),
        (None, Some(stateful)) => (stateful.protocol, stateful.port),
        (None, None) => (Protocol::Tcp, 0),
    };
    if protocol != Protocol::Http {
        return Err(refuse(
            format!("failing answers of {service}, which does not speak HTTP/1.1"),
            format!("write crash:{service},share=… or packet_loss:{service},rate=…"),
        ));
    }
    if policy::proxy_mode(settings, service) != ProxyMode::None {
        return Err(refuse(
            format!(
                "failing answers of {service} behind a proxy of the mesh: its own would see encrypted traffic and change nothing"
            ),
            format!(
                "let the mesh do it for a while: fault.abort with httpStatus 500 and percentage {} in the VirtualService of {service}",
                short(rate * 100.0)
            ),
        ));
    }
    Ok(Action::HttpErrors { rate, port })
}
