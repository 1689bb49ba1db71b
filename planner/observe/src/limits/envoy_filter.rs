//! Limits that EnvoyFilters patch into Istio's proxies: token buckets, circuit breakers, timeouts and retries of routes
//! (<https://istio.io/latest/docs/reference/config/networking/envoy-filter/>).

use foremesh_model::ServiceName;

use super::{
    envoy,
    found::{Binding, Found},
    hosts,
};
use crate::{
    manifests::{
        objects::{Object, Objects},
        services::ServiceIndex,
    },
    yaml::Node,
};

/// The namespace whose filters bind every namespace's proxies, where it is not configured otherwise.
const ROOT_NAMESPACE: &str = "istio-system";

pub(super) fn read(objects: &Objects, index: &ServiceIndex<'_>, found: &mut Found) {
    for object in objects.of(&["EnvoyFilter"]) {
        let Some(spec) = object.node.get("spec") else {
            continue;
        };
        let bound = proxies(index, object, spec);
        for (number, patch) in spec.list_at(&["configPatches"]).iter().enumerate() {
            let Some(value) = patch.at(&["patch", "value"]) else {
                continue;
            };
            let mut binding = Binding::of(objects, object, bound.clone())
                .below(&format!("configPatches[{number}].patch.value"));
            let context = patch.text_at(&["match", "context"]).unwrap_or("ANY");
            let callee =
                callee(patch).map(|host| hosts::services(index, host, object.namespace.as_deref()));
            // Outbound, the selected proxies are the callers.
            let outbound = context == "SIDECAR_OUTBOUND" || callee.is_some();
            if outbound {
                binding.callers = if everywhere(spec) {
                    vec![None]
                } else {
                    bound.iter().cloned().map(Some).collect()
                };
                binding.services = callee.unwrap_or_default();
            }
            if !envoy::sets_limits(value) {
                continue;
            }
            if binding.services.is_empty() {
                found.unbound(
                    objects.file(object),
                    patch.line,
                    &object.label(),
                    if outbound {
                        "the patch limits calls without naming whom they go to (match.cluster.service or match.routeConfiguration.vhost.name); its limits are passed over"
                    } else {
                        "workloadSelector fits no workload of these files; its limits are passed over: give that workload's manifest"
                    },
                );
                continue;
            }
            envoy::limits(&binding, value, found);
        }
    }
}

fn everywhere(spec: &Node) -> bool {
    let labels = spec.at(&["workloadSelector", "labels"]);
    labels.is_none_or(|labels| labels.fields().is_empty()) && spec.get("targetRefs").is_none()
}

/// The services whose proxies a filter patches.
fn proxies(index: &ServiceIndex<'_>, object: &Object, spec: &Node) -> Vec<ServiceName> {
    let namespace = object.namespace.as_deref();
    let anywhere = namespace == Some(ROOT_NAMESPACE);
    let within = namespace.filter(|_| !anywhere);
    if everywhere(spec) {
        let here = |name: &&ServiceName| {
            within.is_none() || name.namespace().is_none() || name.namespace() == within
        };
        return index.by_name.keys().filter(here).cloned().collect();
    }
    let labels = spec
        .at(&["workloadSelector", "labels"])
        .map_or(&[][..], Node::fields);
    let mut names: Vec<ServiceName> = index
        .labelled(labels, within)
        .into_iter()
        .cloned()
        .collect();
    for target in spec.list_at(&["targetRefs"]) {
        if target.text_at(&["kind"]) == Some("Service")
            && let Some(name) = target.text_at(&["name"])
        {
            names.extend(hosts::services(index, name, namespace));
        }
    }
    hosts::unique(names)
}

/// The host that a patch of outbound calls is for.
fn callee(patch: &Node) -> Option<&str> {
    let matched = patch.get("match")?;
    if let Some(service) = matched.text_at(&["cluster", "service"]) {
        return Some(service);
    }
    if let Some(name) = matched.text_at(&["cluster", "name"]) {
        return name
            .starts_with("outbound")
            .then(|| name.rsplit('|').next())?;
    }
    // Istio names virtual hosts `cart.shop.svc.cluster.local:7070`; those inbound are `inbound|http|7070`.
    let host = matched.text_at(&["routeConfiguration", "vhost", "name"])?;
    let host = host.split(':').next().unwrap_or(host);
    (!host.contains('|')).then_some(host)
}
