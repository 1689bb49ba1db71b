//! A small mesh whose limits are wrong in every way that an audit knows, and one whose limits fit.

use std::{fmt::Write, fs, path::Path};

use super::*;

/// Four weeks of a frontend: 20 to 220 requests a second, each hour.
fn history() -> String {
    let mut text = String::from("timestamp,region,service,requests_per_second\n");
    let starts: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
    for hour in 0..28 * 24 {
        let at = Timestamp::from_second(starts.as_second() + hour * 3600).unwrap();
        let daily = (hour as f64 - 6.0) / 24.0 * std::f64::consts::TAU;
        let wiggle = ((hour * 7919) % 13) as f64;
        let rate = 120.0 + 95.0 * daily.sin() + wiggle;
        writeln!(text, "{at},eu-1,shop/frontend,{rate:.1}").unwrap();
    }
    text
}

const GRAPH: &str = r#"{
  "services": [
    { "name": "shop/frontend", "capacity": { "service_time_mean_ms": 20, "concurrency": 8 } },
    { "name": "shop/cart", "capacity": { "service_time_mean_ms": 40, "concurrency": 4 } },
    { "name": "shop/stock", "capacity": { "service_time_mean_ms": 5, "concurrency": 16 } }
  ],
  "edges": [
    { "caller": "shop/frontend", "callee": "shop/cart", "fan_out": 0.8 },
    { "caller": "shop/cart", "callee": "shop/stock", "fan_out": 2 }
  ]
}"#;

fn workload(name: &str, replicas: u32) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{ name: {name}, namespace: shop }}
spec:
  replicas: {replicas}
  selector: {{ matchLabels: {{ app: {name} }} }}
  template:
    metadata: {{ labels: {{ app: {name} }} }}
    spec: {{ containers: [{{ name: {name}, image: {name} }}] }}
---
apiVersion: v1
kind: Service
metadata: {{ name: {name}, namespace: shop }}
spec:
  selector: {{ app: {name} }}
  ports: [{{ name: http, port: 8080 }}]
---
"
    )
}

const AUTOSCALER: &str = "apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: { name: frontend, namespace: shop }
spec:
  scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: frontend }
  minReplicas: 1
  maxReplicas: 3
---
";

fn rule(name: &str, requests: &str, ejection: u32) -> String {
    format!(
        "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{ name: {name}, namespace: shop }}
spec:
  host: {name}.shop.svc.cluster.local
  trafficPolicy:
    connectionPool:
      http: {{ http2MaxRequests: {requests} }}
    outlierDetection: {{ consecutive5xxErrors: 5, maxEjectionPercent: {ejection} }}
---
"
    )
}

fn route(name: &str, timeout: &str, attempts: u32) -> String {
    format!(
        "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{ name: {name}, namespace: shop }}
spec:
  hosts: [{name}.shop.svc.cluster.local]
  http:
    - route: [{{ destination: {{ host: {name}.shop.svc.cluster.local }} }}]
      timeout: {timeout}
      retries: {{ attempts: {attempts} }}
---
"
    )
}

async fn audited(manifests: &str) -> (Audit, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mesh.yaml"), manifests).unwrap();
    fs::write(folder.path().join("graph.json"), GRAPH).unwrap();
    fs::write(folder.path().join("history.csv"), history()).unwrap();
    let request = AuditRequest {
        manifests: vec!["mesh.yaml".into()],
        history: "history.csv".into(),
        region: None,
        catalogue: None,
        graph: vec!["graph.json".into()],
        horizon_hours: 48,
        as_of: None,
    };
    let found = audit(&request, folder.path()).await.unwrap();
    let base = format!("{}/", folder.path().display());
    let lines = found.findings.iter().map(|finding| {
        let place = finding.place.as_deref().unwrap_or("-").replace(&base, "");
        format!(
            "{:?} {} {} {:?} at {place}\n  {}\n",
            finding.severity, finding.subject, finding.field, finding.has, finding.text
        )
    });
    let text = lines.collect();
    (found, text)
}

#[tokio::test]
async fn limits_that_do_not_fit_are_named_with_the_hour_that_breaks_them() {
    let manifests = [
        workload("frontend", 2),
        AUTOSCALER.into(),
        workload("cart", 2),
        rule("cart", "3", 100),
        route("cart", "30ms", 3),
        workload("stock", 60),
        rule("stock", "4294967295", 50),
        route("stock", "5s", 3),
    ];
    let (found, text) = audited(&manifests.concat()).await;
    assert_eq!(found.region.as_str(), "eu-1");
    insta::assert_snapshot!(text);
    let short = found
        .findings
        .iter()
        .find(|f| f.subject == "shop/cart" && f.field == "replicas")
        .unwrap();
    assert!(short.needs.unwrap() > 2.0);
    let at = short.at.unwrap();
    // The peak of the day, in the 48 hours after the end of the history.
    assert!(at >= found.as_of && at.strftime("%H").to_string().parse::<u32>().unwrap() >= 9);
}

#[tokio::test]
async fn limits_that_fit_give_no_severe_finding() {
    let manifests = [
        workload("frontend", 12),
        workload("cart", 14),
        rule("cart", "30", 50),
        route("cart", "1s", 0),
        workload("stock", 6),
        rule("stock", "30", 50),
        route("stock", "300ms", 0),
    ];
    let (found, text) = audited(&manifests.concat()).await;
    let severe = |finding: &&AuditFinding| finding.severity == Severity::Severe;
    assert_eq!(found.findings.iter().filter(severe).count(), 0, "{text}");
}

#[tokio::test]
async fn a_region_that_was_never_measured_is_refused_with_those_that_were() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mesh.yaml"), workload("frontend", 2)).unwrap();
    fs::write(folder.path().join("history.csv"), history()).unwrap();
    let request = AuditRequest {
        manifests: vec!["mesh.yaml".into()],
        history: "history.csv".into(),
        region: Some(RegionName::new("eu-9").unwrap()),
        catalogue: None,
        graph: Vec::new(),
        horizon_hours: 48,
        as_of: None,
    };
    let error = audit(&request, folder.path()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "region: the history has no region eu-9; it has eu-1"
    );
    assert!(audit(&request, Path::new("/nowhere")).await.is_err());
}
