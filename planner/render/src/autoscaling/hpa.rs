//! Kubernetes' own autoscaler: the schedule's fewest and the plan's most as bounds, CPU between them; at the plan's target where it has one.

use foremesh_model::ServiceSettings;
use serde_json::{Value, json};

use super::{behavior, replicas};
use crate::{RenderOptions, kubernetes::Place, policy};

pub(super) fn spec(options: &RenderOptions, service: &ServiceSettings, place: &Place) -> Value {
    let percent = match &service.autoscaling {
        Some(scaled) => policy::target_percent(scaled),
        None => options.cpu_target_percent,
    };
    json!({
        "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": place.name },
        "minReplicas": replicas(service.fewest_instances()),
        "maxReplicas": replicas(service.most_instances()),
        "metrics": [{
            "type": "Resource",
            "resource": {
                "name": "cpu",
                "target": { "type": "Utilization", "averageUtilization": percent },
            },
        }],
        "behavior": behavior(),
    })
}
