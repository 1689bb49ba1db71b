//! Kubernetes' own autoscaler: the schedule's fewest and most as bounds, CPU between them.

use foremesh_model::ServiceSettings;
use serde_json::{Value, json};

use super::{behavior, replicas};
use crate::{RenderOptions, kubernetes::Place, policy};

pub(super) fn spec(options: &RenderOptions, service: &ServiceSettings, place: &Place) -> Value {
    json!({
        "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": place.name },
        "minReplicas": replicas(policy::fewest_instances(service)),
        "maxReplicas": replicas(policy::most_instances(service)),
        "metrics": [{
            "type": "Resource",
            "resource": {
                "name": "cpu",
                "target": { "type": "Utilization", "averageUtilization": options.cpu_target_percent },
            },
        }],
        "behavior": behavior(),
    })
}
