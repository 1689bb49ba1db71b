//! A plan in the simulator: in its hardest hour at the demand that was bought, with faults, or with what others do in its place.

use std::str::FromStr;

use foremesh_model::{Fault, FaultKind, RegionPlan, graph::Visits};
use foremesh_simulate::{
    Arrivals, Controller, EntryLoad, InstanceStep, Mesh, PlanAssumptions, Report, RunOptions,
    ServiceModel, SimulateError,
    baselines::{self, BreakwaterService, Hpa, HpaService},
    from_plan, replicate_traced,
};
use serde::{Deserialize, Serialize};

use crate::{PipelineError, SimulatedTraces, windows::instances_for};

/// What is simulated of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulateRequest {
    /// The hour of the plan; None: the one in which most requests come at the level.
    pub hour: Option<u32>,
    /// The quantile of demand, 0 … 1.
    pub level: f64,
    /// Minutes that are measured, after two that are not.
    pub minutes: u32,
    /// What goes wrong; times count from the start of what is measured.
    pub faults: Vec<Fault>,
    /// What stands in place of the plan's settings.
    pub policy: SimulatedPolicy,
    /// Seed of every random number.
    pub seed: u64,
    /// Runs, each with random numbers of its own.
    pub replications: u32,
}

impl Default for SimulateRequest {
    fn default() -> Self {
        Self {
            hour: None,
            level: 0.99,
            minutes: 10,
            faults: Vec::new(),
            policy: SimulatedPolicy::Plan,
            seed: 1,
            replications: 5,
        }
    }
}

/// Whose settings run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SimulatedPolicy {
    /// The plan's.
    Plan,
    /// The plan's instances with no limit, timeout or ejection: Istio as installed.
    IstioDefaults,
    /// Istio as installed and an autoscaler at 80% utilisation (Kubernetes' default) that has followed the median of the hour before.
    Hpa,
    /// The same at 50%.
    HpaTuned,
    /// Istio as installed, and KEDA: by hour what the hour's median needs at 80% utilisation (a cron trigger), or what an autoscaler at 80%
    /// asks for where that is more.
    KedaCron,
    /// Istio as installed, and at all times twice the workers that the highest hour keeps busy.
    StaticHeadroom,
    /// The plan's instances, with Vegas limits in place of the plan's.
    Vegas,
    /// The plan's instances, with Gradient2 limits.
    Gradient2,
    /// The plan's instances, with DAGOR's admission levels.
    Dagor,
    /// The plan's instances, with Breakwater's credits.
    Breakwater,
    /// The plan's instances, with TopFull's limits at the entries.
    TopFull,
    /// The plan's instances, with Autothrottle's captains on their workers.
    Autothrottle,
}

impl SimulatedPolicy {
    /// All of them, with their words.
    pub const ALL: [(&'static str, Self); 12] = [
        ("plan", Self::Plan),
        ("istio-defaults", Self::IstioDefaults),
        ("hpa", Self::Hpa),
        ("hpa-tuned", Self::HpaTuned),
        ("keda-cron", Self::KedaCron),
        ("static-headroom", Self::StaticHeadroom),
        ("vegas", Self::Vegas),
        ("gradient2", Self::Gradient2),
        ("dagor", Self::Dagor),
        ("breakwater", Self::Breakwater),
        ("topfull", Self::TopFull),
        ("autothrottle", Self::Autothrottle),
    ];
}

impl FromStr for SimulatedPolicy {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().find(|(name, _)| *name == word);
        found.map(|(_, policy)| *policy).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|(name, _)| *name).collect();
            format!("{word:?} is no policy: one of {}", names.join(", "))
        })
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Simulation {
    /// The hour of the plan.
    pub hour: u32,
    /// The quantile of demand.
    pub level: f64,
    /// Whether every entry kept its objective.
    pub holds: bool,
    /// Services whose work does not fit their instances, each in a sentence.
    pub overloaded: Vec<String>,
    /// What was measured.
    pub report: Report,
}

/// Seconds before the measurement: queues and connections find their level.
const WARM_UP_S: f64 = 120.0;

/// Simulates a plan.
///
/// # Errors
/// [`PipelineError::Simulate`] when a fault or a capacity cannot be; [`PipelineError::RequestValue`] for an hour or a level out of range.
pub fn simulate_plan(
    plan: &RegionPlan,
    request: &SimulateRequest,
) -> Result<Simulation, PipelineError> {
    simulate_traced(plan, request, None).map(|(simulation, _)| simulation)
}

