//! The request file: the fields of the provider and of both data sources, as YAML, JSON or HCL.

use std::path::{Path, PathBuf};

use foremesh_model::{ProfileRequest, RegionRequest, SourceRequest};
use foremesh_render::RenderOptions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::PipelineError;

/// What `foremesh plan` reads. The three parts are named as in Terraform, with the same fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanRequest {
    /// Where telemetry, graph and catalogue come from: the fields of the provider. Paths are relative to the request file.
    pub provider: SourceRequest,
    /// What is asked of the forecast: the fields of `foremesh_predictive_region`.
    pub predictive_region: RegionRequest,
    /// What is asked of the settings: the fields of `foremesh_mesh_profile`.
    #[serde(default)]
    pub mesh_profile: ProfileRequest,
    /// What the settings do not know about the place they are rendered for: the fields of `foremesh_bundle`.
    #[serde(default)]
    pub bundle: RenderOptions,
}

/// What a request file is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestFormat {
    /// YAML.
    Yaml,
    /// JSON.
    Json,
    /// HashiCorp configuration language.
    Hcl,
}

impl RequestFormat {
    /// The format that a file name stands for: `.json`, `.hcl` or `.tf`, and YAML for anything else.
    pub fn of(file: &Path) -> Self {
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("json") => Self::Json,
            Some("hcl" | "tf") => Self::Hcl,
            _ => Self::Yaml,
        }
    }
}

impl PlanRequest {
    /// Reads a request file.
    ///
    /// # Errors
    /// [`PipelineError::RequestRead`] and [`PipelineError::RequestParse`], the latter with line, column and field.
    pub fn read(file: &Path) -> Result<Self, PipelineError> {
        let text = std::fs::read_to_string(file).map_err(|cause| PipelineError::RequestRead {
            file: file.to_owned(),
            cause,
        })?;
        Self::parse(&text, RequestFormat::of(file), file)
    }

    /// Reads a request from text; `file` is named in errors only.
    ///
    /// # Errors
    /// [`PipelineError::RequestParse`] with line, column and field.
    pub fn parse(text: &str, format: RequestFormat, file: &Path) -> Result<Self, PipelineError> {
        let parsed = match format {
            RequestFormat::Yaml => {
                // A snippet would show the lines beside a fault, and with them secrets.
                let mut options = serde_saphyr::Options::default();
                options.with_snippet = false;
                serde_saphyr::from_str_with_options(text, options)
                    .map_err(|e| e.without_snippet().to_string())
            }
            RequestFormat::Json => serde_json::from_str(text).map_err(|e| e.to_string()),
            RequestFormat::Hcl => hcl::from_str(text).map_err(|e| match e {
                hcl::Error::Parse(fault) => {
                    let place = fault.location();
                    format!(
                        "line {}, column {}: {}",
                        place.line(),
                        place.column(),
                        fault.message()
                    )
                }
                other => other.to_string(),
            }),
        };
        parsed.map_err(|cause: String| PipelineError::RequestParse {
            file: file.to_owned(),
            cause: without_secrets(&cause, text),
        })
    }

    /// The folder that paths in the request are relative to.
    pub fn base(file: &Path) -> PathBuf {
        file.parent().map(Path::to_owned).unwrap_or_default()
    }
}

/// A parser's words without the values of secrets, wherever a message repeats what it found.
fn without_secrets(message: &str, text: &str) -> String {
    let mut message = message.to_owned();
    for key in ["bearer_token", "password"] {
        for (at, _) in text.match_indices(key) {
            let behind = text.get(at + key.len()..).unwrap_or_default();
            let value = behind.trim_start_matches(['"', '\'', ' ', '\t', ':', '=']);
            let end = value
                .find(['\n', ',', '}', '"', '\''])
                .unwrap_or(value.len());
            let value = value.get(..end).unwrap_or_default().trim();
            if !value.is_empty() {
                message = message.replace(value, "(hidden)");
            }
        }
    }
    message
}

