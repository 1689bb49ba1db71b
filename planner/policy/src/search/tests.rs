//! An hour against trying everything.

use foremesh_model::{
    Capacity, Demand, Dependence, Edge, EntryDemand, ProfileRequest, RegionName, Service,
    ServiceGraph, ServiceName, Slo, Timestamp,
    random::{mix, uniform},
};
use proptest::prelude::*;

use super::{Allocation, Asked, Loss};
use crate::{ground::Ground, search::BOUGHT_SCORE};

fn name(i: usize) -> ServiceName {
    ServiceName::new(format!("s{i}")).unwrap()
}

/// Up to six services of unequal work and cost; s0 is the entry.
pub(crate) fn region(seed: u64, services: usize) -> (ServiceGraph, Demand) {
    let drawn = |purpose: u64, i: usize, low: f64, high: f64| {
        low + (high - low) * uniform(mix(mix(seed, purpose), i as u64))
    };
    let all = (0..services)
        .map(|i| Service {
            capacity: Capacity {
                service_time_mean_ms: Some(drawn(1, i, 2.0, 20.0)),
                service_time_cv2: Some(drawn(2, i, 0.3, 2.5)),
                concurrency: Some(drawn(3, i, 1.0, 5.0) as u32),
                instance_cost_per_hour: Some(drawn(4, i, 0.02, 0.2)),
                max_instances: Some(MOST),
                ..Capacity::default()
            },
            ..Service::named(name(i))
        })
        .collect();
    let edges = (1..services)
        .map(|i| Edge {
            fan_out: Some(drawn(5, i, 0.3, 1.6)),
            sequential: Some(drawn(6, i, 0.0, 1.0) < 0.7),
            ..Edge::between(name((drawn(7, i, 0.0, i as f64)) as usize), name(i))
        })
        .collect();
    let level = drawn(8, 0, 50.0, 500.0);
    let demand = Demand {
        region: RegionName::new("r").unwrap(),
        timezone: "UTC".into(),
        as_of: Timestamp::UNIX_EPOCH,
        starts: Timestamp::UNIX_EPOCH,
        step_s: 3600,
        entries: [(
            name(0),
            EntryDemand {
                quantiles_rps: vec![vec![level; 14]],
                peak_to_mean: 1.0,
                dispersion: 1.0,
                common_loading: 0.0,
            },
        )]
        .into(),
        dependence: Dependence {
            autocorrelation: 0.0,
        },
        seed: 1,
        method: "test".into(),
    };
    (ServiceGraph::new(all, edges).unwrap(), demand)
}

const MOST: u32 = 40;

/// The least cost of any instances that keep the objective, by trying all that cost less than what is known. More instances of a service never
/// make an entry slower here, so that what fails with the most of the others need not be tried with fewer.
fn least_cost(ground: &Ground<'_>, asked: &Asked, known: f64) -> f64 {
    let mut best = known;
    let mut instances = asked.fewest.clone();
    choose_next(ground, asked, &mut instances, 0, &mut best);
    best
}

fn choose_next(
    ground: &Ground<'_>,
    asked: &Asked,
    instances: &mut Vec<u32>,
    at: usize,
    best: &mut f64,
) {
    for n in asked.fewest[at]..=MOST {
        instances[at] = n;
        if ground.cost_of(instances) >= *best {
            break;
        }
        let mut most = instances.clone();
        for other in &mut most[at + 1..] {
            *other = MOST;
        }
        if !Allocation::new(ground, asked, most).holds() {
            continue;
        }
        if at + 1 == instances.len() {
            *best = ground.cost_of(instances);
            break;
        }
        choose_next(ground, asked, instances, at + 1, best);
    }
    instances[at] = asked.fewest[at];
}

/// What the rate limits alone ask for, what greedy additions, the search, and trying everything find.
struct Costs {
    fewest: f64,
    greedy: f64,
    found: f64,
    least: f64,
}

