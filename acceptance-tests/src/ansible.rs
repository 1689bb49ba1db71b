//! Ansible on this machine alone, with a home of its own.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Finished, process::run};

/// Ansible's runner.
#[derive(Debug)]
pub struct Ansible {
    program: PathBuf,
    home: PathBuf,
}

impl Ansible {
    /// Ansible that keeps its own files in `home`.
    pub fn new(program: PathBuf, home: &Path) -> Self {
        Self {
            program,
            home: home.into(),
        }
    }

    /// Runs a playbook in `folder` with `variables` (as JSON) beside its own; `path` stands first on PATH.
    pub fn play(&self, folder: &Path, arguments: &[&str], path: Option<&Path>) -> Finished {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .current_dir(folder)
            .env("ANSIBLE_HOME", &self.home)
            .env("ANSIBLE_NOCOLOR", "1")
            .env("ANSIBLE_PIPELINING", "1")
            .env("ANSIBLE_RETRY_FILES_ENABLED", "0")
            .env("ANSIBLE_LOCAL_TEMP", self.home.join("tmp"));
        if let Some(first) = path {
            let rest = std::env::var_os("PATH").unwrap_or_default();
            let all = std::iter::once(first.to_path_buf()).chain(std::env::split_paths(&rest));
            command.env("PATH", std::env::join_paths(all).expect("a PATH"));
        }
        run(&mut command)
    }
}
