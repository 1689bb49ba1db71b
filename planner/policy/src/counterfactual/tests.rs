//! What is said of one instance less, against composing everything anew with one instance less.

use std::collections::{BTreeMap, BTreeSet};

use foremesh_model::{Demand, ProfileRequest, ServiceGraph, Slo};

use super::{
    hour::{self, Bound},
    minutes,
};
use crate::{
    PolicyInput,
    autoscaler::{self, drawn},
    ground::Ground,
    sampling::{BOUGHT, LEVELS, MEDIAN},
    search::{self, tests::region},
    size::{hardest_hour, planned_utilisation},
    sizing::{self, Sizing},
};

/// A drawn region whose demand is uncertain and moves over a few hours, with an objective of so many times what cannot be undercut.
/// Of every four one has a second entry whose objective is out of reach, and one services that may have few instances.
fn drawn_region(seed: u64, slack: f64) -> (ServiceGraph, Demand, ProfileRequest) {
    let (mut graph, mut demand) = region(seed, 4);
    let mut request = ProfileRequest::default();
    if seed % 4 == 2 {
        let services = graph.services().cloned().map(|mut service| {
            service.capacity.max_instances = Some(3);
            service
        });
        let edges = graph.edges().cloned().collect();
        graph = ServiceGraph::new(services.collect(), edges).unwrap();
    }
    if seed % 4 == 3 {
        let (first, entry) = demand.entries.first_key_value().unwrap();
        let second = graph
            .services()
            .map(|s| s.name.clone())
            .find(|n| n != first);
        let second = second.unwrap();
        let hopeless = Slo {
            latency_ms: 0.5,
            ..Slo::default()
        };
        request.slos.insert(second.clone(), hopeless);
        let entry = entry.clone();
        demand.entries.insert(second, entry);
    }
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
    let bound = Ground::of(&graph, &demand, &request).unwrap().bounds_ms()[0];
    request.slo.latency_ms = bound * slack;
    (graph, demand, request)
}

#[test]
fn what_is_said_of_an_hour_is_what_one_less_shows() {
    let mut kinds = BTreeSet::new();
    for seed in 0..80u64 {
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
        for (sizing, searched) in [(&floor, false), (&searched, true)] {
            for (service, bound) in hour::bounds(&ground, sizing, &services) {
                kinds.insert(bound.kind());
                let shown = Shown::of(&ground, sizing, service);
                shown.check(&bound, sizing, searched);
            }
        }
    }
    let all = [
        "admitted",
        "busier",
        "later",
        "loss",
        "minimum",
        "near",
        "nothing",
        "objective",
        "refuses",
    ];
    assert_eq!(kinds, all.into());
}

/// A service's hardest hour, composed anew.
struct Shown<'g, 'a> {
    ground: &'g Ground<'a>,
    service: usize,
    hour: usize,
    rate_rps: f64,
    all: u32,
    /// Latencies of the entries with all instances, and with one less; None: there is none.
    now_ms: Vec<f64>,
    then_ms: Option<Vec<f64>>,
}

fn entry_ms(ground: &Ground<'_>, instances: &[u32], rates_rps: &[f64]) -> Vec<f64> {
    let whole = ground.latencies(instances, rates_rps);
    let entries = ground.entries.iter();
    entries.map(|e| e.quantile.of(whole[e.node])).collect()
}

impl<'g, 'a> Shown<'g, 'a> {
    fn of(ground: &'g Ground<'a>, sizing: &Sizing, service: usize) -> Self {
        let (hour, rate_rps) = hardest_hour(&ground.demand, BOUGHT, service);
        let rates = ground.demand.peak_rps(BOUGHT, hour);
        let mut instances = sizing.by_hour[hour].clone();
        let all = instances[service];
        let now_ms = entry_ms(ground, &instances, &rates);
        instances[service] -= 1;
        Self {
            ground,
            service,
            hour,
            rate_rps,
            all,
            now_ms,
            then_ms: (all > 1).then(|| entry_ms(ground, &instances, &rates)),
        }
    }

    /// Entries on the way of which something is kept with all instances and not with one less.
    fn broken(&self, allowed_ms: &[f64]) -> Vec<f64> {
        let then_ms = self.then_ms.as_ref().unwrap();
        let entries = (0..allowed_ms.len())
            .filter(|e| self.ground.entries[*e].visits[self.service] > 0.0)
            .filter(|e| self.now_ms[*e] <= allowed_ms[*e] && then_ms[*e] > allowed_ms[*e]);
        entries.map(|e| then_ms[e]).collect()
    }

    fn without_two_at_the_median(&self, sizing: &Sizing) -> bool {
        let rates: Vec<f64> = (0..self.ground.services.len())
            .map(|s| self.ground.rate_at(self.hour, s, 0.0))
            .collect();
        let mut instances = sizing.by_hour[self.hour].clone();
        if instances[self.service] <= 2 {
            return false;
        }
        instances[self.service] -= 2;
        let rate = rates[self.service];
        let objectives = self.ground.entries.iter().map(|e| e.slo.latency_ms);
        let mut latencies = entry_ms(self.ground, &instances, &rates)
            .into_iter()
            .zip(objectives);
        !self
            .ground
            .refuses(self.service, rate, instances[self.service])
            && latencies.all(|(latency, objective)| latency <= objective)
    }

