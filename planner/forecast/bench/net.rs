//! The net of a benchmark, from its file: what all of them do with `--model`.

use std::{error::Error, path::Path};

use foremesh_forecast::neural::{Layout, contract};
use foremesh_model::InferenceSettings;
use foremesh_onnx::{Inference, Model, Surroundings, read_model};

/// Loads a model of some layout.
pub fn load(
    path: &str,
    layout: Layout,
    settings: &InferenceSettings,
) -> Result<Model, Box<dyn Error>> {
    let inference = Inference::discover(settings, Surroundings::of_process());
    let bytes = read_model(Path::new(path))?;
    Ok(inference.load(&bytes, path, &contract(layout))?)
}
