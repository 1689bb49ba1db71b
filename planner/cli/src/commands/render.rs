//! `foremesh render`: plan → files of one target.

use foremesh_pipeline::{
    Folder, PipelineError, RenderOptions, Target, read_plan, render_faults, render_target,
};

use crate::{
    args::{Format, Render},
    commands::faults,
    output::{self, Outcome},
};

/// Seconds of an experiment in which a fault has no end of its own: as long as a simulation measures by default.
const EXPERIMENT_S: f64 = 600.0;

/// Renders one target into a folder.
pub fn run(args: &Render, format: Format) -> Result<Outcome, PipelineError> {
    let target: Target = args.target.parse::<Target>()?;
    let plan = read_plan(&args.plan)?;
    let options = RenderOptions {
        stage: args.stage,
        prometheus_address: args.prometheus.clone(),
        ..RenderOptions::default()
    };
    let files = if args.fault.is_empty() {
        render_target(&plan.settings, target, &options)?
    } else {
        let faults = faults(&args.fault, EXPERIMENT_S)?;
        render_faults(&plan, target, &faults, &options)?
    };
    let hashes = Folder::new(&args.output).write_remembered(&files)?;
    match format {
        Format::Json => output::print_json(&hashes),
        _ => output::print(&format!(
            "{} in {}\n",
            output::count(files.len(), "file", "files"),
            args.output.display()
        )),
    }
    Ok(Outcome::Done)
}
