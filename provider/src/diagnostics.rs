//! Errors and warnings of the pipeline as Terraform shows them.

use foremesh_model::{Severity, Warning};
use foremesh_pipeline::PipelineError;
use tfplugin::{Diagnostic, Diagnostics};

/// Warnings beyond this many are counted, not shown one by one.
const MOST_WARNINGS: usize = 8;

/// An error of the pipeline. The text names place and cure; the attribute is underlined where one is at fault.
pub fn error(error: &PipelineError) -> Diagnostics {
    let (summary, attribute) = match error {
        PipelineError::Observe(_) => ("Telemetry or graph cannot be read", None),
        PipelineError::Forecast(_) => ("Demand cannot be forecast", None),
        PipelineError::Policy(_) => ("Settings cannot be computed", None),
        PipelineError::Render(_) => ("Settings cannot be rendered", None),
        PipelineError::Simulate(_) => ("The plan cannot be simulated", None),
        PipelineError::Inference(_) => ("Learned models cannot be run", None),
        PipelineError::Hindcast(_) => ("The region cannot be planned after the fact", None),
        PipelineError::Graph(_) => ("The service graph contradicts itself", None),
        PipelineError::Packed(_) => ("Not a string that Foremesh wrote", None),
        PipelineError::Folder(_) => ("Files cannot be written", None),
        PipelineError::RequestRead { .. } | PipelineError::RequestParse { .. } => {
            ("File cannot be read", None)
        }
        PipelineError::RequestValue { field, .. } => {
            ("Value out of range", field.split(['.', '[']).next())
        }
        PipelineError::NoHistory | PipelineError::TwoHistories => ("Telemetry is not named", None),
        PipelineError::NoServices => ("No service is known", None),
        PipelineError::NothingToLint { .. } => ("Nothing to lint", None),
        PipelineError::UnknownService { .. } => ("Unknown service", None),
    };
    let diagnostic = Diagnostic::error(summary, error.to_string());
    match attribute {
        Some(name) => diagnostic.at(name).into(),
        None => diagnostic.into(),
    }
}

/// Warnings, the worst first. Notes stay out of Terraform's output: a plan that is well says nothing.
pub fn warnings(warnings: &[Warning]) -> Diagnostics {
    shown(warnings, "The attribute `warnings` holds all of them.")
}

/// As [`warnings`], of what no attribute holds.
pub fn passing_warnings(warnings: &[Warning]) -> Diagnostics {
    shown(
        warnings,
        "`foremesh lint` over the manifests and the folder lists all of them.",
    )
}

fn shown(warnings: &[Warning], rest_is: &str) -> Diagnostics {
    let told: Vec<&Warning> = warnings
        .iter()
        .filter(|warning| warning.severity != Severity::Note)
        .collect();
    let mut diagnostics: Diagnostics = told
        .iter()
        .take(MOST_WARNINGS)
        .map(|warning| diagnostic(warning))
        .collect();
    if told.len() > MOST_WARNINGS {
        let rest = told.len() - MOST_WARNINGS;
        diagnostics.push(Diagnostic::warning(
            format!("{rest} more warnings"),
            rest_is,
        ));
    }
    diagnostics
}

fn diagnostic(warning: &Warning) -> Diagnostic {
    let title = match warning.severity {
        Severity::Severe => format!("{}: the plan does not hold", warning.subject),
        Severity::Caution | Severity::Note => {
            format!("{}: {}", warning.subject, warning.code.replace('_', " "))
        }
    };
    Diagnostic::warning(title, warning.text.clone())
}
