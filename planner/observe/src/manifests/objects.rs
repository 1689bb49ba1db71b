//! The objects of all manifest files that matter here, as trees that know their file and line.

use foremesh_model::Warning;

use super::helm;
use crate::{
    ObserveError,
    observed::{caution, note},
    yaml::{self, Node},
};

/// The kinds that are read; any other document is passed over without being parsed.
const KINDS: [&str; 22] = [
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "ReplicaSet",
    "ReplicationController",
    "Pod",
    "Rollout",
    "CronJob",
    "Job",
    "Service",
    "ConfigMap",
    "Ingress",
    "HorizontalPodAutoscaler",
    "ScaledObject",
    "VirtualService",
    "DestinationRule",
    "ServiceEntry",
    "EnvoyFilter",
    "HTTPRoute",
    "GRPCRoute",
    "TCPRoute",
    "List",
];

/// An object.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub kind: String,
    pub namespace: Option<String>,
    pub name: String,
    pub file: usize,
    pub line: usize,
    pub node: Node,
}

impl Object {
    /// `Deployment shop/cart`.
    pub fn label(&self) -> String {
        format!("{} {}", self.kind, self.path())
    }

    /// `shop/cart`, or `cart` where no namespace is known.
    pub fn path(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}/{}", self.name),
            None => self.name.clone(),
        }
    }
}

/// What is wrong with one document.
#[derive(Debug)]
pub(crate) struct DocumentFault {
    pub error: ObserveError,
}

/// The objects of all files.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    pub files: Vec<String>,
    pub all: Vec<Object>,
}

impl Objects {
    /// Adds the objects of a file; answers what is wrong with single documents, and notes.
    pub fn add(&mut self, text: &str, file: &str) -> (Vec<DocumentFault>, Vec<Warning>) {
        let number = self.files.len();
        self.files.push(file.into());
        let (mut faults, mut warnings) = (Vec::new(), Vec::new());
        let helm_fault = |line, text| DocumentFault {
            error: ObserveError::HelmTemplate {
                file: file.into(),
                line,
                text,
            },
        };
        for document in yaml::documents(text) {
            let kind = document.quick_field("kind");
            // JSON and flow style do not show their kind at the start of a line.
            let flow = document.text.trim_start().starts_with('{');
            if let Some(kind) = kind
                && !kind.contains("{{")
                && !KINDS.contains(&kind)
            {
                continue;
            }
            let action = helm::first_action(&document);
            if kind.is_none() && !flow && action.is_none() {
                continue;
            }
            let node = match document.parse() {
                Ok(node) => node,
                Err(fault) => {
                    faults.push(match action.filter(|_| !flow || fault.line <= 1) {
                        Some((line, text)) => helm_fault(line, text),
                        None => DocumentFault {
                            error: ObserveError::Yaml {
                                file: file.into(),
                                line: fault.line,
                                column: fault.column,
                                cause: fault.cause,
                            },
                        },
                    });
                    continue;
                }
            };
            if let Some((line, text)) = action
                && (helm::is_action(node.at(&["metadata", "name"]))
                    || helm::is_action(node.at(&["metadata", "namespace"]))
                    || helm::is_action(node.get("kind"))
                    || node.get("kind").is_none())
            {
                faults.push(helm_fault(line, text));
                continue;
            }
            if self.gather(&node, number, &mut warnings, 0) == 0 && kind.is_some() {
                warnings.push(note(
                    "manifest_without_name",
                    file,
                    format!(
                        "line {}: the object has no metadata.name and is passed over",
                        node.line
                    ),
                ));
            }
        }
        (faults, warnings)
    }

    /// Adds an object, or those of a list; answers how many.
    fn gather(
        &mut self,
        node: &Node,
        file: usize,
        warnings: &mut Vec<Warning>,
        depth: usize,
    ) -> usize {
        let Some(kind) = node.text_at(&["kind"]) else {
            return 0;
        };
        if kind.ends_with("List") && node.get("items").is_some() {
            if depth > 3 {
                let name = self.files.get(file).cloned().unwrap_or_default();
                warnings.push(caution(
                    "manifest_lists_nested",
                    name,
                    "lists in lists in lists are not followed",
                ));
                return 1;
            }
            let items = node.list_at(&["items"]);
            items.iter().for_each(|item| {
                self.gather(item, file, warnings, depth + 1);
            });
            return items.len().max(1);
        }
        if !KINDS.contains(&kind) {
            return 1;
        }
        let Some(name) = node.at(&["metadata", "name"]).and_then(Node::scalar) else {
            return 0;
        };
        self.all.push(Object {
            kind: kind.into(),
            namespace: node
                .at(&["metadata", "namespace"])
                .and_then(Node::scalar)
                .filter(|n| !n.is_empty()),
            name,
            file,
            line: node.line,
            node: node.clone(),
        });
        1
    }

    /// The objects of some kinds.
    pub fn of<'a>(&'a self, kinds: &'a [&'a str]) -> impl Iterator<Item = &'a Object> + 'a {
        self.all
            .iter()
            .filter(|object| kinds.contains(&object.kind.as_str()))
    }

    /// The file of an object.
    pub fn file(&self, object: &Object) -> &str {
        self.files.get(object.file).map_or("", String::as_str)
    }
}
