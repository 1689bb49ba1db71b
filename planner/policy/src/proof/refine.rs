//! Room for what does not recover: one instance more, or a tenth, at the services that are busiest when a fault is over, until objectives are kept again.
//!
//! What was measured first, on drawn regions whose plans did not recover: fewer retries or none, no ejection, half of the concurrency and no rate limits
//! helped now and then and harmed as often; an instance more at each service brought back five of eight.

use foremesh_model::{FaultKind, Severity, Warning};

use super::{After, Judged, Ordeal};
use crate::{
    PolicyError, PolicyOutput,
    autoscaler::{drawn, expectation},
    ground::{Ground, warning},
    plan::settle,
    reasons::show,
    sizing::{Recovery, Sizing},
    window::Seen,
};

/// Visits of services that are simulated to find room, all trials together: some seconds of work.
const VISITS: f64 = 6_000_000.0;
/// Plans that are tried in all, each under one fault.
const TRIALS: usize = 12;
/// Times that one fault's services are given more.
const STEPS: usize = 3;
/// Services that are given more in turn.
const SUSPECTS: usize = 2;
/// What room for recovery may cost at most, as a share of what all instances cost.
pub(super) const MOST_COST: f64 = 0.1;
/// Share of a service's instances that it is given more, at least one.
const MORE: f64 = 0.1;
/// What is missed afterwards must shrink to this share, or the room is given elsewhere.
const HELPS: f64 = 0.8;

/// A plan while it is proved.
pub(crate) struct Plan {
    pub sizing: Sizing,
    pub settled: PolicyOutput,
    /// It was tried in simulation in its hardest hours.
    pub tried: bool,
    /// What was to be said before it was settled.
    pub warnings: Vec<Warning>,
}

/// Cost of all instances over the horizon: with an autoscaler what is expected, else of schedules and standby.
pub(super) fn cost(ground: &Ground<'_>, sizing: &Sizing) -> f64 {
    if let Some(expected) = &sizing.expectation {
        return expected.instance_cost;
    }
    let hours = sizing.by_hour.len() as f64;
    let services = (0..ground.services.len()).zip(&ground.stations);
    services
        .map(|(s, station)| {
            let scheduled: u32 = sizing.by_hour.iter().map(|row| row[s]).sum();
            let standby = f64::from(sizing.services[s].standby);
            station.cost_per_hour * (f64::from(scheduled) + standby * hours)
        })
        .sum()
}

/// The services that were busiest once the fault was over, then while it lasted, then the one that it hit.
fn suspects(ground: &Ground<'_>, judged: &Judged, after: &After) -> Vec<usize> {
    let busiest = |busy: &[f64]| {
        let scaled = (0..busy.len()).filter(|s| !ground.stations[*s].stateful);
        scaled.max_by(|a, b| busy[*a].total_cmp(&busy[*b]).then(b.cmp(a)))
    };
    let hit = (0..ground.services.len())
        .find(|s| ground.name(*s).as_str() == judged.kind.service())
        .filter(|s| !ground.stations[*s].stateful);
    let mut found: Vec<usize> = Vec::new();
    for s in [busiest(&after.busy), busiest(&judged.busy_meanwhile), hit]
        .into_iter()
        .flatten()
    {
        if !found.contains(&s) {
            found.push(s);
        }
    }
    found.truncate(SUSPECTS);
    found
}

pub(super) fn told(kind: &FaultKind) -> String {
    match kind.service() {
        "" => format!("{} at every entry", kind.word()),
        service => format!("{} of {service}", kind.word()),
    }
}

/// The services that were given more for a fault.
fn given(ground: &Ground<'_>, sizing: &Sizing, fault: &str) -> String {
    let services = sizing.services.iter().enumerate();
    let given = services.filter(|(_, sized)| {
        let recovery = sized.recovery.iter();
        recovery.flat_map(|r| &r.faults).any(|known| known == fault)
    });
    let names: Vec<&str> = given.map(|(s, _)| ground.name(s).as_str()).collect();
    names.join(" and ")
}