    fn check(&self, bound: &Bound, sizing: &Sizing, searched: bool) {
        let (ground, service) = (self.ground, self.service);
        let refuses = |n: u32| ground.refuses(service, self.rate_rps, n);
        let objectives: Vec<f64> = ground.entries.iter().map(|e| e.slo.latency_ms).collect();
        let planned_ms = ground.planned_target().entry_ms;
        let close =
            |all: &[f64], one: f64| all.iter().any(|other| (other - one).abs() < 1e-9 * one);
        let fewest = ground.stations[service].min_instances.max(1);
        let bears = searched && sizing.services[service].bears_loss == Some(true);
        let quiet = || !refuses(self.all - 1) && self.broken(&objectives).is_empty();
        let busy_with =
            |n: u32| self.rate_rps / (f64::from(n) * ground.stations[service].bearable_rps());
        match bound {
            Bound::Minimum { fewest: said } => {
                assert_eq!((*said, self.all), (fewest, fewest));
            }
            Bound::Nobody => assert_eq!(self.all, 1),
            Bound::Refuses => assert!(refuses(self.all)),
            Bound::Admitted => assert!(!refuses(self.all) && refuses(self.all - 1)),
            Bound::Objective(late) => {
                assert!(!refuses(self.all - 1));
                assert!(close(&self.broken(&objectives), late.latency_ms));
            }
            Bound::Loss => {
                assert!(bears && quiet() && !self.without_two_at_the_median(sizing));
            }
            Bound::Later { late, now_ms } => {
                assert!(quiet() && late.latency_ms > *now_ms);
                assert!(close(self.then_ms.as_ref().unwrap(), late.latency_ms));
                assert!(close(&self.now_ms, *now_ms));
            }
            Bound::Near { late, .. } => {
                assert!(!searched && quiet());
                assert!(close(&self.broken(&planned_ms), late.latency_ms));
            }
            Bound::Busier { planned } => {
                let criticality = ground.services[service].criticality;
                assert_eq!(*planned, planned_utilisation(criticality));
                assert!(!searched && quiet() && self.broken(&planned_ms).is_empty());
                assert!(busy_with(self.all - 1) > *planned && busy_with(self.all) <= *planned);
            }
            Bound::Nothing(_) => {
                assert!(quiet() && self.all > fewest);
                assert!(!bears || self.without_two_at_the_median(sizing));
                assert!(searched || self.broken(&planned_ms).is_empty());
            }
        }
    }
}

/// Whether the loss of an instance is borne at the median of an hour where a service's schedule has one less.
fn borne(ground: &Ground<'_>, sizing: &Sizing, service: usize, hour: usize) -> bool {
    let median = &ground.demand.mean_rps[MEDIAN][hour];
    let each = sizing.services.iter().zip(median);
    let mut instances: Vec<u32> = each.map(|(sized, rate)| sized.at(hour, *rate)).collect();
    if instances[service] < 2 {
        return false;
    }
    instances[service] -= 1;
    let admitted =
        f64::from(instances[service]) * ground.searched_target(1.0).instance_rps[service];
    let entries = entry_ms(ground, &instances, median);
    let mut entries = entries.into_iter().zip(&ground.entries);
    admitted >= median[service] && entries.all(|(latency, e)| latency <= e.slo.latency_ms)
}

#[test]
fn what_is_said_of_minutes_is_what_one_less_shows() {
    let mut said_of: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..24u64 {
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
        assert_eq!(said.len(), services.len());
        let looked_at = minutes::drawn_for(&input, &ground, services.len()).unwrap();
        let missed = |sizing: &Sizing| {
            let minutes = looked_at.iter().filter(|minute| {
                let each = sizing.services.iter().zip(&minute.seen_rps);
                let instances: Vec<u32> = each
                    .map(|(sized, seen)| sized.at(minute.hour, *seen) + sized.standby)
                    .collect();
                let latencies = entry_ms(&ground, &instances, &minute.now_rps);
                let mut entries = latencies.into_iter().zip(&ground.entries);
                !ground.admits(&minute.now_rps, &instances)
                    || entries.any(|(latency, e)| latency > e.slo.latency_ms)
            });
            minutes.count()
        };
        for said in said {
            let fewest = ground.stations[said.service].min_instances.max(1);
            let mut less = sizing.clone();
            for n in &mut less.services[said.service].schedule {
                *n = n.saturating_sub(1).max(fewest);
            }
            let input = |name: &str| {
                let named = said.inputs.iter().find(|(input, _)| *input == name);
                named.unwrap().1 as usize
            };
            let (now, then) = (missed(&sizing), missed(&less));
            assert_eq!(
                [now, then],
                ["missed_minutes", "one_less_missed_minutes"].map(input)
            );
            let hours = 0..ground.demand.hours();
            let unborne = hours
                .clone()
                .find(|hour| !borne(&ground, &less, said.service, *hour));
            let bears = sizing.services[said.service].bears_loss == Some(true);
            let text = &said.text;
            let kind = if text.contains("that is allowed") || text.contains("that are allowed") {
                assert!(
                    less.services[said.service].schedule == sizing.services[said.service].schedule
                );
                "minimum"
            } else if text.contains("in place of") {
                assert!(then > now, "{text}");
                "missed"
            } else if text.contains("the loss of an instance") {
                let hour = format!("hour {}", unborne.unwrap());
                assert!(bears && then == now && text.ends_with(&hour), "{text}");
                "loss"
            } else {
                assert_eq!(then, now, "{text}");
                assert!(!bears || unborne.is_none(), "{text}");
                "nothing"
            };
            *said_of.entry(kind).or_default() += 1;
        }
    }
    for kind in ["minimum", "missed", "loss"] {
        assert!(said_of.contains_key(kind), "{said_of:?}");
    }
}

#[test]
fn the_level_that_is_bought_is_the_one_that_texts_name() {
    assert!((LEVELS[BOUGHT] - 0.99).abs() < 1e-9);
}
