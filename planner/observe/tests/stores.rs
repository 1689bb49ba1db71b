//! Services that keep state are recognised by what runs them, what they run, what they speak, what traces call them and, at last, by
//! name; the catalogue has the last word.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{collections::BTreeMap, path::Path};

use foremesh_model::{Protocol, Service, ServiceGraph, ServiceName};
use foremesh_observe::{graph::parse_graph, parse_catalogue, read_graph, with_catalogue};

fn workload(kind: &str, name: &str, image: &str, replicas: &str, port: u16) -> String {
    format!(
        "apiVersion: apps/v1
kind: {kind}
metadata: {{ name: {name}, namespace: shop }}
spec:
  {replicas}
  selector: {{ matchLabels: {{ app: {name} }} }}
  template:
    metadata: {{ labels: {{ app: {name} }} }}
    spec: {{ containers: [{{ name: main, image: \"{image}\" }}] }}
---
apiVersion: v1
kind: Service
metadata: {{ name: {name}, namespace: shop }}
spec:
  selector: {{ app: {name} }}
  ports: [{{ port: {port} }}]
---
"
    )
}

fn graph(texts: &[(&str, &str)]) -> ServiceGraph {
    let texts: Vec<(&str, &[u8])> = texts
        .iter()
        .map(|(file, text)| (*file, text.as_bytes()))
        .collect();
    parse_graph(&texts, None).unwrap().value
}

fn of<'a>(graph: &'a ServiceGraph, name: &str) -> &'a Service {
    graph.service(&ServiceName::new(name).unwrap()).unwrap()
}

#[test]
fn manifests_show_what_keeps_state_and_how_many_run() {
    let manifests = [
        workload("StatefulSet", "ledger", "example/ledger:1", "replicas: 3", 8080),
        workload("Deployment", "sessions", "docker.io/library/redis:7", "", 7000),
        workload("Deployment", "search", "opensearchproject/opensearch:2", "replicas: 2", 9200),
        workload("Deployment", "cart", "example/cart:1", "replicas: 4", 8080),
        workload("Deployment", "broker", "example/broker:1", "replicas: 1", 5672),
        workload("StatefulSet", "scaled", "postgres:16", "", 5432),
        "apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: { name: scaled, namespace: shop }
spec: { scaleTargetRef: { apiVersion: apps/v1, kind: StatefulSet, name: scaled }, minReplicas: 1, maxReplicas: 3 }
"
        .to_owned(),
    ]
    .concat();
    let graph = graph(&[("all.yaml", &manifests)]);
    for (name, stateful, protocol, instances) in [
        ("shop/ledger", true, Protocol::Http, Some(3)),
        ("shop/sessions", true, Protocol::Tcp, Some(1)),
        ("shop/search", true, Protocol::Http, Some(2)),
        ("shop/cart", false, Protocol::Http, Some(4)),
        ("shop/broker", true, Protocol::Tcp, Some(1)),
        ("shop/scaled", true, Protocol::Tcp, None),
    ] {
        let service = of(&graph, name);
        assert_eq!(
            (service.is_stateful(), service.protocol, service.instances),
            (stateful, protocol, instances),
            "{name}"
        );
    }
    let said = &of(&graph, "shop/sessions").provenance;
    assert!(
        said.iter()
            .any(|p| p.detail.contains("runs docker.io/library/redis:7")),
        "{said:?}"
    );
}

#[test]
fn traces_and_names_show_it_too_and_the_catalogue_decides() {
    let traces = r#"[
      {"traceId":"1","id":"a","name":"get","kind":"SERVER","timestamp":1000,"duration":900,"localEndpoint":{"serviceName":"cart"}},
      {"traceId":"1","id":"b","parentId":"a","name":"select","kind":"CLIENT","timestamp":1100,"duration":100,
       "localEndpoint":{"serviceName":"cart"},"remoteEndpoint":{"serviceName":"accounts"},"tags":{"db.system":"postgresql"}},
      {"traceId":"1","id":"c","parentId":"a","name":"find","kind":"CLIENT","timestamp":1300,"duration":100,
       "localEndpoint":{"serviceName":"cart"},"remoteEndpoint":{"serviceName":"mongodb-geo"}},
      {"traceId":"1","id":"d","parentId":"a","name":"get","kind":"CLIENT","timestamp":1500,"duration":100,
       "localEndpoint":{"serviceName":"cart"},"remoteEndpoint":{"serviceName":"prices"}}]"#;
    let graph = graph(&[("traces.json", traces)]);
    for (name, stateful) in [
        ("accounts", true),
        ("mongodb-geo", true),
        ("prices", false),
        ("cart", false),
    ] {
        assert_eq!(of(&graph, name).is_stateful(), stateful, "{name}");
    }
    assert_eq!(of(&graph, "accounts").protocol, Protocol::Tcp);
    let catalogue = parse_catalogue(
        "services:\n  accounts: { stateful: false }\n  prices: { stateful: true, instances: 2, capacity: { max_connections: 50 } }\n",
        "catalogue.yaml",
    )
    .unwrap();
    let told = with_catalogue(&graph, &catalogue).unwrap().value;
    assert!(!of(&told, "accounts").is_stateful());
    let prices = of(&told, "prices");
    assert!(prices.is_stateful());
    assert_eq!(
        (prices.instances, prices.capacity.max_connections),
        (Some(2), Some(50))
    );
    // A graph file keeps what was found.
    let file = serde_json::to_string(&told).unwrap();
    assert_eq!(
        parse_graph(&[("graph.json", file.as_bytes())], None)
            .unwrap()
            .value,
        told
    );
}

#[test]
fn stores_of_real_applications_are_found_and_nothing_else_is() {
    let folder = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/data/manifests"
    ));
    if !folder.exists() {
        println!("SKIPPED: ../shared/data/manifests is absent");
        return;
    }
    for (file, stores) in [
        (
            "online-boutique/kubernetes-manifests.yaml",
            vec!["redis-cart"],
        ),
        (
            "sock-shop/complete-demo.yaml",
            vec![
                "carts-db",
                "catalogue-db",
                "orders-db",
                "rabbitmq",
                "session-db",
                "user-db",
            ],
        ),
        ("bookinfo/bookinfo.yaml", vec![]),
        ("bookinfo/bookinfo-mysql.yaml", vec!["mysqldb"]),
        ("bookinfo/bookinfo-db.yaml", vec!["mongodb"]),
        ("teastore/teastore-clusterip.yaml", vec!["teastore-db"]),
    ] {
        let graph = read_graph(&[folder.join(file)], None).unwrap().value;
        let found: BTreeMap<&str, Option<u32>> = graph
            .services()
            .filter(|service| service.is_stateful())
            .map(|service| (service.name.short(), service.instances))
            .collect();
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), stores, "{file}");
        assert!(
            found.values().all(|instances| *instances == Some(1)),
            "{file}: {found:?}"
        );
    }
}
