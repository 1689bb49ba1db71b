//! `foremesh lint`: what a schema check does not see.

use foremesh_pipeline::{PipelineError, lint_paths};

use crate::{
    args::{Format, Lint},
    output::{self, Outcome},
};

/// Lints files and folders; errors end with exit code 2.
pub fn run(args: &Lint, format: Format) -> Result<Outcome, PipelineError> {
    let findings = lint_paths(&args.paths)?;
    match format {
        Format::Json => output::print_json(&findings),
        _ => {
            for finding in &findings {
                output::print(&format!("{finding}\n"));
            }
            let number = output::count(findings.len(), "finding", "findings");
            output::print(&format!("{number}\n"));
        }
    }
    Ok(if findings.iter().any(|finding| finding.is_error()) {
        Outcome::Broken
    } else {
        Outcome::Done
    })
}
