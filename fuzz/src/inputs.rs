//! What every fuzz target does with its bytes: hand them to a parser of foreign input, and check what must hold of whatever
//! it answers. The stable test-suite includes this file and replays the corpus through it.

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use foremesh_model::{
    DEMAND_FORMAT_VERSION, Demand, History, Prometheus, SETTINGS_FORMAT_VERSION, ServiceGraph,
    Settings, Timestamp,
};
use foremesh_observe::{
    ObserveError, Observed, graph::parse_graph, history, parse_catalogue, parse_events,
    parse_holidays, parse_limits, parse_prometheus_answer, with_catalogue,
};

/// A target's name and what it does with bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Each target with what it does; a folder of the corpus is named like its target.
pub const OBSERVED: [Target; 13] = [
    ("history_csv", history_csv),
    ("history_parquet", history_parquet),
    ("catalogue", catalogue),
    ("manifests", manifests),
    ("zipkin", zipkin),
    ("otlp", otlp),
    ("jaeger", jaeger),
    ("graph_file", graph_file),
    ("exposition", exposition),
    ("prometheus_answer", prometheus_answer),
    ("packed", packed),
    ("events", events),
    ("holidays", holidays),
];

/// Whether cargo-fuzz compiles this.
#[allow(unexpected_cfgs)]
const FUZZING: bool = cfg!(fuzzing);

fn as_of() -> Option<Timestamp> {
    Timestamp::from_second(1_767_232_800).ok()
}

/// A refusal says something, and not the whole input back.
fn check_error(error: &ObserveError) {
    let text = error.to_string();
    assert!(
        !text.is_empty() && text.len() < 100_000,
        "{} bytes",
        text.len()
    );
}

/// Whatever was read, a history holds no value that cannot be, and nothing at or after `as_of`.
fn check_history(read: Result<Observed<History>, ObserveError>, as_of: Option<Timestamp>) {
    let history = match read {
        Ok(observed) => observed.value,
        Err(error) => return check_error(&error),
    };
    assert!(!history.series.is_empty());
    for (key, series) in &history.series {
        assert!(series.step_s > 0);
        assert!(series.values.iter().any(|v| !v.is_nan()));
        let requests = key.metric == "requests_per_second";
        assert!(
            series
                .values
                .iter()
                .all(|v| v.is_nan() || !requests || (v.is_finite() && *v >= 0.0))
        );
        if let Some(as_of) = as_of {
            assert!(series.at(series.values.len() - 1) < as_of);
        }
    }
}

pub fn history_csv(data: &[u8]) {
    for as_of in [None, as_of()] {
        check_history(history::parse_csv(data, "history.csv", as_of), as_of);
    }
}

pub fn history_parquet(data: &[u8]) {
    for as_of in [None, as_of()] {
        check_history(
            history::parse_parquet(data.to_vec(), "history.parquet", as_of),
            as_of,
        );
    }
}

/// A small graph that catalogues are laid over.
static SHOP: LazyLock<Option<ServiceGraph>> = LazyLock::new(|| {
    let file = r#"{"services":[{"name":"shop/web"},{"name":"shop/cart"}],"edges":[{"caller":"shop/web","callee":"shop/cart","fan_out":1.5}]}"#;
    Some(
        parse_graph(&[("shop.json", file.as_bytes())], None)
            .ok()?
            .value,
    )
});

pub fn catalogue(data: &[u8]) {
    match parse_catalogue(&String::from_utf8_lossy(data), "catalogue.yaml") {
        Err(error) => check_error(&error),
        Ok(catalogue) => {
            for graph in [SHOP.clone().unwrap_or_default(), ServiceGraph::default()] {
                if let Err(error) = with_catalogue(&graph, &catalogue) {
                    check_error(&error);
                }
            }
        }
    }
}

pub fn events(data: &[u8]) {
    match parse_events(data, "events.json") {
        Err(error) => check_error(&error),
        Ok(events) => {
            for event in events {
                assert!(event.fault().is_none(), "{event:?}");
            }
        }
    }
}

pub fn holidays(data: &[u8]) {
    if let Err(error) = parse_holidays(data, "holidays.ics") {
        check_error(&error);
    }
}

fn graph(file: &str, data: &[u8]) {
    for as_of in [None, as_of()] {
        match parse_graph(&[(file, data)], as_of) {
            Err(error) => check_error(&error),
            Ok(observed) => {
                assert!(!observed.value.is_empty());
                for edge in observed.value.edges() {
                    assert!(edge.fan_out.is_none_or(|f| f.is_finite() && f >= 0.0));
                    assert!(observed.value.service(&edge.caller).is_some());
                    assert!(observed.value.service(&edge.callee).is_some());
                }
            }
        }
    }
}

pub fn manifests(data: &[u8]) {
    graph("manifests.yaml", data);
    match parse_limits(&[("manifests.yaml", data)]) {
        Err(error) => check_error(&error),
        Ok(observed) => {
            for limit in &observed.value.values {
                assert!(limit.line > 0);
                assert!(observed.value.services.contains_key(&limit.service));
                assert!(limit.number().is_none_or(|n| n.is_finite() && n >= 0.0));
                assert!(
                    observed
                        .value
                        .of(&limit.service, limit.field)
                        .any(|l| l == limit)
                );
            }
        }
    }
}

pub fn zipkin(data: &[u8]) {
    graph("zipkin.json", data);
}

pub fn otlp(data: &[u8]) {
    graph("otlp.json", data);
}

pub fn jaeger(data: &[u8]) {
    graph("jaeger.json", data);
}

pub fn graph_file(data: &[u8]) {
    graph("graph.json", data);
}

pub fn exposition(data: &[u8]) {
    graph("mesh.prom", data);
}

pub fn prometheus_answer(data: &[u8]) {
    let request = Prometheus {
        days: Some(2),
        step_s: Some(3600),
        ..Prometheus::default()
    };
    if let Some(at) = as_of() {
        check_history(parse_prometheus_answer(data, &request, at), Some(at));
    }
}

/// The bytes as packed text, and as the content of one that is sound: damage inside is found behind the compression.
///
/// What was read is packed again only where the corpus is replayed: zstd's strongest compression keeps a table of constants
/// that the address sanitizer of the fuzzer takes for a variable that is gone ("stack-use-after-scope" of a global).
pub fn packed(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let content = zstd::bulk::compress(data, 1).unwrap_or_default();
    let content = BASE64.encode(content);
    let demand = Demand::decode(&text);
    let wrapped = Demand::decode(&format!("fmd{DEMAND_FORMAT_VERSION}.{content}"));
    for demand in [demand, wrapped].into_iter().flatten() {
        assert!(FUZZING || Demand::decode(&demand.encode()).is_ok());
    }
    let settings = Settings::decode(&text);
    let wrapped = Settings::decode(&format!("fms{SETTINGS_FORMAT_VERSION}.{content}"));
    for settings in [settings, wrapped].into_iter().flatten() {
        if !FUZZING {
            let again = Settings::decode(&settings.encode());
            assert_eq!(format!("{again:?}"), format!("Ok({settings:?})"));
        }
    }
}
