//! What a noun looks like to other languages: read off the one Rust declaration through its JSON schema.
//!
//! Terraform types, the variables of modules and the pages of documentation are all made from a [`Shape`], so they cannot
//! drift from the Rust types. Nouns use a small part of JSON Schema; whatever lies outside it is an error
//! in the declaration, found by a test and not by a user.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value};
use thiserror::Error;

/// What a value looks like.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// True or false.
    Bool,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// Text.
    String,
    /// One of these words, each with what it means.
    Enum(Vec<(String, String)>),
    /// Values in order.
    List(Box<Shape>),
    /// Values by name.
    Map(Box<Shape>),
    /// Named fields, in order of name.
    Object(Vec<Field>),
}

/// A field of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// What it is, from the doc comment.
    pub description: String,
    /// What its value looks like.
    pub shape: Shape,
    /// Whether it must be given.
    pub required: bool,
    /// Its value where it is not given, where serde knows one.
    pub default: Option<Value>,
}

/// A declaration that uses more of JSON Schema than the nouns may.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{path}: the schema {schema} is not one that a Terraform type can be made of")]
pub struct ShapeError {
    /// Where in the type.
    pub path: String,
    /// The schema there.
    pub schema: String,
}

impl Shape {
    /// The shape of a type.
    ///
    /// # Errors
    /// [`ShapeError`] when the declaration uses more of JSON Schema than nouns may.
    pub fn of<T: JsonSchema>() -> Result<Self, ShapeError> {
        let schema = SchemaSettings::draft2020_12()
            .with(|settings| settings.inline_subschemas = true)
            .into_generator()
            .into_root_schema_for::<T>();
        read(&T::schema_name(), schema.as_value())
    }

    /// The fields of an object; empty for anything else.
    pub fn fields(&self) -> &[Field] {
        match self {
            Self::Object(fields) => fields,
            _ => &[],
        }
    }

    /// A field of an object.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields().iter().find(|field| field.name == name)
    }
}

fn read(path: &str, schema: &Value) -> Result<Shape, ShapeError> {
    let refuse = || ShapeError {
        path: path.into(),
        schema: schema.to_string(),
    };
    let object = schema.as_object().ok_or_else(refuse)?;
    for key in ["anyOf", "oneOf"] {
        if let Some(options) = object.get(key).and_then(Value::as_array) {
            return read_options(path, options).ok_or_else(refuse)?;
        }
    }
    if let Some(words) = object.get("enum").and_then(Value::as_array) {
        let words = words
            .iter()
            .filter_map(Value::as_str)
            .map(|word| (word.to_owned(), String::new()));
        return Ok(Shape::Enum(words.collect()));
    }
    match type_of(object).ok_or_else(refuse)? {
        "boolean" => Ok(Shape::Bool),
        "integer" => Ok(Shape::Integer),
        "number" => Ok(Shape::Number),
        "string" => Ok(Shape::String),
        "array" => {
            let items = object.get("items").ok_or_else(refuse)?;
            Ok(Shape::List(Box::new(read(&format!("{path}[]"), items)?)))
        }
        "object" => match object.get("additionalProperties") {
            Some(values) if values.is_object() => {
                Ok(Shape::Map(Box::new(read(&format!("{path}{{}}"), values)?)))
            }
            _ => read_fields(path, object),
        },
        _ => Err(refuse()),
    }
}

/// The type of a schema; `["string", "null"]` is a string that may be left out.
fn type_of(object: &Map<String, Value>) -> Option<&str> {
    match object.get("type")? {
        Value::String(kind) => Some(kind),
        Value::Array(kinds) => kinds
            .iter()
            .filter_map(Value::as_str)
            .find(|kind| *kind != "null"),
        _ => None,
    }
}

/// An optional type, or an enum whose words carry documentation.
fn read_options(path: &str, options: &[Value]) -> Option<Result<Shape, ShapeError>> {
    let some: Vec<&Value> = options
        .iter()
        .filter(|option| option.get("type").and_then(Value::as_str) != Some("null"))
        .collect();
    if let [only] = some.as_slice()
        && only.get("const").is_none()
    {
        return Some(read(path, only));
    }
    let mut words = Vec::new();
    for option in some {
        let description = option
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if let Some(word) = option.get("const").and_then(Value::as_str) {
            words.push((word.to_owned(), plain(description)));
        } else {
            let listed = option.get("enum").and_then(Value::as_array)?;
            words.extend(
                listed
                    .iter()
                    .filter_map(Value::as_str)
                    .map(|word| (word.to_owned(), String::new())),
            );
        }
    }
    Some(Ok(Shape::Enum(words)))
}

fn read_fields(path: &str, object: &Map<String, Value>) -> Result<Shape, ShapeError> {
    let required: Vec<&str> = object
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let properties = object.get("properties").and_then(Value::as_object);
    let mut fields = Vec::new();
    for (name, schema) in properties.into_iter().flatten() {
        fields.push(Field {
            name: name.clone(),
            description: plain(
                schema
                    .get("description")
                    .and_then(Value::as_str)
                    .unwrap_or_default(),
            ),
            shape: read(&format!("{path}.{name}"), schema)?,
            required: required.contains(&name.as_str()),
            default: schema
                .get("default")
                .filter(|value| !value.is_null())
                .cloned(),
        });
    }
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Shape::Object(fields))
}

/// A doc comment as one line of plain text: links to other types lose their brackets.
fn plain(description: &str) -> String {
    description
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace("[`", "`")
        .replace("`]", "`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kpis, ProfileRequest, RegionRequest, Settings, SourceRequest, Warning};

    #[test]
    fn every_noun_that_users_meet_has_a_shape_and_every_field_a_description() {
        fn check(path: &str, shape: &Shape) {
            match shape {
                Shape::Object(fields) => {
                    for field in fields {
                        assert!(
                            !field.description.is_empty(),
                            "{path}.{} has no description",
                            field.name
                        );
                        check(&format!("{path}.{}", field.name), &field.shape);
                    }
                }
                Shape::List(inner) | Shape::Map(inner) => check(path, inner),
                _ => {}
            }
        }
        for (name, shape) in [
            ("settings", Shape::of::<Settings>()),
            ("kpis", Shape::of::<Kpis>()),
            ("warning", Shape::of::<Warning>()),
            ("region", Shape::of::<RegionRequest>()),
            ("profile", Shape::of::<ProfileRequest>()),
            ("sources", Shape::of::<SourceRequest>()),
        ] {
            check(name, &shape.unwrap());
        }
    }

    #[test]
    fn fields_know_what_must_be_given_and_what_stands_otherwise() {
        let region = Shape::of::<RegionRequest>().unwrap();
        assert!(region.field("as_of").unwrap().required);
        let horizon = region.field("horizon_hours").unwrap();
        assert_eq!(
            (horizon.required, horizon.default.clone()),
            (false, Some(72.into()))
        );
        assert_eq!(
            region.field("donors").unwrap().shape,
            Shape::Map(Box::new(Shape::Number))
        );
        let sources = Shape::of::<SourceRequest>().unwrap();
        assert_eq!(sources.field("history").unwrap().shape, Shape::String);
        let profile = Shape::of::<ProfileRequest>().unwrap();
        let Shape::Enum(words) = &profile.field("policy").unwrap().shape else {
            panic!()
        };
        assert_eq!(words[1].0, "analytic");
    }
}
