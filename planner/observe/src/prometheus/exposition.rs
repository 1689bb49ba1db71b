//! Metrics as a proxy or Prometheus' federation writes them to text
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>): Istio's counters since their start.

use std::collections::BTreeMap;

use super::istio::{Counted, MeshPool};

/// Reads Istio's series from a text; answers how many there were.
pub(crate) fn read(text: &str, file: &str, pool: &mut MeshPool) -> usize {
    let mut found = 0;
    for line in text.lines() {
        if !line.starts_with("istio_") {
            continue;
        }
        let Some((metric, rest)) = line.split_once('{') else {
            continue;
        };
        let Some((labels, rest)) = labels(rest) else {
            continue;
        };
        let Some(value) = rest
            .split_whitespace()
            .next()
            .and_then(|v| v.parse::<f64>().ok())
        else {
            continue;
        };
        let limit = || {
            labels
                .get("le")
                .and_then(|le| le.parse::<f64>().ok())
                .unwrap_or(f64::INFINITY)
        };
        let counted = match metric {
            "istio_requests_total" => Counted::Calls,
            "istio_request_duration_milliseconds_bucket" => Counted::LatencyBucket(limit()),
            // Istio before 1.5.
            "istio_request_duration_seconds_bucket" => Counted::LatencyBucket(limit() * 1000.0),
            "istio_response_bytes_sum" => Counted::ResponseBytes,
            "istio_response_bytes_count" => Counted::ResponseCount,
            _ => continue,
        };
        found += 1;
        pool.add(file, &labels, counted, value);
    }
    found
}

/// `a="b",c="d\"e"} rest`, from behind the opening brace.
fn labels(text: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(behind) = rest.strip_prefix('}') {
            return Some((labels, behind));
        }
        let (name, value) = rest.split_once("=\"")?;
        let mut text = String::new();
        let mut characters = value.char_indices();
        rest = loop {
            match characters.next()? {
                (at, '"') => break value.get(at + 1..)?,
                (_, '\\') => match characters.next()?.1 {
                    'n' => text.push('\n'),
                    other => text.push(other),
                },
                (_, other) => text.push(other),
            }
        };
        labels.insert(name.trim().to_owned(), text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_with_their_escapes() {
        let (found, rest) = labels(r#"a="b",c="d\"e,}",} 7 1234"#).unwrap();
        assert_eq!(found["c"], "d\"e,}");
        assert_eq!((found.len(), rest), (2, " 7 1234"));
        assert!(labels(r#"a="b"#).is_none());
    }
}
