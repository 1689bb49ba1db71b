//! Policies beside each other at equal attainment, on graphs that nothing was trained on: `make bench-policy`.
//!
//! Every policy is judged on the same minutes, drawn from the forecast with seeds that no policy saw, by the steady state in formulas: whether
//! each entry keeps its objective, and what the instances cost. What is tuned (utilisation) is tuned on other minutes, for each graph apart:
//! the cheapest that keeps as many minutes as is asked. What is tried long is tried on the small ones of the first graphs.
//!
//! `policies GRAPHS [--resume FILE] [--total-rps RATE]`: two hundred graphs take hours, so what each showed is kept in the file as soon as it is known, and a
//! run that was broken off goes on there. A file holds for one version of the code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod judge;
mod kept;
mod laws;
mod minutes;
mod near_optimum;
mod plans;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

use foremesh_model::{PolicyKind, ScalingKind, ServiceName, graph::Visits, station::stations};
use foremesh_scenarios::{Family, Options, Scenario, scenario_with};
use foremesh_simulate::baselines::istio_defaults;
use serde::{Deserialize, Serialize};

use judge::{ATTAINMENT, Bench, JUDGING_SEED, Shown};
use kept::Kept;
use laws::{Known, Law};
use plans::{
    MOST_TRIED, beside_greedy, mesh_of, rule_alone, searched_with_net, settings_of, tried_long,
};

/// Graphs of which small ones are tried long: twenty of forty.
const TRIED_LONG: usize = 40;

/// What the policies showed on a graph.
#[derive(Serialize, Deserialize)]
struct Judged {
    by_policy: BTreeMap<String, Shown>,
    /// How plans with an autoscaler came about.
    taken: Vec<(String, String)>,
    /// Where the search was taken: what it costs and what its greedy additions alone would, an hour, as the search counts.
    beside_greedy: Option<[f64; 2]>,
}

fn run(number: usize, scenario: &Scenario) -> Judged {
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
    let mut shown: BTreeMap<String, Shown> = BTreeMap::new();
    let plan = |settings| Law::Plan(settings);
    shown.insert(
        "floor".into(),
        bench.judge(&plan(&floor.settings), &floor_mesh, JUDGING_SEED),
    );
    shown.insert(
        "search".into(),
        bench.judge(&plan(&search.settings), &search_mesh, JUDGING_SEED),
    );
    let of = |policy| settings_of(scenario, policy, ScalingKind::TargetTracking);
    let tracked = [
        ("floor and autoscaler", Some(of(PolicyKind::Analytic))),
        ("search and autoscaler", Some(of(PolicyKind::Search))),
        ("learned, with autoscaler", Some(of(PolicyKind::Gnn))),
        ("rule alone, with autoscaler", Some(rule_alone(scenario))),
        (
            "search with the net and autoscaler",
            Some(searched_with_net(scenario)),
        ),
        (
            "CMA-ES, with autoscaler",
            (number < TRIED_LONG)
                .then(|| tried_long(scenario))
                .flatten(),
        ),
    ];
    let mut taken = Vec::new();
    for (name, plan) in tracked {
        let Some(plan) = plan else { continue };
        let mesh = mesh_of(scenario, &plan.settings);
        let law = Law::Tracked(&plan.settings);
        shown.insert(name.into(), bench.judge(&law, &mesh, JUDGING_SEED));
        taken.push((name.into(), plan.method.to_string()));
    }
    shown.insert("floor and autoscaler, price tuned".into(), bench.priced());
    shown.insert(
        "floor's instances, Istio defaults".into(),
        bench.judge(&plan(&floor.settings), &plain, JUDGING_SEED),
    );
    shown.insert(
        "static, tuned".into(),
        bench.tuned(|utilisation| Law::Static { utilisation }, &plain),
    );
    shown.insert(
        "HPA at 80%".into(),
        bench.judge(&Law::Hpa { utilisation: 0.8 }, &plain, JUDGING_SEED),
    );
    shown.insert(
        "HPA, tuned".into(),
        bench.tuned(|utilisation| Law::Hpa { utilisation }, &plain),
    );
    shown.insert(
        "HPA, tuned, one lost".into(),
        bench.tuned_to_bear_loss(&plain),
    );
    shown.insert(
        "foresight, tuned".into(),
        bench.tuned(|utilisation| Law::Foresight { utilisation }, &plain),
    );
    shown.insert(
        "fewest".into(),
        bench.judge(&Law::Static { utilisation: 1e9 }, &plain, JUDGING_SEED),
    );
    shown.insert(
        "predictive, tuned".into(),
        bench.tuned(|utilisation| Law::Predictive { utilisation }, &plain),
    );
    Judged {
        by_policy: shown,
        taken,
        beside_greedy: beside_greedy(scenario, &search),
    }
}

