//! What holds for every scenario, whatever family, size and seed: it is a region that can be, and the policy plans it.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use foremesh_model::{Demand, QUANTILE_LEVELS, graph::Visits, station::stations};
use foremesh_policy::{PolicyInput, PolicyOutput, plan};
use foremesh_scenarios::{
    Family, MOST_SERVICES, Options, Scenario, ScenarioError, scenario, scenario_with,
};
use proptest::prelude::*;
use rayon::prelude::*;

fn planned(drawn: &Scenario) -> PolicyOutput {
    plan(&PolicyInput {
        graph: &drawn.graph,
        demand: &drawn.demand,
        request: &drawn.request,
    })
    .unwrap()
}

fn any_family() -> impl Strategy<Value = Family> {
    proptest::sample::select(Family::ALL.to_vec())
}

/// Requests a second that enter in the median of each entry's busiest hour.
fn entering_rps(demand: &Demand) -> f64 {
    let busiest = |entry: &foremesh_model::EntryDemand| entry.by_step(0.5).fold(0.0, f64::max);
    demand.entries.values().map(busiest).sum()
}

/// Holds everything that a scenario promises, except what the policy says of it.
fn check(drawn: &Scenario, services: usize) {
    let graph = &drawn.graph;
    assert_eq!(graph.len(), services, "{}", drawn.name);
    // The traffic equations have an answer exactly when no circle makes one more of itself.
    let visits = Visits::of(graph).unwrap();
    check_visits(drawn, &visits);
    for edge in graph.edges() {
        assert!((0.0..=5.0).contains(&edge.fan_out()), "{edge:?}");
        assert!(edge.error_rate.unwrap_or(0.0) <= 0.01, "{edge:?}");
        assert_ne!(edge.caller, edge.callee);
    }
    stations(graph, &drawn.request.cost).unwrap();
    for service in graph.services() {
        let known = &service.capacity;
        let within = |value: Option<f64>, low: f64, high: f64| {
            value.is_none_or(|value| (low..=high).contains(&value))
        };
        assert!(within(known.service_time_mean_ms, 0.3, 300.0), "{known:?}");
        assert!(within(known.service_time_cv2, 0.2, 6.0), "{known:?}");
        assert!(within(known.startup_s, 1.0, 300.0), "{known:?}");
        assert!(
            within(known.concurrency.map(f64::from), 1.0, 64.0),
            "{known:?}"
        );
        if service.is_stateful() {
            assert!(service.instances.is_some());
            assert!(graph.edges().all(|edge| edge.caller != service.name));
        }
    }
    check_demand(drawn);
    for (name, slo) in &drawn.request.slos {
        assert!(drawn.demand.entries.contains_key(name));
        assert_eq!(slo.fault(), None, "{slo:?}");
    }
    assert_eq!(drawn.request.slos.len(), drawn.demand.entries.len());
    let zones = &drawn.request.localities;
    assert!(zones.is_empty() || zones.values().sum::<u32>() == 100);
    assert!((1..=3).contains(&drawn.faults.len()) && (1.0..=3.0).contains(&drawn.surge));
    for fault in &drawn.faults {
        assert_eq!(fault.kind.fault(), None, "{fault:?}");
        assert!(fault.starts_s > 0.0 && fault.duration_s > 0.0);
        let hit = graph
            .services()
            .any(|s| s.name.as_str() == fault.kind.service());
        assert!(hit, "{fault:?}");
    }
}

fn check_visits(drawn: &Scenario, visits: &Visits) {
    let graph = &drawn.graph;
    let mut all = vec![0.0; graph.len()];
    for entry in drawn.demand.entries.keys() {
        let mut external = vec![0.0; graph.len()];
        external[graph.node(entry).unwrap().index()] = 1.0;
        for (all, visits) in all.iter_mut().zip(visits.rates(&external)) {
            assert!(
                visits <= 30.5,
                "{}: {visits} visits for a request",
                drawn.name
            );
            *all += visits;
        }
    }
    let said: BTreeSet<&str> = drawn.unreached.iter().map(|name| name.as_str()).collect();
    for (service, visits) in graph.services().zip(all) {
        assert_eq!(
            visits <= 0.0,
            said.contains(service.name.as_str()),
            "{}",
            service.name
        );
    }
}

fn check_demand(drawn: &Scenario) {
    let demand = &drawn.demand;
    assert!([24, 48, 72].contains(&demand.steps()));
    assert_eq!(&demand.clone().canonical(), demand);
    assert!(demand.as_of < demand.starts);
    for entry in demand.entries.values() {
        assert_eq!(entry.quantiles_rps.len(), demand.steps());
        for step in &entry.quantiles_rps {
            assert_eq!(step.len(), QUANTILE_LEVELS.len());
            assert!(step.is_sorted() && step[0] >= 0.0);
            // The deviation of the logarithm lies between 0.05 and 0.5, times 1.4 upwards.
            let spread = (step[QUANTILE_LEVELS.len() - 1] / step[6]).ln() / 3.0902;
            assert!(
                step[6] < 0.01 || (0.045..=0.705).contains(&spread),
                "{spread}"
            );
        }
        assert!((1.0..=2.0).contains(&entry.peak_to_mean));
        assert!((1.0..=10.0).contains(&entry.dispersion));
        assert!((0.0..1.0).contains(&entry.common_loading));
    }
}