/// Simulates a plan and, where `traces` says of how many, keeps whole traces of requests of the first run, spread evenly over its measured
/// time.
///
/// # Errors
/// As [`simulate_plan`].
pub fn simulate_traced(
    plan: &RegionPlan,
    request: &SimulateRequest,
    traces: Option<usize>,
) -> Result<(Simulation, Option<SimulatedTraces>), PipelineError> {
    let out_of_range = |field: &str, cause: String| PipelineError::RequestValue {
        field: field.into(),
        cause,
    };
    if !(0.0..1.0).contains(&request.level) || request.level == 0.0 {
        return Err(out_of_range("level", "must lie above 0 and below 1".into()));
    }
    if request.minutes == 0 || request.replications == 0 {
        return Err(out_of_range(
            "minutes and replications",
            "must be at least 1".into(),
        ));
    }
    let hours = plan.settings.horizon_hours;
    let hour = request
        .hour
        .unwrap_or_else(|| hardest_hour(plan, request.level));
    if hour >= hours {
        return Err(out_of_range(
            "hour",
            format!("must be below {hours}, the hours of the plan"),
        ));
    }
    let loads: Vec<EntryLoad> = plan
        .settings
        .entries
        .keys()
        .filter_map(|name| {
            let demand = plan.demand.entries.get(name)?;
            let rps = rate(plan, demand, hour, request.level);
            let arrivals = Arrivals::Poisson {
                step_s: 3600.0,
                rates_rps: vec![rps],
                dispersion: demand.dispersion.max(1.0),
            };
            Some(EntryLoad {
                entry: name.clone(),
                arrivals,
            })
        })
        .collect();
    let horizon_s = f64::from(request.minutes) * 60.0;
    let mut faults = request.faults.clone();
    for fault in &mut faults {
        if !(0.0..horizon_s).contains(&fault.starts_s) {
            return Err(SimulateError::Outside {
                field: format!("fault {:?}", fault.name),
                starts_s: fault.starts_s,
                ends_s: fault.starts_s + fault.duration_s,
                horizon_s,
            }
            .into());
        }
        fault.starts_s += WARM_UP_S;
    }
    let planned = from_plan(
        &plan.graph,
        &plan.settings,
        &loads,
        &faults,
        hour,
        &PlanAssumptions::default(),
    )?;
    let mesh = with_policy(&planned, plan, request.policy, hour, request.level)?;
    let cron = match request.policy {
        SimulatedPolicy::KedaCron => cron_triggers(&mesh, plan, hour, WARM_UP_S + horizon_s)?,
        _ => Vec::new(),
    };
    let options = RunOptions {
        measured_s: horizon_s,
        warm_up_s: WARM_UP_S,
        seed: request.seed,
    };
    let controllers = || controllers(&mesh, plan, request.policy, &cron);
    let (report, sample) =
        replicate_traced(&mesh, &options, request.replications, &controllers, traces)?;
    let begins = plan.settings.starts + jiff::SignedDuration::from_hours(hour.into());
    let traces = sample.map(|sample| SimulatedTraces::new(sample, plan, &mesh, begins, WARM_UP_S));
    let simulation = Simulation {
        hour,
        level: request.level,
        holds: report.entries.values().all(|entry| entry.holds),
        overloaded: overloaded(&mesh, &flows(plan, hour, request.level)?, &report),
        report,
    };
    Ok((simulation, traces))
}

/// Requests a second of an entry in an hour: the quantile, at the peak within the hour.
pub(crate) fn rate(
    plan: &RegionPlan,
    demand: &foremesh_model::EntryDemand,
    hour: u32,
    level: f64,
) -> f64 {
    let steps_of_hour = (3600 / plan.demand.step_s.max(1)).max(1) as usize;
    let from = hour as usize * 3600 / plan.demand.step_s.max(1) as usize;
    let highest = (from..from + steps_of_hour).map(|step| demand.at_level(step, level));
    highest.fold(0.0, f64::max) * demand.peak_to_mean.max(1.0)
}

fn hardest_hour(plan: &RegionPlan, level: f64) -> u32 {
    let all = |hour: u32| -> f64 {
        plan.demand
            .entries
            .values()
            .map(|entry| rate(plan, entry, hour, level))
            .sum()
    };
    (0..plan.settings.horizon_hours)
        .max_by(|a, b| all(*a).total_cmp(&all(*b)).then(b.cmp(a)))
        .unwrap_or(0)
}

/// Requests a second that reach each service of the graph in an hour at a level.
pub(crate) fn flows(plan: &RegionPlan, hour: u32, level: f64) -> Result<Vec<f64>, PipelineError> {
    let entering: Vec<f64> = plan
        .graph
        .services()
        .map(|service| {
            let demand = plan.demand.entries.get(&service.name);
            demand.map_or(0.0, |demand| rate(plan, demand, hour, level))
        })
        .collect();
    Ok(Visits::of(&plan.graph)?.rates(&entering))
}

