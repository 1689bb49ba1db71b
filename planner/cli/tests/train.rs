//! `foremesh train`: devices that a build does not have.

// Of builds with the feature a machine's drivers decide, which `foremesh_trainer::gpu` is tested for.
#![cfg(not(feature = "wgpu"))]
#![allow(clippy::unwrap_used)]

use std::process::Command;

#[test]
fn a_gpu_is_refused_by_name_before_anything_is_trained() {
    for what in ["forecaster", "policy", "refinement"] {
        let folder = tempfile::tempdir().unwrap();
        let models = folder.path().join("models");
        let output = Command::new(env!("CARGO_BIN_EXE_foremesh"))
            .args(["train", what, "--device", "gpu", "-o"])
            .arg(&models)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert_eq!(
            text,
            "error: no GPU to train on: this build trains on the processor alone: build with `cargo build --release --package foremesh-cli --features wgpu`, or use --device cpu\n"
        );
        assert!(!models.exists());
    }
}
