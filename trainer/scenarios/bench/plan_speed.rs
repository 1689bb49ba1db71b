//! How long a plan takes: regions of 20 to 500 services, with each policy, with and without what is simulated: part of `make bench-policy-speed`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::Instant;

use foremesh_model::{PolicyKind, ProfileRequest, ScalingKind};
use foremesh_policy::{PolicyInput, plan};
use foremesh_scenarios::{Family, Options, scenario_with};

const SIZES: [usize; 3] = [20, 100, 500];
/// Services and requests enough that there is something to decide.
const ENTERING_RPS: f64 = 5_000.0;

fn main() {
    println!("services  plan                             formulas alone, s   simulated, s");
    for services in SIZES {
        let options = Options {
            total_rps: Some(ENTERING_RPS),
            most_visits_rps: 1e6,
        };
        let scenario = scenario_with(Family::Layered, services, 5, &options).unwrap();
        for (name, policy, scaling) in [
            ("analytic", PolicyKind::Analytic, ScalingKind::Scheduled),
            ("search", PolicyKind::Search, ScalingKind::Scheduled),
            (
                "analytic, with an autoscaler",
                PolicyKind::Analytic,
                ScalingKind::TargetTracking,
            ),
            (
                "search, with an autoscaler",
                PolicyKind::Search,
                ScalingKind::TargetTracking,
            ),
        ] {
            let seconds = |simulated: Option<u32>| {
                let request = ProfileRequest {
                    policy,
                    scaling,
                    search_windows: simulated,
                    prove_faults: simulated,
                    ..scenario.request.clone()
                };
                let input = PolicyInput {
                    graph: &scenario.graph,
                    demand: &scenario.demand,
                    request: &request,
                };
                let started = Instant::now();
                plan(&input).unwrap();
                started.elapsed().as_secs_f64()
            };
            let (alone, simulated) = (seconds(Some(0)), seconds(None));
            println!("{services:>8}  {name:<32} {alone:>17.2} {simulated:>14.2}");
        }
    }
}