/// What plans cost beside what CMA-ES finds, where both keep what is asked.
fn beside_near_optimum(fair: &[&BTreeMap<String, Shown>]) {
    for name in ["search and autoscaler", "learned, with autoscaler"] {
        let both = fair.iter().filter_map(|shown| {
            let (near, plan) = (shown.get("CMA-ES, with autoscaler")?, shown[name]);
            let keep = near.kept >= ATTAINMENT && plan.kept >= ATTAINMENT;
            keep.then(|| (plan.cost_per_hour / near.cost_per_hour).ln())
        });
        let ratios: Vec<f64> = both.collect();
        let most = ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        println!(
            "{name}: {:.3} of what CMA-ES finds with {} trials, at most {:.3}, on {} graphs of up to {MOST_TRIED} services",
            (ratios.iter().sum::<f64>() / ratios.len().max(1) as f64).exp(),
            near_optimum::TRIALS,
            most.exp(),
            ratios.len()
        );
    }
}

const USAGE: &str = "policies GRAPHS [--resume FILE] [--total-rps RATE]";

/// What is asked for on the command line.
struct Arguments {
    graphs: u64,
    resume: Option<PathBuf>,
    options: Options,
}

impl Arguments {
    fn parsed() -> Self {
        let mut parsed = Self {
            graphs: 20,
            resume: None,
            options: Options::default(),
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--resume" => parsed.resume = Some(arguments.next().expect(USAGE).into()),
                // Requests a second that enter in the busiest hour; without it drawn, from 1 to 3,000.
                "--total-rps" => {
                    parsed.options = Options {
                        total_rps: Some(number(arguments.next().as_ref())),
                        most_visits_rps: 1e6,
                    };
                }
                _ => parsed.graphs = number(Some(&argument)),
            }
        }
        parsed
    }
}

fn number<N: std::str::FromStr>(argument: Option<&String>) -> N {
    argument.and_then(|text| text.parse().ok()).expect(USAGE)
}

fn main() {
    let Arguments {
        graphs,
        resume,
        options,
    } = Arguments::parsed();
    let sizes = [3, 6, 12, 25, 50, 100];
    let scenarios: Vec<Scenario> = (0..graphs)
        .map(|i| {
            let family = Family::HELD_OUT[(i % 2) as usize];
            let services = sizes[(i as usize / 2) % sizes.len()];
            scenario_with(family, services, 500 + i, &options).unwrap()
        })
        .collect();
    let kept = Kept::of(resume.as_deref(), &options);
    // One after the other, so that a run that is broken off has the first of them.
    let next = AtomicUsize::new(0);
    let mut all: Vec<(usize, Judged)> = rayon::broadcast(|_| {
        let mut judged = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(scenario) = scenarios.get(number) else {
                return judged;
            };
            judged.push((number, kept.or_else(scenario, || run(number, scenario))));
        }
    })
    .into_iter()
    .flatten()
    .collect();
    all.sort_by_key(|(number, _)| *number);
    let all: Vec<Judged> = all.into_iter().map(|(_, judged)| judged).collect();
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
        for (name, method) in &judged.taken {
            println!("    {name}: {method}");
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
        "search with the net and autoscaler",
        "learned, with autoscaler",
        "rule alone, with autoscaler",
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
    beside_near_optimum(&fair);
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
