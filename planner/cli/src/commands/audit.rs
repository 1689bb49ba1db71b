//! `foremesh audit`: what does not fit the forecast in manifests as they are.

use std::path::Path;

use foremesh_model::{RegionName, Severity};
use foremesh_pipeline::{Audit as Found, AuditFinding, AuditRequest, PipelineError, audit};

use crate::{
    args::{Audit, Format},
    output::{self, Outcome},
};

/// Audits and prints the findings, the worst first; severe ones end with exit code 2.
pub async fn run(args: &Audit, format: Format) -> Result<Outcome, PipelineError> {
    let region = args.region.as_deref().map(RegionName::new).transpose();
    let region = region.map_err(|cause| PipelineError::RequestValue {
        field: "--region".into(),
        cause: cause.to_string(),
    })?;
    let request = AuditRequest {
        manifests: args.paths.clone(),
        history: args.history.clone(),
        region,
        catalogue: args.catalogue.clone(),
        graph: args.graph.clone(),
        horizon_hours: args.horizon,
        as_of: args.as_of,
    };
    let progress = output::progress("comparing manifests with the forecast");
    let found = audit(&request, Path::new("")).await;
    progress.finish_and_clear();
    let found = found?;
    match format {
        Format::Json => output::print_json(&found),
        Format::Csv => output::print(&csv(&found)),
        Format::Text => output::print(&text(&found)),
    }
    output::warnings(&found.warnings, 6);
    let severe = found
        .findings
        .iter()
        .any(|finding| finding.severity == Severity::Severe);
    Ok(if severe {
        Outcome::Broken
    } else {
        Outcome::Done
    })
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Severe => "severe",
        Severity::Caution => "caution",
        Severity::Note => "note",
    }
}

fn text(found: &Found) -> String {
    let mut text = String::new();
    for finding in &found.findings {
        let set = match finding.has {
            Some(value) if value >= 4_294_967_295.0 => " 2³² − 1".into(),
            Some(value) => format!(" {value}"),
            None => String::new(),
        };
        text += &format!(
            "{:<8}{}: {}{set}; {}\n",
            word(finding.severity),
            finding.subject,
            finding.field,
            finding.text
        );
        if let (Some(place), Some(document)) = (&finding.place, &finding.document) {
            text += &format!("        {document}, {place}\n");
        }
    }
    let count = |severity| {
        let alike = |finding: &&AuditFinding| finding.severity == severity;
        found.findings.iter().filter(alike).count()
    };
    text += &format!(
        "{} set for {} services against the demand of {} for {} hours after {}: {} severe, {} cautions, {} notes\n",
        match found.values {
            1 => "1 value".into(),
            values => format!("{values} values"),
        },
        found.services,
        found.region,
        found.horizon_hours,
        found.as_of,
        count(Severity::Severe),
        count(Severity::Caution),
        count(Severity::Note),
    );
    text
}

fn csv(found: &Found) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let number = |value: Option<f64>| value.map(|v| v.to_string()).unwrap_or_default();
    let mut text = String::from("severity,subject,field,has,needs,at,place,document,text\n");
    for finding in &found.findings {
        let cells = [
            word(finding.severity).into(),
            quoted(&finding.subject),
            quoted(&finding.field),
            number(finding.has),
            number(finding.needs),
            finding.at.map(|at| at.to_string()).unwrap_or_default(),
            quoted(finding.place.as_deref().unwrap_or_default()),
            quoted(finding.document.as_deref().unwrap_or_default()),
            quoted(&finding.text),
        ];
        text += &(cells.join(",") + "\n");
    }
    text
}
