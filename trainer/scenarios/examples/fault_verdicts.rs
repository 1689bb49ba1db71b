//! What the faults that matter most do to the plans of drawn regions, by kind:
//! `cargo run --release -p foremesh-scenarios --example fault_verdicts [REGIONS]`.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::collections::BTreeMap;

use foremesh_model::{FaultVerdict, PolicyKind, ProfileRequest, ScalingKind};
use foremesh_policy::{PolicyInput, plan};
use foremesh_scenarios::{Family, Options, scenario_with};
use rayon::prelude::*;

const FAULTS: u32 = 6;
const SIZES: [usize; 5] = [3, 6, 12, 25, 50];

const PLANS: [(&str, PolicyKind, ScalingKind); 3] = [
    ("floor", PolicyKind::Analytic, ScalingKind::Scheduled),
    ("search", PolicyKind::Search, ScalingKind::Scheduled),
    (
        "search and autoscaler",
        PolicyKind::Search,
        ScalingKind::TargetTracking,
    ),
];

fn main() {
    let regions: u64 = std::env::args().nth(1).map_or(20, |n| n.parse().unwrap());
    let options = Options {
        total_rps: None,
        most_visits_rps: 5_000.0,
    };
    let all: Vec<(String, &str, f64, Vec<FaultVerdict>)> = (0..regions)
        .into_par_iter()
        .flat_map_iter(|i| {
            let family = Family::ALL[i as usize % Family::ALL.len()];
            let services = SIZES[i as usize % SIZES.len()];
            let scenario = scenario_with(family, services, 3_000 + i, &options).unwrap();
            PLANS.into_iter().map(move |(name, policy, scaling)| {
                let request = ProfileRequest {
                    policy,
                    scaling,
                    prove_faults: Some(FAULTS),
                    ..scenario.request.clone()
                };
                let input = PolicyInput {
                    graph: &scenario.graph,
                    demand: &scenario.demand,
                    request: &request,
                };
                let output = plan(&input).unwrap();
                let cost = output.candidates[0].instance_cost;
                (scenario.name.clone(), name, cost, output.faults)
            })
        })
        .collect();
    for (scenario, plan, _, verdicts) in &all {
        for verdict in verdicts.iter().filter(|v| !v.recovered) {
            println!(
                "{scenario}, {plan}: {} of {:?} for {} s: {:.2}% missed, not recovered",
                verdict.kind,
                verdict.service,
                verdict.seconds,
                100.0 * verdict.missed_share
            );
        }
    }
    for (plan, ..) in PLANS {
        let of = || all.iter().filter(|(_, name, ..)| *name == plan);
        let cost: f64 = of().map(|(_, _, cost, _)| cost).sum();
        println!("{plan}, {cost:.1} in all");
        let mut by_kind: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
        for verdict in of().flat_map(|(.., verdicts)| verdicts) {
            let [count, kept, recovered] = by_kind.entry(&verdict.kind).or_default();
            *count += 1;
            *kept += usize::from(verdict.kept);
            *recovered += usize::from(verdict.recovered);
        }
        for (kind, [count, kept, recovered]) in by_kind {
            println!("    {kind:<18} {count} times, kept {kept}, recovered {recovered}");
        }
    }
}
