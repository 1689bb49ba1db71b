//! The data sources: what a region will be asked for, and the settings that answer it.

mod mesh_profile;
mod predictive_region;

use std::collections::BTreeMap;

use foremesh_model::ServiceName;
use foremesh_pipeline::PipelineError;
use tfplugin::{DataReadRequest, DataReadResponse, DeferredReason, Diagnostic, Diagnostics, Value};

pub use mesh_profile::MeshProfile;
pub use predictive_region::PredictiveRegion;

use crate::context::Context;

/// Puts a read off while the provider block is known only after apply.
fn deferred(request: &DataReadRequest<Context>) -> Option<Result<DataReadResponse, Diagnostics>> {
    request.context.request.is_none().then(|| {
        request.defer(
            DeferredReason::ProviderConfigUnknown,
            "A part of the provider block",
        )
    })
}

/// One line of text for each name: an object would take as many lines of the state as it has fields.
fn lines<T>(values: &BTreeMap<ServiceName, T>, line: impl Fn(&T) -> String) -> Value {
    let named = values.iter();
    Value::Map(
        named
            .map(|(name, value)| (name.to_string(), Value::from(line(value))))
            .collect(),
    )
}

/// Runs a computation that takes long beside the server, so that other requests are answered meanwhile.
async fn compute<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PipelineError> + Send + 'static,
) -> Result<T, Diagnostics> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|error| crate::diagnostics::error(&error)),
        Err(stopped) => {
            let text = match stopped.try_into_panic() {
                Ok(panic) => panic
                    .downcast_ref::<String>()
                    .cloned()
                    .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                    .unwrap_or_default(),
                Err(_) => "the computation was stopped".into(),
            };
            let detail = format!(
                "{text}. This is a defect of Foremesh: please report it with the configuration."
            );
            Err(Diagnostic::error("The computation failed", detail).into())
        }
    }
}
