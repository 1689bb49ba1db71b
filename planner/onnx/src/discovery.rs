//! Looks for ONNX Runtime's shared library. Looks only: nothing is loaded here.
//!
//! A library that somebody named (configuration, then environment) is the only candidate. Else candidates are, in this
//! order: beside the program, where the system keeps libraries, where Python keeps packages. What is looked at is an argument
//! ([`Surroundings`]), so that the order can be tested.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::{Path, PathBuf},
};

use foremesh_model::InferenceSettings;

/// Names the library, or the folder it is in; before `ORT_DYLIB_PATH`.
pub const VARIABLE: &str = "FOREMESH_ONNXRUNTIME";
/// The same, as other programs with ONNX Runtime know it.
pub const VARIABLE_ORT: &str = "ORT_DYLIB_PATH";

/// Where a candidate was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundIn {
    /// The configuration names it.
    Configuration,
    /// This environment variable names it.
    Variable(&'static str),
    /// Beside the program.
    Program,
    /// Where the system keeps libraries.
    System,
    /// Where Python keeps packages.
    Python,
}

impl fmt::Display for FoundIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configuration => "configuration",
            Self::Variable(name) => name,
            Self::Program => "beside the program",
            Self::System => "system folder",
            Self::Python => "Python package",
        })
    }
}

/// A file that may be ONNX Runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its path, with links followed where it exists.
    pub path: PathBuf,
    /// Where it was found.
    pub found_in: FoundIn,
}

/// What discovery looks at.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Environment variables.
    pub variables: BTreeMap<String, String>,
    /// The folder of the running program.
    pub program_folder: Option<PathBuf>,
    /// Where the system keeps libraries.
    pub system_folders: Vec<PathBuf>,
    /// Where Python may be installed, beside the environments that variables name.
    pub python_prefixes: Vec<PathBuf>,
}

impl Surroundings {
    /// Those of this process.
    pub fn of_process() -> Self {
        let program = std::env::current_exe().ok();
        let folders = |paths: &[&str]| paths.iter().map(PathBuf::from).collect();
        Self {
            variables: std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
            program_folder: program.and_then(|path| Some(path.parent()?.to_owned())),
            system_folders: folders(&[
                "/usr/local/lib",
                "/usr/lib",
                "/usr/lib64",
                "/usr/lib/x86_64-linux-gnu",
                "/usr/lib/aarch64-linux-gnu",
                "/opt/onnxruntime/lib",
                "/opt/homebrew/lib",
            ]),
            python_prefixes: folders(&["/usr/local", "/usr"]),
        }
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    }
}

/// The files that may be ONNX Runtime, the first to be tried first. A path that somebody named is a candidate even where nothing is
/// there: the error then names it.
pub fn candidates(settings: &InferenceSettings, around: &Surroundings) -> Vec<Candidate> {
    let configured = settings
        .library
        .as_deref()
        .map(|path| (path, FoundIn::Configuration));
    let named = configured.or_else(|| {
        [VARIABLE, VARIABLE_ORT]
            .into_iter()
            .find_map(|name| Some((around.variable(name)?, FoundIn::Variable(name))))
    });
    if let Some((path, found_in)) = named {
        let path = Path::new(path);
        let mut libraries = if path.is_dir() {
            libraries_in(path)
        } else {
            Vec::new()
        };
        if libraries.is_empty() {
            libraries.push(real(path));
        }
        let first = libraries.into_iter().next();
        return first
            .map(|path| Candidate { path, found_in })
            .into_iter()
            .collect();
    }
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    let mut look = |folder: &Path, found_in| {
        for path in libraries_in(folder) {
            if seen.insert(path.clone()) {
                found.push(Candidate { path, found_in });
            }
        }
    };
    if let Some(folder) = &around.program_folder {
        look(folder, FoundIn::Program);
        look(&folder.join("lib"), FoundIn::Program);
        look(&folder.join("../lib"), FoundIn::Program);
    }
    for variable in ["LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"] {
        let text = around.variable(variable).unwrap_or_default();
        for folder in std::env::split_paths(text) {
            look(&folder, FoundIn::System);
        }
    }
    for folder in &around.system_folders {
        look(folder, FoundIn::System);
    }
    let prefixes = ["VIRTUAL_ENV", "CONDA_PREFIX"]
        .into_iter()
        .filter_map(|name| Some(PathBuf::from(around.variable(name)?)))
        .chain(
            around
                .variable("HOME")
                .map(|home| Path::new(home).join(".local")),
        )
        .chain(around.python_prefixes.iter().cloned());
    for prefix in prefixes {
        for packages in package_folders(&prefix) {
            look(&packages.join("onnxruntime/capi"), FoundIn::Python);
        }
    }
    found
}

/// `lib/python3*/site-packages` and Debian's `dist-packages`, the newest Python first.
fn package_folders(prefix: &Path) -> Vec<PathBuf> {
    let lib = prefix.join("lib");
    let mut pythons: Vec<(Vec<u64>, PathBuf)> = entries(&lib)
        .into_iter()
        .filter_map(|path| {
            let version = path.file_name()?.to_str()?.strip_prefix("python3")?;
            Some((numbers(version), path))
        })
        .collect();
    pythons.sort_by(|a, b| b.cmp(a));
    let packages = |path: PathBuf| [path.join("site-packages"), path.join("dist-packages")];
    pythons
        .into_iter()
        .flat_map(|(_, path)| packages(path))
        .collect()
}

