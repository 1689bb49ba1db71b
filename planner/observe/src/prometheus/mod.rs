//! History and graph from a Prometheus-compatible HTTP API (Prometheus, Thanos, Mimir, VictoriaMetrics, Cortex).

mod answer;
mod client;
mod exposition;
mod istio;
mod range;

pub use istio::query_prometheus_graph;
pub use range::{parse_prometheus_answer, query_prometheus};

pub(crate) use exposition::read as read_exposition;
pub(crate) use istio::MeshPool;

#[cfg(test)]
mod tests;
