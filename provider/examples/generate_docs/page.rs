//! The pages of the Terraform registry, in its layout: one for the provider, each data source, resource and function.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

use terraform_provider_foremesh::Foremesh;
use tfplugin::{Attribute, AttributeKind, Block, Mode, Nested, Provider, Schema, Signature, Type};

/// Adds every page.
pub fn all(root: &Path, files: &mut BTreeMap<String, String>) {
    let provider = Foremesh;
    let example =
        |path: &str| fs::read_to_string(root.join("examples").join(path)).unwrap_or_default();
    files.insert(
        "docs/index.md".into(),
        page(
            "foremesh Provider",
            &provider.schema(),
            &example("provider/provider.tf"),
            true,
        ),
    );
    for source in provider.data_sources() {
        let name = source.type_name();
        let path = format!(
            "docs/data-sources/{}.md",
            name.trim_start_matches("foremesh_")
        );
        let text = example(&format!("data-sources/{name}/data-source.tf"));
        files.insert(
            path,
            page(
                &format!("{name} Data Source - foremesh"),
                &source.schema(),
                &text,
                false,
            ),
        );
    }
    for resource in provider.resources() {
        let name = resource.type_name();
        let path = format!("docs/resources/{}.md", name.trim_start_matches("foremesh_"));
        let text = example(&format!("resources/{name}/resource.tf"));
        files.insert(
            path,
            page(
                &format!("{name} Resource - foremesh"),
                &resource.schema(),
                &text,
                false,
            ),
        );
    }
    for function in provider.functions() {
        let text = example(&format!("functions/{}/function.tf", function.name()));
        let path = format!("docs/functions/{}.md", function.name());
        files.insert(
            path,
            function_page(function.name(), &function.signature(), &text),
        );
    }
}