/// Gives a service more; None where it has all that it may have.
fn with_room(ground: &Ground<'_>, sizing: &Sizing, s: usize, fault: &str) -> Option<Sizing> {
    let mut services = sizing.services.clone();
    let sized = &mut services[s];
    let most = sizing.by_hour.iter().map(|row| row[s]).max().unwrap_or(0) + sized.standby;
    let left = ground.stations[s].max_instances.saturating_sub(most);
    let more = ((f64::from(most) * MORE).round() as u32).max(1).min(left);
    if more == 0 {
        return None;
    }
    match sized.tracking {
        // An autoscaler asks for the same whatever stands by: the schedule must buy what it would have asked for, and more.
        Some(ref mut tracking) => {
            for (hour, n) in sized.schedule.iter_mut().enumerate() {
                let asked = tracking.asks(ground.rates_at(hour, 0.0)[s]);
                let most = ground.stations[s].max_instances.max(*n);
                *n = ((*n).max(asked) + more).min(most);
                tracking.most = tracking.most.max(*n);
            }
        }
        None => sized.standby += more,
    }
    let recovery = sized.recovery.get_or_insert_with(Recovery::default);
    recovery.instances += more;
    if !recovery.faults.iter().any(|known| known == fault) {
        recovery.faults.push(fault.to_owned());
    }
    Some(Sizing {
        learned: sizing.learned.clone(),
        ..Sizing::of(ground, sizing.method, services)
    })
}

/// Gives room for each fault from which the mesh does not recover, the worst first; takes back what does not help.
pub(super) fn refine(
    ordeal: &Ordeal<'_>,
    plan: &mut Plan,
    faults: &[(f64, FaultKind)],
    undisturbed: &[Seen; 2],
    judged: &mut Vec<Judged>,
) -> Result<Vec<Warning>, PolicyError> {
    let Ordeal { input, ground, .. } = *ordeal;
    if judged.iter().all(|judged| judged.verdict.recovered) {
        return Ok(Vec::new());
    }
    let minutes = match plan.sizing.expectation {
        Some(_) => Some(drawn(input.graph, input.demand, ground)?),
        None => None,
    };
    let settled = |sizing: &mut Sizing| {
        sizing.expectation = minutes
            .as_ref()
            .map(|minutes| expectation(ground, sizing, minutes, 1.0).0);
        settle(input, ground, sizing, plan.warnings.clone())
    };
    let before = cost(ground, &plan.sizing);
    let mut warnings = Vec::new();
    let most_trials = TRIALS.min((VISITS / ordeal.visits().max(1.0)) as usize);
    let mut trials = 0;
    for at in 0..judged.len() {
        if judged[at].verdict.recovered {
            continue;
        }
        let (_, kind) = &faults[at];
        let fault = told(kind);
        let mut sizing = plan.sizing.clone();
        let mut last = judged[at].after.clone();
        let mut found = None;
        for _ in 0..STEPS {
            let mut best: Option<(Sizing, PolicyOutput, After)> = None;
            for s in suspects(ground, &judged[at], &last) {
                let Some(mut tried) = with_room(ground, &sizing, s, &fault) else {
                    continue;
                };
                if trials == most_trials {
                    continue;
                }
                let output = settled(&mut tried);
                if cost(ground, &tried) > before * (1.0 + MOST_COST) {
                    continue;
                }
                trials += 1;
                let after = ordeal.after(&output.settings, undisturbed, kind)?;
                let recovered = after.recovered;
                let least = best.as_ref().map_or(f64::MAX, |(.., best)| best.missed);
                if recovered || after.missed < least {
                    best = Some((tried, output, after));
                }
                if recovered {
                    break;
                }
            }
            let Some((tried, output, after)) = best else {
                break;
            };
            if after.recovered {
                found = Some((tried, output));
                break;
            }
            if after.missed > last.missed * HELPS {
                break;
            }
            (sizing, last) = (tried, after);
        }
        let Some((sizing, output)) = found else {
            continue;
        };
        // Room at one service lets more through to others.
        let (_, all) = ordeal.all(&output.settings, faults)?;
        let worse = judged
            .iter()
            .zip(&all)
            .any(|(old, new)| new.worse_than(old));
        if worse || !all[at].verdict.recovered {
            continue;
        }
        let more = cost(ground, &sizing) / cost(ground, &plan.sizing) - 1.0;
        warnings.push(warning(
            Severity::Note,
            "room_for_recovery",
            match kind.service() {
                "" => "every entry",
                service => service,
            },
            format!(
                "{fault}: objectives were still missed {} s after it was over; with more instances of {}, for {}% more, they are kept",
                show(ordeal.phase_s),
                given(ground, &sizing, &fault),
                show((more * 1e3).round() / 10.0)
            ),
        ));
        (plan.sizing, plan.settled) = (sizing, output);
        *judged = all;
    }
    Ok(warnings)
}
