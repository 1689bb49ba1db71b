//! HCL: the settings as typed variables with their values, outputs that hand them on (`terraform output -json`), and, where a module is
//! named, a call of it.
//!
//! `hcl-rs` writes the syntax; aligning the equals signs as `terraform fmt` does is done here, because it does not.

use std::collections::BTreeMap;

use foremesh_model::{Settings, shape::Shape};
use hcl::{
    Attribute, Block, Body, Expression, Identifier, ObjectKey,
    expr::{FuncCall, Object, Traversal, TraversalOperator, Variable},
};
use serde_json::Value;

use crate::{
    RenderError, RenderOptions,
    document::{header, number},
    ramp::Position,
};

/// What a module that plans a region takes, and the variable that carries it.
const MODULE_INPUTS: [(&str, &str); 8] = [
    ("region", "region"),
    ("timezone", "timezone"),
    ("go_live", "starts"),
    ("horizon_hours", "horizon_hours"),
    ("as_of", "as_of"),
    ("namespace", "namespace"),
    ("stage", "stage"),
    ("path", "path"),
];

/// A variable: name, type, what it is, value in the tfvars file (or none, where the user must give it).
struct Input {
    name: String,
    kind: Expression,
    description: String,
    value: Option<Value>,
}

pub(crate) fn render(
    settings: &Settings,
    options: &RenderOptions,
    ramp: &Position,
) -> Result<BTreeMap<String, String>, RenderError> {
    let inputs = inputs(settings, options, ramp)?;
    let header = header(settings, ramp, &[]);
    let mut files = BTreeMap::new();
    let mut add = |file: &str, body: Body| {
        let text = write(file, &header, &body)?;
        files.insert(file.to_owned(), text);
        Ok::<(), RenderError>(())
    };
    let values = inputs
        .iter()
        .filter_map(|input| Some((input.name.as_str(), input.value.as_ref()?)))
        .map(|(name, value)| Attribute::new(Identifier::sanitized(name), expression(value)));
    add("foremesh.auto.tfvars", values.collect())?;
    add("variables.tf", inputs.iter().map(variable).collect())?;
    let outputs = inputs
        .iter()
        .filter(|input| input.value.is_some())
        .map(output);
    add("outputs.tf", outputs.collect())?;
    if let Some(source) = &options.module_source {
        add("main.tf", Body::from([module(source)]))?;
    }
    Ok(files)
}

fn inputs(
    settings: &Settings,
    options: &RenderOptions,
    ramp: &Position,
) -> Result<Vec<Input>, RenderError> {
    let broken = |cause: String| RenderError::Serialise {
        file: "variables.tf".into(),
        cause,
    };
    let shape = Shape::of::<Settings>().map_err(|cause| broken(cause.to_string()))?;
    let values = serde_json::to_value(settings).map_err(|cause| broken(cause.to_string()))?;
    let mut inputs: Vec<Input> = shape
        .fields()
        .iter()
        .map(|field| Input {
            name: field.name.clone(),
            kind: kind(&field.shape),
            description: field.description.clone(),
            value: values.get(&field.name).cloned(),
        })
        .collect();
    let mut text = |name: &str, kind: &str, description: &str, value: Option<Value>| {
        inputs.push(Input {
            name: name.into(),
            kind: Expression::Variable(Variable::sanitized(kind)),
            description: description.into(),
            value,
        });
    };
    let stage = (ramp.stage > 0).then(|| ramp.stage.into());
    text(
        "stage",
        "number",
        "The stage of the go-live ramp that is rendered, counted from 1; null: the last.",
        Some(stage.unwrap_or(Value::Null)),
    );
    if options.module_source.is_some() {
        let namespace = options.namespace.as_deref().unwrap_or("default");
        let path = format!("stacks/{}/mesh", settings.region);
        text(
            "namespace",
            "string",
            "The namespace of services whose name has none.",
            Some(namespace.into()),
        );
        text(
            "path",
            "string",
            "The folder into which the module writes.",
            Some(path.into()),
        );
        text(
            "as_of",
            "string",
            "The instant (RFC 3339) after which nothing may be known to the plan.",
            None,
        );
    }
    inputs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(inputs)
}

fn variable(input: &Input) -> Block {
    let block = Block::builder("variable")
        .add_label(input.name.as_str())
        .add_attribute(("description", string(&input.description)))
        .add_attribute(("type", input.kind.clone()));
    if input.name == "stage" {
        return block.add_attribute(("default", Expression::Null)).build();
    }
    block.build()
}

fn output(input: &Input) -> Block {
    Block::builder("output")
        .add_label(input.name.as_str())
        .add_attribute(("description", string(&input.description)))
        .add_attribute(("value", reference(&input.name)))
        .build()
}