fn front_matter(title: &str, description: &str) -> String {
    let first = description
        .split(". ")
        .next()
        .unwrap_or_default()
        .trim_end_matches('.');
    format!(
        "---\npage_title: {}\nsubcategory: \"\"\ndescription: {}\n---\n\n",
        quoted(title),
        quoted(&format!("{first}."))
    )
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn page(title: &str, schema: &Schema, example: &str, provider: bool) -> String {
    let block = &schema.block;
    let heading = title.split(" - ").next().unwrap_or(title);
    let mut text = front_matter(title, &block.description);
    let _ = write!(
        text,
        "# {heading}\n\n{}\n\n## Example\n\n```terraform\n{}\n```\n\n",
        block.description,
        example.trim_end()
    );
    text += "## Schema\n\n";
    attributes(&mut text, block, provider);
    let nested: Vec<&Attribute> = block
        .attributes
        .iter()
        .filter(|a| fields(a).is_some())
        .collect();
    for attribute in nested {
        section(
            &mut text,
            &attribute.name,
            fields(attribute).unwrap_or_default(),
        );
    }
    for nested in &block.blocks {
        section(&mut text, &nested.name, &nested.block.attributes);
    }
    text
}

fn fields(attribute: &Attribute) -> Option<&[Attribute]> {
    match &attribute.kind {
        AttributeKind::Nested(nested) => Some(nested.attributes()),
        AttributeKind::Type(_) => None,
    }
}

fn attributes(text: &mut String, block: &Block, provider: bool) {
    for (heading, wanted) in [
        ("Required", &[Mode::Required][..]),
        ("Optional", &[Mode::Optional, Mode::OptionalComputed]),
        ("Read-only", &[Mode::Computed]),
    ] {
        let mut lines: Vec<String> = block
            .attributes
            .iter()
            .filter(|a| wanted.contains(&a.mode))
            .map(|a| line(a, true))
            .collect();
        if heading == "Optional" {
            lines.extend(block.blocks.iter().map(|nested| {
                let name = &nested.name;
                format!(
                    "- `{name}` (block, see [below](#{name})) {}",
                    nested.block.description
                )
            }));
        }
        if !lines.is_empty() {
            let note = if provider && heading == "Optional" {
                "Paths are relative to the folder that Terraform runs in.\n\n"
            } else {
                ""
            };
            let _ = write!(text, "### {heading}\n\n{note}{}\n\n", lines.join("\n"));
        }
    }
}

fn line(attribute: &Attribute, link: bool) -> String {
    let mut words = vec![match &attribute.kind {
        AttributeKind::Type(ty) => type_name(ty),
        AttributeKind::Nested(Nested::Single(_)) => "object".into(),
        AttributeKind::Nested(Nested::List(_)) => "list of objects".into(),
        AttributeKind::Nested(Nested::Set(_)) => "set of objects".into(),
        AttributeKind::Nested(Nested::Map(_)) => "map of objects".into(),
    }];
    if link && fields(attribute).is_some() {
        words.push(format!("see [below](#{})", attribute.name));
    }
    if attribute.sensitive {
        words.push("sensitive".into());
    }
    if attribute.write_only {
        words.push("write-only".into());
    }
    format!(
        "- `{}` ({}) {}",
        attribute.name,
        words.join(", "),
        attribute.description
    )
}

fn section(text: &mut String, name: &str, attributes: &[Attribute]) {
    let _ = write!(text, "<a id=\"{name}\"></a>\n### `{name}`\n\n");
    for attribute in attributes {
        let must = if attribute.mode == Mode::Required {
            " Required."
        } else {
            ""
        };
        let _ = writeln!(text, "{}{must}", line(attribute, false));
    }
    text.push('\n');
}

/// A type in the words of Terraform's language; objects one level deep, so that a page stays readable.
fn type_name(ty: &Type) -> String {
    match ty {
        Type::Bool => "bool".into(),
        Type::String => "string".into(),
        Type::Number => "number".into(),
        Type::Dynamic => "any".into(),
        Type::List(inner) => format!("list({})", type_name(inner)),
        Type::Set(inner) => format!("set({})", type_name(inner)),
        Type::Map(inner) => format!("map({})", type_name(inner)),
        Type::Tuple(_) => "tuple".into(),
        Type::Object(object) => {
            let fields: Vec<String> = object
                .attributes
                .iter()
                .map(|(name, ty)| match ty {
                    Type::Object(_) => format!("{name} = object"),
                    other => format!("{name} = {}", shallow(other)),
                })
                .collect();
            format!("object({{ {} }})", fields.join(", "))
        }
    }
}

fn shallow(ty: &Type) -> String {
    match ty {
        Type::List(inner) => format!("list({})", shallow(inner)),
        Type::Set(inner) => format!("set({})", shallow(inner)),
        Type::Map(inner) => format!("map({})", shallow(inner)),
        Type::Object(_) => "object".into(),
        other => type_name(other),
    }
}

fn function_page(name: &str, signature: &Signature, example: &str) -> String {
    let mut text = front_matter(&format!("{name} Function - foremesh"), &signature.summary);
    let variadic = signature
        .variadic
        .iter()
        .map(|p| format!("{} {}...", p.name, type_name(&p.ty)));
    let parameters: Vec<String> = signature
        .parameters
        .iter()
        .map(|p| format!("{} {}", p.name, type_name(&p.ty)))
        .chain(variadic)
        .collect();
    let _ = write!(
        text,
        "# {name} Function\n\n{}\n\n## Example\n\n```terraform\n{}\n```\n\n## Signature\n\n```text\n{name}({}) {}\n```\n\n## Arguments\n\n",
        signature.description,
        example.trim_end(),
        parameters.join(", "),
        shallow(&signature.returns)
    );
    for (position, parameter) in signature
        .parameters
        .iter()
        .chain(&signature.variadic)
        .enumerate()
    {
        let _ = writeln!(
            text,
            "{}. `{}` ({}) {}",
            position + 1,
            parameter.name,
            type_name(&parameter.ty),
            parameter.description
        );
    }
    text
}
