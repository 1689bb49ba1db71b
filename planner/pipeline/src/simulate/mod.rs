//! A plan in the simulator: in its hardest hour at the demand that was bought, with faults, or with what others do in its place
//! (`policies`).

mod policies;

use std::collections::BTreeSet;

use foremesh_model::{Fault, FaultKind, RegionPlan, graph::Visits};
use foremesh_simulate::{
    Arrivals, EntryLoad, Mesh, PlanAssumptions, Progress, Report, RunOptions, SimulateError,
    from_plan, replicate_traced,
};
use serde::Serialize;

pub use self::policies::SimulatedPolicy;
use self::policies::follow;
pub(crate) use self::policies::{
    controllers, cron_triggers, is_planned, target_utilisation, tracked, with_policy,
};
use crate::{PipelineError, SimulatedTraces};

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
    /// Whether the go-live ramp runs: what its stages hold back stays elsewhere.
    pub ramp: bool,
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
            ramp: false,
            policy: SimulatedPolicy::Plan,
            seed: 1,
            replications: 5,
        }
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

/// Busy share from which a service counts as never idle.
const SATURATED: f64 = 0.97;
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
    simulate_traced(plan, request, None, &Progress::default()).map(|(simulation, _)| simulation)
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
    progress: &Progress,
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
            let rps = plan.demand.peak_rps(demand, hour, request.level);
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
        let ends_s = fault.starts_s + fault.duration_s;
        let within = (0.0..horizon_s).contains(&fault.starts_s)
            && fault.duration_s > 0.0
            && ends_s <= horizon_s + 1e-6;
        if !within {
            return Err(SimulateError::Outside {
                field: format!("fault {:?}", fault.name),
                starts_s: fault.starts_s,
                ends_s,
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
        &PlanAssumptions {
            ramp: request.ramp,
            ..PlanAssumptions::default()
        },
    )?;
    let mut mesh = with_policy(&planned, plan, request.policy, hour, request.level)?;
    let cron = match request.policy {
        SimulatedPolicy::KedaCron => cron_triggers(&mesh, plan, hour, WARM_UP_S + horizon_s)?,
        SimulatedPolicy::Plan => {
            follow(&mut mesh, plan, hour, request.level)?;
            let services = planned.services.iter();
            services.map(|service| service.instances.clone()).collect()
        }
        _ => Vec::new(),
    };
    let options = RunOptions {
        measured_s: horizon_s,
        warm_up_s: WARM_UP_S,
        seed: request.seed,
    };
    let controllers = || controllers(&mesh, plan, request.policy, &cron);
    let (report, sample) = replicate_traced(
        &mesh,
        &options,
        request.replications,
        &controllers,
        traces,
        progress,
    )?;
    let begins = plan.settings.starts + jiff::SignedDuration::from_hours(hour.into());
    let traces = sample.map(|sample| SimulatedTraces::new(sample, plan, &mesh, begins, WARM_UP_S));
    let simulation = Simulation {
        hour,
        level: request.level,
        holds: report.entries.values().all(|entry| entry.holds),
        overloaded: overloaded(&mesh, &report),
        report,
    };
    Ok((simulation, traces))
}

fn hardest_hour(plan: &RegionPlan, level: f64) -> u32 {
    let all = |hour: u32| -> f64 {
        plan.demand
            .entries
            .values()
            .map(|entry| plan.demand.peak_rps(entry, hour, level))
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
            demand.map_or(0.0, |demand| plan.demand.peak_rps(demand, hour, level))
        })
        .collect();
    Ok(Visits::of(&plan.graph)?.rates(&entering))
}

/// Services that more work reached than their instances could do, faults and second attempts included.
fn overloaded(mesh: &Mesh, report: &Report) -> Vec<String> {
    let services = mesh.services.iter();
    services
        .filter_map(|service| {
            let seen = report.services.get(&service.name)?;
            let (has, came) = (seen.instances.mean, seen.requests_rps.mean);
            if seen.utilisation.mean < SATURATED || came <= 0.0 {
                return None;
            }
            // What an instance did while it was never idle is what it can do.
            let one = seen.done_rps.mean / seen.utilisation.mean / has.max(1e-9);
            let name = &service.name;
            if one * came <= 0.0 {
                return Some(format!("service {name} did no work of {came:.0} requests/s to the end, has {has:.1} instances"));
            }
            let needs = (came / one).ceil();
            (came / one > has).then(|| {
                format!("service {name} needs {needs:.0} instances, has {has:.1}: {came:.0} requests/s came, one does {one:.0}")
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
    let mut given = BTreeSet::new();
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
        if !given.insert(key) {
            return Err(format!("{key} is given twice in {text:?}: {FORM}"));
        }
        if key == "other" {
            fields.insert(key.into(), value.into());
            continue;
        }
        let value: f64 = value
            .parse()
            .ok()
            .filter(|value: &f64| value.is_finite())
            .ok_or_else(|| format!("{value:?} in {text:?} is no number: {FORM}"))?;
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
