//! `foremesh audit`: what does not fit the forecast in manifests as they are.

use std::path::Path;

use foremesh_model::{RegionName, Severity, SourceRequest, Timestamp};
use foremesh_pipeline::{
    Audit as Found, AuditFinding, AuditRequest, PipelineError, PlanRequest, audit,
};

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
    let sources = sources(args)?;
    let request = AuditRequest {
        manifests: args.paths.clone(),
        as_of: args
            .as_of
            .or_else(|| sources.prometheus.is_some().then(Timestamp::now)),
        sources,
        region,
        horizon_hours: args.horizon,
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

/// The sources of the request that is named, with what the options say in place of its parts or beside them.
fn sources(args: &Audit) -> Result<SourceRequest, PipelineError> {
    let mut sources = SourceRequest::default();
    if let Some(file) = &args.request {
        let base = PlanRequest::base(file);
        let from_here = |path: &String| base.join(path).display().to_string();
        sources = PlanRequest::read(file)?.provider;
        sources.history = sources.history.as_ref().map(from_here);
        sources.catalogue = sources.catalogue.as_ref().map(from_here);
        sources.graph = sources.graph.iter().map(from_here).collect();
        sources.business_metrics = sources.business_metrics.as_ref().map(from_here);
        for list in &mut sources.events {
            if !list.source.contains("://") {
                list.source = from_here(&list.source);
            }
            list.ca_file = list.ca_file.as_ref().map(from_here);
        }
        let models = &mut sources.inference;
        for model in [
            &mut models.forecaster,
            &mut models.policy_model,
            &mut models.refinement_model,
        ] {
            let is_file = |model: &String| model != foremesh_pipeline::NO_MODEL;
            *model = model.take().map(|model| {
                if is_file(&model) {
                    from_here(&model)
                } else {
                    model
                }
            });
        }
        if let Some(prometheus) = &mut sources.prometheus {
            prometheus.ca_file = prometheus.ca_file.as_ref().map(from_here);
        }
    }
    if args.history.is_some() {
        sources.history = args.history.clone();
        sources.prometheus = None;
    }
    if args.catalogue.is_some() {
        sources.catalogue = args.catalogue.clone();
    }
    sources.graph.extend(args.graph.iter().cloned());
    Ok(sources)
}

/// Services that a line for people names; a row for machines names all.
const NAMED: usize = 4;

/// The subject, without the many services that a line cannot hold.
fn short(finding: &AuditFinding) -> String {
    let names: Vec<&str> = finding.services.iter().map(|s| s.as_str()).collect();
    if names.len() <= NAMED || finding.subject != names.join(", ") {
        return finding.subject.clone();
    }
    let (named, rest) = names.split_at(NAMED);
    format!("{}, {} more", named.join(", "), rest.len())
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
            short(finding),
            finding.field,
            finding.text
        );
        let place: Vec<&str> = [&finding.document, &finding.place]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        if !place.is_empty() {
            text += &format!("        {}\n", place.join(", "));
        }
    }
    let alike = |severity| {
        let alike = |finding: &&AuditFinding| finding.severity == severity;
        found.findings.iter().filter(alike).count()
    };
    text += &format!(
        "{} set for {} against the demand of {} for {} after {}: {} severe, {}, {}\n",
        count(found.values, "value"),
        count(found.services, "service"),
        found.region,
        count(found.horizon_hours as usize, "hour"),
        found.as_of,
        alike(Severity::Severe),
        count(alike(Severity::Caution), "caution"),
        count(alike(Severity::Note), "note"),
    );
    text
}

/// `1 note`, `2 notes`.
fn count(number: usize, noun: &str) -> String {
    output::count(number, noun, &format!("{noun}s"))
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

#[cfg(test)]
mod tests {
    use foremesh_model::ServiceName;

    use super::*;

    #[test]
    fn the_last_line_counts_in_words_that_agree() {
        let finding = |severity| AuditFinding {
            severity,
            subject: "shop/cart".into(),
            services: Vec::new(),
            field: "replicas".into(),
            has: None,
            needs: None,
            at: None,
            place: None,
            document: Some("Deployment shop/cart".into()),
            text: "replicas is not set".into(),
        };
        let found = Found {
            region: RegionName::new("eu-1").unwrap(),
            as_of: Timestamp::UNIX_EPOCH,
            horizon_hours: 48,
            services: 1,
            values: 3,
            findings: vec![
                finding(Severity::Caution),
                finding(Severity::Note),
                finding(Severity::Note),
            ],
            warnings: Vec::new(),
        };
        let text = text(&found);
        assert!(text.ends_with(
            "3 values set for 1 service against the demand of eu-1 for 48 hours after 1970-01-01T00:00:00Z: 0 severe, 1 caution, 2 notes\n"
        ), "{text}");
        // A document without a line of its own is named all the same.
        assert!(text.contains("\n        Deployment shop/cart\n"), "{text}");

        // A person reads a few of many services, a machine all of them.
        let services: Vec<ServiceName> = (1..=6)
            .map(|i| ServiceName::new(format!("shop/s{i}")).unwrap())
            .collect();
        let names: Vec<&str> = services.iter().map(|s| s.as_str()).collect();
        let many = AuditFinding {
            subject: names.join(", "),
            services: services.clone(),
            ..finding(Severity::Caution)
        };
        assert_eq!(short(&many), "shop/s1, shop/s2, shop/s3, shop/s4, 2 more");
        let found = Found {
            findings: vec![many],
            ..found
        };
        assert!(csv(&found).contains("\"shop/s1, shop/s2, shop/s3, shop/s4, shop/s5, shop/s6\""));
    }
}
