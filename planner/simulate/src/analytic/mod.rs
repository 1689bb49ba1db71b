//! Queues and latencies in formulas: what the policy sizes with, and what the search asks before it simulates.
//!
//! - [`Wait`]: the wait for a worker of a service with several instances behind a load balancer.
//! - [`Moments`], [`GammaQuantile`], [`Calls`]: times, their percentiles, and how they add up along the call tree.
//! - [`count_quantile`]: how many requests are in flight or arrive, at a level of confidence.

mod calls;
mod counts;
mod moments;
mod quantile;
mod queue;
mod slowest;

pub use calls::{Call, Calls};
pub use counts::{consecutive_errors, count_quantile};
pub use moments::Moments;
pub use quantile::{GammaQuantile, normal_score};
pub use queue::{Wait, Workers, erlang_c, split_share};
