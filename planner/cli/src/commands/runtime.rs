//! `foremesh runtime`: which runtime computes learned models on this machine, and why.

use std::path::Path;

use foremesh_model::{InferenceSettings, RuntimeKind};
use foremesh_pipeline::{ChoiceReport, Models, PipelineError, RuntimeReport, Step, runtime_report};

use crate::{
    args::{Format, Runtime},
    output::{self, Outcome},
};

/// Looks for runtimes and prints what was found. What is asked for and cannot be had, a named model among it, ends with exit code 1.
pub fn run(args: &Runtime, format: Format) -> Result<Outcome, PipelineError> {
    let settings = InferenceSettings::from(&args.inference);
    let report = runtime_report(&settings);
    match format {
        Format::Json => output::print_json(&report),
        _ => output::print(&text(&report)),
    }
    if report.chosen.identity.is_none() {
        return Ok(Outcome::WrongInput);
    }
    if settings.forecaster.is_some() {
        loads(&settings)?;
    }
    Ok(Outcome::Done)
}

/// Loads a model that was named, of hours or of five minutes.
fn loads(settings: &InferenceSettings) -> Result<(), PipelineError> {
    let load = |step| -> Result<(), PipelineError> {
        let models = Models::of_step(settings, Path::new(""), step)?;
        models.forecaster().map(|_| ())
    };
    load(Step::Hour).or_else(|of_hours| load(Step::FiveMinutes).map_err(|_| of_hours))
}

fn text(report: &RuntimeReport) -> String {
    let settings = &report.settings;
    let mut text = format!(
        "asked for     runtime {}, device {}\n",
        settings.runtime, settings.device
    );
    text += &choice("computed by", &report.chosen);
    if settings.runtime != RuntimeKind::Auto {
        text += &choice("auto takes", &report.auto);
    }
    text += "\n";
    text += &match &report.embedded {
        Some(embedded) => format!("embedded      {} {}\n", embedded.name, embedded.version),
        None => "embedded      not in this build\n".into(),
    };
    match &report.onnxruntime {
        Some(library) => {
            text += &format!("ONNX Runtime  {} {}\n", library.version, library.path);
            for device in &library.devices {
                let verdict = device.cause.as_deref().unwrap_or("can be used");
                text += &format!("  {:<12}{verdict}\n", device.device.word());
            }
        }
        None => text += "ONNX Runtime  none that can be used\n",
    }
    if report.candidates.is_empty() {
        text += "\nno library was found: neither named (--library, FOREMESH_ONNXRUNTIME, ORT_DYLIB_PATH), nor beside the program, in the system's folders or in Python's\n";
    } else {
        text += "\nlibraries, in the order in which they are tried\n";
    }
    for candidate in &report.candidates {
        text += &format!(
            "  {} ({})\n    {}\n",
            candidate.path, candidate.found_in, candidate.verdict
        );
    }
    text
}

fn choice(title: &str, choice: &ChoiceReport) -> String {
    let mut text = format!("{title:<14}");
    text += &match &choice.identity {
        Some(identity) => identity.to_string(),
        None => "nobody".into(),
    };
    text += "\n";
    for cause in &choice.because {
        text += &format!("              {cause}\n");
    }
    text
}
