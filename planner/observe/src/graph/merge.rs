//! Several sources become one graph: names that mean one service meet, and where sources disagree the surer one is believed
//! (catalogue and graph file, then metrics, then traces, then manifests).

use std::collections::{BTreeMap, BTreeSet};

use foremesh_model::{Capacity, Edge, Protocol, Service, ServiceName, SourceKind, Warning};

use super::facts::{Fragment, ServiceFacts};
use crate::{
    observed::{caution, count, note},
    stores,
};

/// Requests after which a call that traces never show is worth a word.
const WELL_OBSERVED_VISITS: u64 = 50;

/// Merges what sources say. The result names every service of every edge.
pub(crate) fn merge(mut fragments: Vec<Fragment>) -> (Vec<Service>, Vec<Edge>, Vec<Warning>) {
    let mut warnings = Vec::new();
    fragments.sort_by_key(|fragment| fragment.source);
    let names = Names::of(&fragments, &mut warnings);
    warnings.extend(unseen_calls(&fragments, &names));
    let mut services: BTreeMap<ServiceName, ServiceFacts> = BTreeMap::new();
    let mut edges: BTreeMap<(ServiceName, ServiceName), Edge> = BTreeMap::new();
    for fragment in fragments {
        for (name, facts) in fragment.services {
            let known = services.entry(names.of_service(&name)).or_default();
            known.protocol = facts.protocol.or(known.protocol);
            known.port = facts.port.or(known.port);
            known.criticality = facts.criticality.or(known.criticality);
            known.capacity = facts.capacity.or(&known.capacity);
            known.stateful = facts.stateful.or(known.stateful);
            known.instances = facts.instances.or(known.instances);
            known.entry = facts.entry.or(known.entry);
            known.measured = facts.measured.or(known.measured);
            known.provenance.extend(facts.provenance);
        }
        for ((caller, callee), edge) in fragment.edges {
            let ends = (names.of_service(&caller), names.of_service(&callee));
            // Two names of one service make a call to itself that nobody makes.
            if ends.0 == ends.1 && caller != callee {
                continue;
            }
            let known = edges
                .entry(ends.clone())
                .or_insert_with(|| Edge::between(ends.0, ends.1));
            known.fan_out = edge.fan_out.or(known.fan_out);
            known.rate_rps = edge.rate_rps.or(known.rate_rps);
            known.latency_p50_ms = edge.latency_p50_ms.or(known.latency_p50_ms);
            known.latency_p99_ms = edge.latency_p99_ms.or(known.latency_p99_ms);
            known.error_rate = edge.error_rate.or(known.error_rate);
            known.response_bytes = edge.response_bytes.or(known.response_bytes);
            known.sequential = edge.sequential.or(known.sequential);
            known.provenance.extend(edge.provenance);
        }
    }
    for (name, facts) in &mut services {
        warnings.extend(store_by_name(name, facts, &edges));
    }
    let services = services
        .into_iter()
        .map(|(name, facts)| Service {
            protocol: facts.protocol.unwrap_or(Protocol::default()),
            port: facts.port,
            criticality: facts.criticality.unwrap_or_default(),
            capacity: sound(facts.capacity),
            stateful: facts.stateful,
            instances: facts.instances,
            entry: facts.entry,
            measured: facts.measured,
            provenance: facts.provenance,
            ..Service::named(name)
        })
        .collect();
    (services, edges.into_values().collect(), warnings)
}

/// A service of which nothing is known but who calls it, and that is named as databases, caches and brokers are, is taken for one.
fn store_by_name(
    name: &ServiceName,
    facts: &mut ServiceFacts,
    edges: &BTreeMap<(ServiceName, ServiceName), Edge>,
) -> Option<Warning> {
    if facts.stateful.is_some() || facts.protocol.is_some() {
        return None;
    }
    let store = stores::by_name(name.short())?;
    if edges.keys().any(|(caller, _)| caller == name) {
        return None;
    }
    facts.stateful = Some(true);
    facts.protocol = store.protocol;
    Some(note(
        "stateful_by_name",
        name.to_string(),
        format!(
            "taken for {} by its name, as no source says what it is: it keeps state and is left as it is; if that is wrong, set stateful: false in the catalogue",
            store.kind
        ),
    ))
}

/// Measured capacity that no service can have is dropped: it would stop a plan for the fault of one odd trace.
fn sound(capacity: Capacity) -> Capacity {
    if capacity.fault().is_some() {
        Capacity::default()
    } else {
        capacity
    }
}

/// Which service each name means.
struct Names {
    canonical: BTreeMap<ServiceName, ServiceName>,
}

