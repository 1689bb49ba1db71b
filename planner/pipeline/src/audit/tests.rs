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

fn sources(graph: &[&str]) -> SourceRequest {
    SourceRequest {
        history: Some("history.csv".into()),
        graph: graph.iter().map(|file| (*file).to_owned()).collect(),
        ..SourceRequest::default()
    }
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
    audited_with(manifests, GRAPH).await
}

async fn audited_with(manifests: &str, graph: &str) -> (Audit, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mesh.yaml"), manifests).unwrap();
    fs::write(folder.path().join("graph.json"), graph).unwrap();
    fs::write(folder.path().join("history.csv"), history()).unwrap();
    let request = AuditRequest {
        manifests: vec!["mesh.yaml".into()],
        sources: sources(&["graph.json"]),
        region: None,
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

/// The finding about a field of a service.
fn of<'a>(found: &'a Audit, subject: &str, field: &str) -> &'a AuditFinding {
    let finding = |f: &&AuditFinding| f.subject == subject && f.field == field;
    found
        .findings
        .iter()
        .find(finding)
        .unwrap_or_else(|| panic!("no finding on {field} of {subject}: {:#?}", found.findings))
}

#[tokio::test]
async fn one_replica_that_suffices_is_a_note_and_a_service_without_demand_is_passed_over() {
    let graph = GRAPH.replace(
        "\"services\": [",
        "\"services\": [ { \"name\": \"shop/batch\", \"entry\": false },",
    );
    let manifests = [
        workload("frontend", 12),
        workload("cart", 14),
        workload("stock", 1),
        workload("batch", 90),
        rule("batch", "1", 50),
    ];
    let (found, text) = audited_with(&manifests.concat(), &graph).await;
    // At 350 requests a second of 5 ms, one of 16 workers has a tenth of its time filled: a plan keeps two, demand needs one.
    let stock = of(&found, "shop/stock", "replicas");
    assert_eq!(
        (stock.severity, stock.needs, stock.text.as_str()),
        (
            Severity::Note,
            Some(1.0),
            "no second instance: losing it stops the service"
        )
    );
    assert!(!text.contains("batch"), "{text}");
    assert_eq!(found.services, 3);
}

#[tokio::test]
async fn replicas_that_nothing_sets_count_as_the_one_that_kubernetes_runs() {
    let unset = |name: &str| workload(name, 1).replace("  replicas: 1\n", "");
    let manifests = [
        unset("frontend"),
        AUTOSCALER.into(),
        unset("cart"),
        unset("stock"),
    ];
    let (found, _) = audited(&manifests.concat()).await;
    let cart = of(&found, "shop/cart", "replicas");
    assert_eq!((cart.severity, cart.has), (Severity::Severe, None));
    assert_eq!(cart.document.as_deref(), Some("Deployment shop/cart"));
    assert!(
        cart.text
            .starts_with("replicas is not set, Kubernetes runs 1: ")
            && cart.text.contains(" UTC needs "),
        "{}",
        cart.text
    );
    assert_eq!(
        of(&found, "shop/stock", "replicas").severity,
        Severity::Note
    );
    // Where an autoscaler is, it says how many run.
    let mut about = found.findings.iter();
    assert!(!about.any(|f| f.subject == "shop/frontend" && f.field == "replicas"));

    // One is too few as soon as the quietest hour needs more than it.
    let slow = GRAPH.replace(
        "\"service_time_mean_ms\": 20,",
        "\"service_time_mean_ms\": 400,",
    );
    let (found, _) = audited_with(&manifests.concat(), &slow).await;
    let fewest = of(&found, "shop/frontend", "minReplicas");
    assert_eq!(
        (fewest.severity, fewest.has),
        (Severity::Caution, Some(1.0))
    );
    assert!(fewest.needs.unwrap() >= 2.0);
}

#[tokio::test]
async fn what_rests_on_assumptions_is_no_more_than_a_caution() {
    let manifests = [
        workload("frontend", 1),
        workload("cart", 1),
        workload("stock", 1),
        rule("frontend", "1", 50),
        rule("cart", "1", 50),
        rule("stock", "1", 50),
    ]
    .concat();
    let (found, _) = audited(&manifests).await;
    for subject in ["shop/cart", "shop/stock"] {
        assert_eq!(
            of(&found, subject, "http2MaxRequests").severity,
            Severity::Severe
        );
    }
    let no_capacity = GRAPH.replace(
        r#", "capacity": { "service_time_mean_ms": 40, "concurrency": 4 }"#,
        "",
    );
    let (found, _) = audited_with(&manifests, &no_capacity).await;
    let cart = of(&found, "shop/cart", "http2MaxRequests");
    assert_eq!(cart.severity, Severity::Caution);
    assert!(cart.text.ends_with(" (capacity assumed: give a catalogue)"));
    let warned = |code: &str, subject: &str| {
        let mut warnings = found.warnings.iter();
        warnings.any(|w| w.code == code && w.subject == subject)
    };
    assert!(warned("capacity_assumed", "shop/cart"));

    // The calls to cart are assumed, and with them those that cart makes.
    let no_calls = GRAPH.replace(", \"fan_out\": 0.8", "");
    let (found, _) = audited_with(&manifests, &no_calls).await;
    for subject in ["shop/cart", "shop/stock"] {
        let finding = of(&found, subject, "http2MaxRequests");
        assert_eq!(finding.severity, Severity::Caution);
        assert!(
            finding
                .text
                .ends_with(" (calls assumed: give traces or a catalogue)")
        );
    }
    assert_eq!(
        of(&found, "shop/frontend", "http2MaxRequests").severity,
        Severity::Severe
    );
    let mut warnings = found.warnings.iter();
    assert!(warnings.any(|w| w.code == "fan_out_assumed"));
}

