//! Creating, updating and deleting.

use std::sync::Arc;

use crate::{Cancel, diagnostic::Diagnostics, value::Value};

/// A call of [`crate::Resource::create`].
#[derive(Debug)]
pub struct CreateRequest<C> {
    /// What [`crate::Provider::configure`] made.
    pub context: Arc<C>,
    /// The configuration, wholly known.
    pub config: Value,
    /// The planned state; computed attributes that were not known are unknown.
    pub planned: Value,
    /// The provider's own bytes, from the plan.
    pub private: Vec<u8>,
    /// Tells when the user wants to stop; the request is waited for all the same.
    pub cancel: Cancel,
}

/// A call of [`crate::Resource::update`].
#[derive(Debug)]
pub struct UpdateRequest<C> {
    /// What [`crate::Provider::configure`] made.
    pub context: Arc<C>,
    /// The state before.
    pub prior: Value,
    /// The configuration, wholly known.
    pub config: Value,
    /// The planned state; computed attributes that were not known are unknown.
    pub planned: Value,
    /// The provider's own bytes, from the plan.
    pub private: Vec<u8>,
    /// Tells when the user wants to stop; the request is waited for all the same.
    pub cancel: Cancel,
}

/// A call of [`crate::Resource::delete`] or [`crate::Resource::plan_delete`].
#[derive(Debug)]
pub struct DeleteRequest<C> {
    /// What [`crate::Provider::configure`] made.
    pub context: Arc<C>,
    /// The state before.
    pub prior: Value,
    /// The provider's own bytes.
    pub private: Vec<u8>,
    /// Tells when the user wants to stop; the request is waited for all the same.
    pub cancel: Cancel,
}

/// The state that a change reached.
#[derive(Debug, Clone)]
pub struct ChangeResponse {
    /// The new state, wholly known.
    pub state: Value,
    /// The provider's own bytes, kept with the state and never shown; `None` keeps those of the request.
    pub private: Option<Vec<u8>>,
    /// Warnings, or errors where the change got only half way.
    pub diagnostics: Diagnostics,
}

impl ChangeResponse {
    /// A state. The natural way to make it is from the plan: `request.planned.with("id", "7")`.
    #[must_use]
    pub fn new(state: Value) -> Self {
        Self {
            state,
            private: None,
            diagnostics: Diagnostics::new(),
        }
    }

    /// Keeps the provider's own bytes with the state.
    #[must_use]
    pub fn with_private(mut self, private: Vec<u8>) -> Self {
        self.private = Some(private);
        self
    }

    /// Adds warnings, or errors where the change got only half way.
    #[must_use]
    pub fn with_diagnostics(mut self, diagnostics: impl Into<Diagnostics>) -> Self {
        self.diagnostics.append(diagnostics);
        self
    }
}
