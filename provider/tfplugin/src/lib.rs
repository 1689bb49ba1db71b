//! Terraform plugin protocol 6: serve a provider from Rust.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod cancel;
mod data_source;
mod diagnostic;
mod function;
mod plugin;
pub mod proto;
mod provider;
mod resource;
mod schema;
mod server;
mod value;

pub use tonic::async_trait;
pub use cancel::Cancel;
pub use data_source::{DataReadRequest, DataReadResponse, DataSource};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use function::{Call, Function, FunctionError, Parameter, Signature};
pub use plugin::{Options, serve};
pub use proto::DeferredReason;
pub use provider::{ConfigureRequest, Configured, Provider};
pub use resource::{
    ChangeResponse, CreateRequest, DeleteRequest, ImportRequest, ImportResponse, MoveRequest, PlanRequest,
    PlanResponse, ReadRequest, ReadResponse, Resource, UpdateRequest, UpgradeRequest,
};
pub use schema::{Attribute, AttributeKind, Block, Mode, Nested, NestedBlock, Nesting, Schema, SchemaError};
pub use value::{Dynamic, Number, ObjectType, Path, Step, Type, Value, ValueError};
