//! The graph file: JSON with `services` and `edges`, written by a person or by `foremesh observe`.

use foremesh_model::{Criticality, GraphFile, Protocol, ServiceGraph, SourceKind};
use serde::Deserialize;

use super::facts::Fragment;
use crate::ObserveError;

/// Which fields of a service the file itself gives; the nouns alone do not tell a default from a choice.
#[derive(Deserialize)]
struct Given {
    services: Vec<GivenService>,
}

#[derive(Deserialize)]
struct GivenService {
    protocol: Option<Protocol>,
    criticality: Option<Criticality>,
}

/// Reads a graph file.
pub(crate) fn parse(bytes: &[u8], file: &str) -> Result<Fragment, ObserveError> {
    let refuse = |error: serde_json::Error| {
        let text = error.to_string();
        ObserveError::Json {
            file: file.into(),
            line: error.line(),
            column: error.column(),
            cause: text.split(" at line ").next().unwrap_or(&text).into(),
        }
    };
    let graph: GraphFile = serde_json::from_slice(bytes).map_err(refuse)?;
    let given: Given = serde_json::from_slice(bytes).map_err(refuse)?;
    let sound = ServiceGraph::new(graph.services.clone(), graph.edges.clone());
    sound.map_err(|cause| ObserveError::Graph {
        file: file.into(),
        cause,
    })?;
    let mut fragment = Fragment::new(SourceKind::Catalogue);
    let said = fragment.said(file, 1.0);
    for (service, given) in graph.services.into_iter().zip(given.services) {
        let facts = fragment.service(&service.name);
        facts.protocol = given.protocol;
        facts.port = service.port;
        facts.criticality = given.criticality;
        facts.capacity = service.capacity;
        facts.stateful = service.stateful;
        facts.instances = service.instances;
        facts.entry = service.entry;
        facts.measured = service.measured;
        facts.provenance = service.provenance;
        if facts.provenance.is_empty() {
            facts.provenance.push(said.clone());
        }
    }
    for edge in graph.edges {
        let known = fragment.edge(&edge.caller, &edge.callee);
        *known = edge;
        if known.provenance.is_empty() {
            known.provenance.push(said.clone());
        }
    }
    Ok(fragment)
}
