//! Managed resources: planned, applied, read back, imported and upgraded.

mod change;
mod plan;
mod state;

pub use change::{ChangeResponse, CreateRequest, DeleteRequest, UpdateRequest};
pub use plan::{PlanRequest, PlanResponse};
pub use state::{
    ImportRequest, ImportResponse, MoveRequest, ReadRequest, ReadResponse, UpgradeRequest,
};
use tonic::async_trait;

use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    schema::Schema,
    value::Value,
};

/// A managed resource. `C` is the context of the provider.
///
/// An `Err` of a change means that nothing was changed: the state stays what it was. A change that got half way answers
/// `Ok` with the state it reached and an error among its diagnostics.
#[async_trait]
pub trait Resource<C: Send + Sync + 'static>: Send + Sync + 'static {
    /// Its full name, `shop_cart`.
    fn type_name(&self) -> &str;

    /// Its schema.
    fn schema(&self) -> Schema;

    /// Checks a configuration, parts of which may be unknown.
    async fn validate(&self, config: &Value) -> Diagnostics {
        let _ = config;
        Diagnostics::new()
    }

    /// Plans a creation or an update; see [`PlanResponse`] for what core accepts.
    ///
    /// # Errors
    /// No plan can be made.
    async fn plan(&self, request: PlanRequest<C>) -> Result<PlanResponse, Diagnostics> {
        Ok(PlanResponse::propose(&request))
    }

    /// Says what there is to say about a planned deletion; an error forbids it.
    async fn plan_delete(&self, request: DeleteRequest<C>) -> Diagnostics {
        let _ = request;
        Diagnostics::new()
    }

    /// Creates what was planned. The new state has the planned values wherever they were known.
    ///
    /// # Errors
    /// Nothing was created.
    async fn create(&self, request: CreateRequest<C>) -> Result<ChangeResponse, Diagnostics>;

    /// Changes what exists into what was planned.
    ///
    /// # Errors
    /// Nothing was changed.
    async fn update(&self, request: UpdateRequest<C>) -> Result<ChangeResponse, Diagnostics>;

    /// Deletes.
    ///
    /// # Errors
    /// It still exists.
    async fn delete(&self, request: DeleteRequest<C>) -> Result<(), Diagnostics>;

    /// Looks at what exists; the default trusts the stored state.
    ///
    /// # Errors
    /// It cannot be seen whether it exists.
    async fn read(&self, request: ReadRequest<C>) -> Result<ReadResponse, Diagnostics> {
        Ok(ReadResponse::new(request.state))
    }

    /// Finds what `terraform import` names; core reads it again right after.
    ///
    /// # Errors
    /// There is no such thing, or this resource cannot be imported.
    async fn import(&self, request: ImportRequest<C>) -> Result<ImportResponse, Diagnostics> {
        let _ = request;
        Err(Diagnostic::error(
            "Import is not supported",
            format!("{} cannot be imported.", self.type_name()),
        )
        .into())
    }

    /// Turns a stored state of an earlier schema version into one of the present schema. The default keeps what still
    /// fits by name and type.
    ///
    /// # Errors
    /// It cannot be upgraded.
    async fn upgrade(&self, request: UpgradeRequest) -> Result<Value, Diagnostics> {
        Ok(request.decode(&request.schema.object_type())?)
    }

    /// Takes over the state of a resource of another type, for a `moved` block.
    ///
    /// # Errors
    /// That type cannot be taken over.
    async fn take_over(&self, request: MoveRequest) -> Result<ChangeResponse, Diagnostics> {
        Err(Diagnostic::error(
            "Move is not supported",
            format!(
                "A {} cannot become a {}.",
                request.source_type_name,
                self.type_name()
            ),
        )
        .into())
    }
}
