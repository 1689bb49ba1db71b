//! The quickstart's shop, set up in a folder of its own: what most tests start from.

use std::{collections::BTreeMap, fs, path::Path};

use foremesh_acceptance_tests::{Terraform, Workspace, foremesh};
use serde_json::Value;

/// A workspace with the quickstart and its telemetry.
pub fn shop() -> Workspace {
    let workspace = Workspace::new();
    workspace.copy("examples/quickstart", ".");
    shop_telemetry::generate(7, &workspace.join("telemetry")).unwrap();
    workspace
}

/// Terraform in such a workspace, initialised.
pub fn terraform_in(program: std::path::PathBuf, workspace: &Workspace) -> Terraform {
    let terraform = Terraform::new(program, workspace.path(), &workspace.join(".mirror"));
    terraform.init();
    terraform
}

/// Rewrites the requests a second of the history: `change` answers the new value, or none to drop the row.
pub fn rewrite_history(workspace: &Workspace, change: impl Fn(&str, f64) -> Option<f64>) {
    let history = workspace.read("telemetry/history.csv");
    let mut rows = history.lines();
    let mut out = format!("{}\n", rows.next().unwrap());
    for row in rows {
        let mut cells: Vec<String> = row.split(',').map(str::to_owned).collect();
        if let Some(value) = change(&cells[0], cells[3].parse().unwrap()) {
            cells[3] = format!("{value:.2}");
            out.push_str(&cells.join(","));
            out.push('\n');
        }
    }
    workspace.write("telemetry/history.csv", out);
}

/// Every file below a folder, by its path in it.
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(&at).unwrap_or_else(|e| panic!("{}: {e}", at.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap();
                all.insert(name.display().to_string(), fs::read(&path).unwrap());
            }
        }
    }
    all
}

/// Runs `foremesh plan request.yaml -o OUT` and answers `plan.json`. A plan that breaks its objective is a plan too.
pub fn plan(workspace: &Workspace, out: &str) -> Value {
    let run = foremesh(workspace.path(), &["plan", "request.yaml", "-o", out]);
    assert!(matches!(run.code, Some(0 | 2)), "{run}");
    serde_json::from_str(&workspace.read(&format!("{out}/plan.json"))).unwrap()
}

/// The leaves of a JSON value by their path, dots between names.
pub fn leaves(value: &Value) -> BTreeMap<String, Value> {
    fn walk(path: String, value: &Value, out: &mut BTreeMap<String, Value>) {
        let below = |name: &str| match path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    walk(below(name), field, out);
                }
            }
            Value::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    walk(below(&index.to_string()), element, out);
                }
            }
            leaf => {
                out.insert(path, leaf.clone());
            }
        }
    }
    let mut out = BTreeMap::new();
    walk(String::new(), value, &mut out);
    out
}

/// The paths at which two JSON values differ.
pub fn differing(a: &Value, b: &Value) -> Vec<String> {
    let (a, b) = (leaves(a), leaves(b));
    let mut paths: Vec<String> = a.keys().chain(b.keys()).cloned().collect();
    paths.sort();
    paths.dedup();
    paths.retain(|path| a.get(path) != b.get(path));
    paths
}
