//! Jaeger JSON: `data` with traces, or with the one trace that its user interface exports.

use std::collections::BTreeMap;

use foremesh_model::Warning;
use serde::Deserialize;

use super::{
    json::{Flat, Loose, documents, or_default},
    pool::{RawSpan, SpanKind, Spans, Tags},
};
use crate::ObserveError;

/// An answer with `data`, or a trace that stands alone.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Document {
    data: Flat<Trace>,
    #[serde(rename = "traceID")]
    trace_id: Loose,
    #[serde(deserialize_with = "or_default")]
    spans: Vec<JaegerSpan>,
    #[serde(deserialize_with = "or_default")]
    processes: BTreeMap<String, Process>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Trace {
    #[serde(rename = "traceID")]
    trace_id: Loose,
    #[serde(deserialize_with = "or_default")]
    spans: Vec<JaegerSpan>,
    #[serde(deserialize_with = "or_default")]
    processes: BTreeMap<String, Process>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct JaegerSpan {
    #[serde(rename = "traceID")]
    trace_id: Loose,
    #[serde(rename = "spanID")]
    span_id: Loose,
    #[serde(rename = "parentSpanID")]
    parent_span_id: Loose,
    #[serde(deserialize_with = "or_default")]
    references: Vec<Reference>,
    start_time: Loose,
    duration: Loose,
    #[serde(deserialize_with = "or_default")]
    tags: Vec<Tag>,
    #[serde(rename = "processID")]
    process_id: Loose,
    #[serde(deserialize_with = "or_default")]
    process: Process,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Reference {
    #[serde(rename = "refType")]
    kind: Loose,
    #[serde(rename = "traceID")]
    trace_id: Loose,
    #[serde(rename = "spanID")]
    span_id: Loose,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Tag {
    key: Loose,
    value: Loose,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Process {
    service_name: Loose,
    #[serde(deserialize_with = "or_default")]
    tags: Vec<Tag>,
}

fn tag<'a>(tags: &'a [Tag], key: &str) -> Option<&'a str> {
    tags.iter()
        .find(|t| t.key.text() == Some(key))?
        .value
        .text()
}

pub(super) fn read(
    bytes: &[u8],
    file: &str,
    spans: &mut Spans,
) -> Result<Vec<Warning>, ObserveError> {
    let (found, warnings) = documents::<Flat<Document>>(bytes, file, "spans")?;
    spans.begin_file(file);
    for document in found.into_iter().flat_map(|Flat(list)| list) {
        let alone = Trace {
            trace_id: document.trace_id,
            spans: document.spans,
            processes: document.processes,
        };
        for trace in document.data.0.iter().chain([&alone]) {
            for span in &trace.spans {
                push(trace, span, spans);
            }
        }
    }
    Ok(warnings)
}

fn push(trace: &Trace, span: &JaegerSpan, spans: &mut Spans) {
    let tags = Tags(|key: &str| tag(&span.tags, key));
    let (Some(trace_id), Some(id)) = (
        span.trace_id.text().or_else(|| trace.trace_id.text()),
        span.span_id.text(),
    ) else {
        return;
    };
    let process = span
        .process_id
        .text()
        .and_then(|id| trace.processes.get(id))
        .unwrap_or(&span.process);
    let parent = span
        .references
        .iter()
        .find(|r| r.kind.text() == Some("CHILD_OF"));
    let follows = span
        .references
        .iter()
        .find(|r| r.kind.text() == Some("FOLLOWS_FROM"));
    let same_trace = |r: &&Reference| r.trace_id.text().is_none_or(|t| t == trace_id);
    let micros = |value: &Loose| value.integer().map(|v| v.saturating_mul(1000));
    let mesh = tags.mesh_service();
    spans.push(&RawSpan {
        trace: trace_id,
        id,
        parent: parent
            .filter(same_trace)
            .or(follows.filter(same_trace))
            .and_then(|r| r.span_id.text())
            .or_else(|| span.parent_span_id.text()),
        link: follows.and_then(|r| Some((r.trace_id.text()?, r.span_id.text()?))),
        namespace: match mesh {
            Some((namespace, _)) => namespace,
            None => tag(&process.tags, "k8s.namespace.name"),
        },
        service: mesh
            .map(|(_, name)| name)
            .or_else(|| process.service_name.text()),
        kind: tag(&span.tags, "span.kind").map_or(SpanKind::Unknown, SpanKind::of),
        shared: false,
        start_ns: micros(&span.start_time).filter(|v| *v > 0),
        duration_ns: micros(&span.duration),
        error: tags.error(),
        peer: tags.peer(),
        protocol: tags.protocol(),
        store: tags.store(),
        response_bytes: tags.response_bytes(),
    });
}
