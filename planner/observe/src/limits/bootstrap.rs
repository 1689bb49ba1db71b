//! Limits in the bootstrap of an Envoy that runs on a host, without a mesh: clusters, routes and token buckets.

use std::collections::{BTreeMap, BTreeSet};

use foremesh_model::ServiceName;

use super::{
    envoy,
    found::{Binding, Found, either},
    hosts,
    nouns::LimitField,
};
use crate::{graph::facts::foreign_name, manifests::services::ServiceIndex, yaml::Node};

/// A configuration that was found, as a tree.
pub(super) struct Bootstrap {
    pub file: String,
    pub node: Node,
}

pub(super) fn is_bootstrap(node: &Node) -> bool {
    either(node, &["static_resources"]).is_some_and(|n| !n.fields().is_empty())
}

pub(super) fn read(bootstrap: &Bootstrap, index: &ServiceIndex<'_>, found: &mut Found) {
    let Bootstrap { file, node } = bootstrap;
    let text = |key: &str| node.at(&["node", key]).and_then(Node::scalar);
    let document = format!(
        "Envoy {}",
        text("id")
            .or_else(|| text("cluster"))
            .unwrap_or_else(|| "without node.id".into())
    );
    let own = text("cluster").and_then(|name| named(index, &name));
    let names = Names::of(node, index, own.clone());
    let whole = Binding::new(file, document, Vec::new(), "static_resources");
    for service in own.iter().chain(names.services.values()) {
        found.show(service, &whole.document);
    }
    for (number, cluster) in list(node, "clusters").iter().enumerate() {
        let Some(name) = cluster.get("name").and_then(Node::scalar) else {
            continue;
        };
        let binding = names
            .bind(&whole, &name)
            .below(&format!("clusters[{number}]"));
        envoy::cluster(&binding, cluster, found);
    }
    for (number, listener) in list(node, "listeners").iter().enumerate() {
        managers(
            &whole.below(&format!("listeners[{number}]")),
            listener,
            &names,
            found,
        );
    }
}

fn list<'a>(node: &'a Node, key: &str) -> &'a [Node] {
    either(node, &["static_resources", key]).map_or(&[], Node::list)
}

/// A name that someone gave to a cluster or a node, as a service.
fn named(index: &ServiceIndex<'_>, name: &str) -> Option<ServiceName> {
    // Istio's clusters: `outbound|7070|v1|cart.shop.svc.cluster.local`.
    let host = name.rsplit('|').next().unwrap_or(name);
    let found = hosts::services(index, host, None).into_iter().next();
    match found {
        Some(found) => Some(found),
        None => foreign_name(None, host),
    }
}

/// Which service each cluster stands for.
struct Names {
    /// The service whose proxy this is.
    own: Option<ServiceName>,
    services: BTreeMap<String, ServiceName>,
    /// Clusters that lead to the application beside the proxy.
    inbound: BTreeSet<String>,
}

impl Names {
    fn of(node: &Node, index: &ServiceIndex<'_>, own: Option<ServiceName>) -> Self {
        let mut names = Self {
            own: own.clone(),
            services: BTreeMap::new(),
            inbound: BTreeSet::new(),
        };
        let clusters = list(node, "clusters");
        for cluster in clusters {
            if let Some(name) = cluster.get("name").and_then(Node::scalar)
                && is_local(cluster, &name)
                && own.is_some()
            {
                names.inbound.insert(name);
            }
        }
        // What a route splits between the application and others is all one service.
        let mut split = BTreeSet::new();
        weighted(node, &mut |members| {
            if members.iter().any(|name| names.inbound.contains(name)) {
                split.extend(members);
            }
        });
        names.inbound.extend(split);
        for cluster in clusters {
            let Some(name) = cluster.get("name").and_then(Node::scalar) else {
                continue;
            };
            let service = if names.inbound.contains(&name) {
                own.clone()
            } else {
                // A cluster usually goes by its service; else the address it leads to may.
                match index_host(index, &name) {
                    Some(known) => Some(known),
                    None => addresses(cluster)
                        .iter()
                        .find_map(|host| index_host(index, host))
                        .or_else(|| named(index, &name)),
                }
            };
            if let Some(service) = service {
                names.services.insert(name, service);
            }
        }
        names
    }

    /// A binding for calls to a cluster.
    fn bind(&self, whole: &Binding, cluster: &str) -> Binding {
        let mut binding = whole.clone();
        binding.services = self.services.get(cluster).cloned().into_iter().collect();
        if self.inbound.contains(cluster) {
            let several = self.inbound.len() > 1;
            binding.subset = several.then(|| cluster.to_owned());
        } else {
            binding.callers = vec![self.own.clone()];
        }
        binding
    }
}

fn index_host(index: &ServiceIndex<'_>, host: &str) -> Option<ServiceName> {
    index
        .host(host.rsplit('|').next().unwrap_or(host), None)
        .cloned()
}

/// Whether a cluster leads to the application beside the proxy.
fn is_local(cluster: &Node, name: &str) -> bool {
    let addresses = addresses(cluster);
    let loopback = |address: &String| {
        address == "localhost"
            || address
                .parse::<std::net::IpAddr>()
                .is_ok_and(|ip| ip.is_loopback())
    };
    (!addresses.is_empty() && addresses.iter().all(loopback))
        || matches!(name, "application" | "local_app" | "local_service" | "app")
}

/// The addresses of a cluster's endpoints.
fn addresses(cluster: &Node) -> Vec<String> {
    let groups = either(cluster, &["load_assignment", "endpoints"]).map_or(&[][..], Node::list);
    groups
        .iter()
        .flat_map(|group| either(group, &["lb_endpoints"]).map_or(&[][..], Node::list))
        .filter_map(|endpoint| {
            either(
                endpoint,
                &["endpoint", "address", "socket_address", "address"],
            )?
            .scalar()
        })
        .collect()
}

