//! `foremesh audit`: the limits that manifests set today against what the forecast needs of them.
//!
//! It answers before anybody trusts a plan: nothing of it is applied, and each finding names the file and line that it
//! speaks of. Requests are forecast for a region that runs already, from its own history.

mod assumed;
mod calls;
mod replicas;
mod retries;
pub(crate) mod scale;
mod stateful;
mod yardstick;

use std::path::{Path, PathBuf};

use foremesh_forecast::DaysOff;
use foremesh_model::{
    GraphError, History, ProfileRequest, RegionName, RegionRequest, ServiceGraph, ServiceName,
    Severity, SourceRequest, Timestamp, Warning,
};
use foremesh_observe::{ExistingLimit, Observed, read_limits};
use serde::Serialize;

use crate::{PipelineError, Sources, compute_profile, predict_region};
use scale::Scale;
use yardstick::Yardstick;

/// What is audited against what.
#[derive(Debug, Clone)]
pub struct AuditRequest {
    /// Files and folders with the manifests as they are.
    pub manifests: Vec<String>,
    /// Where telemetry, the service graph beside the manifests, and capacities come from: the sources of a plan.
    pub sources: SourceRequest,
    /// The region whose demand counts; none: the one with the most history.
    pub region: Option<RegionName>,
    /// Hours ahead.
    pub horizon_hours: u32,
    /// The instant after which nothing may be known; none: the end of the region's history.
    pub as_of: Option<Timestamp>,
}

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Audit {
    /// The region whose demand counts.
    pub region: RegionName,
    /// The instant after which nothing was known.
    pub as_of: Timestamp,
    /// Hours ahead that were compared.
    pub horizon_hours: u32,
    /// How many services were compared: those that the forecast brings requests.
    pub services: usize,
    /// How many values the manifests set.
    pub values: usize,
    /// The worst first.
    pub findings: Vec<AuditFinding>,
    /// What to know about the sources.
    pub warnings: Vec<Warning>,
}

/// One limit that does not fit the forecast.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuditFinding {
    /// Severe: the forecast breaks it or it breaks the traffic. Caution: it protects nothing. Note: it costs more than it must.
    pub severity: Severity,
    /// The service, the services with commas between, or `caller->callee`.
    pub subject: String,
    /// Every service whose limits it is about.
    pub services: Vec<ServiceName>,
    /// The field as manifests name it.
    pub field: String,
    /// What is set; none: nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has: Option<f64>,
    /// What the forecast needs, in the same unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needs: Option<f64>,
    /// The hour that needs it most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// `file:line` of the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// `DestinationRule shop/cart`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// What does not fit, in one sentence.
    pub text: String,
}

impl AuditFinding {
    /// A finding about a value that is set.
    fn on(severity: Severity, limit: &ExistingLimit, text: String) -> Self {
        Self {
            severity,
            subject: match &limit.caller {
                Some(caller) => format!("{caller}->{}", limit.service),
                None => limit.service.to_string(),
            },
            services: vec![limit.service.clone()],
            field: limit.field.name().into(),
            has: limit.number(),
            needs: None,
            at: None,
            place: Some(format!("{}:{}", limit.file, limit.line)),
            document: Some(limit.document.clone()),
            text,
        }
    }

    /// A finding about values that nothing sets.
    fn unset(services: &[&ServiceName], field: &str, text: String) -> Self {
        let names: Vec<&str> = services.iter().map(|service| service.as_str()).collect();
        Self {
            severity: Severity::Caution,
            subject: names.join(", "),
            services: services.iter().map(|&service| service.clone()).collect(),
            field: field.into(),
            has: None,
            needs: None,
            at: None,
            place: None,
            document: None,
            text,
        }
    }

    fn needing(mut self, needs: f64, at: Timestamp) -> Self {
        self.needs = Some(needs);
        self.at = Some(at);
        self
    }
}

