//! Simulates a service mesh under demand, so that a plan is tried before it is applied.
//!
//! [`simulate`] is a discrete-event simulation: calls along the graph, proxies with their limits, connections, retries and ejections,
//! instances with workers and queues that come and go. Random numbers are keyed by (seed, request, path of calls, attempt, purpose):
//! two meshes that differ in one limit meet the same requests with the same work, and what differs is the limit's doing.
//! Pure: no clock, no file; equal inputs give equal numbers whatever the number of threads.

pub mod analytic;
pub mod baselines;
mod controller;
mod cut;
mod engine;
mod error;
mod from_plan;
mod mesh;
mod outcome;
mod progress;
mod quantiles;
mod report;
mod stats;
mod trace;

pub use controller::{Controller, EntryView, Order, ServiceView, View};
pub use engine::{
    Course, Prepared, RunOptions, simulate, simulate_prepared, simulate_with, tables,
};
pub use error::SimulateError;
pub use from_plan::{EntryLoad, PlanAssumptions, from_plan};
pub use mesh::{
    Arrivals, Connections, EdgeModel, EntryModel, InstanceStep, LimitsModel, Localities, Locality,
    LocalityBalancing, Mesh, Noticed, ProxyModel, RampStep, RemoteInstances, RetryModel,
    ServiceModel, Stage, SuccessRateEjection,
};
pub use outcome::Outcome;
pub use progress::Progress;
pub use quantiles::{Quantiles, Times};
pub use report::{
    EdgeReport, EntryReport, Estimate, Report, ServiceReport, replicate, replicate_traced,
    replicate_with,
};
pub use stats::{EdgeRun, EntryRun, Latencies, Run, ServiceRun};
pub use trace::{Trace, TraceSample, TraceSide, TraceSpan};
