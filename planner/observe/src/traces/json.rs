//! JSON from foreign tracers: several documents in a row, scalars of loose types, and files that were cut short, of which
//! every complete span is used.

use foremesh_model::Warning;
use serde::de::{
    Deserialize, DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
    value::MapAccessDeserializer,
};

use crate::{ObserveError, observed::caution};

/// Deeper nesting than any trace has.
const DEEPEST: usize = 100;

/// Reads every document of a file. Where the text ends too early or breaks, the elements of lists named `list` (or of the
/// outermost list) that are complete before that place are used, and a warning says so.
///
/// # Errors
/// [`ObserveError::Json`] when nothing can be used.
pub(super) fn documents<T: DeserializeOwned>(
    bytes: &[u8],
    file: &str,
    list: &str,
) -> Result<(Vec<T>, Vec<Warning>), ObserveError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let (mut found, mut warnings) = (Vec::new(), Vec::new());
    let mut start = 0;
    loop {
        let rest = bytes.get(start..).unwrap_or_default();
        let mut stream = serde_json::Deserializer::from_slice(rest).into_iter::<T>();
        let error = match stream.next() {
            None => break,
            Some(Ok(document)) => {
                found.push(document);
                start += stream.byte_offset();
                continue;
            }
            Some(Err(error)) => error,
        };
        let place = offset(rest, &error);
        let wrong = |error: &serde_json::Error| {
            let text = error.to_string();
            let lines_before = bytes[..start].iter().filter(|b| **b == b'\n').count();
            ObserveError::Json {
                file: file.into(),
                line: lines_before + error.line(),
                column: error.column(),
                cause: text.split(" at line ").next().unwrap_or(&text).into(),
            }
        };
        if error.is_data() {
            // The document is JSON of another shape: say so, and go on behind it.
            let mut skip = serde_json::Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
            match skip.next() {
                Some(Ok(_)) => {
                    warnings.push(caution(
                        "trace_document_skipped",
                        file,
                        format!("{}; this document is not used", wrong(&error)),
                    ));
                    start += skip.byte_offset();
                    continue;
                }
                _ if found.is_empty() => return Err(wrong(&error)),
                _ => break,
            }
        }
        let complete = complete_part(&rest[..place], list)
            .and_then(|(text, used)| Some((serde_json::from_slice(&text).ok()?, used)));
        match complete {
            Some((document, used)) => {
                found.push(document);
                let what = if error.is_eof() {
                    "is cut short"
                } else {
                    "is damaged"
                };
                warnings.push(caution(
                    "trace_file_cut",
                    file,
                    format!(
                        "the file {what}: the spans that are complete before byte {} of {} are used, the rest is not; export it again",
                        start + used,
                        bytes.len()
                    ),
                ));
            }
            None if found.is_empty() => return Err(wrong(&error)),
            None => warnings.push(caution(
                "trace_file_cut",
                file,
                format!(
                    "{}; what stands before byte {start} of {} is used",
                    wrong(&error),
                    bytes.len()
                ),
            )),
        }
        break;
    }
    Ok((found, warnings))
}

/// The byte at which an error was found.
fn offset(bytes: &[u8], error: &serde_json::Error) -> usize {
    if error.is_eof() {
        return bytes.len();
    }
    let line_start: usize = bytes
        .split_inclusive(|byte| *byte == b'\n')
        .take(error.line().saturating_sub(1))
        .map(<[u8]>::len)
        .sum();
    (line_start + error.column().saturating_sub(1)).min(bytes.len())
}

/// The text up to the last complete object in a list called `list` (or in lists of lists at the outermost level), with every
/// bracket closed that is open there; and how many bytes of the original that is.
fn complete_part(bytes: &[u8], list: &str) -> Option<(Vec<u8>, usize)> {
    struct Open {
        closer: u8,
        counts: bool,
    }
    let mut open: Vec<Open> = Vec::new();
    let mut best: Option<(usize, Vec<u8>)> = None;
    let mut position = 0;
    let mut last_text: &[u8] = b"";
    let mut key: &[u8] = b"";
    while let Some(byte) = bytes.get(position) {
        match byte {
            b'"' => {
                let start = position + 1;
                position = start;
                while let Some(inner) = bytes.get(position) {
                    match inner {
                        b'\\' => position += 2,
                        b'"' => break,
                        _ => position += 1,
                    }
                }
                last_text = bytes.get(start..position).unwrap_or_default();
            }
            b':' => key = last_text,
            b'{' => open.push(Open {
                closer: b'}',
                counts: false,
            }),
            b'[' => {
                let outermost = open.iter().all(|o| o.closer == b']');
                open.push(Open {
                    closer: b']',
                    counts: outermost || key == list.as_bytes(),
                });
            }
            b'}' | b']' => {
                if open.pop().is_none_or(|o| o.closer != *byte) {
                    break;
                }
                if *byte == b'}' && open.last().is_some_and(|o| o.counts) {
                    best = Some((position + 1, open.iter().rev().map(|o| o.closer).collect()));
                }
            }
            _ => {}
        }
        if open.len() > DEEPEST {
            break;
        }
        position += 1;
    }
    let (end, closers) = best?;
    let mut text = bytes.get(..end)?.to_vec();
    text.extend(closers);
    Some((text, end))
}

