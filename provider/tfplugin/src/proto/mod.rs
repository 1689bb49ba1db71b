//! The messages of the wire, declared by hand so that building needs no `protoc`.
//!
//! Package `tfplugin6` (protocol 6.11) and go-plugin's package `plugin`. Names and numbers are the protocol's own; a
//! nested message `GetMetadata.Response` is called [`GetMetadataResponse`] here, which the wire does not see. Declared
//! is what this crate speaks: the messages of ephemeral resources, list resources, actions and state stores are left
//! out, because their RPCs answer `UNIMPLEMENTED` and a provider without them simply omits their schemas.
//!
//! The module is public so that a provider can be driven by a gRPC client in its own tests.
#![allow(
    missing_docs,
    reason = "the fields are documented by the protocol they are named after"
)]

mod common;
mod function;
pub mod plugin;
mod provider;
mod resource;
mod schema;

pub use common::*;
pub use function::*;
pub use provider::*;
pub use resource::*;
pub use schema::*;
