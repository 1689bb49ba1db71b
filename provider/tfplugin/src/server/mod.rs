//! The service `tfplugin6.Provider` over the traits of this crate.
//!
//! A handler runs on a thread of its own, so that it may compute or block for as long as it likes while the server stays
//! able to hear StopProvider; its panic ends that thread alone and becomes a diagnostic.

mod catalogue;
mod data_source;
mod function;
mod provider;
mod resource;
mod resource_state;
mod router;
mod run;

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

pub(crate) use router::ProviderService;
pub(crate) use run::panic_message;
use tonic::Status;

use crate::{
    DeferredReason, Provider,
    cancel::CancelSource,
    diagnostic::{Diagnostic, Diagnostics},
    proto,
    value::{Type, Value},
};
use catalogue::Catalogue;

/// The provider and what has been learned since it started.
pub(crate) struct Server<P: Provider> {
    provider: P,
    catalogue: OnceLock<Result<Catalogue<P::Context>, String>>,
    context: RwLock<Option<Arc<P::Context>>>,
    stop: CancelSource,
}

impl<P: Provider> Server<P> {
    pub(crate) fn new(provider: P, stop: CancelSource) -> Self {
        Self {
            provider,
            catalogue: OnceLock::new(),
            context: RwLock::new(None),
            stop,
        }
    }

    /// Schemas and handlers, listed on first use. A fault in a schema fails every call, with the reason.
    fn catalogue(&self) -> Result<&Catalogue<P::Context>, Status> {
        self.catalogue
            .get_or_init(|| {
                run::catch_panic(|| Catalogue::of(&self.provider)).and_then(|catalogue| catalogue)
            })
            .as_ref()
            .map_err(|message| Status::internal(message.clone()))
    }

    /// Lists schemas and handlers while Terraform still shakes hands, instead of when it first asks.
    pub(crate) fn prepare(&self) {
        let _ = self.catalogue();
    }

    fn context(&self) -> Result<Arc<P::Context>, Diagnostics> {
        let context = self
            .context
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        context.ok_or_else(|| {
            let detail = "Terraform asked for data before it configured the provider, or configuring failed.";
            Diagnostic::error("The provider is not configured", detail).into()
        })
    }
}

/// Terraform asks for a type that is in no schema it was given.
fn no_such(kind: &str, name: &str) -> Status {
    Status::invalid_argument(format!("this provider has no {kind} {name:?}"))
}

/// What the messages call a value: MessagePack, or JSON from clients that prefer it; neither is null.
fn decode(value: Option<&proto::DynamicValue>, ty: &Type) -> Result<Value, Status> {
    let decoded = match value {
        None => Ok(Value::Null),
        Some(value) if !value.msgpack.is_empty() => Value::from_msgpack(&value.msgpack, ty),
        Some(value) if !value.json.is_empty() => Value::from_state_json(&value.json, ty),
        Some(_) => Ok(Value::Null),
    };
    decoded.map_err(|error| {
        Status::invalid_argument(format!(
            "a value of the request does not fit its schema: {error}"
        ))
    })
}

/// The message for a value of the provider's; one that does not fit its schema becomes a diagnostic.
fn encode(value: &Value, ty: &Type, diagnostics: &mut Diagnostics) -> Option<proto::DynamicValue> {
    match value.to_msgpack(ty) {
        Ok(msgpack) => Some(proto::DynamicValue {
            msgpack,
            json: Vec::new(),
        }),
        Err(error) => {
            diagnostics.append(error);
            None
        }
    }
}

fn deferral_allowed(capabilities: Option<&proto::ClientCapabilities>) -> bool {
    capabilities.is_some_and(|capabilities| capabilities.deferral_allowed)
}

fn deferred(reason: Option<DeferredReason>) -> Option<proto::Deferred> {
    reason.map(|reason| proto::Deferred {
        reason: reason.into(),
    })
}
