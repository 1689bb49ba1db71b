//! `foremesh runtime` as a user meets it.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

/// Runs it with nothing in the environment that names a library.
fn foremesh(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_foremesh"))
        .arg("runtime")
        .args(arguments)
        .env_clear()
        .output()
        .unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_default_is_the_embedded_runtime() {
    let output = foremesh(&["--format", "json"]);
    assert_eq!(output.status.code(), Some(0));
    let report = json(&output);
    assert_eq!(report["chosen"]["identity"]["name"], "tract");
    assert_eq!(report["chosen"]["identity"]["device"], "cpu");
    let text = String::from_utf8(foremesh(&[]).stdout).unwrap();
    assert!(
        text.starts_with("asked for     runtime embedded, device cpu\ncomputed by   tract "),
        "{text}"
    );
}

#[test]
fn what_cannot_be_had_is_named_and_ends_with_1() {
    let gone = ["--library", "/no/such/libonnxruntime.so"];
    let output = foremesh(&[&["--runtime", "onnxruntime", "--format", "json"], &gone[..]].concat());
    assert_eq!(output.status.code(), Some(1));
    let report = json(&output);
    assert_eq!(report["chosen"]["identity"], Value::Null);
    assert_eq!(
        report["chosen"]["because"][0],
        "/no/such/libonnxruntime.so: cannot be used as ONNX Runtime: no such file: name another library, or use the embedded runtime"
    );
    let output = foremesh(&[&["--runtime", "auto"], &gone[..]].concat());
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("computed by   tract") && text.contains("no such file"),
        "{text}"
    );
    let output = foremesh(&["--device", "cuda"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("the embedded runtime computes on the CPU"),
        "{text}"
    );
    assert_eq!(foremesh(&["--device", "gpu"]).status.code(), Some(1));
}

#[test]
fn a_library_that_is_there_is_chosen_by_auto() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../.cache/tools/onnxruntime/1.31.1/onnxruntime/capi"
    );
    if !Path::new(folder).exists() {
        assert!(
            std::env::var_os("CI").is_none(),
            "`make tools` gets {folder}"
        );
        println!("SKIPPED: {folder} is absent: `make tools` gets it");
        return;
    }
    let text = |device| {
        let output = foremesh(&["--runtime", "auto", "--device", device, "--library", folder]);
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(text("cpu").contains("computed by   ONNX Runtime 1.31.1 on cpu"));
    let auto = text("auto");
    assert!(
        auto.contains("computed by   ONNX Runtime 1.31.1 on cpu\n")
            && auto.contains("without CUDA"),
        "{auto}"
    );
}

#[test]
fn a_model_that_is_named_is_loaded() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    let with = |model: &Path| foremesh(&["--forecaster", model.to_str().unwrap()]);
    let output = with(&models.join("forecaster-1h.onnx"));
    assert_eq!(output.status.code(), Some(0));
    for (model, cause) in [
        ("nowhere.onnx", "no such file"),
        ("policy.onnx", "foremesh.forecaster"),
    ] {
        let output = with(&models.join(model));
        assert_eq!(output.status.code(), Some(1), "{model}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(model) && said.contains(cause), "{said}");
    }
}
