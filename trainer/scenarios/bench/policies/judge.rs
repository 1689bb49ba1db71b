//! Laws on the minutes of a graph: what they cost, what they keep, and what each is tuned by.

use foremesh_model::{
    Criticality, PolicyKind, ScalingKind,
    graph::Visits,
    random::{mix, uniform},
};
use foremesh_scenarios::Scenario;
use foremesh_simulate::{
    Mesh,
    analytic::{Load, SteadyState},
};
use serde::{Deserialize, Serialize};

use crate::{
    laws::{self, Known, Law},
    minutes::Path,
    plans::{mesh_of, settings_of},
};

/// Share of minutes that must keep every objective.
pub const ATTAINMENT: f64 = 0.995;
const TUNING_SEED: u64 = 1_000_000;
pub const JUDGING_SEED: u64 = 2_000_000;
const SEEDS: u64 = 30;
const MINUTES_OF_A_SEED: u64 = 40;
/// Hours in which the loss of an instance is looked at.
const LOSS_HOURS: usize = 3;
/// Multiples of the price of a violated minute.
const PRICES: [f64; 4] = [0.01, 0.1, 1.0, 10.0];
const UTILISATIONS: [f64; 12] = [
    0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45, 0.4, 0.3, 0.2,
];

/// What a policy showed on a graph.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Shown {
    pub cost_per_hour: f64,
    pub kept: f64,
}

/// A graph to judge on.
pub struct Bench<'a> {
    pub scenario: &'a Scenario,
    pub known: Known<'a>,
    pub visits: &'a Visits,
}

impl Bench<'_> {
    /// A law's minutes on a mesh with its settings.
    pub fn judge(&self, law: &Law<'_>, mesh: &Mesh, seed: u64) -> Shown {
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
    pub fn tuned(&self, law: impl Fn(f64) -> Law<'static>, mesh: &Mesh) -> Shown {
        let chosen = UTILISATIONS
            .into_iter()
            .find(|u| self.judge(&law(*u), mesh, TUNING_SEED).kept >= ATTAINMENT);
        let last = UTILISATIONS[UTILISATIONS.len() - 1];
        self.judge(&law(chosen.unwrap_or(last)), mesh, JUDGING_SEED)
    }

    /// The same of autoscalers that also bear what plans bear: the loss of one instance of any service that is not deferrable, at the median of the
    /// busiest hours.
    pub fn tuned_to_bear_loss(&self, mesh: &Mesh) -> Shown {
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
    pub fn priced(&self) -> Shown {
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
