//! A plan under what may well go wrong: which faults would hurt this region most, and what the plan does under each, in simulation.
//!
//! Each is compared with the same time without it, on the same random numbers: what is missed there is not the fault's doing.
//!
//! Two questions are asked of each: are the objectives kept while it lasts, and are they kept again soon after it has ended? A mesh that stays
//! overloaded by its own retries and ejections after the cause is gone does not come back by itself (Bronson et al., *Metastable failures in
//! distributed systems*, HotOS 2021): what does not recover is given room (`refine`) or said loudest.

mod ranked;
mod refine;
mod settings;

use foremesh_model::{Fault, FaultKind, FaultVerdict, Settings, Severity, Warning, random::mix};
use foremesh_simulate::SimulateError;
use rayon::prelude::*;

use crate::{
    PolicyError, PolicyInput,
    autoscaler::standing,
    gnn::Network,
    ground::{Ground, warning},
    reasons::show,
    sampling::{LEVELS, MEDIAN},
    window::{Allowed, Seen, Shown, Unseen, Window, busiest_hour, entry_rates, visits_rps, watch},
};
use ranked::ranked;
pub(crate) use refine::Plan;
pub(crate) use settings::TURNED;

/// Seconds that a fault lasts, and that are looked at after it, where the traffic allows.
const PHASE_S: [f64; 2] = [2.0, 30.0];
/// Visits of services that a fault's simulation is kept to, by shorter phases.
const VISITS: f64 = 1_000_000.0;
/// Seconds before a fault begins, at most: no longer than it lasts.
const BEFORE_S: f64 = 5.0;
/// The fault, as long again in which the mesh may recover, and as long in which it must have.
const PHASES: f64 = 3.0;
/// Sets these random numbers apart from those that chose the plan.
const PURPOSE: u64 = 0x0070_726f_6f66;

/// What faults do, and what is to say of it.
#[derive(Debug, Default)]
pub(crate) struct Proof {
    pub verdicts: Vec<FaultVerdict>,
    pub warnings: Vec<Warning>,
    /// The plan is another than before: services were given room to recover, or settings were turned.
    pub changed: bool,
    /// Settings were turned.
    pub turned: bool,
}

/// What settings did under a fault.
#[derive(Debug, Clone)]
struct Judged {
    verdict: FaultVerdict,
    kind: FaultKind,
    /// Share of its time that each service was busy while the fault lasted.
    busy_meanwhile: Vec<f64>,
    after: After,
}

impl Judged {
    /// Whether something that was kept, or recovered from, no longer is.
    fn worse_than(&self, old: &Self) -> bool {
        let (old, new) = (&old.verdict, &self.verdict);
        old.recovered && !new.recovered || old.kept && !new.kept
    }
}

/// What is left of a fault once it is over.
#[derive(Debug, Clone)]
struct After {
    recovered: bool,
    /// Largest share of an entry's requests that failed or came late.
    missed: f64,
    /// Share of its time that each service was busy.
    busy: Vec<f64>,
}

/// Largest share of an entry's requests that failed or came late.
fn missed(seen: &Seen) -> f64 {
    seen.entries.iter().map(Shown::missed).fold(0.0, f64::max)
}

/// Where faults are tried: the hardest hour at the median of its demand.
struct Ordeal<'a> {
    input: &'a PolicyInput<'a>,
    ground: &'a Ground<'a>,
    hour: usize,
    /// Requests and visits of services a second.
    requests_rps: f64,
    visits_rps: f64,
    before_s: f64,
    phase_s: f64,
}

impl<'a> Ordeal<'a> {
    fn of(input: &'a PolicyInput<'a>, ground: &'a Ground<'a>) -> Self {
        let level = LEVELS[MEDIAN];
        let hour = busiest_hour(input, ground, level);
        let rates = entry_rates(input, ground, hour, level);
        let visits_rps = visits_rps(ground, &rates);
        let phase_s = (VISITS / (4.0 * visits_rps).max(1e-9))
            .round()
            .clamp(PHASE_S[0], PHASE_S[1]);
        let before_s = phase_s.min(BEFORE_S);
        Self {
            input,
            ground,
            hour,
            requests_rps: rates.iter().sum(),
            visits_rps,
            before_s,
            phase_s,
        }
    }

    /// From before the fault until as long after it as it lasted.
    fn window(&self, fault: Option<&Fault>) -> Window {
        Window {
            hour: self.hour,
            level: LEVELS[MEDIAN],
            faults: fault.cloned().into_iter().collect(),
            warm_up_s: self.before_s,
            measured_s: PHASES * self.phase_s,
            seed: mix(self.input.demand.seed, PURPOSE),
        }
    }

