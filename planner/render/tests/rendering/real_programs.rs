//! What is rendered is accepted by the programs that read it: Envoy and Terraform.

use std::{fs, path::Path, process::Command};

use crate::common::{program, shop, strategies::settings};
use foremesh_model::{ProxyMode, Settings};
use foremesh_render::{RenderError, RenderOptions, Target, render};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::{Value, json};

fn write(
    folder: &Path,
    settings: &Settings,
    target: Target,
    options: &RenderOptions,
) -> Vec<String> {
    let files = render(settings, target, options).unwrap();
    for (path, text) in &files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    files.into_keys().collect()
}

fn said(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

fn envoy_accepts(envoy: &Path, file: &Path) {
    let (accepted, text) = said(
        Command::new(envoy)
            .args(["--mode", "validate", "--log-level", "error", "-c"])
            .arg(file),
    );
    assert!(accepted, "{text}\n{}", fs::read_to_string(file).unwrap());
}

/// Addresses for every place that the options can name.
fn with_addresses() -> RenderOptions {
    serde_json::from_value(json!({
        "stage": 1,
        "hash_header": "x-session",
        "addresses": { "shop/cart": { "host": "127.0.0.1", "port": 20001 } },
        "locality_addresses": { "shop/frontend": {
            "eu-west-3/a": { "host": "a.example", "port": 1 }, "eu-west-3/b": { "host": "b.example", "port": 2 },
        } },
        "failover_addresses": { "eu-west-1": { "shop/frontend": { "host": "eu-west-1.example", "port": 443 } } },
    }))
    .unwrap()
}

#[test]
fn envoy_accepts_every_bootstrap_and_every_payload_of_an_envoy_filter() {
    let Some(envoy) = program("ENVOY", "envoy") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut settings = shop();
    // A caller of the entry, so that zones and failover become endpoints.
    let edge = settings.edges.values().next().unwrap().clone();
    settings.edges.insert(
        "ads/ranker->shop/frontend".to_owned().try_into().unwrap(),
        edge,
    );
    for (index, options) in [RenderOptions::default(), with_addresses()]
        .iter()
        .enumerate()
    {
        let folder = folder.path().join(index.to_string());
        for file in write(&folder, &settings, Target::Envoy, options) {
            envoy_accepts(&envoy, &folder.join(file));
        }
    }
    payloads_are_accepted(&envoy, folder.path(), &settings);
}

/// Puts each payload of an EnvoyFilter where Istio would.
fn payloads_are_accepted(envoy: &Path, folder: &Path, settings: &Settings) {
    let options = RenderOptions::default();
    let bootstraps = render(settings, Target::Envoy, &options).unwrap();
    let bootstrap: Value = serde_saphyr::from_str(&bootstraps["shop.frontend/envoy.yaml"]).unwrap();
    let mut tried = 0;
    for text in render(settings, Target::Istio, &options).unwrap().values() {
        for document in text.split("---\n") {
            let object: Value = serde_saphyr::from_str(document).unwrap();
            for patch in object["spec"]["configPatches"]
                .as_array()
                .into_iter()
                .flatten()
            {
                let mut bootstrap = bootstrap.clone();
                let payload = patch["patch"]["value"].clone();
                let resources = &mut bootstrap["static_resources"];
                if patch["applyTo"] == "HTTP_FILTER" {
                    let manager = &mut resources["listeners"][0]["filter_chains"][0]["filters"][0]
                        ["typed_config"];
                    manager["http_filters"][0] = payload;
                } else {
                    let cluster = resources["clusters"][1].as_object_mut().unwrap();
                    cluster.extend(payload.as_object().unwrap().clone());
                }
                let file = folder.join(format!("payload-{tried}.json"));
                fs::write(&file, bootstrap.to_string()).unwrap();
                envoy_accepts(envoy, &file);
                tried += 1;
            }
        }
    }
    assert!(tried >= 5, "only {tried} payloads");
}

#[test]
fn envoy_accepts_bootstraps_of_settings_drawn_at_random() {
    let Some(envoy) = program("ENVOY", "envoy") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut runner = TestRunner::deterministic();
    let mut accepted = 0;
    for index in 0..20 {
        let settings = settings(vec![ProxyMode::Sidecar, ProxyMode::None])
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let folder = folder.path().join(index.to_string());
        match render(&settings, Target::Envoy, &RenderOptions::default()) {
            // A port of a service may meet one of the proxy's own.
            Err(RenderError::RenderOption { .. }) => continue,
            other => drop(other.unwrap()),
        }
        for file in write(&folder, &settings, Target::Envoy, &RenderOptions::default()) {
            envoy_accepts(&envoy, &folder.join(file));
            accepted += 1;
        }
    }
    assert!(accepted >= 20, "only {accepted} bootstraps");
}

#[test]
fn terraform_reads_what_was_meant_and_its_formatter_changes_nothing() {
    let Some(terraform) = program("TERRAFORM", "terraform") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let configuration = folder.path().join("terraform.tfrc");
    fs::write(&configuration, "disable_checkpoint = true\n").unwrap();
    let run = |arguments: &[&str], folder: &Path| {
        said(
            Command::new(&terraform)
                .args(arguments)
                .current_dir(folder)
                .env("TF_CLI_CONFIG_FILE", &configuration),
        )
    };
    let mut settings = shop();
    settings.entries.values_mut().for_each(|entry| {
        entry.localities[0].locality = "eu-west-3/${a}%{b}\"\\".into();
    });
    let plain = folder.path().join("plain");
    write(
        &plain,
        &settings,
        Target::Hcl,
        &RenderOptions {
            stage: Some(2),
            ..RenderOptions::default()
        },
    );
    let (formatted, text) = run(&["fmt", "-check", "-diff", "-recursive"], &plain);
    assert!(formatted, "{text}");
    let (applied, text) = run(&["apply", "-auto-approve", "-no-color"], &plain);
    assert!(applied, "{text}");
    let output = Command::new(&terraform)
        .args(["output", "-json"])
        .current_dir(&plain)
        .env("TF_CLI_CONFIG_FILE", &configuration)
        .output()
        .unwrap();
    let outputs: Value = serde_json::from_slice(&output.stdout).unwrap();
    let back: serde_json::Map<String, Value> = outputs
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, output)| (name.clone(), output["value"].clone()))
        .collect();
    assert_eq!(back["stage"], 2);
    assert_eq!(
        serde_json::from_value::<Settings>(Value::Object(back)).unwrap(),
        settings
    );

    let called = folder.path().join("called");
    let options = RenderOptions {
        module_source: Some("../plain".into()),
        ..RenderOptions::default()
    };
    write(&called, &settings, Target::Hcl, &options);
    let (formatted, text) = run(&["fmt", "-check", "-diff"], &called);
    assert!(formatted, "{text}");
    let main = fs::read_to_string(called.join("main.tf")).unwrap();
    assert!(main.contains("source        = \"../plain\"\n"), "{main}");
}
