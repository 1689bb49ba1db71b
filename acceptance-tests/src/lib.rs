//! What the end-to-end tests stand on: the project's own binaries, and the real programs that they meet in the field: Terraform or
//! OpenTofu, Envoy, Prometheus, Ansible.
//!
//! Each outside program is looked for on PATH and in `.cache/tools`, where `make tools` puts what it can. A test whose program cannot be
//! had prints `SKIPPED: …` and returns; with `CI=true` it fails. Nothing here sleeps: what must be waited for is a line in a log, the
//! end of a process or a change of a counter. Only [`validation`], which compares the simulator with a real Envoy, lets time pass: its requests
//! come at times of their own.
//!
//! This is a library of test helpers, so it may panic: a panic here is a failed test with its reason.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod ansible;
mod backend;
mod bootstrap;
mod crds;
mod envoy;
mod load;
mod process;
mod programs;
mod prometheus;
mod real_data;
mod terraform;
pub mod validation;
mod workspace;

pub use ansible::Ansible;
pub use backend::{Backend, ClosedPort, Work};
pub use bootstrap::{Bootstrap, Group, endpoints, endpoints_file};
pub use crds::Crds;
pub use envoy::{Envoy, EnvoyPlace};
pub use load::{Answers, Sent, burst, open_loop, poisson, steady};
pub use process::{Finished, Running, run};
pub use programs::{Program, find, skip};
pub use prometheus::{Prometheus, openmetrics};
pub use real_data::{HistoryFile, gunzip, nezha_as_zipkin};
pub use terraform::{Plan, Terraform};
pub use workspace::{Workspace, foremesh, provider, root, shared};

/// The path of a program, or a return from the test with `SKIPPED: …` (with `CI=true` a failure).
#[macro_export]
macro_rules! need {
    ($program:ident) => {
        match $crate::find($crate::Program::$program) {
            Some(path) => path,
            None => {
                $crate::skip($crate::Program::$program);
                return;
            }
        }
    };
}

/// A path below the shared folder of real data, or a return from the test with `SKIPPED: …`.
#[macro_export]
macro_rules! need_shared {
    ($path:expr) => {
        match $crate::shared($path) {
            Some(path) => path,
            None => {
                println!("SKIPPED: {} is not beside this checkout", $path);
                return;
            }
        }
    };
}