    /// What settings show while the fault lasts, and once it has been over for as long.
    fn seen(&self, settings: &Settings, fault: Option<&Fault>) -> Result<[Seen; 2], SimulateError> {
        // What the autoscalers would do while the fault lasts is left out.
        let rates = self.ground.rates_at(self.hour, 0.0);
        let settings = standing(self.ground, settings, self.hour, &rates);
        let window = self.window(fault);
        watch(self.input, self.ground, &settings, &window, |watched| {
            let mut next = || {
                let seen = watched.seen(self.phase_s);
                watched.measure_anew();
                seen
            };
            let meanwhile = next();
            next();
            [meanwhile, next()]
        })
    }

    fn fault(&self, kind: &FaultKind) -> Fault {
        Fault {
            name: kind.word().into(),
            starts_s: self.before_s,
            duration_s: self.phase_s,
            kind: kind.clone(),
        }
    }

    /// What is left of a fault.
    fn after(
        &self,
        settings: &Settings,
        undisturbed: &[Seen; 2],
        kind: &FaultKind,
    ) -> Result<After, SimulateError> {
        let [_, after] = self.seen(settings, Some(&self.fault(kind)))?;
        Ok(self.left(after, undisturbed))
    }

    fn left(&self, after: Seen, undisturbed: &[Seen; 2]) -> After {
        After {
            recovered: kept(self.ground, &after.entries, &undisturbed[1].entries),
            missed: missed(&after),
            busy: after.busy,
        }
    }

    /// Visits of services that a fault's simulation makes.
    fn visits(&self) -> f64 {
        (self.before_s + PHASES * self.phase_s) * self.visits_rps
    }

    fn judged(
        &self,
        seen: [Seen; 2],
        undisturbed: &[Seen; 2],
        weight: f64,
        kind: FaultKind,
    ) -> Judged {
        let [during, after] = seen;
        let after = self.left(after, undisturbed);
        let rounded = |share: f64| (share * 1e4).round() / 1e4;
        Judged {
            verdict: FaultVerdict {
                kind: kind.word().into(),
                service: kind.service().to_owned(),
                weight: rounded(weight),
                hour: self.hour as u32,
                seconds: self.phase_s,
                kept: kept(self.ground, &during.entries, &undisturbed[0].entries),
                recovered: after.recovered,
                missed_share: rounded(missed(&during)),
            },
            kind,
            busy_meanwhile: during.busy,
            after,
        }
    }

    /// All of the faults, the worst first.
    fn all(
        &self,
        settings: &Settings,
        faults: &[(f64, FaultKind)],
    ) -> Result<([Seen; 2], Vec<Judged>), SimulateError> {
        let kinds = faults.iter().map(|(_, kind)| Some(kind));
        let all: Vec<Option<&FaultKind>> = std::iter::once(None).chain(kinds).collect();
        let mut seen: Vec<[Seen; 2]> = all
            .into_par_iter()
            .map(|kind| self.seen(settings, kind.map(|kind| self.fault(kind)).as_ref()))
            .collect::<Result<_, _>>()?;
        let undisturbed = seen.remove(0);
        let judged = seen.into_iter().zip(faults);
        let judged = judged
            .map(|(seen, (weight, kind))| self.judged(seen, &undisturbed, *weight, kind.clone()))
            .collect();
        Ok((undisturbed, judged))
    }
}

/// Who may change a plan because of what faults do to it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Refiner<'n> {
    /// Nobody.
    None,
    /// Services are given room until the mesh recovers from faults that it would not recover from.
    Room,
    /// The same, then settings are turned in the order in which a net prefers that.
    Net(&'n dyn Network),
}

/// What the settings of a plan do under the faults that matter most. The sizing and what is settled change as far as `refiner` lets them.
pub(crate) fn prove(
    input: &PolicyInput<'_>,
    ground: &Ground<'_>,
    plan: &mut Plan,
    faults: usize,
    refiner: Refiner<'_>,
) -> Result<Proof, PolicyError> {
    if faults == 0 {
        return Ok(Proof::default());
    }
    let ordeal = Ordeal::of(input, ground);
    if let Some(unseen) = Unseen::of(input, ground, &[ordeal.window(None)]) {
        return Ok(Proof {
            warnings: vec![
                unseen.warning("prove_faults", "what faults do to the plan is not known"),
            ],
            ..Proof::default()
        });
    }
    let faults = ranked(ground, ordeal.hour, faults);
    let (undisturbed, mut judged) = ordeal.all(&plan.settled.settings, &faults)?;
    let mut warnings = Vec::new();
    if !matches!(refiner, Refiner::None) {
        warnings = refine::refine(&ordeal, plan, &faults, &undisturbed, &mut judged)?;
    }
    let mut changed = !warnings.is_empty();
    let mut turned = false;
    if let Refiner::Net(network) = refiner {
        let before = (&undisturbed, &mut judged);
        let (any, told) = settings::refine(&ordeal, plan, &faults, before, network)?;
        turned = any;
        changed |= any;
        warnings.extend(told);
    }
    let verdicts: Vec<FaultVerdict> = judged.into_iter().map(|judged| judged.verdict).collect();
    warnings.extend(self::warnings(&verdicts));
    Ok(Proof {
        verdicts,
        warnings,
        changed,
        turned,
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
