//! A check of objects against CRDs as an API server does it: unknown fields, defaults, the OpenAPI schema, the CEL rules.

use std::{collections::HashMap, fs, io::Read, path::Path};

use cel::{Context, Program};
use serde_json::{Map, Value, json};

/// The schemas by `group/version` and kind.
#[derive(Default)]
pub struct Crds {
    schemas: HashMap<(String, String), Value>,
}

impl Crds {
    /// Reads gzipped files of CRDs.
    pub fn read(files: &[&Path]) -> Self {
        let mut crds = Self::default();
        for file in files {
            let mut text = String::new();
            flate2::read::GzDecoder::new(fs::File::open(file).unwrap())
                .read_to_string(&mut text)
                .unwrap();
            for document in text.split("\n---") {
                let document = document.trim_start_matches('-');
                if document.contains("kind: CustomResourceDefinition") {
                    crds.add(&serde_saphyr::from_str(&on_one_line(document)).unwrap());
                }
            }
        }
        crds
    }

    fn add(&mut self, crd: &Value) {
        for version in crd["spec"]["versions"].as_array().unwrap() {
            let mut schema = version["schema"]["openAPIV3Schema"].clone();
            as_json_schema(&mut schema);
            let properties = schema
                .as_object_mut()
                .unwrap()
                .entry("properties")
                .or_insert(json!({}));
            properties["apiVersion"] = json!({ "type": "string" });
            properties["kind"] = json!({ "type": "string" });
            properties["metadata"] =
                json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
            let group = crd["spec"]["group"].as_str().unwrap();
            let key = (
                format!("{group}/{}", version["name"].as_str().unwrap()),
                crd["spec"]["names"]["kind"].as_str().unwrap().to_owned(),
            );
            self.schemas.insert(key, schema);
        }
    }

    /// What an API server would refuse; nothing where no CRD is known for the object.
    pub fn refusals(&self, object: &Value) -> Option<Vec<String>> {
        let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
        let schema = self.schemas.get(&(text("apiVersion"), text("kind")))?;
        let mut object = object.clone();
        let mut refusals = Vec::new();
        unknown_fields(schema, &object, "", &mut refusals);
        fill_defaults(schema, &mut object);
        let validator = jsonschema::validator_for(schema).unwrap();
        refusals.extend(
            validator
                .iter_errors(&object)
                .map(|error| format!("{}: {error}", error.instance_path())),
        );
        rules(schema, &object, "", &mut refusals);
        Some(refusals)
    }
}

/// Descriptions that go on below without being indented further, which is no YAML to strict readers, on one line.
fn on_one_line(text: &str) -> String {
    let mut out = String::new();
    let mut open = false;
    for line in text.lines() {
        let quotes = line.matches('\'').count() % 2 == 1;
        if open {
            out.push(' ');
            out.push_str(line.trim());
            open ^= quotes;
        } else {
            out.push('\n');
            out.push_str(line);
            open = quotes && line.contains("description: '");
        }
    }
    out
}

/// Kubernetes' dialect of OpenAPI as JSON Schema: bounds that are booleans, integers that may be strings, nulls.
fn as_json_schema(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            for (exclusive, bound) in [
                ("exclusiveMaximum", "maximum"),
                ("exclusiveMinimum", "minimum"),
            ] {
                if let Some(Value::Bool(is_exclusive)) = fields.get(exclusive).cloned() {
                    fields.remove(exclusive);
                    if is_exclusive && let Some(value) = fields.remove(bound) {
                        fields.insert(exclusive.into(), value);
                    }
                }
            }
            if fields.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
                fields.remove("type");
            }
            if fields.get("nullable") == Some(&Value::Bool(true))
                && let Some(kind) = fields.get("type").filter(|kind| kind.is_string()).cloned()
            {
                fields.insert("type".into(), json!([kind, "null"]));
            }
            fields.values_mut().for_each(as_json_schema);
        }
        Value::Array(values) => values.iter_mut().for_each(as_json_schema),
        _ => {}
    }
}

/// Visits each value with its schema.
fn children<'a>(
    schema: &'a Value,
    value: &'a Value,
) -> Vec<(String, Option<&'a Value>, &'a Value)> {
    match value {
        Value::Object(fields) => {
            if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
                fields
                    .iter()
                    .map(|(key, child)| (format!(".{key}"), properties.get(key), child))
                    .collect()
            } else {
                let additional = schema.get("additionalProperties").filter(|s| s.is_object());
                fields
                    .iter()
                    .filter(|_| additional.is_some())
                    .map(|(key, child)| (format!(".{key}"), additional, child))
                    .collect()
            }
        }
        Value::Array(values) => schema
            .get("items")
            .into_iter()
            .flat_map(|items| {
                values
                    .iter()
                    .enumerate()
                    .map(move |(index, child)| (format!("[{index}]"), Some(items), child))
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn unknown_fields(schema: &Value, value: &Value, path: &str, refusals: &mut Vec<String>) {
    if schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true)) {
        return;
    }
    for (step, schema, child) in children(schema, value) {
        let path = format!("{path}{step}");
        match schema {
            Some(schema) => unknown_fields(schema, child, &path, refusals),
            None => refusals.push(format!("unknown field {path}")),
        }
    }
}

fn fill_defaults(schema: &Value, value: &mut Value) {
    let none = Map::new();
    let properties = schema
        .get("properties")
        .and_then(Value::as_object)
        .unwrap_or(&none);
    match value {
        Value::Object(fields) => {
            for (key, property) in properties {
                if let Some(default) = property
                    .get("default")
                    .filter(|_| !fields.contains_key(key))
                {
                    fields.insert(key.clone(), default.clone());
                }
                if let Some(child) = fields.get_mut(key) {
                    fill_defaults(property, child);
                }
            }
        }
        Value::Array(values) => {
            if let Some(items) = schema.get("items") {
                values
                    .iter_mut()
                    .for_each(|child| fill_defaults(items, child));
            }
        }
        _ => {}
    }
}

fn rules(schema: &Value, value: &Value, path: &str, refusals: &mut Vec<String>) {
    for rule in schema["x-kubernetes-validations"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let text = rule["rule"].as_str().unwrap();
        if text.contains("oldSelf") {
            continue;
        }
        let program = Program::compile(text).unwrap();
        let mut context = Context::default();
        context.add_variable("self", value.clone()).unwrap();
        match program.execute(&context) {
            Ok(cel::Value::Bool(true)) => {}
            Ok(cel::Value::Bool(false)) => refusals.push(format!("{path}: {text}")),
            other => refusals.push(format!("{path}: {text}: {other:?}")),
        }
    }
    for (step, schema, child) in children(schema, value) {
        if let Some(schema) = schema {
            rules(schema, child, &format!("{path}{step}"), refusals);
        }
    }
}
