//! Lists of events: files or addresses whose JSON has an entry for each event, in the fields of a request's own events.
//!
//! A list says nothing of when it was written. An entry may say since when it was known (`known_since`): one that was announced after `as_of` is
//! left out, as if the list did not have it. An entry without it was known all along, as the ones of a request are.

use std::{
    collections::{BTreeMap, btree_map},
    path::Path,
};

use foremesh_model::{Event, EventSource, Timestamp};
use serde_json::Value;

use crate::{
    ObserveError, Observed, feed,
    http::{Access, Patience},
    observed::caution,
};

/// Reads the events that had been announced by `as_of`, in the order of the lists and of their entries. Of entries that agree in name, start,
/// services and regions the first counts, and a warning names a later one that says something else. Files are relative to `base`.
///
/// # Errors
/// [`ObserveError`] with list, entry and field of what cannot be used; never with a secret.
pub async fn read_events(
    sources: &[EventSource],
    as_of: Timestamp,
    base: &Path,
) -> Result<Observed<Vec<Event>>, ObserveError> {
    read_with(sources, as_of, base, Patience::default()).await
}

async fn read_with(
    sources: &[EventSource],
    as_of: Timestamp,
    base: &Path,
    patience: Patience,
) -> Result<Observed<Vec<Event>>, ObserveError> {
    let mut lists = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let access = Access {
            url: &source.source,
            bearer_token: source.bearer_token.as_deref(),
            username: source.username.as_deref(),
            password: source.password.as_deref(),
            ca_file: source.ca_file.as_deref(),
            timeout_s: source.timeout_s,
            example: "https://promotions.example/events.json",
        };
        let text = feed::fetch(&access, &format!("events[{index}]"), base, patience).await?;
        let events = parse_events(&text.bytes, &text.name)?;
        lists.push((text.name, events));
    }
    Ok(join(lists, as_of))
}

/// Reads a list of events from JSON; `source_name` is what diagnostics call it.
///
/// # Errors
/// As [`read_events`].
pub fn parse_events(bytes: &[u8], source_name: &str) -> Result<Vec<Event>, ObserveError> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let refuse = |cause: String| ObserveError::FeedFormat {
        source_name: source_name.into(),
        cause,
    };
    if feed::is_page(text) {
        return Err(refuse(
            "it is a web page (HTML) and not JSON: give the address of the list itself; a page is often what a server answers to who is not logged in".into(),
        ));
    }
    let entries = match serde_json::from_slice(text) {
        Ok(Value::Array(entries)) => entries,
        Ok(other) => {
            let found = match other {
                Value::Object(_) => "an object",
                Value::String(_) => "a text",
                _ => "a single value",
            };
            return Err(refuse(format!(
                "it holds {found} where a list of events is needed: [{{\"name\": \"sale\", \"starts\": \"2026-11-27T00:00:00Z\", \"ends\": \"2026-11-28T00:00:00Z\"}}]"
            )));
        }
        Err(error) => {
            return Err(ObserveError::Json {
                file: source_name.into(),
                line: error.line(),
                column: error.column(),
                cause: without_place(&error),
            });
        }
    };
    let entries = entries.into_iter().enumerate();
    entries
        .map(|(index, entry)| event(index, entry, source_name))
        .collect()
}

fn event(index: usize, entry: Value, source_name: &str) -> Result<Event, ObserveError> {
    let name = entry.get("name").and_then(Value::as_str);
    let name = name.map_or(String::new(), |name| format!(" ({name:?})"));
    let refuse = |field: &str, cause: String| ObserveError::EventEntry {
        source_name: source_name.into(),
        index,
        name: name.clone(),
        field: match field {
            "" | "." => String::new(),
            field => format!("{field} "),
        },
        cause,
    };
    let event: Event = serde_path_to_error::deserialize(entry).map_err(|e| {
        refuse(
            &e.path().to_string(),
            format!("cannot be used: {}", e.inner()),
        )
    })?;
    match event.fault() {
        Some((field, cause)) => Err(refuse(field, cause.into())),
        None => Ok(event),
    }
}

/// What the parser says, without the place that stands beside it.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).into()
}

fn join(lists: Vec<(String, Vec<Event>)>, as_of: Timestamp) -> Observed<Vec<Event>> {
    let mut joined = Observed::clean(Vec::new());
    let mut places = BTreeMap::new();
    for (list, events) in lists {
        for event in events.into_iter().filter(|event| event.is_known(as_of)) {
            let key = (
                event.name.clone(),
                event.starts,
                event.services.clone(),
                event.regions.clone(),
            );
            match places.entry(key) {
                btree_map::Entry::Vacant(place) => {
                    place.insert(joined.value.len());
                    joined.value.push(event);
                }
                btree_map::Entry::Occupied(place) => {
                    let first: Option<&Event> = joined.value.get(*place.get());
                    if first.is_some_and(|first| {
                        (first.ends, first.uplift) != (event.ends, event.uplift)
                    }) {
                        let text = format!(
                            "{list} lists {:?} of {} once more, with another end or uplift: the first one counts; keep one",
                            event.name, event.starts
                        );
                        joined
                            .warnings
                            .push(caution("event_twice", &event.name, text));
                    }
                }
            }
        }
    }
    joined
}

#[cfg(test)]
mod tests;
