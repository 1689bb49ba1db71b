//! One function from graph, demand and objectives to settings with the reason of every value.

use std::collections::BTreeMap;

use foremesh_model::{
    Candidate, Demand, FaultVerdict, Kpis, PolicyKind, ProfileRequest, Reason, ServiceGraph,
    Settings, Warning,
};
use serde::{Deserialize, Serialize};

use crate::{
    PolicyError,
    calls::plan_calls,
    candidates,
    ground::Ground,
    kpis, proof,
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
    let mut ground = Ground::of(input.graph, input.demand, input.request)?;
    let warnings = std::mem::take(&mut ground.warnings);
    let floor = sizing::size(&ground);
    let compared = candidates::compared(&ground, input.request, &floor);
    let mut weighed = match input.request.policy {
        PolicyKind::Auto | PolicyKind::Analytic => vec![candidates::weigh(
            &ground,
            input.request,
            candidates::FLOOR,
            floor,
        )],
        PolicyKind::Search => search::choose(input, &ground, floor)?,
    };
    let Some(sizing) = weighed.first_mut().and_then(|first| first.sizing.take()) else {
        return Err(PolicyError::NoDemand);
    };
    let mut output = settle(input, &ground, &sizing, warnings);
    weighed.extend(compared);
    let mut candidates: Vec<Candidate> = weighed.into_iter().map(|w| w.candidate).collect();
    candidates[0].holds = output.kpis.holds;
    candidates[1..].sort_by(|a, b| b.score.total_cmp(&a.score).then(a.name.cmp(&b.name)));
    output.candidates = candidates;
    let faults = input
        .request
        .prove_faults
        .unwrap_or(match input.request.policy {
            PolicyKind::Search => FAULTS,
            PolicyKind::Auto | PolicyKind::Analytic => 0,
        });
    output.faults = proof::prove(input, &ground, &output.settings, faults as usize)?;
    output.warnings.extend(proof::warnings(&output.faults));
    output.warnings.sort();
    Ok(output)
}

/// The settings that go with a sizing.
pub(crate) fn settle(
    input: &PolicyInput<'_>,
    ground: &Ground<'_>,
    sizing: &Sizing,
    mut warnings: Vec<Warning>,
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
    let kpis = kpis::kpis(ground, sizing, &settings, &mut warnings);
    warnings.sort();
    warnings.dedup();
    PolicyOutput {
        settings,
        reasons: reasons.into_map(),
        kpis,
        candidates: Vec::new(),
        faults: Vec::new(),
        warnings,
    }
}
