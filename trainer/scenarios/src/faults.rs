//! What may well go wrong in the region: what a benchmark makes go wrong beside a surge.

use foremesh_model::{Fault, FaultKind, ServiceGraph};

use crate::random::{Random, significant};

/// Draws one to three faults, likelier where more requests pass, and by how much demand surges. `rates_rps` are requests a second
/// at each service.
pub(crate) fn draw(
    graph: &ServiceGraph,
    rates_rps: &[f64],
    random: &mut Random,
) -> (Vec<Fault>, f64) {
    let surge = random.of_weighted(&[(1.3, 0.2), (1.5, 0.25), (2.0, 0.4), (3.0, 0.15)], 2.0);
    let services: Vec<_> = graph.services().collect();
    let weights: Vec<(usize, f64)> = rates_rps
        .iter()
        .map(|rate| rate.sqrt())
        .enumerate()
        .collect();
    let count = random.of_weighted(&[(1usize, 0.5), (2, 0.3), (3, 0.2)], 1);
    let faults = (0..count)
        .filter_map(|number| {
            let target = services.get(random.of_weighted(&weights, 0))?;
            let starts_s = (60.0 + 60.0 * random.below(5) as f64).round();
            let duration_s = 30.0 * (1 + random.below(8)) as f64;
            let kind = kind(target.name.to_string(), target.is_stateful(), random);
            Some(Fault {
                name: format!("{} {} of {}", number + 1, kind.word(), target.name),
                starts_s,
                duration_s,
                kind,
            })
        })
        .collect();
    (faults, surge)
}

#[derive(Clone, Copy)]
enum Wrong {
    Crash,
    Latency,
    Errors,
    Cpu,
    Slow,
    Loss,
}

fn kind(service: String, stateful: bool, random: &mut Random) -> FaultKind {
    let crash = if stateful { 0.0 } else { 0.3 };
    let wrong = random.of_weighted(
        &[
            (Wrong::Crash, crash),
            (Wrong::Latency, 0.2),
            (Wrong::Errors, 0.15),
            (Wrong::Cpu, 0.15),
            (Wrong::Slow, 0.15),
            (Wrong::Loss, 0.05),
        ],
        Wrong::Latency,
    );
    let share = significant(random.log_between(0.1, 1.0), 1).min(1.0);
    match wrong {
        Wrong::Crash => FaultKind::Crash {
            service,
            share: share.min(0.5),
        },
        Wrong::Latency => FaultKind::Latency {
            service,
            added_ms: significant(random.log_between(10.0, 1_000.0), 2),
        },
        Wrong::Errors => FaultKind::Errors {
            service,
            rate: significant(random.log_between(0.01, 0.5), 2),
        },
        Wrong::Cpu => FaultKind::Cpu {
            service,
            share,
            factor: significant(random.log_between(1.5, 8.0), 2),
        },
        Wrong::Slow => FaultKind::SlowDependency {
            service,
            factor: significant(random.log_between(1.5, 6.0), 2),
        },
        Wrong::Loss => FaultKind::PacketLoss {
            service,
            rate: significant(random.log_between(0.005, 0.05), 2),
        },
    }
}
