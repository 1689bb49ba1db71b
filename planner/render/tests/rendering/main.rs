//! Tests of what is rendered, in one binary so that it links once.
#![allow(clippy::unwrap_used)]

mod chaos;
mod common;
mod crds;
mod every_field;
mod lint;
mod properties;
mod real_programs;
mod sidecars;
mod snapshots;
