//! Policies beside each other at equal attainment, on graphs that nothing was trained on: `make bench-policy`.
//!
//! Every policy is judged on the same minutes, drawn from the forecast with seeds that no policy saw, by the steady state in formulas: whether
//! each entry keeps its objective, and what the instances cost. What is tuned (utilisation) is tuned on other minutes, for each graph apart:
//! the cheapest that keeps as many minutes as is asked.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod laws;
mod minutes;

use std::collections::BTreeMap;

use foremesh_model::{
    PolicyKind, ProfileRequest, ServiceName, Settings,
    graph::Visits,
    random::{mix, uniform},
    station::stations,
};
use foremesh_policy::{PolicyInput, plan};
use foremesh_scenarios::{Family, Scenario, scenario};
use foremesh_simulate::{
    Arrivals, EntryLoad, Mesh, PlanAssumptions,
    analytic::{Load, SteadyState},
    baselines::istio_defaults,
    from_plan,
};
use rayon::prelude::*;

use laws::{Known, Law};
use minutes::Path;

/// Share of minutes that must keep every objective.
const ATTAINMENT: f64 = 0.995;
const TUNING_SEED: u64 = 1_000_000;
const JUDGING_SEED: u64 = 2_000_000;
const SEEDS: u64 = 30;
const MINUTES_OF_A_SEED: u64 = 40;
const UTILISATIONS: [f64; 12] = [
    0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45, 0.4, 0.3, 0.2,
];

/// What a policy showed on a graph.
#[derive(Debug, Clone, Copy)]
struct Shown {
    cost_per_hour: f64,
    kept: f64,
}

/// A graph to judge on.
struct Bench<'a> {
    scenario: &'a Scenario,
    known: Known<'a>,
    visits: &'a Visits,
}

impl Bench<'_> {
    /// A law's minutes on a mesh with its settings.
    fn judge(&self, law: &Law<'_>, mesh: &Mesh, seed: u64) -> Shown {
        let mut steady = SteadyState::of(mesh).unwrap();
        let (mut cost, mut kept, mut count) = (0.0, 0.0, 0.0);
        for path_seed in 0..SEEDS {
            let key = mix(seed, path_seed);
            let path = Path::drawn(
                &self.scenario.graph,
                &self.scenario.demand,
                self.visits,
                key,
            );
            for draw in 0..MINUTES_OF_A_SEED {
                let minutes = path.minutes() as f64;
                let minute = (uniform(mix(mix(key, 0xA1), draw)) * minutes) as usize;
                let instances = law.instances(&self.known, &path, minute);
                let load = Load {
                    entry_rps: path.entry_rps(minute),
                    instances,
                };
                let each = load.instances.iter().zip(self.known.stations);
                cost += each
                    .map(|(n, s)| f64::from(*n) * s.cost_per_hour)
                    .sum::<f64>();
                let holds = steady.evaluate(mesh, &load).unwrap().holds();
                kept += f64::from(u8::from(holds));
                count += 1.0;
            }
        }
        Shown {
            cost_per_hour: cost / count,
            kept: kept / count,
        }
    }

    /// The cheapest utilisation that keeps what is asked on the minutes for tuning, judged on the others.
    fn tuned(&self, law: impl Fn(f64) -> Law<'static>, mesh: &Mesh) -> Shown {
        let chosen = UTILISATIONS
            .into_iter()
            .find(|u| self.judge(&law(*u), mesh, TUNING_SEED).kept >= ATTAINMENT);
        let last = UTILISATIONS[UTILISATIONS.len() - 1];
        self.judge(&law(chosen.unwrap_or(last)), mesh, JUDGING_SEED)
    }
}

fn settings_of(scenario: &Scenario, policy: PolicyKind) -> foremesh_policy::PolicyOutput {
    let request = ProfileRequest {
        policy,
        ..scenario.request.clone()
    };
    plan(&PolicyInput {
        graph: &scenario.graph,
        demand: &scenario.demand,
        request: &request,
    })
    .unwrap()
}