/// Calls `each` with the members of every `weighted_clusters` below a node.
fn weighted(node: &Node, each: &mut impl FnMut(Vec<String>)) {
    for (key, inner) in node.fields() {
        if matches!(key.as_str(), "weighted_clusters" | "weightedClusters") {
            let members = inner.list_at(&["clusters"]).iter();
            each(
                members
                    .filter_map(|m| m.get("name").and_then(Node::scalar))
                    .collect(),
            );
        } else {
            weighted(inner, each);
        }
    }
    for inner in node.list() {
        weighted(inner, each);
    }
}

/// Finds the connection managers below a listener and reads their routes and filters.
fn managers(binding: &Binding, node: &Node, names: &Names, found: &mut Found) {
    let manages = ["http_filters", "httpFilters", "route_config", "routeConfig"];
    if manages.iter().any(|key| node.get(key).is_some()) {
        manager(binding, node, names, found);
        return;
    }
    for (key, inner) in node.fields() {
        managers(&binding.below(key), inner, names, found);
    }
    for (number, inner) in node.list().iter().enumerate() {
        managers(&binding.below(&format!("[{number}]")), inner, names, found);
    }
}

/// A connection manager: what its filters limit binds every service that its routes lead to.
fn manager(whole: &Binding, node: &Node, names: &Names, found: &mut Found) {
    let mut reached: Vec<String> = Vec::new();
    for config in ["route_config", "routeConfig"] {
        let hosts = either(node, &[config, "virtual_hosts"]).map_or(&[][..], Node::list);
        for (number, host) in hosts.iter().enumerate() {
            let below = whole.below(&format!("{config}.virtual_hosts[{number}]"));
            let mut in_host: Vec<String> = Vec::new();
            for (number, route) in host.list_at(&["routes"]).iter().enumerate() {
                let part = below.below(&format!("routes[{number}]"));
                in_host.extend(self::route(&part, route, names, found));
            }
            shared_buckets(
                &below,
                host,
                &["typed_per_filter_config", "typedPerFilterConfig"],
                &in_host,
                names,
                found,
            );
            reached.extend(in_host);
        }
    }
    shared_buckets(
        whole,
        node,
        &["http_filters", "httpFilters"],
        &reached,
        names,
        found,
    );
}

/// The route's own limits; answers the clusters that it leads to.
fn route(binding: &Binding, node: &Node, names: &Names, found: &mut Found) -> Vec<String> {
    let Some(action) = node.get("route") else {
        return Vec::new();
    };
    let words = words(node);
    let mut clusters: Vec<String> = action
        .get("cluster")
        .and_then(Node::scalar)
        .into_iter()
        .collect();
    for key in ["weighted_clusters", "weightedClusters"] {
        for (number, member) in action
            .at(&[key, "clusters"])
            .map_or(&[][..], Node::list)
            .iter()
            .enumerate()
        {
            let Some(name) = member.get("name").and_then(Node::scalar) else {
                continue;
            };
            let mut part = names
                .bind(binding, &name)
                .below(&format!("route.{key}.clusters[{number}]"));
            part.subset = Some(name.clone());
            part.part.clone_from(&words);
            found.read(&part, LimitField::RouteWeight, member, &["weight"]);
            clusters.push(name);
        }
    }
    let mut services: BTreeSet<ServiceName> = BTreeSet::new();
    for cluster in &clusters {
        let mut part = names.bind(binding, cluster);
        part.part.clone_from(&words);
        part.subset = None;
        part.services
            .retain(|service| services.insert(service.clone()));
        envoy::route(&part.below("route"), action, found);
    }
    shared_buckets(
        binding,
        node,
        &["typed_per_filter_config", "typedPerFilterConfig"],
        &clusters,
        names,
        found,
    );
    clusters
}

/// Which requests a route takes: its name or its condition.
fn words(route: &Node) -> Option<String> {
    if let Some(name) = route.get("name").and_then(Node::scalar) {
        return Some(format!("route {name}"));
    }
    let (key, value) = route.get("match")?.fields().first()?;
    let text = value.scalar()?;
    (!(key == "prefix" && text == "/")).then(|| format!("{key} {text}"))
}

/// Token buckets of filters that several clusters share: the service that all of them are, or each of them.
fn shared_buckets(
    binding: &Binding,
    node: &Node,
    keys: &[&str],
    clusters: &[String],
    names: &Names,
    found: &mut Found,
) {
    let services: Vec<ServiceName> = clusters
        .iter()
        .filter_map(|cluster| names.services.get(cluster).cloned())
        .collect();
    let inbound = clusters
        .iter()
        .all(|cluster| names.inbound.contains(cluster));
    for key in keys {
        let Some(filters) = node.get(key) else {
            continue;
        };
        let mut shared = binding.below(key);
        shared.services = hosts::unique(services.clone());
        if !inbound {
            shared.callers = vec![names.own.clone()];
        }
        if shared.services.len() > 1 {
            shared = shared.part(format!("shared by {} services", services.len()));
        }
        if shared.services.is_empty() {
            // Routes that come from elsewhere (RDS): the limit is the proxy's own.
            shared.services = names.own.clone().into_iter().collect();
            shared.callers = vec![None];
        }
        if shared.services.is_empty() {
            if envoy::sets_limits(filters) {
                found.unbound(&binding.file, filters.line, &binding.document, "token buckets of a listener whose routes and node.cluster name no service; they are passed over");
            }
            continue;
        }
        envoy::token_buckets(&shared, filters, found);
    }
}
