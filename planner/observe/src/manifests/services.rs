//! Which workload serves under which name: a Kubernetes Service and the workloads it selects are one service.

use std::collections::{BTreeMap, BTreeSet};

use foremesh_model::ServiceName;

use super::objects::{Object, Objects};
use crate::{graph::facts::foreign_name, yaml::Node};

/// The kinds that run pods.
pub(crate) const WORKLOADS: [&str; 9] = [
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "ReplicaSet",
    "ReplicationController",
    "Pod",
    "Rollout",
    "CronJob",
    "Job",
];

/// The services of all manifests, and how to find them.
pub(crate) struct ServiceIndex<'a> {
    /// Kubernetes Services and workloads without one, by the name they go by here.
    pub by_name: BTreeMap<ServiceName, Entry<'a>>,
    /// Kubernetes Services by (namespace, name) → the service they stand for.
    hosts: BTreeMap<(Option<String>, String), ServiceName>,
}

/// One service.
#[derive(Default)]
pub(crate) struct Entry<'a> {
    /// Its Kubernetes Services; the first gives it its name.
    pub services: Vec<&'a Object>,
    pub workloads: Vec<&'a Object>,
}

impl<'a> ServiceIndex<'a> {
    pub fn of(objects: &'a Objects) -> Self {
        let mut index = Self {
            by_name: BTreeMap::new(),
            hosts: BTreeMap::new(),
        };
        let services: Vec<&Object> = objects.of(&["Service"]).collect();
        let mut chosen: BTreeMap<*const Object, Vec<&Object>> = BTreeMap::new();
        let mut serving: BTreeSet<*const Object> = BTreeSet::new();
        for workload in objects.of(&WORKLOADS) {
            let mut selecting: Vec<&Object> = services
                .iter()
                .copied()
                .filter(|s| selects(s, workload))
                .collect();
            selecting.sort_by_key(|service| preference(service, workload));
            let Some(first) = selecting.first().copied() else {
                if let Some(name) = foreign_name(workload.namespace.as_deref(), &workload.name) {
                    index
                        .by_name
                        .entry(name)
                        .or_default()
                        .workloads
                        .push(workload);
                }
                continue;
            };
            serving.extend(selecting.iter().map(|s| std::ptr::from_ref(*s)));
            let Some(name) = name_of(first) else { continue };
            let entry = index.by_name.entry(name.clone()).or_default();
            entry.workloads.push(workload);
            for service in selecting {
                if !entry.services.iter().any(|s| std::ptr::eq(*s, service)) {
                    entry.services.push(service);
                }
            }
            chosen
                .entry(std::ptr::from_ref(first))
                .or_default()
                .push(workload);
        }
        // Services whose workloads are not in these files.
        for service in services {
            if serving.contains(&std::ptr::from_ref(service)) {
                continue;
            }
            if let Some(name) = name_of(service) {
                index
                    .by_name
                    .entry(name)
                    .or_default()
                    .services
                    .push(service);
            }
        }
        for (name, entry) in &index.by_name {
            for service in &entry.services {
                index.hosts.insert(
                    (service.namespace.clone(), service.name.clone()),
                    name.clone(),
                );
            }
        }
        index
    }

    /// The service that a host name means for someone in `namespace`: as cluster DNS resolves it, with an unknown namespace
    /// fitting any where only one service has the name.
    pub fn host(&self, host: &str, namespace: Option<&str>) -> Option<&ServiceName> {
        let mut labels = host.split('.');
        let name = labels.next().filter(|l| !l.is_empty())?;
        let target = labels.next();
        let rest: Vec<&str> = labels.collect();
        if rest.first().is_some_and(|label| *label != "svc") {
            return None;
        }
        let key = |namespace: Option<&str>| (namespace.map(str::to_owned), name.to_owned());
        let wanted = target.or(namespace);
        if let Some(exact) = self.hosts.get(&key(wanted)) {
            return Some(exact);
        }
        let mut fitting = self.hosts.iter().filter(|((ns, n), _)| {
            n == name && (ns.is_none() || wanted.is_none() || ns.as_deref() == wanted)
        });
        match (fitting.next(), fitting.next()) {
            (Some((_, only)), None) => Some(only),
            _ => None,
        }
    }

    /// The service that a workload belongs to.
    pub fn workload(
        &self,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
    ) -> Option<&ServiceName> {
        self.by_name
            .iter()
            .find(|(_, entry)| {
                entry.workloads.iter().any(|w| {
                    (kind.is_empty() || w.kind == kind)
                        && w.name == name
                        && (w.namespace.as_deref() == namespace
                            || w.namespace.is_none()
                            || namespace.is_none())
                })
            })
            .map(|(service, _)| service)
    }

    /// The services whose pods carry all of these labels.
    pub fn labelled(
        &self,
        labels: &[(String, Node)],
        namespace: Option<&str>,
    ) -> Vec<&ServiceName> {
        self.by_name
            .iter()
            .filter(|(_, entry)| {
                entry.workloads.iter().any(|w| {
                    (w.namespace.as_deref() == namespace
                        || w.namespace.is_none()
                        || namespace.is_none())
                        && carries(w, labels)
                })
            })
            .map(|(name, _)| name)
            .collect()
    }
}

fn name_of(service: &Object) -> Option<ServiceName> {
    foreign_name(service.namespace.as_deref(), &service.name)
}

/// The pod template of a workload.
pub(crate) fn pod(workload: &Object) -> Option<&Node> {
    match workload.kind.as_str() {
        "Pod" => Some(&workload.node),
        "CronJob" => workload
            .node
            .at(&["spec", "jobTemplate", "spec", "template"]),
        _ => workload.node.at(&["spec", "template"]),
    }
}

/// The labels of a workload's pods.
pub(crate) fn labels(workload: &Object) -> &[(String, Node)] {
    pod(workload)
        .and_then(|pod| pod.at(&["metadata", "labels"]))
        .map_or(&[], Node::fields)
}

fn carries(workload: &Object, wanted: &[(String, Node)]) -> bool {
    let labels = labels(workload);
    !wanted.is_empty()
        && wanted.iter().all(|(key, value)| {
            labels
                .iter()
                .any(|(k, v)| k == key && v.scalar() == value.scalar())
        })
}

fn selects(service: &Object, workload: &Object) -> bool {
    let same_namespace = service.namespace == workload.namespace
        || service.namespace.is_none()
        || workload.namespace.is_none();
    let selector = service
        .node
        .at(&["spec", "selector"])
        .map_or(&[][..], Node::fields);
    same_namespace && carries(workload, selector)
}

/// The Service that gives its name comes first: a ClusterIP over a headless or outer one, the workload's own name, the shorter.
fn preference(service: &Object, workload: &Object) -> (bool, bool, bool, usize, String) {
    let spec = |key: &str| service.node.text_at(&["spec", key]);
    let app = labels(workload)
        .iter()
        .find(|(key, _)| key == "app" || key == "app.kubernetes.io/name")
        .and_then(|(_, value)| value.scalar());
    let own_name = service.name == workload.name || Some(&service.name) == app.as_ref();
    (
        spec("clusterIP") == Some("None"),
        !own_name,
        matches!(spec("type"), Some("LoadBalancer" | "NodePort")),
        service.name.len(),
        service.name.clone(),
    )
}
