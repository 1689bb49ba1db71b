//! The first words between Terraform and a provider.

use std::path::Path;

use serde_json::json;

use super::Options;

const COOKIE: (&str, &str) = (
    "TF_PLUGIN_MAGIC_COOKIE",
    "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
);

/// How the process was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// By Terraform.
    Plugin,
    /// By a developer who wants Terraform to come to it.
    Debug,
    /// By someone who asks for the version.
    Version,
}

/// Started by neither.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotAPlugin;

impl Mode {
    pub(super) fn of_process() -> Result<Self, NotAPlugin> {
        let cookie = std::env::var(COOKIE.0).ok();
        Self::of(std::env::args().skip(1), cookie.as_deref())
    }

    fn of(
        arguments: impl Iterator<Item = String>,
        cookie: Option<&str>,
    ) -> Result<Self, NotAPlugin> {
        for argument in arguments {
            match argument.as_str() {
                "-debug" | "--debug" => return Ok(Self::Debug),
                "-version" | "--version" => return Ok(Self::Version),
                _ => {}
            }
        }
        if cookie == Some(COOKIE.1) {
            Ok(Self::Plugin)
        } else {
            Err(NotAPlugin)
        }
    }
}

/// What a human reads who starts the binary.
pub(super) fn hint(options: &Options) -> String {
    format!(
        "This is the Terraform provider {} {}. It is not run by hand: Terraform starts it.\n\n\
         Name it in a configuration and run `terraform init`:\n\n  \
         terraform {{\n    required_providers {{\n      {} = {{ source = \"{}\" }}\n    }}\n  }}\n\n\
         To run it under a debugger, start it with -debug.",
        options.name, options.version, options.name, options.address
    )
}

/// Protocol versions that Terraform offers, if 6 is not among them.
pub(super) fn refused_versions(offered: Option<&str>) -> Option<String> {
    let offered = offered?;
    (!offered.split(',').any(|version| version.trim() == "6")).then(|| offered.to_owned())
}

/// Core protocol 1, plugin protocol 6, where to connect, and the certificate to expect there.
pub(super) fn line(socket: &Path, certificate: Option<&str>) -> String {
    format!(
        "1|6|unix|{}|grpc|{}",
        socket.display(),
        certificate.unwrap_or_default()
    )
}

/// What a developer copies into the shell in which Terraform is to use this process.
pub(super) fn reattach(options: &Options, socket: &Path) -> String {
    let providers = json!({ options.address.as_str(): {
        "Protocol": "grpc",
        "ProtocolVersion": 6,
        "Pid": std::process::id(),
        "Test": true,
        "Addr": { "Network": "unix", "String": socket },
    }});
    format!(
        "Provider started. To let Terraform use this process, run it with\n\n\tTF_REATTACH_PROVIDERS='{providers}'\n\n\
         Ctrl-C ends it."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(arguments: &[&str], cookie: Option<&str>) -> Result<Mode, NotAPlugin> {
        Mode::of(arguments.iter().map(ToString::to_string), cookie)
    }

    #[test]
    fn the_cookie_tells_terraform_from_a_human() {
        assert_eq!(mode(&[], Some(COOKIE.1)), Ok(Mode::Plugin));
        assert_eq!(mode(&[], Some("other")), Err(NotAPlugin));
        assert_eq!(mode(&["help"], None), Err(NotAPlugin));
        assert_eq!(mode(&["-debug"], None), Ok(Mode::Debug));
        assert_eq!(mode(&["--version"], None), Ok(Mode::Version));
    }

    #[test]
    fn protocol_six_must_be_offered() {
        assert_eq!(refused_versions(None), None);
        assert_eq!(refused_versions(Some("5,6")), None);
        assert_eq!(refused_versions(Some("5")), Some("5".into()));
    }
}
