//! Traces become a graph: spans of any format are read into one shape, then pooled, so that a trace spread over several
//! files is still one trace.

mod calls;
mod dependencies;
mod jaeger;
mod json;
mod links;
mod otlp;
mod pool;
mod statistics;
mod zipkin;

pub(crate) use dependencies::DependencyPool;
pub(crate) use pool::{Spans, cluster_host};
pub(crate) use statistics::rounded;

use foremesh_model::Warning;

use crate::ObserveError;

/// Reads Zipkin v2 JSON: a list of spans, or a list of traces.
pub(crate) fn read_zipkin(
    bytes: &[u8],
    file: &str,
    spans: &mut Spans,
) -> Result<Vec<Warning>, ObserveError> {
    zipkin::read(bytes, file, spans)
}

/// Reads OTLP JSON: one or several documents with `resourceSpans`.
pub(crate) fn read_otlp(
    bytes: &[u8],
    file: &str,
    spans: &mut Spans,
) -> Result<Vec<Warning>, ObserveError> {
    otlp::read(bytes, file, spans)
}

/// Reads Jaeger JSON: traces as its API and its user interface export them.
pub(crate) fn read_jaeger(
    bytes: &[u8],
    file: &str,
    spans: &mut Spans,
) -> Result<Vec<Warning>, ObserveError> {
    jaeger::read(bytes, file, spans)
}

/// Reads the answer of `/api/dependencies` of Jaeger or Zipkin.
pub(crate) fn read_dependencies(
    bytes: &[u8],
    file: &str,
    pool: &mut DependencyPool,
) -> Result<Vec<Warning>, ObserveError> {
    dependencies::read(bytes, file, pool)
}
