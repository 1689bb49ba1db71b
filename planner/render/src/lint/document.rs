//! Files as objects that know their lines.
//!
//! The parser gives values without places, so a file is cut into its documents here and a field is looked up in its document's lines.

use serde_json::Value;

use super::{Finding, Level, Problem, Problems};

/// What holds for objects that do not say it themselves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Defaults<'a> {
    /// The namespace of objects without one.
    pub(super) namespace: &'a str,
    /// The cluster's DNS domain.
    pub(super) cluster_domain: &'a str,
}

impl Default for Defaults<'_> {
    fn default() -> Self {
        Self {
            namespace: "default",
            cluster_domain: "cluster.local",
        }
    }
}

/// One object of a file.
#[derive(Debug)]
pub(super) struct Document<'a> {
    pub(super) file: &'a str,
    defaults: Defaults<'a>,
    /// The document's lines with the number of the first.
    lines: Vec<&'a str>,
    first_line: usize,
    pub(super) value: Value,
}

impl Document<'_> {
    pub(super) fn kind(&self) -> &str {
        self.value["kind"].as_str().unwrap_or_default()
    }

    pub(super) fn name(&self) -> &str {
        self.value["metadata"]["name"].as_str().unwrap_or_default()
    }

    pub(super) fn namespace(&self) -> &str {
        self.value["metadata"]["namespace"]
            .as_str()
            .unwrap_or(self.defaults.namespace)
    }

    /// Kind, namespace and name.
    pub(super) fn identity(&self) -> (&str, &str, &str) {
        (self.kind(), self.namespace(), self.name())
    }

    /// Whether both describe one object.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }

    /// Whether Foremesh rendered it.
    pub(super) fn is_ours(&self) -> bool {
        self.value["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "foremesh"
    }

    /// The object with its file and line, for the text of another one's finding.
    pub(super) fn place(&self) -> String {
        match self.line("metadata") {
            Some(line) => format!("{} ({}:{line})", self.title(), self.file),
            None => format!("{} ({})", self.title(), self.file),
        }
    }

    /// The host in `spec.host`, in full.
    pub(super) fn host(&self) -> String {
        self.full_host(&self.value["spec"]["host"])
    }

    /// A host in full: Istio reads one without a dot as a service of the object's own namespace.
    pub(super) fn full_host(&self, host: &Value) -> String {
        let host = host.as_str().unwrap_or_default();
        if host.contains('.') {
            host.into()
        } else {
            format!(
                "{host}.{}.svc.{}",
                self.namespace(),
                self.defaults.cluster_domain
            )
        }
    }

    fn title(&self) -> String {
        if self.kind().is_empty() {
            return "Envoy".into();
        }
        format!("{} {}/{}", self.kind(), self.namespace(), self.name())
    }

    /// The first line that holds the field, else the first that holds anything.
    fn line(&self, field: &str) -> Option<usize> {
        let holds = |line: &&str| {
            let key = line
                .trim_start()
                .trim_start_matches("- ")
                .trim_start_matches('"');
            key.strip_prefix(field)
                .is_some_and(|rest| rest.trim_start_matches('"').trim_start().starts_with(':'))
                || line.contains(&format!("{field}: "))
                || line.contains(&format!("\"{field}\""))
        };
        let content = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
        self.lines
            .iter()
            .position(holds)
            .or_else(|| self.lines.iter().position(content))
            .map(|index| self.first_line + index)
    }

    pub(super) fn finding(&self, problem: Problem) -> Finding {
        Finding {
            file: self.file.into(),
            line: self.line(problem.field),
            object: self.title(),
            rule: problem.rule.into(),
            level: problem.level,
            text: problem.text,
        }
    }

    pub(super) fn findings(&self, problems: Problems) -> Vec<Finding> {
        problems
            .0
            .into_iter()
            .map(|problem| self.finding(problem))
            .collect()
    }
}

/// The objects of a file; the items of a list stand for themselves.
pub(super) fn read<'a>(file: &'a str, text: &'a str) -> Result<Vec<Document<'a>>, Finding> {
    read_some(file, text, Defaults::default(), &|_| true)
}

/// As [`read`], but only the documents whose text is worth parsing.
pub(super) fn read_some<'a>(
    file: &'a str,
    text: &'a str,
    defaults: Defaults<'a>,
    worth: &dyn Fn(&str) -> bool,
) -> Result<Vec<Document<'a>>, Finding> {
    let mut documents = Vec::new();
    let mut lines: Vec<&str> = Vec::new();
    let mut first_line = 1;
    let numbered = text.lines().chain(std::iter::once("---")).enumerate();
    for (index, line) in numbered {
        if line != "---" && !line.starts_with("--- ") {
            lines.push(line);
            continue;
        }
        let content = lines.join("\n");
        let value: Value = if content
            .lines()
            .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
            || !worth(&content)
        {
            Value::Null
        } else {
            serde_saphyr::from_str(&content).map_err(|cause| Finding {
                file: file.into(),
                line: Some(first_line),
                object: "document".into(),
                rule: "unreadable".into(),
                level: Level::Error,
                text: unreadable(&content, &cause.to_string()),
            })?
        };
        let items = match value {
            Value::Object(mut fields) if fields.get("kind").is_some_and(|kind| kind == "List") => {
                match fields.remove("items") {
                    Some(Value::Array(items)) => items,
                    _ => Vec::new(),
                }
            }
            Value::Null => Vec::new(),
            other => vec![other],
        };
        documents.extend(items.into_iter().map(|value| Document {
            file,
            defaults,
            lines: lines.clone(),
            first_line,
            value,
        }));
        lines.clear();
        first_line = index + 2;
    }
    Ok(documents)
}

fn unreadable(content: &str, cause: &str) -> String {
    if content.contains("{{") {
        "this is Helm template text, not YAML: lint what `helm template` writes".into()
    } else {
        let cause = cause.lines().next().unwrap_or_default();
        format!("this is not YAML ({cause}): mend the file")
    }
}
