//! TopFull (Park et al., *TopFull: an adaptive top-down overload control for SLO-oriented microservices*, SIGCOMM 2024) with multiplicative steps in
//! place of its learned ones: the paper's MIMD variant. Read off the authors' code (kaist-ina/TopFull,
//! `TopFull_master/online_boutique_scripts/src`: `deploy_mimd.py`, `overload_detection.py`, `metric_collector.py`), whose constants these are:
//!
//! - A service is overloaded above 80% utilisation. Entries that use the same overloaded service are limited together (a cluster); entries
//!   that come to share one are merged, and those that pass no overloaded service any more leave the cluster with their limit.
//! - Every second a cluster whose worst 95th percentile is above its objective takes 5% off the limits of the entries that share their overloaded
//!   services with fewest others; else it adds 1% to those of the entries that share with most, up to 1.1 × what is asked for. Limits begin
//!   at what is asked for.
//! - A cluster ends, with its limits, when all of its entries get through (at most 10% fail, the limit is not below what is asked for).
//!
//! Simplified: each entry is judged by its own objective, where the code has one second for all; business priorities are equal; a limit in
//! requests a second lets in the share that it was of the last second's; what fails is what was let in and not answered in time. The code also
//! drops a cluster and its limits after 150 steps, whatever it does by then; here it goes on, which is better for it.

use std::collections::BTreeSet;

use crate::{
    Mesh,
    controller::{Controller, EntryView, Order, View},
};

const OVERLOADED: f64 = 0.8;
const DECREASE: f64 = 0.05;
const INCREASE: f64 = 0.01;
const MARGIN: f64 = 1.1;
const FAILED: f64 = 0.1;
const LEAST_RPS: f64 = 10.0;

/// Limits at entries.
#[derive(Debug)]
pub struct TopFull {
    entries: Vec<Entry>,
    /// Entries that are limited together.
    clusters: Vec<BTreeSet<usize>>,
}

#[derive(Debug)]
struct Entry {
    objective_ms: f64,
    /// Every service that its requests may reach.
    services: BTreeSet<usize>,
    limit_rps: f64,
}

impl TopFull {
    /// One limit for each entry, by its objective.
    #[must_use]
    pub fn new(mesh: &Mesh) -> Self {
        let entry = |entry: &crate::EntryModel| Entry {
            objective_ms: entry.slo.latency_ms,
            services: reached(mesh, entry.edge),
            limit_rps: f64::INFINITY,
        };
        Self {
            entries: mesh.entries.iter().map(entry).collect(),
            clusters: Vec::new(),
        }
    }

    /// Entries of a cluster that pass one of the services.
    fn passing(&self, services: &BTreeSet<usize>, entries: &BTreeSet<usize>) -> BTreeSet<usize> {
        let passes = |entry: &&usize| !self.entries[**entry].services.is_disjoint(services);
        entries.iter().filter(passes).copied().collect()
    }

    /// With how few others an entry shares one of the overloaded services that it passes.
    fn sharing(&self, entry: usize, overloaded: &BTreeSet<usize>) -> usize {
        let users = |service: &usize| {
            let uses = |entry: &&Entry| entry.services.contains(service);
            self.entries.iter().filter(uses).count()
        };
        let passed = self.entries[entry].services.intersection(overloaded);
        passed.map(users).min().unwrap_or(usize::MAX)
    }

