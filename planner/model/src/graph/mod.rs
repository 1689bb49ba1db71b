//! Which service calls which: the graph, its file format and the traffic equations on it.

mod service;
mod traffic;

use std::collections::BTreeMap;

use petgraph::graph::{DiGraph, NodeIndex};
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use service::{Edge, Provenance, Service, ServiceMeasures, SourceKind};
pub use traffic::Visits;

use crate::ServiceName;

/// Why a graph was refused.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum GraphError {
    /// Two services carry one name.
    #[error("services: {0:?} is named twice: merge the two entries")]
    DuplicateService(String),
    /// Two edges join the same pair.
    #[error("edges: {caller:?} -> {callee:?} is given twice: merge the two entries")]
    DuplicateEdge {
        /// The caller.
        caller: String,
        /// The callee.
        callee: String,
    },
    /// An edge names a service that the graph does not hold.
    #[error(
        "edges: {caller:?} -> {callee:?} names {missing:?}, which services does not list: add it or mend the name"
    )]
    UnknownService {
        /// The caller.
        caller: String,
        /// The callee.
        callee: String,
        /// The one that is not there.
        missing: String,
    },
    /// A number that no call can have.
    #[error("edges: {caller:?} -> {callee:?} has {field} = {value}: it must be 0 or more")]
    Number {
        /// The caller.
        caller: String,
        /// The callee.
        callee: String,
        /// The field.
        field: &'static str,
        /// The value as given.
        value: f64,
    },
    /// A number that no service can have.
    #[error("services: {service:?} has measured.{field} = {value}: it must be {must}")]
    ServiceNumber {
        /// The service.
        service: String,
        /// The field.
        field: &'static str,
        /// The value as given.
        value: f64,
        /// What it must be.
        must: &'static str,
    },
    /// Calls feed on themselves: around a cycle each request makes at least one more.
    #[error(
        "the services {services:?} call each other in a circle and each request makes at least one more (product of fan-outs {gain:.3} >= 1): \
         the load would grow without end; lower a fan-out of this circle in the graph or the catalogue"
    )]
    Explosive {
        /// The members of the circle, in order of name.
        services: Vec<String>,
        /// The spectral radius of the circle's fan-outs.
        gain: f64,
    },
}

/// A graph as a file: `services[].name`, `edges[].caller`, `edges[].callee` and the other fields of both.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphFile {
    /// Every service.
    pub services: Vec<Service>,
    /// Every edge between them.
    #[serde(default)]
    pub edges: Vec<Edge>,
}

/// Which service calls which. Nodes stand in order of name and edges in order of (caller, callee), so that every walk
/// over a graph has one order. Cycles are allowed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "GraphFile", into = "GraphFile")]
pub struct ServiceGraph {
    graph: DiGraph<Service, Edge>,
    index: BTreeMap<ServiceName, NodeIndex>,
}

impl Default for ServiceGraph {
    fn default() -> Self {
        Self {
            graph: DiGraph::new(),
            index: BTreeMap::new(),
        }
    }
}

impl PartialEq for ServiceGraph {
    fn eq(&self, other: &Self) -> bool {
        self.services().eq(other.services()) && self.edges().eq(other.edges())
    }
}

