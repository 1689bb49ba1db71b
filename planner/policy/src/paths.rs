//! The path of every value in the settings: `services["shop/cart"].rate_limit.burst`. Reasons, adoption and explanations
//! speak of values by these paths.

use foremesh_model::Settings;
use serde_json::Value;

/// The path of every value, in the order of the settings' fields. A list is one value.
pub fn paths(settings: &Settings) -> Vec<String> {
    leaves(settings).into_iter().map(|(path, _)| path).collect()
}

/// Every value with its path.
pub(crate) fn leaves(settings: &Settings) -> Vec<(String, Value)> {
    let mut leaves = Vec::new();
    if let Ok(value) = serde_json::to_value(settings) {
        walk(String::new(), value, &mut leaves);
    }
    leaves
}

/// Whether the fields of this object are names of things and not of fields.
fn is_map(path: &str) -> bool {
    matches!(
        path,
        "services" | "edges" | "stateful_services" | "connections" | "entries"
    )
}

fn walk(path: String, value: Value, leaves: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(fields) => {
            let map = is_map(&path);
            for (name, value) in fields {
                let path = if map {
                    format!("{path}[\"{name}\"]")
                } else if path.is_empty() {
                    name
                } else {
                    format!("{path}.{name}")
                };
                walk(path, value, leaves);
            }
        }
        value => leaves.push((path, value)),
    }
}
