//! Writing rendered files into a folder: all or nothing new, only our own files touched, drift seen.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Component, Path, PathBuf},
};

use sha2::{Digest, Sha256};
use thiserror::Error;

/// The file by which a folder that no Terraform state describes remembers what is ours in it.
pub const OWNED_FILE: &str = ".foremesh-files.json";

/// SHA-256 in hexadecimal by path within the folder, `/` between its parts.
pub type FileHashes = BTreeMap<String, String>;

/// Why a folder could not be written or read.
#[derive(Debug, Error)]
pub enum FolderError {
    /// The operating system refused.
    #[error("{path}: {action}: {cause}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the operating system says.
        cause: io::Error,
    },
    /// A file with other content stands where ours belongs.
    #[error("{0} exists and was not written by Foremesh: move it away, or choose another folder")]
    NotOurs(PathBuf),
    /// A rendered path leads out of the folder.
    #[error("{0:?} leads out of the folder: a bundle writes only below its own path")]
    Outside(String),
}

/// A folder that holds rendered files, perhaps among others.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder at a path, which need not exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Writes `files` and removes those of `owned` that are no longer among them. Everything is staged beside the folder first, so that
    /// a full disk or a lost permission changes nothing; then each file is renamed into place, whole.
    ///
    /// # Errors
    /// [`FolderError`]; a foreign file in the way is not touched.
    pub fn write(
        &self,
        files: &BTreeMap<String, String>,
        owned: &FileHashes,
    ) -> Result<FileHashes, FolderError> {
        for (name, content) in files {
            let path = self.inside(name)?;
            let foreign = !owned.contains_key(name)
                && fs::read(&path).is_ok_and(|found| found != content.as_bytes());
            if foreign {
                return Err(FolderError::NotOurs(path));
            }
        }
        let parent = self
            .path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(failed(parent, "create the folder"))?;
        let staging = tempfile::Builder::new()
            .prefix(".foremesh-staging-")
            .tempdir_in(parent)
            .map_err(failed(parent, "create a staging folder"))?;
        for (name, content) in files {
            let path = staging.path().join(name);
            create_parent(&path)?;
            fs::write(&path, content).map_err(failed(&path, "write"))?;
        }
        for name in files.keys() {
            let path = self.inside(name)?;
            create_parent(&path)?;
            fs::rename(staging.path().join(name), &path)
                .map_err(failed(&path, "put into place"))?;
        }
        let gone: FileHashes = owned
            .iter()
            .filter(|(name, _)| !files.contains_key(*name))
            .map(|(n, h)| (n.clone(), h.clone()))
            .collect();
        self.remove(&gone)?;
        Ok(hash_files(files))
    }

    /// As [`Folder::write`], remembering in [`OWNED_FILE`] what is ours.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn write_remembered(
        &self,
        files: &BTreeMap<String, String>,
    ) -> Result<FileHashes, FolderError> {
        let memory = self.path.join(OWNED_FILE);
        let owned: FileHashes = fs::read(&memory)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default();
        let hashes = self.write(files, &owned)?;
        let text = serde_json::to_string_pretty(&hashes).unwrap_or_default() + "\n";
        fs::write(&memory, text).map_err(failed(&memory, "write"))?;
        Ok(hashes)
    }

    /// Writes one file whole, over whatever stands there: for a file that the user named.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn replace(&self, name: &str, content: &str) -> Result<(), FolderError> {
        let here = if self.path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            &self.path
        };
        fs::create_dir_all(here).map_err(failed(here, "create the folder"))?;
        let path = here.join(name);
        let staging = tempfile::Builder::new()
            .prefix(".foremesh-staging-")
            .tempdir_in(here)
            .map_err(failed(here, "create a staging folder"))?;
        let staged = staging.path().join(name);
        fs::write(&staged, content).map_err(failed(&path, "write"))?;
        fs::rename(&staged, &path).map_err(failed(&path, "put into place"))?;
        Ok(())
    }

    /// The hashes of our files as they stand now; a missing file is left out. `None` when the folder does not exist at all: a fresh
    /// machine, on which nothing was written yet and nothing drifted.
    ///
    /// # Errors
    /// [`FolderError::Io`] when a file is there and cannot be read.
    pub fn hashes(&self, owned: &FileHashes) -> Result<Option<FileHashes>, FolderError> {
        if !self.path.is_dir() {
            return Ok(None);
        }
        let mut found = FileHashes::new();
        for name in owned.keys() {
            let path = self.inside(name)?;
            match fs::read(&path) {
                Ok(content) => {
                    found.insert(name.clone(), hash(&content));
                }
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
                Err(cause) => return Err(failed(&path, "read")(cause)),
            }
        }
        Ok(Some(found))
    }

    /// Removes our files, and folders that are empty then.
    ///
    /// # Errors
    /// [`FolderError::Io`] when a file cannot be removed; one that is gone already is no error.
    pub fn remove(&self, owned: &FileHashes) -> Result<(), FolderError> {
        for name in owned.keys() {
            let path = self.inside(name)?;
            match fs::remove_file(&path) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                    return Err(failed(&path, "remove")(cause));
                }
                _ => {}
            }
            let mut folder = path.parent();
            while let Some(empty) = folder.filter(|f| f.starts_with(&self.path)) {
                // Fails on a folder that still holds something, which is meant to stay.
                if fs::remove_dir(empty).is_err() {
                    break;
                }
                folder = empty.parent();
            }
        }
        Ok(())
    }

    fn inside(&self, name: &str) -> Result<PathBuf, FolderError> {
        let relative = Path::new(name);
        let plain = relative
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if plain && !name.is_empty() {
            Ok(self.path.join(relative))
        } else {
            Err(FolderError::Outside(name.into()))
        }
    }
}

