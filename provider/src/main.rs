//! The Terraform provider `foremesh`: schemas and conversions around the pipeline, served over the plugin protocol.

use std::process::ExitCode;

fn main() -> ExitCode {
    terraform_provider_foremesh::serve()
}
