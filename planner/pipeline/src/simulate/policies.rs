//! What stands in a plan's place: others' settings, and others' laws as controllers (`foremesh_simulate::baselines`).

use std::str::FromStr;

use foremesh_model::{RegionPlan, ServiceName};
use foremesh_simulate::{
    Controller, InstanceStep, Mesh, ServiceModel,
    baselines::{self, BreakwaterService, Hpa, HpaService},
};
use serde::{Deserialize, Serialize};

use super::{flows, hardest_hour};
use crate::{
    PipelineError,
    windows::{Autoscaled, instances_for},
};

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

/// The planned mesh as a policy would have it.
///
/// # Errors
/// [`PipelineError`] where the graph's equations have no answer.
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

/// The services that the plan's own autoscalers move beyond their schedules, which the mesh has.
pub(crate) fn tracked(mesh: &Mesh, plan: &RegionPlan) -> Vec<Autoscaled> {
    let services = mesh.services.iter().enumerate();
    services
        .filter_map(|(i, service)| {
            let name = ServiceName::new(&service.name).ok()?;
            let set = plan.settings.services.get(&name)?;
            let scaled = set.autoscaling?;
            Some(Autoscaled {
                service: i,
                target: scaled.target_utilisation(),
                fewest: set.fewest_instances(),
                most: set.most_instances(),
                cron: service.instances.clone(),
            })
        })
        .collect()
}

pub(crate) fn is_planned(plan: &RegionPlan, service: &str) -> bool {
    plan.settings
        .services
        .keys()
        .any(|name| name.as_str() == service)
}

/// Lets the plan's own autoscalers have followed the demand to where it is in an hour.
pub(crate) fn follow(
    mesh: &mut Mesh,
    plan: &RegionPlan,
    hour: u32,
    level: f64,
) -> Result<(), PipelineError> {
    let scaled = tracked(mesh, plan);
    if scaled.is_empty() {
        return Ok(());
    }
    let now = flows(plan, hour, level)?;
    for (scaled, rps) in scaled.iter().map(|scaled| (scaled, now[scaled.service])) {
        let service = &mut mesh.services[scaled.service];
        let there = instances_for(service, rps, scaled.target);
        let scheduled = service.instances.first().map_or(0, |step| step.instances);
        service.instances = vec![InstanceStep {
            starts_s: 0.0,
            instances: there.max(scheduled).clamp(scaled.fewest, scaled.most),
        }];
        service.max_instances = scaled.most;
    }
    Ok(())
}

/// What reacts while it runs.
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
        P::Plan => {
            let services = tracked(mesh, plan).into_iter().map(|scaled| HpaService {
                service: scaled.service,
                target: scaled.target,
                min: scaled.fewest,
                max: scaled.most,
                cron: cron.get(scaled.service).cloned().unwrap_or_default(),
            });
            let services: Vec<HpaService> = services.collect();
            match services.is_empty() {
                true => Vec::new(),
                false => vec![Box::new(Hpa::new(services))],
            }
        }
        P::IstioDefaults | P::StaticHeadroom | P::Hpa | P::HpaTuned | P::KedaCron => Vec::new(),
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
