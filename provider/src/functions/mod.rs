//! The functions: settings as files, and a packed profile as an object.

mod decode_profile;
mod render;

use foremesh_model::Settings;
use tfplugin::{FunctionError, Value};

pub use decode_profile::DecodeProfile;
pub use render::Render;

/// Settings from the argument at a position: the packed string, or the object that it stands for.
fn settings(argument: &Value, position: usize) -> Result<Settings, FunctionError> {
    match argument.as_str() {
        Some(text) => {
            Settings::decode(text).map_err(|e| FunctionError::argument(position, e.to_string()))
        }
        None => crate::schema::without_nulls(argument.inner())
            .deserialize()
            .map_err(|e| {
                FunctionError::argument(
                    position,
                    format!("not a profile: {} at {}", e.detail, e.path),
                )
            }),
    }
}
