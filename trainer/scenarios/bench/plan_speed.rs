//! How long a plan takes: regions of 20 to 500 services, with each policy, and the floor's for the largest of which reasons are told in full, with and without what is simulated: part of `make bench-policy-speed`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::Instant;

use foremesh_model::{PolicyKind, ProfileRequest, ScalingKind};
use foremesh_pipeline::Models;
use foremesh_policy::{PolicyInput, plan_with};
use foremesh_scenarios::{Family, Options, scenario_with};

const SIZES: [usize; 4] = [20, 100, 500, 2_000];
/// Beyond so many services the floor alone.
const MOST_SEARCHED: usize = 500;
/// Services and requests enough that there is something to decide.
const ENTERING_RPS: f64 = 5_000.0;

fn main() {
    let models = Models::default();
    println!(
        "services  plan                             formulas alone, s   and trials, s   and faults, s"
    );
    for services in SIZES {
        let options = Options {
            total_rps: Some(ENTERING_RPS),
            most_visits_rps: 1e6,
        };
        let drawn = (5..).map(|seed| scenario_with(Family::Layered, services, seed, &options));
        let mut feasible = drawn.map(Result::unwrap).filter(|drawn| !drawn.infeasible);
        let scenario = feasible.next().unwrap();
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
            (
                "gnn, with an autoscaler",
                PolicyKind::Gnn,
                ScalingKind::TargetTracking,
            ),
        ] {
            if services > MOST_SEARCHED && policy != PolicyKind::Analytic {
                continue;
            }
            let seconds = |windows: Option<u32>, faults: Option<u32>| {
                let request = ProfileRequest {
                    policy,
                    scaling,
                    search_windows: windows,
                    prove_faults: faults,
                    ..scenario.request.clone()
                };
                let input = PolicyInput {
                    graph: &scenario.graph,
                    demand: &scenario.demand,
                    request: &request,
                };
                let started = Instant::now();
                plan_with(&input, models.networks()).unwrap();
                started.elapsed().as_secs_f64()
            };
            let alone = seconds(Some(0), Some(0));
            let tried = seconds(None, Some(0));
            let proved = seconds(None, None);
            println!("{services:>8}  {name:<32} {alone:>17.2} {tried:>15.2} {proved:>15.2}");
        }
    }
}
