//! Telemetry, graph and catalogue, read together as of an instant.

use std::{collections::BTreeMap, path::Path};

use foremesh_model::{
    Catalogue, Event, History, METRIC_REQUESTS_PER_SECOND, RegionName, Service, ServiceGraph,
    Severity, SourceRequest, Timestamp, Warning,
};
use foremesh_observe as observe;

use crate::{Models, PipelineError};

/// Everything that was observed, as it was known at an instant.
#[derive(Debug, Clone)]
pub struct Sources {
    /// What was measured.
    pub history: History,
    /// Which service calls which, with what the catalogue says about capacity.
    pub graph: ServiceGraph,
    /// The texts of the manifests among the sources of the graph, by path: what is rendered is held against them.
    pub manifests: BTreeMap<String, String>,
    /// Events that files or servers list, as they had been announced at that instant.
    pub events: Vec<Event>,
    /// What is known and planned beside the history; None: nothing.
    pub business_metrics: Option<History>,
    /// The learned models that plans are computed with.
    pub models: Models,
    /// What to know about both: gaps, parts that could not be read, what was assumed.
    pub warnings: Vec<Warning>,
}

impl Sources {
    /// Reads all sources. Paths are relative to `base`. Nothing measured at or after `as_of` is kept; `Timestamp::MAX` keeps all.
    ///
    /// # Errors
    /// [`PipelineError::Observe`] when a source cannot be read, [`PipelineError::NoHistory`],
    /// [`PipelineError::TwoHistories`] and [`PipelineError::NoServices`] when there is nothing to plan from.
    pub async fn load(
        request: &SourceRequest,
        as_of: Timestamp,
        base: &Path,
    ) -> Result<Self, PipelineError> {
        Self::load_without(request, as_of, base, None).await
    }

    /// The same as if a region had never been measured: what is planned for it rests on other regions alone.
    ///
    /// # Errors
    /// As [`Sources::load`].
    pub async fn load_without(
        request: &SourceRequest,
        as_of: Timestamp,
        base: &Path,
        unseen: Option<&RegionName>,
    ) -> Result<Self, PipelineError> {
        // No message may speak of an instant that nobody gave.
        let given = (as_of < Timestamp::MAX).then_some(as_of);
        let mut history = Self::load_history(request, as_of, base).await?;
        history
            .value
            .series
            .retain(|key, _| Some(&key.region) != unseen);
        let mut graph = Self::load_graph(request, given, base)?;
        let mut warnings = history.warnings;
        warnings.append(&mut graph.warnings);
        let history = history.value;
        warnings.extend(unused_metrics(&history));
        let mut graph = graph.value;
        if graph.is_empty() {
            graph = services_of(&history)?;
            let text = "no graph is known: every service with telemetry is planned on its own; point `graph` at manifests or \
                        traces to plan what they call";
            warnings.push(Warning {
                severity: Severity::Caution,
                code: "no_graph".into(),
                subject: "graph".into(),
                text: text.into(),
            });
            let mut catalogued = with_catalogue(&graph, request, base)?;
            warnings.append(&mut catalogued.warnings);
            graph = catalogued.value;
        }
        if graph.is_empty() {
            return Err(PipelineError::NoServices);
        }
        let mut events = observe::read_events(&request.events, as_of, base).await?;
        warnings.append(&mut events.warnings);
        let business_metrics = match &request.business_metrics {
            Some(file) => {
                let mut read = observe::read_business_metrics(&base.join(file))?;
                warnings.append(&mut read.warnings);
                Some(read.value)
            }
            None => None,
        };
        let source = request.history.as_deref().unwrap_or("prometheus");
        let mut measured = observe::with_history(&graph, &history, source)?;
        warnings.append(&mut measured.warnings);
        graph = measured.value;
        Ok(Self {
            history,
            graph,
            manifests: Self::manifests(request, base),
            events: events.value,
            business_metrics,
            models: Models::of(&request.inference, base),
            warnings,
        })
    }

