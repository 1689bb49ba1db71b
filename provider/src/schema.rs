//! From the one declaration of a noun to Terraform's schema: inputs as nested attributes with descriptions of their own, outputs
//! as plain `map(object(…))` types, which `terraform test` mocks right.

use std::sync::LazyLock;

use foremesh_model::{
    Retries, Settings,
    shape::{Field, Shape},
};
use schemars::JsonSchema;
use tfplugin::{Attribute, AttributeKind, Nested, Type, Value, ValueError};

/// The attributes that a configuration may or must set, one for each field of a noun.
pub fn inputs<T: JsonSchema>() -> Vec<Attribute> {
    fields::<T>().iter().map(input).collect()
}

/// The type of settings. Several schemas hold it and every start needs them, so it is made once.
pub fn settings() -> Type {
    static SETTINGS: LazyLock<Type> = LazyLock::new(output::<Settings>);
    SETTINGS.clone()
}

/// The type of a noun that the provider sets.
pub fn output<T: JsonSchema>() -> Type {
    type_of(&shape::<T>())
}

/// The fields of a noun. The declarations are tested to have a shape; one without would have no fields.
pub fn fields<T: JsonSchema>() -> Vec<Field> {
    shape::<T>().fields().to_vec()
}

fn shape<T: JsonSchema>() -> Shape {
    Shape::of::<T>().unwrap_or(Shape::Object(Vec::new()))
}

fn input(field: &Field) -> Attribute {
    let kind = kind_of(&field.shape);
    let attribute = if field.required {
        Attribute::required(&field.name, kind)
    } else {
        Attribute::optional(&field.name, kind)
    };
    let attribute = attribute.description(describe(field));
    if is_secret(&field.name) {
        attribute.sensitive()
    } else {
        attribute
    }
}

/// Whether a field holds what must never be shown.
pub fn is_secret(name: &str) -> bool {
    matches!(name, "bearer_token" | "password")
}

fn kind_of(shape: &Shape) -> AttributeKind {
    let nested = |fields: &[Field]| fields.iter().map(input).collect::<Vec<_>>();
    match shape {
        Shape::Object(fields) => Nested::Single(nested(fields)).into(),
        Shape::List(inner) if !inner.fields().is_empty() => {
            Nested::List(nested(inner.fields())).into()
        }
        Shape::Map(inner) if !inner.fields().is_empty() => {
            Nested::Map(nested(inner.fields())).into()
        }
        other => type_of(other).into(),
    }
}

fn type_of(shape: &Shape) -> Type {
    match shape {
        Shape::Bool => Type::Bool,
        Shape::Integer | Shape::Number => Type::Number,
        Shape::String | Shape::Enum(_) => Type::String,
        Shape::List(inner) => Type::list(type_of(inner)),
        Shape::Map(inner) => Type::map(type_of(inner)),
        Shape::Object(fields) => Type::object(
            fields
                .iter()
                .map(|field| (field.name.clone(), type_of(&field.shape))),
        ),
    }
}

fn describe(field: &Field) -> String {
    match &field.shape {
        Shape::Enum(words) => {
            let words: Vec<String> = words
                .iter()
                .map(|(word, meaning)| match meaning.trim_end_matches('.') {
                    "" => format!("`{word}`"),
                    meaning => format!("`{word}` ({meaning})"),
                })
                .collect();
            format!("{} One of {}.", field.description, words.join(", "))
        }
        _ => field.description.clone(),
    }
}

/// Settings in their typed form, without needs: those belong to a proposal. The retries of an edge that tries nothing again are null: most edges are such, and each line counts in a
/// state.
///
/// # Errors
/// [`ValueError`] when settings and type differ, which is an error of the provider.
pub fn typed(settings: &Settings) -> Result<Value, ValueError> {
    let settings = settings.clone().without_needs();
    let mut value = Value::from_serialize(&settings, &self::settings())?;
    let edges = match &mut value {
        Value::Map(fields) => fields.get_mut("edges"),
        _ => None,
    };
    if let Some(Value::Map(edges)) = edges {
        for (name, planned) in &settings.edges {
            if planned.retries == Retries::default()
                && let Some(Value::Map(fields)) = edges.get_mut(&name.to_string())
            {
                fields.insert("retries".into(), Value::Null);
            }
        }
    }
    Ok(value)
}

/// The value without what is null in it: a field that is not set takes its default.
pub fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Map(elements) => Value::Map(
            elements
                .iter()
                .filter(|(_, element)| !element.is_null())
                .map(|(name, element)| (name.clone(), without_nulls(element)))
                .collect(),
        ),
        Value::List(elements) => Value::List(elements.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

/// The named attributes of a configuration, null ones left out.
pub fn only(value: &Value, fields: &[Field]) -> Value {
    let chosen = fields
        .iter()
        .filter(|field| !value.get(&field.name).is_null());
    Value::Map(
        chosen
            .map(|field| (field.name.clone(), without_nulls(value.get(&field.name))))
            .collect(),
    )
}
