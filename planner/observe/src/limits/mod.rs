//! The limits that existing manifests set today: what an audit compares with the forecast.
//!
//! Only what is written is read. A field that is set nowhere has no value here, so that its reader can tell a limit that
//! someone chose from what the mesh does by itself.

mod bootstrap;
mod envoy;
mod envoy_filter;
mod found;
mod hosts;
mod istio;
mod nouns;
mod scaling;

use std::path::PathBuf;

pub use self::nouns::{
    ExistingLimit, ExistingLimits, LimitField, LimitUnit, LimitValue, ScalingWindow,
};

use self::{
    bootstrap::{Bootstrap, is_bootstrap},
    found::Found,
};
use crate::{
    ObserveError, Observed, files,
    graph::kind::{Kind, kind_of},
    graph::promising,
    manifests::{Objects, services::ServiceIndex},
    observed::{caution, note, of_file},
    yaml,
};
use foremesh_model::Warning;

/// What limits can be read from.
const EXPECTED: &str =
    "give rendered Kubernetes, Istio or KEDA manifests (YAML or JSON) or the bootstrap of an Envoy";

/// Reads files and folders: replicas, autoscalers, DestinationRules, VirtualServices, EnvoyFilters, Envoy bootstraps.
///
/// A file that is named and cannot be used is an error; one that was found in a folder is a warning, as long as something
/// else can be read. Values that bind nobody known, or that cannot be read, are warnings.
///
/// # Errors
/// [`ObserveError`] naming file and place of what cannot be used, and how to mend it.
pub fn read_limits(paths: &[PathBuf]) -> Result<Observed<ExistingLimits>, ObserveError> {
    let mut sources = Sources::default();
    for candidate in files::walk(paths)? {
        if !candidate.named && !promising(&candidate.path) {
            continue;
        }
        let file = candidate.path.display().to_string();
        match files::read(&candidate.path) {
            Ok(bytes) => sources.add(&file, &bytes, candidate.named)?,
            Err(error) if candidate.named => return Err(error),
            Err(error) => sources.refuse(&file, error),
        }
    }
    let named: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
    sources.finish(&named.join(", "))
}

/// Reads texts as [`read_limits`] reads files: each is a name and its bytes, and counts as named by the user.
///
/// # Errors
/// See [`read_limits`].
pub fn parse_limits(texts: &[(&str, &[u8])]) -> Result<Observed<ExistingLimits>, ObserveError> {
    let mut sources = Sources::default();
    for (file, bytes) in texts {
        sources.add(file, bytes, true)?;
    }
    let names: Vec<&str> = texts.iter().map(|(file, _)| *file).collect();
    sources.finish(&names.join(", "))
}

/// All sources so far.
#[derive(Default)]
struct Sources {
    objects: Objects,
    bootstraps: Vec<Bootstrap>,
    warnings: Vec<Warning>,
    first_refused: Option<ObserveError>,
}

impl Sources {
    fn add(&mut self, file: &str, bytes: &[u8], named: bool) -> Result<(), ObserveError> {
        let text = String::from_utf8_lossy(bytes);
        match kind_of(bytes) {
            Kind::Manifests => {
                let (faults, warnings) = self.objects.add(&text, file);
                self.warnings.extend(warnings);
                for fault in faults {
                    if named && matches!(fault.error, ObserveError::HelmTemplate { .. }) {
                        return Err(fault.error);
                    }
                    self.refuse(file, fault.error);
                }
            }
            Kind::EnvoyBootstrap => {
                for document in yaml::documents(&text) {
                    match document.parse() {
                        Ok(node) if is_bootstrap(&node) => self.bootstraps.push(Bootstrap {
                            file: file.into(),
                            node,
                        }),
                        Ok(_) => {}
                        Err(fault) => {
                            let error = ObserveError::Yaml {
                                file: file.into(),
                                line: fault.line,
                                column: fault.column,
                                cause: fault.cause,
                            };
                            if named {
                                return Err(error);
                            }
                            self.refuse(file, error);
                        }
                    }
                }
            }
            _ if named => {
                return Err(ObserveError::GraphKind {
                    file: file.into(),
                    found: "no manifest and no Envoy bootstrap was recognised".into(),
                    expected: EXPECTED,
                });
            }
            // Folders hold traces, histories and notes beside manifests.
            _ => {}
        }
        Ok(())
    }

    fn refuse(&mut self, file: &str, error: ObserveError) {
        self.warnings.push(caution(
            "limits_source_skipped",
            file,
            format!(
                "{}; the rest of the sources is used without it",
                of_file(file, &error)
            ),
        ));
        self.first_refused.get_or_insert(error);
    }

    fn finish(self, sources: &str) -> Result<Observed<ExistingLimits>, ObserveError> {
        if self.objects.all.is_empty() && self.bootstraps.is_empty() {
            return Err(self
                .first_refused
                .unwrap_or_else(|| ObserveError::GraphKind {
                    file: sources.into(),
                    found: "no manifest and no Envoy bootstrap was found".into(),
                    expected: EXPECTED,
                }));
        }
        let index = ServiceIndex::of(&self.objects);
        let mut found = Found::default();
        found.warnings = self.warnings;
        for (service, entry) in &index.by_name {
            for object in entry.services.iter().chain(&entry.workloads) {
                found.show(service, &object.label());
            }
        }
        scaling::read(&self.objects, &index, &mut found);
        istio::read(&self.objects, &index, &mut found);
        envoy_filter::read(&self.objects, &index, &mut found);
        for bootstrap in &self.bootstraps {
            bootstrap::read(bootstrap, &index, &mut found);
        }
        let mut limits = found.limits;
        limits.values.sort_by(|a, b| {
            (a.service.cmp(&b.service))
                .then_with(|| a.field.cmp(&b.field))
                .then_with(|| a.file.cmp(&b.file))
                .then_with(|| a.line.cmp(&b.line))
                .then_with(|| (&a.path, &a.subset, &a.caller).cmp(&(&b.path, &b.subset, &b.caller)))
        });
        if limits.values.is_empty() {
            found.warnings.push(note(
                "limits_none_set",
                sources,
                "the manifests set none of the limits that are read: the mesh's own defaults apply",
            ));
        }
        Ok(Observed {
            value: limits,
            warnings: found.warnings,
        })
    }
}

#[cfg(test)]
mod tests;
