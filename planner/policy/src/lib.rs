//! Computes the settings of a service mesh from its graph, the demand on it and its objectives.
//!
//! Pure: no clock, no file, no network; equal inputs give equal bytes whatever the number of threads. [`plan`] is the analytic
//! floor; [`guards`] are the invariants that every set of settings must keep, whoever made it; [`gnn`] is a region as a net sees it,
//! and [`drill`] one that goes through faults while its settings are refined.

mod adopt;
mod autoscaler;
mod calls;
mod candidates;
mod counterfactual;
mod cuts;
mod draw;
pub mod drill;
mod error;
pub mod gnn;
mod ground;
pub mod guards;
mod kpis;
mod limits;
mod paths;
mod plan;
mod proof;
mod reasons;
mod refusals;
mod require;
mod sampling;
mod schedule;
mod search;
mod settings;
mod size;
mod sizing;
mod window;

pub use adopt::{Adoption, adopt};
pub use calls::MOST_AMPLIFICATION;
pub use candidates::Method;
pub use error::PolicyError;
pub use paths::paths;
pub use plan::{Networks, PolicyInput, PolicyOutput, plan, plan_with};
pub use require::{HourCalls, HourRequirement, Requirements, required_by_hour};