#[tokio::test]
async fn short_queues_and_retries_that_cannot_help_are_cautions() {
    let pool = |pending: u32| {
        rule("cart", "30", 50).replace(
            "http2MaxRequests: 30",
            &format!("http2MaxRequests: 30, http1MaxPendingRequests: {pending}"),
        )
    };
    let retries = |settings: &str| {
        route("cart", "1s", 2).replace("attempts: 2", &format!("attempts: 2, {settings}"))
    };
    let mesh = |pending, settings| {
        [
            workload("frontend", 12),
            workload("cart", 14),
            pool(pending),
            retries(settings),
        ]
        .concat()
    };
    let (found, _) = audited(&mesh(1, "perTryTimeout: 500ms, retryOn: 'reset, 5xx'")).await;
    let pending = of(&found, "shop/cart", "http1MaxPendingRequests");
    assert_eq!(
        (pending.severity, pending.has),
        (Severity::Caution, Some(1.0))
    );
    assert!(pending.needs.unwrap() > 4.0);
    let tries = of(&found, "shop/cart", "retries.perTryTimeout");
    assert_eq!(
        (tries.severity, tries.needs),
        (Severity::Caution, Some(333.0))
    );
    assert_eq!(
        tries.text,
        "3 attempts of 500 ms take up to 1500 ms and the whole call has 1000: the last are cut off"
    );
    let repeats = of(&found, "shop/cart", "retries.retryOn");
    assert_eq!(repeats.severity, Severity::Caution);
    assert!(
        repeats
            .text
            .contains("repeats requests that were worked on")
    );

    // 0 leaves Istio's default in place.
    for pending in [0, 100] {
        let fits = mesh(pending, "perTryTimeout: 300ms, retryOn: connect-failure");
        let (found, text) = audited(&fits).await;
        let fields = [
            "http1MaxPendingRequests",
            "retries.perTryTimeout",
            "retries.retryOn",
        ];
        let wrong = |f: &AuditFinding| fields.contains(&f.field.as_str());
        assert!(!found.findings.iter().any(wrong), "{text}");
    }
}

#[tokio::test]
async fn a_finding_on_what_is_unset_lists_every_service() {
    let (found, _) = audited(&workload("frontend", 12)).await;
    let unset = found
        .findings
        .iter()
        .find(|f| f.field == "http2MaxRequests")
        .unwrap();
    let listed: Vec<&str> = unset.services.iter().map(ServiceName::as_str).collect();
    assert_eq!(listed, ["shop/cart", "shop/frontend", "shop/stock"]);
    let json = serde_json::to_value(unset).unwrap();
    assert_eq!(json["services"][2], "shop/stock");
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
        sources: sources(&[]),
        region: Some(RegionName::new("eu-9").unwrap()),
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

#[tokio::test]
async fn an_empty_history_is_refused_without_an_instant_that_nobody_gave() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mesh.yaml"), workload("frontend", 2)).unwrap();
    fs::write(
        folder.path().join("history.csv"),
        "timestamp,region,service,requests_per_second\n",
    )
    .unwrap();
    let request = AuditRequest {
        manifests: vec!["mesh.yaml".into()],
        sources: sources(&[]),
        region: None,
        horizon_hours: 48,
        as_of: None,
    };
    let error = audit(&request, folder.path()).await.unwrap_err();
    assert!(error.to_string().contains("was found"), "{error}");
}

#[tokio::test]
async fn what_harms_a_store_is_named() {
    let store = workload("cart", 3)
        + &workload("orders", 1)
            .replace("kind: Deployment", "kind: StatefulSet")
            .replace("image: orders", "image: docker.io/library/postgres:16")
            .replace("name: http, port: 8080", "name: postgres, port: 5432")
        + &rule("orders", "100", 50)
        + &AUTOSCALER
            .replace("name: frontend", "name: orders")
            .replace("kind: Deployment", "kind: StatefulSet")
        + &workload("index", 2).replace("kind: Deployment", "kind: StatefulSet")
        + &route("index", "1s", 3);
    let graph = GRAPH
        .replace(
            "\"edges\": [",
            "\"edges\": [ { \"caller\": \"shop/cart\", \"callee\": \"shop/orders\" }, { \"caller\": \"shop/cart\", \"callee\": \"shop/index\" },",
        )
        .replace(
            "\"services\": [",
            "\"services\": [ { \"name\": \"shop/orders\" }, { \"name\": \"shop/index\", \"capacity\": { \"service_time_mean_ms\": 10, \"capacity_rps\": 40 } },",
        );
    let (found, text) = audited_with(&store, &graph).await;
    let of = |service: &str, field: &str| {
        found
            .findings
            .iter()
            .find(|f| f.subject == service && f.field == field)
            .map(|f| f.text.as_str())
    };
    assert!(
        of("shop/orders", "consecutive5xxErrors").is_some_and(|t| t.contains("outage")),
        "{text}"
    );
    assert!(
        of("shop/orders", "maxReplicas").is_some_and(|t| t.contains("keeps state")),
        "{text}"
    );
    assert!(
        of("shop/index", "retries.attempts").is_some_and(|t| t.contains("done twice")),
        "{text}"
    );
    assert!(
        of("shop/index", "replicas").is_some_and(|t| t.contains("make it larger")),
        "{text}"
    );
}
