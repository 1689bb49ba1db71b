//! Why a service has its instances and its standby.

use foremesh_model::{Executor, Reason};

use super::Parts;
use crate::{
    reasons::{Under, show},
    search::Bound,
    size::planned_utilisation,
    sizing::MadeBy,
};

/// Says why a service has its instances and its standby; `demand_rps` is what is asked of it in its hardest hour.
pub(super) fn explain(
    parts: &Parts<'_>,
    s: usize,
    demand_rps: f64,
    hour: usize,
    why: &mut Under<'_>,
) {
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
            "{} requests/s in hour {} at {} a second and instance ({}% of saturation) and the latency objective of its entries need {most}, the quietest hour {fewest}; {}fewer only where they suffice for three hours.",
            show(demand_rps),
            hour,
            show(station.saturation_rps * utilisation),
            show(utilisation * 100.0),
            if sized.ahead {
                "ordered an hour ahead because an instance takes long to be warm, "
            } else {
                ""
            },
        )
    };
    if parts.sizing.made_by == MadeBy::Search && parts.ground.reached[s] {
        return searched(parts, s, demand_rps, why);
    }
    why.set(
        "instances",
        Reason::new(
            "latency_per_cost",
            text,
            [
                ("demand_p99_rps", demand_rps),
                ("saturation_rps", station.saturation_rps),
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

/// The reasons of what the search found.
fn searched(parts: &Parts<'_>, s: usize, demand_rps: f64, why: &mut Under<'_>) {
    let station = &parts.ground.stations[s];
    let (hour, planned, bound) = Bound::of(parts.ground, &parts.sizing.by_hour, s);
    why.set(
        "instances",
        Reason::new(
            "searched",
            format!(
                "{} requests/s in hour {hour} at {} a second and instance (saturation): {planned} are the cheapest together with those of the other services, {}.",
                show(demand_rps),
                show(station.saturation_rps),
                bound.text()
            ),
            [
                ("demand_p99_rps", demand_rps),
                ("saturation_rps", station.saturation_rps),
                ("instances", f64::from(planned)),
                ("min_instances", f64::from(station.min_instances)),
                ("max_instances", f64::from(station.max_instances)),
            ],
        )
        .by(Executor::Autoscaler),
    );
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
