//! What a file is, by its content: extensions lie, and traces and graphs are all JSON.

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Manifests,
    GraphFile,
    Zipkin,
    Otlp,
    Jaeger,
    Dependencies,
    Exposition,
    /// OTLP metrics or logs: telemetry, but no graph.
    OtherOtlp,
    /// The configuration of an Envoy: limits, but no graph.
    EnvoyBootstrap,
    Unknown,
}

/// Looks at the first keys of JSON, or at the shape of the text.
pub(crate) fn kind_of(bytes: &[u8]) -> Kind {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let start = bytes.trim_ascii_start();
    match start.first() {
        Some(b'{' | b'[') => json_kind(start),
        Some(_) => text_kind(start),
        None => Kind::Unknown,
    }
}

fn json_kind(bytes: &[u8]) -> Kind {
    let mut keys = Vec::new();
    let mut json = serde_json::Deserializer::from_slice(bytes);
    // The text may be cut short or damaged further on: the keys read so far say enough.
    let _ = json.deserialize_any(Keys {
        keys: &mut keys,
        depth: 0,
    });
    let has = |key: &str| keys.iter().any(|(_, k)| k == key);
    let outer = |key: &str| keys.iter().any(|(depth, k)| *depth == 1 && k == key);
    if outer("resourceSpans") || outer("resource_spans") {
        Kind::Otlp
    } else if [
        "resourceMetrics",
        "resourceLogs",
        "resource_metrics",
        "resource_logs",
    ]
    .iter()
    .any(|key| outer(key))
    {
        Kind::OtherOtlp
    } else if has("parent") && has("child") {
        Kind::Dependencies
    } else if has("traceID") || (outer("data") && has("spans")) {
        Kind::Jaeger
    } else if has("traceId") {
        Kind::Zipkin
    } else if outer("apiVersion") || outer("kind") {
        Kind::Manifests
    } else if outer("static_resources") || outer("staticResources") {
        Kind::EnvoyBootstrap
    } else if outer("services") {
        Kind::GraphFile
    } else {
        Kind::Unknown
    }
}

/// Collects the keys of the outermost objects, with their depth, and skips the rest. Only the first element of a list is looked at.
struct Keys<'a> {
    keys: &'a mut Vec<(usize, String)>,
    depth: usize,
}

const DEEPEST_KEY: usize = 5;

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any JSON value")
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let first = items.next_element_seed(Inner(Keys {
            keys: self.keys,
            depth: self.depth + 1,
        }))?;
        if first.is_some() {
            while items.next_element::<IgnoredAny>()?.is_some() {}
        }
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            self.keys.push((self.depth + 1, key));
            if self.depth < DEEPEST_KEY {
                map.next_value_seed(Inner(Keys {
                    keys: self.keys,
                    depth: self.depth + 1,
                }))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

struct Inner<'a>(Keys<'a>);

impl<'de> serde::de::DeserializeSeed<'de> for Inner<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self.0)
    }
}

fn text_kind(bytes: &[u8]) -> Kind {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(1 << 16)]);
    let exposition = text.lines().take(200).any(|line| {
        line.starts_with("# TYPE ") || line.starts_with("# HELP ") || line.starts_with("istio_")
    });
    if exposition {
        return Kind::Exposition;
    }
    if text
        .lines()
        .any(|line| line.starts_with("static_resources:"))
    {
        return Kind::EnvoyBootstrap;
    }
    let yaml = text.lines().any(|line| {
        line.starts_with("apiVersion:") || line.starts_with("kind:") || line.starts_with("{{")
    });
    if yaml { Kind::Manifests } else { Kind::Unknown }
}