impl ServiceGraph {
    /// Builds a graph from its parts, in any order.
    ///
    /// # Errors
    /// [`GraphError`] for a duplicate, an edge to a service that is not there, or a number that no call can have.
    pub fn new(mut services: Vec<Service>, mut edges: Vec<Edge>) -> Result<Self, GraphError> {
        services.sort_by(|a, b| a.name.cmp(&b.name));
        edges.sort_by(|a, b| (&a.caller, &a.callee).cmp(&(&b.caller, &b.callee)));
        let mut graph = DiGraph::with_capacity(services.len(), edges.len());
        let mut index = BTreeMap::new();
        for service in services {
            let name = service.name.clone();
            if index.contains_key(&name) {
                return Err(GraphError::DuplicateService(name.to_string()));
            }
            if let Some((field, value)) = service.measured.fault() {
                return Err(GraphError::ServiceNumber {
                    service: name.to_string(),
                    field,
                    value,
                    must: if field == "error_rate" {
                        "a share, 0 to 1"
                    } else {
                        "0 or more"
                    },
                });
            }
            index.insert(name, graph.add_node(service));
        }
        for edge in edges {
            let names = || (edge.caller.to_string(), edge.callee.to_string());
            let find = |name: &ServiceName| {
                index.get(name).copied().ok_or_else(|| {
                    let (caller, callee) = names();
                    GraphError::UnknownService {
                        caller,
                        callee,
                        missing: name.to_string(),
                    }
                })
            };
            let (from, to) = (find(&edge.caller)?, find(&edge.callee)?);
            if graph.find_edge(from, to).is_some() {
                let (caller, callee) = names();
                return Err(GraphError::DuplicateEdge { caller, callee });
            }
            if let Some((field, value)) = edge.fault() {
                let (caller, callee) = names();
                return Err(GraphError::Number {
                    caller,
                    callee,
                    field,
                    value,
                });
            }
            graph.add_edge(from, to, edge);
        }
        Ok(Self { graph, index })
    }

    /// The petgraph graph itself; node indices run in order of name from 0.
    pub fn petgraph(&self) -> &DiGraph<Service, Edge> {
        &self.graph
    }

    /// The node of a service.
    pub fn node(&self, name: &ServiceName) -> Option<NodeIndex> {
        self.index.get(name).copied()
    }

    /// A service by its name.
    pub fn service(&self, name: &ServiceName) -> Option<&Service> {
        self.node(name).map(|node| &self.graph[node])
    }

    /// An edge by its ends.
    pub fn edge(&self, caller: &ServiceName, callee: &ServiceName) -> Option<&Edge> {
        let edge = self
            .graph
            .find_edge(self.node(caller)?, self.node(callee)?)?;
        Some(&self.graph[edge])
    }

    /// Every service, in order of name.
    pub fn services(&self) -> impl ExactSizeIterator<Item = &Service> + Clone {
        self.graph.node_weights().collect::<Vec<_>>().into_iter()
    }

    /// Every edge, in order of (caller, callee).
    pub fn edges(&self) -> impl ExactSizeIterator<Item = &Edge> + Clone {
        self.graph.edge_weights().collect::<Vec<_>>().into_iter()
    }

    /// How many services there are.
    pub fn len(&self) -> usize {
        self.graph.node_count()
    }

    /// Whether there is no service.
    pub fn is_empty(&self) -> bool {
        self.graph.node_count() == 0
    }

    /// Finds a service by a name that may lack the namespace: the exact name first, else the only one whose short name
    /// or whose full name without a namespace agrees.
    pub fn resolve(&self, name: &ServiceName) -> Option<&Service> {
        if let Some(exact) = self.service(name) {
            return Some(exact);
        }
        let mut alike = self.graph.node_weights().filter(|s| {
            s.name.short() == name.short()
                && (s.name.namespace().is_none() || name.namespace().is_none())
        });
        match (alike.next(), alike.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        }
    }

    /// The services that no other service calls: where requests enter when nobody says otherwise.
    pub fn roots(&self) -> Vec<&Service> {
        self.graph
            .externals(petgraph::Direction::Incoming)
            .map(|node| &self.graph[node])
            .collect()
    }
}

impl TryFrom<GraphFile> for ServiceGraph {
    type Error = GraphError;
    fn try_from(file: GraphFile) -> Result<Self, GraphError> {
        Self::new(file.services, file.edges)
    }
}

impl From<ServiceGraph> for GraphFile {
    fn from(graph: ServiceGraph) -> Self {
        Self {
            services: graph.services().cloned().collect(),
            edges: graph.edges().cloned().collect(),
        }
    }
}