/// Checks the fields of a profile request that serde cannot.
pub(crate) fn check_profile(request: &ProfileRequest) -> Result<(), PipelineError> {
    let refuse = |field: String, cause: &str| {
        Err(PipelineError::RequestValue {
            field,
            cause: cause.into(),
        })
    };
    if let Some((field, cause)) = request.slo.fault() {
        return refuse(format!("slo.{field}"), cause);
    }
    for (service, slo) in &request.slos {
        if let Some((field, cause)) = slo.fault() {
            return refuse(format!("slos[\"{service}\"].{field}"), cause);
        }
    }
    let sum: u32 = request.localities.values().sum();
    if !request.localities.is_empty() && sum != 100 {
        return refuse(
            "localities".into(),
            &format!("the percents sum to {sum}: they must sum to 100"),
        );
    }
    let rising = request
        .ramp_percent
        .windows(2)
        .all(|pair| pair[0] < pair[1]);
    let last = request.ramp_percent.last().copied();
    if !rising || last.is_some_and(|last| last != 100) || request.ramp_percent.first() == Some(&0) {
        return refuse(
            "ramp_percent".into(),
            "must rise from above 0 to 100, for example [10, 50, 100]",
        );
    }
    if request.gateway_proxies == Some(0) {
        return refuse("gateway_proxies".into(), "must be at least 1");
    }
    let costs = [
        ("instance_per_hour", request.cost.instance_per_hour),
        ("cross_region_per_gb", request.cost.cross_region_per_gb),
        ("violation_per_minute", request.cost.violation_per_minute),
    ];
    match costs
        .into_iter()
        .find(|(_, cost)| !(cost.is_finite() && *cost >= 0.0))
    {
        Some((field, _)) => refuse(format!("cost.{field}"), "must be 0 or more"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = "provider: {history: h.csv, graph: [m]}
predictive_region: {region: eu-west-3, timezone: Europe/Paris, as_of: 2026-11-20T00:00:00Z, go_live: 2026-12-01T06:00:00Z, donors: {eu-west-1: 0.25}}
mesh_profile: {slo: {latency_ms: 250}}
";
    const HCL: &str = r#"
provider {
  history = "h.csv"
  graph   = ["m"]
}
predictive_region {
  region   = "eu-west-3"
  timezone = "Europe/Paris"
  as_of    = "2026-11-20T00:00:00Z"
  go_live  = "2026-12-01T06:00:00Z"
  donors   = { eu-west-1 = 0.25 }
}
mesh_profile {
  slo = { latency_ms = 250 }
}
"#;

    #[test]
    fn yaml_json_and_hcl_say_the_same() {
        let yaml = PlanRequest::parse(YAML, RequestFormat::Yaml, Path::new("r.yaml")).unwrap();
        let json = serde_json::to_string(&yaml).unwrap();
        assert_eq!(
            PlanRequest::parse(&json, RequestFormat::Json, Path::new("r.json")).unwrap(),
            yaml
        );
        assert_eq!(
            PlanRequest::parse(HCL, RequestFormat::Hcl, Path::new("r.hcl")).unwrap(),
            yaml
        );
        assert_eq!(yaml.predictive_region.horizon_hours, 72);
        assert_eq!(yaml.mesh_profile.slo.percentile, 99.0);
    }

    #[test]
    fn a_wrong_field_is_named_with_its_place() {
        let text = YAML.replace("timezone:", "time_zone:");
        let error = PlanRequest::parse(&text, RequestFormat::Yaml, Path::new("r.yaml"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("time_zone") && error.contains("r.yaml") && error.contains('2'),
            "{error}"
        );
    }

    #[test]
    fn no_secret_is_repeated_beside_a_fault() {
        let yaml = "provider:\n  prometheus:\n    url: http://p\n    password: hunter2\n    timeout_s: 30s\n    bearer_token: hunter3\n";
        let hcl = "provider {\n  prometheus {\n    url = \"http://p\"\n    bearer_token = \"hunter2\" oops\n  }\n}\n";
        let typed = "{\"provider\": {\"prometheus\": {\"url\": \"x\", \"password\": 70022}}}";
        for (text, format) in [
            (yaml, RequestFormat::Yaml),
            (hcl, RequestFormat::Hcl),
            (typed, RequestFormat::Json),
        ] {
            let error = PlanRequest::parse(text, format, Path::new("r")).unwrap_err();
            let said = format!("{error} {error:?}");
            for secret in ["hunter", "70022"] {
                assert!(!said.contains(secret), "{said}");
            }
            assert!(said.contains("line"), "{said}");
            assert_eq!(error.to_string().lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn values_out_of_range_are_named() {
        let request = |change: &dyn Fn(&mut ProfileRequest)| {
            let mut request = ProfileRequest::default();
            change(&mut request);
            check_profile(&request).unwrap_err().to_string()
        };
        assert_eq!(
            request(&|r| r.slo.latency_ms = 0.0),
            "slo.latency_ms: must be greater than 0"
        );
        assert_eq!(
            request(&|r| r.ramp_percent = vec![50, 10]),
            "ramp_percent: must rise from above 0 to 100, for example [10, 50, 100]"
        );
        assert_eq!(
            request(&|r| r.localities = [("a/b".to_owned(), 90)].into()),
            "localities: the percents sum to 90: they must sum to 100"
        );
    }
}
