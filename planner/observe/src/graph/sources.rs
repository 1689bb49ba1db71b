//! Collects what all files say, each read by its kind, until the graph is made of it.

use foremesh_model::{ServiceGraph, Severity, Timestamp, Warning};

use super::{
    facts::Fragment,
    file,
    kind::{Kind, kind_of},
    merge::merge,
};
use crate::{
    ObserveError, Observed, manifests,
    manifests::Objects,
    observed::{caution, note, of_file},
    prometheus::{MeshPool, read_exposition},
    traces::{self, DependencyPool, Spans},
};

/// What a graph can be read from.
const EXPECTED: &str = "give Kubernetes manifests (rendered YAML), traces (Zipkin v2, OTLP or Jaeger JSON), an Istio metrics exposition, or a graph file with services and edges";

/// All sources so far.
pub(super) struct Sources {
    objects: Objects,
    spans: Spans,
    dependencies: DependencyPool,
    metrics: MeshPool,
    fragments: Vec<Fragment>,
    warnings: Vec<Warning>,
    /// The first file that could not be used: the error where nothing else gives a service.
    first_refused: Option<ObserveError>,
    passed_over: Vec<String>,
}

impl Sources {
    pub(super) fn new(as_of: Option<Timestamp>, metrics: MeshPool) -> Self {
        Self {
            objects: Objects::default(),
            spans: Spans::new(as_of),
            dependencies: DependencyPool::default(),
            metrics,
            fragments: Vec::new(),
            warnings: Vec::new(),
            first_refused: None,
            passed_over: Vec::new(),
        }
    }

    /// Reads a file. What cannot be used is an error where the user named the file, a warning where it lay in a folder.
    pub(super) fn add(
        &mut self,
        file: &str,
        bytes: &[u8],
        named: bool,
    ) -> Result<(), ObserveError> {
        let read = match kind_of(bytes) {
            Kind::Manifests => {
                let (faults, warnings) = self.objects.add(&String::from_utf8_lossy(bytes), file);
                self.warnings.extend(warnings);
                for fault in faults {
                    // A template has no document that could be used; other files have sound ones beside a bad one.
                    if named && matches!(fault.error, ObserveError::HelmTemplate { .. }) {
                        return Err(fault.error);
                    }
                    self.refuse(file, fault.error);
                }
                Ok(Vec::new())
            }
            Kind::GraphFile => file::parse(bytes, file).map(|fragment| {
                self.fragments.push(fragment);
                Vec::new()
            }),
            Kind::Zipkin => traces::read_zipkin(bytes, file, &mut self.spans),
            Kind::Otlp => traces::read_otlp(bytes, file, &mut self.spans),
            Kind::Jaeger => traces::read_jaeger(bytes, file, &mut self.spans),
            Kind::Dependencies => traces::read_dependencies(bytes, file, &mut self.dependencies),
            Kind::Exposition
                if read_exposition(&String::from_utf8_lossy(bytes), file, &mut self.metrics)
                    > 0 =>
            {
                Ok(Vec::new())
            }
            kind @ (Kind::OtherOtlp | Kind::Exposition | Kind::EnvoyBootstrap | Kind::Unknown) => {
                let found = match kind {
                    Kind::OtherOtlp => "OTLP metrics or logs, in which no service calls another",
                    Kind::EnvoyBootstrap => {
                        "the configuration of an Envoy, which holds limits and no calls"
                    }
                    Kind::Exposition => "a metrics exposition without Istio's istio_requests_total",
                    _ if bytes.trim_ascii().is_empty() => "the file is empty",
                    _ => "neither a manifest nor traces nor a graph was recognised",
                };
                if named {
                    return Err(ObserveError::GraphKind {
                        file: file.into(),
                        found: found.into(),
                        expected: EXPECTED,
                    });
                }
                self.pass_over(file, found);
                return Ok(());
            }
        };
        match read {
            Ok(warnings) => self.warnings.extend(warnings),
            Err(error) if named => return Err(error),
            Err(error) => self.refuse(file, error),
        }
        Ok(())
    }

    /// Notes that a file in a folder is none of ours.
    pub(super) fn pass_over(&mut self, file: &str, why: &str) {
        self.passed_over.push(format!("{file} ({why})"));
    }

    /// Warns that a file could not be used.
    pub(super) fn refuse(&mut self, file: &str, error: ObserveError) {
        self.warnings.push(caution(
            "graph_source_skipped",
            file,
            format!(
                "{}; the rest of the sources is used without it",
                of_file(file, &error)
            ),
        ));
        self.first_refused.get_or_insert(error);
    }

    /// Makes the graph.
    pub(super) fn finish(mut self, sources: &str) -> Result<Observed<ServiceGraph>, ObserveError> {
        if !self.objects.all.is_empty() {
            let (fragment, warnings) = manifests::fragment(&self.objects);
            self.fragments.push(fragment);
            self.warnings.extend(warnings);
        }
        if self.spans.len() > 0 {
            let (fragment, warnings) = self.spans.fragment();
            self.fragments.push(fragment);
            self.warnings.extend(warnings);
        }
        if !self.dependencies.pairs.is_empty() {
            self.fragments.push(self.dependencies.fragment());
        }
        if !self.metrics.is_empty() {
            let (fragment, warnings) = self.metrics.fragment();
            self.fragments.push(fragment);
            self.warnings.extend(warnings);
        }
        self.fragments.retain(|fragment| !fragment.is_empty());
        if self.fragments.is_empty() {
            return Err(self
                .first_refused
                .unwrap_or_else(|| ObserveError::NoServices {
                    sources: sources.into(),
                }));
        }
        if !self.passed_over.is_empty() {
            let number = self.passed_over.len();
            let mut listed = self.passed_over;
            listed.truncate(5);
            let more = if number > 5 {
                format!(" and {} more", number - 5)
            } else {
                String::new()
            };
            self.warnings.push(note(
                "files_passed_over",
                sources,
                format!(
                    "not used, as none of it describes services: {}{more}",
                    listed.join("; ")
                ),
            ));
        }
        let (services, edges, warnings) = merge(self.fragments);
        self.warnings.extend(warnings);
        self.warnings.sort_by_key(|warning| match warning.severity {
            Severity::Severe => 0,
            Severity::Caution => 1,
            Severity::Note => 2,
        });
        let graph = ServiceGraph::new(services, edges).map_err(|cause| ObserveError::Graph {
            file: sources.into(),
            cause,
        })?;
        Ok(Observed {
            value: graph,
            warnings: self.warnings,
        })
    }
}
