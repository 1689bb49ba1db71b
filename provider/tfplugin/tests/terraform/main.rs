//! The example provider under the real Terraform.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod failures;
mod lifecycle;
mod quiet;
mod values;
mod workspace;
