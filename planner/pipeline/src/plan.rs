//! From sources to demand, from demand to settings, and both in one step.

use std::{collections::BTreeSet, ops::ControlFlow, path::Path};

use foremesh_forecast::{
    DaysOff, ForecastError, ForecastInput, RegionForecast, SeriesForecast, SeriesInput, Step,
    forecast_each, forecast_region,
};
use foremesh_model::{
    Demand, Event, History, PLAN_FORMAT_VERSION, PlanIdentity, PolicyKind, ProfileRequest,
    RegionPlan, RegionRequest, SeriesKey, ServiceGraph, ServiceName, Timestamp, Warning,
};
use foremesh_observe::{Observed, read_business_metrics};
use foremesh_policy::{Method, PolicyInput};

use foremesh_render::Target;

use crate::{
    Models, PipelineError, PlanRequest, Sources, clashes::clashes, days_off, request::check_profile,
};

/// The services where requests enter: those that the graph marks, else those with telemetry in the region or its donors
/// that no other service calls, else all with telemetry.
pub fn entries(
    history: &History,
    graph: &ServiceGraph,
    request: &RegionRequest,
) -> Vec<ServiceName> {
    let regions = std::iter::once(&request.region).chain(request.donors.keys());
    let measured: BTreeSet<&ServiceName> = regions
        .flat_map(|region| history.services(region))
        .collect();
    let called = |name: &ServiceName| match graph.resolve(name) {
        Some(service) => match service.entry {
            Some(entry) => !entry,
            None => graph
                .edges()
                .any(|edge| edge.callee == service.name && edge.caller != service.name),
        },
        None => false,
    };
    let roots: Vec<ServiceName> = measured
        .iter()
        .filter(|name| !called(name))
        .map(|name| (*name).clone())
        .collect();
    if roots.is_empty() {
        measured.into_iter().cloned().collect()
    } else {
        roots
    }
}

/// Forecasts the demand of a region, with the events of the sources beside the request's own: of two with one name and start the request's
/// counts. `days_off` are the region's public holidays, see [`crate::days_off`].
///
/// # Errors
/// [`PipelineError::Forecast`] when the history does not allow it, [`PipelineError::Inference`] for a model that cannot be had.
pub fn predict_region(
    sources: &Sources,
    request: &RegionRequest,
    days_off: &Observed<DaysOff>,
) -> Result<RegionForecast, PipelineError> {
    let history = sources.history.until(request.as_of);
    let entries = entries(&history, &sources.graph, request);
    let request = RegionRequest {
        events: joined(&request.events, &sources.events),
        ..request.clone()
    };
    let mut forecast = forecast_region(&ForecastInput {
        history: &history,
        request: &request,
        entries: &entries,
        forecaster: sources.models.forecaster()?,
        days_off: &days_off.value,
        business_metrics: sources.business_metrics.as_ref(),
    })?;
    forecast.warnings.extend(days_off.warnings.iter().cloned());
    forecast.warnings = in_order(forecast.warnings);
    Ok(forecast)
}

/// A request's own events, then those of the sources that it does not name itself.
fn joined(own: &[Event], listed: &[Event]) -> Vec<Event> {
    let is_own = |event: &&Event| {
        own.iter()
            .any(|o| (&o.name, o.starts) == (&event.name, event.starts))
    };
    let others = listed.iter().filter(|event| !is_own(event));
    own.iter().chain(others).cloned().collect()
}

/// What is asked of the series of a history file.
#[derive(Debug, Clone, Copy)]
pub struct HistoryRequest<'a> {
    /// The file, CSV or Parquet.
    pub file: &'a Path,
    /// The instant after which nothing is looked at; None: each series' own end.
    pub as_of: Option<Timestamp>,
    /// The steps that are forecast.
    pub step: Step,
    /// Seconds ahead.
    pub horizon_s: i64,
    /// The learned models, those of these steps: [`Models::of_step`].
    pub models: &'a Models,
    /// What moved demand in the past, and what will.
    pub events: &'a [Event],
    /// File with business metrics, CSV or Parquet: see [`foremesh_model::SourceRequest::business_metrics`].
    pub business_metrics: Option<&'a Path>,
}

/// Forecasts every series of a history file and hands each to `each` as soon as it is there, by region and service; `each` may end it. What is wrong
/// with the history is in the answer.
///
/// # Errors
/// [`PipelineError::Observe`], [`PipelineError::Inference`] and [`PipelineError::Forecast`].
pub fn forecast_history(
    request: &HistoryRequest<'_>,
    each: &mut dyn FnMut(&SeriesKey, SeriesForecast) -> ControlFlow<()>,
) -> Result<Vec<Warning>, PipelineError> {
    let HistoryRequest {
        step, horizon_s, ..
    } = *request;
    if horizon_s % step.seconds() != 0 {
        return Err(ForecastError::HorizonSteps { horizon_s, step }.into());
    }
    let observed = foremesh_observe::read_history(request.file, request.as_of)?;
    let metrics = request.business_metrics.map(read_business_metrics);
    let metrics = metrics.transpose()?;
    let noted = forecast_each(
        &SeriesInput {
            history: &observed.value,
            as_of: request.as_of,
            step,
            horizon: u32::try_from(horizon_s / step.seconds()).unwrap_or(0),
            forecaster: request.models.forecaster()?,
            events: request.events,
            business_metrics: metrics.as_ref().map(|read| &read.value),
        },
        each,
    )?;
    let mut warnings = observed.warnings;
    warnings.extend(metrics.into_iter().flat_map(|read| read.warnings));
    warnings.extend(noted);
    warnings.sort();
    Ok(warnings)
}

