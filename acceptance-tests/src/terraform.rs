//! Terraform or OpenTofu in a folder, with the provider served by a filesystem mirror.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{Finished, process::run, provider, root};

/// Terraform in one folder.
#[derive(Debug)]
pub struct Terraform {
    program: PathBuf,
    folder: PathBuf,
    settings: PathBuf,
}

/// A plan that was made.
#[derive(Debug)]
pub struct Plan {
    /// What Terraform printed.
    pub run: Finished,
    /// Whether anything would change; an output counts.
    pub changes: bool,
    /// Action and planned values of each resource that would change, by address.
    pub resources: BTreeMap<String, Value>,
}

impl Terraform {
    /// Terraform (`program`) in `folder`; the mirror is laid out in `mirror`.
    ///
    /// # Panics
    /// When the mirror cannot be written.
    pub fn new(program: PathBuf, folder: &Path, mirror: &Path) -> Self {
        run(Command::new(root().join("scripts/mirror"))
            .arg(provider())
            .arg(mirror))
        .expect_code(0);
        Self {
            program,
            folder: folder.into(),
            settings: mirror.join("terraform.tfrc"),
        }
    }

    /// Runs a command of Terraform, whatever comes of it.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        run(&mut self.command(arguments))
    }

    /// A command of Terraform, not yet run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env("TF_CLI_CONFIG_FILE", &self.settings)
            .env("TF_IN_AUTOMATION", "1")
            .env("TF_INPUT", "0")
            .env("CHECKPOINT_DISABLE", "1")
            .env_remove("TF_LOG");
        command
    }

    /// `init`.
    ///
    /// # Panics
    /// With Terraform's words when it fails; so do all that follow.
    pub fn init(&self) {
        self.run(&["init", "-no-color"]).expect_code(0);
    }

    /// `plan`, with what would change.
    pub fn plan(&self, arguments: &[&str]) -> Plan {
        let file = "acceptance.tfplan";
        let out = format!("-out={file}");
        let mut all = vec!["plan", "-no-color", "-detailed-exitcode", &out];
        all.extend(arguments);
        let run = self.run(&all);
        let changes = match run.code {
            Some(0) => false,
            Some(2) => true,
            _ => panic!("the plan failed\n{run}"),
        };
        let shown = self.run(&["show", "-json", file]).expect_code(0);
        let shown: Value = serde_json::from_str(&shown.stdout).expect("show -json prints JSON");
        let resources = shown["resource_changes"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|change| {
                change["change"]["actions"] != serde_json::json!(["no-op"])
                    && change["mode"] == "managed"
            })
            .map(|change| {
                let address = change["address"].as_str().unwrap_or_default();
                (address.to_owned(), change["change"].clone())
            })
            .collect();
        Plan {
            run,
            changes,
            resources,
        }
    }

    /// `plan` that must be refused; the words of the refusal, without what differs from machine to machine.
    pub fn refused(&self, arguments: &[&str]) -> String {
        let mut all = vec!["plan", "-no-color"];
        all.extend(arguments);
        let run = self.run(&all).expect_code(1);
        let folder = self.folder.display().to_string();
        run.stderr.replace(&folder, "FOLDER")
    }

    /// `apply`, and what Terraform said.
    pub fn apply(&self, arguments: &[&str]) -> String {
        let mut all = vec!["apply", "-no-color", "-auto-approve"];
        all.extend(arguments);
        self.run(&all).expect_code(0).stdout
    }

    /// `destroy`.
    pub fn destroy(&self) {
        self.run(&["destroy", "-no-color", "-auto-approve"])
            .expect_code(0);
    }

    /// `output -json`: values by name.
    pub fn outputs(&self) -> BTreeMap<String, Value> {
        let run = self.run(&["output", "-json"]).expect_code(0);
        let outputs: BTreeMap<String, Value> =
            serde_json::from_str(&run.stdout).expect("output -json prints JSON");
        outputs
            .into_iter()
            .map(|(name, output)| (name, output["value"].clone()))
            .collect()
    }
}
