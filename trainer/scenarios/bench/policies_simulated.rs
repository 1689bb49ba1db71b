//! Policies under a surge and under faults, in the simulation: part of `make bench-policy`.
//!
//! Graphs that nothing was trained on, and the demo applications where their manifests are in `../shared/data`. Each policy meets the hardest hour at
//! the median of its demand: undisturbed, with twice the requests for a minute, and with what the scenario lets go wrong, each fault by itself. Random
//! numbers are the same for every policy, and none that a plan was tried on. What counts is goodput: requests answered within the
//! objective's latency, of those that came, all entries of a graph together.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::collections::BTreeMap;

use foremesh_model::{Fault, FaultKind, PolicyKind, ProfileRequest, RegionPlan, ScalingKind};
use foremesh_pipeline::{
    Models, Report, SimulateRequest, SimulatedPolicy, compute_profile, simulate_plan,
};
use foremesh_scenarios::{Family, Options, Scenario, dress, scenario_with};
use rayon::prelude::*;

/// Demo applications whose call graphs are known, and how often each is dressed with services and demand.
const APPLICATIONS: [&str; 4] = [
    "Online Boutique",
    "Sock Shop",
    "TeaStore",
    "Bookinfo, metrics",
];
const DRESSES: u64 = 3;
/// Requests a second that all services of a graph together answer at most: what is simulated here costs time for each.
const MOST_VISITS_RPS: f64 = 1_500.0;
const SEED: u64 = 4_000_000;
const REPLICATIONS: u32 = 2;
const MINUTES: u32 = 2;
/// When it goes wrong, and for how long, in seconds.
const WRONG: [f64; 2] = [30.0, 60.0];
const SURGE: f64 = 2.0;

/// Whose settings, and whose instances.
const POLICIES: [(&str, Planned, SimulatedPolicy); 12] = [
    (
        "floor's instances, Istio defaults",
        Planned::Floor,
        SimulatedPolicy::IstioDefaults,
    ),
    (
        "static, twice the workers",
        Planned::Floor,
        SimulatedPolicy::StaticHeadroom,
    ),
    ("HPA at 80%", Planned::Floor, SimulatedPolicy::Hpa),
    ("HPA at 50%", Planned::Floor, SimulatedPolicy::HpaTuned),
    (
        "KEDA cron and HPA at 80%",
        Planned::Floor,
        SimulatedPolicy::KedaCron,
    ),
    ("floor", Planned::Floor, SimulatedPolicy::Plan),
    ("search", Planned::Search, SimulatedPolicy::Plan),
    (
        "search, proved under faults",
        Planned::SearchRefined,
        SimulatedPolicy::Plan,
    ),
    (
        "search's instances, Istio defaults",
        Planned::Search,
        SimulatedPolicy::IstioDefaults,
    ),
    (
        "search and autoscaler",
        Planned::Tracked,
        SimulatedPolicy::Plan,
    ),
    (
        "autoscaler, proved under faults",
        Planned::TrackedRefined,
        SimulatedPolicy::Plan,
    ),
    (
        "learned, with autoscaler",
        Planned::Learned,
        SimulatedPolicy::Plan,
    ),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Planned {
    Floor,
    Search,
    SearchRefined,
    Tracked,
    TrackedRefined,
    Learned,
}

impl Planned {
    const ALL: [Self; 6] = [
        Self::Floor,
        Self::Search,
        Self::SearchRefined,
        Self::Tracked,
        Self::TrackedRefined,
        Self::Learned,
    ];

    fn plan(self, scenario: &Scenario, models: &Models) -> RegionPlan {
        let (policy, scaling) = match self {
            Self::Floor => (PolicyKind::Analytic, ScalingKind::Scheduled),
            Self::Search | Self::SearchRefined => (PolicyKind::Search, ScalingKind::Scheduled),
            Self::Tracked | Self::TrackedRefined => {
                (PolicyKind::Search, ScalingKind::TargetTracking)
            }
            Self::Learned => (PolicyKind::Gnn, ScalingKind::TargetTracking),
        };
        // As plans come: given room and refined under the faults that are likely there, not under the ones of this benchmark.
        let refined = matches!(self, Self::SearchRefined | Self::TrackedRefined);
        let request = ProfileRequest {
            policy,
            scaling,
            prove_faults: (!refined).then_some(0),
            ..scenario.request.clone()
        };
        compute_profile(&scenario.graph, &scenario.demand, &request, models).unwrap()
    }
}

/// What goes wrong; none is nothing.
struct Case {
    kind: &'static str,
    fault: Option<Fault>,
}

fn cases(scenario: &Scenario) -> Vec<Case> {
    let [starts_s, duration_s] = WRONG;
    let surge = FaultKind::RetryStorm {
        service: String::new(),
        factor: SURGE,
    };
    let wrong = std::iter::once(("surge", surge)).chain(
        scenario
            .faults
            .iter()
            .map(|fault| (fault.kind.word(), fault.kind.clone())),
    );
    let wrong = wrong.map(|(kind, fault)| Case {
        kind,
        fault: Some(Fault {
            name: kind.into(),
            starts_s,
            duration_s,
            kind: fault,
        }),
    });
    let calm = Case {
        kind: "undisturbed",
        fault: None,
    };
    std::iter::once(calm).chain(wrong).collect()
}

fn goodput(report: &Report) -> f64 {
    let all = |of: fn(&foremesh_simulate::EntryReport) -> f64| -> f64 {
        report.entries.values().map(of).sum()
    };
    all(|entry| entry.good_rps.mean) / all(|entry| entry.offered_rps.mean).max(1e-9)
}

/// Goodput and cost an hour.
type Shown = BTreeMap<(&'static str, usize, &'static str), [f64; 2]>;

fn run(scenario: &Scenario, models: &Models) -> Shown {
    let plans: BTreeMap<Planned, RegionPlan> = Planned::ALL
        .into_iter()
        .map(|planned| (planned, planned.plan(scenario, models)))
        .collect();
    let mut shown = Shown::new();
    for (number, case) in cases(scenario).into_iter().enumerate() {
        for (name, planned, policy) in POLICIES {
            let request = SimulateRequest {
                level: 0.5,
                minutes: MINUTES,
                faults: case.fault.iter().cloned().collect(),
                policy,
                seed: SEED,
                replications: REPLICATIONS,
                ..SimulateRequest::default()
            };
            let simulation = simulate_plan(&plans[&planned], &request).unwrap();
            let report = &simulation.report;
            let values = [goodput(report), report.cost_per_hour.mean];
            shown.insert((case.kind, number, name), values);
        }
    }
    shown
}

fn scenarios(graphs: u64) -> Vec<Scenario> {
    let options = Options {
        total_rps: None,
        most_visits_rps: MOST_VISITS_RPS,
    };
    let sizes = [3, 6, 12, 25, 50];
    let drawn = (0..graphs).map(|i| {
        let family = Family::HELD_OUT[(i % 2) as usize];
        let services = sizes[(i as usize / 2) % sizes.len()];
        scenario_with(family, services, 700 + i, &options).unwrap()
    });
    let known = common::real_graphs();
    let applications = APPLICATIONS.iter().flat_map(|application| {
        let graph = known.iter().find(|(name, _)| name == application);
        if graph.is_none() {
            println!("SKIPPED: {application}: its manifests are not in ../shared/data");
        }
        graph.into_iter().flat_map(|(name, graph)| {
            (0..DRESSES).map(|seed| dress(name, graph, 900 + seed, &options).unwrap())
        })
    });
    drawn.chain(applications).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), v| (sum + v, count + 1.0));
    sum / f64::max(count, 1.0)
}

