//! Queues and latencies in formulas: what the policy sizes with, and what the search asks before it simulates.
//!
//! - [`SteadyState`]: a whole mesh in its steady state, the analytic cousin of [`crate::simulate`].
//! - [`Wait`]: the wait for a worker of a service with several instances behind a load balancer.
//! - [`Balancer`]: how near each load balancer comes to one common queue, calibrated in the simulation.
//! - [`Moments`], [`GammaQuantile`], [`Calls`]: times, their percentiles, and how they add up along the call tree.
//! - [`erlang_b`], [`refused`], [`overflow`], [`throttled`]: what limits turn away.
//! - [`count_quantile`]: how many requests are in flight or arrive, at a level of confidence.

mod balancers;
mod calls;
mod counts;
mod loss;
mod moments;
mod quantile;
mod queue;
mod recompose;
mod slowest;
mod steady;

pub use balancers::Balancer;
pub use calls::{Call, Calls, Plain, Scratch, View};
pub use counts::{consecutive_errors, count_quantile};
pub use loss::{erlang_b, overflow, refused, throttled};
pub use moments::Moments;
pub use quantile::{GammaQuantile, normal_score, normal_tail};
pub use queue::{CallerProxies, Wait, Workers, erlang_c};
pub use recompose::Callers;
pub use steady::{Answer, EdgeAnswer, EntryAnswer, Load, ServiceAnswer, SteadyState};
