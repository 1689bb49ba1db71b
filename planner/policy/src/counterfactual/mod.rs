//! What one instance less of a service would break, beside why it has as many as it has.
//!
//! Asked once, of the plan that is given, by the formulas that made it: of a schedule alone in the hour in which most is asked of the service ([`hour`]); of
//! one with an autoscaler on minutes drawn from the forecast, because what the schedule does not hold the autoscaler brings later ([`minutes`]).

mod hour;
mod minutes;

use std::collections::BTreeMap;

use foremesh_model::Reason;

use crate::{PolicyError, PolicyInput, ground::Ground, reasons::Reasons, sizing::Sizing};

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
    let tracks = |s: &usize| sizing.services[*s].tracking.is_some();
    let (tracked, scheduled): (Vec<usize>, Vec<usize>) = planned.into_iter().partition(tracks);
    let mut said = hour::all(ground, sizing, &scheduled);
    said.extend(minutes::all(input, ground, sizing, &tracked)?);
    let mut reasons = Reasons::from(reasons);
    for Said {
        service,
        text,
        inputs,
    } in said
    {
        let path = format!("services[\"{}\"].instances", ground.name(service));
        let inputs = inputs.into_iter().map(|(name, value)| (name.into(), value));
        reasons.append(&path, &text, inputs);
    }
    Ok(reasons.into_map())
}

#[cfg(test)]
mod tests;
