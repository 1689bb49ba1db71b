//! Values from and to JSON: the JSON of stored states, and plain `serde_json` for a provider's own types.

use std::collections::BTreeMap;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value as Json, value::RawValue};

use super::{Dynamic, Path, Step, Type, Value, ValueError};
use crate::diagnostic::Diagnostic;

impl Value {
    /// Reads the JSON in which Terraform stores a state. Numbers keep every digit; attributes that are missing are null,
    /// and attributes that the type does not have are dropped, so that a state of an earlier schema can be read as far
    /// as it still fits.
    ///
    /// # Errors
    /// It is no JSON, or a part does not fit its type; the error names the part.
    pub fn from_state_json(json: &[u8], ty: &Type) -> Result<Self, ValueError> {
        let raw: &RawValue = serde_json::from_slice(json)
            .map_err(|error| ValueError::new(format!("malformed JSON: {error}")))?;
        from_raw(raw, ty)
    }

    /// Reads plain JSON as a value of type `ty`. Attributes that are missing are null; in a dynamic place the type is
    /// inferred.
    ///
    /// # Errors
    /// A part does not fit its type, or has an attribute that the type does not; the error names the part.
    pub fn from_json(json: &Json, ty: &Type) -> Result<Self, ValueError> {
        match (json, ty) {
            (Json::Null, _) => Ok(Self::Null),
            (_, Type::Dynamic) => {
                let ty = infer(json);
                let value = Self::from_json(json, &ty)?;
                Ok(Self::Dynamic(Box::new(Dynamic { ty, value })))
            }
            (Json::Bool(b), Type::Bool) => Ok(Self::Bool(*b)),
            (Json::String(s), Type::String) => Ok(Self::String(s.clone())),
            (Json::Number(n), Type::Number) => Ok(Self::Number(n.to_string().parse()?)),
            (Json::Array(elements), Type::List(element) | Type::Set(element)) => from_array(
                elements,
                std::iter::repeat(element.as_ref()),
                Self::from_json,
            ),
            (Json::Array(elements), Type::Tuple(types)) if elements.len() == types.len() => {
                from_array(elements, types.iter(), Self::from_json)
            }
            (Json::Object(elements), Type::Map(element)) => elements
                .iter()
                .map(|(key, json)| {
                    let value = Self::from_json(json, element)
                        .map_err(|e| e.inside(Step::Key(key.clone())))?;
                    Ok((key.clone(), value))
                })
                .collect::<Result<_, _>>()
                .map(Self::Map),
            (Json::Object(given), Type::Object(object)) => {
                if let Some(name) = given
                    .keys()
                    .find(|name| !object.attributes.contains_key(*name))
                {
                    return Err(ValueError::new(format!("no attribute is called {name:?}")));
                }
                from_object(&object.attributes, |name| given.get(name), Self::from_json)
            }
            _ => Err(ValueError::new(format!(
                "{} where {} is expected",
                noun(json),
                ty.noun()
            ))),
        }
    }

    /// A provider's own type as a value of type `ty`: serde to JSON, then [`Value::from_json`].
    ///
    /// # Errors
    /// As there, and where the type cannot be serialized to JSON.
    pub fn from_serialize(source: &impl Serialize, ty: &Type) -> Result<Self, ValueError> {
        let json =
            serde_json::to_value(source).map_err(|error| ValueError::new(error.to_string()))?;
        Self::from_json(&json, ty)
    }

    /// Plain JSON. Unknown values become null: ask [`Value::is_wholly_known`] first. Integers of 64 bits are exact, other
    /// numbers become the nearest `f64`.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match self {
            Self::Null | Self::Unknown => Json::Null,
            Self::Bool(b) => Json::Bool(*b),
            Self::String(s) => Json::String(s.clone()),
            Self::Number(n) => match (n.as_i64(), n.as_u64()) {
                (Some(i), _) => i.into(),
                (_, Some(u)) => u.into(),
                _ => n.as_f64().into(),
            },
            Self::List(elements) => elements.iter().map(Self::to_json).collect(),
            Self::Map(elements) => elements
                .iter()
                .map(|(name, value)| (name.clone(), value.to_json()))
                .collect(),
            Self::Dynamic(dynamic) => dynamic.value.to_json(),
        }
    }

    /// The value as a type of the provider's own. An `Option` field takes null.
    ///
    /// # Errors
    /// A part is unknown, or does not fit the type (a port of 70,000 for a `u16`): a diagnostic that points at it.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T, Diagnostic> {
        if let Some(path) = self.unknown_paths().into_iter().next() {
            return Err(Diagnostic::error(
                "Value not known yet",
                "The value is known only after apply.",
            )
            .at(path));
        }
        serde_path_to_error::deserialize(self.to_json()).map_err(|error| {
            let path: Path = error
                .path()
                .iter()
                .filter_map(|segment| match segment {
                    serde_path_to_error::Segment::Seq { index } => {
                        Some(Step::Index(i64::try_from(*index).unwrap_or(i64::MAX)))
                    }
                    serde_path_to_error::Segment::Map { key } => Some(Step::Attribute(key.clone())),
                    _ => None,
                })
                .collect();
            Diagnostic::error("Invalid value", error.inner().to_string()).at(path)
        })
    }
}

