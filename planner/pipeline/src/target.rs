//! From a plan to the files of one target or of all, and back again through the lint.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use foremesh_model::{Cost, Fault, RegionPlan, Settings, station::stations};
use foremesh_render::{ChaosRequest, Finding, RenderOptions, Target, lint, render, render_chaos};
use foremesh_simulate::SimulateError;

use crate::{PLAN_FILE, PipelineError};

/// The files of one target, by path within its folder.
///
/// # Errors
/// [`PipelineError::Render`] for what the target cannot express.
pub fn render_target(
    settings: &Settings,
    target: Target,
    options: &RenderOptions,
) -> Result<BTreeMap<String, String>, PipelineError> {
    Ok(render(settings, target, options)?)
}

/// Faults as the experiments of a chaos tool, by path within their folder.
///
/// # Errors
/// [`PipelineError::Render`] for a fault that the tool cannot express, [`PipelineError::Simulate`] for a capacity that cannot be.
pub fn render_faults(
    plan: &RegionPlan,
    target: Target,
    faults: &[Fault],
    options: &RenderOptions,
) -> Result<BTreeMap<String, String>, PipelineError> {
    let stations = stations(&plan.graph, &Cost::default()).map_err(SimulateError::Capacity)?;
    let names = plan.graph.services().map(|service| service.name.clone());
    let request = ChaosRequest {
        faults: faults.to_vec(),
        service_times_ms: names.zip(stations.iter().map(|s| s.service_ms)).collect(),
    };
    Ok(render_chaos(&plan.settings, target, &request, options)?)
}

/// The whole plan as files: `plan.json` and a folder for each target.
///
/// # Errors
/// [`PipelineError::Render`] for what a target cannot express.
pub fn render_all(
    plan: &RegionPlan,
    options: &RenderOptions,
) -> Result<BTreeMap<String, String>, PipelineError> {
    let text = serde_json::to_string_pretty(plan).unwrap_or_default() + "\n";
    let mut files = BTreeMap::from([(PLAN_FILE.to_owned(), text)]);
    for target in Target::ALL {
        for (name, content) in render_target(&plan.settings, target, options)? {
            files.insert(format!("{target}/{name}"), content);
        }
    }
    Ok(files)
}

/// Lints every YAML and JSON file below the paths.
///
/// # Errors
/// [`PipelineError::RequestRead`] for a path that cannot be read, [`PipelineError::NothingToLint`] where no such file is.
pub fn lint_paths(paths: &[PathBuf]) -> Result<Vec<Finding>, PipelineError> {
    let mut files = BTreeMap::new();
    for path in paths {
        collect(path, &mut files)?;
    }
    if files.is_empty() {
        return Err(PipelineError::NothingToLint {
            paths: paths.to_vec(),
        });
    }
    Ok(lint(&files))
}

fn collect(path: &Path, files: &mut BTreeMap<String, String>) -> Result<(), PipelineError> {
    let failed = |cause| PipelineError::RequestRead {
        file: path.to_owned(),
        cause,
    };
    if path.is_dir() {
        for entry in fs::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?.path();
            let yaml = entry
                .extension()
                .is_some_and(|e| ["yaml", "yml", "json"].iter().any(|known| e == *known));
            if entry.is_dir() || yaml {
                collect(&entry, files)?;
            }
        }
    } else {
        files.insert(
            path.display().to_string(),
            fs::read_to_string(path).map_err(failed)?,
        );
    }
    Ok(())
}
