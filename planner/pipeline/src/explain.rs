//! Why the values of one service are what they are.

use foremesh_model::{Reason, RegionPlan, ServiceName};
use serde::Serialize;

use crate::PipelineError;

/// Why the values of one service are what they are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The service.
    pub service: ServiceName,
    /// Its values and those of the edges that touch it, in order of path.
    pub values: Vec<ExplainedValue>,
}

/// A value and its reason.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExplainedValue {
    /// The path in the settings.
    pub path: String,
    /// The value.
    pub value: serde_json::Value,
    /// Why it is what it is.
    pub reason: Reason,
}

/// Explains a service of a plan; the name may lack its namespace where that is clear.
///
/// # Errors
/// [`PipelineError::UnknownService`] when the plan holds none of that name, or several.
pub fn explain(plan: &RegionPlan, name: &str) -> Result<Explanation, PipelineError> {
    let settings = &plan.settings;
    let services = || {
        settings
            .services
            .keys()
            .chain(settings.stateful_services.keys())
    };
    let mut alike = services().filter(|s| s.as_str() == name || s.short() == name);
    let service = match (alike.next(), alike.next()) {
        (Some(only), None) => only.clone(),
        _ => {
            return Err(PipelineError::UnknownService {
                name: name.into(),
                known: services().map(ToString::to_string).collect(),
            });
        }
    };
    let settings = serde_json::to_value(settings).unwrap_or_default();
    let about = |path: &str| {
        let subject = path.split('"').nth(1).unwrap_or_default();
        subject == service.as_str() || subject.split("->").any(|end| end == service.as_str())
    };
    let values = plan
        .reasons
        .iter()
        .filter(|(path, _)| about(path))
        .map(|(path, reason)| ExplainedValue {
            path: path.clone(),
            value: value_at(&settings, path).cloned().unwrap_or_default(),
            reason: reason.clone(),
        })
        .collect();
    Ok(Explanation { service, values })
}

/// The value at a path such as `services["shop/cart"].rate_limit.burst`.
fn value_at<'a>(settings: &'a serde_json::Value, path: &str) -> Option<&'a serde_json::Value> {
    let mut value = settings;
    for part in parts(path) {
        value = value.get(part)?;
    }
    Some(value)
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    // Names in quotes may hold dots, so every second piece between quotes is one part.
    path.split('"').enumerate().flat_map(|(i, piece)| {
        let quoted = i % 2 == 1;
        piece
            .split(move |c: char| !quoted && matches!(c, '.' | '[' | ']'))
            .filter(|part| !part.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_values_even_with_dots_in_names() {
        let settings = serde_json::json!({"services": {"shop/a.b": {"rate_limit": {"burst": 3}}}});
        assert_eq!(
            value_at(&settings, "services[\"shop/a.b\"].rate_limit.burst"),
            Some(&3.into())
        );
        assert_eq!(
            value_at(&settings, "services[\"shop/a\"].rate_limit.burst"),
            None
        );
    }
}
