//! Hosts and labels of Istio's objects as services: exact names, wildcards, hosts outside of the cluster, selected callers.

use std::collections::BTreeSet;

use foremesh_model::ServiceName;

use crate::{
    graph::facts::foreign_name, manifests::services::ServiceIndex, traces::cluster_host, yaml::Node,
};

/// The services that a host means for an object in `namespace`.
pub(super) fn services(
    index: &ServiceIndex<'_>,
    host: &str,
    namespace: Option<&str>,
) -> Vec<ServiceName> {
    let host = host.trim();
    if let Some(suffix) = host.strip_prefix('*') {
        return matching(index, suffix, namespace);
    }
    if let Some(known) = index.host(host, namespace) {
        return vec![known.clone()];
    }
    let name = match cluster_host(host) {
        Some((own, name)) => foreign_name(own.or(namespace), name),
        // A host outside of the cluster goes by its whole name, as a ServiceEntry gives it.
        None => host
            .contains('.')
            .then(|| foreign_name(None, host))
            .flatten(),
    };
    name.into_iter().collect()
}

/// The services whose name in cluster DNS ends so; `*` alone means all.
fn matching(index: &ServiceIndex<'_>, suffix: &str, namespace: Option<&str>) -> Vec<ServiceName> {
    index
        .by_name
        .keys()
        .filter(|name| {
            let within = name.namespace().or(namespace).unwrap_or("default");
            format!("{}.{within}.svc.cluster.local", name.short()).ends_with(suffix)
        })
        .cloned()
        .collect()
}

/// The callers that labels select, `None` being every caller. No caller where labels are given that no workload carries.
pub(super) fn callers(
    index: &ServiceIndex<'_>,
    labels: Option<&Node>,
    namespace: Option<&str>,
) -> Vec<Option<ServiceName>> {
    match labels.map(Node::fields) {
        None | Some([]) => vec![None],
        Some(labels) => index
            .labelled(labels, namespace)
            .into_iter()
            .cloned()
            .map(Some)
            .collect(),
    }
}

/// The same names once each, in order.
pub(super) fn unique<T: Ord>(names: Vec<T>) -> Vec<T> {
    let set: BTreeSet<T> = names.into_iter().collect();
    set.into_iter().collect()
}
