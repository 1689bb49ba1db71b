//! Plan requests, which people write: as YAML, JSON and HCL.

use std::path::Path;

use foremesh_pipeline::{PlanRequest, RequestFormat};

pub fn plan_request(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for format in [RequestFormat::Yaml, RequestFormat::Json, RequestFormat::Hcl] {
        if let Err(error) = PlanRequest::parse(&text, format, Path::new("request")) {
            assert!(error.to_string().starts_with("request"));
        }
    }
}
