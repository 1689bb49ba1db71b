//! What is set at services that keep state although it harms them: ejection, autoscaling, repeated requests.

use foremesh_model::{ServiceGraph, ServiceName, Severity};
use foremesh_observe::LimitField;

use super::{AuditFinding, yardstick::Yardstick};

/// Compares what is set at every service that a plan would leave as it is.
pub(super) fn compare(yardstick: &Yardstick<'_>, graph: &ServiceGraph) -> Vec<AuditFinding> {
    let services = yardstick.plan.settings.stateful_services.keys();
    services
        .flat_map(|service| {
            let instances = graph.service(service).and_then(|found| found.instances);
            [
                ejected(yardstick, service, instances),
                scaled(yardstick, service),
                tried_again(yardstick, service),
            ]
        })
        .flatten()
        .collect()
}

/// Callers' proxies that take an instance out after a run of errors: of what keeps state no other instance does its work.
fn ejected(
    yardstick: &Yardstick<'_>,
    service: &ServiceName,
    instances: Option<u32>,
) -> Option<AuditFinding> {
    // 0 errors in a row: never.
    let limit = [
        LimitField::ConsecutiveErrors,
        LimitField::ConsecutiveGatewayErrors,
        LimitField::MaxEjectionPercent,
    ]
    .into_iter()
    .find_map(|field| {
        let mut limits = yardstick.limits.of(service, field);
        limits.find(|limit| limit.number() > Some(0.0))
    })?;
    let (severity, text) = match instances {
        Some(0 | 1) => (
            Severity::Severe,
            "it keeps state and runs one instance: ejecting it after a run of errors is an outage of its own; remove outlier detection",
        ),
        _ => (
            Severity::Caution,
            "it keeps state: its instances do not stand in for each other, and ejecting the primary after a run of errors is an outage of its own; remove outlier detection",
        ),
    };
    Some(AuditFinding::on(severity, limit, text.into()))
}

fn scaled(yardstick: &Yardstick<'_>, service: &ServiceName) -> Option<AuditFinding> {
    let limit = yardstick
        .limits
        .of(service, LimitField::MaxReplicas)
        .next()?;
    let text = "it keeps state: an autoscaler that adds or removes instances moves data or loses it, unless an operator of the store does it";
    Some(AuditFinding::on(Severity::Caution, limit, text.into()))
}

fn tried_again(yardstick: &Yardstick<'_>, service: &ServiceName) -> Option<AuditFinding> {
    let limit = yardstick
        .limits
        .of(service, LimitField::RetryAttempts)
        .find(|limit| limit.number() > Some(0.0))?;
    let text = "it keeps state: the mesh does not know which requests write, and one that is sent again may be done twice; leave retries to the client";
    Some(AuditFinding::on(Severity::Caution, limit, text.into()))
}
