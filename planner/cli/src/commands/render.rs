//! `foremesh render`: plan → files of one target.

use foremesh_pipeline::{Folder, PipelineError, RenderOptions, Target, read_plan, render_target};

use crate::{
    args::{Format, Render},
    output::{self, Outcome},
};

/// Renders one target into a folder.
pub fn run(args: &Render, format: Format) -> Result<Outcome, PipelineError> {
    let target: Target = args.target.parse::<Target>()?;
    let plan = read_plan(&args.plan)?;
    let options = RenderOptions {
        stage: args.stage,
        ..RenderOptions::default()
    };
    let files = render_target(&plan.settings, target, &options)?;
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
