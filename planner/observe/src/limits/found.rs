//! Values as they are found: read by the unit of their field, kept once for each service and caller that they bind.

use std::collections::{BTreeMap, BTreeSet};

use foremesh_model::{ServiceName, Warning};

use super::nouns::{
    ExistingLimit, ExistingLimits, LimitField, LimitUnit, LimitValue, ScalingWindow,
};
use crate::{
    manifests::objects::{Object, Objects},
    observed::caution,
    yaml::{Node, Value},
};

/// More copies of values are not kept: a few lines for a namespace of services stay far below, a file made to burst does not.
const MOST_VALUES: usize = 200_000;

/// What was found so far.
#[derive(Default)]
pub(super) struct Found {
    pub limits: ExistingLimits,
    pub warnings: Vec<Warning>,
    full: bool,
}

/// Where values stand and whom they bind.
#[derive(Clone)]
pub(super) struct Binding {
    pub file: String,
    pub document: String,
    pub services: Vec<ServiceName>,
    /// One entry `None`: every caller.
    pub callers: Vec<Option<ServiceName>>,
    pub subset: Option<String>,
    pub part: Option<String>,
    pub schedule: Option<ScalingWindow>,
    /// The path of the node that values are read from, without a dot at its end.
    pub path: String,
}

impl Binding {
    /// Binds services of an object, from `spec`.
    pub fn of(objects: &Objects, object: &Object, services: Vec<ServiceName>) -> Self {
        Self::new(objects.file(object), object.label(), services, "spec")
    }

    pub fn new(file: &str, document: String, services: Vec<ServiceName>, path: &str) -> Self {
        Self {
            file: file.into(),
            document,
            services,
            callers: vec![None],
            subset: None,
            part: None,
            schedule: None,
            path: path.into(),
        }
    }

    /// The same binding for a node below.
    pub fn below(&self, path: &str) -> Self {
        let mut below = self.clone();
        if !below.path.is_empty() && !path.starts_with('[') {
            below.path.push('.');
        }
        below.path.push_str(path);
        below
    }

    /// The same binding for a part of what it binds.
    pub fn part(mut self, part: impl Into<String>) -> Self {
        let part = part.into();
        self.part = Some(match self.part.take() {
            Some(outer) => format!("{outer}, {part}"),
            None => part,
        });
        self
    }
}

impl Found {
    /// Reads a field where it is set. `path` leads from `node`, which stands at the binding's path.
    pub fn read(&mut self, binding: &Binding, field: LimitField, node: &Node, path: &[&str]) {
        let mut value = node;
        let mut written = binding.path.clone();
        for key in path {
            let Some((name, inner)) = entry(value, key) else {
                return;
            };
            if !written.is_empty() {
                written.push('.');
            }
            written.push_str(name);
            value = inner;
        }
        if value.value == Value::Null {
            return;
        }
        match read_as(field.unit(), value) {
            Ok(read) => self.keep(binding, field, read, value.line, written),
            Err(wanted) => self.warnings.push(caution(
                "limit_not_read",
                binding.document.clone(),
                format!(
                    "{}, line {}: {written} is not {wanted}; it is passed over: mend it",
                    binding.file, value.line
                ),
            )),
        }
    }

    /// Keeps a value for everyone whom it binds.
    pub fn keep(
        &mut self,
        binding: &Binding,
        field: LimitField,
        value: LimitValue,
        line: usize,
        path: String,
    ) {
        for service in &binding.services {
            self.show(service, &binding.document);
            for caller in &binding.callers {
                if self.limits.values.len() >= MOST_VALUES {
                    if !self.full {
                        self.full = true;
                        self.warnings.push(caution(
                            "limits_too_many",
                            binding.file.clone(),
                            "more than 200,000 values are set; those from here on are not read: give fewer files",
                        ));
                    }
                    return;
                }
                self.limits.values.push(ExistingLimit {
                    service: service.clone(),
                    caller: caller.clone(),
                    field,
                    value: value.clone(),
                    subset: binding.subset.clone(),
                    part: binding.part.clone(),
                    schedule: binding.schedule.clone(),
                    file: binding.file.clone(),
                    line,
                    document: binding.document.clone(),
                    path: path.clone(),
                });
            }
        }
    }

    /// Notes that a document shows a service.
    pub fn show(&mut self, service: &ServiceName, document: &str) {
        let known: &mut BTreeMap<ServiceName, BTreeSet<String>> = &mut self.limits.services;
        let documents = known.entry(service.clone()).or_default();
        if !documents.contains(document) {
            documents.insert(document.into());
        }
    }