fn main() {
    let graphs: u64 = std::env::args().nth(1).map_or(20, |n| n.parse().unwrap());
    let models = Models::default();
    let scenarios = scenarios(graphs);
    let all: Vec<Shown> = scenarios.par_iter().map(|s| run(s, &models)).collect();
    for (scenario, shown) in scenarios.iter().zip(&all) {
        println!("{}", scenario.name);
        let mut last = usize::MAX;
        for ((kind, number, policy), [good, cost]) in shown {
            if *number != last {
                println!("    {kind}");
                last = *number;
            }
            println!(
                "        {policy:<34} {:>7.3}% in time, {cost:>9.3} an hour",
                100.0 * good
            );
        }
    }
    let mut kinds: Vec<&str> = Vec::new();
    for (kind, ..) in all.iter().flat_map(BTreeMap::keys) {
        if !kinds.contains(kind) {
            kinds.push(kind);
        }
    }
    println!("\n{} graphs; in time, mean (least)", all.len());
    for kind in kinds {
        let times = |policy: &str| -> Vec<f64> {
            let found = all.iter().flatten();
            found
                .filter(|((k, _, p), _)| *k == kind && *p == policy)
                .map(|(_, [good, _])| *good)
                .collect()
        };
        println!("{kind}, {} times", times(POLICIES[0].0).len());
        for (policy, ..) in POLICIES {
            let times = times(policy);
            let least = times.iter().copied().fold(1.0, f64::min);
            println!(
                "    {policy:<34} {:>7.3}% ({:.3}%)",
                100.0 * mean(times.iter().copied()),
                100.0 * least
            );
        }
    }
    println!("cost of the undisturbed window, of the floor's, geometric mean");
    for (policy, ..) in POLICIES {
        let ratios = all.iter().map(|shown| {
            let cost = |policy: &'static str| shown[&("undisturbed", 0, policy)][1];
            (cost(policy) / cost("floor")).ln()
        });
        println!("    {policy:<34} {:.3}", mean(ratios).exp());
    }
}