/// None where the objective cannot be kept.
fn costs(seed: u64, services: usize, slack: f64) -> Option<Costs> {
    let (graph, demand) = region(seed, services);
    let request = ProfileRequest::default();
    let bound = Ground::of(&graph, &demand, &request).unwrap().bounds_ms()[0];
    let request = ProfileRequest {
        slo: Slo {
            latency_ms: bound * slack,
            ..Slo::default()
        },
        ..request
    };
    let ground = Ground::of(&graph, &demand, &request).unwrap();
    let asked = Asked::of(&ground, 0, BOUGHT_SCORE, 1.0, |_, admitted| admitted);
    let target = ground.searched_target(1.0);
    let greedy = ground.allocate(&asked.rates_rps, &target, Some(&asked.fewest));
    let mut found = Allocation::new(&ground, &asked, greedy.clone());
    if !found.holds() {
        return None;
    }
    found.shrink();
    found.exchange();
    found.shrink();
    assert!(found.holds());
    let cost = ground.cost_of(&found.instances);
    assert!(cost <= ground.cost_of(&greedy) + 1e-9);
    let costs = Costs {
        fewest: ground.cost_of(&asked.fewest),
        greedy: ground.cost_of(&greedy),
        found: cost,
        least: least_cost(&ground, &asked, cost),
    };
    Some(costs)
}

#[test]
fn no_loss_is_borne_where_objectives_are_missed_with_all_instances() {
    let (graph, demand) = region(3, 4);
    let borne = |slack: f64| {
        let request = ProfileRequest::default();
        let bound = Ground::of(&graph, &demand, &request).unwrap().bounds_ms()[0];
        let request = ProfileRequest {
            slo: Slo {
                latency_ms: bound * slack,
                ..Slo::default()
            },
            ..request
        };
        let ground = Ground::of(&graph, &demand, &request).unwrap();
        let found = Loss::of(&ground, ground.rates_at(0, 0.0)).bear(&ground, vec![MOST; 4]);
        assert_eq!(found.instances, [MOST; 4]);
        found.bears_loss
    };
    assert_eq!(borne(2.0), [true; 4]);
    assert_eq!(borne(0.9), [false; 4]);
}

#[test]
fn on_average_it_is_within_two_percent_of_trying_everything() {
    let (mut gaps, mut greedy) = (Vec::new(), Vec::new());
    for seed in 0..150 {
        let drawn = |purpose: u64| uniform(mix(mix(seed, 0x9A), purpose));
        let services = 2 + (drawn(0) * 5.0) as usize;
        let slack = 1.02 + 0.25 * drawn(1);
        // Where the rate limits alone keep the objective there is nothing to find.
        if let Some(costs) = costs(seed, services, slack).filter(|c| c.least > c.fewest) {
            gaps.push(costs.found / costs.least - 1.0);
            greedy.push(costs.greedy / costs.least - 1.0);
        }
    }
    let mean = |gaps: &[f64]| gaps.iter().sum::<f64>() / gaps.len() as f64;
    let most = gaps.iter().copied().fold(0.0, f64::max);
    let optimal = gaps.iter().filter(|gap| **gap < 1e-9).count();
    println!(
        "{} regions, {optimal} optimal, {:.2}% above the least cost on average, {:.2}% at most; greedy additions {:.2}%",
        gaps.len(),
        100.0 * mean(&gaps),
        100.0 * most,
        100.0 * mean(&greedy)
    );
    assert!(gaps.len() > 80 && mean(&gaps) < 0.02 && mean(&gaps) < 0.5 * mean(&greedy));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, ..ProptestConfig::default() })]

    #[test]
    fn an_hour_is_nearly_the_optimum(seed: u64, services in 2usize..=4, slack in 1.02f64..1.5) {
        if let Some(costs) = costs(seed, services, slack) {
            prop_assert!(costs.found <= 1.1 * costs.least, "{} {}", costs.found, costs.least);
        }
    }
}
