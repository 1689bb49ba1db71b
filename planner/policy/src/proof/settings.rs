//! Settings of a plan that are turned because of faults, with the reason of each.
//!
//! Found by [`crate::drill::refine`]; kept only where the plan passes the trial in its hardest hours that it passed before, where no entry misses more without a
//! fault, where no verdict on a fault gets worse and all together get better, and where formulas promise no less. Standby instances go through the sizing, so that all that follows from their number does.

use std::collections::BTreeMap;

use foremesh_model::{FaultKind, Kpis, Settings, Severity, Slo, Warning, random::mix};
use serde_json::Value;

use super::{
    Judged, Ordeal, Plan, kept,
    refine::{MOST_COST, cost, told},
};
use crate::{
    PolicyError, PolicyInput,
    autoscaler::{drawn, expectation},
    drill::{self, AFTERWARDS, Drill, Knob, LOOKS, Prices, ROUNDS, Refined, Spans, Steps, Turned},
    gnn::{Network, Region},
    ground::{Ground, warning},
    guards::check,
    paths::leaves,
    plan::settle_turned,
    reasons::{Reasons, show},
    search::Yardstick,
    sizing::Sizing,
    window::Seen,
};

/// Visits of services that are simulated to refine a plan, a few seconds of work: by shorter and then fewer looks.
const VISITS: f64 = 12_000_000.0;
/// Visits for which the shortest and fewest looks are still taken.
const MOST_VISITS: f64 = 30_000_000.0;
/// Services of the largest region whose settings are refined; nets learn in regions of 14 at most.
const MOST_SERVICES: usize = 100;
/// Seconds that faults last in a look: at the least, in the regions that nets learn in, and where few requests come.
const PHASE_S: [f64; 3] = [2.0, 6.0, 30.0];
/// Requests under faults that a look should see.
const REQUESTS: f64 = 3_000.0;
/// Seconds before faults, as a share of those that they last.
const BEFORE: f64 = 1.0 / 3.0;
/// Looks with which nothing is searched: those of the net's own rounds and a few more.
const FEWEST: f64 = ROUNDS as f64 + 9.0;
/// Share of the worst entry's requests that faults must cost less, all alike, or the plan stays as it is; what more instances cost comes on top, at the price
/// of looks. With a fifth of it the quickstart's queues were turned on one of four quiet days for 0.13% of requests: nobody wants to see that in a diff.
const WORTH: f64 = 5e-3;
/// Share of the worst entry's requests that a fault may cost more than before.
const MOST_RISE: f64 = 0.01;
/// Services of a turn that are named.
const NAMED: usize = 3;
/// How the reason of a value begins to say that it was turned.
pub(crate) const TURNED: &str = "because of faults it is";
/// Sets these random numbers apart from those of the verdicts.
const PURPOSE: u64 = 0x7475_726e_6564;

/// How long looks are and how many there may be, by requests and visits of services a second and faults; None: fewer than would find anything.
fn affordable(requests_rps: f64, visits_rps: f64, faults: f64) -> Option<(Spans, usize)> {
    let [least, usual, longest] = PHASE_S;
    let seconds = |phase_s: f64| phase_s * (BEFORE + 2.0);
    // Each fault, and the same time without one.
    let visits_rps = visits_rps * (faults + 1.0);
    let looks_s = VISITS / visits_rps.max(1e-9);
    let wanted = REQUESTS / (2.0 * faults * requests_rps).max(1e-9);
    let phase_s = (looks_s / (LOOKS + AFTERWARDS) as f64 / seconds(1.0))
        .clamp(least, wanted.clamp(usual, longest));
    let looks = (looks_s / seconds(phase_s) - AFTERWARDS as f64).clamp(FEWEST, LOOKS as f64);
    let spans = Spans {
        before_s: BEFORE * phase_s,
        phase_s,
    };
    let visits = visits_rps * seconds(phase_s) * (looks + AFTERWARDS as f64);
    (visits <= MOST_VISITS).then_some((spans, looks as usize))
}

