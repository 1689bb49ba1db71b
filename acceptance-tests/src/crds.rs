//! Checks Kubernetes objects against the schemas of CustomResourceDefinitions, as strictly as an API server with
//! `fieldValidation=Strict`: what a schema does not know is an error. (Rules in CEL are checked by the tests of the render crate.)

use std::{collections::BTreeMap, path::Path};

use serde_json::{Value, json};

use crate::real_data::gunzip;

/// The schemas of a file of definitions.
#[derive(Debug)]
pub struct Crds {
    /// By `apiVersion/kind`.
    schemas: BTreeMap<String, Value>,
}

impl Crds {
    /// Reads a gzipped YAML file of definitions.
    ///
    /// # Panics
    /// When it holds no definition.
    pub fn read(path: &Path) -> Self {
        let mut schemas = BTreeMap::new();
        for definition in documents(&gunzip(path)) {
            let (group, kind) = (
                &definition["spec"]["group"],
                &definition["spec"]["names"]["kind"],
            );
            for version in definition["spec"]["versions"]
                .as_array()
                .into_iter()
                .flatten()
            {
                let key = format!(
                    "{}/{}/{}",
                    group.as_str().unwrap_or_default(),
                    version["name"].as_str().unwrap_or_default(),
                    kind.as_str().unwrap_or_default()
                );
                let mut schema = version["schema"]["openAPIV3Schema"].clone();
                strict(&mut schema);
                // What every object has and no definition repeats.
                schema["properties"]["apiVersion"] = json!({ "type": "string" });
                schema["properties"]["kind"] = json!({ "type": "string" });
                schema["properties"]["metadata"] = json!({ "type": "object" });
                schemas.insert(key, schema);
            }
        }
        assert!(
            !schemas.is_empty(),
            "{} holds no definition",
            path.display()
        );
        Self { schemas }
    }

    /// The faults of every object in a YAML file, and how many objects were checked. Kinds without a definition here are left out.
    pub fn check(&self, yaml: &str) -> (usize, Vec<String>) {
        let (mut checked, mut faults) = (0, Vec::new());
        for object in documents(yaml) {
            let text = |name: &str| object[name].as_str().unwrap_or_default();
            let key = format!("{}/{}", text("apiVersion"), text("kind"));
            let Some(schema) = self.schemas.get(&key) else {
                continue;
            };
            let validator = jsonschema::validator_for(schema).expect("a schema of a definition");
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            checked += 1;
            faults.extend(
                validator
                    .iter_errors(&object)
                    .map(|e| format!("{key} {name}: {}: {e}", e.instance_path())),
            );
        }
        (checked, faults)
    }
}

fn documents(yaml: &str) -> Vec<Value> {
    serde_saphyr::from_multiple::<Value>(yaml).expect("YAML documents")
}

/// Makes OpenAPI's structural schema one of JSON Schema that knows no field beside its own.
fn strict(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("x-kubernetes-int-or-string") == Some(&true.into()) {
                fields.remove("type");
                fields.insert("type".into(), json!(["integer", "string"]));
            }
            let open = fields.contains_key("additionalProperties")
                || fields.get("x-kubernetes-preserve-unknown-fields") == Some(&true.into());
            if fields.get("type") == Some(&"object".into())
                && fields.contains_key("properties")
                && !open
            {
                fields.insert("additionalProperties".into(), false.into());
            }
            fields.values_mut().for_each(strict);
        }
        Value::Array(elements) => elements.iter_mut().for_each(strict),
        _ => {}
    }
}
