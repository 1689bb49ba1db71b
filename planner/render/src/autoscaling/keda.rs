//! KEDA: one cron trigger for each step of the schedule, a request-rate trigger where a Prometheus server is named, and a fallback. Where the plan
//! has an autoscaler beyond the schedule, the trigger has its target, and is one by processor time where no Prometheus server is named.

use foremesh_model::{Autoscaling, Protocol, ServiceName, ServiceSettings, Settings};
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
    let most = replicas(service.most_scheduled_instances());
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
    let measured = rate_trigger(options, service, place)
        .or_else(|| service.autoscaling.as_ref().map(cpu_trigger));
    let ceiling = if service.autoscaling.is_some() {
        replicas(service.most_instances())
    } else if measured.is_some() {
        replicas(most.saturating_mul(BEYOND_SCHEDULE))
    } else {
        most
    };
    triggers.extend(measured);
    Ok(json!({
        "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": place.name },
        "minReplicaCount": replicas(service.fewest_instances()),
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

/// Requests a second of one instance at which KEDA is to aim: the plan's target, or what the plan loads it with in its hardest hour.
fn planned_rps(service: &ServiceSettings) -> f64 {
    if let Some(scaled) = &service.autoscaling {
        return scaled.target_requests_per_second();
    }
    let instances = service.needs.instances.most().max(1);
    let planned = service.needs.demand_rps / f64::from(instances);
    if planned.is_finite() && planned > 0.0 {
        planned.min(service.rate_limit.requests_per_second)
    } else {
        service.rate_limit.requests_per_second
    }
}

/// By processor time, as a share of what is requested: what busy workers stand for where their work is the processor's.
fn cpu_trigger(scaled: &Autoscaling) -> Value {
    json!({
        "type": "cpu",
        "name": "busy",
        "metricType": "Utilization",
        "metadata": { "value": policy::target_percent(scaled).to_string() },
    })
}

fn rate_trigger(
    options: &RenderOptions,
    service: &ServiceSettings,
    place: &Place,
) -> Option<Value> {
    let server = options.prometheus_address.as_ref()?;
    if rate_trigger_is_out(options, service) {
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

/// What whoever applies the object must know.
pub(super) fn notes(options: &RenderOptions, service: &ServiceSettings) -> Vec<String> {
    let by_cpu = service.autoscaling.is_some() && rate_trigger_is_out(options, service);
    let note = || {
        "beyond the schedule this object scales by processor time, as a share of what the containers request: they must request what one worker \
         of each needs; name a Prometheus server (prometheus_address) to scale by requests, which is surer where workers wait for others"
            .to_owned()
    };
    by_cpu.then(note).into_iter().collect()
}

fn rate_trigger_is_out(options: &RenderOptions, service: &ServiceSettings) -> bool {
    options.prometheus_address.is_none() || service.protocol == Protocol::Tcp
}
