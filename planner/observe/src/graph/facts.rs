//! What one source says about services and edges, before sources are merged: everything optional, each with its provenance.

use std::collections::{BTreeMap, BTreeSet};

use foremesh_model::{
    Capacity, Criticality, Edge, Protocol, Provenance, ServiceMeasures, ServiceName, SourceKind,
};

/// What a source says about one service.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ServiceFacts {
    pub protocol: Option<Protocol>,
    pub port: Option<u16>,
    pub criticality: Option<Criticality>,
    pub capacity: Capacity,
    /// Whether it keeps state.
    pub stateful: Option<bool>,
    /// Instances that run, where no autoscaler moves them.
    pub instances: Option<u32>,
    pub entry: Option<bool>,
    pub measured: ServiceMeasures,
    /// Other names under which sources may know it: its workload, its label `app`.
    pub aliases: BTreeSet<String>,
    pub provenance: Vec<Provenance>,
}

/// What one source says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fragment {
    pub source: SourceKind,
    pub services: BTreeMap<ServiceName, ServiceFacts>,
    pub edges: BTreeMap<(ServiceName, ServiceName), Edge>,
    /// Requests that were seen at a service: how well its calls are known.
    pub visits: BTreeMap<ServiceName, u64>,
}

impl Fragment {
    pub fn new(source: SourceKind) -> Self {
        Self {
            source,
            services: BTreeMap::new(),
            edges: BTreeMap::new(),
            visits: BTreeMap::new(),
        }
    }

    pub fn service(&mut self, name: &ServiceName) -> &mut ServiceFacts {
        self.services.entry(name.clone()).or_default()
    }

    pub fn edge(&mut self, caller: &ServiceName, callee: &ServiceName) -> &mut Edge {
        self.service(caller);
        self.service(callee);
        self.edges
            .entry((caller.clone(), callee.clone()))
            .or_insert_with(|| Edge::between(caller.clone(), callee.clone()))
    }

    /// Who says so.
    pub fn said(&self, detail: impl Into<String>, confidence: f64) -> Provenance {
        Provenance {
            source: self.source,
            detail: detail.into(),
            confidence,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.services.is_empty()
    }
}

/// A name from foreign data as a service name: what no mesh accepts in a name becomes `-`. None where nothing is left.
pub(crate) fn foreign_name(namespace: Option<&str>, name: &str) -> Option<ServiceName> {
    let clean = |text: &str| -> String {
        text.trim()
            .chars()
            .take(253)
            .map(|c| {
                if c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':') {
                    c
                } else {
                    '-'
                }
            })
            .collect()
    };
    let name = name.trim();
    let (own, short) = match name.split_once('/') {
        Some((own, short)) if !own.is_empty() && !short.is_empty() => (Some(own), short),
        _ => (None, name),
    };
    let short = clean(short);
    if short.is_empty() {
        return None;
    }
    let namespace = namespace
        .map(str::trim)
        .filter(|n| !n.is_empty())
        .or(own)
        .map(clean);
    let full = match namespace {
        Some(namespace) => format!("{namespace}/{short}"),
        None => short,
    };
    ServiceName::new(full).ok()
}
