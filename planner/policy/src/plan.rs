//! One function from graph, demand and objectives to settings with the reason of every value.

use std::collections::BTreeMap;

use foremesh_model::{
    Candidate, Demand, FaultVerdict, Kpis, PolicyKind, ProfileRequest, Reason, ScalingKind,
    ServiceGraph, Settings, Severity, Warning,
};
use serde::{Deserialize, Serialize};

use crate::{
    Method, PolicyError, autoscaler,
    calls::plan_calls,
    candidates, counterfactual,
    gnn::Network,
    ground::{Ground, warning},
    kpis,
    proof::{self, Refiner},
    reasons::Reasons,
    search, settings,
    sizing::{self, Sizing},
};

/// Faults that a searched plan is tried under where the request says nothing.
const FAULTS: u32 = 4;

/// What a plan is made from.
#[derive(Debug, Clone, Copy)]
pub struct PolicyInput<'a> {
    /// Which service calls which, with capacities.
    pub graph: &'a ServiceGraph,
    /// What will be asked of the region.
    pub demand: &'a Demand,
    /// Objectives, costs and the shape of the region.
    pub request: &'a ProfileRequest,
}

/// Settings, why they are what they are, and what they are expected to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyOutput {
    /// How the instances came about.
    pub method: Method,
    /// What is set.
    pub settings: Settings,
    /// Why each value is what it is, by its path: see [`crate::paths`].
    pub reasons: BTreeMap<String, Reason>,
    /// What the settings are expected to do.
    pub kpis: Kpis,
    /// What was compared; the first is the one chosen.
    pub candidates: Vec<Candidate>,
    /// What the settings do under the faults that would hurt most.
    pub faults: Vec<FaultVerdict>,
    /// A learned net turned settings because of what faults did.
    pub turned: bool,
    /// What to beware of, the worst first.
    pub warnings: Vec<Warning>,
}

/// Computes the settings of a region: by queueing theory alone, or with the search where the request asks for it. Equal inputs give equal
/// outputs, whatever the number of threads.
///
/// # Errors
/// [`PolicyError`] when the graph is empty or feeds on itself, when there is no demand or none of its entries is in the
/// graph, and when a capacity or an objective cannot be. Everything else is planned around and said in a warning.
pub fn plan(input: &PolicyInput<'_>) -> Result<PolicyOutput, PolicyError> {
    plan_with(input, Networks::default())
}

/// Learned nets, each asked only where it is needed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Networks<'n> {
    /// The learned policy, [`crate::gnn::contract`].
    pub policy: Option<&'n dyn Network>,
    /// What refines settings under faults, [`crate::drill::contract`]; without it they stay as they are.
    pub refinement: Option<&'n dyn Network>,
}

/// The same, with learned nets at hand.
///
/// # Errors
/// As [`plan`]; [`PolicyError::Network`] and [`PolicyError::Refinement`] when a net gives no answer.
pub fn plan_with(
    input: &PolicyInput<'_>,
    networks: Networks<'_>,
) -> Result<PolicyOutput, PolicyError> {
    let network = networks.policy;
    let mut ground = Ground::of(input.graph, input.demand, input.request)?;
    let mut warnings = std::mem::take(&mut ground.warnings);
    let floor = sizing::size(&ground);
    let compared = candidates::compared(&ground, input.request, &floor);
    let floor = candidates::weigh(&ground, input.request, floor);
    let floor_name = floor.candidate.name.clone();
    let tracks = input.request.scaling == ScalingKind::TargetTracking;
    let chosen = match input.request.policy {
        PolicyKind::Gnn if network.is_none() => return Err(PolicyError::NoNetwork),
        PolicyKind::Gnn if !tracks => return Err(PolicyError::NeedsAutoscaler),
        _ if tracks => autoscaler::choose(input, &ground, floor, network, &mut warnings)?,
        PolicyKind::Auto | PolicyKind::Analytic | PolicyKind::Gnn => floor.chosen([]),
        PolicyKind::Search => search::choose(input, &ground, floor, &mut warnings)?,
    };
    let learns_or_searches = match input.request.policy {
        PolicyKind::Search | PolicyKind::Gnn => true,
        PolicyKind::Auto | PolicyKind::Analytic => false,
    };
    let usual = if learns_or_searches { FAULTS } else { 0 };
    let faults = input.request.prove_faults.unwrap_or(usual) as usize;
    let mut plan = proof::Plan {
        settled: settle(input, &ground, &chosen.sizing, warnings.clone()),
        tried: chosen
            .candidates
            .first()
            .is_some_and(|taken| taken.kept_in_simulation.is_some()),
        sizing: chosen.sizing,
        warnings,
    };
    let refiner = match (learns_or_searches, networks.refinement) {
        (false, _) => Refiner::None,
        (true, None) => Refiner::Room,
        (true, Some(network)) => Refiner::Net(network),
    };
    let proof = proof::prove(input, &ground, &mut plan, faults, refiner)?;
    let mut output = plan.settled;
    output.candidates = chosen.candidates;
    output.candidates.extend(compared);
    if let Some((first, others)) = output.candidates.split_first_mut() {
        if proof.changed {
            let refined = candidates::weigh(&ground, input.request, plan.sizing);
            *first = Candidate {
                kept_in_simulation: first.kept_in_simulation,
                ..refined.candidate
            };
            plan.sizing = refined.sizing;
        }
        first.holds = output.kpis.holds;
        others.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.name.cmp(&b.name)));
    }
    let reasons = std::mem::take(&mut output.reasons);
    output.reasons = counterfactual::say(input, &ground, &plan.sizing, reasons)?;
    output.faults = proof.verdicts;
    output.turned = proof.turned;
    output.warnings.extend(proof.warnings);
    // What is taken misses no more than the floor: where that misses, it may too.
    let mut tried = output.candidates.iter().enumerate();
    let missed = |(at, candidate): (usize, &Candidate)| {
        (at == 0 || candidate.name == floor_name) && candidate.kept_in_simulation == Some(false)
    };
    if tried.any(missed) {
        output.warnings.push(missed_in_simulation());
    }
    output
        .warnings
        .extend(larger_than_learned(&output, input.request.policy, networks));
    output.warnings.sort();
    Ok(output)
}