    /// Clusters of overloaded services: new ones, and old ones that come to share an entry.
    fn gather(&mut self, overloaded: &BTreeSet<usize>, seen: &[EntryView<'_>]) {
        let asked: BTreeSet<usize> = (0..self.entries.len())
            .filter(|entry| seen.get(*entry).is_some_and(|e| e.offered_rps > 0.0))
            .collect();
        for service in overloaded {
            let mut entries = self.passing(&BTreeSet::from([*service]), &asked);
            if entries.is_empty() {
                continue;
            }
            self.clusters.retain(|cluster| {
                let apart = cluster.is_disjoint(&entries);
                if !apart {
                    entries.extend(cluster);
                }
                apart
            });
            for entry in &entries {
                let limit = &mut self.entries[*entry].limit_rps;
                if limit.is_infinite() {
                    *limit = seen[*entry].offered_rps;
                }
            }
            self.clusters.push(entries);
        }
    }

    /// Moves the limits of a cluster by a share of what its first in turn may have.
    fn step(
        &mut self,
        cluster: &BTreeSet<usize>,
        slow: bool,
        overloaded: &BTreeSet<usize>,
        seen: &[EntryView<'_>],
    ) {
        let ranked = cluster.iter().map(|e| (self.sharing(*e, overloaded), *e));
        let ranked: Vec<(usize, usize)> = ranked.collect();
        let ranks = ranked.iter().map(|(rank, _)| *rank);
        let Some(first) = (if slow { ranks.min() } else { ranks.max() }) else {
            return;
        };
        let turn = ranked.iter().filter(|(rank, _)| *rank == first);
        let turn: Vec<usize> = turn.map(|(_, entry)| *entry).collect();
        let total: f64 = turn
            .iter()
            .map(|entry| self.entries[*entry].limit_rps)
            .sum();
        let each = total / turn.len() as f64;
        for entry in turn {
            let limit = &mut self.entries[entry].limit_rps;
            *limit = if slow {
                (*limit - each * DECREASE).max(LEAST_RPS)
            } else {
                (*limit + each * INCREASE).min(seen[entry].offered_rps * MARGIN)
            };
        }
    }
}

/// Every service that requests over an edge may reach.
fn reached(mesh: &Mesh, edge: usize) -> BTreeSet<usize> {
    let (mut found, mut open) = (BTreeSet::new(), vec![edge]);
    while let Some(edge) = open.pop() {
        let Some(callee) = mesh.edges.get(edge).map(|edge| edge.callee) else {
            continue;
        };
        if found.insert(callee)
            && let Some(service) = mesh.services.get(callee)
        {
            open.extend(service.stages.iter().flat_map(|stage| &stage.edges));
        }
    }
    found
}

impl Entry {
    fn admitted_rps(&self, seen: &EntryView<'_>) -> f64 {
        self.limit_rps.min(seen.offered_rps)
    }

    /// Whether it gets through: its limit holds nothing back and hardly anything fails.
    fn clean(&self, seen: &EntryView<'_>) -> bool {
        seen.offered_rps == 0.0
            || (self.limit_rps >= seen.offered_rps
                && seen.good_rps >= (1.0 - FAILED) * seen.offered_rps)
    }

    /// Whether its 95th percentile is above the objective; where half of what was let in is never answered it is, whatever the answered took.
    fn slow(&self, seen: &EntryView<'_>) -> bool {
        seen.latency.quantile_ms(0.95) > self.objective_ms
            || seen.answered_rps < 0.5 * self.admitted_rps(seen)
    }
}

impl Controller for TopFull {
    fn interval_s(&self) -> f64 {
        1.0
    }

    fn decide(&mut self, view: &View<'_>, orders: &mut Vec<Order>) {
        if view.entries.len() < self.entries.len() {
            return;
        }
        let overloaded: BTreeSet<usize> = (0..view.services.len())
            .filter(|service| view.services[*service].utilisation > OVERLOADED)
            .collect();
        for mut cluster in std::mem::take(&mut self.clusters) {
            let clean = |entry: &usize| self.entries[*entry].clean(&view.entries[*entry]);
            if cluster.iter().all(clean) {
                for entry in &cluster {
                    self.entries[*entry].limit_rps = f64::INFINITY;
                }
                continue;
            }
            let staying = self.passing(&overloaded, &cluster);
            if !staying.is_empty() {
                let leaving = cluster.difference(&staying);
                self.clusters
                    .extend(leaving.map(|entry| BTreeSet::from([*entry])));
                cluster = staying;
            }
            let slow = |entry: &usize| self.entries[*entry].slow(&view.entries[*entry]);
            let slow = cluster.iter().any(slow);
            self.step(&cluster, slow, &overloaded, view.entries);
            self.clusters.push(cluster);
        }
        self.gather(&overloaded, view.entries);
        for (place, (entry, seen)) in self.entries.iter().zip(view.entries).enumerate() {
            let share = entry.limit_rps / seen.offered_rps.max(1e-9);
            orders.push(Order::Admission {
                entry: place,
                share: share.min(1.0),
            });
        }
    }
}