/// What an autoscaler aims at, if the policy is one.
pub(crate) fn target_utilisation(policy: SimulatedPolicy) -> Option<f64> {
    match policy {
        SimulatedPolicy::Hpa | SimulatedPolicy::KedaCron => Some(0.8),
        SimulatedPolicy::HpaTuned => Some(0.5),
        _ => None,
    }
}

/// What a cron trigger asks for, by service: in each hour the instances that its median load needs.
pub(crate) fn cron_triggers(
    mesh: &Mesh,
    plan: &RegionPlan,
    hour: u32,
    seconds: f64,
) -> Result<Vec<Vec<InstanceStep>>, PipelineError> {
    let target = target_utilisation(SimulatedPolicy::KedaCron).unwrap_or(1.0);
    let mut triggers = vec![Vec::new(); mesh.services.len()];
    let last = plan.settings.horizon_hours.saturating_sub(1);
    for ahead in 0..(seconds / 3600.0).ceil() as u32 {
        let usual = flows(plan, (hour + ahead).min(last), 0.5)?;
        for ((trigger, service), rps) in triggers.iter_mut().zip(&mesh.services).zip(usual) {
            trigger.push(InstanceStep {
                starts_s: f64::from(ahead) * 3600.0,
                instances: instances_for(service, rps, target).max(2),
            });
        }
    }
    Ok(triggers)
}

pub(crate) fn with_policy(
    planned: &Mesh,
    plan: &RegionPlan,
    policy: SimulatedPolicy,
    hour: u32,
    level: f64,
) -> Result<Mesh, PipelineError> {
    if policy == SimulatedPolicy::Plan {
        return Ok(planned.clone());
    }
    let mut mesh = baselines::istio_defaults(planned);
    let own = |service: &ServiceModel| is_planned(plan, &service.name);
    if let Some(target) = target_utilisation(policy) {
        // It has followed the usual load of the hour before, and may go well beyond what this hour's needs.
        let before = flows(plan, hour.saturating_sub(1), 0.5)?;
        let now = flows(plan, hour, level)?;
        for (i, service) in mesh.services.iter_mut().enumerate() {
            if own(service) {
                let instances = instances_for(service, before[i], target).max(2);
                service.max_instances = instances_for(service, now[i], target).max(instances) * 3;
                service.instances = vec![InstanceStep {
                    starts_s: 0.0,
                    instances,
                }];
            }
        }
    }
    if policy == SimulatedPolicy::StaticHeadroom {
        let usual = flows(plan, hardest_hour(plan, 0.5), 0.5)?;
        let fixed = baselines::static_headroom(planned, &usual, 0.5);
        for (service, fixed) in mesh.services.iter_mut().zip(fixed.services) {
            if own(service) {
                service.instances = fixed.instances;
            }
        }
    }
    // The others keep the plan's instances and put their own law in place of its limits.
    Ok(mesh)
}

pub(crate) fn is_planned(plan: &RegionPlan, service: &str) -> bool {
    plan.settings
        .services
        .keys()
        .any(|name| name.as_str() == service)
}

pub(crate) fn controllers(
    mesh: &Mesh,
    plan: &RegionPlan,
    policy: SimulatedPolicy,
    cron: &[Vec<InstanceStep>],
) -> Vec<Box<dyn Controller>> {
    use SimulatedPolicy as P;
    let planned: Vec<usize> = (0..mesh.services.len())
        .filter(|i| is_planned(plan, &mesh.services[*i].name))
        .collect();
    if let Some(target) = target_utilisation(policy) {
        let services = planned.iter().map(|service| HpaService {
            service: *service,
            target,
            min: 2,
            max: mesh.services[*service].max_instances,
            cron: cron.get(*service).cloned().unwrap_or_default(),
        });
        return vec![Box::new(Hpa::new(services.collect()))];
    }
    match policy {
        P::Plan | P::IstioDefaults | P::StaticHeadroom | P::Hpa | P::HpaTuned | P::KedaCron => {
            Vec::new()
        }
        P::Vegas => vec![Box::new(baselines::Vegas::new(&planned))],
        P::Gradient2 => vec![Box::new(baselines::Gradient2::new(&planned))],
        P::Dagor => vec![Box::new(baselines::Dagor::new(&planned))],
        P::Breakwater => {
            let services: Vec<BreakwaterService> = planned
                .iter()
                .map(|i| BreakwaterService {
                    service: *i,
                    workers: mesh.services[*i].workers,
                    clients: caller_proxies(mesh, *i),
                    target_ms: 5.0 * mesh.services[*i].work.mean_ms(),
                })
                .collect();
            vec![Box::new(baselines::Breakwater::new(&services, 0.01))]
        }
        P::TopFull => vec![Box::new(baselines::TopFull::new(mesh))],
        P::Autothrottle => {
            let workers: Vec<(usize, u32)> = planned
                .iter()
                .map(|i| (*i, mesh.services[*i].workers))
                .collect();
            vec![Box::new(baselines::Captain::new(&workers, 0.06))]
        }
    }
}

