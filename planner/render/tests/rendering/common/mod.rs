//! What the tests share: the settings of a small shop, settings drawn at random, the folder of the CRDs, programs on PATH.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout
)]

pub mod crds;
pub mod strategies;

use std::{env, path::PathBuf};

use foremesh_model::Settings;

/// The settings of a small shop, read back from JSON as they come from Terraform.
pub fn shop() -> Settings {
    serde_json::from_str(include_str!("../../data/shop.json")).unwrap()
}

/// A namespace's own Sidecar, with all that a workload's would take the place of.
pub const NAMESPACE_SIDECAR: &str = "apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: shop}
spec:
  egress:
  - hosts: [./*, istio-system/*]
  - port: {number: 3306, protocol: MYSQL, name: mysql}
    captureMode: NONE
    bind: 127.0.0.1
    hosts: ['*/mysql.example.com']
  outboundTrafficPolicy: {mode: REGISTRY_ONLY}
";

/// The option that says of each namespace that it has that Sidecar.
pub fn sidecars_everywhere(settings: &Settings) -> std::collections::BTreeMap<String, String> {
    let namespaces = settings
        .services
        .keys()
        .map(|name| name.namespace().unwrap_or("default"));
    namespaces
        .map(|namespace| (namespace.to_owned(), NAMESPACE_SIDECAR.to_owned()))
        .collect()
}

/// A folder beside the repository, or nothing with a line that says so.
pub fn shared(path: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared")
        .join(path);
    if folder.exists() {
        return Some(folder);
    }
    println!("SKIPPED: {} does not exist", folder.display());
    None
}

/// A program named by a variable, on PATH, or in the cache of tools; or nothing with a line that says so. On CI its absence is a failure.
pub fn program(variable: &str, name: &str) -> Option<PathBuf> {
    let named = env::var_os(variable).map(PathBuf::from);
    let cache = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../.cache/tools/bin");
    let path = env::var_os("PATH").unwrap_or_default();
    let found = named
        .into_iter()
        .chain(
            env::split_paths(&path)
                .chain([cache])
                .map(|folder| folder.join(name)),
        )
        .find(|candidate| candidate.is_file());
    if found.is_none() {
        assert!(env::var_os("CI").is_none(), "{name} is needed on CI");
        println!(
            "SKIPPED: {name} is neither named by {variable}, nor on PATH, nor in .cache/tools/bin"
        );
    }
    found
}
