//! OTLP JSON: what the OpenTelemetry collector's file exporter writes, one document or many in a row.

use foremesh_model::Warning;
use serde::Deserialize;

use super::{
    json::{Loose, documents, or_default},
    pool::{RawSpan, SpanKind, Spans, Tags},
};
use crate::ObserveError;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Document {
    #[serde(alias = "resourceSpans", deserialize_with = "or_default")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ResourceSpans {
    #[serde(deserialize_with = "or_default")]
    resource: Resource,
    #[serde(
        alias = "scopeSpans",
        alias = "instrumentationLibrarySpans",
        deserialize_with = "or_default"
    )]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Resource {
    #[serde(deserialize_with = "or_default")]
    attributes: Vec<Attribute>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ScopeSpans {
    #[serde(deserialize_with = "or_default")]
    spans: Vec<OtlpSpan>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct OtlpSpan {
    #[serde(alias = "traceId")]
    trace_id: Loose,
    #[serde(alias = "spanId")]
    span_id: Loose,
    #[serde(alias = "parentSpanId")]
    parent_span_id: Loose,
    kind: Loose,
    #[serde(alias = "startTimeUnixNano")]
    start_time_unix_nano: Loose,
    #[serde(alias = "endTimeUnixNano")]
    end_time_unix_nano: Loose,
    #[serde(deserialize_with = "or_default")]
    attributes: Vec<Attribute>,
    #[serde(deserialize_with = "or_default")]
    status: Status,
    #[serde(deserialize_with = "or_default")]
    links: Vec<Link>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    code: Loose,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Link {
    #[serde(alias = "traceId")]
    trace_id: Loose,
    #[serde(alias = "spanId")]
    span_id: Loose,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Attribute {
    key: Loose,
    #[serde(deserialize_with = "or_default")]
    value: AnyValue,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct AnyValue {
    #[serde(alias = "stringValue")]
    string_value: Loose,
    #[serde(alias = "intValue")]
    int_value: Loose,
    #[serde(alias = "doubleValue")]
    double_value: Loose,
    #[serde(alias = "boolValue")]
    bool_value: Loose,
}

fn attribute<'a>(attributes: &'a [Attribute], key: &str) -> Option<&'a str> {
    let value = &attributes.iter().find(|a| a.key.text() == Some(key))?.value;
    value
        .string_value
        .text()
        .or_else(|| value.int_value.text())
        .or_else(|| value.double_value.text())
        .or_else(|| value.bool_value.text())
}

pub(super) fn read(
    bytes: &[u8],
    file: &str,
    spans: &mut Spans,
) -> Result<Vec<Warning>, ObserveError> {
    let (found, warnings) = documents::<Document>(bytes, file, "spans")?;
    spans.begin_file(file);
    for group in found.iter().flat_map(|document| &document.resource_spans) {
        let resource = |key: &str| attribute(&group.resource.attributes, key);
        for span in group.scope_spans.iter().flat_map(|scope| &scope.spans) {
            push(span, &resource, spans);
        }
    }
    Ok(warnings)
}

fn push<'a>(span: &'a OtlpSpan, resource: &dyn Fn(&str) -> Option<&'a str>, spans: &mut Spans) {
    let tags = Tags(|key: &str| attribute(&span.attributes, key));
    let (Some(trace), Some(id)) = (span.trace_id.text(), span.span_id.text()) else {
        return;
    };
    let start_ns = span.start_time_unix_nano.integer().filter(|v| *v > 0);
    let end_ns = span.end_time_unix_nano.integer().filter(|v| *v > 0);
    let mesh = tags.mesh_service();
    spans.push(&RawSpan {
        trace,
        id,
        parent: span.parent_span_id.text(),
        link: span
            .links
            .first()
            .and_then(|link| Some((link.trace_id.text()?, link.span_id.text()?))),
        namespace: match mesh {
            Some((namespace, _)) => namespace,
            None => resource("k8s.namespace.name"),
        },
        service: mesh
            .map(|(_, name)| name)
            .or_else(|| resource("service.name")),
        kind: span.kind.text().map_or(SpanKind::Unknown, SpanKind::of),
        shared: false,
        start_ns,
        duration_ns: start_ns
            .zip(end_ns)
            .map(|(start, end)| end.saturating_sub(start)),
        error: span
            .status
            .code
            .text()
            .is_some_and(|code| matches!(code, "2" | "STATUS_CODE_ERROR"))
            || tags.error(),
        peer: tags.peer(),
        protocol: tags.protocol(),
        store: tags.store(),
        response_bytes: tags.response_bytes(),
    });
}
