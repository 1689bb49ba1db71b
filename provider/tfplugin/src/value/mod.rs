//! Values as Terraform knows them: exact numbers, and null and unknown as first-class citizens.

mod convert;
mod json;
mod msgpack;
mod number;
mod path;
mod types;

use std::collections::BTreeMap;

pub use number::Number;
pub use path::{Path, Step, ValueError};
pub use types::{ObjectType, Type};

/// A value of a configuration, plan or state.
///
/// The accessors see through [`Value::Dynamic`], and answer `None` for null and unknown values: ask
/// [`Value::is_wholly_known`] before a missing value is taken for an absent one.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Value {
    /// Unset.
    #[default]
    Null,
    /// Not known before apply.
    Unknown,
    /// A truth value.
    Bool(bool),
    /// An exact number.
    Number(Number),
    /// A text.
    String(String),
    /// A list, set or tuple.
    List(Vec<Value>),
    /// A map or object. An attribute that an object leaves out is null.
    Map(BTreeMap<String, Value>),
    /// A value in a place of type [`Type::Dynamic`], with the type that it brought. A provider may put any other value
    /// in such a place; its type is then inferred (lists become tuples, maps become objects).
    Dynamic(Box<Dynamic>),
}

/// A value together with its type.
#[derive(Debug, Clone, PartialEq)]
pub struct Dynamic {
    /// The type; never [`Type::Dynamic`] itself unless the value is null or unknown.
    pub ty: Type,
    /// The value.
    pub value: Value,
}

static NULL: Value = Value::Null;
static UNKNOWN: Value = Value::Unknown;

impl Value {
    /// An object or map from its attributes.
    pub fn object<N: Into<String>, V: Into<Value>>(
        attributes: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        Self::Map(
            attributes
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }

    /// The value inside [`Value::Dynamic`], or the value itself.
    #[must_use]
    pub fn inner(&self) -> &Value {
        match self {
            Self::Dynamic(dynamic) => dynamic.value.inner(),
            other => other,
        }
    }

    /// Is it null? An unknown value is not.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self.inner(), Self::Null)
    }

    /// Is it unknown as a whole? A known list may still hold unknown elements: see [`Value::is_wholly_known`].
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(self.inner(), Self::Unknown)
    }

    /// Are the value and all its parts known?
    #[must_use]
    pub fn is_wholly_known(&self) -> bool {
        match self.inner() {
            Self::Unknown => false,
            Self::List(elements) => elements.iter().all(Self::is_wholly_known),
            Self::Map(elements) => elements.values().all(Self::is_wholly_known),
            _ => true,
        }
    }

    /// The paths of all unknown parts, in order, for messages that must name them. Keys of maps are given as
    /// attributes, since a value does not know whether it is a map or an object.
    #[must_use]
    pub fn unknown_paths(&self) -> Vec<Path> {
        fn collect(value: &Value, at: &Path, into: &mut Vec<Path>) {
            match value.inner() {
                Value::Unknown => into.push(at.clone()),
                Value::List(elements) => {
                    for (i, element) in elements.iter().enumerate() {
                        collect(element, &at.clone().index(i), into);
                    }
                }
                Value::Map(elements) => {
                    for (name, element) in elements {
                        collect(element, &at.clone().attr(name), into);
                    }
                }
                _ => {}
            }
        }
        let mut paths = Vec::new();
        collect(self, &Path::root(), &mut paths);
        paths
    }

    /// The attribute or element of that name: null where there is none, unknown where the whole is unknown.
    #[must_use]
    pub fn get(&self, name: &str) -> &Value {
        match self.inner() {
            Self::Map(elements) => elements.get(name).unwrap_or(&NULL),
            Self::Unknown => &UNKNOWN,
            _ => &NULL,
        }
    }

    /// Sets an attribute. A value that is no map or object becomes one.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        if let Self::Map(elements) = self {
            elements.insert(name.into(), value.into());
        } else {
            *self = Self::object([(name, value)]);
        }
    }

    /// The value with an attribute set: `config.with("result", 3)`.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.set(name, value);
        self
    }

    /// The truth value, if it is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self.inner() {
            Self::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self.inner() {
            Self::String(s) => Some(s),
            _ => None,
        }
    }

    /// The exact number, if it is one.
    #[must_use]
    pub fn as_number(&self) -> Option<&Number> {
        match self.inner() {
            Self::Number(n) => Some(n),
            _ => None,
        }
    }

    /// The integer, if it is one and fits.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        self.as_number()?.as_i64()
    }

    /// The integer, if it is one, fits, and is not negative.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        self.as_number()?.as_u64()
    }

    /// The nearest `f64`, if it is a number.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        Some(self.as_number()?.as_f64())
    }

    /// The elements of a list, set or tuple.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Value]> {
        match self.inner() {
            Self::List(elements) => Some(elements),
            _ => None,
        }
    }

    /// The elements of a map or the attributes of an object.
    #[must_use]
    pub fn as_map(&self) -> Option<&BTreeMap<String, Value>> {
        match self.inner() {
            Self::Map(elements) => Some(elements),
            _ => None,
        }
    }

    /// The type that a value without one is given in a dynamic place.
    #[must_use]
    pub fn infer_type(&self) -> Type {
        match self {
            Self::Null | Self::Unknown => Type::Dynamic,
            Self::Bool(_) => Type::Bool,
            Self::Number(_) => Type::Number,
            Self::String(_) => Type::String,
            Self::List(elements) => Type::tuple(elements.iter().map(Self::infer_type)),
            Self::Map(elements) => Type::object(
                elements
                    .iter()
                    .map(|(name, value)| (name, value.infer_type())),
            ),
            Self::Dynamic(dynamic) => dynamic.ty.clone(),
        }
    }

    /// What it is called in an error message.
    pub(crate) fn noun(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Unknown => "an unknown value",
            Self::Bool(_) => "a bool",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Dynamic(dynamic) => dynamic.value.noun(),
        }
    }
}
