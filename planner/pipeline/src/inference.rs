//! The edge to learned models: which runtime this process has, from its environment.

use foremesh_model::InferenceSettings;
use foremesh_onnx::{Inference, RuntimeReport, Surroundings};

/// What models are loaded with. Nothing is looked for and nothing loaded before the first model.
pub fn inference(settings: &InferenceSettings) -> Inference {
    Inference::discover(settings, Surroundings::of_process())
}

/// What was found on this machine, and who computes with these settings. Loads the library of ONNX Runtime where there is one.
pub fn runtime_report(settings: &InferenceSettings) -> RuntimeReport {
    inference(settings).report()
}
