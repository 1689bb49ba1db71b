//! What is wrong only when objects stand side by side.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Finding, Level, Problem, document::Document};

pub(super) fn check(documents: &[Document<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(replicas_beside_autoscaler(documents));
    findings.extend(two_autoscalers(documents));
    findings.extend(selector_without_rest(documents));
    findings.extend(two_virtual_services(documents));
    findings
}

/// What an autoscaler scales: namespace, kind, name.
fn scaled<'a>(document: &'a Document<'_>) -> Option<(&'a str, &'a str, &'a str)> {
    if !matches!(document.kind(), "ScaledObject" | "HorizontalPodAutoscaler") {
        return None;
    }
    let target = &document.value["spec"]["scaleTargetRef"];
    Some((
        document.namespace(),
        target["kind"].as_str().unwrap_or("Deployment"),
        target["name"].as_str()?,
    ))
}

fn replicas_beside_autoscaler(documents: &[Document<'_>]) -> Vec<Finding> {
    let scaled: BTreeSet<_> = documents.iter().filter_map(scaled).collect();
    documents
        .iter()
        .filter(|document| !document.value["spec"]["replicas"].is_null())
        .filter(|document| scaled.contains(&(document.namespace(), document.kind(), document.name())))
        .map(|document| {
            document.finding(Problem {
                rule: "replicas-beside-autoscaler",
                level: Level::Error,
                field: "replicas",
                text: "an autoscaler sets the replicas of this workload: each apply throws them back; remove replicas".into(),
            })
        })
        .collect()
}

fn two_autoscalers(documents: &[Document<'_>]) -> Vec<Finding> {
    let mut owners: BTreeMap<_, &Document<'_>> = BTreeMap::new();
    let mut findings = Vec::new();
    for document in documents {
        let Some(target) = scaled(document) else {
            continue;
        };
        match owners.get(&target) {
            Some(first) => findings.push(document.finding(Problem {
                rule: "two-autoscalers",
                level: Level::Error,
                field: "scaleTargetRef",
                text: format!(
                    "{} {} is scaled by {} {} too: the two undo each other; remove one",
                    target.1,
                    target.2,
                    first.kind(),
                    first.name()
                ),
            })),
            None => {
                owners.insert(target, document);
            }
        }
    }
    findings
}

/// A rule with a selector hides the callee's own rule from its whole namespace.
fn selector_without_rest(documents: &[Document<'_>]) -> Vec<Finding> {
    let rules = || {
        documents
            .iter()
            .filter(|document| document.kind() == "DestinationRule")
    };
    let host =
        |document: &Document<'_>| full_host(&document.value["spec"]["host"], document.namespace());
    let for_all: BTreeSet<(String, String)> = rules()
        .filter(|document| document.value["spec"]["workloadSelector"].is_null())
        .map(|document| (document.namespace().to_owned(), host(document)))
        .collect();
    rules()
        .filter(|document| !document.value["spec"]["workloadSelector"].is_null())
        .filter(|document| !for_all.contains(&(document.namespace().to_owned(), host(document))))
        .map(|document| {
            document.finding(Problem {
                rule: "selector-without-rest",
                level: Level::Warning,
                field: "workloadSelector",
                text: format!(
                    "this is the only rule for its host in namespace {}: workloads there that it does not select get no rule at all, not the callee's; \
                     add one without workloadSelector",
                    document.namespace()
                ),
            })
        })
        .collect()
}

fn two_virtual_services(documents: &[Document<'_>]) -> Vec<Finding> {
    let mut owners: BTreeMap<(String, String), &Document<'_>> = BTreeMap::new();
    let mut findings = Vec::new();
    for document in documents
        .iter()
        .filter(|document| document.kind() == "VirtualService")
    {
        let spec = &document.value["spec"];
        let in_mesh = spec["gateways"]
            .as_array()
            .is_none_or(|gateways| gateways.iter().any(|gateway| gateway == "mesh"));
        let exported = if spec["exportTo"].is_null() {
            "*"
        } else {
            document.namespace()
        };
        for host in spec["hosts"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|_| in_mesh)
        {
            let key = (exported.to_owned(), full_host(host, document.namespace()));
            if let Some(first) = owners.get(&key) {
                findings.push(document.finding(Problem {
                    rule: "two-virtual-services",
                    level: Level::Warning,
                    field: "hosts",
                    text: format!(
                        "{} is routed by VirtualService {}/{} too: inside the mesh Istio takes the older and drops the other; merge them",
                        key.1,
                        first.namespace(),
                        first.name()
                    ),
                }));
            } else {
                owners.insert(key, document);
            }
        }
    }
    findings
}

fn full_host(host: &Value, namespace: &str) -> String {
    let host = host.as_str().unwrap_or_default();
    if host.contains('.') {
        host.into()
    } else {
        format!("{host}.{namespace}.svc.cluster.local")
    }
}