/// The sizing with the instances that stand by then, and the steps of all other knobs.
fn through_sizing(
    (drill, input, ground): (&Drill<'_>, &PolicyInput<'_>, &Ground<'_>),
    plan: &Plan,
    steps: &[Steps],
) -> Result<(Sizing, Vec<Steps>), PolicyError> {
    let standby = Knob::ALL.iter().position(|knob| *knob == Knob::Standby);
    let settings = drill.turned(&plan.settled.settings, steps);
    let mut sizing = plan.sizing.clone();
    for (s, sized) in sizing.services.iter_mut().enumerate() {
        if let Some(service) = settings.services.get(ground.name(s)) {
            sized.standby = service.standby_instances;
        }
    }
    let mut others = steps.to_vec();
    for steps in &mut others {
        if let Some(at) = standby {
            steps[at] = 0;
        }
    }
    let tracked = sizing.expectation.is_some();
    let mut sizing = Sizing {
        learned: sizing.learned.clone(),
        ..Sizing::of(ground, sizing.method, sizing.services)
    };
    if tracked {
        let minutes = drawn(input.graph, input.demand, ground)?;
        sizing.expectation = Some(expectation(ground, &sizing, &minutes, 1.0).0);
    }
    Ok((sizing, others))
}

/// The first few services of a turn by name.
fn named(ground: &Ground<'_>, services: &[usize]) -> String {
    let mut names: Vec<String> = services
        .iter()
        .take(NAMED)
        .map(|s| ground.name(*s).to_string())
        .collect();
    if services.len() > NAMED {
        names.push(format!("{} more", services.len() - NAMED));
    }
    names.join(", ")
}

/// What a turn is, and what it is worth.
fn worth(ground: &Ground<'_>, turned: &Turned, seconds: f64) -> String {
    let knob = Knob::ALL[turned.knob].word();
    let places = named(ground, &turned.services);
    match turned.spares > 0.0 {
        true => format!(
            "{knob} of {places}: {}% of requests fewer fail or come late in {} s of each and as long after",
            show(100.0 * turned.spares),
            show(seconds)
        ),
        false => format!("{knob} of {places}: beside what else was turned"),
    }
}

/// Says of every value that was turned what it was and what turning it is worth.
fn explain(
    (drill, ground, seconds): (&Drill<'_>, &Ground<'_>, f64),
    [planned, then]: [&Settings; 2],
    refined: &Refined,
    reasons: &mut Reasons,
) {
    let values =
        |settings: &Settings| -> BTreeMap<String, Value> { leaves(settings).into_iter().collect() };
    let (before, after) = (values(planned), values(then));
    let all = values(&drill.turned(planned, &refined.steps));
    let others: Vec<BTreeMap<String, Value>> = refined
        .turned
        .iter()
        .map(|turned| {
            let mut steps = refined.steps.clone();
            for s in &turned.services {
                steps[*s][turned.knob] = 0;
            }
            values(&drill.turned(planned, &steps))
        })
        .collect();
    for (path, value) in &after {
        let was = before.get(path).unwrap_or(&Value::Null);
        if was == value {
            continue;
        }
        let because: Vec<&Turned> = refined
            .turned
            .iter()
            .zip(&others)
            .filter(|(_, others)| others.get(path) != all.get(path))
            .map(|(turned, _)| turned)
            .collect();
        let told: Vec<String> = because
            .iter()
            .map(|turned| worth(ground, turned, seconds))
            .collect();
        let told = match told.is_empty() {
            true => "it follows from what else was turned".into(),
            false => told.join("; "),
        };
        let inputs = because.iter().map(|turned| {
            let word = Knob::ALL[turned.knob].word().replace(' ', "_");
            (format!("fewer_missed_share_{word}"), turned.spares)
        });
        let text = format!("{TURNED} {value} in place of {was} ({told})");
        reasons.append(path, &text, inputs);
    }
}

/// Share of the worst entry's requests that fail or come late while faults last and once they are over, all alike.
fn felt(judged: &[Judged]) -> f64 {
    let each = judged
        .iter()
        .map(|judged| 0.5 * (judged.verdict.missed_share + judged.after.missed));
    each.sum::<f64>() / judged.len().max(1) as f64
}

/// Whether formulas promise every entry what it asks, or what they promised it before.
fn promises_no_less<'s>(
    before: &Kpis,
    after: &Kpis,
    slo_of: impl Fn(&str) -> Option<&'s Slo>,
) -> bool {
    let entries = after.entries.iter().all(|(name, now)| {
        let asked = slo_of(name.as_str()).map_or(1.0, |slo| slo.availability);
        let then = before.entries.get(name).map_or(0.0, |e| e.availability);
        now.availability >= asked.min(then) - 1e-9
    });
    entries && (after.holds || !before.holds)
}

