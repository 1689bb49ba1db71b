//! Where `scripts/tools` puts ONNX Runtime.

#![allow(
    dead_code,
    clippy::print_stdout,
    reason = "each test uses some of them, and says what it skips"
)]

use std::path::PathBuf;

use foremesh_model::{DeviceKind, InferenceSettings, RuntimeKind};
use foremesh_onnx::{Inference, Surroundings};

/// The library that tests run with.
pub const VERSION: &str = "1.31.1";
/// One that is too old.
pub const OLD_VERSION: &str = "1.23.2";

/// The path of a library, or `None` with SKIPPED on standard output.
pub fn library(version: &str) -> Option<PathBuf> {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../.cache/tools/onnxruntime"
    );
    let path = PathBuf::from(folder).join(format!(
        "{version}/onnxruntime/capi/libonnxruntime.so.{version}"
    ));
    if let Ok(path) = path.canonicalize() {
        return Some(path);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "{} is not there: `make tools` gets it",
        path.display()
    );
    println!(
        "SKIPPED: {} is not there: `make tools` gets it",
        path.display()
    );
    None
}

pub fn settings(runtime: RuntimeKind, device: DeviceKind) -> InferenceSettings {
    InferenceSettings {
        runtime,
        device,
        ..InferenceSettings::default()
    }
}

/// ONNX Runtime on the CPU.
pub fn onnxruntime(threads: Option<u32>) -> Option<Inference> {
    let settings = InferenceSettings {
        library: Some(library(VERSION)?.display().to_string()),
        threads,
        ..settings(RuntimeKind::Onnxruntime, DeviceKind::Cpu)
    };
    Some(Inference::discover(&settings, Surroundings::default()))
}

pub fn embedded() -> Inference {
    Inference::discover(&InferenceSettings::default(), Surroundings::default())
}
