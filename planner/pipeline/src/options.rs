//! The fields of a request as options of a command line, read off their declaration so that neither can drift from the other.

use foremesh_model::shape::{Shape, ShapeError};
use serde_json::Value;

use crate::{PipelineError, PlanRequest};

/// A field of a request as an option of a command line.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestOption {
    /// The option without its dashes: `slo-latency-ms`.
    pub name: String,
    /// What it means, from the declaration.
    pub description: String,
    /// The path of the field in a [`PlanRequest`].
    path: Vec<String>,
    shape: Shape,
}

/// Every single-valued field of the forecast's and the settings' request, objects taken apart.
///
/// # Errors
/// [`ShapeError`] when a declaration uses more of JSON Schema than nouns may: a defect found by a test.
pub fn request_options() -> Result<Vec<RequestOption>, ShapeError> {
    let shape = Shape::of::<PlanRequest>()?;
    let mut options = Vec::new();
    for section in ["predictive_region", "mesh_profile", "bundle"] {
        if let Some(field) = shape.field(section) {
            collect(&field.shape, &[section.to_owned()], &mut options);
        }
    }
    options.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(options)
}

fn collect(shape: &Shape, path: &[String], options: &mut Vec<RequestOption>) {
    for field in shape.fields() {
        let path = [path, std::slice::from_ref(&field.name)].concat();
        match &field.shape {
            Shape::Object(_) => collect(&field.shape, &path, options),
            Shape::List(_) | Shape::Map(_) => {}
            single => options.push(RequestOption {
                name: path[1..].join("-").replace('_', "-"),
                description: field.description.clone(),
                path,
                shape: single.clone(),
            }),
        }
    }
}

impl PlanRequest {
    /// This request with a field set from the text of an option.
    ///
    /// # Errors
    /// [`PipelineError::RequestValue`] when the text is no value of the field.
    pub fn with_option(&self, option: &RequestOption, text: &str) -> Result<Self, PipelineError> {
        let refuse = |cause: String| PipelineError::RequestValue {
            field: format!("--{}", option.name),
            cause,
        };
        let value = match &option.shape {
            Shape::Bool | Shape::Integer | Shape::Number => serde_json::from_str(text)
                .map_err(|_| refuse(format!("{text:?} is not a number or true/false")))?,
            _ => Value::String(text.into()),
        };
        let mut request = serde_json::to_value(self).map_err(|e| refuse(e.to_string()))?;
        let mut place = &mut request;
        for part in &option.path {
            place = match place {
                Value::Object(fields) => fields.entry(part.clone()).or_insert(Value::Null),
                _ => return Err(refuse("does not exist in this request".into())),
            };
        }
        *place = value;
        serde_json::from_value(request).map_err(|e| refuse(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RequestFormat;

    #[test]
    fn options_follow_the_declaration_and_set_its_fields() {
        let options = request_options().unwrap();
        let find = |name: &str| options.iter().find(|option| option.name == name).unwrap();
        let text = "provider: {}
predictive_region: {region: r, timezone: UTC, as_of: 2026-11-20T00:00:00Z, go_live: 2026-12-01T06:00:00Z}";
        let request = PlanRequest::parse(text, RequestFormat::Yaml, "r.yaml".as_ref()).unwrap();
        let request = request.with_option(find("slo-latency-ms"), "120").unwrap();
        let request = request.with_option(find("horizon-hours"), "24").unwrap();
        let request = request.with_option(find("region"), "eu-west-3").unwrap();
        assert_eq!(request.mesh_profile.slo.latency_ms, 120.0);
        assert_eq!(request.predictive_region.horizon_hours, 24);
        assert_eq!(request.predictive_region.region.as_str(), "eu-west-3");
        let error = request
            .with_option(find("horizon-hours"), "soon")
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "--horizon-hours: \"soon\" is not a number or true/false"
        );
    }
}
