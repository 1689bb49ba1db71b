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

    // Envoy reads the certificates that a bootstrap names.
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (certificate, key) = (file("tls.pem"), file("tls.key"));
    let Some(openssl) = program("OPENSSL", "openssl") else {
        return;
    };
    let (made, text) = said(Command::new(openssl).args([
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=frontend",
        "-keyout",
        &key,
        "-out",
        &certificate,
    ]));
    assert!(made, "{text}");
    let options: RenderOptions = serde_json::from_value(json!({
        "trusted_hops": 1,
        "max_downstream_connections": 1000,
        "certificates": { "shop/frontend": { "certificate_file": certificate, "private_key_file": key, "authority_file": certificate } },
        "failover_addresses": { "eu-west-1": { "shop/frontend": { "host": "203.0.113.9", "port": 443 } } },
        "stage": 1,
    }))
    .unwrap();
    let folder = folder.path().join("tls");
    for file in write(&folder, &settings, Target::Envoy, &options) {
        envoy_accepts(&envoy, &folder.join(&file));
        let text = fs::read_to_string(folder.join(&file)).unwrap();
        // The entry ends TLS, its caller and its own failover speak it, and nobody else does.
        let of = |kind: &str| text.matches(kind).count();
        let expected = match file.as_str() {
            "shop.frontend/envoy.yaml" => (1, 1),
            "ads.ranker/envoy.yaml" => (0, 1),
            _ => (0, 0),
        };
        assert_eq!(
            (of("DownstreamTlsContext"), of("UpstreamTlsContext")),
            expected,
            "{file}"
        );
    }
}

/// The guide for edges, at entries alone.
#[test]
fn entries_are_hardened_and_others_are_left_alone() {
    let options = RenderOptions::default();
    let files = render(&shop(), Target::Envoy, &options).unwrap();
    let bootstrap = |file: &str| -> Value { serde_saphyr::from_str(&files[file]).unwrap() };
    let entry = bootstrap("shop.frontend/envoy.yaml");
    let listeners = entry["static_resources"]["listeners"].as_array().unwrap();
    let manager = &listeners[0]["filter_chains"][0]["filters"][0]["typed_config"];
    assert_eq!(manager["use_remote_address"], true);
    assert_eq!(manager["normalize_path"], true);
    assert_eq!(manager["merge_slashes"], true);
    assert_eq!(
        manager["common_http_protocol_options"]["headers_with_underscores_action"],
        "REJECT_REQUEST"
    );
    assert_eq!(
        manager["http2_protocol_options"]["max_concurrent_streams"],
        100
    );
    assert_eq!(listeners[0]["per_connection_buffer_limit_bytes"], 32768);
    let monitor = &entry["overload_manager"]["resource_monitors"][0]["typed_config"];
    assert_eq!(monitor["max_active_downstream_connections"], 50_000);
    assert_eq!(entry["admin"]["ignore_global_conn_limit"], true);
    for own in &listeners[1..] {
        assert_eq!(own["ignore_global_conn_limit"], true);
        assert!(
            own["filter_chains"][0]["filters"][0]["typed_config"]["use_remote_address"].is_null()
        );
    }
    let inner = bootstrap("shop.cart/envoy.yaml");
    assert!(inner["overload_manager"].is_null());
    assert!(!files["shop.cart/envoy.yaml"].contains("use_remote_address"));
    // gRPC has underscores in its metadata and streams that never end.
    let mut grpc = shop();
    grpc.services.get_mut("shop/frontend").unwrap().protocol = foremesh_model::Protocol::Grpc;
    let text = &render(&grpc, Target::Envoy, &options).unwrap()["shop.frontend/envoy.yaml"];
    assert!(
        !text.contains("headers_with_underscores_action") && !text.contains("request_timeout"),
        "{text}"
    );
    assert!(text.contains("request_headers_timeout: 10s"), "{text}");

    let refused = RenderOptions {
        max_downstream_connections: 0,
        ..RenderOptions::default()
    };
    let error = render(&shop(), Target::Envoy, &refused).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("max_downstream_connections is 0"),
        "{error}"
    );
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
        settings.clone().without_needs()
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
