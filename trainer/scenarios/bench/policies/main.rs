//! Policies beside each other at equal attainment, on graphs that nothing was trained on: `make bench-policy`.
//!
//! Every policy is judged on the same minutes, drawn from the forecast with seeds that no policy saw, by the steady state in formulas: whether
//! each entry keeps its objective, and what the instances cost. What is tuned (utilisation) is tuned on other minutes, for each graph apart:
//! the cheapest that keeps as many minutes as is asked.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod laws;
mod minutes;

use std::{collections::BTreeMap, path::Path as File, sync::LazyLock};

use foremesh_model::{
    Criticality, InferenceSettings, PolicyKind, ProfileRequest, ScalingKind, ServiceName, Settings,
    graph::Visits,
    random::{mix, uniform},
    station::stations,
};
use foremesh_onnx::{Inference, Model, Surroundings, read_model};
use foremesh_policy::{
    Method, PolicyInput, PolicyOutput,
    gnn::{Network, contract},
    plan_with,
};
use foremesh_scenarios::{Family, Options, Scenario, scenario_with};
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
/// Hours in which the loss of an instance is looked at.
const LOSS_HOURS: usize = 3;
/// Multiples of the price of a violated minute.
const PRICES: [f64; 4] = [0.01, 0.1, 1.0, 10.0];
const UTILISATIONS: [f64; 12] = [
    0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45, 0.4, 0.3, 0.2,
];

/// The policy that the program has inside.
static LEARNED: LazyLock<Model> = LazyLock::new(|| {
    let file = File::new(env!("CARGO_MANIFEST_DIR")).join("../../models/policy.onnx");
    let inference = Inference::discover(&InferenceSettings::default(), Surroundings::of_process());
    let file = read_model(&file).unwrap();
    inference.load(&file, "policy.onnx", &contract()).unwrap()
});

/// What a policy showed on a graph.
#[derive(Debug, Clone, Copy)]
struct Shown {
    cost_per_hour: f64,
    kept: f64,
}

/// What the policies showed on a graph.
struct Judged {
    by_policy: BTreeMap<&'static str, Shown>,
    /// Where the search was taken: what it costs and what its greedy additions alone would, an hour, as the search counts.
    beside_greedy: Option<[f64; 2]>,
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

    /// The same of autoscalers that also bear what plans bear: the loss of one instance of any service that is not deferrable, at the median of the
    /// busiest hours.
    fn tuned_to_bear_loss(&self, mesh: &Mesh) -> Shown {
        let chosen = UTILISATIONS.into_iter().find(|u| {
            self.bears_loss(*u, mesh)
                && self
                    .judge(&Law::Hpa { utilisation: *u }, mesh, TUNING_SEED)
                    .kept
                    >= ATTAINMENT
        });
        let utilisation = chosen.unwrap_or(UTILISATIONS[UTILISATIONS.len() - 1]);
        self.judge(&Law::Hpa { utilisation }, mesh, JUDGING_SEED)
    }

    fn bears_loss(&self, utilisation: f64, mesh: &Mesh) -> bool {
        let mut steady = SteadyState::of(mesh).unwrap();
        let mut hours: Vec<usize> = (0..self.known.median_rps.len()).collect();
        hours.sort_by(|a, b| {
            let all = |hour: usize| self.known.median_rps[hour].iter().sum::<f64>();
            all(*b).total_cmp(&all(*a))
        });
        hours.into_iter().take(LOSS_HOURS).all(|hour| {
            let rates = &self.known.median_rps[hour];
            let entry_rps: Vec<f64> = self
                .scenario
                .demand
                .entries
                .values()
                .map(|e| e.at_level(hour, 0.5))
                .collect();
            let there = laws::needed(&self.known, rates, utilisation);
            let mut load = Load {
                entry_rps,
                instances: there.clone(),
            };
            let held = steady.evaluate(mesh, &load).unwrap().holds();
            (0..there.len()).all(|s| {
                let service = self.scenario.graph.services().nth(s).unwrap();
                if self.known.stations[s].stateful
                    || service.criticality == Criticality::Deferrable
                    || rates[s] <= 0.0
                    || there[s] >= self.known.stations[s].max_instances
                {
                    return true;
                }
                load.instances[s] = there[s] - 1;
                let holds = steady.evaluate(mesh, &load).unwrap().holds();
                load.instances[s] = there[s];
                holds || !held
            })
        })
    }

    /// The floor's schedule and autoscaler with the price of a violated minute tuned as utilisations are.
    fn priced(&self) -> Shown {
        let mut last = None;
        for times in PRICES {
            let mut scenario = self.scenario.clone();
            scenario.request.cost.violation_per_minute *= times;
            let tracked = settings_of(&scenario, PolicyKind::Analytic, ScalingKind::TargetTracking);
            let mesh = mesh_of(&scenario, &tracked.settings);
            let law = Law::Tracked(&tracked.settings);
            let kept = self.judge(&law, &mesh, TUNING_SEED).kept;
            last = Some(self.judge(&law, &mesh, JUDGING_SEED));
            if kept >= ATTAINMENT {
                break;
            }
        }
        last.unwrap()
    }
}