/// Refines the settings of a plan under faults; whether any was turned, and what is to say.
pub(super) fn refine(
    ordeal: &Ordeal<'_>,
    plan: &mut Plan,
    faults: &[(f64, FaultKind)],
    (undisturbed, judged): (&[Seen; 2], &mut Vec<Judged>),
    network: &dyn Network,
) -> Result<(bool, Option<Warning>), PolicyError> {
    let Ordeal { input, ground, .. } = *ordeal;
    let left = Ok((false, None));
    if faults.is_empty() {
        return left;
    }
    let too_much = |why: String| {
        let text = format!(
            "{why} to refine settings under faults in simulation: they are what formulas give"
        );
        Ok((
            false,
            Some(warning(Severity::Note, "not_refined", "prove_faults", text)),
        ))
    };
    if ground.services.len() > MOST_SERVICES {
        let services = ground.services.len();
        return too_much(format!("{services} services are too many"));
    }
    let Some((spans, looks)) =
        affordable(ordeal.requests_rps, ordeal.visits_rps, faults.len() as f64)
    else {
        let visits = show(ordeal.visits_rps.round());
        return too_much(format!(
            "{visits} requests a second at all services together are too many"
        ));
    };
    let kinds = faults.iter().map(|(_, kind)| kind.clone()).collect();
    let region = Region::lent(ground, *input);
    let planned = plan.settled.settings.clone();
    let Ok(drill) = Drill::on(region, *input, (&planned, ordeal.hour), kinds, spans) else {
        return left;
    };
    let outcome = drill::refine(&drill, network, mix(input.demand.seed, PURPOSE), looks)?;
    let Some(refined) = outcome.refined else {
        return left;
    };
    let (sizing, others) = through_sizing((&drill, input, ground), plan, &refined.steps)?;
    let more = cost(ground, &sizing) / cost(ground, &plan.sizing).max(1e-9) - 1.0;
    let settled = settle_turned(
        input,
        ground,
        &sizing,
        plan.warnings.clone(),
        |assembled, reasons| {
            let then = drill.turned(assembled, &others);
            explain(
                (&drill, ground, spans.phase_s),
                [&planned, &then],
                &refined,
                reasons,
            );
            then
        },
    );
    let slo_of = |name: &str| {
        let entries = ground.entries.iter();
        let mut found = entries.filter(|entry| ground.name(entry.node).as_str() == name);
        found.next().map(|entry| &entry.slo)
    };
    if more > MOST_COST
        || check(&settled.settings) != check(&planned)
        || !promises_no_less(&plan.settled.kpis, &settled.kpis, slo_of)
    {
        return left;
    }
    let (calm, all) = ordeal.all(&settled.settings, faults)?;
    let no_worse = calm
        .iter()
        .zip(undisturbed)
        .all(|(now, then)| kept(ground, &now.entries, &then.entries));
    let worse = |(old, new): (&Judged, &Judged)| {
        let rise = new.verdict.missed_share - old.verdict.missed_share;
        new.worse_than(old) || rise > MOST_RISE
    };
    // Looks are short: what a turn is worth in the first seconds of a fault may be nothing in all of it.
    let [before, after] = [&*judged, &all].map(|judged| felt(judged));
    let gained = before - after - Prices::OF_PLANS.cost * more.max(0.0);
    if gained < WORTH || !no_worse || judged.iter().zip(&all).any(worse) {
        return left;
    }
    if plan.tried {
        let yardstick = Yardstick::of(input, ground, &plan.sizing, &planned)?;
        if !yardstick.passed_by(input, ground, &sizing, &settled.settings)? {
            return left;
        }
    }
    let mut services: Vec<usize> = refined
        .turned
        .iter()
        .flat_map(|t| t.services.clone())
        .collect();
    services.sort_unstable();
    services.dedup();
    let [before, after] = [before, after].map(|share| show(1e-2 * (1e4 * share).round()));
    let tried: Vec<String> = faults.iter().map(|(_, kind)| told(kind)).collect();
    let more = match more > 1e-6 {
        true => format!(", for {}% more cost", show((more * 1e3).round() / 10.0)),
        false => String::new(),
    };
    let text = format!(
        "settings of {} are not what formulas give: under {} and once each is over, {after}% of the worst entry's requests fail or come late in place of {before}%{more}; the reason of each says what it is worth",
        named(ground, &services),
        tried.join(", ")
    );
    (plan.sizing, plan.settled, *judged) = (sizing, settled, all);
    let note = warning(Severity::Note, "refined_under_faults", "settings", text);
    Ok((true, Some(note)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_traffic_means_shorter_then_fewer_looks_then_none() {
        let [least, usual, longest] = PHASE_S;
        let of = |requests: f64| affordable(requests, 3.0 * requests, 4.0);
        let (spans, looks) = of(1.0).unwrap();
        assert_eq!((spans.phase_s, looks), (longest, LOOKS));
        let (spans, looks) = of(300.0).unwrap();
        assert_eq!((spans.phase_s, looks), (usual, LOOKS));
        let (spans, looks) = of(1_000.0).unwrap();
        assert!(spans.phase_s > least && spans.phase_s < usual && looks >= LOOKS - 1);
        let (spans, looks) = of(3_000.0).unwrap();
        assert!(
            spans.phase_s == least && looks < LOOKS && looks as f64 > FEWEST
                || looks as f64 == FEWEST
        );
        let (spans, looks) = of(7_000.0).unwrap();
        assert_eq!((spans.phase_s, looks as f64), (least, FEWEST));
        assert!(of(30_000.0).is_none());
    }
}