impl Names {
    fn of(fragments: &[Fragment], warnings: &mut Vec<Warning>) -> Self {
        let all: BTreeSet<&ServiceName> =
            fragments.iter().flat_map(|f| f.services.keys()).collect();
        let full: Vec<&ServiceName> = all
            .iter()
            .copied()
            .filter(|n| n.namespace().is_some())
            .collect();
        // Names that manifests or a person gave are preferred over what programs call themselves.
        let declared: BTreeSet<&ServiceName> = fragments
            .iter()
            .filter(|f| matches!(f.source, SourceKind::Manifest | SourceKind::Catalogue))
            .flat_map(|f| f.services.keys())
            .collect();
        let mut by_alias: BTreeMap<&str, BTreeSet<&ServiceName>> = BTreeMap::new();
        for fragment in fragments {
            for (name, facts) in &fragment.services {
                for alias in &facts.aliases {
                    by_alias.entry(alias.as_str()).or_default().insert(name);
                }
            }
        }
        let mut by_spelling: BTreeMap<String, BTreeSet<&ServiceName>> = BTreeMap::new();
        for name in &declared {
            by_spelling
                .entry(spelling(name.short()))
                .or_default()
                .insert(name);
        }
        let mut canonical = BTreeMap::new();
        for name in &all {
            let fits = |other: &ServiceName| {
                other.namespace().is_none()
                    || name.namespace().is_none()
                    || other.namespace() == name.namespace()
            };
            let only = |candidates: Vec<&ServiceName>| match candidates.as_slice() {
                [only] => Some((*only).clone()),
                _ => None,
            };
            let same_short: Vec<&ServiceName> = if name.namespace().is_none() {
                full.iter()
                    .copied()
                    .filter(|f| f.short() == name.short())
                    .collect()
            } else {
                Vec::new()
            };
            if same_short.len() > 1 {
                warnings.push(caution(
                    "ambiguous_service_name",
                    name.to_string(),
                    format!(
                        "{name} could mean {}: it is kept as a service of its own; give the source the namespace",
                        same_short.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
                    ),
                ));
            }
            let meant = if declared.contains(name) || !same_short.is_empty() {
                only(same_short)
            } else {
                let fitting = |set: Option<&BTreeSet<&ServiceName>>| {
                    only(
                        set.into_iter()
                            .flatten()
                            .copied()
                            .filter(|n| fits(n))
                            .collect(),
                    )
                };
                fitting(by_alias.get(name.short()))
                    .or_else(|| fitting(by_spelling.get(&spelling(name.short()))))
            };
            if let Some(meant) = meant.filter(|meant| meant != *name) {
                canonical.insert((*name).clone(), meant);
            }
        }
        Self { canonical }
    }

    fn of_service(&self, name: &ServiceName) -> ServiceName {
        let mut name = name;
        // A workload's alias may lead to a name without a namespace, which leads to one with it.
        for _ in 0..2 {
            match self.canonical.get(name) {
                Some(meant) => name = meant,
                None => break,
            }
        }
        name.clone()
    }
}

/// A name without regard to case and separators: `CartService`, `cart-service` and `cart_service` are one.
fn spelling(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// Calls that manifests declare and that traces of a well observed caller never show.
fn unseen_calls(fragments: &[Fragment], names: &Names) -> Vec<Warning> {
    let mut visits: BTreeMap<ServiceName, u64> = BTreeMap::new();
    let mut seen: BTreeSet<(ServiceName, ServiceName)> = BTreeSet::new();
    for fragment in fragments
        .iter()
        .filter(|f| f.source != SourceKind::Manifest)
    {
        for (name, number) in &fragment.visits {
            let known = visits.entry(names.of_service(name)).or_default();
            *known = known.saturating_add(*number);
        }
        for (caller, callee) in fragment.edges.keys() {
            seen.insert((names.of_service(caller), names.of_service(callee)));
        }
    }
    let mut warnings = Vec::new();
    for fragment in fragments
        .iter()
        .filter(|f| f.source == SourceKind::Manifest)
    {
        for (caller, callee) in fragment.edges.keys() {
            let ends = (names.of_service(caller), names.of_service(callee));
            let requests = visits.get(&ends.0).copied().unwrap_or(0);
            if requests >= WELL_OBSERVED_VISITS && ends.0 != ends.1 && !seen.contains(&ends) {
                warnings.push(caution(
                    "call_not_in_traces",
                    format!("{}->{}", ends.0, ends.1),
                    format!(
                        "manifests declare this call, but none of {} that traces show at {} made it: {} may not be traced, or the address is no longer used; \
                         set calls for it in the catalogue (0 if it is unused)",
                        count(usize::try_from(requests).unwrap_or(usize::MAX), "request"),
                        ends.0,
                        ends.1
                    ),
                ));
            }
        }
    }
    warnings
}
