//! Limits of DestinationRules and VirtualServices
//! (<https://istio.io/latest/docs/reference/config/networking/destination-rule/> and `…/virtual-service/`).

use std::collections::BTreeSet;

use foremesh_model::ServiceName;

use super::{
    found::{Binding, Found},
    hosts,
    nouns::{LimitField, LimitValue},
};
use crate::{
    manifests::{
        objects::{Object, Objects},
        services::ServiceIndex,
    },
    yaml::Node,
};

/// Where a traffic policy sets what.
const POLICY: [(LimitField, &[&str]); 18] = {
    use LimitField as F;
    [
        (
            F::MaxConnections,
            &["connectionPool", "tcp", "maxConnections"],
        ),
        (
            F::ConnectTimeoutMs,
            &["connectionPool", "tcp", "connectTimeout"],
        ),
        (
            F::MaxRequests,
            &["connectionPool", "http", "http2MaxRequests"],
        ),
        (
            F::MaxPendingRequests,
            &["connectionPool", "http", "http1MaxPendingRequests"],
        ),
        (
            F::MaxRequestsPerConnection,
            &["connectionPool", "http", "maxRequestsPerConnection"],
        ),
        (F::MaxRetries, &["connectionPool", "http", "maxRetries"]),
        (F::RetryBudgetPercent, &["retryBudget", "percent", "value"]),
        (
            F::RetryBudgetMinConcurrency,
            &["retryBudget", "minRetryConcurrency"],
        ),
        (
            F::ConsecutiveErrors,
            &["outlierDetection", "consecutive5xxErrors"],
        ),
        (
            F::ConsecutiveGatewayErrors,
            &["outlierDetection", "consecutiveGatewayErrors"],
        ),
        (F::EjectionIntervalMs, &["outlierDetection", "interval"]),
        (
            F::BaseEjectionTimeMs,
            &["outlierDetection", "baseEjectionTime"],
        ),
        (
            F::MaxEjectionPercent,
            &["outlierDetection", "maxEjectionPercent"],
        ),
        (
            F::MinHealthPercent,
            &["outlierDetection", "minHealthPercent"],
        ),
        (F::LoadBalancing, &["loadBalancer", "simple"]),
        (F::WarmupMs, &["loadBalancer", "warmup", "duration"]),
        // The form before Istio 1.24.
        (F::WarmupMs, &["loadBalancer", "warmupDurationSecs"]),
        (
            F::WarmupMinimumPercent,
            &["loadBalancer", "warmup", "minimumPercent"],
        ),
    ]
};

pub(super) fn read(objects: &Objects, index: &ServiceIndex<'_>, found: &mut Found) {
    // A rule for a host itself beats one whose wildcard fits it.
    let mut exact: BTreeSet<ServiceName> = BTreeSet::new();
    let (wild, plain): (Vec<&Object>, Vec<&Object>) = objects
        .of(&["DestinationRule"])
        .partition(|rule| host(rule).is_some_and(|host| host.starts_with('*')));
    for rule in plain.into_iter().chain(wild) {
        let Some(spec) = rule.node.get("spec") else {
            continue;
        };
        let host = host(rule).unwrap_or_default();
        let mut services = hosts::services(index, host, rule.namespace.as_deref());
        if host.starts_with('*') {
            services.retain(|service| !exact.contains(service));
        } else {
            exact.extend(services.iter().cloned());
        }
        if services.is_empty() {
            found.unbound(
                objects.file(rule),
                spec.line,
                &rule.label(),
                format!("host {host:?} means no service that these files show and no other rule binds; its limits are passed over: give that service's manifests"),
            );
            continue;
        }
        let mut binding = Binding::of(objects, rule, services);
        let selector = spec.at(&["workloadSelector", "matchLabels"]);
        binding.callers = hosts::callers(index, selector, rule.namespace.as_deref());
        for service in &binding.services {
            found.show(service, &binding.document);
        }
        if binding.callers.is_empty() {
            nobody_calls(objects, rule, spec.line, found);
            continue;
        }
        if let Some(policy) = spec.get("trafficPolicy") {
            policies(&binding.below("trafficPolicy"), policy, found);
        }
        for (number, subset) in spec.list_at(&["subsets"]).iter().enumerate() {
            let Some(policy) = subset.get("trafficPolicy") else {
                continue;
            };
            let mut part = binding.below(&format!("subsets[{number}].trafficPolicy"));
            part.subset = subset.get("name").and_then(Node::scalar);
            policies(&part, policy, found);
        }
    }
    for service in objects.of(&["VirtualService"]) {
        virtual_service(objects, index, service, found);
    }
}

fn nobody_calls(objects: &Objects, object: &Object, line: usize, found: &mut Found) {
    found.unbound(
        objects.file(object),
        line,
        &object.label(),
        "its labels select callers that are no workloads of these files; its limits are passed over: give those workloads' manifests",
    );
}

fn host(rule: &Object) -> Option<&str> {
    rule.node.text_at(&["spec", "host"])
}

