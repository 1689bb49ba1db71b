//! What a workload is configured with: variables, arguments and config maps, with their place. Secrets are never read.

use std::collections::BTreeMap;

use super::{
    objects::{Object, Objects},
    services::pod,
};
use crate::yaml::Node;

/// A text that may hold addresses.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Setting {
    /// The variable, or what else holds the text.
    pub name: String,
    pub text: String,
    pub line: usize,
    pub origin: Origin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Variable,
    Argument,
    /// A file of a mounted config map.
    File,
}

impl Origin {
    /// How sure an address in it makes a call.
    pub fn confidence(self) -> f64 {
        match self {
            Self::Variable => 0.8,
            Self::Argument => 0.7,
            Self::File => 0.6,
        }
    }
}

/// Everything that the containers of a workload are configured with.
pub(super) fn settings(workload: &Object, objects: &Objects) -> Vec<Setting> {
    let Some(spec) = pod(workload).and_then(|pod| pod.get("spec")) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let maps = ConfigMaps { objects, workload };
    for container in spec
        .list_at(&["containers"])
        .iter()
        .chain(spec.list_at(&["initContainers"]))
    {
        let first = found.len();
        for source in container.list_at(&["envFrom"]) {
            let prefix = source.text_at(&["prefix"]).unwrap_or_default();
            for (key, value) in maps.data(source.text_at(&["configMapRef", "name"])) {
                found.push(Setting {
                    name: format!("{prefix}{key}"),
                    text: value.scalar().unwrap_or_default(),
                    line: source.line,
                    origin: Origin::Variable,
                });
            }
        }
        for variable in container.list_at(&["env"]) {
            let Some(name) = variable.text_at(&["name"]) else {
                continue;
            };
            let reference = ["valueFrom", "configMapKeyRef"];
            let text = variable.get("value").and_then(Node::scalar).or_else(|| {
                let reference = variable.at(&reference)?;
                let data = maps.data(reference.text_at(&["name"]));
                let key = reference.text_at(&["key"])?;
                data.iter().find(|(k, _)| k == key)?.1.scalar()
            });
            if let Some(text) = text {
                found.push(Setting {
                    name: name.into(),
                    text,
                    line: variable.get("value").map_or(variable.line, |v| v.line),
                    origin: Origin::Variable,
                });
            }
        }
        expand(&mut found[first..]);
        let values: BTreeMap<String, String> = found[first..]
            .iter()
            .map(|s| (s.name.clone(), s.text.clone()))
            .collect();
        for list in ["command", "args"] {
            for argument in container.list_at(&[list]) {
                if let Some(text) = argument.scalar() {
                    found.push(Setting {
                        name: list.into(),
                        text: substitute(&text, &values),
                        line: argument.line,
                        origin: Origin::Argument,
                    });
                }
            }
        }
    }
    for volume in spec.list_at(&["volumes"]) {
        for (key, value) in maps.data(volume.text_at(&["configMap", "name"])) {
            found.push(Setting {
                name: key.clone(),
                text: value.scalar().unwrap_or_default(),
                line: value.line,
                origin: Origin::File,
            });
        }
    }
    found
}

struct ConfigMaps<'a> {
    objects: &'a Objects,
    workload: &'a Object,
}

impl<'a> ConfigMaps<'a> {
    fn data(&self, name: Option<&str>) -> &'a [(String, Node)] {
        let fits = |map: &&Object| {
            Some(map.name.as_str()) == name
                && (map.namespace == self.workload.namespace
                    || map.namespace.is_none()
                    || self.workload.namespace.is_none())
        };
        self.objects
            .of(&["ConfigMap"])
            .find(fits)
            .and_then(|map| map.node.get("data"))
            .map_or(&[], Node::fields)
    }
}

/// `$(NAME)` of variables that stand before, as Kubernetes expands them.
fn expand(variables: &mut [Setting]) {
    let mut values = BTreeMap::new();
    for variable in variables {
        variable.text = substitute(&variable.text, &values);
        values.insert(variable.name.clone(), variable.text.clone());
    }
}

/// Replaces `$(NAME)` and `${NAME}` of known variables.
fn substitute(text: &str, values: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('$') {
        out.push_str(&rest[..start]);
        let tail = &rest[start..];
        let closer = match tail.as_bytes().get(1) {
            Some(b'(') => ')',
            Some(b'{') => '}',
            _ => '\0',
        };
        let value = tail
            .find(closer)
            .filter(|_| closer != '\0')
            .and_then(|end| Some((values.get(&tail[2..end])?, end)));
        match value {
            // Values that grow by naming each other again and again are cut off.
            Some((value, end)) if out.len() + value.len() < 1 << 16 => {
                out.push_str(value);
                rest = &tail[end + 1..];
            }
            _ => {
                out.push('$');
                rest = &tail[1..];
            }
        }
    }
    out.push_str(rest);
    out
}
