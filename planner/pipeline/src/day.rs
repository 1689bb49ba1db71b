//! `foremesh simulate PLAN --day`: all hours of a plan by windows of time, or the whole of it once, second by second.

use foremesh_model::{RegionPlan, graph::Visits};
use foremesh_simulate::{
    Arrivals, Controller, EntryLoad, Mesh, PlanAssumptions, Progress,
    analytic::{Load, SteadyState},
    from_plan,
};
use serde::Serialize;

use crate::{
    PipelineError,
    simulate::{
        SimulatedPolicy, controllers, cron_triggers, flows, is_planned, target_utilisation,
        tracked, with_policy,
    },
    windows::{
        Autoscaled, DayReport, Lived, Window, WindowReason, WindowRequest, foremost, instances_for,
        run_windows, windows,
    },
};

/// Events that a call takes in the simulator, retries and controllers included: measured 2.4 to 2.9 (`make bench-simulate-day`).
const EVENTS_PER_CALL: f64 = 3.0;
/// Windows that are chosen because instances change.
const MOST_CHANGES: usize = 6;
/// Windows that are chosen because objectives are nearest to breaking.
const MOST_RISKS: usize = 4;
/// Windows that are drawn at random where the budget allows no more, and where it would allow any number.
const RANDOM: (usize, usize) = (6, 96);

/// What is simulated of a plan's days.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulateDayRequest {
    /// The quantile of demand, 0 … 1.
    pub level: f64,
    /// Minutes of a window, a divisor of 60.
    pub minutes: u32,
    /// Whether the go-live ramp runs: what its stages hold back stays elsewhere.
    pub ramp: bool,
    /// What stands in place of the plan's settings.
    pub policy: SimulatedPolicy,
    /// Seed of every random number.
    pub seed: u64,
    /// Replications, each with windows and random numbers of its own.
    pub replications: u32,
    /// About how many events may be simulated, all replications together: a core does five to seven million a second. It sets how many windows
    /// are drawn at random.
    pub events: f64,
    /// How much of the time.
    pub of: DayOfPlan,
}

/// How much of a plan's time is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayOfPlan {
    /// Windows.
    Windows,
    /// All of it, in one piece for each replication.
    Whole,
}

