//! What tests of exported nets share.

use std::path::Path;

use foremesh_model::{InferenceSettings, RuntimeKind};

/// Settings with which ONNX Runtime computes; None, and a word why, where it is not on this machine.
pub fn onnx_runtime() -> Option<InferenceSettings> {
    let library = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../.cache/tools/onnxruntime/1.31.1/onnxruntime/capi/libonnxruntime.so.1.31.1"
    );
    if !Path::new(library).exists() {
        println!("SKIPPED: ONNX Runtime is not in {library}; make tools puts it there");
        return None;
    }
    Some(InferenceSettings {
        runtime: RuntimeKind::Onnxruntime,
        library: Some(library.into()),
        ..InferenceSettings::default()
    })
}
