//! Reading, importing, upgrading and moving states.

use std::sync::Arc;

use crate::{
    Cancel, DeferredReason,
    diagnostic::{Diagnostic, Diagnostics},
    schema::Schema,
    value::{Type, Value, ValueError},
};

/// A call of [`crate::Resource::read`].
#[derive(Debug)]
pub struct ReadRequest<C> {
    /// What [`crate::Provider::configure`] made.
    pub context: Arc<C>,
    /// The stored state.
    pub state: Value,
    /// The provider's own bytes.
    pub private: Vec<u8>,
    /// May the read be deferred?
    pub deferral_allowed: bool,
    /// Tells when the answer is no longer wanted.
    pub cancel: Cancel,
}

/// The answer of [`crate::Resource::read`].
#[derive(Debug, Clone)]
pub struct ReadResponse {
    /// What exists, or `None` if it is gone: Terraform then plans to create it.
    pub state: Option<Value>,
    /// The provider's own bytes; `None` keeps those of the request.
    pub private: Option<Vec<u8>>,
    /// Set when the read was put off.
    pub deferred: Option<DeferredReason>,
    /// Warnings.
    pub diagnostics: Diagnostics,
}

impl ReadResponse {
    /// It exists, in this state.
    #[must_use]
    pub fn new(state: Value) -> Self {
        Self {
            state: Some(state),
            ..Self::gone()
        }
    }

    /// It exists no more.
    #[must_use]
    pub fn gone() -> Self {
        Self {
            state: None,
            private: None,
            deferred: None,
            diagnostics: Diagnostics::new(),
        }
    }

    /// Keeps the provider's own bytes with the state.
    #[must_use]
    pub fn with_private(mut self, private: Vec<u8>) -> Self {
        self.private = Some(private);
        self
    }

    /// Adds warnings.
    #[must_use]
    pub fn with_diagnostics(mut self, diagnostics: impl Into<Diagnostics>) -> Self {
        self.diagnostics.append(diagnostics);
        self
    }
}

/// A call of [`crate::Resource::import`].
#[derive(Debug)]
pub struct ImportRequest<C> {
    /// What [`crate::Provider::configure`] made.
    pub context: Arc<C>,
    /// What the user gave as ID.
    pub id: String,
    /// The schema; [`Schema::empty_value`] is a start for the state.
    pub schema: Arc<Schema>,
    /// Tells when the answer is no longer wanted.
    pub cancel: Cancel,
}

/// The answer of [`crate::Resource::import`].
#[derive(Debug, Clone)]
pub struct ImportResponse {
    /// At least what [`crate::Resource::read`] needs to fill in the rest.
    pub state: Value,
    /// The provider's own bytes.
    pub private: Vec<u8>,
    /// Warnings.
    pub diagnostics: Diagnostics,
}

impl ImportResponse {
    /// A state. The natural way to make it: `request.schema.empty_value().with("id", request.id)`.
    #[must_use]
    pub fn new(state: Value) -> Self {
        Self {
            state,
            private: Vec::new(),
            diagnostics: Diagnostics::new(),
        }
    }

    /// Keeps the provider's own bytes with the state.
    #[must_use]
    pub fn with_private(mut self, private: Vec<u8>) -> Self {
        self.private = private;
        self
    }

    /// Adds warnings.
    #[must_use]
    pub fn with_diagnostics(mut self, diagnostics: impl Into<Diagnostics>) -> Self {
        self.diagnostics.append(diagnostics);
        self
    }
}

/// A call of [`crate::Resource::upgrade`].
#[derive(Debug, Clone)]
pub struct UpgradeRequest {
    /// The version of the schema under which the state was stored.
    pub version: i64,
    /// The stored state, as JSON text.
    pub state_json: Vec<u8>,
    /// The present schema.
    pub schema: Arc<Schema>,
}

impl UpgradeRequest {
    /// The stored state read as type `ty`, numbers exact; attributes that `ty` does not have are dropped, missing ones
    /// are null.
    ///
    /// # Errors
    /// A part does not fit the type.
    pub fn decode(&self, ty: &Type) -> Result<Value, ValueError> {
        Value::from_state_json(&self.state_json, ty)
    }

    /// The stored state as plain JSON, for an upgrade that renames and rebuilds; [`Value::from_json`] leads back.
    ///
    /// # Errors
    /// The stored state is no JSON.
    pub fn json(&self) -> Result<serde_json::Value, Diagnostic> {
        serde_json::from_slice(&self.state_json)
            .map_err(|error| Diagnostic::error("The stored state is no JSON", error.to_string()))
    }
}

/// A call of [`crate::Resource::take_over`].
#[derive(Debug, Clone)]
pub struct MoveRequest {
    /// The address of the provider that stored the state: `registry.terraform.io/hashicorp/null`.
    pub source_provider_address: String,
    /// The type that it had.
    pub source_type_name: String,
    /// The version of that type's schema.
    pub source_schema_version: i64,
    /// The stored state, as JSON text.
    pub source_state_json: Vec<u8>,
    /// The bytes that the other provider kept.
    pub source_private: Vec<u8>,
    /// The schema of the type it becomes.
    pub schema: Arc<Schema>,
}
