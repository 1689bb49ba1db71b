//! What is said of one instance less, against composing everything anew with one instance less.

use std::collections::BTreeSet;

use foremesh_model::{Demand, ProfileRequest, ServiceGraph, Slo};

use super::{
    hour::{self, Bound},
    minutes,
};
use crate::{
    PolicyInput,
    autoscaler::{self, drawn},
    ground::Ground,
    sampling::{BOUGHT, LEVELS},
    search::{self, tests::region},
    size::hardest_hour,
    sizing::{self, Sizing},
};

/// A drawn region whose demand is uncertain and moves over a few hours, with an objective of so many times what cannot be undercut.
fn drawn_region(seed: u64, slack: f64) -> (ServiceGraph, Demand, ProfileRequest) {
    let (graph, mut demand) = region(seed, 4);
    for entry in demand.entries.values_mut() {
        let level = entry.quantiles_rps[0][0];
        entry.quantiles_rps = [0.7, 1.0, 1.3, 0.9]
            .iter()
            .map(|hour| {
                (0..14)
                    .map(|q| level * hour * (0.8 + 0.04 * f64::from(q)))
                    .collect()
            })
            .collect();
        entry.peak_to_mean = 1.2;
        entry.common_loading = 0.5;
    }
    let request = ProfileRequest::default();
    let bound = Ground::of(&graph, &demand, &request).unwrap().bounds_ms()[0];
    let request = ProfileRequest {
        slo: Slo {
            latency_ms: bound * slack,
            ..Slo::default()
        },
        ..request
    };
    (graph, demand, request)
}

#[test]
fn what_is_said_of_an_hour_is_what_one_less_shows() {
    let mut kinds = BTreeSet::new();
    for seed in 0..60u64 {
        let slack = [1.2, 1.6, 2.4][seed as usize % 3];
        let (graph, demand, request) = drawn_region(seed, slack);
        let ground = Ground::of(&graph, &demand, &request).unwrap();
        let floor = sizing::size(&ground);
        let options = search::Options {
            share: 1.0,
            violation_per_minute: request.cost.violation_per_minute,
        };
        let searched = search::size(&ground, &floor, &options).sizing;
        let services: Vec<usize> = (0..ground.services.len()).collect();
        for sizing in [&floor, &searched] {
            for (service, bound) in hour::bounds(&ground, sizing, &services) {
                kinds.insert(bound.kind());
                check(&ground, sizing, service, &bound);
            }
        }
    }
    let all = [
        "admitted",
        "busier",
        "loss",
        "minimum",
        "near",
        "nothing",
        "objective",
    ];
    assert_eq!(kinds, all.into());
}

fn check(ground: &Ground<'_>, sizing: &Sizing, service: usize, bound: &Bound) {
    let (hour, rate_rps) = hardest_hour(&ground.demand, BOUGHT, service);
    let mut instances = sizing.by_hour[hour].clone();
    instances[service] -= 1;
    let rates = ground.demand.peak_rps(BOUGHT, hour);
    let refused = instances[service] > 0 && ground.refuses(service, rate_rps, instances[service]);
    let latency_ms = match instances[service] {
        0 => f64::INFINITY,
        _ => {
            let whole = ground.latencies(&instances, &rates);
            let entry = &ground.entries[0];
            entry.quantile.of(whole[entry.node])
        }
    };
    let objective_ms = ground.entries[0].slo.latency_ms;
    let near_ms = ground.planned_target().entry_ms[0];
    match bound {
        Bound::Minimum { fewest } => {
            assert_eq!(*fewest, ground.stations[service].min_instances.max(1));
            assert_eq!(sizing.by_hour[hour][service], *fewest);
        }
        Bound::Nobody => assert_eq!(instances[service], 0),
        Bound::Admitted => assert!(refused),
        Bound::Objective(late) => {
            assert!(!refused && latency_ms > objective_ms);
            assert!((late.latency_ms - latency_ms).abs() < 1e-9 * latency_ms);
        }
        Bound::Near { late, planned_ms } => {
            assert!(!refused && (near_ms..=objective_ms).contains(&latency_ms));
            assert!((late.latency_ms - latency_ms).abs() < 1e-9 * latency_ms);
            assert!((planned_ms - near_ms).abs() < 1e-9);
        }
        Bound::Loss | Bound::Busier { .. } | Bound::Nothing => {
            assert!(!refused && latency_ms <= objective_ms);
        }
    }
}

#[test]
fn what_is_said_of_minutes_is_what_one_less_shows() {
    let (mut more, mut unbearable) = (0, 0);
    for seed in 0..12u64 {
        let (graph, demand, request) = drawn_region(seed, 1.6);
        let input = PolicyInput {
            graph: &graph,
            demand: &demand,
            request: &request,
        };
        let ground = Ground::of(&graph, &demand, &request).unwrap();
        let floor = sizing::size(&ground);
        let options = autoscaler::Options {
            share: 1.0,
            violation_per_minute: request.cost.violation_per_minute,
        };
        let all = drawn(&graph, &demand, &ground).unwrap();
        let sizing = autoscaler::size(&ground, &floor, &all, &options);
        let services: Vec<usize> = (0..ground.services.len()).collect();
        let said = minutes::all(&input, &ground, &sizing, &services).unwrap();
        let looked_at = minutes::drawn_for(&input, &ground, services.len()).unwrap();
        let kept = |sizing: &Sizing| {
            let minutes = looked_at.iter().filter(|minute| {
                let each = sizing.services.iter().zip(&minute.seen_rps);
                let instances: Vec<u32> = each
                    .map(|(sized, seen)| sized.at(minute.hour, *seen) + sized.standby)
                    .collect();
                let whole = ground.latencies(&instances, &minute.now_rps);
                let mut entries = ground.entries.iter();
                ground.admits(&minute.now_rps, &instances)
                    && entries.all(|e| e.quantile.of(whole[e.node]) <= e.slo.latency_ms)
            });
            minutes.count()
        };
        for said in said {
            let mut less = sizing.clone();
            for n in &mut less.services[said.service].schedule {
                let fewest = ground.stations[said.service].min_instances.max(1);
                *n = n.saturating_sub(1).max(fewest);
            }
            let input = |name: &str| {
                let named = said.inputs.iter().find(|(input, _)| *input == name);
                named.unwrap().1 as usize
            };
            assert_eq!(looked_at.len() - kept(&sizing), input("missed_minutes"));
            let then = looked_at.len() - kept(&less);
            assert_eq!(then, input("one_less_missed_minutes"), "{}", said.text);
            more += usize::from(then > input("missed_minutes"));
            unbearable += usize::from(said.text.contains("while an instance is lost"));
        }
    }
    assert!(more > 0 && unbearable > 0, "{more} {unbearable}");
}

#[test]
fn the_level_that_is_bought_is_the_one_that_texts_name() {
    assert!((LEVELS[BOUGHT] - 0.99).abs() < 1e-9);
}
