//! How many replicas manifests ask for: workloads, HorizontalPodAutoscalers and KEDA's ScaledObjects.

use foremesh_model::ServiceName;

use super::{
    found::{Binding, Found},
    nouns::{LimitField, ScalingWindow},
};
use crate::{
    graph::facts::foreign_name,
    manifests::{
        objects::{Object, Objects},
        services::ServiceIndex,
    },
    yaml::Node,
};

/// The workloads whose replicas are a number in their manifest.
const REPLICATED: [&str; 5] = [
    "Deployment",
    "StatefulSet",
    "Rollout",
    "ReplicaSet",
    "ReplicationController",
];

pub(super) fn read(objects: &Objects, index: &ServiceIndex<'_>, found: &mut Found) {
    for object in objects.of(&REPLICATED) {
        let service = index.workload(&object.kind, object.namespace.as_deref(), &object.name);
        let Some(service) = service else { continue };
        let binding = Binding::of(objects, object, vec![service.clone()]);
        if let Some(spec) = object.node.get("spec") {
            found.read(&binding, LimitField::Replicas, spec, &["replicas"]);
        }
    }
    for object in objects.of(&["HorizontalPodAutoscaler"]) {
        // KEDA writes an HPA for each ScaledObject; an export of a cluster holds both.
        let target = object.node.at(&["spec", "scaleTargetRef"]);
        let Some((binding, spec)) = bind(objects, index, object, target, found) else {
            continue;
        };
        found.read(&binding, LimitField::MinReplicas, spec, &["minReplicas"]);
        found.read(&binding, LimitField::MaxReplicas, spec, &["maxReplicas"]);
        for (number, metric) in spec.list_at(&["metrics"]).iter().enumerate() {
            for kind in ["resource", "containerResource"] {
                if metric.text_at(&[kind, "name"]) == Some("cpu")
                    && let Some(resource) = metric.get(kind)
                {
                    let part = binding.below(&format!("metrics[{number}].{kind}"));
                    let path = ["target", "averageUtilization"];
                    found.read(&part, LimitField::TargetUtilisation, resource, &path);
                }
            }
        }
    }
    for object in objects.of(&["ScaledObject"]) {
        let target = object.node.at(&["spec", "scaleTargetRef"]);
        let Some((binding, spec)) = bind(objects, index, object, target, found) else {
            continue;
        };
        found.read(
            &binding,
            LimitField::MinReplicas,
            spec,
            &["minReplicaCount"],
        );
        found.read(
            &binding,
            LimitField::MaxReplicas,
            spec,
            &["maxReplicaCount"],
        );
        for (number, trigger) in spec.list_at(&["triggers"]).iter().enumerate() {
            let Some(metadata) = trigger.get("metadata") else {
                continue;
            };
            if trigger.text_at(&["type"]) == Some("cpu") {
                let cpu = binding.below(&format!("triggers[{number}].metadata"));
                found.read(&cpu, LimitField::TargetUtilisation, metadata, &["value"]);
            }
            if trigger.text_at(&["type"]) != Some("cron") {
                continue;
            }
            let text = |key: &str| metadata.get(key).and_then(Node::scalar).unwrap_or_default();
            let mut cron = binding.below(&format!("triggers[{number}].metadata"));
            if let Some(name) = trigger.text_at(&["name"]) {
                cron = cron.part(format!("trigger {name}"));
            }
            cron.schedule = Some(ScalingWindow {
                timezone: text("timezone"),
                start: text("start"),
                end: text("end"),
            });
            found.read(
                &cron,
                LimitField::ScheduledReplicas,
                metadata,
                &["desiredReplicas"],
            );
        }
    }
}

/// The service that an autoscaler scales, and the autoscaler's spec.
fn bind<'a>(
    objects: &Objects,
    index: &ServiceIndex<'_>,
    object: &'a Object,
    target: Option<&Node>,
    found: &mut Found,
) -> Option<(Binding, &'a Node)> {
    let spec = object.node.get("spec")?;
    let service = target.and_then(|target| scaled(index, object, target));
    let Some(service) = service else {
        found.unbound(
            objects.file(object),
            object.line,
            &object.label(),
            "spec.scaleTargetRef names no workload; its limits are passed over: name one",
        );
        return None;
    };
    Some((Binding::of(objects, object, vec![service]), spec))
}

fn scaled(index: &ServiceIndex<'_>, object: &Object, target: &Node) -> Option<ServiceName> {
    let name = target.get("name").and_then(Node::scalar)?;
    let kind = target.text_at(&["kind"]).unwrap_or("Deployment");
    let namespace = object.namespace.as_deref();
    match index.workload(kind, namespace, &name) {
        Some(service) => Some(service.clone()),
        // The workload is in files that were not given, and most go by the name of their service.
        None => foreign_name(namespace, &name),
    }
}