/// Compares what manifests set with what the forecast of a region needs.
///
/// # Errors
/// [`PipelineError`] when a source cannot be read, when the history holds no such region, or when it is too short.
pub async fn audit(request: &AuditRequest, base: &Path) -> Result<Audit, PipelineError> {
    let paths: Vec<PathBuf> = request
        .manifests
        .iter()
        .map(|path| base.join(path))
        .collect();
    let limits = read_limits(&paths)?;
    let source = SourceRequest {
        graph: [request.manifests.clone(), request.sources.graph.clone()].concat(),
        ..request.sources.clone()
    };
    let sources = Sources::load(&source, request.as_of.unwrap_or(Timestamp::MAX), base).await?;
    let history = &sources.history;
    let region = match &request.region {
        Some(region) => region.clone(),
        None => most_measured(history).ok_or(PipelineError::NoServices)?,
    };
    let end = history
        .series
        .iter()
        .filter(|(key, _)| key.region == region)
        .map(|(_, series)| series.end())
        .max();
    let as_of = match (request.as_of, end) {
        (Some(as_of), _) => as_of,
        (None, Some(end)) => end,
        (None, None) => {
            let known = history.regions();
            let known: Vec<&str> = known.iter().map(|region| region.as_str()).collect();
            return Err(PipelineError::RequestValue {
                field: "region".into(),
                cause: format!(
                    "the history has no region {region}; it has {}",
                    known.join(", ")
                ),
            });
        }
    };
    let forecast = predict_region(
        &sources,
        &RegionRequest {
            region: region.clone(),
            timezone: "UTC".into(),
            as_of,
            go_live: as_of,
            horizon_hours: request.horizon_hours,
            donors: Default::default(),
            donor_timezones: Default::default(),
            holidays: Vec::new(),
            donor_holidays: Default::default(),
            share_uncertainty: None,
            events: Vec::new(),
            seed: 1,
        },
        &Observed::clean(DaysOff::default()),
    )?;
    let profile = ProfileRequest::default();
    let plan = compute_profile(&sources.graph, &forecast.demand, &profile, &sources.models)?;
    let requirements = foremesh_policy::Requirements::of(
        &one_suffices(&sources.graph)?,
        &forecast.demand,
        &profile,
    )?;
    let yardstick = Yardstick {
        limits: &limits.value,
        needs: &requirements,
        plan: &plan,
        scale: Scale::of(&limits.value, &limits.warnings),
    };
    let mut findings = replicas::compare(&yardstick);
    findings.extend(calls::compare(&yardstick));
    findings.extend(stateful::compare(&yardstick, &sources.graph));
    // What retries multiply rests on no capacity and on no rate.
    assumed::soften(&mut findings, &sources.graph, &yardstick);
    findings.extend(retries::compare(&yardstick));
    let services = requirements
        .services
        .keys()
        .filter(|service| yardstick.has_demand(service))
        .count();
    findings.sort_by(|a, b| {
        (a.severity, &a.subject, &a.field, &a.place)
            .cmp(&(b.severity, &b.subject, &b.field, &b.place))
    });
    let mut warnings = limits.warnings;
    warnings.extend(sources.warnings);
    warnings.extend(forecast.warnings);
    // A plan's own warnings say what was assumed of services and of calls between them.
    warnings.extend(plan.warnings);
    warnings.sort();
    warnings.dedup();
    Ok(Audit {
        region,
        as_of,
        horizon_hours: request.horizon_hours,
        services,
        values: limits.value.values.len(),
        findings,
        warnings,
    })
}

/// The graph with the fewest instances of every service at one: how many a plan keeps so that one may fail is a choice, and no demand.
pub(crate) fn one_suffices(graph: &ServiceGraph) -> Result<ServiceGraph, GraphError> {
    let services = graph.services().cloned().map(|mut service| {
        service.capacity.min_instances = Some(1);
        service
    });
    ServiceGraph::new(services.collect(), graph.edges().cloned().collect())
}

/// The region with the most values; the first by name of several.
fn most_measured(history: &History) -> Option<RegionName> {
    let values = |region: &RegionName| -> usize {
        history
            .series
            .iter()
            .filter(|(key, _)| key.region == *region)
            .map(|(_, series)| series.values.len() - series.gaps())
            .sum()
    };
    history
        .regions()
        .into_iter()
        .map(|region| (values(region), region))
        .max_by(|a, b| a.0.cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, region)| region.clone())
}

#[cfg(test)]
mod tests;
