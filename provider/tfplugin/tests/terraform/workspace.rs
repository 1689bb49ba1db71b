//! A folder with a configuration, a mirror that holds the provider, and a Terraform to run in it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value as Json;
use tempfile::TempDir;

use crate::support::provider_binary;

/// Is there a Terraform? In CI there must be.
#[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
pub fn terraform_is_there() -> bool {
    let found = Command::new("terraform")
        .arg("version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if found.is_ok_and(|status| status.success()) {
        return true;
    }
    assert_ne!(
        std::env::var("CI").as_deref(),
        Ok("true"),
        "CI has no terraform on PATH"
    );
    println!("SKIPPED: no terraform on PATH");
    false
}

pub struct Workspace {
    folder: TempDir,
}

/// What a run of Terraform said.
pub struct Said {
    pub text: String,
    pub success: bool,
}

impl Workspace {
    /// A workspace whose provider is configured with `provider` (the inside of its block), initialised; `None`, said
    /// loudly, where there is no Terraform.
    pub fn new(provider: &str) -> Option<Self> {
        if !terraform_is_there() {
            return None;
        }
        let workspace = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        for name in ["work", "pantry", "tmp"] {
            fs::create_dir(workspace.path(name)).unwrap();
        }
        let platform = format!(
            "{}_{}",
            std::env::consts::OS.replace("macos", "darwin"),
            match std::env::consts::ARCH {
                "x86_64" => "amd64",
                "aarch64" => "arm64",
                other => other,
            }
        );
        let package = workspace
            .path("mirror/registry.terraform.io/acme/kitchen/1.0.0")
            .join(platform);
        fs::create_dir_all(&package).unwrap();
        let binary = package.join("terraform-provider-kitchen_v1.0.0");
        if fs::hard_link(provider_binary(), &binary).is_err() {
            fs::copy(provider_binary(), &binary).unwrap();
        }
        let settings = format!(
            "disable_checkpoint = true\nprovider_installation {{\n  filesystem_mirror {{\n    path = {:?}\n  }}\n}}\n",
            workspace.path("mirror")
        );
        fs::write(workspace.path("terraform.rc"), settings).unwrap();
        workspace.write(
            "provider.tf",
            &format!(
                "terraform {{\n  required_providers {{\n    kitchen = {{ source = \"acme/kitchen\" }}\n  }}\n}}\n\
                 provider \"kitchen\" {{\n  pantry = {:?}\n  {provider}\n}}\n",
                workspace.path("pantry")
            ),
        );
        workspace.write("main.tf", "");
        let init = workspace.run(&["init"]);
        assert!(init.success, "{}", init.text);
        Some(workspace)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of the configuration.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path("work").join(name), text).unwrap();
    }

    /// Replaces the configuration beside the provider block.
    pub fn configure(&self, text: &str) -> &Self {
        self.write("main.tf", text);
        self
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("terraform");
        command
            .args(arguments)
            .current_dir(self.path("work"))
            .env("TF_CLI_CONFIG_FILE", self.path("terraform.rc"))
            .env("TMPDIR", self.path("tmp"))
            .env("TF_IN_AUTOMATION", "1")
            .env("TF_CLI_ARGS", "-no-color")
            .env("RUST_BACKTRACE", "1")
            .env_remove("TF_LOG")
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Said {
        Said::of(self.command(arguments).output().unwrap())
    }

    /// Plans; `None` if Terraform sees nothing to do, else the plan as JSON.
    pub fn plan(&self, more: &[&str]) -> Option<Json> {
        let mut arguments = vec!["plan", "-detailed-exitcode", "-out=plan"];
        arguments.extend(more);
        let output = self.command(&arguments).output().unwrap();
        match output.status.code() {
            Some(0) => {
                let said = Said::of(output);
                assert!(said.text.contains("No changes."), "{}", said.text);
                None
            }
            Some(2) => {
                let output = self.command(&["show", "-json", "plan"]).output().unwrap();
                Some(serde_json::from_slice(&output.stdout).unwrap())
            }
            _ => panic!("the plan failed:\n{}", Said::of(output).text),
        }
    }

    pub fn apply(&self) -> &Self {
        let said = self.run(&["apply", "-auto-approve"]);
        assert!(said.success, "{}", said.text);
        self
    }

    /// The attributes of a resource in the state.
    pub fn state(&self, address: &str) -> Json {
        let output = self.command(&["show", "-json"]).output().unwrap();
        let state: Json = serde_json::from_slice(&output.stdout).unwrap();
        let resources = state["values"]["root_module"]["resources"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let found = resources
            .into_iter()
            .find(|resource| resource["address"] == address);
        found
            .unwrap_or_else(|| panic!("{address} is not in the state"))
            .get("values")
            .unwrap()
            .clone()
    }

    /// An output's exact JSON text, for numbers that JSON parsers would round.
    pub fn output(&self, name: &str) -> String {
        let said = self.run(&["output", "-json", name]);
        assert!(said.success, "{}", said.text);
        said.text.trim().to_owned()
    }

    pub fn pantry(&self) -> Vec<String> {
        names(&self.path("pantry"))
    }

    /// What providers left in the folder for temporary files.
    pub fn leftovers(&self) -> Vec<String> {
        names(&self.path("tmp"))
            .into_iter()
            .filter(|name| name.starts_with("tfplugin-"))
            .collect()
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

impl Said {
    pub fn of(output: Output) -> Self {
        let text =
            String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        Self {
            text,
            success: output.status.success(),
        }
    }

    /// The text with its lines joined: Terraform breaks lines and draws a margin.
    pub fn flat(&self) -> String {
        self.text
            .lines()
            .map(|line| line.trim_start_matches(['│', '╷', '╵', ' ']).trim())
            .filter(|line| !line.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    }

    pub fn assert_says(&self, expected: &str) -> &Self {
        assert!(
            self.flat().contains(expected),
            "not said: {expected}\n\n{}",
            self.text
        );
        self
    }
}

/// What a plan does to a resource: `["update"]`, `["delete", "create"]`.
pub fn actions(plan: &Json, address: &str) -> Vec<String> {
    change(plan, address)["actions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a.as_str().unwrap().to_owned())
        .collect()
}

pub fn change(plan: &Json, address: &str) -> Json {
    let changes = plan["resource_changes"].as_array().unwrap();
    changes
        .iter()
        .find(|change| change["address"] == address)
        .expect("no change of that resource")["change"]
        .clone()
}
