//! Bodies of the API, as tests answer them.

use std::collections::BTreeMap;

use crate::http::server::Asked;

/// A series that a test answers: its labels, and its value at an instant in milliseconds.
pub type Told<'a> = (&'a [(&'a str, &'a str)], &'a dyn Fn(i64) -> Option<f64>);

/// A body of the API with series, each with its labels and a value for each instant that is asked for.
pub fn matrix(asked: &Asked, series: &[Told<'_>]) -> String {
    let result: Vec<serde_json::Value> = series
        .iter()
        .map(|(labels, value)| {
            let metric: BTreeMap<&str, &str> = labels.iter().copied().collect();
            let values: Vec<serde_json::Value> = asked
                .instants()
                .into_iter()
                .filter_map(|ms| {
                    Some(serde_json::json!([
                        ms as f64 / 1000.0,
                        value(ms)?.to_string()
                    ]))
                })
                .collect();
            serde_json::json!({ "metric": metric, "values": values })
        })
        .collect();
    success("matrix", result)
}

pub fn success(kind: &str, result: Vec<serde_json::Value>) -> String {
    serde_json::json!({ "status": "success", "data": { "resultType": kind, "result": result } })
        .to_string()
}

pub fn failure(text: &str) -> String {
    serde_json::json!({ "status": "error", "errorType": "execution", "error": text }).to_string()
}
