//! KEDA: one cron trigger for each step of the schedule, a request-rate trigger where a Prometheus server is named, and a fallback.

use foremesh_model::{Protocol, ServiceName, ServiceSettings, Settings};
use serde_json::{Value, json};

use super::{behavior, replicas, windows};
use crate::{RenderError, RenderOptions, kubernetes::Place, policy};

/// How far measured requests may lead beyond the schedule's most instances.
const BEYOND_SCHEDULE: u32 = 2;

pub(super) fn spec(
    settings: &Settings,
    options: &RenderOptions,
    name: &ServiceName,
    service: &ServiceSettings,
    place: &Place,
) -> Result<Value, RenderError> {
    let most = replicas(policy::most_instances(service));
    let mut triggers: Vec<Value> = windows::of(settings, options, name, service)?
        .iter()
        .map(|window| {
            json!({
                "type": "cron",
                "name": window.name,
                "metadata": {
                    "timezone": settings.timezone,
                    "start": window.start,
                    "end": window.end,
                    "desiredReplicas": replicas(window.instances).to_string(),
                },
            })
        })
        .collect();
    let measured = rate_trigger(options, service, place);
    let ceiling = if measured.is_some() {
        replicas(most.saturating_mul(BEYOND_SCHEDULE))
    } else {
        most
    };
    triggers.extend(measured);
    Ok(json!({
        "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": place.name },
        "minReplicaCount": replicas(policy::fewest_instances(service)),
        "maxReplicaCount": ceiling,
        "pollingInterval": 15,
        "cooldownPeriod": 300,
        "fallback": {
            "failureThreshold": 3,
            "replicas": most,
            "behavior": "currentReplicasIfHigher",
        },
        "advanced": {
            "restoreToOriginalReplicaCount": false,
            "horizontalPodAutoscalerConfig": { "behavior": behavior() },
        },
        "triggers": triggers,
    }))
}

/// Requests a second of one instance as the plan loads it in its hardest hour.
fn planned_rps(service: &ServiceSettings) -> f64 {
    let instances = service.needs.instances.most().max(1);
    let planned = service.needs.demand_rps / f64::from(instances);
    if planned.is_finite() && planned > 0.0 {
        planned.min(service.rate_limit.requests_per_second)
    } else {
        service.rate_limit.requests_per_second
    }
}

fn rate_trigger(
    options: &RenderOptions,
    service: &ServiceSettings,
    place: &Place,
) -> Option<Value> {
    let server = options.prometheus_address.as_ref()?;
    if service.protocol == Protocol::Tcp {
        return None;
    }
    let host = place.host(options);
    Some(json!({
        "type": "prometheus",
        "name": "requests",
        "metricType": "AverageValue",
        "metadata": {
            "serverAddress": server,
            "query": format!(
                "sum(rate(istio_requests_total{{reporter=\"destination\",destination_service=\"{host}\"}}[1m]))"
            ),
            "threshold": format!("{}", (planned_rps(service) * 100.0).ceil() / 100.0),
        },
    }))
}
