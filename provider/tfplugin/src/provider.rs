//! The provider as a whole.

use tonic::async_trait;

use crate::{
    Cancel, DataSource, Function, Resource, diagnostic::Diagnostics, schema::Schema, value::Value,
};

/// A provider: its configuration, and the data sources, resources and functions that it offers.
///
/// The methods that list things are called once, on the first request that needs them. Terraform starts a provider
/// several times for one plan, so whatever is heavy belongs into the first use of the context and not into
/// [`Provider::configure`].
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// What configuring yields and data sources and resources work with: clients, settings, caches.
    type Context: Send + Sync + 'static;

    /// The schema of the provider block.
    fn schema(&self) -> Schema;

    /// The data sources.
    fn data_sources(&self) -> Vec<Box<dyn DataSource<Self::Context>>> {
        Vec::new()
    }

    /// The managed resources.
    fn resources(&self) -> Vec<Box<dyn Resource<Self::Context>>> {
        Vec::new()
    }

    /// The functions.
    fn functions(&self) -> Vec<Box<dyn Function>> {
        Vec::new()
    }

    /// Checks a configuration, parts of which may be unknown.
    async fn validate(&self, config: &Value) -> Diagnostics {
        let _ = config;
        Diagnostics::new()
    }

    /// Turns the configuration into the context that all later reads, plans and changes are given.
    ///
    /// # Errors
    /// The configuration cannot be used.
    async fn configure(
        &self,
        request: ConfigureRequest,
    ) -> Result<Configured<Self::Context>, Diagnostics>;
}

/// A call of [`Provider::configure`].
#[derive(Debug, Clone)]
pub struct ConfigureRequest {
    /// The configuration. During a plan parts of it may be unknown, where it refers to resources that do not exist yet:
    /// keep that in the context and let the reads that need it answer with [`crate::DataReadRequest::defer`].
    pub config: Value,
    /// The version of Terraform that asks.
    pub terraform_version: String,
    /// May reads and plans be deferred?
    pub deferral_allowed: bool,
    /// Tells when the answer is no longer wanted.
    pub cancel: Cancel,
}

/// The answer of [`Provider::configure`].
#[derive(Debug)]
pub struct Configured<C> {
    /// What data sources and resources work with from now on.
    pub context: C,
    /// Warnings.
    pub diagnostics: Diagnostics,
}

impl<C> Configured<C> {
    /// A context, and nothing to warn about.
    pub fn new(context: C) -> Self {
        Self {
            context,
            diagnostics: Diagnostics::new(),
        }
    }

    /// Adds warnings.
    #[must_use]
    pub fn with_diagnostics(mut self, diagnostics: impl Into<Diagnostics>) -> Self {
        self.diagnostics.append(diagnostics);
        self
    }
}
