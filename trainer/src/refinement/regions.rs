//! The regions in which a policy refines settings: small ones with little traffic, so that many can be simulated.

use foremesh_model::{
    FaultKind, PolicyKind, ProfileRequest, ScalingKind,
    random::{mix, uniform},
};
use foremesh_policy::{
    PolicyInput,
    drill::{Drill, KNOBS, Spans},
};
use foremesh_scenarios::{Family, Options, Scenario, scenario_with};
use rayon::prelude::*;

use crate::TrainError;

/// Services of the smallest and the largest region.
pub(super) const SERVICES: [f64; 2] = [3.0, 14.0];
/// Requests a second that all services together answer.
const MOST_VISITS_RPS: f64 = 600.0;
/// Seconds before faults, and that they last.
const SPANS: Spans = Spans {
    before_s: 2.0,
    phase_s: 6.0,
};
/// Faults of a region, a surge among them.
const MOST_FAULTS: usize = 3;
/// Regions in which faults take less than this of all requests teach nothing.
const LITTLE: f64 = 0.002;

/// Which regions are drawn.
#[derive(Debug, Clone, Copy)]
pub struct Draw<'f> {
    /// Families, in turn.
    pub families: &'f [Family],
    /// How many.
    pub count: usize,
    /// Their seed.
    pub seed: u64,
}

/// A region with what goes wrong in it.
#[derive(Debug, Clone)]
pub struct Drawn {
    scenario: Scenario,
    request: ProfileRequest,
    faults: Vec<FaultKind>,
}

/// Draws regions.
///
/// # Errors
/// [`TrainError::Scenario`] where one cannot be drawn.
pub fn draw(draw: &Draw<'_>) -> Result<Vec<Drawn>, TrainError> {
    let drawn: Result<Vec<Drawn>, _> = (0..draw.count as u64)
        .into_par_iter()
        .map(|i| {
            let key = mix(draw.seed, i);
            let family = draw.families[i as usize % draw.families.len().max(1)];
            let [least, most] = SERVICES;
            let services = (least.ln() + (most / least).ln() * uniform(mix(key, 1))).exp();
            let options = Options {
                total_rps: None,
                most_visits_rps: MOST_VISITS_RPS,
            };
            scenario_with(family, services.round() as usize, key, &options).map(Drawn::of)
        })
        .collect();
    drawn.map_err(|cause| TrainError::Scenario(cause.to_string()))
}

impl Drawn {
    fn of(scenario: Scenario) -> Self {
        let request = ProfileRequest {
            policy: PolicyKind::Analytic,
            scaling: ScalingKind::Scheduled,
            prove_faults: Some(0),
            ..scenario.request.clone()
        };
        let surge = FaultKind::RetryStorm {
            service: String::new(),
            factor: scenario.surge,
        };
        let faults = std::iter::once(surge).chain(scenario.faults.iter().map(|f| f.kind.clone()));
        Self {
            faults: faults.take(MOST_FAULTS).collect(),
            request,
            scenario,
        }
    }
}

/// The regions as they are gone through; those that cannot be planned or simulated are left out, and with `only_teaching` those in which nothing is missed.
///
/// # Errors
/// [`TrainError::Scenario`] where one cannot be looked at.
pub fn drills(drawn: &[Drawn], only_teaching: bool) -> Result<Vec<Drill<'_>>, TrainError> {
    let found: Result<Vec<Option<Drill<'_>>>, TrainError> = drawn
        .par_iter()
        .map(|drawn| {
            let scenario = &drawn.scenario;
            let input = PolicyInput {
                graph: &scenario.graph,
                demand: &scenario.demand,
                request: &drawn.request,
            };
            if scenario.infeasible {
                return Ok(None);
            }
            let said =
                |cause: foremesh_policy::PolicyError| TrainError::Scenario(cause.to_string());
            let Ok(Some(drill)) = Drill::of(input, drawn.faults.clone(), SPANS) else {
                return Ok(None);
            };
            let planned = vec![[0; KNOBS]; drill.services()];
            let teaches = !only_teaching
                || drill.look(&planned, 0).map_err(said)?.missed_disturbed() >= LITTLE;
            Ok(teaches.then_some(drill))
        })
        .collect();
    Ok(found?.into_iter().flatten().collect())
}