fn module(source: &str) -> Block {
    let mut block = Block::builder("module")
        .add_label("mesh")
        .add_attribute(("source", string(source)));
    for (input, variable) in MODULE_INPUTS {
        block = block.add_attribute((input, reference(variable)));
    }
    block.build()
}

/// `var.NAME`
fn reference(name: &str) -> Expression {
    Traversal::new(
        Variable::sanitized("var"),
        [TraversalOperator::GetAttr(Identifier::sanitized(name))],
    )
    .into()
}

fn kind(shape: &Shape) -> Expression {
    let word = |word: &str| Expression::Variable(Variable::sanitized(word));
    let call = |name: &str, argument: Expression| {
        FuncCall::builder(Identifier::sanitized(name))
            .arg(argument)
            .build()
            .into()
    };
    match shape {
        Shape::Bool => word("bool"),
        Shape::Integer | Shape::Number => word("number"),
        Shape::String | Shape::Enum(_) => word("string"),
        Shape::List(of) => call("list", kind(of)),
        Shape::Map(of) => call("map", kind(of)),
        Shape::Object(fields) => {
            let fields: Object<ObjectKey, Expression> = fields
                .iter()
                .map(|field| {
                    let kind = kind(&field.shape);
                    let kind = if field.required {
                        kind
                    } else {
                        call("optional", kind)
                    };
                    (
                        ObjectKey::Identifier(Identifier::sanitized(&field.name)),
                        kind,
                    )
                })
                .collect();
            call("object", Expression::Object(fields))
        }
    }
}

fn expression(value: &Value) -> Expression {
    match value {
        Value::Null => Expression::Null,
        Value::Bool(value) => Expression::Bool(*value),
        Value::Number(value) => {
            let plain = value.as_f64().map_or(Value::Null, number);
            match (plain.as_i64(), plain.as_f64()) {
                (Some(whole), _) => Expression::Number(whole.into()),
                (_, Some(fraction)) => {
                    hcl::Number::from_f64(fraction).map_or(Expression::Null, Expression::Number)
                }
                _ => Expression::Null,
            }
        }
        Value::String(text) => string(text),
        Value::Array(values) => Expression::Array(values.iter().map(expression).collect()),
        Value::Object(fields) => {
            let sorted: BTreeMap<&String, &Value> = fields.iter().collect();
            let fields: Object<ObjectKey, Expression> = sorted
                .into_iter()
                .map(|(key, value)| (object_key(key), expression(value)))
                .collect();
            Expression::Object(fields)
        }
    }
}

/// A field's name stands bare; a name that users gave is quoted.
fn object_key(key: &str) -> ObjectKey {
    let bare = key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    if bare && !key.is_empty() {
        ObjectKey::Identifier(Identifier::sanitized(key))
    } else {
        ObjectKey::Expression(string(key))
    }
}

/// A string; the formatter escapes what would begin a template.
fn string(text: &str) -> Expression {
    Expression::String(text.into())
}

fn write(file: &str, header: &[String], body: &Body) -> Result<String, RenderError> {
    let written = hcl::format::to_string(body).map_err(|cause| RenderError::Serialise {
        file: file.into(),
        cause: cause.to_string(),
    })?;
    let mut text: String = header.iter().map(|line| format!("# {line}\n")).collect();
    text.push('\n');
    text.push_str(&align(&written));
    Ok(text)
}

/// Aligns the equals signs of neighbouring one-line attributes, as `terraform fmt` does.
fn align(text: &str) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut start = 0;
    while start < lines.len() {
        let end = (start..lines.len())
            .find(|index| key_width(&lines[*index]).is_none())
            .unwrap_or(lines.len());
        let widest = lines[start..end]
            .iter()
            .filter_map(|line| key_width(line))
            .max()
            .unwrap_or(0);
        for line in &mut lines[start..end] {
            if let Some(width) = key_width(line) {
                let columns = line.chars().take_while(|c| *c == ' ').count();
                let byte = line
                    .char_indices()
                    .nth(columns + width)
                    .map_or(line.len(), |(byte, _)| byte);
                line.insert_str(byte, &" ".repeat(widest - width));
            }
        }
        start = end + 1;
    }
    lines.join("\n") + "\n"
}

/// The width of the key of an attribute whose value ends on its line.
fn key_width(line: &str) -> Option<usize> {
    let trimmed = line.trim_start();
    let key_end = if let Some(rest) = trimmed.strip_prefix('"') {
        rest.find("\" = ")? + 2
    } else {
        trimmed.find(" = ").filter(|end| {
            trimmed[..*end]
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        })?
    };
    let opens = trimmed.ends_with(['{', '[', '(']);
    (!opens).then(|| trimmed[..key_end].chars().count())
}