    /// Warns that nobody is known whom a document's values could bind.
    pub fn unbound(&mut self, file: &str, line: usize, document: &str, why: impl AsRef<str>) {
        self.warnings.push(caution(
            "limit_without_service",
            document,
            format!("{file}, line {line}: {}", why.as_ref()),
        ));
    }
}

/// A field by its name in snake case, as Envoy writes it, or in camel case, as its JSON may and as Kubernetes does.
fn entry<'a>(node: &'a Node, key: &str) -> Option<(&'a str, &'a Node)> {
    let fields = node.fields();
    let named = |name: &str| {
        fields
            .iter()
            .find(|(k, _)| k == name)
            .map(|(k, inner)| (k.as_str(), inner))
    };
    named(key).or_else(|| key.contains('_').then(|| named(&camel(key)))?)
}

/// The node that a field of Envoy's stands at, in either spelling.
pub(super) fn either<'a>(node: &'a Node, path: &[&str]) -> Option<&'a Node> {
    path.iter()
        .try_fold(node, |node, key| Some(entry(node, key)?.1))
}

/// `max_requests` → `maxRequests`.
fn camel(key: &str) -> String {
    let mut words = key.split('_');
    let mut name = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut characters = word.chars();
        name.extend(characters.next().map(|c| c.to_ascii_uppercase()));
        name.push_str(characters.as_str());
    }
    name
}

/// The value in the field's unit, or what it should have been.
fn read_as(unit: LimitUnit, node: &Node) -> Result<LimitValue, &'static str> {
    let number = |wanted| {
        node.number()
            .filter(|n| n.is_finite() && *n >= 0.0)
            .map(LimitValue::Number)
            .ok_or(wanted)
    };
    match unit {
        LimitUnit::Count => number("a number of 0 or more"),
        LimitUnit::Percent => number("a percentage"),
        LimitUnit::Milliseconds => duration_ms(node)
            .map(LimitValue::Number)
            .ok_or("a duration such as 250ms, 1.5s or 1m30s"),
        LimitUnit::Text => node.scalar().map(LimitValue::Text).ok_or("a word"),
    }
}

/// A duration in milliseconds: `250ms`, `1m30s` (Go's form, which Istio takes), `0.25s` (protobuf's), or an object with
/// seconds and nanos.
fn duration_ms(node: &Node) -> Option<f64> {
    if !node.fields().is_empty() {
        let part = |key| node.get(key).map_or(Some(0.0), Node::number);
        let ms = part("seconds")? * 1e3 + part("nanos")? / 1e6;
        return Some(ms).filter(|ms| ms.is_finite() && *ms >= 0.0);
    }
    let text = node.scalar()?;
    let mut rest = text.trim();
    if rest == "0" {
        return Some(0.0);
    }
    let mut total = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !(c.is_ascii_digit() || c == '.'))
            .filter(|at| *at > 0)?;
        let (number, behind) = rest.split_at(digits);
        let number: f64 = number.parse().ok()?;
        let unit = behind
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(unit);
        total += number
            * match unit {
                "ns" => 1e-6,
                "us" | "µs" | "μs" => 1e-3,
                "ms" => 1.0,
                "s" => 1e3,
                "m" => 60e3,
                "h" => 3600e3,
                _ => return None,
            };
        rest = behind;
    }
    // What 0.1 s leaves behind the decimals is no one's intent.
    Some((total * 1e6).round() / 1e6).filter(|ms: &f64| ms.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_every_form() {
        let read = |text: &str| duration_ms(&crate::yaml::parse(text).unwrap());
        for (text, ms) in [
            ("250ms", 250.0),
            ("1.5s", 1500.0),
            ("1m30s", 90_000.0),
            ("1h", 3_600_000.0),
            ("0.1s", 100.0),
            ("500us", 0.5),
            ("0s", 0.0),
            ("0", 0.0),
            ("{seconds: 2, nanos: 500000000}", 2500.0),
        ] {
            assert_eq!(read(text), Some(ms), "{text}");
        }
        for text in [
            "",
            "5",
            "s",
            "1x",
            "1s2",
            "-1s",
            "{seconds: x}",
            "[1s]",
            "1..2s",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(
            camel("max_requests_per_connection"),
            "maxRequestsPerConnection"
        );
    }
}
