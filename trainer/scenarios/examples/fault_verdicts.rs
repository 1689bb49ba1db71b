//! What the faults that matter most do to the plans of drawn regions, by kind:
//! `cargo run --release -p foremesh-scenarios --example fault_verdicts [REGIONS]`.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::collections::BTreeMap;

use foremesh_model::{PolicyKind, ProfileRequest, ScalingKind};
use foremesh_pipeline::Models;
use foremesh_policy::{Networks, PolicyInput, PolicyOutput, plan_with};
use foremesh_scenarios::{Family, Options, scenario_with};
use rayon::prelude::*;

const FAULTS: u32 = 6;
const SIZES: [usize; 5] = [3, 6, 12, 25, 50];

/// With the learned nets at hand or without.
const PLANS: [(&str, PolicyKind, ScalingKind, bool); 5] = [
    ("floor", PolicyKind::Analytic, ScalingKind::Scheduled, false),
    ("search", PolicyKind::Search, ScalingKind::Scheduled, false),
    (
        "search, settings refined",
        PolicyKind::Search,
        ScalingKind::Scheduled,
        true,
    ),
    (
        "search and autoscaler",
        PolicyKind::Search,
        ScalingKind::TargetTracking,
        false,
    ),
    (
        "search and autoscaler, settings refined",
        PolicyKind::Search,
        ScalingKind::TargetTracking,
        true,
    ),
];

fn main() {
    let regions: u64 = std::env::args().nth(1).map_or(20, |n| n.parse().unwrap());
    let options = Options {
        total_rps: None,
        most_visits_rps: 5_000.0,
    };
    let models = Models::default();
    let without = Networks {
        refinement: None,
        ..models.networks()
    };
    let all: Vec<(String, &str, PolicyOutput)> = (0..regions)
        .into_par_iter()
        .flat_map_iter(|i| {
            let family = Family::ALL[i as usize % Family::ALL.len()];
            let services = SIZES[i as usize % SIZES.len()];
            let scenario = scenario_with(family, services, 3_000 + i, &options).unwrap();
            let models = &models;
            PLANS.into_iter().map(move |(name, policy, scaling, nets)| {
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
                let networks = if nets { models.networks() } else { without };
                let output = plan_with(&input, networks).unwrap();
                (scenario.name.clone(), name, output)
            })
        })
        .collect();
    for (scenario, plan, output) in &all {
        for verdict in output.faults.iter().filter(|v| !v.recovered) {
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
        let of = || all.iter().filter(|(_, name, _)| *name == plan);
        let cost: f64 = of().map(|(.., o)| o.candidates[0].instance_cost).sum();
        let turned = of().filter(|(.., output)| output.turned).count();
        let missed: Vec<f64> = of()
            .flat_map(|(.., output)| output.faults.iter().map(|v| v.missed_share))
            .collect();
        println!(
            "{plan}: cost {cost:.1}, settings turned in {turned} regions, {:.2}% of the worst entry's requests missed while faults last",
            100.0 * missed.iter().sum::<f64>() / missed.len().max(1) as f64
        );
        let mut by_kind: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
        for verdict in of().flat_map(|(.., output)| &output.faults) {
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
