//! Zipkin v2 JSON.

use std::collections::BTreeMap;

use foremesh_model::Warning;
use serde::Deserialize;

use super::{
    json::{Flat, Loose, documents, or_default},
    pool::{RawSpan, SpanKind, Spans, Tags},
};
use crate::ObserveError;

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ZipkinSpan {
    trace_id: Loose,
    id: Loose,
    parent_id: Loose,
    kind: Loose,
    timestamp: Loose,
    duration: Loose,
    #[serde(deserialize_with = "or_default")]
    local_endpoint: Endpoint,
    #[serde(deserialize_with = "or_default")]
    remote_endpoint: Endpoint,
    #[serde(deserialize_with = "or_default")]
    tags: BTreeMap<String, Loose>,
    shared: Loose,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Endpoint {
    service_name: Loose,
}

pub(super) fn read(
    bytes: &[u8],
    file: &str,
    spans: &mut Spans,
) -> Result<Vec<Warning>, ObserveError> {
    let (found, warnings) = documents::<Flat<ZipkinSpan>>(bytes, file, "spans")?;
    spans.begin_file(file);
    for span in found.iter().flat_map(|Flat(list)| list) {
        push(span, spans);
    }
    Ok(warnings)
}

fn push(span: &ZipkinSpan, spans: &mut Spans) {
    let tags = Tags(|key: &str| span.tags.get(key).and_then(Loose::text));
    let (Some(trace), Some(id)) = (span.trace_id.text(), span.id.text()) else {
        return;
    };
    let mesh = tags.mesh_service();
    let micros = |value: &Loose| {
        value
            .integer()
            .filter(|v| *v > 0)
            .map(|v| v.saturating_mul(1000))
    };
    spans.push(&RawSpan {
        trace,
        id,
        parent: span.parent_id.text(),
        link: None,
        namespace: mesh.and_then(|(namespace, _)| namespace),
        service: mesh
            .map(|(_, name)| name)
            .or_else(|| span.local_endpoint.service_name.text()),
        kind: span.kind.text().map_or(SpanKind::Unknown, SpanKind::of),
        shared: span.shared.is_true(),
        start_ns: micros(&span.timestamp),
        duration_ns: micros(&span.duration),
        // Zipkin marks an error by the presence of the tag, whatever it says.
        error: span.tags.contains_key("error") || tags.error(),
        peer: span
            .remote_endpoint
            .service_name
            .text()
            .map(|name| (None, name))
            .or_else(|| tags.peer()),
        protocol: tags.protocol(),
        store: tags.store(),
        response_bytes: tags.response_bytes(),
    });
}
