//! Terraform's types and their JSON notation, as it stands in schemas and inside dynamic values.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::path::ValueError;

/// A type of Terraform's type system (cty).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Type {
    /// `bool`
    Bool,
    /// `string`
    String,
    /// `number`: decimals of any length.
    Number,
    /// `any`: each value brings its own type.
    Dynamic,
    /// `list(T)`
    List(Box<Type>),
    /// `set(T)`
    Set(Box<Type>),
    /// `map(T)`
    Map(Box<Type>),
    /// `tuple([T, U])`
    Tuple(Vec<Type>),
    /// `object({ a = T, b = optional(U) })`
    Object(ObjectType),
}

/// The attributes of an object type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectType {
    /// All attributes.
    pub attributes: BTreeMap<String, Type>,
    /// Those that a configuration may leave out; left out, they are null.
    pub optional: BTreeSet<String>,
}

impl Type {
    /// `list(element)`
    #[must_use]
    pub fn list(element: Type) -> Self {
        Self::List(Box::new(element))
    }

    /// `set(element)`
    #[must_use]
    pub fn set(element: Type) -> Self {
        Self::Set(Box::new(element))
    }

    /// `map(element)`
    #[must_use]
    pub fn map(element: Type) -> Self {
        Self::Map(Box::new(element))
    }

    /// `tuple([…])`
    #[must_use]
    pub fn tuple(elements: impl IntoIterator<Item = Type>) -> Self {
        Self::Tuple(elements.into_iter().collect())
    }

    /// `object({…})` whose attributes must all be given.
    #[must_use]
    pub fn object<N: Into<String>>(attributes: impl IntoIterator<Item = (N, Type)>) -> Self {
        Self::Object(ObjectType {
            attributes: attributes
                .into_iter()
                .map(|(name, ty)| (name.into(), ty))
                .collect(),
            optional: BTreeSet::new(),
        })
    }

    /// `object({…})` of which the attributes named in `optional` may be left out.
    #[must_use]
    pub fn object_with_optional<N: Into<String>, O: Into<String>>(
        attributes: impl IntoIterator<Item = (N, Type)>,
        optional: impl IntoIterator<Item = O>,
    ) -> Self {
        Self::Object(ObjectType {
            attributes: attributes
                .into_iter()
                .map(|(name, ty)| (name.into(), ty))
                .collect(),
            optional: optional.into_iter().map(Into::into).collect(),
        })
    }

    /// The JSON notation: `"string"`, `["list","number"]`, `["object",{"a":"bool"},["a"]]`.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match self {
            Self::Bool => json!("bool"),
            Self::String => json!("string"),
            Self::Number => json!("number"),
            Self::Dynamic => json!("dynamic"),
            Self::List(element) => json!(["list", element.to_json()]),
            Self::Set(element) => json!(["set", element.to_json()]),
            Self::Map(element) => json!(["map", element.to_json()]),
            Self::Tuple(elements) => json!([
                "tuple",
                elements.iter().map(Self::to_json).collect::<Vec<_>>()
            ]),
            Self::Object(object) => {
                let attributes: serde_json::Map<_, _> = object
                    .attributes
                    .iter()
                    .map(|(name, ty)| (name.clone(), ty.to_json()))
                    .collect();
                if object.optional.is_empty() {
                    json!(["object", attributes])
                } else {
                    json!(["object", attributes, object.optional])
                }
            }
        }
    }

    /// The JSON notation as bytes, the form in which messages carry types.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.to_json().to_string().into_bytes()
    }

    /// Reads the JSON notation.
    ///
    /// # Errors
    /// The notation names no type.
    pub fn from_json(json: &Json) -> Result<Self, ValueError> {
        let invalid = || ValueError::new(format!("{json} is not the notation of a type"));
        match json {
            Json::String(name) => match name.as_str() {
                "bool" => Ok(Self::Bool),
                "string" => Ok(Self::String),
                "number" => Ok(Self::Number),
                "dynamic" => Ok(Self::Dynamic),
                _ => Err(invalid()),
            },
            Json::Array(parts) => match (
                parts.first().and_then(Json::as_str),
                parts.get(1),
                parts.get(2),
            ) {
                (Some("list"), Some(element), None) => Ok(Self::list(Self::from_json(element)?)),
                (Some("set"), Some(element), None) => Ok(Self::set(Self::from_json(element)?)),
                (Some("map"), Some(element), None) => Ok(Self::map(Self::from_json(element)?)),
                (Some("tuple"), Some(Json::Array(elements)), None) => Ok(Self::Tuple(
                    elements
                        .iter()
                        .map(Self::from_json)
                        .collect::<Result<_, _>>()?,
                )),
                (Some("object"), Some(Json::Object(attributes)), optional) => {
                    Ok(Self::Object(ObjectType {
                        attributes: attributes
                            .iter()
                            .map(|(name, ty)| Ok((name.clone(), Self::from_json(ty)?)))
                            .collect::<Result<_, ValueError>>()?,
                        optional: match optional {
                            None => BTreeSet::new(),
                            Some(names) => {
                                serde_json::from_value(names.clone()).map_err(|_| invalid())?
                            }
                        },
                    }))
                }
                _ => Err(invalid()),
            },
            _ => Err(invalid()),
        }
    }

    /// What a value of this type is called in an error message.
    pub(crate) fn noun(&self) -> &'static str {
        match self {
            Self::Bool => "a bool",
            Self::String => "a string",
            Self::Number => "a number",
            Self::Dynamic => "any value",
            Self::List(_) => "a list",
            Self::Set(_) => "a set",
            Self::Map(_) => "a map",
            Self::Tuple(_) => "a tuple",
            Self::Object(_) => "an object",
        }
    }
}
