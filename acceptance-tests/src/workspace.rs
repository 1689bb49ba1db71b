//! The repository under test: where it is, its binaries, and a folder of its own for each test.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{Finished, run};

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lies in the repository")
        .to_path_buf()
}

/// A path below the folder of real data that may lie beside the repository.
pub fn shared(path: &str) -> Option<PathBuf> {
    let path = root().parent()?.join("shared").join(path);
    path.exists().then_some(path)
}

/// A binary of this workspace, beside the test that asks.
fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let folder = test
        .parent()
        .and_then(Path::parent)
        .expect("tests lie in target/PROFILE/deps");
    let file = folder.join(name);
    assert!(
        file.exists(),
        "{} does not exist: `make build` builds what these tests run",
        file.display()
    );
    file
}

/// The provider's binary.
pub fn provider() -> PathBuf {
    binary("terraform-provider-foremesh")
}

/// Runs the command line in `folder`.
pub fn foremesh(folder: &Path, arguments: &[&str]) -> Finished {
    run(Command::new(binary("foremesh"))
        .args(arguments)
        .current_dir(folder)
        .env("NO_COLOR", "1"))
}

/// A folder of its own for one test, removed at its end; `FOREMESH_KEEP=1` keeps it.
#[derive(Debug)]
pub struct Workspace {
    folder: TempDir,
}

impl Default for Workspace {
    fn default() -> Self {
        Self::new()
    }
}

impl Workspace {
    /// An empty folder below the target folder, so that binaries can be hard-linked into it.
    pub fn new() -> Self {
        let test = std::env::current_exe().expect("a test knows its own path");
        let base = test.with_file_name("acceptance");
        fs::create_dir_all(&base).expect("the target folder can be written");
        let mut folder = tempfile::Builder::new()
            .prefix("test-")
            .tempdir_in(base)
            .expect("the target folder can be written");
        if std::env::var_os("FOREMESH_KEEP").is_some() {
            folder.disable_cleanup(true);
            println!("kept: {}", folder.path().display());
        }
        Self { folder }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A path in it.
    pub fn join(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Writes a file, with the folders it lies in.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let file = self.join(path);
        fs::create_dir_all(file.parent().expect("a file lies in a folder"))
            .expect("folders can be made");
        fs::write(&file, content).expect("the file can be written");
        file
    }

    /// Reads a file as text.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn read(&self, path: &str) -> String {
        let file = self.join(path);
        fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }

    /// Copies a folder of the repository, without what Terraform leaves behind.
    pub fn copy(&self, from: &str, to: &str) {
        copy(&root().join(from), &self.join(to));
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("folders can be made");
    let entries = fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    for entry in entries {
        let entry = entry.expect("the folder can be listed");
        let name = entry.file_name();
        let text = name.to_string_lossy();
        if text.starts_with(".terraform") || text.contains(".tfstate") {
            continue;
        }
        if entry.path().is_dir() {
            copy(&entry.path(), &to.join(&name));
        } else {
            fs::copy(entry.path(), to.join(&name)).expect("the file can be copied");
        }
    }
}
