//! What a schema check does not see: objects that an API server accepts and that do nothing, do something else, or break at run time.
//!
//! Each rule stands for a mistake that a real API server was seen to accept. Files are those of Istio, KEDA, Kubernetes' autoscaler and
//! Envoy; documents of other kinds are passed over.

mod across;
mod cron;
mod destination_rule;
mod document;
mod envoy;
mod keda;
mod virtual_service;
mod words;

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use across::Clash;
use document::{Defaults, Document};

use crate::RenderOptions;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// It does not do what it says.
    Error,
    /// It does something that is seldom meant.
    Warning,
}

/// Something that a schema check does not see.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Finding {
    /// The file.
    pub file: String,
    /// The line, counted from 1, where the field or else the object stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The object: `Kind namespace/name`, or `Envoy`.
    pub object: String,
    /// The rule's name.
    pub rule: String,
    /// How bad it is.
    pub level: Level,
    /// What is wrong, and how to mend it.
    pub text: String,
}

impl Finding {
    /// Whether the finding is an error.
    pub fn is_error(&self) -> bool {
        self.level == Level::Error
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        write!(f, "{}", self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(
            f,
            ": {level}: {}: {} [{}]",
            self.object, self.text, self.rule
        )
    }
}

/// What a rule found in one object, before it is known where that stands.
#[derive(Debug)]
struct Problem {
    rule: &'static str,
    level: Level,
    /// The field whose line is shown.
    field: &'static str,
    text: String,
}

/// Collects what the rules find in one object.
#[derive(Debug, Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn error(&mut self, rule: &'static str, field: &'static str, text: impl Into<String>) {
        self.add(rule, Level::Error, field, text.into());
    }

    fn warning(&mut self, rule: &'static str, field: &'static str, text: impl Into<String>) {
        self.add(rule, Level::Warning, field, text.into());
    }

    fn add(&mut self, rule: &'static str, level: Level, field: &'static str, text: String) {
        self.0.push(Problem {
            rule,
            level,
            field,
            text,
        });
    }
}

/// Lints files: texts by path. Findings come in order of file and line.
pub fn lint(files: &BTreeMap<String, String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut documents = Vec::new();
    for (file, text) in files {
        match document::read(file, text) {
            Ok(read) => documents.extend(read),
            Err(finding) => findings.push(finding),
        }
    }
    for document in &documents {
        let mut problems = Problems::default();
        one(document, &mut problems);
        findings.extend(document.findings(problems));
    }
    findings.extend(across::check(&documents).into_iter().map(Clash::finding));
    findings.sort();
    findings.dedup();
    findings
}

/// What does not go together between files that were rendered and files that are there already, by the rules of [`lint()`]. What
/// Foremesh itself rendered earlier is passed over among the latter, and so is what cannot be read. Each finding is about an object that is
/// there, and its text names the rendered one.
pub fn clashes(
    rendered: &BTreeMap<String, String>,
    existing: &BTreeMap<String, String>,
    options: &RenderOptions,
) -> Vec<Finding> {
    let defaults = Defaults {
        namespace: options.namespace.as_deref().unwrap_or("default"),
        cluster_domain: &options.cluster_domain,
    };
    let worth = |text: &str| across::KINDS.iter().any(|kind| text.contains(kind));
    let read = |files| -> Vec<Document<'_>> {
        let files: &BTreeMap<String, String> = files;
        files
            .iter()
            .filter_map(|(file, text)| document::read_some(file, text, defaults, &worth).ok())
            .flatten()
            .filter(|document| across::KINDS.contains(&document.kind()))
            .collect()
    };
    let mut theirs = read(existing);
    theirs.retain(|document| !document.is_ours());
    if theirs.is_empty() {
        return Vec::new();
    }
    // Rendered first: the rules look at the later of two.
    let mut documents = read(rendered);
    let ours = documents.len();
    documents.append(&mut theirs);
    let is_rendered = |document: &Document<'_>| {
        documents
            .iter()
            .take(ours)
            .any(|rendered| std::ptr::eq(rendered, document))
    };
    let mut findings: Vec<Finding> = across::check(&documents)
        .into_iter()
        .filter(|clash| {
            clash
                .other
                .is_some_and(|other| is_rendered(other) != is_rendered(clash.document))
        })
        .map(Clash::finding)
        .collect();
    findings.sort();
    findings.dedup();
    findings
}

fn one(document: &Document<'_>, problems: &mut Problems) {
    let spec = &document.value["spec"];
    match document.kind() {
        "DestinationRule" => destination_rule::check(spec, problems),
        "VirtualService" => virtual_service::check(spec, problems),
        "EnvoyFilter" => envoy::check_filter(spec, problems),
        "ScaledObject" => keda::check(spec, problems),
        "" if document.value.get("static_resources").is_some() => {
            envoy::check_bootstrap(&document.value, problems);
        }
        _ => {}
    }
}
