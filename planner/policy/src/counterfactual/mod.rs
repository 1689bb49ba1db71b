//! What one instance less of a service would break, beside why it has as many as it has.
//!
//! Asked once, of the plan that is given, by formulas: of a schedule alone in the hour in which most is asked of the service ([`hour`]); of
//! one with an autoscaler on minutes drawn from the forecast, because what the schedule does not hold the autoscaler brings later ([`minutes`]).

mod hour;
mod minutes;

use std::collections::BTreeMap;

use foremesh_model::Reason;

use crate::{
    PolicyError, PolicyInput, ground::Ground, proof::TURNED, reasons::Reasons, sizing::Sizing,
};

/// Services beyond which nothing is said: a look composes latencies anew along all ways to a service.
const MOST_SERVICES: usize = 2_000;

/// What one instance less of a service would break, for a reason.
struct Said {
    service: usize,
    text: String,
    inputs: Vec<(&'static str, f64)>,
}

/// Says of each service that is planned what one instance less would break.
///
/// # Errors
/// [`PolicyError::Graph`] where calls feed on themselves.
pub(crate) fn say(
    input: &PolicyInput<'_>,
    ground: &Ground<'_>,
    sizing: &Sizing,
    reasons: BTreeMap<String, Reason>,
) -> Result<BTreeMap<String, Reason>, PolicyError> {
    let planned: Vec<usize> = (0..ground.services.len())
        .filter(|s| ground.reached[*s] && !ground.stations[*s].stateful)
        .collect();
    if planned.len() > MOST_SERVICES {
        return Ok(reasons);
    }
    let tracks = |s: &usize| sizing.services[*s].tracking.is_some();
    let (tracked, scheduled): (Vec<usize>, Vec<usize>) = planned.into_iter().partition(tracks);
    let mut said = hour::all(ground, sizing, &scheduled);
    said.extend(minutes::all(input, ground, sizing, &tracked)?);
    let turned = |service: usize| {
        let fields = ["rate_limit.requests_per_second", "load_balancing"];
        let paths = fields.map(|field| path(ground, service, field));
        let mut reasons = paths.iter().filter_map(|path| reasons.get(path));
        reasons.any(|reason| reason.text.contains(TURNED))
    };
    for said in &mut said {
        if turned(said.service) {
            said.text += ", with limits and balancing as they were before faults turned them";
        }
    }
    let mut reasons = Reasons::from(reasons);
    for said in said {
        let path = path(ground, said.service, "instances");
        let inputs = said.inputs.into_iter();
        let inputs = inputs.map(|(name, value)| (name.into(), value));
        reasons.append(&path, &said.text, inputs);
    }
    Ok(reasons.into_map())
}

fn path(ground: &Ground<'_>, service: usize, field: &str) -> String {
    format!("services[\"{}\"].{field}", ground.name(service))
}

/// The fewest instances that are allowed are there.
fn fewest_allowed(fewest: u32) -> String {
    match fewest {
        1 => "one is the fewest that is allowed".into(),
        _ => format!("{fewest} are the fewest that are allowed"),
    }
}

#[cfg(test)]
mod tests;
