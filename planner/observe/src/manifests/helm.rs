//! Helm template text is not YAML, or worse, sometimes is: it must be told from manifests and never be planned from.

use crate::yaml::{Document, Node, Value};

/// The line (counted from 1 in its file) and the text of the first template action in a document that is template text.
/// A document that is sound YAML and holds `{{` only in a value that nobody reads here (a dashboard, say) is not.
pub(super) fn first_action(document: &Document<'_>) -> Option<(usize, String)> {
    document
        .text
        .lines()
        .enumerate()
        .find(|(_, line)| {
            let code = line.trim_start();
            !code.starts_with('#') && code.contains("{{")
        })
        .map(|(number, line)| {
            let text: String = line.trim().chars().take(60).collect();
            (document.lines_before + number + 1, text)
        })
}

/// Whether a value that must be plain text is a template action, quoted or not: `{{ .Values.x }}` alone reads as a map in a map.
pub(super) fn is_action(node: Option<&Node>) -> bool {
    node.is_some_and(|node| match &node.value {
        Value::Text(text) => text.contains("{{"),
        Value::Map(fields) => !fields.is_empty(),
        _ => false,
    })
}
