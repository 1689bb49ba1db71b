//! Why a service has its instances and its standby.

use foremesh_model::{Autoscaling, Executor, Reason};
use foremesh_simulate::analytic::normal_tail;

use super::Parts;
use crate::{
    Method,
    autoscaler::REACTION_S,
    gnn::Learned,
    reasons::{Under, by_sidecar, show},
    sampling::MEDIAN,
    size::{hardest_hour, planned_utilisation},
    sizing::{Recovery, Sized},
};

/// Says why a service has its instances and its standby; `demand_rps` is what is asked of it in its hardest hour.
pub(super) fn explain(
    parts: &Parts<'_>,
    s: usize,
    demand_rps: f64,
    hour: usize,
    why: &mut Under<'_>,
) {
    by_method(parts, s, demand_rps, hour, why);
    let sized = &parts.sizing.services[s];
    if let Some(recovery) = &sized.recovery {
        recovers(sized, recovery, why);
    }
}

/// Why there are instances to recover from faults.
fn recovers(sized: &Sized, recovery: &Recovery, why: &mut Under<'_>) {
    let (count, faults) = (recovery.instances, recovery.faults.join(", "));
    let so = format!(
        "so that objectives are kept again after {faults}: in simulation they were not without"
    );
    if sized.tracking.is_some() {
        why.append(
            "instances",
            &format!(
                " {count} in every hour, beyond what the autoscaler asks for at the median, {so}."
            ),
        );
        return;
    }
    if sized.standby > count {
        why.append("standby_instances", &format!(" {count} of them {so}."));
        return;
    }
    let reason = Reason::new(
        "recovery_from_faults",
        format!("{count} {so}. The loss of one is borne by the schedule."),
        [("instances", f64::from(count))],
    );
    why.set("standby_instances", reason);
}

fn by_method(parts: &Parts<'_>, s: usize, demand_rps: f64, hour: usize, why: &mut Under<'_>) {
    let (station, sized) = (&parts.ground.stations[s], &parts.sizing.services[s]);
    let criticality = parts.ground.services[s].criticality;
    let utilisation = planned_utilisation(criticality);
    let (fewest, most) = (
        sized.schedule.iter().copied().min().unwrap_or(0),
        sized.schedule.iter().copied().max().unwrap_or(0),
    );
    let text = if !parts.ground.reached[s] {
        format!(
            "No demand reaches it; it keeps its fewest instances, {}.",
            station.min_instances
        )
    } else {
        format!(
            "{} requests/s in hour {} at {} a second and instance ({}% of saturation{}) and the latency objective of its entries need {most}, the quietest hour {fewest}; {}fewer only where they suffice for three hours, one or less than a tenth fewer for six.",
            show(demand_rps),
            hour,
            show(station.bearable_rps() * utilisation),
            show(utilisation * 100.0),
            by_sidecar(station),
            if sized.ahead {
                "ordered an hour ahead because an instance takes long to be warm, "
            } else {
                ""
            },
        )
    };
    if parts.sizing.services[s].tracking.is_some() && parts.ground.reached[s] {
        return match parts.sizing.learned.get(s) {
            Some(learned) => said(parts, s, demand_rps, learned, why),
            None => beside_autoscaler(parts, s, (fewest, most), why),
        };
    }
    if matches!(parts.sizing.method, Method::Search { .. }) && parts.ground.reached[s] {
        return searched(parts, s, demand_rps, hour, why);
    }
    why.set(
        "instances",
        Reason::new(
            "latency_per_cost",
            text,
            [
                ("demand_p99_rps", demand_rps),
                ("saturation_rps", station.bearable_rps()),
                ("planned_utilisation", utilisation),
                ("min_instances", f64::from(station.min_instances)),
                ("max_instances", f64::from(station.max_instances)),
            ],
        )
        .by(Executor::Autoscaler),
    );
    why.set(
        "standby_instances",
        Reason::new(
            "ramp_and_one_failure",
            if parts.ground.reached[s] {
                format!(
                    "Demand may climb by {} requests/s in the {} s until a new instance is warm, {} of which the running ones take; one more for a lost instance where it matters.",
                    show(sized.ramp_rps), show(station.lead_s()), show(sized.reserve_rps.min(sized.ramp_rps))
                )
            } else {
                "No demand reaches it.".into()
            },
            [
                ("ramp_rps", sized.ramp_rps),
                ("reserve_rps", sized.reserve_rps),
                ("lead_s", station.lead_s()),
            ],
        ),
    );
}

