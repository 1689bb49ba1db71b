//! Which workloads keep state, and how many instances of them run.

use foremesh_model::Protocol;

use super::{
    objects::{Object, Objects},
    services::{Entry, pod},
};
use crate::{
    stores::{self, Store},
    yaml::Node,
};

/// Why a workload is taken to keep state.
pub(super) struct Recognised {
    /// The image that is a store's, where that told it.
    pub image: Option<String>,
    pub protocol: Option<Protocol>,
}

/// Whether a workload keeps state: a StatefulSet, or a container that runs a database, a cache or a broker.
pub(super) fn recognise(workload: &Object) -> Option<Recognised> {
    let containers = pod(workload).map_or(&[][..], |pod| pod.list_at(&["spec", "containers"]));
    // The main container stands first by custom; beside it a store is a cache of its own.
    let store = containers.first().and_then(|container| {
        let image = container.text_at(&["image"])?;
        let Store { protocol, .. } = stores::by_image(image)?;
        Some(Recognised {
            image: Some(image.into()),
            protocol,
        })
    });
    let stateful_set = workload.kind == "StatefulSet";
    store.or_else(|| {
        stateful_set.then_some(Recognised {
            image: None,
            protocol: None,
        })
    })
}

/// Instances of all workloads behind a service; none where an autoscaler moves one of them or nothing says it.
pub(super) fn instances(objects: &Objects, entry: &Entry<'_>) -> Option<u32> {
    if entry.workloads.is_empty() {
        return None;
    }
    entry.workloads.iter().try_fold(0u32, |sum, workload| {
        let countable = matches!(
            workload.kind.as_str(),
            "Deployment" | "StatefulSet" | "Rollout" | "ReplicaSet" | "ReplicationController"
        );
        if !countable || is_scaled(objects, workload) {
            return None;
        }
        let replicas = match workload.node.at(&["spec", "replicas"]) {
            // Kubernetes runs one where nothing is said.
            None => 1,
            Some(node) => whole(node)?,
        };
        sum.checked_add(replicas)
    })
}

fn whole(node: &Node) -> Option<u32> {
    let number = node.number()?;
    (0.0..1e9).contains(&number).then_some(number as u32)
}

fn is_scaled(objects: &Objects, workload: &Object) -> bool {
    objects
        .of(&["HorizontalPodAutoscaler", "ScaledObject"])
        .any(|scaler| {
            let target = |field: &str| scaler.node.text_at(&["spec", "scaleTargetRef", field]);
            target("name") == Some(workload.name.as_str())
                && target("kind").is_none_or(|kind| kind == workload.kind)
                && (scaler.namespace == workload.namespace
                    || scaler.namespace.is_none()
                    || workload.namespace.is_none())
        })
}
