//! The acceptance tests: the project's binaries against real programs. One binary holds them all, so that it is linked once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs
)]

mod ansible;
mod audit;
mod bad_input;
mod clashes;
mod envoy;
mod hindcast;
mod lifecycle;
mod measures;
mod policies;
mod programs;
mod prometheus;
mod quiet;
mod real_data;
mod shop;
mod simulate;
mod validation;