fn noun(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a bool",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

fn infer(json: &Json) -> Type {
    match json {
        Json::Null => Type::Dynamic,
        Json::Bool(_) => Type::Bool,
        Json::Number(_) => Type::Number,
        Json::String(_) => Type::String,
        Json::Array(elements) => Type::tuple(elements.iter().map(infer)),
        Json::Object(attributes) => {
            Type::object(attributes.iter().map(|(name, json)| (name, infer(json))))
        }
    }
}

fn from_array<'t, J>(
    elements: &[J],
    types: impl Iterator<Item = &'t Type>,
    read: impl Fn(&J, &Type) -> Result<Value, ValueError>,
) -> Result<Value, ValueError> {
    (0..)
        .zip(elements.iter().zip(types))
        .map(|(i, (json, ty))| read(json, ty).map_err(|error| error.inside(Step::Index(i))))
        .collect::<Result<_, _>>()
        .map(Value::List)
}

fn from_object<'j, J: 'j + ?Sized>(
    attributes: &BTreeMap<String, Type>,
    given: impl Fn(&str) -> Option<&'j J>,
    read: impl Fn(&'j J, &Type) -> Result<Value, ValueError>,
) -> Result<Value, ValueError> {
    attributes
        .iter()
        .map(|(name, ty)| {
            let value = match given(name) {
                Some(json) => {
                    read(json, ty).map_err(|error| error.inside(Step::Attribute(name.clone())))?
                }
                None => Value::Null,
            };
            Ok((name.clone(), value))
        })
        .collect::<Result<_, _>>()
        .map(Value::Map)
}

/// Reads through [`RawValue`] because `serde_json` would round a number of more digits than an `f64` holds.
fn from_raw(raw: &RawValue, ty: &Type) -> Result<Value, ValueError> {
    let text = raw.get();
    if text == "null" {
        return Ok(Value::Null);
    }
    let expected = || ValueError::new(format!("{} is expected", ty.noun()));
    let mismatch = |_: serde_json::Error| expected();
    // Core converts between primitive types where an attribute changed its type, and so does this.
    let scalar = || match text.as_bytes().first() {
        Some(b'"') => serde_json::from_str::<String>(text).map_err(mismatch),
        Some(b'[' | b'{') => Err(expected()),
        _ => Ok(text.to_owned()),
    };
    match ty {
        Type::Bool => scalar()?.parse().map(Value::Bool).map_err(|_| expected()),
        Type::Number => scalar()?.parse().map(Value::Number),
        Type::String => scalar().map(Value::String),
        Type::List(element) | Type::Set(element) => {
            let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(mismatch)?;
            from_array(&elements, std::iter::repeat(element.as_ref()), |raw, ty| {
                from_raw(raw, ty)
            })
        }
        Type::Tuple(types) => {
            let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(mismatch)?;
            if elements.len() != types.len() {
                return Err(ValueError::new(format!(
                    "{} elements in a tuple of {}",
                    elements.len(),
                    types.len()
                )));
            }
            from_array(&elements, types.iter(), |raw, ty| from_raw(raw, ty))
        }
        Type::Map(element) => {
            let elements: BTreeMap<String, &RawValue> =
                serde_json::from_str(text).map_err(mismatch)?;
            elements
                .into_iter()
                .map(|(key, raw)| {
                    let value = from_raw(raw, element)
                        .map_err(|error| error.inside(Step::Key(key.clone())))?;
                    Ok((key, value))
                })
                .collect::<Result<_, _>>()
                .map(Value::Map)
        }
        Type::Object(object) => {
            let given: BTreeMap<String, &RawValue> =
                serde_json::from_str(text).map_err(mismatch)?;
            from_object(
                &object.attributes,
                |name| given.get(name).copied(),
                from_raw,
            )
        }
        Type::Dynamic => {
            let pair: BTreeMap<String, &RawValue> = serde_json::from_str(text).map_err(mismatch)?;
            let (Some(ty), Some(value)) = (pair.get("type"), pair.get("value")) else {
                return Err(ValueError::new(
                    "a dynamic value must be an object of type and value",
                ));
            };
            let ty = serde_json::from_str(ty.get())
                .map_err(|error| ValueError::new(error.to_string()))?;
            let ty = Type::from_json(&ty)?;
            let value = from_raw(value, &ty)?;
            Ok(Value::Dynamic(Box::new(Dynamic { ty, value })))
        }
    }
}