/// The hashes of files by their path.
pub fn hash_files(files: &BTreeMap<String, String>) -> FileHashes {
    files
        .iter()
        .map(|(name, content)| (name.clone(), hash(content.as_bytes())))
        .collect()
}

fn hash(content: &[u8]) -> String {
    Sha256::digest(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn create_parent(path: &Path) -> Result<(), FolderError> {
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(failed(parent, "create the folder"))
}

fn failed(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> FolderError {
    let path = path.to_owned();
    move |cause| FolderError::Io {
        path,
        action,
        cause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, content)| ((*name).to_owned(), (*content).to_owned()))
            .collect()
    }

    #[test]
    fn only_our_files_are_replaced_and_removed() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path().join("mesh"));
        let owned = folder
            .write(
                &files(&[("a/x.yaml", "1"), ("y.yaml", "2")]),
                &FileHashes::new(),
            )
            .unwrap();
        fs::write(root.path().join("mesh/foreign.yaml"), "theirs").unwrap();
        let owned = folder.write(&files(&[("y.yaml", "3")]), &owned).unwrap();
        assert!(
            !root.path().join("mesh/a").exists(),
            "the empty folder went with its file"
        );
        assert_eq!(
            fs::read_to_string(root.path().join("mesh/y.yaml")).unwrap(),
            "3"
        );
        folder.remove(&owned).unwrap();
        assert_eq!(
            fs::read_to_string(root.path().join("mesh/foreign.yaml")).unwrap(),
            "theirs"
        );
        let names: Vec<_> = fs::read_dir(root.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["mesh"], "no staging folder stays behind");
    }

    #[test]
    fn a_foreign_file_in_the_way_stops_everything() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("b.yaml"), "theirs").unwrap();
        let folder = Folder::new(root.path());
        let error = folder
            .write(
                &files(&[("a.yaml", "1"), ("b.yaml", "2")]),
                &FileHashes::new(),
            )
            .unwrap_err();
        assert!(matches!(error, FolderError::NotOurs(_)), "{error}");
        assert!(!root.path().join("a.yaml").exists());
    }

    #[test]
    fn drift_shows_and_a_fresh_machine_does_not() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path().join("mesh"));
        let owned = hash_files(&files(&[("a", "1"), ("b", "2")]));
        assert_eq!(folder.hashes(&owned).unwrap(), None);
        folder
            .write(&files(&[("a", "1"), ("b", "2")]), &owned)
            .unwrap();
        assert_eq!(folder.hashes(&owned).unwrap(), Some(owned.clone()));
        fs::write(root.path().join("mesh/a"), "altered").unwrap();
        fs::remove_file(root.path().join("mesh/b")).unwrap();
        let found = folder.hashes(&owned).unwrap().unwrap();
        assert_eq!(found.len(), 1);
        assert_ne!(found["a"], owned["a"]);
    }

    #[test]
    fn no_path_leads_out() {
        let root = tempfile::tempdir().unwrap();
        for name in ["../x", "/etc/x", "a/../../x", ""] {
            let error = Folder::new(root.path())
                .write(&files(&[(name, "1")]), &FileHashes::new())
                .unwrap_err();
            assert!(matches!(error, FolderError::Outside(_)), "{name}: {error}");
        }
    }

    #[test]
    fn a_remembered_folder_cleans_up_after_itself() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path().join("plan"));
        folder
            .write_remembered(&files(&[("a", "1"), ("b", "1")]))
            .unwrap();
        folder.write_remembered(&files(&[("b", "2")])).unwrap();
        assert!(!root.path().join("plan/a").exists());
        assert_eq!(fs::read_to_string(root.path().join("plan/b")).unwrap(), "2");
    }
}
