//! The API's answer, read straight into numbers: a range query answers millions of samples, each as `[seconds, "text"]`.

use std::collections::BTreeMap;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, SeqAccess, Visitor};

/// An answer: series or single samples, which are series of one.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Answer {
    pub series: Vec<AnsweredSeries>,
    pub warnings: Vec<String>,
}

/// A series.
#[derive(Debug, Default, PartialEq)]
pub(super) struct AnsweredSeries {
    pub labels: BTreeMap<String, String>,
    /// Milliseconds since 1970 and value.
    pub samples: Vec<(i64, f64)>,
}

#[derive(serde::Deserialize)]
struct Body {
    status: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    data: Option<Data>,
    #[serde(default)]
    warnings: Option<Vec<String>>,
}

#[derive(serde::Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    result: Vec<Item>,
}

#[derive(serde::Deserialize, Default)]
#[serde(default)]
struct Item {
    metric: BTreeMap<String, String>,
    values: Vec<Sample>,
    value: Option<Sample>,
}

/// A sample: `[1767225600.5, "12.5"]`.
struct Sample(i64, f64);

impl<'de> Deserialize<'de> for Sample {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pair;
        impl<'de> Visitor<'de> for Pair {
            type Value = Sample;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a sample [seconds, \"value\"]")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<Sample, A::Error> {
                let missing = || A::Error::custom("a sample needs a time and a value");
                let seconds: f64 = pair.next_element()?.ok_or_else(missing)?;
                let Number(value) = pair.next_element()?.ok_or_else(missing)?;
                while pair.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Sample((seconds * 1000.0).round() as i64, value))
            }
        }
        deserializer.deserialize_seq(Pair)
    }
}

/// A number written as text: also `NaN`, `+Inf`, `-Inf`.
struct Number(f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Number;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number as text")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
                text.parse()
                    .map(Number)
                    .map_err(|_| E::custom(format!("{text:?} is no number")))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// Reads a body.
pub(super) fn parse(body: &[u8]) -> Result<Answer, String> {
    let body: Body = serde_json::from_slice(body).map_err(|error| {
        if error.is_eof() {
            "the answer ends in the middle".into()
        } else {
            error.to_string()
        }
    })?;
    if body.status != "success" {
        return Err(format!(
            "status {:?}: {}",
            body.status,
            shortened(&body.error)
        ));
    }
    let data = body.data.ok_or("it holds no data")?;
    if !matches!(data.kind.as_str(), "matrix" | "vector") {
        return Err(format!("the query answers a {}, not series", data.kind));
    }
    let series = data
        .result
        .into_iter()
        .map(|item| AnsweredSeries {
            labels: item.metric,
            samples: item
                .values
                .into_iter()
                .chain(item.value)
                .map(|s| (s.0, s.1))
                .collect(),
        })
        .collect();
    Ok(Answer {
        series,
        warnings: body.warnings.unwrap_or_default(),
    })
}

/// What a server that refuses says, where it says it in the API's form.
pub(super) fn error_text(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Refusal {
        #[serde(default)]
        error: String,
    }
    match serde_json::from_slice::<Refusal>(body) {
        Ok(refusal) => shortened(&refusal.error),
        Err(_) => String::new(),
    }
}

pub(super) fn shortened(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > 300 {
        line.chars().take(300).chain("…".chars()).collect()
    } else {
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_and_vectors_are_read_and_the_rest_is_said() {
        let body = br#"{"status":"success","warnings":["slow store"],"data":{"resultType":"matrix","result":[{"metric":{"a":"b"},"values":[[1.5,"2"],[2,"NaN"],[3,"+Inf"]]}]}}"#;
        let answer = parse(body).unwrap();
        assert_eq!(answer.warnings, ["slow store"]);
        assert_eq!(answer.series[0].samples[0], (1500, 2.0));
        assert!(
            answer.series[0].samples[1].1.is_nan() && answer.series[0].samples[2].1.is_infinite()
        );
        let vector = br#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"7"]}]}}"#;
        assert_eq!(parse(vector).unwrap().series[0].samples, [(1000, 7.0)]);
        assert!(parse(b"<html>").is_err());
        assert_eq!(
            parse(&body[..80]).unwrap_err(),
            "the answer ends in the middle"
        );
        assert!(
            parse(br#"{"status":"success","data":{"resultType":"scalar","result":[]}}"#)
                .unwrap_err()
                .contains("scalar")
        );
    }
}
