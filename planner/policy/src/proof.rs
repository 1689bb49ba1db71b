//! A plan under what may well go wrong: which faults would hurt this region most, and what the plan does under each, in simulation.
//!
//! Each is compared with the same time without it, on the same random numbers: what is missed there is not the fault's doing.
//!
//! Two questions are asked of each: are the objectives kept while it lasts, and are they kept again soon after it has ended? A mesh that stays
//! overloaded by its own retries and ejections after the cause is gone does not come back by itself (Bronson et al., *Metastable failures in
//! distributed systems*, HotOS 2021): what does not recover is said loudest.

use foremesh_model::{
    Criticality, Fault, FaultKind, FaultVerdict, Settings, Severity, Warning, random::mix,
};
use foremesh_simulate::SimulateError;
use rayon::prelude::*;

use crate::{
    PolicyInput,
    autoscaler::standing,
    ground::{Ground, warning},
    reasons::show,
    sampling::{LEVELS, MEDIAN},
    window::{Allowed, Shown, Unseen, Window, busiest_hour, entry_rates, simulate, visits_rps},
};

/// Seconds that a fault lasts, and that are looked at after it, where the traffic allows.
const PHASE_S: [f64; 2] = [2.0, 30.0];
/// Visits of services that a fault's simulation is kept to, by shorter phases.
const VISITS: f64 = 1_000_000.0;
/// Seconds before a fault begins.
const BEFORE_S: f64 = 5.0;
/// Most faults of one service: the others have theirs too.
const MOST_OF_A_SERVICE: usize = 2;
/// Sets these random numbers apart from those that chose the plan.
const PURPOSE: u64 = 0x0070_726f_6f66;

/// How often each kind is met beside a lost instance; nobody has counted for this region, so that these are a ranking and no more.
const CRASH: f64 = 1.0;
const SLOW_DEPENDENCY: f64 = 0.7;
const RETRY_STORM: f64 = 0.6;
const ERRORS: f64 = 0.5;
const LATENCY: f64 = 0.4;

/// The faults that matter most for this region, the worst first, with what each matters: the share of the region's work at the service × the
/// share of requests that pass it × its criticality × how often the kind is met.
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
        let ranked = of_service.into_iter().take(MOST_OF_A_SERVICE);
        found.extend(ranked.map(|(often, kind)| (weight * often, kind)));
    }
    let heaviest = found.iter().map(|(weight, _)| *weight).fold(0.0, f64::max);
    let storm = FaultKind::RetryStorm {
        service: String::new(),
        factor: 1.5,
    };
    found.push((heaviest * RETRY_STORM, storm));
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.truncate(most);
    found
}

/// What faults do, and what is to say of it.
#[derive(Debug, Default)]
pub(crate) struct Proof {
    pub verdicts: Vec<FaultVerdict>,
    pub warnings: Vec<Warning>,
}

/// What the settings do under the faults that matter most.
pub(crate) fn prove(
    input: &PolicyInput<'_>,
    ground: &Ground<'_>,
    settings: &Settings,
    faults: usize,
) -> Result<Proof, SimulateError> {
    if faults == 0 {
        return Ok(Proof::default());
    }
    let level = LEVELS[MEDIAN];
    let hour = busiest_hour(input, ground, level);
    let rates = entry_rates(input, ground, hour, level);
    // What the autoscalers would do while the fault lasts is left out.
    let settings = &standing(ground, settings, hour, &ground.rates_at(hour, 0.0));
    let phase_s = (VISITS / (4.0 * visits_rps(ground, &rates)).max(1e-9))
        .round()
        .clamp(PHASE_S[0], PHASE_S[1]);
    let window = |faults: Vec<Fault>, warm_up_s: f64| Window {
        hour,
        level,
        faults,
        warm_up_s,
        measured_s: phase_s,
        seed: mix(input.demand.seed, PURPOSE),
    };
    // What the fault meets, and what is left of it once it has been over for as long as it lasted.
    let phases = [BEFORE_S, BEFORE_S + 2.0 * phase_s];
    let undisturbed = phases.map(|warm_up_s| window(Vec::new(), warm_up_s));
    if let Some(unseen) = Unseen::of(input, ground, &undisturbed) {
        return Ok(Proof {
            verdicts: Vec::new(),
            warnings: vec![
                unseen.warning("prove_faults", "what faults do to the plan is not known"),
            ],
        });
    }
    let both = |windows: [Window; 2]| -> Result<[Vec<Shown>; 2], SimulateError> {
        let [first, second] = &windows;
        let (first, second) = rayon::join(
            || simulate(input, ground, settings, first),
            || simulate(input, ground, settings, second),
        );
        Ok([first?, second?])
    };
    let undisturbed = both(undisturbed)?;
    let verdicts = ranked(ground, hour, faults)
        .into_par_iter()
        .map(|(weight, kind)| {
            let word = kind.word();
            let service = kind.service().to_owned();
            let fault = Fault {
                name: word.into(),
                starts_s: BEFORE_S,
                duration_s: phase_s,
                kind,
            };
            let shown = both(phases.map(|warm_up_s| window(vec![fault.clone()], warm_up_s)))?;
            let kept = |phase: usize| kept(ground, &shown[phase], &undisturbed[phase]);
            let missed_share = shown[0].iter().map(Shown::missed).fold(0.0, f64::max);
            Ok(FaultVerdict {
                kind: word.into(),
                service,
                weight: (weight * 1e4).round() / 1e4,
                hour: hour as u32,
                seconds: phase_s,
                kept: kept(0),
                recovered: kept(1),
                missed_share: (missed_share * 1e4).round() / 1e4,
            })
        })
        .collect::<Result<Vec<_>, SimulateError>>()?;
    Ok(Proof {
        warnings: warnings(&verdicts).collect(),
        verdicts,
    })
}

/// Whether every entry misses no more than its objective allows, or than chance makes of what it misses without the fault.
fn kept(ground: &Ground<'_>, shown: &[Shown], undisturbed: &[Shown]) -> bool {
    let entries = ground.entries.iter().zip(shown).zip(undisturbed);
    entries
        .map(|((entry, shown), undisturbed)| {
            (shown, Allowed::by(&entry.slo).or_by_chance(undisturbed))
        })
        .all(|(shown, allowed)| shown.within(allowed))
}

/// What is to say of the verdicts.
fn warnings(verdicts: &[FaultVerdict]) -> impl Iterator<Item = Warning> + '_ {
    verdicts.iter().filter(|verdict| !verdict.kept || !verdict.recovered).map(|verdict| {
        let subject = match verdict.service.as_str() {
            "" => "every entry",
            service => service,
        };
        let (severity, code, then) = if verdict.recovered {
            (Severity::Note, "fault_felt", "afterwards all is as before")
        } else {
            (
                Severity::Caution,
                "fault_not_recovered",
                "afterwards objectives are still missed: give the service and its callers more room, or bound retries",
            )
        };
        warning(
            severity,
            code,
            subject,
            format!(
                "{} for {} s at the median of hour {}: {}% of an entry's requests fail or come late meanwhile, {then}; foremesh simulate shows it with --fault",
                verdict.kind, show(verdict.seconds), verdict.hour, show(verdict.missed_share * 100.0)
            ),
        )
    })
}
