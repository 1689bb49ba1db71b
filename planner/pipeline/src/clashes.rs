//! What is rendered, held against the manifests that were read: objects that would undo each other are named before anything is applied.

use std::collections::BTreeMap;

use foremesh_model::{Settings, Severity, Warning};
use foremesh_render::{RenderOptions, Target};

use crate::target::render_target;

/// The targets whose files are objects of a cluster.
const IN_CLUSTERS: [Target; 2] = [Target::Istio, Target::Autoscaling];

/// What does not go together between the given targets of the settings and manifests (texts by path), by the rules of `foremesh lint`. A
/// target that cannot be rendered has no clashes here: whoever writes it says why.
pub fn clashes(
    settings: &Settings,
    targets: &[Target],
    options: &RenderOptions,
    manifests: &BTreeMap<String, String>,
) -> Vec<Warning> {
    if manifests.is_empty() {
        return Vec::new();
    }
    let mut rendered = BTreeMap::new();
    for target in IN_CLUSTERS.iter().filter(|target| targets.contains(target)) {
        let files = render_target(settings, *target, options).unwrap_or_default();
        rendered.extend(
            files
                .into_iter()
                .map(|(file, text)| (format!("{target}/{file}"), text)),
        );
    }
    let mut warnings: Vec<Warning> = foremesh_render::clashes(&rendered, manifests, options)
        .into_iter()
        .map(|finding| {
            let line = finding
                .line
                .map_or(String::new(), |line| format!(":{line}"));
            Warning {
                severity: Severity::Caution,
                code: format!("clash_{}", finding.rule.replace('-', "_")),
                subject: finding.object,
                text: format!("{}{line}: {}", finding.file, finding.text),
            }
        })
        .collect();
    warnings.sort();
    warnings
}
