//! The graph that manifests declare: services, and calls where a workload is given the address of another service.

use std::collections::{BTreeMap, BTreeSet};

use foremesh_model::{Protocol, Provenance, ServiceName, SourceKind, Warning};

use super::{
    addresses::{hosts, is_telemetry, names_an_address},
    environment::{Origin, settings},
    objects::{Object, Objects},
    ports::main_port,
    services::{ServiceIndex, labels, pod},
    stateful,
};
use crate::{graph::facts::Fragment, observed::note, traces::cluster_host, yaml::Node};

/// The graph of all objects.
pub(crate) fn fragment(objects: &Objects) -> (Fragment, Vec<Warning>) {
    let index = ServiceIndex::of(objects);
    let mut fragment = Fragment::new(SourceKind::Manifest);
    let mut warnings = Vec::new();
    add_services(objects, &index, &mut fragment);
    let external = external_hosts(objects);
    let mut unknown: BTreeMap<String, (String, String)> = BTreeMap::new();
    let mut silent: BTreeSet<ServiceName> = BTreeSet::new();
    for (caller, entry) in &index.by_name {
        for workload in &entry.workloads {
            let file = objects.file(workload);
            for setting in settings(workload, objects) {
                for host in hosts(&setting.text) {
                    let bare = setting.text.trim() == host.host || setting.text.contains(',');
                    let address = host.certain
                        || (setting.origin == Origin::Variable
                            && bare
                            && names_an_address(&setting.name));
                    if !address {
                        continue;
                    }
                    let place = format!(
                        "{file}:{}: {} of {}",
                        setting.line,
                        setting.name,
                        workload.label()
                    );
                    let known = index.host(host.host, workload.namespace.as_deref());
                    let callee = match known {
                        Some(callee) => callee.clone(),
                        None => match external.get(host.host) {
                            Some(callee) => callee.clone(),
                            None => {
                                let plausible = setting.origin == Origin::Variable
                                    && names_an_address(&setting.name)
                                    && !is_telemetry(&setting.name)
                                    && cluster_host(host.host).is_some_and(|(_, name)| {
                                        name.starts_with(|c: char| c.is_ascii_alphabetic())
                                    });
                                if plausible {
                                    unknown
                                        .entry(host.host.into())
                                        .or_insert_with(|| (caller.to_string(), place));
                                }
                                continue;
                            }
                        },
                    };
                    if callee == *caller {
                        continue;
                    }
                    if is_telemetry(&setting.name) {
                        silent.insert(callee);
                        continue;
                    }
                    let said = fragment.said(place, setting.origin.confidence());
                    let edge = fragment.edge(caller, &callee);
                    if edge.provenance.is_empty() {
                        edge.provenance.push(said);
                    }
                }
            }
        }
    }
    for (host, (caller, place)) in unknown {
        warnings.push(note(
            "address_unknown",
            format!("{caller}->{host}"),
            format!("{place} names {host}, which no manifest defines: the call is left out; give that service's manifest, or add the call to the catalogue"),
        ));
    }
    if !silent.is_empty() {
        let names: Vec<String> = silent.iter().map(ToString::to_string).collect();
        warnings.push(note(
            "telemetry_calls_left_out",
            names.join(", "),
            "addresses of telemetry (OTEL_…, JAEGER_…) are no calls of users and are left out",
        ));
    }
    (fragment, warnings)
}

fn add_services(objects: &Objects, index: &ServiceIndex<'_>, fragment: &mut Fragment) {
    let entries = entries(objects, index);
    for (name, entry) in &index.by_name {
        let place = |object: &Object| {
            format!(
                "{}:{}: {}",
                objects.file(object),
                object.line,
                object.label()
            )
        };
        let said: Vec<_> = entry
            .services
            .first()
            .into_iter()
            .chain(entry.workloads.first())
            .map(|object| fragment.said(place(object), 0.9))
            .collect();
        let facts = fragment.service(name);
        facts.provenance.extend(said);
        for service in &entry.services {
            let (port, protocol) = main_port(service.node.list_at(&["spec", "ports"]));
            facts.port = facts.port.or(port);
            facts.protocol = facts.protocol.or(protocol);
            facts.aliases.insert(service.name.clone());
            let kind = service.node.text_at(&["spec", "type"]);
            if matches!(kind, Some("LoadBalancer" | "NodePort")) {
                facts.entry = Some(true);
            }
        }
        facts.instances = stateful::instances(objects, entry);
        for workload in &entry.workloads {
            if let Some(found) = stateful::recognise(workload) {
                facts.stateful = Some(true);
                facts.protocol = facts.protocol.or(found.protocol);
                facts.provenance.extend(found.image.map(|image| Provenance {
                    source: SourceKind::Manifest,
                    detail: format!("{}: runs {image}", place(workload)),
                    confidence: 0.9,
                }));
            }
            facts.aliases.insert(workload.name.clone());
            for (key, value) in labels(workload) {
                if matches!(
                    key.as_str(),
                    "app" | "app.kubernetes.io/name" | "service.istio.io/canonical-name"
                ) && let Some(value) = value.scalar()
                {
                    facts.aliases.insert(value);
                }
            }
            if facts.protocol.is_none() && probed_by_grpc(workload) {
                facts.protocol = Some(Protocol::Grpc);
            }
        }
        if entries.contains(name) {
            facts.entry = Some(true);
        }
    }
    for (name, object) in routed(objects, index) {
        let said = fragment.said(
            format!(
                "{}:{}: {}",
                objects.file(object),
                object.line,
                object.label()
            ),
            0.5,
        );
        let facts = fragment.service(&name);
        if facts.provenance.is_empty() {
            facts.provenance.push(said);
        }
    }
}

