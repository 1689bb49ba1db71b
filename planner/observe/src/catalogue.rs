//! The catalogue: what the team knows that no telemetry shows, read from YAML and laid over a graph.

use std::path::Path;

use foremesh_model::{
    Catalogue, CatalogueError, Edge, Provenance, Service, ServiceGraph, SourceKind,
};

use crate::{
    ObserveError, Observed, files,
    observed::caution,
    yaml::{self, Node},
};

/// Reads a catalogue file (YAML).
///
/// # Errors
/// [`ObserveError`] with file, line and field of what cannot be used.
pub fn read_catalogue(path: &Path) -> Result<Observed<Catalogue>, ObserveError> {
    let bytes = files::read(path)?;
    parse_catalogue(
        &String::from_utf8_lossy(&bytes),
        &path.display().to_string(),
    )
    .map(Observed::clean)
}

/// Reads a catalogue from text; `file` is what diagnostics call it.
///
/// # Errors
/// See [`read_catalogue`].
pub fn parse_catalogue(text: &str, file: &str) -> Result<Catalogue, ObserveError> {
    let empty = yaml::documents(text).is_empty();
    let catalogue: Catalogue = if empty {
        Catalogue::default()
    } else {
        serde_saphyr::from_str_with_options(text, yaml::options()).map_err(|error| {
            let fault = yaml::fault(&error);
            ObserveError::CatalogueShape {
                file: file.into(),
                line: fault.line,
                column: fault.column,
                cause: fault.cause,
            }
        })?
    };
    catalogue.check().map_err(|cause| ObserveError::Catalogue {
        file: file.into(),
        line: yaml::parse(text).map_or(1, |root| line_of(&root, &cause)),
        cause,
    })?;
    Ok(catalogue)
}

/// The line of the value that a catalogue was refused for, or of what holds it.
fn line_of(root: &Node, cause: &CatalogueError) -> usize {
    let path: Vec<String> = match cause {
        CatalogueError::Capacity { place, field, .. } => {
            let quoted = place.split('"').nth(1);
            match quoted {
                Some(service) => vec![
                    "services".into(),
                    service.into(),
                    "capacity".into(),
                    (*field).into(),
                ],
                None => vec!["defaults".into(), (*field).into()],
            }
        }
        CatalogueError::Calls {
            service, callee, ..
        } => vec![
            "services".into(),
            service.to_string(),
            "calls".into(),
            callee.to_string(),
        ],
    };
    let mut node = root;
    for key in &path {
        match node.get(key) {
            Some(inner) => node = inner,
            None => break,
        }
    }
    node.line.max(1)
}

/// Lays a catalogue over a graph: what it says about a service beats every other source, its `defaults` fill what no source
/// says, and its `calls` add edges. Names with and without a namespace meet where only one service can be meant.
///
/// # Errors
/// [`ObserveError::Graph`] when the result is no graph.
pub fn with_catalogue(
    graph: &ServiceGraph,
    catalogue: &Catalogue,
) -> Result<Observed<ServiceGraph>, ObserveError> {
    let mut warnings = Vec::new();
    let mut services: Vec<Service> = graph.services().cloned().collect();
    let mut edges: Vec<Edge> = graph.edges().cloned().collect();
    let said = |what: &str| Provenance {
        source: SourceKind::Catalogue,
        detail: what.into(),
        confidence: 1.0,
    };
    let called: std::collections::BTreeSet<_> = catalogue
        .services
        .values()
        .flat_map(|s| s.calls.keys())
        .collect();
    for (name, entry) in &catalogue.services {
        if graph.resolve(name).is_some() {
            continue;
        }
        let alike = graph
            .services()
            .filter(|s| s.name.short() == name.short())
            .count();
        if graph.is_empty() || !entry.calls.is_empty() || called.contains(name) {
            services.push(Service {
                provenance: vec![said("catalogue: services")],
                ..Service::named(name.clone())
            });
        } else {
            warnings.push(caution(
                "catalogue_unknown_service",
                name.to_string(),
                if alike > 1 {
                    format!("the catalogue names {name}, which {alike} services of the graph could be: write it with its namespace; the entry is not used")
                } else {
                    format!("the catalogue names {name}, which no source of the graph shows: mend the name, or give it calls; the entry is not used")
                },
            ));
        }
    }
    for callee in called {
        if graph.resolve(callee).is_none() && !services.iter().any(|s| s.name == *callee) {
            services.push(Service {
                provenance: vec![said("catalogue: calls")],
                ..Service::named(callee.clone())
            });
        }
    }
    let draft = build(services.clone(), Vec::new())?;
    for service in &mut services {
        let mut named = catalogue
            .services
            .iter()
            .filter(|(name, _)| draft.resolve(name).is_some_and(|s| s.name == service.name));
        // An entry with the full name comes before one without a namespace.
        let entry = catalogue
            .services
            .get(&service.name)
            .or_else(|| named.next().map(|(_, e)| e));
        if let Some(entry) = entry {
            service.protocol = entry.protocol.unwrap_or(service.protocol);
            service.port = entry.port.or(service.port);
            service.criticality = entry.criticality.unwrap_or(service.criticality);
            service.stateful = entry.stateful.or(service.stateful);
            service.instances = entry.instances.or(service.instances);
            service.capacity = entry.capacity.or(&service.capacity);
            if !service
                .provenance
                .iter()
                .any(|p| p.source == SourceKind::Catalogue)
            {
                service.provenance.push(said("catalogue: services"));
            }
        }
        service.capacity = service.capacity.or(&catalogue.defaults);
    }
    for (name, entry) in &catalogue.services {
        for (callee, fan_out) in &entry.calls {
            let (Some(caller), Some(callee)) = (draft.resolve(name), draft.resolve(callee)) else {
                warnings.push(caution(
                    "catalogue_unknown_service",
                    name.to_string(),
                    format!("the catalogue's call {name} -> {callee} could mean several services: write both with their namespaces; it is not used"),
                ));
                continue;
            };
            let (caller, callee) = (caller.name.clone(), callee.name.clone());
            let edge = match edges
                .iter_mut()
                .find(|e| e.caller == caller && e.callee == callee)
            {
                Some(edge) => edge,
                None => {
                    edges.push(Edge::between(caller, callee));
                    let Some(edge) = edges.last_mut() else {
                        continue;
                    };
                    edge
                }
            };
            edge.fan_out = Some(*fan_out);
            edge.provenance.push(said("catalogue: calls"));
        }
    }
    Ok(Observed {
        value: build(services, edges)?,
        warnings,
    })
}

fn build(services: Vec<Service>, edges: Vec<Edge>) -> Result<ServiceGraph, ObserveError> {
    ServiceGraph::new(services, edges).map_err(|cause| ObserveError::Graph {
        file: "catalogue".into(),
        cause,
    })
}