/// A traffic policy and those of its ports.
fn policies(binding: &Binding, policy: &Node, found: &mut Found) {
    traffic_policy(binding, policy, found);
    for (number, port) in policy.list_at(&["portLevelSettings"]).iter().enumerate() {
        let name = port.at(&["port", "number"]).and_then(Node::scalar);
        let part = binding
            .below(&format!("portLevelSettings[{number}]"))
            .part(format!("port {}", name.unwrap_or_else(|| "?".into())));
        traffic_policy(&part, port, found);
    }
}

fn traffic_policy(binding: &Binding, policy: &Node, found: &mut Found) {
    for (field, path) in POLICY {
        found.read(binding, field, policy, path);
    }
    // The name that Istio gave up for consecutive5xxErrors.
    if policy
        .at(&["outlierDetection", "consecutive5xxErrors"])
        .is_none()
    {
        let path = ["outlierDetection", "consecutiveErrors"];
        found.read(binding, LimitField::ConsecutiveErrors, policy, &path);
    }
    let Some(hash) = policy.at(&["loadBalancer", "consistentHash"]) else {
        return;
    };
    let by = hash.fields().iter().find_map(|(key, value)| {
        let name = match key.as_str() {
            "httpHeaderName" | "httpQueryParameterName" => value.scalar()?,
            "httpCookie" => value.get("name").and_then(Node::scalar)?,
            "useSourceIp" => return Some((key.clone(), value.line)),
            _ => return None,
        };
        Some((format!("{key} {name}"), value.line))
    });
    if let Some((text, line)) = by {
        let path = format!("{}.loadBalancer.consistentHash", binding.path);
        let value = LimitValue::Text(text);
        found.keep(binding, LimitField::ConsistentHash, value, line, path);
    }
}

fn virtual_service(
    objects: &Objects,
    index: &ServiceIndex<'_>,
    object: &Object,
    found: &mut Found,
) {
    let namespace = object.namespace.as_deref();
    let whole = Binding::of(objects, object, Vec::new());
    let spec = object.node.get("spec");
    for kind in ["http", "tcp", "tls"] {
        let rules = spec.map_or(&[][..], |spec| spec.list_at(&[kind]));
        for (number, rule) in rules.iter().enumerate() {
            let mut binding = whole.below(&format!("{kind}[{number}]"));
            if let Some(words) = route_words(rule) {
                binding = binding.part(words);
            }
            binding.callers = route_callers(index, rule, namespace);
            if binding.callers.is_empty() {
                nobody_calls(objects, object, rule.line, found);
                continue;
            }
            let mut reached = Vec::new();
            for (number, target) in rule.list_at(&["route"]).iter().enumerate() {
                let host = target.text_at(&["destination", "host"]).unwrap_or_default();
                let services = hosts::services(index, host, namespace);
                if services.is_empty() {
                    found.unbound(
                        objects.file(object),
                        target.line,
                        &object.label(),
                        format!("host {host:?} of a route means no service that these files show; its limits are passed over: give that service's manifests"),
                    );
                    continue;
                }
                for service in &services {
                    found.show(service, &binding.document);
                }
                reached.extend(services.iter().cloned());
                let mut part = binding.below(&format!("route[{number}]"));
                part.services = services;
                part.subset = target.at(&["destination", "subset"]).and_then(Node::scalar);
                found.read(&part, LimitField::RouteWeight, target, &["weight"]);
            }
            binding.services = hosts::unique(reached);
            for (field, path) in [
                (LimitField::RequestTimeoutMs, &["timeout"][..]),
                (LimitField::RetryAttempts, &["retries", "attempts"]),
                (LimitField::PerTryTimeoutMs, &["retries", "perTryTimeout"]),
                (LimitField::RetryOn, &["retries", "retryOn"]),
            ] {
                found.read(&binding, field, rule, path);
            }
        }
    }
}

/// Which requests a rule takes: its name, or its first condition.
fn route_words(rule: &Node) -> Option<String> {
    if let Some(name) = rule.get("name").and_then(Node::scalar) {
        return Some(format!("route {name}"));
    }
    let condition = rule.list_at(&["match"]).first()?;
    condition.fields().iter().find_map(|(key, value)| {
        let (form, text) = match key.as_str() {
            "uri" | "method" | "authority" => value.fields().first()?,
            "port" => return Some(format!("port {}", value.scalar()?)),
            _ => return None,
        };
        Some(format!("{key} {form} {}", text.scalar()?))
    })
}

/// Whose requests a rule takes: callers that every condition names, or everybody's.
fn route_callers(
    index: &ServiceIndex<'_>,
    rule: &Node,
    namespace: Option<&str>,
) -> Vec<Option<ServiceName>> {
    let conditions = rule.list_at(&["match"]);
    let mut callers = Vec::new();
    for condition in conditions {
        let from = condition.text_at(&["sourceNamespace"]).or(namespace);
        let selected = hosts::callers(index, condition.get("sourceLabels"), from);
        if selected.contains(&None) {
            return vec![None];
        }
        callers.extend(selected);
    }
    if conditions.is_empty() {
        return vec![None];
    }
    hosts::unique(callers)
}
