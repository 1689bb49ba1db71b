//! Data sources.

use std::sync::Arc;

use tonic::async_trait;

use crate::{
    Cancel, DeferredReason,
    diagnostic::{Diagnostic, Diagnostics},
    schema::Schema,
    value::Value,
};

/// A data source: reads something and changes nothing. `C` is the context of the provider.
#[async_trait]
pub trait DataSource<C: Send + Sync + 'static>: Send + Sync + 'static {
    /// Its full name, `shop_region`.
    fn type_name(&self) -> &str;

    /// Its schema.
    fn schema(&self) -> Schema;

    /// Checks a configuration, parts of which may be unknown: this is called before any value of a resource is known.
    async fn validate(&self, config: &Value) -> Diagnostics {
        let _ = config;
        Diagnostics::new()
    }

    /// Reads. Core calls this only with a wholly known configuration and puts the read off until apply otherwise.
    ///
    /// # Errors
    /// The data cannot be read.
    async fn read(&self, request: DataReadRequest<C>) -> Result<DataReadResponse, Diagnostics>;
}

/// A call of [`DataSource::read`].
#[derive(Debug)]
pub struct DataReadRequest<C> {
    /// The configuration, wholly known.
    pub config: Value,
    /// What [`crate::Provider::configure`] made.
    pub context: Arc<C>,
    /// May the read be deferred?
    pub deferral_allowed: bool,
    /// The schema of this data source.
    pub schema: Arc<Schema>,
    /// Tells when the answer is no longer wanted.
    pub cancel: Cancel,
}

impl<C> DataReadRequest<C> {
    /// Puts the read off because something it needs is not known yet, such as the provider's own configuration.
    ///
    /// Where Terraform allows a deferral (1.11 does only under an experimental flag), computed attributes become unknown.
    /// Where it does not, a read cannot answer with unknown values, so this is an error that says how to make the read
    /// wait for apply.
    ///
    /// # Errors
    /// Deferral is not allowed.
    pub fn defer(
        &self,
        reason: DeferredReason,
        what: &str,
    ) -> Result<DataReadResponse, Diagnostics> {
        if !self.deferral_allowed {
            return Err(Diagnostic::error(
                "Not known before apply",
                format!(
                    "{what} is known only after apply, and this data source needs it. Make the data source wait: add \
                     depends_on = [<the resource that it comes from>] to the data block, or apply that resource first \
                     with -target."
                ),
            )
            .into());
        }
        let mut state = self.config.clone();
        for attribute in &self.schema.block.attributes {
            if attribute.is_computed() && state.get(&attribute.name).is_null() {
                state.set(&attribute.name, Value::Unknown);
            }
        }
        Ok(DataReadResponse {
            state,
            deferred: Some(reason),
            diagnostics: Diagnostics::new(),
        })
    }
}

/// The answer of [`DataSource::read`].
#[derive(Debug, Clone)]
pub struct DataReadResponse {
    /// The configuration and, in addition, the computed attributes; wholly known.
    pub state: Value,
    /// Set when the read was put off; see [`DataReadRequest::defer`].
    pub deferred: Option<DeferredReason>,
    /// Warnings.
    pub diagnostics: Diagnostics,
}

impl DataReadResponse {
    /// A state. The natural way to make it is from the configuration: `request.config.with("total", 3)`.
    #[must_use]
    pub fn new(state: Value) -> Self {
        Self {
            state,
            deferred: None,
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
