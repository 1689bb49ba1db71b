//! The example provider, driven by a gRPC client that does what Terraform does.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod lifetime;
mod requests;
mod security;