/// Proxies that call a service, in the first step of its callers' schedules.
fn caller_proxies(mesh: &Mesh, service: usize) -> u32 {
    let callers = mesh.edges.iter().filter(|edge| edge.callee == service);
    let proxies = callers.map(|edge| match edge.caller {
        Some(caller) => mesh.services[caller]
            .instances
            .first()
            .map_or(0, |step| step.instances),
        None => edge.gateway_proxies,
    });
    proxies.sum()
}

/// Services that more work reaches than their instances can do.
fn overloaded(mesh: &Mesh, flows: &[f64], report: &Report) -> Vec<String> {
    flows
        .iter()
        .zip(&mesh.services)
        .filter_map(|(rps, service)| {
            let one = f64::from(service.workers) * 1e3 / service.work.mean_ms().max(1e-9);
            let has = report.services.get(&service.name)?.instances.mean;
            let needs = (rps / one).floor() + 1.0;
            (rps / one >= has).then(|| {
                format!("{} gets {rps:.0} requests/s, needs {needs:.0} instances of {one:.0} requests/s, has {has:.1}", service.name)
            })
        })
        .collect()
}

/// Reads a fault as the command line writes it: `kind:service[,key=value…]`, for example `crash:shop/cart,share=0.5,at=60,for=120`. Times
/// are seconds; without `at` it begins at once, without `for` it lasts to the end.
///
/// # Errors
/// What is wrong, and how it is written.
pub fn parse_fault(text: &str, seconds: f64) -> Result<Fault, String> {
    const FORM: &str =
        "write kind:service,key=value…, for example crash:shop/cart,share=0.5,at=60,for=120";
    let (kind, rest) = text
        .split_once(':')
        .ok_or_else(|| format!("{text:?} names no service: {FORM}"))?;
    let mut parts = rest.split(',');
    let service = parts.next().unwrap_or_default();
    let (mut starts_s, mut duration_s) = (0.0, None);
    let mut fields = serde_json::Map::new();
    fields.insert("kind".into(), kind.into());
    if !service.is_empty() {
        let named = if kind == "locality_partition" {
            "locality"
        } else {
            "service"
        };
        fields.insert(named.into(), service.into());
    }
    for part in parts {
        let (key, value) = part
            .split_once('=')
            .ok_or_else(|| format!("{part:?} in {text:?} is no key=value: {FORM}"))?;
        if key == "other" {
            fields.insert(key.into(), value.into());
            continue;
        }
        let value: f64 = value
            .parse()
            .map_err(|_| format!("{value:?} in {text:?} is no number: {FORM}"))?;
        match key {
            "at" => starts_s = value,
            "for" => duration_s = Some(value),
            _ => {
                fields.insert(key.into(), value.into());
            }
        }
    }
    let kind: FaultKind = serde_json::from_value(fields.into())
        .map_err(|cause| format!("{text:?}: {cause}; {FORM}"))?;
    Ok(Fault {
        name: text.into(),
        starts_s,
        duration_s: duration_s.unwrap_or(seconds - starts_s),
        kind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_and_mistakes_named() {
        let fault = parse_fault("crash:shop/cart,share=0.5,at=60,for=120", 600.0).unwrap();
        assert_eq!((fault.starts_s, fault.duration_s), (60.0, 120.0));
        assert_eq!(
            fault.kind,
            FaultKind::Crash {
                service: "shop/cart".into(),
                share: 0.5
            }
        );
        let apart = parse_fault("locality_partition:zone-a,other=zone-b", 600.0).unwrap();
        assert_eq!(
            apart.kind,
            FaultKind::LocalityPartition {
                locality: "zone-a".into(),
                other: "zone-b".into()
            }
        );
        let whole = parse_fault("latency:shop/cart,added_ms=50", 600.0).unwrap();
        assert_eq!((whole.starts_s, whole.duration_s), (0.0, 600.0));
        for (text, wanted) in [
            ("crash", "names no service"),
            ("crash:a,share", "is no key=value"),
            ("crash:a,share=x", "is no number"),
            ("crash:a", "missing field `share`"),
            ("flood:a", "unknown variant `flood`"),
            ("crash:a,share=1,shares=2", "unknown field `shares`"),
        ] {
            let said = parse_fault(text, 600.0).unwrap_err();
            assert!(said.contains(wanted), "{said}");
        }
    }
}