impl Default for SimulateDayRequest {
    fn default() -> Self {
        Self {
            level: 0.99,
            minutes: 1,
            ramp: false,
            policy: SimulatedPolicy::Plan,
            seed: 1,
            replications: 4,
            events: 3.5e8,
            of: DayOfPlan::Windows,
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DaySimulation {
    /// The quantile of demand.
    pub level: f64,
    /// What was measured.
    #[serde(flatten)]
    pub report: DayReport,
    /// The windows of the first replication.
    pub first_windows: Vec<Window>,
}

/// Simulates all hours of a plan, each at the quantile of its demand and at the peak within it.
///
/// # Errors
/// [`PipelineError::RequestValue`] for a field out of its range, [`PipelineError::Simulate`] when a capacity cannot be.
pub fn simulate_day(
    plan: &RegionPlan,
    request: &SimulateDayRequest,
    progress: &Progress,
) -> Result<DaySimulation, PipelineError> {
    check(request)?;
    let hours = plan.settings.horizon_hours;
    let by_hour = (0..hours)
        .map(|hour| flows(plan, hour, request.level))
        .collect::<Result<Vec<_>, _>>()?;
    let planned = from_plan(
        &plan.graph,
        &plan.settings,
        &loads(plan, request.level),
        &[],
        0,
        &PlanAssumptions {
            ramp: request.ramp,
            ..PlanAssumptions::default()
        },
    )?;
    // An autoscaler's instances are found window by window; everybody else's are settings of the whole time.
    let (mesh, scaled) = match target_utilisation(request.policy) {
        None => {
            let hour = busiest(&by_hour);
            let mesh = with_policy(&planned, plan, request.policy, hour, request.level)?;
            let scaled = match request.policy {
                SimulatedPolicy::Plan => tracked(&mesh, plan),
                _ => Vec::new(),
            };
            (mesh, scaled)
        }
        Some(target) => {
            let mesh = with_policy(
                &planned,
                plan,
                SimulatedPolicy::IstioDefaults,
                0,
                request.level,
            )?;
            let mut scaled = autoscaled(&mesh, plan, target, &by_hour);
            if request.policy == SimulatedPolicy::KedaCron {
                let seconds = f64::from(hours) * 3600.0;
                let cron = cron_triggers(&mesh, plan, 0, seconds)?;
                for one in &mut scaled {
                    one.cron = cron.get(one.service).cloned().unwrap_or_default();
                }
            }
            (mesh, scaled)
        }
    };
    let flows_at = |at_s: f64| -> Vec<f64> {
        let hour = (at_s / 3600.0).max(0.0) as usize;
        by_hour.get(hour).cloned().unwrap_or_default()
    };
    let no_autoscaler = |mesh: &Mesh| -> Vec<Box<dyn Controller>> {
        match target_utilisation(request.policy) {
            Some(_) => Vec::new(),
            // The plan's own autoscalers are among those that windows know of.
            None if request.policy == SimulatedPolicy::Plan => Vec::new(),
            None => controllers(mesh, plan, request.policy, &[]),
        }
    };
    let lived = Lived {
        mesh,
        scaled,
        controllers: &no_autoscaler,
        flows: &flows_at,
        horizon_s: f64::from(hours) * 3600.0,
    };
    let risk = risk_by_hour(&lived.mesh, hours)?;
    let replications: Vec<Vec<Window>> = match request.of {
        DayOfPlan::Whole => vec![
            vec![Window {
                starts_s: 0.0,
                length_s: lived.horizon_s,
                weight: 1.0,
                reason: WindowReason::Launch,
            }];
            request.replications as usize
        ],
        DayOfPlan::Windows => {
            let calls_rps = by_hour.iter().flatten().sum::<f64>() / f64::from(hours.max(1));
            (0..request.replications)
                .map(|i| choose(&lived, request, &risk, calls_rps, i))
                .collect()
        }
    };
    progress.expect(replications.iter().map(Vec::len).sum::<usize>() as u64);
    let tallies = run_windows(&lived, &replications, request.seed, progress)?;
    Ok(DaySimulation {
        level: request.level,
        report: DayReport::of(&lived, &tallies, &|service| is_planned(plan, service)),
        first_windows: replications.into_iter().next().unwrap_or_default(),
    })
}

fn check(request: &SimulateDayRequest) -> Result<(), PipelineError> {
    let refuse = |field: &str, cause: &str| {
        Err(PipelineError::RequestValue {
            field: field.into(),
            cause: cause.into(),
        })
    };
    if !(request.level > 0.0 && request.level < 1.0) {
        return refuse("level", "must lie above 0 and below 1");
    }
    if request.replications == 0 {
        return refuse("replications", "must be at least 1");
    }
    if !(request.events.is_finite() && request.events > 0.0) {
        return refuse("events", "must be greater than 0");
    }
    check_minutes(request.minutes)
}

/// Windows fill hours without a rest.
pub(crate) fn check_minutes(minutes: u32) -> Result<(), PipelineError> {
    if minutes > 0 && 60u32.is_multiple_of(minutes) {
        return Ok(());
    }
    Err(PipelineError::RequestValue {
        field: "minutes".into(),
        cause: "windows fill hours: use 1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30 or 60".into(),
    })
}

/// Every entry's demand, a rate for each hour.
fn loads(plan: &RegionPlan, level: f64) -> Vec<EntryLoad> {
    let entries = plan.settings.entries.keys();
    entries
        .filter_map(|name| {
            let demand = plan.demand.entries.get(name)?;
            Some(EntryLoad {
                entry: name.clone(),
                arrivals: Arrivals::Poisson {
                    step_s: 3600.0,
                    rates_rps: (0..plan.settings.horizon_hours)
                        .map(|hour| plan.demand.peak_rps(demand, hour, level))
                        .collect(),
                    dispersion: demand.dispersion.max(1.0),
                },
            })
        })
        .collect()
}

fn busiest(by_hour: &[Vec<f64>]) -> u32 {
    let all = |flows: &Vec<f64>| flows.iter().sum::<f64>();
    let hours = by_hour.iter().enumerate().rev();
    hours
        .max_by(|a, b| all(a.1).total_cmp(&all(b.1)))
        .map_or(0, |(hour, _)| hour as u32)
}

/// The plan's own services, scaled at a utilisation; room for three times what the busiest hour needs.
fn autoscaled(
    mesh: &Mesh,
    plan: &RegionPlan,
    target: f64,
    by_hour: &[Vec<f64>],
) -> Vec<Autoscaled> {
    let services = mesh.services.iter().enumerate();
    services
        .filter(|(_, service)| is_planned(plan, &service.name))
        .map(|(i, service)| {
            let rates = by_hour.iter().filter_map(|flows| flows.get(i));
            let most = rates
                .map(|rps| instances_for(service, *rps, target))
                .max()
                .unwrap_or(0);
            Autoscaled {
                service: i,
                target,
                fewest: 2,
                most: most.max(2) * 3,
                cron: Vec::new(),
            }
        })
        .collect()
}

/// What windows are ranked by: in the middle of each hour, how near the steady state in formulas comes to the objective of the entry that is
/// nearest to breaking it, by latency or by failures (1: it breaks).
fn risk_by_hour(mesh: &Mesh, hours: u32) -> Result<Vec<f64>, PipelineError> {
    let mut formulas = SteadyState::of(mesh)?;
    (0..hours)
        .map(|hour| {
            let load = Load::at(mesh, (f64::from(hour) + 0.5) * 3600.0);
            let answer = formulas.evaluate(mesh, &load)?;
            let entries = answer.entries.iter().zip(&mesh.entries);
            let risk = entries.map(|(entry, model)| {
                let slow = entry.latency_objective_percentile_ms / model.slo.latency_ms.max(1e-9);
                let failed = (1.0 - entry.availability) / (1.0 - model.slo.availability).max(1e-9);
                slow.max(failed)
            });
            Ok(risk.fold(0.0, f64::max))
        })
        .collect()
}

/// The instants at which instances are ordered or given back, each with the largest share by which a service changes.
pub(crate) fn changes(mesh: &Mesh) -> Vec<(f64, f64)> {
    let mut found: Vec<(f64, f64)> = Vec::new();
    for service in &mesh.services {
        for pair in service.instances.windows(2) {
            let (before, after) = (f64::from(pair[0].instances), f64::from(pair[1].instances));
            let share = (after - before).abs() / before.max(1.0);
            match found.iter_mut().find(|(at, _)| *at == pair[1].starts_s) {
                Some((_, most)) => *most = most.max(share),
                None => found.push((pair[1].starts_s, share)),
            }
        }
    }
    found
}

/// The windows of one replication: where instances change most, where the risk is highest, and as many at random as the budget allows.
fn choose(
    lived: &Lived<'_>,
    request: &SimulateDayRequest,
    risk: &[f64],
    calls_rps: f64,
    replication: u32,
) -> Vec<Window> {
    let window_s = f64::from(request.minutes) * 60.0;
    let mut certain: Vec<(f64, f64, WindowReason)> = vec![(0.0, window_s, WindowReason::Launch)];
    let changing = foremost(changes(&lived.mesh), MOST_CHANGES);
    // From the order until what was ordered is warm, and a window more.
    let leads = lived.mesh.services.iter();
    let lead_s = leads
        .map(|service| service.startup_s + service.warm_up_s)
        .fold(0.0, f64::max);
    certain.extend(
        changing
            .into_iter()
            .map(|at| (at, lead_s + window_s, WindowReason::Change)),
    );
    let hours = risk.iter().enumerate();
    let ranked = hours.map(|(hour, risk)| (hour as f64 * 3600.0, *risk));
    let highest = foremost(ranked.collect(), MOST_RISKS);
    // The middle of the hour: what its beginning did has settled.
    let middle = (1800.0 / window_s).floor() * window_s;
    certain.extend(
        highest
            .into_iter()
            .map(|at| (at + middle, window_s, WindowReason::Risk)),
    );
    let warm_up_s = 20.0;
    let affordable = request.events
        / f64::from(request.replications)
        / (calls_rps * EVENTS_PER_CALL).max(1e-9)
        / (window_s + warm_up_s);
    let taken: f64 = certain
        .iter()
        .map(|(_, length_s, _)| (length_s / window_s).ceil())
        .sum();
    let random = (affordable as usize)
        .saturating_sub(taken as usize)
        .clamp(RANDOM.0, RANDOM.1);
    windows(&WindowRequest {
        horizon_s: lived.horizon_s,
        minutes: request.minutes,
        certain,
        stratum_s: stratum_s(lived.horizon_s, random),
        random: 1,
        seed: foremesh_model::random::mix(request.seed, u64::from(replication)),
    })
    .collect()
}

/// Whole hours where there are fewer windows than hours, so that each stratum gets one; else whole minutes that divide an hour.
fn stratum_s(horizon_s: f64, random: usize) -> f64 {
    let even = horizon_s / random.max(1) as f64;
    if even >= 3600.0 {
        return (even / 3600.0).ceil() * 3600.0;
    }
    let divisors = [5.0, 6.0, 10.0, 12.0, 15.0, 20.0, 30.0, 60.0];
    let minutes = divisors.into_iter().find(|m| m * 60.0 >= even);
    minutes.unwrap_or(60.0) * 60.0
}

/// Requests a second that reach each service at an instant, from what comes to the entries of a mesh.
pub(crate) fn flows_of(mesh: &Mesh, visits: &Visits, at_s: f64) -> Vec<f64> {
    let mut entering = vec![0.0; mesh.services.len()];
    for entry in &mesh.entries {
        let callee = mesh.edges.get(entry.edge).map(|edge| edge.callee);
        if let Some(rate) = callee.and_then(|callee| entering.get_mut(callee)) {
            *rate += entry.arrivals.rate_rps(at_s);
        }
    }
    visits.rates(&entering)
}

#[cfg(test)]
mod tests;