fn mesh_of(scenario: &Scenario, settings: &Settings) -> Mesh {
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

fn run(scenario: &Scenario) -> BTreeMap<&'static str, Shown> {
    let stations = stations(&scenario.graph, &scenario.request.cost).unwrap();
    let visits = Visits::of(&scenario.graph).unwrap();
    let names: Vec<ServiceName> = scenario.graph.services().map(|s| s.name.clone()).collect();
    let median_rps: Vec<Vec<f64>> = (0..scenario.demand.steps())
        .map(|hour| {
            let mut enters = vec![0.0; names.len()];
            for (name, entry) in &scenario.demand.entries {
                let node = scenario
                    .graph
                    .resolve(name)
                    .and_then(|s| scenario.graph.node(&s.name));
                if let Some(node) = node {
                    enters[node.index()] += entry.at_level(hour, 0.5);
                }
            }
            visits.rates(&enters)
        })
        .collect();
    let bench = Bench {
        scenario,
        known: Known {
            stations: &stations,
            median_rps: &median_rps,
            names: &names,
        },
        visits: &visits,
    };
    let floor = settings_of(scenario, PolicyKind::Analytic);
    let search = settings_of(scenario, PolicyKind::Search);
    let (floor_mesh, search_mesh) = (
        mesh_of(scenario, &floor.settings),
        mesh_of(scenario, &search.settings),
    );
    let plain = istio_defaults(&floor_mesh);
    let mut shown = BTreeMap::new();
    let plan = |settings| Law::Plan(settings);
    shown.insert(
        "floor",
        bench.judge(&plan(&floor.settings), &floor_mesh, JUDGING_SEED),
    );
    shown.insert(
        "search",
        bench.judge(&plan(&search.settings), &search_mesh, JUDGING_SEED),
    );
    shown.insert(
        "floor's instances, Istio defaults",
        bench.judge(&plan(&floor.settings), &plain, JUDGING_SEED),
    );
    shown.insert(
        "static, tuned",
        bench.tuned(|utilisation| Law::Static { utilisation }, &plain),
    );
    shown.insert(
        "HPA at 80%",
        bench.judge(&Law::Hpa { utilisation: 0.8 }, &plain, JUDGING_SEED),
    );
    shown.insert(
        "HPA, tuned",
        bench.tuned(|utilisation| Law::Hpa { utilisation }, &plain),
    );
    shown.insert(
        "predictive, tuned",
        bench.tuned(|utilisation| Law::Predictive { utilisation }, &plain),
    );
    let found = &search.candidates[0].name;
    let greedy = search.candidates.iter().find(|c| {
        c.name == found.replace("search with", "greedy additions with") && c.name != *found
    });
    if let Some(greedy) = greedy {
        let hours = scenario.demand.steps() as f64;
        shown.insert(
            "greedy, as the search counts",
            Shown {
                cost_per_hour: greedy.instance_cost / hours,
                kept: f64::NAN,
            },
        );
        shown.insert(
            "search, as it counts",
            Shown {
                cost_per_hour: search.candidates[0].instance_cost / hours,
                kept: f64::NAN,
            },
        );
    }
    shown
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let graphs: u64 = arguments.first().map_or(20, |n| n.parse().unwrap());
    let sizes = [3, 6, 12, 25, 50, 100];
    let scenarios: Vec<Scenario> = (0..graphs)
        .map(|i| {
            let family = Family::HELD_OUT[(i % 2) as usize];
            let services = sizes[(i as usize / 2) % sizes.len()];
            scenario(family, services, 500 + i).unwrap()
        })
        .collect();
    let all: Vec<BTreeMap<&str, Shown>> = scenarios.par_iter().map(run).collect();
    for (scenario, shown) in scenarios.iter().zip(&all) {
        println!(
            "{}{}",
            scenario.name,
            if scenario.infeasible {
                " (infeasible)"
            } else {
                ""
            }
        );
        for (name, shown) in shown {
            println!(
                "    {name:<34} {:>9.3} an hour, {:>7.3}% kept",
                shown.cost_per_hour,
                100.0 * shown.kept
            );
        }
    }
    let feasible = |shown: &BTreeMap<&str, Shown>| shown["floor"].kept >= ATTAINMENT;
    let fair: Vec<_> = all.iter().filter(|shown| feasible(shown)).collect();
    println!(
        "\n{} graphs, of which the floor keeps {}",
        all.len(),
        fair.len()
    );
    for name in [
        "static, tuned",
        "HPA at 80%",
        "HPA, tuned",
        "predictive, tuned",
        "floor",
        "search",
    ] {
        let ratio = fair
            .iter()
            .map(|s| (s[name].cost_per_hour / s["floor"].cost_per_hour).ln());
        let kept = fair.iter().map(|s| s[name].kept).sum::<f64>() / fair.len() as f64;
        let attained = fair.iter().filter(|s| s[name].kept >= ATTAINMENT).count();
        println!(
            "{name:<20} cost {:.3} of the floor's, keeps {:.3}% of minutes, attains on {attained}",
            (ratio.sum::<f64>() / fair.len() as f64).exp(),
            100.0 * kept
        );
    }
    let gains: Vec<f64> = all
        .iter()
        .filter_map(|s| {
            let (a, b) = (
                s.get("search, as it counts")?,
                s.get("greedy, as the search counts")?,
            );
            Some((a.cost_per_hour / b.cost_per_hour).ln())
        })
        .collect();
    println!(
        "search chosen on {}, {:.2}% cheaper than greedy there",
        gains.len(),
        100.0 * (1.0 - (gains.iter().sum::<f64>() / gains.len().max(1) as f64).exp())
    );
}
