//! What others do, as controllers and settings that run in the same simulation: a plan has to beat them.
//!
//! Each law is written from its publication, with the publication's constants; where a law was made for a server's threads or a
//! client library and is applied here at an instance's proxy, its module says so.

mod autothrottle;
mod breakwater;
mod concurrency;
mod dagor;
mod hpa;
mod schedule;
mod topfull;

pub use autothrottle::Captain;
pub use breakwater::{Breakwater, BreakwaterService};
pub use concurrency::{Gradient2, Vegas};
pub use dagor::Dagor;
pub use hpa::{Hpa, HpaService};
pub use schedule::{istio_defaults, static_headroom};
pub use topfull::TopFull;
