//! The texts of manifest files, for whoever compares what is rendered with what is there already.

use std::{
    collections::BTreeMap,
    io::{BufRead, Read},
    path::PathBuf,
};

use crate::{
    ObserveError, files,
    graph::{
        kind::{Kind, kind_of},
        promising,
    },
};

/// More than this of one manifest is not read.
const MOST_BYTES: u64 = 64 << 20;

/// Reads the manifests among files and folders, as [`crate::read_graph`] finds them: texts by path as it was given or found. What a
/// file is, is told by its beginning, so that traces are not read for this. Files in folders that cannot be read are left out.
///
/// # Errors
/// [`ObserveError`] for a path that does not exist.
pub fn read_manifests(paths: &[PathBuf]) -> Result<BTreeMap<String, String>, ObserveError> {
    let mut texts = BTreeMap::new();
    for candidate in files::walk(paths)? {
        if !candidate.named && !promising(&candidate.path) {
            continue;
        }
        let Ok(mut reader) = files::open(&candidate.path) else {
            continue;
        };
        let manifests = reader
            .fill_buf()
            .is_ok_and(|head| kind_of(head) == Kind::Manifests);
        let mut bytes = Vec::new();
        if manifests && reader.take(MOST_BYTES).read_to_end(&mut bytes).is_ok() {
            texts.insert(
                candidate.path.display().to_string(),
                String::from_utf8_lossy(&bytes).into_owned(),
            );
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_are_told_from_traces_by_their_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
        write("a.yaml", "kind: Service\nmetadata: {name: a}\n").unwrap();
        write("traces.json", r#"[{"traceId":"1","id":"2"}]"#).unwrap();
        write("b.json", r#"{"apiVersion":"v1","kind":"Service"}"#).unwrap();
        write("notes.md", "kind: no manifest\n").unwrap();
        let texts = read_manifests(&[folder.path().into()]).unwrap();
        let names: Vec<&str> = texts
            .keys()
            .filter_map(|path| path.rsplit('/').next())
            .collect();
        assert_eq!(names, ["a.yaml", "b.json"]);
        assert!(read_manifests(&[folder.path().join("gone")]).is_err());
    }
}
