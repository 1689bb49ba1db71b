//! The plans that are judged, and their meshes.

use std::{path::Path as File, sync::LazyLock};

use foremesh_model::{InferenceSettings, PolicyKind, ProfileRequest, ScalingKind, Settings};
use foremesh_onnx::{Inference, Model, Surroundings, read_model};
use foremesh_policy::{
    Method, Networks, PolicyInput, PolicyOutput,
    gnn::{ACTIONS, Network, NetworkError, Region, States, contract},
    plan, plan_with,
};
use foremesh_scenarios::Scenario;
use foremesh_simulate::{Arrivals, EntryLoad, Mesh, PlanAssumptions, from_plan};

use crate::near_optimum::near_optimum;

/// The policy that the program has inside.
static LEARNED: LazyLock<Model> = LazyLock::new(|| {
    let file = File::new(env!("CARGO_MANIFEST_DIR")).join("../../models/policy.onnx");
    let inference = Inference::discover(&InferenceSettings::default(), Surroundings::of_process());
    let file = read_model(&file).unwrap();
    inference.load(&file, "policy.onnx", &contract()).unwrap()
});

/// Says of a region what was found by trying.
#[derive(Debug)]
struct Found(Vec<[f64; ACTIONS]>);

impl Network for Found {
    fn answer(&self, _states: &States) -> Result<Vec<f32>, NetworkError> {
        Ok(self.0.iter().flatten().map(|a| *a as f32).collect())
    }
}

/// Services of the largest region that [`near_optimum`] tries plans of.
pub const MOST_TRIED: usize = 12;
/// Paths of demand that it tries them on, and minutes of each.
const TRIED: [usize; 2] = [32, 24];
const TRYING_SEED: u64 = 3_000_000;

/// The plan of what CMA-ES finds; none of large regions.
pub fn tried_long(scenario: &Scenario) -> Option<PolicyOutput> {
    let input = PolicyInput {
        graph: &scenario.graph,
        demand: &scenario.demand,
        request: &scenario.request,
    };
    let region = Region::of(&input).unwrap();
    if region.services() > MOST_TRIED {
        return None;
    }
    let [paths, each] = TRIED;
    let minutes = region.minutes(TRYING_SEED, paths, each).unwrap();
    let found = Found(near_optimum(&region, &minutes, TRYING_SEED));
    Some(settings_by(scenario, PolicyKind::Gnn, &found))
}

/// The floor's rule with an autoscaler, made safe as what is learned is: what a net that has learned nothing is worth.
pub fn rule_alone(scenario: &Scenario) -> PolicyOutput {
    let nothing = Found(vec![[0.0; ACTIONS]; scenario.graph.len()]);
    settings_by(scenario, PolicyKind::Gnn, &nothing)
}

/// The search with an autoscaler as it comes, with the learned policy's plan among its candidates.
pub fn searched_with_net(scenario: &Scenario) -> PolicyOutput {
    settings_by(scenario, PolicyKind::Search, &*LEARNED)
}

/// With an autoscaler, and the learned policy, or what stands in its place, at hand.
fn settings_by(scenario: &Scenario, policy: PolicyKind, network: &dyn Network) -> PolicyOutput {
    let request = ProfileRequest {
        policy,
        scaling: ScalingKind::TargetTracking,
        ..scenario.request.clone()
    };
    let input = PolicyInput {
        graph: &scenario.graph,
        demand: &scenario.demand,
        request: &request,
    };
    let networks = Networks {
        policy: Some(network),
        refinement: None,
    };
    plan_with(&input, networks).unwrap()
}

pub fn settings_of(scenario: &Scenario, policy: PolicyKind, scaling: ScalingKind) -> PolicyOutput {
    if policy == PolicyKind::Gnn {
        return settings_by(scenario, policy, &*LEARNED);
    }
    let request = ProfileRequest {
        policy,
        scaling,
        ..scenario.request.clone()
    };
    let input = PolicyInput {
        graph: &scenario.graph,
        demand: &scenario.demand,
        request: &request,
    };
    plan(&input).unwrap()
}

pub fn mesh_of(scenario: &Scenario, settings: &Settings) -> Mesh {
    let loads: Vec<EntryLoad> = scenario
        .demand
        .entries
        .iter()
        .filter_map(|(name, entry)| {
            Some(EntryLoad {
                entry: scenario.graph.resolve(name)?.name.clone(),
                arrivals: Arrivals::Poisson {
                    step_s: 3600.0,
                    rates_rps: vec![1.0],
                    dispersion: entry.dispersion.max(1.0),
                },
            })
        })
        .collect();
    let assumptions = PlanAssumptions {
        cost: scenario.request.cost,
        ..PlanAssumptions::default()
    };
    from_plan(&scenario.graph, settings, &loads, &[], 0, &assumptions).unwrap()
}

/// What a searched plan costs an hour, and what its greedy additions alone would; None where the floor was taken.
pub fn beside_greedy(scenario: &Scenario, search: &PolicyOutput) -> Option<[f64; 2]> {
    let Method::Search { share } = search.method else {
        return None;
    };
    let cost_per_hour = |method: Method| {
        let name = method.to_string();
        let candidate = search.candidates.iter().find(|c| c.name == name)?;
        Some(candidate.instance_cost / scenario.demand.steps() as f64)
    };
    Some([
        cost_per_hour(search.method)?,
        cost_per_hour(Method::Greedy { share })?,
    ])
}
