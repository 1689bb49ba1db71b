//! `foremesh plan`: request → folder with the plan and every target.

use foremesh_pipeline::{Folder, PipelineError, PlanRequest, plan, render_all};

use crate::{
    args::{Format, Override, Plan},
    commands::show,
    output::{self, Outcome},
};

/// Plans a region and writes the folder.
pub async fn run(
    args: &Plan,
    overrides: &[Override],
    format: Format,
) -> Result<Outcome, PipelineError> {
    let mut request = PlanRequest::read(&args.request)?;
    for (option, text) in overrides {
        request = request.with_option(option, text)?;
    }
    let progress = output::progress("planning");
    let planned = plan(&request, &PlanRequest::base(&args.request)).await;
    progress.finish_and_clear();
    let planned = planned?;
    let files = render_all(&planned, &request.bundle)?;
    Folder::new(&args.output).write_remembered(&files)?;
    match format {
        Format::Json => output::print_json(&planned),
        _ => {
            output::print(&show::text(&planned));
            output::print(&format!(
                "\n{} in {}\n",
                output::count(files.len(), "file", "files"),
                args.output.display()
            ));
            output::warnings(&planned.warnings, output::MOST_WARNINGS);
        }
    }
    Ok(if planned.kpis.holds {
        Outcome::Done
    } else {
        Outcome::Broken
    })
}
