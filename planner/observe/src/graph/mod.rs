//! The service graph from files: each is recognised by what it holds, all are merged with provenance.

pub(crate) mod facts;
mod file;
pub(crate) mod kind;
mod merge;
mod sources;

use std::path::{Path, PathBuf};

use foremesh_model::{ServiceGraph, Timestamp};

use crate::{ObserveError, Observed, files, prometheus::MeshPool};

use self::sources::Sources;

/// Reads files and folders (manifests, traces, metrics expositions, graph files) into one graph. Spans that started at or
/// after `as_of` are passed over.
///
/// A file that is named and cannot be used is an error; one that was found in a folder is a warning, as long as something
/// else gives services.
///
/// # Errors
/// [`ObserveError`] naming file and place of what cannot be used, and how to mend it.
pub fn read_graph(
    paths: &[PathBuf],
    as_of: Option<Timestamp>,
) -> Result<Observed<ServiceGraph>, ObserveError> {
    read_with_metrics(paths, as_of, MeshPool::default())
}

/// Reads files and folders, and merges them with the calls that a server's metrics show.
pub(crate) fn read_with_metrics(
    paths: &[PathBuf],
    as_of: Option<Timestamp>,
    metrics: MeshPool,
) -> Result<Observed<ServiceGraph>, ObserveError> {
    let mut sources = Sources::new(as_of, metrics);
    for candidate in files::walk(paths)? {
        let file = candidate.path.display().to_string();
        if !candidate.named && !promising(&candidate.path) {
            sources.pass_over(
                &file,
                "its name is not that of a manifest, a trace or a graph",
            );
            continue;
        }
        match files::read(&candidate.path) {
            Ok(bytes) => sources.add(&file, &bytes, candidate.named)?,
            Err(error) if candidate.named => return Err(error),
            Err(error) => sources.refuse(&file, error),
        }
    }
    let named: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
    sources.finish(&named.join(", "))
}

/// Reads texts as [`read_graph`] reads files: each is a name and its bytes, and counts as named by the user.
///
/// # Errors
/// See [`read_graph`].
pub fn parse_graph(
    texts: &[(&str, &[u8])],
    as_of: Option<Timestamp>,
) -> Result<Observed<ServiceGraph>, ObserveError> {
    let mut sources = Sources::new(as_of, MeshPool::default());
    for (file, bytes) in texts {
        sources.add(file, bytes, true)?;
    }
    let names: Vec<&str> = texts.iter().map(|(file, _)| *file).collect();
    sources.finish(&names.join(", "))
}

/// Whether a file in a folder is worth opening, by its name.
pub(crate) fn promising(path: &Path) -> bool {
    let name = path
        .file_name()
        .map(|n| n.to_string_lossy().to_lowercase())
        .unwrap_or_default();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    [
        ".yaml", ".yml", ".json", ".jsonl", ".ndjson", ".prom", ".txt", ".metrics",
    ]
    .iter()
    .any(|extension| name.ends_with(extension))
}
