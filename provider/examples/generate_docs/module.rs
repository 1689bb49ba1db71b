//! What the modules take and pass on: their variables and their data sources, from the nouns' declarations.

use std::{collections::BTreeMap, fmt::Write};

use foremesh_model::{
    ProfileRequest, RegionRequest,
    shape::{Field, Shape},
};
use foremesh_pipeline::RenderOptions;
use terraform_provider_foremesh::schema;

const HEADER: &str =
    "# Generated from the declarations of Foremesh's nouns by `make docs`: do not edit.\n";

/// The modules, each with the targets that it writes.
const MODULES: [(&str, &[&str]); 2] = [
    ("istio-region", &["istio", "autoscaling"]),
    ("envoy-region", &["envoy", "ansible"]),
];

/// Adds the generated files of every module.
pub fn all(files: &mut BTreeMap<String, String>) {
    let region = schema::fields::<RegionRequest>();
    let profile = schema::fields::<ProfileRequest>();
    let bundle = schema::fields::<RenderOptions>();
    for (module, targets) in MODULES {
        let fields = [region.as_slice(), &profile, &bundle].concat();
        files.insert(format!("modules/{module}/variables.tf"), variables(&fields));
        files.insert(format!("modules/{module}/data.tf"), data(&region, &profile));
        files.insert(
            format!("modules/{module}/bundles.tf"),
            bundles(targets, &bundle),
        );
    }
}

fn variables(fields: &[Field]) -> String {
    let mut text = HEADER.to_owned();
    for field in fields {
        let _ = write!(text, "\nvariable \"{}\" {{\n", field.name);
        let _ = writeln!(text, "  description = {}", quoted(&field.description));
        let kind = type_of(&field.shape, 1);
        // `terraform fmt` lines up neighbours, and a value of several lines has none.
        let (kind_name, default_name) = if kind.contains('\n') {
            ("type", "default")
        } else {
            ("type       ", "default    ")
        };
        let _ = writeln!(text, "  {kind_name} = {kind}");
        if !field.required {
            let _ = writeln!(text, "  {default_name} = null");
        }
        text += "}\n";
    }
    text += OWN;
    text
}

/// What every module takes beside the fields of the requests.
const OWN: &str = r#"
variable "path" {
  description = "Folder that the files are written to, one folder a target below it."
  type        = string
}

variable "tolerance" {
  description = "How far, as a ratio, a proposed number may lie from the adopted one before it is taken over."
  type        = number
  default     = 0.1
}
"#;

fn data(region: &[Field], profile: &[Field]) -> String {
    let mut text = HEADER.to_owned();
    text += "\ndata \"foremesh_predictive_region\" \"this\" {\n";
    assignments(
        &mut text,
        region
            .iter()
            .map(|field| (field.name.as_str(), format!("var.{}", field.name))),
    );
    text += "}\n\ndata \"foremesh_mesh_profile\" \"this\" {\n";
    let upstream =
        |name: &'static str| (name, format!("data.foremesh_predictive_region.this.{name}"));
    let own = profile
        .iter()
        .map(|field| (field.name.as_str(), format!("var.{}", field.name)));
    assignments(
        &mut text,
        [upstream("region"), upstream("demand")]
            .into_iter()
            .chain(own),
    );
    text += "}\n";
    text
}

/// A bundle for each target, whether or not its files are many: no loop hangs on what a profile holds.
fn bundles(targets: &[&str], options: &[Field]) -> String {
    let mut text = HEADER.to_owned();
    for target in targets {
        let _ = write!(text, "\nresource \"foremesh_bundle\" \"{target}\" {{\n");
        let fixed = [
            (
                "profile",
                "foremesh_adopted_profile.this.adopted".to_owned(),
            ),
            ("target", quoted(target)),
            ("path", format!("\"${{var.path}}/{target}\"")),
        ];
        let own = options
            .iter()
            .map(|field| (field.name.as_str(), format!("var.{}", field.name)));
        assignments(&mut text, fixed.into_iter().chain(own));
        text += "}\n";
    }
    text
}

/// Assignments with their equal signs in one column, as `terraform fmt` wants them.
fn assignments<'a>(text: &mut String, pairs: impl Iterator<Item = (&'a str, String)>) {
    let pairs: Vec<_> = pairs.collect();
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in pairs {
        let _ = writeln!(text, "  {name:width$} = {value}");
    }
}

fn type_of(shape: &Shape, depth: usize) -> String {
    match shape {
        Shape::Bool => "bool".into(),
        Shape::Integer | Shape::Number => "number".into(),
        Shape::String | Shape::Enum(_) => "string".into(),
        Shape::List(inner) => format!("list({})", type_of(inner, depth)),
        Shape::Map(inner) => format!("map({})", type_of(inner, depth)),
        Shape::Object(fields) => {
            let indent = "  ".repeat(depth);
            let width = fields
                .iter()
                .map(|field| field.name.len())
                .max()
                .unwrap_or(0);
            let lines: Vec<String> = fields
                .iter()
                .map(|field| {
                    let kind = type_of(&field.shape, depth + 1);
                    let kind = if field.required {
                        kind
                    } else {
                        format!("optional({kind})")
                    };
                    format!("{indent}  {:width$} = {kind}", field.name)
                })
                .collect();
            format!("object({{\n{}\n{indent}}})", lines.join("\n"))
        }
    }
}

fn quoted(text: &str) -> String {
    format!(
        "\"{}\"",
        text.replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace("${", "$${")
    )
}
