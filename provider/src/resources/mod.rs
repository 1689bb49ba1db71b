//! The resources: what was adopted, and its files on disk.

mod adopted_profile;
mod bundle;

use foremesh_model::Settings;
use tfplugin::{Diagnostic, Value};

pub use adopted_profile::AdoptedProfile;
pub use bundle::Bundle;

use crate::schema;

/// Settings from their typed form.
fn settings_of(value: &Value, attribute: &str) -> Result<Settings, Diagnostic> {
    schema::without_nulls(value)
        .deserialize::<Settings>()
        .map_err(|error| {
            let detail = format!(
                "{}: {}. Pass foremesh_adopted_profile.NAME.adopted unchanged.",
                error.path, error.detail
            );
            Diagnostic::error("Not an adopted profile", detail).at(attribute)
        })
}
