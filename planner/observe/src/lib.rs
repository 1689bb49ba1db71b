//! The only stage that reads the outside world: history, service graph, catalogue, and the limits that are set today.
//!
//! Every reader answers an [`Observed`] value with warnings, or an [`ObserveError`] that says what is wrong, where, and how to
//! mend it. Partial data is used and said. Nothing at or after `as_of` reaches a value, an inferred step or a warning.
//! The functions named `parse_…` take text or bytes and touch no file: they are what the fuzz targets drive.

mod catalogue;
mod error;
mod events;
mod feed;
mod files;
pub mod graph;
pub mod history;
mod holidays;
mod http;
mod limits;
mod manifests;
mod measures;
mod observed;
mod prometheus;
mod stores;
mod traces;
mod yaml;

pub use catalogue::{parse_catalogue, read_catalogue, with_catalogue};
pub use error::ObserveError;
pub use events::{parse_events, read_events};
pub use graph::read_graph;
pub use history::{read_business_metrics, read_history};
pub use holidays::{parse_holidays, read_holidays};
pub use limits::{
    ExistingLimit, ExistingLimits, LimitField, LimitUnit, LimitValue, ScalingWindow, parse_limits,
    read_limits,
};
pub use manifests::read_manifests;
pub use measures::{MEASURES, with_history};
pub use observed::Observed;
pub use prometheus::{parse_prometheus_answer, query_prometheus, query_prometheus_graph};
pub use stores::store_system;
