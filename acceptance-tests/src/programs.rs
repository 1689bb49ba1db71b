//! Outside programs: where they are, and what happens to a test when they are not.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::root;

/// A program that tests drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Terraform, or OpenTofu where there is none.
    Terraform,
    /// The Envoy proxy.
    Envoy,
    /// The Prometheus server.
    Prometheus,
    /// Prometheus' tool that makes blocks of samples.
    Promtool,
    /// Ansible's runner.
    Ansible,
}

impl Program {
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Terraform => &["terraform", "tofu"],
            Self::Envoy => &["envoy"],
            Self::Prometheus => &["prometheus"],
            Self::Promtool => &["promtool"],
            Self::Ansible => &["ansible-playbook"],
        }
    }
}

/// Where a program is: on PATH, else in `.cache/tools/bin`.
pub fn find(program: Program) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let cache = root().join(".cache/tools/bin");
    program.names().iter().find_map(|name| {
        env::split_paths(&path)
            .chain([cache.clone()])
            .map(|folder| folder.join(name))
            .find(|file| is_executable(file))
    })
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata()
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// Says that a test is skipped for want of a program.
///
/// # Panics
/// With `CI=true`, where a skip is a failure.
pub fn skip(program: Program) {
    let names = program.names().join(" nor ");
    let reason =
        format!("SKIPPED: {names} is neither on PATH nor in .cache/tools/bin: run `make tools`");
    assert!(env::var("CI").as_deref() != Ok("true"), "{reason}");
    println!("{reason}");
}