/// A scalar of any type as text; lists, objects and null are none. Tracers disagree on whether numbers are quoted.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Loose(pub Option<String>);

impl Loose {
    pub fn text(&self) -> Option<&str> {
        self.0.as_deref().filter(|text| !text.is_empty())
    }

    pub fn number(&self) -> Option<f64> {
        self.text()?.parse().ok().filter(|v: &f64| v.is_finite())
    }

    pub fn integer(&self) -> Option<i64> {
        let text = self.text()?;
        text.parse().ok().or_else(|| {
            let number: f64 = text.parse().ok()?;
            (number.is_finite() && number.abs() < 9e18).then_some(number as i64)
        })
    }

    pub fn is_true(&self) -> bool {
        self.text()
            .is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }
}

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Loose;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("any value")
            }
            fn visit_unit<E>(self) -> Result<Loose, E> {
                Ok(Loose(None))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Loose, E> {
                Ok(Loose(Some(value.to_string())))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Loose, E> {
                Ok(Loose(Some(value.to_string())))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Loose, E> {
                Ok(Loose(Some(value.to_string())))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Loose, E> {
                Ok(Loose(Some(value.to_string())))
            }
            fn visit_str<E>(self, text: &str) -> Result<Loose, E> {
                Ok(Loose(Some(text.into())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Loose, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Loose(None))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Loose, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Loose(None))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// One element, or lists of elements to any depth, flattened: exporters wrap traces in lists or do not. Unlike an untagged
/// enum it keeps nothing twice in memory.
#[derive(Debug)]
pub(super) struct Flat<T>(pub Vec<T>);

impl<T> Default for Flat<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Flat<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Any<T> {
            type Value = Flat<T>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object or a list of objects")
            }
            fn visit_unit<E>(self) -> Result<Flat<T>, E> {
                Ok(Flat::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Flat<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|one| Flat(vec![one]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Flat<T>, A::Error> {
                let mut all = Vec::new();
                while let Some(Flat(inner)) = items.next_element::<Flat<T>>()? {
                    all.extend(inner);
                }
                Ok(Flat(all))
            }
        }
        deserializer.deserialize_any(Any(std::marker::PhantomData))
    }
}

/// A field that may be null where its type has a default.
pub(super) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_complete_before_a_cut_is_used() {
        let whole = r#"{"spans":[{"a":"]}\"","tags":[{"k":1}]},{"a":2,"tags":[{"k":2},{"k""#;
        let (text, used) = complete_part(whole.as_bytes(), "spans").unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            r#"{"spans":[{"a":"]}\"","tags":[{"k":1}]}]}"#
        );
        assert_eq!(used, 39);
        assert!(complete_part(br#"{"spans":[{"a":1"#, "spans").is_none());
        let (text, _) = complete_part(br#"[[{"a":1},{"b":2}],[{"c":3},{"d"#, "spans").unwrap();
        assert_eq!(text, br#"[[{"a":1},{"b":2}],[{"c":3}]]"#);
    }

    #[test]
    fn documents_in_a_row_are_read_and_odd_ones_are_said() {
        #[derive(serde::Deserialize)]
        struct Doc {
            spans: Vec<u32>,
        }
        let (found, warnings) = documents::<Doc>(
            b"{\"spans\":[1]}\n{\"spans\":\"no\"} {\"spans\":[2,3]}",
            "f",
            "spans",
        )
        .unwrap();
        assert_eq!(found.iter().map(|d| d.spans.len()).sum::<usize>(), 3);
        assert_eq!(warnings.len(), 1);
    }
}
