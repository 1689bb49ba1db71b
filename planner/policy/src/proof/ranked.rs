//! The faults that matter most for a region.

use foremesh_model::{Criticality, FaultKind};

use crate::{ground::Ground, sampling::MEDIAN};

/// Faults of one service that come before the third of any other: the others have theirs too.
const FIRST_OF_A_SERVICE: usize = 2;
/// How often each kind is met beside a lost instance; nobody has counted for this region, so that these are a ranking and no more.
const CRASH: f64 = 1.0;
const SLOW_DEPENDENCY: f64 = 0.7;
const RETRY_STORM: f64 = 0.6;
const ERRORS: f64 = 0.5;
const LATENCY: f64 = 0.4;
const CPU: f64 = 0.3;

/// The faults that matter most for this region, the worst first, with what each matters: the share of the region's work at the service × the
/// share of requests that pass it × its criticality × how often the kind is met. The two likeliest kinds of every service come before the others of any.
pub(crate) fn ranked(ground: &Ground<'_>, hour: usize, most: usize) -> Vec<(f64, FaultKind)> {
    let rates = ground.demand.peak_rps(MEDIAN, hour);
    let work: Vec<f64> = rates
        .iter()
        .zip(&ground.stations)
        .map(|(rate, station)| rate * station.service_ms)
        .collect();
    let all_work: f64 = work.iter().sum();
    let entering: f64 = ground.entries.iter().map(|entry| rates[entry.node]).sum();
    let mut found: Vec<(f64, FaultKind)> = Vec::new();
    let mut rest = Vec::new();
    for (s, station) in ground.stations.iter().enumerate() {
        if !ground.reached[s] {
            continue;
        }
        let entries = ground.entries.iter();
        let passing: f64 = entries
            .map(|entry| rates[entry.node] * entry.visits[s].min(1.0))
            .sum();
        let criticality = match ground.services[s].criticality {
            Criticality::Critical => 2.0,
            Criticality::Standard => 1.0,
            Criticality::Deferrable => 0.5,
        };
        let weight = criticality * passing / entering.max(1e-9) * work[s] / all_work.max(1e-9);
        let service = || ground.name(s).to_string();
        let mut of_service = vec![
            (
                SLOW_DEPENDENCY,
                FaultKind::SlowDependency {
                    service: service(),
                    factor: 3.0,
                },
            ),
            (
                ERRORS,
                FaultKind::Errors {
                    service: service(),
                    rate: 0.1,
                },
            ),
            (
                LATENCY,
                FaultKind::Latency {
                    service: service(),
                    added_ms: 50.0,
                },
            ),
            (
                CPU,
                FaultKind::Cpu {
                    service: service(),
                    share: 1.0,
                    factor: 2.0,
                },
            ),
        ];
        if !station.stateful {
            // The least share there is: one instance.
            let share = 1e-6;
            of_service.insert(
                0,
                (
                    CRASH,
                    FaultKind::Crash {
                        service: service(),
                        share,
                    },
                ),
            );
        }
        let ranked = of_service.into_iter().enumerate();
        for (place, (often, kind)) in ranked {
            let into = if place < FIRST_OF_A_SERVICE {
                &mut found
            } else {
                &mut rest
            };
            into.push((weight * often, kind));
        }
    }
    let heaviest = found.iter().map(|(weight, _)| *weight).fold(0.0, f64::max);
    let storm = FaultKind::RetryStorm {
        service: String::new(),
        factor: 1.5,
    };
    found.push((heaviest * RETRY_STORM, storm));
    let worst_first = |a: &(f64, FaultKind), b: &(f64, FaultKind)| b.0.total_cmp(&a.0);
    found.sort_by(worst_first);
    rest.sort_by(worst_first);
    found.append(&mut rest);
    found.truncate(most);
    found.sort_by(worst_first);
    found
}