/// The libraries of a folder, the newest first, links followed.
fn libraries_in(folder: &Path) -> Vec<PathBuf> {
    let mut libraries: Vec<(Vec<u64>, PathBuf)> = entries(folder)
        .into_iter()
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(is_library)
        })
        .map(|path| {
            let path = real(&path);
            (numbers(&version_in_name(&path).unwrap_or_default()), path)
        })
        .collect();
    libraries.sort_by(|a, b| b.cmp(a));
    libraries.dedup();
    libraries.into_iter().map(|(_, path)| path).collect()
}

/// `libonnxruntime.so`, `libonnxruntime.so.1.31.1`, `libonnxruntime.1.31.1.dylib`; not `libonnxruntime_providers_shared.so`.
fn is_library(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("libonnxruntime.") else {
        return false;
    };
    let number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    match rest.strip_prefix("so") {
        Some("") => true,
        Some(version) => version
            .strip_prefix('.')
            .is_some_and(|v| v.split('.').all(number)),
        None => rest
            .strip_suffix("dylib")
            .is_some_and(|version| version.split('.').all(number)),
    }
}

/// The version that a library's name holds.
pub(crate) fn version_in_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let rest = name.strip_prefix("libonnxruntime.")?;
    let version = rest
        .strip_prefix("so.")
        .or_else(|| rest.strip_suffix(".dylib"))?;
    version.contains('.').then(|| version.to_owned())
}

fn numbers(version: &str) -> Vec<u64> {
    version
        .split('.')
        .filter_map(|part| part.parse().ok())
        .collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// With links followed where it exists; from the working directory, never from the program's folder.
fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path)
        .or_else(|_| std::path::absolute(path))
        .unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path) -> PathBuf {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
        real(path)
    }

    fn settings(library: Option<&Path>) -> InferenceSettings {
        InferenceSettings {
            library: library.map(|path| path.display().to_string()),
            ..InferenceSettings::default()
        }
    }

    #[test]
    fn libraries_are_found_in_the_order_that_is_documented() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        let beside = touch(&at("bin/libonnxruntime.so"));
        let system_new = touch(&at("system/libonnxruntime.so.1.31.1"));
        let system_old = touch(&at("system/libonnxruntime.so.1.9.0"));
        #[cfg(unix)]
        std::os::unix::fs::symlink(&system_new, at("system/libonnxruntime.so")).unwrap();
        touch(&at("system/libonnxruntime_providers_shared.so"));
        let capi = "site-packages/onnxruntime/capi/libonnxruntime.so.1.24.4";
        let python_new = touch(&at(&format!("venv/lib/python3.12/{capi}")));
        let python_old = touch(&at(&format!("venv/lib/python3.9/{capi}")));
        let home = touch(&at(&format!("home/.local/lib/python3.11/{capi}")));
        let text = |path: PathBuf| path.display().to_string();
        let mut around = Surroundings {
            variables: [
                ("VIRTUAL_ENV".to_owned(), text(at("venv"))),
                ("HOME".to_owned(), text(at("home"))),
            ]
            .into(),
            program_folder: Some(at("bin")),
            system_folders: vec![at("system"), at("nowhere")],
            python_prefixes: vec![],
        };
        let paths = |settings: &InferenceSettings, around: &Surroundings| {
            let found = candidates(settings, around);
            found
                .into_iter()
                .map(|candidate| candidate.path)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            paths(&settings(None), &around),
            [
                beside,
                system_new.clone(),
                system_old.clone(),
                python_new,
                python_old,
                home.clone()
            ]
        );

        around
            .variables
            .insert(VARIABLE_ORT.into(), text(system_old.clone()));
        assert_eq!(paths(&settings(None), &around), [system_old]);
        around.variables.insert(VARIABLE.into(), text(home.clone()));
        assert_eq!(
            candidates(&settings(None), &around),
            [Candidate {
                path: home,
                found_in: FoundIn::Variable(VARIABLE)
            }]
        );
        assert_eq!(
            paths(&settings(Some(&at("system"))), &around),
            [system_new],
            "the newest of a folder"
        );
        let gone = at("gone.so");
        assert_eq!(
            candidates(&settings(Some(&gone)), &around),
            [Candidate {
                path: gone,
                found_in: FoundIn::Configuration
            }],
            "a path that is named and not there stays, to be named in the error"
        );
    }

    #[test]
    fn names_of_libraries_are_told_from_their_neighbours() {
        assert!(is_library("libonnxruntime.so"));
        assert!(is_library("libonnxruntime.so.1.31.1"));
        assert!(is_library("libonnxruntime.1.31.1.dylib"));
        assert!(is_library("libonnxruntime.dylib"));
        assert!(!is_library("libonnxruntime_providers_cuda.so"));
        assert!(!is_library("libonnxruntime.so.bak"));
        assert!(!is_library("libonnxruntime.a"));
        let version = |name: &str| version_in_name(Path::new(name));
        assert_eq!(
            version("/x/libonnxruntime.so.1.31.1").as_deref(),
            Some("1.31.1")
        );
        assert_eq!(
            version("/x/libonnxruntime.1.31.1.dylib").as_deref(),
            Some("1.31.1")
        );
        assert_eq!(version("/x/libonnxruntime.so"), None);
    }
}