    /// Reads what was measured alone, as it was known at an instant.
    ///
    /// # Errors
    /// [`PipelineError::Observe`] when it cannot be read, [`PipelineError::NoHistory`] and [`PipelineError::TwoHistories`].
    pub async fn load_history(
        request: &SourceRequest,
        as_of: Timestamp,
        base: &Path,
    ) -> Result<observe::Observed<History>, PipelineError> {
        let given = (as_of < Timestamp::MAX).then_some(as_of);
        let mut observed = match (&request.history, &request.prometheus) {
            (Some(file), None) => observe::read_history(&base.join(file), given)?,
            (None, Some(prometheus)) => {
                foremesh_observe::query_prometheus(prometheus, as_of, base).await?
            }
            (Some(_), Some(_)) => return Err(PipelineError::TwoHistories),
            (None, None) => return Err(PipelineError::NoHistory),
        };
        observed.value = observed.value.until(as_of);
        Ok(observed)
    }

    /// The texts of the manifests among the sources of the graph, by path; none where they cannot be read, which [`Sources::load`] says.
    pub fn manifests(request: &SourceRequest, base: &Path) -> BTreeMap<String, String> {
        let paths: Vec<_> = request.graph.iter().map(|path| base.join(path)).collect();
        observe::read_manifests(&paths).unwrap_or_default()
    }

    /// Reads graph and catalogue alone. Spans at or after `as_of` are left out.
    ///
    /// # Errors
    /// [`PipelineError::Observe`] when a source cannot be read.
    pub fn load_graph(
        request: &SourceRequest,
        as_of: Option<Timestamp>,
        base: &Path,
    ) -> Result<observe::Observed<ServiceGraph>, PipelineError> {
        let paths: Vec<_> = request.graph.iter().map(|path| base.join(path)).collect();
        let observed = observe::read_graph(&paths, as_of)?;
        let mut catalogued = with_catalogue(&observed.value, request, base)?;
        let mut warnings = observed.warnings;
        warnings.append(&mut catalogued.warnings);
        Ok(observe::Observed {
            value: catalogued.value,
            warnings,
        })
    }
}

/// Says which columns of a history move nothing.
fn unused_metrics(history: &History) -> Option<Warning> {
    let unused: std::collections::BTreeSet<&str> = history
        .series
        .keys()
        .map(|key| key.metric.as_str())
        .filter(|metric| {
            *metric != METRIC_REQUESTS_PER_SECOND && !observe::MEASURES.contains(metric)
        })
        .collect();
    if unused.is_empty() {
        return None;
    }
    let names: Vec<&str> = unused.into_iter().collect();
    Some(Warning {
        severity: Severity::Note,
        code: "history_metrics_unused".into(),
        subject: "history".into(),
        text: format!(
            "{} move no setting: beside requests_per_second only {} are read; what is known ahead belongs in business_metrics",
            names.join(", "),
            observe::MEASURES.join(", ")
        ),
    })
}

fn with_catalogue(
    graph: &ServiceGraph,
    request: &SourceRequest,
    base: &Path,
) -> Result<observe::Observed<ServiceGraph>, PipelineError> {
    let (catalogue, mut warnings) = match &request.catalogue {
        Some(file) => {
            let observed = observe::read_catalogue(&base.join(file))?;
            (observed.value, observed.warnings)
        }
        None => (Catalogue::default(), Vec::new()),
    };
    let mut observed = observe::with_catalogue(graph, &catalogue)?;
    warnings.append(&mut observed.warnings);
    Ok(observe::Observed {
        value: observed.value,
        warnings,
    })
}

/// A graph without edges, for telemetry that nothing else describes.
fn services_of(history: &History) -> Result<ServiceGraph, PipelineError> {
    let mut names: Vec<_> = history
        .series
        .keys()
        .map(|key| key.service.clone())
        .collect();
    names.sort();
    names.dedup();
    Ok(ServiceGraph::new(
        names.into_iter().map(Service::named).collect(),
        Vec::new(),
    )?)
}