fn probed_by_grpc(workload: &Object) -> bool {
    let containers = pod(workload).map_or(&[][..], |p| p.list_at(&["spec", "containers"]));
    containers.iter().any(|container| {
        ["readinessProbe", "livenessProbe", "startupProbe"]
            .iter()
            .any(|probe| container.at(&[probe, "grpc"]).is_some())
    })
}

/// Services that gateways and ingresses send requests to.
fn entries(objects: &Objects, index: &ServiceIndex<'_>) -> BTreeSet<ServiceName> {
    let mut found = BTreeSet::new();
    let mut add = |host: Option<&str>, object: &Object| {
        if let Some(name) = host.and_then(|h| index.host(h, object.namespace.as_deref())) {
            found.insert(name.clone());
        }
    };
    for ingress in objects.of(&["Ingress"]) {
        let spec = |path: &[&str]| ingress.node.text_at(path);
        add(
            spec(&["spec", "defaultBackend", "service", "name"]),
            ingress,
        );
        for rule in ingress.node.list_at(&["spec", "rules"]) {
            for path in rule.list_at(&["http", "paths"]) {
                add(path.text_at(&["backend", "service", "name"]), ingress);
                add(path.text_at(&["backend", "serviceName"]), ingress);
            }
        }
    }
    for service in objects.of(&["VirtualService"]) {
        let gateways = service.node.list_at(&["spec", "gateways"]);
        if gateways
            .iter()
            .any(|g| g.text().is_some_and(|g| g != "mesh"))
        {
            for destination in destinations(&service.node) {
                add(Some(destination), service);
            }
        }
    }
    for route in objects.of(&["HTTPRoute", "GRPCRoute", "TCPRoute"]) {
        let outer = route
            .node
            .list_at(&["spec", "parentRefs"])
            .iter()
            .any(|parent| {
                parent
                    .text_at(&["kind"])
                    .is_none_or(|kind| kind == "Gateway")
            });
        if outer {
            for rule in route.node.list_at(&["spec", "rules"]) {
                for backend in rule.list_at(&["backendRefs"]) {
                    add(backend.text_at(&["name"]), route);
                }
            }
        }
    }
    found
}

/// The hosts that a VirtualService sends requests to.
fn destinations(node: &Node) -> impl Iterator<Item = &str> {
    ["http", "tcp", "tls"]
        .into_iter()
        .flat_map(|kind| node.list_at(&["spec", kind]))
        .flat_map(|rule| rule.list_at(&["route"]))
        .filter_map(|route| route.text_at(&["destination", "host"]))
}

/// Services that only Istio's objects name, where no Kubernetes Service is given for them.
fn routed<'a>(objects: &'a Objects, index: &ServiceIndex<'_>) -> BTreeMap<ServiceName, &'a Object> {
    let mut found = BTreeMap::new();
    for object in objects.of(&["VirtualService", "DestinationRule"]) {
        let host = object.node.text_at(&["spec", "host"]);
        for host in host.into_iter().chain(destinations(&object.node)) {
            if index.host(host, object.namespace.as_deref()).is_some() {
                continue;
            }
            if let Some((namespace, name)) = cluster_host(host)
                && let Some(name) = crate::graph::facts::foreign_name(
                    namespace.or(object.namespace.as_deref()),
                    name,
                )
            {
                found.entry(name).or_insert(object);
            }
        }
    }
    found
}

/// Hosts outside of the mesh that ServiceEntry objects admit.
fn external_hosts(objects: &Objects) -> BTreeMap<String, ServiceName> {
    let mut found = BTreeMap::new();
    for entry in objects.of(&["ServiceEntry"]) {
        for host in entry
            .node
            .list_at(&["spec", "hosts"])
            .iter()
            .filter_map(Node::text)
        {
            if !host.contains('*')
                && let Some(name) = crate::graph::facts::foreign_name(None, host)
            {
                found.insert(host.to_owned(), name);
            }
        }
    }
    found
}