/// Whether the plan says that an objective lies below what the services take.
fn is_hopeless(output: &PolicyOutput) -> bool {
    let mut codes = output.warnings.iter().map(|w| w.code.as_str());
    codes.any(|code| code == "objective_below_service_time")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_scenario_is_a_region_that_can_be(family in any_family(), services in 1usize..=120, seed: u64) {
        check(&scenario(family, services, seed).unwrap(), services);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn the_policy_plans_every_scenario(family in any_family(), services in 1usize..=40, seed: u64) {
        let drawn = scenario(family, services, seed).unwrap();
        let output = planned(&drawn);
        prop_assert_eq!(is_hopeless(&output), drawn.infeasible, "{}", drawn.name);
        let planned = output.settings.services.len() + output.settings.stateful_services.len();
        prop_assert_eq!(planned, services);
    }

    #[test]
    fn equal_arguments_give_equal_bytes(family in any_family(), services in 1usize..=60, seed: u64) {
        let bytes = || serde_json::to_string(&scenario(family, services, seed).unwrap()).unwrap();
        let first = bytes();
        prop_assert_eq!(&first, &bytes());
        let other = scenario(family, services, seed.wrapping_add(1)).unwrap();
        prop_assert_ne!(&first, &serde_json::to_string(&other).unwrap());
        let read: Scenario = serde_json::from_str(&first).unwrap();
        prop_assert_eq!(first, serde_json::to_string(&read).unwrap());
    }

    #[test]
    fn the_level_is_what_was_asked_for_and_moves_no_call(
        family in any_family(), services in 1usize..=60, seed: u64, total_rps in 1.0f64..3000.0
    ) {
        let of = |total_rps| {
            let options = Options { total_rps: Some(total_rps), ..Options::default() };
            scenario_with(family, services, seed, &options).unwrap()
        };
        let (low, high) = (of(total_rps), of(2.0 * total_rps));
        // Each entry's demand is kept on a grid of 1%.
        prop_assert!((entering_rps(&low.demand) / total_rps - 1.0).abs() < 0.01);
        prop_assert!((entering_rps(&high.demand) / total_rps - 2.0).abs() < 0.02);
        for (a, b) in low.graph.edges().zip(high.graph.edges()) {
            prop_assert_eq!((a.fan_out, a.error_rate, a.sequential), (b.fan_out, b.error_rate, b.sequential));
        }
    }
}

#[test]
fn infeasible_regions_are_few_and_there_are_some() {
    let hopeless: Vec<bool> = (0..600u64)
        .into_par_iter()
        .map(|seed| {
            let family = Family::ALL[seed as usize % Family::ALL.len()];
            let drawn = scenario(family, 8, seed).unwrap();
            if drawn.infeasible {
                assert!(is_hopeless(&planned(&drawn)), "{}", drawn.name);
            }
            drawn.infeasible
        })
        .collect();
    let count = hopeless.into_iter().filter(|hopeless| *hopeless).count();
    assert!((9..=45).contains(&count), "{count} of 600");
}

#[test]
fn small_and_large_regions_are_planned_too() {
    for family in Family::ALL {
        for services in [1, 2, 3, 300] {
            let drawn = scenario(family, services, 3).unwrap();
            check(&drawn, services);
            assert_eq!(
                is_hopeless(&planned(&drawn)),
                drawn.infeasible,
                "{}",
                drawn.name
            );
        }
        check(&scenario(family, 2_000, 3).unwrap(), 2_000);
        assert_eq!(scenario(family, 20_000, 3).unwrap().graph.len(), 20_000);
    }
    let large = scenario(Family::Layered, 2_000, 0).unwrap();
    assert_eq!(is_hopeless(&planned(&large)), large.infeasible);
}

#[test]
fn a_simulation_stays_affordable() {
    for family in Family::ALL {
        for seed in 0..20 {
            let options = Options {
                most_visits_rps: 2_000.0,
                ..Options::default()
            };
            let drawn = scenario_with(family, 100, seed, &options).unwrap();
            let mut external = vec![0.0; drawn.graph.len()];
            for (name, entry) in &drawn.demand.entries {
                let at = drawn.graph.node(name).unwrap().index();
                external[at] = entry.by_step(0.5).fold(0.0, f64::max);
            }
            let visits = Visits::of(&drawn.graph).unwrap().rates(&external);
            let all: f64 = visits.iter().sum();
            assert!(all <= 2_030.0, "{}: {all}", drawn.name);
        }
    }
}

#[test]
fn what_cannot_be_is_refused_in_words() {
    assert_eq!(scenario(Family::Tree, 0, 1), Err(ScenarioError::NoService));
    let many = scenario(Family::Tree, MOST_SERVICES + 1, 1).unwrap_err();
    assert!(many.to_string().contains("100000"), "{many}");
    for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let options = Options {
            total_rps: Some(value),
            ..Options::default()
        };
        let refused = scenario_with(Family::Tree, 3, 1, &options).unwrap_err();
        assert!(refused.to_string().contains("total_rps"), "{refused}");
    }
}
