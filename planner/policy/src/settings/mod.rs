//! Puts the settings together, each value with its reason.

mod edge;
mod entry;
mod instances;
mod queue;
mod service;
mod stateful;

use foremesh_model::{
    EdgeName, Executor, RampStage, Reason, SETTINGS_FORMAT_VERSION, Settings, Severity, Warning,
};

use crate::{
    PolicyInput,
    calls::CallPlans,
    ground::{Ground, warning},
    reasons::Reasons,
    sizing::Sizing,
};
use foremesh_simulate::analytic::{GammaQuantile, Moments};

/// Minutes between the stages of the ramp where the request says nothing.
const RAMP_STAGE_MINUTES: u32 = 30;
/// Percent of the traffic at each stage where the request says nothing.
const RAMP_PERCENT: [u32; 3] = [10, 50, 100];

/// What the parts of the settings are made from.
pub(crate) struct Parts<'a> {
    pub input: &'a PolicyInput<'a>,
    pub ground: &'a Ground<'a>,
    pub sizing: &'a Sizing,
    pub calls: &'a CallPlans,
    /// The worst latency of each service, with what it calls.
    pub worst: &'a [Moments],
    /// Tabulated once for all services: a table costs half a millisecond.
    pub p99: GammaQuantile,
}

pub(crate) fn assemble(
    input: &PolicyInput<'_>,
    ground: &Ground<'_>,
    sizing: &Sizing,
    calls: &CallPlans,
    worst: &[Moments],
    reasons: &mut Reasons,
    warnings: &mut Vec<Warning>,
) -> Settings {
    let parts = Parts {
        input,
        ground,
        sizing,
        calls,
        worst,
        p99: GammaQuantile::at(0.99),
    };
    let demand = input.demand;
    let horizon_hours = ground.demand.hours() as u32;
    let given = |text: String| Reason::new("given", text, []);
    reasons.set(
        "format_version",
        given("The shape of these settings.".into()),
    );
    reasons.set(
        "region",
        given(format!("The demand is that of {}.", demand.region)),
    );
    reasons.set(
        "timezone",
        given(format!("The time zone of {}.", demand.region)),
    );
    reasons.set(
        "starts",
        given("The first hour of the demand, when the region goes live.".into()),
    );
    reasons.set(
        "horizon_hours",
        Reason::new(
            "given",
            format!("The demand covers {horizon_hours} hours."),
            [("hours", f64::from(horizon_hours))],
        ),
    );
    let services = (0..ground.services.len())
        .filter(|s| !ground.stations[*s].stateful)
        .map(|s| {
            let settings = service::settings(&parts, s, reasons, warnings);
            (ground.name(s).clone(), settings)
        })
        .collect();
    let edges = edge::all(&parts, reasons, warnings);
    let stateful_services = stateful::services(&parts, reasons, warnings);
    let connections = stateful::connections(&parts, reasons, warnings);
    let entries = entry::all(&parts, reasons, warnings);
    let ramp = ramp(input, reasons, warnings);
    first_launch(ground, sizing, demand.region.as_str(), warnings);
    Settings {
        format_version: SETTINGS_FORMAT_VERSION,
        region: demand.region.clone(),
        timezone: demand.timezone.clone(),
        starts: demand.starts,
        horizon_hours,
        services,
        edges,
        stateful_services,
        connections,
        entries,
        ramp,
    }
}

fn ramp(
    input: &PolicyInput<'_>,
    reasons: &mut Reasons,
    warnings: &mut Vec<Warning>,
) -> Vec<RampStage> {
    let request = input.request;
    let wanted = &request.ramp_percent;
    let mut percents: Vec<u32> = if wanted.is_empty() {
        RAMP_PERCENT.to_vec()
    } else {
        wanted.iter().map(|p| (*p).clamp(1, 100)).collect()
    };
    percents.sort_unstable();
    percents.dedup();
    if percents.last() != Some(&100) {
        percents.push(100);
    }
    if !wanted.is_empty() && *wanted != percents {
        warnings.push(warning(
            Severity::Caution,
            "ramp_mended",
            "ramp_percent",
            format!(
                "ramp_percent {wanted:?} was made to rise from 1 to 100: {percents:?}; write it so"
            ),
        ));
    }
    let minutes = request.ramp_stage_minutes.unwrap_or(RAMP_STAGE_MINUTES);
    let stages = percents.len();
    reasons.set(
        "ramp",
        Reason::new(
            "ramp",
            format!(
                "Traffic is let in {} percent after percent, {minutes} minutes apart, so that a fault meets few requests.",
                percents
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            [
                ("stages", stages as f64),
                ("stage_minutes", f64::from(minutes)),
            ],
        )
        .by(Executor::Controller),
    );
    percents
        .into_iter()
        .zip(0u32..)
        .map(|(percent, i)| RampStage {
            stage: i + 1,
            percent,
            starts_minute: i.saturating_mul(minutes),
        })
        .collect()
}

/// With all instances new, no proxy has one to prefer: slow start does nothing.
fn first_launch(ground: &Ground<'_>, sizing: &Sizing, region: &str, warnings: &mut Vec<Warning>) {
    let lead = (0..ground.stations.len())
        .filter(|s| ground.reached[*s] && !ground.stations[*s].stateful)
        .map(|s| ground.stations[s].lead_s())
        .fold(0.0, f64::max);
    let standby: u32 = sizing.services.iter().map(|s| s.standby).sum();
    let minutes = (lead / 60.0).ceil().max(1.0);
    warnings.push(warning(
        Severity::Note,
        "first_launch_has_no_warm_up",
        region,
        format!(
            "when all instances are new, slow start does nothing: launch the first hour's instances and the {standby} on standby at least {minutes} minutes before go-live and send them requests of your own"
        ),
    ));
}

/// One warning for many edges: the first few by name.
pub(crate) fn about_edges(
    severity: Severity,
    code: &str,
    found: &[(EdgeName, String)],
    text: impl Fn(&str) -> String,
) -> Option<Warning> {
    let (first, _) = found.first()?;
    let mut shown: Vec<String> = found
        .iter()
        .take(5)
        .map(|(name, detail)| {
            if detail.is_empty() {
                name.to_string()
            } else {
                format!("{name} ({detail})")
            }
        })
        .collect();
    if found.len() > 5 {
        shown.push(format!("{} more", found.len() - 5));
    }
    Some(warning(severity, code, first, text(&shown.join(", "))))
}
