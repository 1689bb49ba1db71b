//! The Terraform provider `foremesh`.
//!
//! Everything here is a conversion: schemas are made from the nouns' declarations ([`schema`]), configurations become
//! requests of the pipeline, and its answers become states. What is planned is decided in the stages below.

mod context;
mod data_sources;
mod diagnostics;
mod functions;
mod provider;
mod resources;
pub mod schema;

use std::process::ExitCode;

pub use provider::Foremesh;

/// The provider's address in registries.
pub const ADDRESS: &str = "registry.terraform.io/foremesh/foremesh";

/// Serves the provider until Terraform ends it.
pub fn serve() -> ExitCode {
    tfplugin::serve(Foremesh, options())
}

fn options() -> tfplugin::Options {
    tfplugin::Options {
        name: "foremesh".into(),
        version: foremesh_pipeline::VERSION.into(),
        address: ADDRESS.into(),
    }
}