/// Computes the settings that answer a demand; `models` has the learned policy, which is loaded only where it is asked for.
///
/// # Errors
/// [`PipelineError::RequestValue`] for a field out of its range, [`PipelineError::Policy`] when no settings can be computed.
pub fn compute_profile(
    graph: &ServiceGraph,
    demand: &Demand,
    request: &ProfileRequest,
    models: &Models,
) -> Result<RegionPlan, PipelineError> {
    check_profile(request)?;
    let input = PolicyInput {
        graph,
        demand,
        request,
    };
    let output = foremesh_policy::plan_with(&input, models.networks())?;
    let mut policy = match request.policy {
        PolicyKind::Auto | PolicyKind::Analytic => "analytic",
        PolicyKind::Search => "search",
        PolicyKind::Gnn => "gnn",
    }
    .to_owned();
    let learned = matches!(output.method, Method::Gnn { .. });
    if let Some(net) = models.policy().filter(|_| learned) {
        policy = format!("{policy}: {}", net.get()?.identity());
    }
    if let Some(refinement) = models.refinement().filter(|_| output.turned) {
        policy = format!("{policy}; refined by {}", refinement.get()?.identity());
    }
    Ok(RegionPlan {
        format_version: PLAN_FORMAT_VERSION,
        identity: PlanIdentity {
            foremesh_version: crate::VERSION.into(),
            policy,
            forecaster: demand.method.clone(),
            as_of: demand.as_of,
        },
        settings: output.settings,
        reasons: output.reasons,
        kpis: output.kpis,
        candidates: output.candidates,
        faults: output.faults,
        warnings: in_order(output.warnings),
        demand: demand.clone(),
        graph: graph.clone(),
    })
}

/// The whole way: request → region plan.
///
/// # Errors
/// [`PipelineError`] for whatever stops it.
pub async fn plan(request: &PlanRequest, base: &Path) -> Result<RegionPlan, PipelineError> {
    let region = &request.predictive_region;
    let sources = Sources::load(&request.provider, region.as_of, base).await?;
    let days_off = days_off(region, base).await?;
    let forecast = predict_region(&sources, region, &days_off)?;
    let mut plan = compute_profile(
        &sources.graph,
        &forecast.demand,
        &request.mesh_profile,
        &sources.models,
    )?;
    plan.warnings.extend(sources.warnings);
    plan.warnings.extend(forecast.warnings);
    plan.warnings.extend(clashes(
        &plan.settings,
        &Target::ALL,
        &request.bundle,
        &sources.manifests,
    ));
    plan.warnings = in_order(plan.warnings);
    Ok(plan)
}

/// Reads a plan that [`crate::PLAN_FILE`] holds.
///
/// # Errors
/// [`PipelineError::RequestRead`] and [`PipelineError::RequestParse`].
pub fn read_plan(path: &Path) -> Result<RegionPlan, PipelineError> {
    let file = if path.is_dir() {
        path.join(crate::PLAN_FILE)
    } else {
        path.to_owned()
    };
    let text = std::fs::read_to_string(&file).map_err(|cause| PipelineError::RequestRead {
        file: file.clone(),
        cause,
    })?;
    serde_json::from_str(&text).map_err(|e| PipelineError::RequestParse {
        file,
        cause: format!("{e}: this is no plan of this version; write it again with `foremesh plan`"),
    })
}

/// The worst first, without repeats.
fn in_order(mut warnings: Vec<Warning>) -> Vec<Warning> {
    warnings.sort();
    warnings.dedup();
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requests_own_events_come_before_listed_ones() {
        let event = |name: &str, starts: &str, uplift: f64| -> Event {
            serde_json::from_value(serde_json::json!({
                "name": name, "starts": starts, "ends": "2026-12-31T00:00:00Z", "uplift": uplift
            }))
            .unwrap()
        };
        let (first, second) = ("2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z");
        let own = [event("sale", first, 1.5)];
        let listed = [
            event("sale", "2026-11-27T01:00:00+01:00", 9.0),
            event("sale", second, 2.0),
            event("launch", first, 3.0),
        ];
        let uplifts: Vec<Option<f64>> = joined(&own, &listed).iter().map(|e| e.uplift).collect();
        assert_eq!(uplifts, [Some(1.5), Some(2.0), Some(3.0)]);
        assert_eq!(joined(&own, &[]), own);
    }
}