/// The reasons of what the learned policy says.
fn said(parts: &Parts<'_>, s: usize, demand_rps: f64, learned: &Learned, why: &mut Under<'_>) {
    let Learned { action, rule, .. } = learned;
    let percent = |share: f64| show((share * 1000.0).round() / 10.0);
    let quantile = |score: f64| show(((1.0 - normal_tail(score)) * 1000.0).round() / 1000.0);
    let moved = |answer: usize| {
        let strongest = learned.strongest(answer).take(2);
        let told: Vec<String> = strongest
            .map(|(name, by)| format!("{name} ({by:+.2})"))
            .collect();
        told.join(" and ")
    };
    why.set(
        "instances",
        Reason::new(
            "learned",
            format!(
                "The learned policy holds what the {} quantile of each hour's demand needs with instances {}% busy, and leaves the rest to an autoscaler; the floor's rule would hold the {} quantile at {}%. \
                 What moved the quantile most: {}; the busy share: {}. All services' answers were then moved by {:+.2} and {:+.2} for 99.5% of minutes to be kept{}, and the loss of one is borne at the median.",
                quantile(action.score),
                percent(action.utilization),
                quantile(rule.score),
                percent(rule.utilization),
                moved(0),
                moved(1),
                learned.made_safe[0],
                learned.made_safe[1],
                made_safe_with(&parts.sizing.method),
            ),
            [
                ("demand_p99_rps", demand_rps),
                ("demand_quantile", 1.0 - normal_tail(action.score)),
                ("utilization", action.utilization),
                ("rule_utilization", rule.utilization),
                ("saturation_rps", parts.ground.stations[s].bearable_rps()),
            ],
        )
        .by(Executor::Autoscaler),
    );
    loss_beside_autoscaler(parts, s, why);
}

/// With how much of what is allowed a proposal was made safe, where that is not all of it.
fn made_safe_with(method: &Method) -> String {
    match method {
        Method::Gnn { share } | Method::Rule { share } if *share < 1.0 => {
            format!(" with {share} of what objectives and limits allow")
        }
        _ => String::new(),
    }
}

/// The reasons of a schedule beside an autoscaler.
fn beside_autoscaler(parts: &Parts<'_>, s: usize, (fewest, most): (u32, u32), why: &mut Under<'_>) {
    let ground = parts.ground;
    let median = hardest_hour(&ground.demand, MEDIAN, s).1;
    let lead_s = ground.stations[s].lead_s();
    why.set(
        "instances",
        Reason::new(
            "schedule_and_autoscaler",
            format!(
                "{fewest} to {most} are there before the demand is; more are left to the autoscaler, which has them {} s after it was given too much. {}",
                show(REACTION_S + lead_s),
                match parts.sizing.method {
                    Method::Rule { .. } => format!(
                        "Schedule and target are the floor's rule, moved alike for all services until 99.5% of the minutes drawn from the forecast are kept{}.",
                        made_safe_with(&parts.sizing.method)
                    ),
                    _ => "Schedule and target together are the cheapest on minutes drawn from the forecast, violated ones at their price.".into(),
                }
            ),
            [
                ("demand_p50_rps", median),
                ("reaction_s", REACTION_S),
                ("lead_s", lead_s),
                ("fewest", f64::from(fewest)),
                ("most", f64::from(most)),
            ],
        )
        .by(Executor::Autoscaler),
    );
    loss_beside_autoscaler(parts, s, why);
}

/// Why nothing stands by where schedule and autoscaler bear the loss of one.
fn loss_beside_autoscaler(parts: &Parts<'_>, s: usize, why: &mut Under<'_>) {
    let (ground, sized) = (parts.ground, &parts.sizing.services[s]);
    let bears = sized.bears_loss == Some(true) && ground.must_bear_loss(s);
    why.set(
        "standby_instances",
        Reason::new(
            "loss_of_one_in_schedule",
            if bears {
                "None beside the schedule: when any one of the instances that schedule and target give is lost, those left keep the objectives at every hour's median demand."
            } else if ground.must_bear_loss(s) {
                "None: max_instances, or an objective that is out of reach, leaves no room for the loss of an instance."
            } else {
                "None: it is deferrable, and may be missing for as long as an instance takes to start."
            },
            [("bears_the_loss_of_one", f64::from(u8::from(bears)))],
        ),
    );
}