/// What nets that had a part in the plan never saw in their training, where their files say what they learned on.
fn larger_than_learned(
    output: &PolicyOutput,
    asked: PolicyKind,
    networks: Networks<'_>,
) -> Vec<Warning> {
    let services = output.settings.services.len() + output.settings.stateful_services.len();
    let said = |network: Option<&dyn Network>, field: &str, text: &str| {
        let most = network?.most_services()?;
        let text = format!(
            "this region has {services} services, the net learned on regions of at most {most}: {text}"
        );
        (services > most).then(|| warning(Severity::Note, "larger_than_learned", field, text))
    };
    let learned = matches!(output.method, Method::Gnn { .. });
    let policy = learned.then(|| {
        let text = match asked {
            PolicyKind::Gnn => "what it says was made safe on minutes of this forecast and weighed against the floor, how good it could have been is not known; `policy = \"search\"` compares it with more",
            _ => "what it says was made safe on minutes of this forecast and is worth more than what the search found, how good it could have been is not known",
        };
        said(networks.policy, "inference.policy_model", text)
    });
    let refinement = output.turned.then(|| {
        let text = "what it turned spares requests in this region's own simulations, what it left may have spared more; `inference.refinement_model = \"none\"` plans without";
        said(networks.refinement, "inference.refinement_model", text)
    });
    policy.into_iter().chain(refinement).flatten().collect()
}

/// The plan that is taken missed an objective in its trial, or the floor did and the plan need not be better.
fn missed_in_simulation() -> Warning {
    let text = "in simulation, at the 0.99 quantile of demand in the hour with most requests or in the one with the busiest instance, an objective is missed, by the schedule that plans \
                are measured by or by what is taken, and nothing that was tried is known to keep them all: `foremesh simulate` shows which; raise slo.latency_ms or max_instances, or the \
                capacity of what is busiest";
    warning(Severity::Caution, "missed_in_simulation", "slo", text)
}

/// The settings that go with a sizing.
pub(crate) fn settle(
    input: &PolicyInput<'_>,
    ground: &Ground<'_>,
    sizing: &Sizing,
    warnings: Vec<Warning>,
) -> PolicyOutput {
    settle_turned(input, ground, sizing, warnings, |settings, _| {
        settings.clone()
    })
}

/// The settings that go with a sizing, turned.
pub(crate) fn settle_turned(
    input: &PolicyInput<'_>,
    ground: &Ground<'_>,
    sizing: &Sizing,
    mut warnings: Vec<Warning>,
    turn: impl FnOnce(&Settings, &mut Reasons) -> Settings,
) -> PolicyOutput {
    sizing.warn(ground, &mut warnings);
    let worst = sizing.worst_latency(ground);
    let calls = plan_calls(ground, &worst);
    let mut reasons = Reasons::default();
    let settings = settings::assemble(
        input,
        ground,
        sizing,
        &calls,
        &worst,
        &mut reasons,
        &mut warnings,
    );
    let settings = turn(&settings, &mut reasons);
    let kpis = kpis::kpis(ground, sizing, &settings, &mut warnings);
    warnings.sort();
    warnings.dedup();
    PolicyOutput {
        method: sizing.method,
        settings,
        reasons: reasons.into_map(),
        kpis,
        candidates: Vec::new(),
        faults: Vec::new(),
        turned: false,
        warnings,
    }
}
