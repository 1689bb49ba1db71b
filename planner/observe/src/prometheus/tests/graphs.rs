//! The graph from Istio's metrics: asked of a server, and read from an exposition file.

use super::{super::istio::query_pool, *};
use crate::graph::{parse_graph, read_with_metrics};

/// A sample of an instant query.
fn sample(source: &str, target: &str, more: &[(&str, &str)], value: f64) -> serde_json::Value {
    let mut metric: BTreeMap<&str, &str> = more.iter().copied().collect();
    metric.extend([
        ("reporter", "destination"),
        ("request_protocol", "http"),
        ("source_canonical_service", source),
        ("source_workload_namespace", "shop"),
        ("destination_service_name", target),
        ("destination_service_namespace", "shop"),
    ]);
    serde_json::json!({ "metric": metric, "value": [1.0, value.to_string()] })
}

use std::collections::BTreeMap;

#[tokio::test]
async fn calls_errors_latency_and_bytes_are_asked_for_before_as_of() {
    let server = Server::start(|asked, _| {
        let query = &asked.parameters["query"];
        let result = if query.contains("response_code=~") {
            vec![sample("web", "cart", &[], 40.0)]
        } else if query.contains("milliseconds_bucket") {
            [("10", 2000.0), ("100", 3960.0), ("+Inf", 4000.0)]
                .iter()
                .map(|(le, value)| sample("web", "cart", &[("le", le)], *value))
                .collect()
        } else if query.contains("bytes_sum") {
            vec![sample("web", "cart", &[], 8_000_000.0)]
        } else if query.contains("bytes_count") {
            vec![sample("web", "cart", &[], 4000.0)]
        } else {
            vec![
                sample("istio-ingressgateway", "web", &[], 1000.0),
                sample("web", "cart", &[], 4000.0),
                sample("unknown", "cart", &[], 5.0),
                sample("web", "cart", &[], f64::NAN),
            ]
        };
        Reply::Answer(200, success("vector", result))
    })
    .await;
    let pool = query_pool(&request(&server.url()), at(AS_OF), Path::new("/"), quick())
        .await
        .unwrap();
    let graph = read_with_metrics(&[], Some(at(AS_OF)), pool).unwrap();
    let edges: Vec<_> = graph.value.edges().collect();
    assert_eq!(edges.len(), 1);
    let edge = edges[0];
    assert_eq!(
        (edge.caller.to_string(), edge.callee.to_string()),
        ("shop/web".into(), "shop/cart".into())
    );
    assert_eq!((edge.fan_out, edge.error_rate), (Some(4.0), Some(0.01)));
    assert_eq!(
        (edge.latency_p50_ms, edge.response_bytes),
        (Some(10.0), Some(2000.0))
    );
    assert_eq!(edge.latency_p99_ms, Some(100.0));
    assert!((edge.rate_rps.unwrap() - 4000.0 / 86_400.0).abs() < 1e-4);
    for asked in server.asked() {
        assert_eq!(asked.path, "/api/v1/query");
        assert_eq!(asked.ms("time"), at(AS_OF).as_millisecond() - 1);
        assert!(asked.parameters["query"].contains("[1d]"));
    }
}

#[tokio::test]
async fn a_server_without_a_mesh_says_so() {
    let server = Server::start(|_, _| Reply::Answer(200, success("vector", Vec::new()))).await;
    let error = query_pool(&request(&server.url()), at(AS_OF), Path::new("/"), quick())
        .await
        .unwrap_err();
    insta::assert_snapshot!(told(&error, &server), @"Prometheus at http://127.0.0.1:PORT: istio_requests_total has no series in the 1 day before 2026-11-20T00:00:00Z: the graph cannot be read from metrics; give traces or manifests, or scrape the mesh's proxies");
}

#[test]
fn an_exposition_shows_the_same_graph() {
    let mut text = "# TYPE istio_requests_total counter\n".to_owned();
    for (source, target, reporter, code, calls) in [
        ("web", "cart", "destination", "200", 300),
        ("web", "cart", "destination", "503", 100),
        ("web", "cart", "source", "200", 390),
        ("unknown", "web", "destination", "200", 200),
        ("web", "bank", "source", "200", 20),
    ] {
        let labels = format!(
            "reporter=\"{reporter}\",source_canonical_service=\"{source}\",source_workload_namespace=\"shop\",destination_service_name=\"{target}\",destination_service_namespace=\"shop\",response_code=\"{code}\""
        );
        writeln!(text, "istio_requests_total{{{labels}}} {calls}").unwrap();
    }
    text.push_str("istio_requests_total{broken=\"\nistio_requests_total{} x\nistio_build{component=\"x\"} 1\n");
    let graph = parse_graph(&[("mesh.prom", text.as_bytes())], None)
        .unwrap()
        .value;
    let edges: BTreeMap<String, (Option<f64>, Option<f64>)> = graph
        .edges()
        .map(|e| {
            (
                format!("{}>{}", e.caller, e.callee),
                (e.fan_out, e.error_rate),
            )
        })
        .collect();
    assert_eq!(edges["shop/web>shop/cart"], (Some(2.0), Some(0.25)));
    assert_eq!(edges["shop/web>shop/bank"], (Some(0.1), Some(0.0)));
    assert_eq!(edges.len(), 2);
    assert!(
        graph
            .service(&"shop/web".parse().unwrap())
            .is_some_and(|s| s.entry == Some(true))
    );
}

#[test]
fn bookinfo_is_seen_in_its_recorded_metrics() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/mesh-metrics/istio-1.1-mesh-bookinfo.txt.gz");
    if !path.exists() {
        println!("SKIPPED: {} is absent", path.display());
        return;
    }
    let graph = crate::read_graph(&[path], None).unwrap().value;
    let found: Vec<String> = graph
        .edges()
        .map(|e| format!("{}>{}", e.caller.short(), e.callee.short()))
        .collect();
    for edge in [
        "productpage>details",
        "productpage>reviews",
        "reviews>ratings",
    ] {
        assert!(found.iter().any(|f| f == edge), "{edge}: {found:?}");
    }
}