fn settings_of(scenario: &Scenario, policy: PolicyKind, scaling: ScalingKind) -> PolicyOutput {
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
    // Beside what was learned nobody asks for it: the search is measured without.
    let learned: Option<&dyn Network> = match policy {
        PolicyKind::Gnn => Some(&*LEARNED),
        _ => None,
    };
    plan_with(&input, learned).unwrap()
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

/// What a searched plan costs an hour, and what its greedy additions alone would; None where the floor was taken.
fn beside_greedy(scenario: &Scenario, search: &PolicyOutput) -> Option<[f64; 2]> {
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

fn run(scenario: &Scenario) -> Judged {
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
    let floor = settings_of(scenario, PolicyKind::Analytic, ScalingKind::Scheduled);
    let search = settings_of(scenario, PolicyKind::Search, ScalingKind::Scheduled);
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
    for (name, policy) in [
        ("floor and autoscaler", PolicyKind::Analytic),
        ("search and autoscaler", PolicyKind::Search),
        ("learned, with autoscaler", PolicyKind::Gnn),
    ] {
        let tracked = settings_of(scenario, policy, ScalingKind::TargetTracking);
        let mesh = mesh_of(scenario, &tracked.settings);
        let law = Law::Tracked(&tracked.settings);
        shown.insert(name, bench.judge(&law, &mesh, JUDGING_SEED));
    }
    shown.insert("floor and autoscaler, price tuned", bench.priced());
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
    shown.insert("HPA, tuned, one lost", bench.tuned_to_bear_loss(&plain));
    shown.insert(
        "foresight, tuned",
        bench.tuned(|utilisation| Law::Foresight { utilisation }, &plain),
    );
    shown.insert(
        "fewest",
        bench.judge(&Law::Static { utilisation: 1e9 }, &plain, JUDGING_SEED),
    );
    shown.insert(
        "predictive, tuned",
        bench.tuned(|utilisation| Law::Predictive { utilisation }, &plain),
    );
    Judged {
        by_policy: shown,
        beside_greedy: beside_greedy(scenario, &search),
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let graphs: u64 = arguments.first().map_or(20, |n| n.parse().unwrap());
    // Requests a second that enter in the busiest hour; without it drawn, from 1 to 3,000.
    let options = match arguments.get(1) {
        Some(total_rps) => Options {
            total_rps: Some(total_rps.parse().unwrap()),
            most_visits_rps: 1e6,
        },
        None => Options::default(),
    };
    let sizes = [3, 6, 12, 25, 50, 100];
    let scenarios: Vec<Scenario> = (0..graphs)
        .map(|i| {
            let family = Family::HELD_OUT[(i % 2) as usize];
            let services = sizes[(i as usize / 2) % sizes.len()];
            scenario_with(family, services, 500 + i, &options).unwrap()
        })
        .collect();
    let all: Vec<Judged> = scenarios.par_iter().map(run).collect();
    for (scenario, judged) in scenarios.iter().zip(&all) {
        println!(
            "{}{}",
            scenario.name,
            if scenario.infeasible {
                " (infeasible)"
            } else {
                ""
            }
        );
        for (name, shown) in &judged.by_policy {
            println!(
                "    {name:<34} {:>9.3} an hour, {:>7.3}% kept",
                shown.cost_per_hour,
                100.0 * shown.kept
            );
        }
        if let Some([search, greedy]) = judged.beside_greedy {
            println!(
                "    as the search counts: {search:.3} an hour, greedy additions alone {greedy:.3}"
            );
        }
    }
    let each = all.iter().map(|judged| &judged.by_policy);
    let fair: Vec<_> = each
        .filter(|shown| shown["floor"].kept >= ATTAINMENT)
        .collect();
    println!(
        "\n{} graphs, of which the floor keeps {}",
        all.len(),
        fair.len()
    );
    for name in [
        "static, tuned",
        "HPA at 80%",
        "HPA, tuned",
        "HPA, tuned, one lost",
        "foresight, tuned",
        "fewest",
        "predictive, tuned",
        "floor",
        "search",
        "floor and autoscaler",
        "floor and autoscaler, price tuned",
        "search and autoscaler",
        "learned, with autoscaler",
    ] {
        let ratio = fair
            .iter()
            .map(|s| (s[name].cost_per_hour / s["floor"].cost_per_hour).ln());
        let kept = fair.iter().map(|s| s[name].kept).sum::<f64>() / fair.len() as f64;
        let attained = fair.iter().filter(|s| s[name].kept >= ATTAINMENT).count();
        let of_hpa = fair
            .iter()
            .map(|s| (s[name].cost_per_hour / s["HPA, tuned"].cost_per_hour).ln());
        println!(
            "{name:<34} cost {:.3} of the floor's, {:.3} of the tuned HPA's, keeps {:.3}% of minutes, attains on {attained}",
            (ratio.sum::<f64>() / fair.len() as f64).exp(),
            (of_hpa.sum::<f64>() / fair.len() as f64).exp(),
            100.0 * kept
        );
    }
    let gains: Vec<f64> = all
        .iter()
        .filter_map(|judged| judged.beside_greedy)
        .map(|[search, greedy]| (search / greedy).ln())
        .collect();
    println!(
        "search chosen on {}, {:.2}% cheaper than greedy there",
        gains.len(),
        100.0 * (1.0 - (gains.iter().sum::<f64>() / gains.len().max(1) as f64).exp())
    );
}