/// What an autoscaler does beyond the schedule, with its reasons.
pub(super) fn autoscaling(parts: &Parts<'_>, s: usize, why: &mut Under<'_>) -> Option<Autoscaling> {
    let sized = &parts.sizing.services[s];
    let tracking = sized.tracking?;
    let station = &parts.ground.stations[s];
    let fewest = sized.schedule.iter().copied().min().unwrap_or(0);
    let busy = tracking.instance_rps / station.saturation_rps;
    let utilisation = ((busy * 1000.0).floor() / 1000.0).clamp(0.001, 1.0);
    let (rule, text) = match parts.sizing.learned.get(s) {
        None if matches!(parts.sizing.method, Method::Rule { .. }) => (
            "rule_made_safe",
            format!(
                "As busy as the floor's rule plans with, moved for all services alike until 99.5% of the minutes drawn from the forecast are kept{}.",
                made_safe_with(&parts.sizing.method)
            ),
        ),
        Some(_) => (
            "learned",
            "As busy as the learned policy lets its instances be; `instances` says what moved it."
                .into(),
        ),
        None => (
            "carried_by_the_fewest",
            format!(
                "What {fewest} instances, the fewest, can be asked without refusing bursts or missing an objective, less what demand may grow by in the {} s until a new one is warm.",
                show(REACTION_S + station.lead_s())
            ),
        ),
    };
    why.set(
        "autoscaling.requests_per_second",
        Reason::new(
            rule,
            text,
            [
                ("fewest_instances", f64::from(fewest)),
                ("reaction_s", REACTION_S),
                ("lead_s", station.lead_s()),
                ("limit_rps", sized.limit_rps),
            ],
        )
        .by(Executor::Autoscaler),
    );
    why.set(
        "autoscaling.utilisation",
        Reason::new(
            rule,
            format!(
                "{} requests/s of the {} at which one instance is saturated.",
                show(tracking.instance_rps),
                show(station.saturation_rps)
            ),
            [("saturation_rps", station.saturation_rps)],
        )
        .by(Executor::Autoscaler),
    );
    why.set(
        "autoscaling.most_instances",
        Reason::new(
            "rarest_demand",
            "What the target asks for at the 0.9995 quantile of the highest hour, peak within it included, rounded up, or the most of the schedule where that is more; at most max_instances.",
            [("max_instances", f64::from(station.max_instances))],
        )
        .by(Executor::Autoscaler),
    );
    Some(Autoscaling {
        requests_per_second: tracking.instance_rps,
        utilisation,
        most_instances: tracking.most,
    })
}

/// The reasons of what the search found.
fn searched(parts: &Parts<'_>, s: usize, demand_rps: f64, hour: usize, why: &mut Under<'_>) {
    let station = &parts.ground.stations[s];
    let planned = parts.sizing.by_hour[hour][s];
    why.set(
        "instances",
        Reason::new(
            "searched",
            format!(
                "{} requests/s in hour {hour} at {} a second and instance (saturation{}): {planned} are the cheapest together with those of the other services.",
                show(demand_rps),
                show(station.bearable_rps()),
                by_sidecar(station)
            ),
            [
                ("demand_p99_rps", demand_rps),
                ("saturation_rps", station.bearable_rps()),
                ("instances", f64::from(planned)),
                ("min_instances", f64::from(station.min_instances)),
                ("max_instances", f64::from(station.max_instances)),
            ],
        )
        .by(Executor::Autoscaler),
    );
    loss_in_schedule(parts, s, why);
}

/// Why nothing stands by beside a schedule that bears the loss of one.
fn loss_in_schedule(parts: &Parts<'_>, s: usize, why: &mut Under<'_>) {
    let bears = parts.sizing.services[s].bears_loss == Some(true);
    why.set(
        "standby_instances",
        Reason::new(
            "loss_of_one_in_schedule",
            if bears {
                "None beside the schedule: when any one of its instances is lost, those left keep the objectives at every hour's median demand, and the hours are planned for the 0.99 quantile."
            } else if parts.ground.must_bear_loss(s) {
                "None: max_instances, or an objective that is out of reach, leaves no room for the loss of an instance."
            } else {
                "None: it is deferrable, and may be missing for as long as an instance takes to start."
            },
            [("bears_the_loss_of_one", f64::from(u8::from(bears)))],
        ),
    );
}
