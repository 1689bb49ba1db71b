//! Graphs from data that nobody here wrote, in the folder `shared` beside the repository; skipped where it is absent.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

use std::{
    collections::BTreeSet,
    io::Read,
    path::{Path, PathBuf},
};

use foremesh_model::{Protocol, ServiceGraph, ServiceName, graph::Visits};
use foremesh_observe::{Observed, graph::parse_graph, read_graph};

/// A path of the real data, or None with a word where it is absent.
fn data(path: &str) -> Option<PathBuf> {
    let full = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data")
        .join(path);
    if full.exists() {
        Some(full)
    } else {
        println!("SKIPPED: {path} is not in ../shared/data");
        None
    }
}

type Pairs = BTreeSet<(String, String)>;

fn edges(graph: &ServiceGraph) -> Pairs {
    graph
        .edges()
        .map(|e| (e.caller.to_string(), e.callee.to_string()))
        .collect()
}

fn pairs(text: &str) -> Pairs {
    text.split_whitespace()
        .map(|pair| pair.split_once('>').unwrap())
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .collect()
}

fn read(path: &Path) -> Observed<ServiceGraph> {
    read_graph(&[path.to_path_buf()], None).unwrap()
}

fn name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

fn unpack(path: &Path) -> String {
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(std::fs::File::open(path).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    text
}

/// The 14 calls between services of Online Boutique that the recorded mesh metrics show.
fn boutique_gold(folder: &Path) -> Pairs {
    unpack(&folder.join("metric/dependency.csv.gz"))
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect::<Vec<_>>())
        .filter(|cells| !cells[1].starts_with(|c: char| c.is_ascii_digit()))
        .map(|cells| (cells[0].to_owned(), cells[1].to_owned()))
        .collect()
}

/// Online Boutique's spans, recorded as CSV, in Zipkin's format.
fn boutique_zipkin(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder.join("trace"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    let convert = |file: &PathBuf| {
        let spans: Vec<serde_json::Value> = unpack(file)
            .lines()
            .skip(1)
            .map(|line| {
                let cells: Vec<&str> = line.split(',').collect();
                let service = cells[3].rsplitn(3, '-').last().unwrap();
                let (start, end): (i64, i64) =
                    (cells[5].parse().unwrap(), cells[6].parse().unwrap());
                let mut span = serde_json::json!({
                    "traceId": cells[0], "id": cells[1], "name": cells[4],
                    "timestamp": start / 1000, "duration": (end - start) / 1000,
                    "localEndpoint": { "serviceName": service },
                });
                if cells[2] != "root" {
                    span["parentId"] = cells[2].into();
                }
                span
            })
            .collect();
        (
            file.display().to_string(),
            serde_json::to_vec(&spans).unwrap(),
        )
    };
    files.iter().map(convert).collect()
}

#[test]
fn online_boutique_from_its_manifests() {
    let Some(folder) = data("manifests/online-boutique") else {
        return;
    };
    let observed = read(&folder);
    let expected = pairs(
        "cartservice>redis-cart checkoutservice>cartservice checkoutservice>currencyservice checkoutservice>emailservice \
         checkoutservice>paymentservice checkoutservice>productcatalogservice checkoutservice>shippingservice \
         frontend>adservice frontend>cartservice frontend>checkoutservice frontend>currencyservice \
         frontend>productcatalogservice frontend>recommendationservice frontend>shippingservice \
         loadgenerator>frontend recommendationservice>productcatalogservice",
    );
    assert_eq!(edges(&observed.value), expected);
    let frontend = observed.value.service(&name("frontend")).unwrap();
    assert_eq!(
        (frontend.port, frontend.protocol, frontend.entry),
        (Some(80), Protocol::Http, Some(true))
    );
    let cart = observed.value.service(&name("cartservice")).unwrap();
    assert_eq!((cart.port, cart.protocol), (Some(7070), Protocol::Grpc));
    // The address of a service that is not deployed makes no call, and is said.
    assert!(
        observed
            .warnings
            .iter()
            .any(|w| w.text.contains("shoppingassistantservice"))
    );
    let place = &observed
        .value
        .edge(&name("frontend"), &name("adservice"))
        .unwrap()
        .provenance[0]
        .detail;
    assert!(
        place.contains("kubernetes-manifests.yaml:88: AD_SERVICE_ADDR of Deployment frontend"),
        "{place}"
    );
}

#[test]
fn online_boutique_from_its_spans_and_both() {
    let Some(folder) = data("nezha-onlineboutique") else {
        return;
    };
    let gold = boutique_gold(&folder);
    let files = boutique_zipkin(&folder);
    let texts: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(n, b)| (n.as_str(), b.as_slice()))
        .collect();
    let traced = parse_graph(&texts, None).unwrap();
    let found = edges(&traced.value);
    let right = found.intersection(&gold).count();
    println!(
        "spans: {} edges, precision {:.3}, recall {:.3} of {} gold edges",
        found.len(),
        right as f64 / found.len() as f64,
        right as f64 / gold.len() as f64,
        gold.len()
    );
    assert_eq!((found.len(), right, gold.len()), (13, 13, 14));
    let missing: Vec<_> = gold.difference(&found).collect();
    assert_eq!(
        missing,
        [&("checkoutservice".to_owned(), "currencyservice".to_owned())]
    );
    for edge in traced.value.edges() {
        println!(
            "  {} -> {}: fan-out {:?}, p50 {:?} ms, p99 {:?} ms, sequential {:?}",
            edge.caller,
            edge.callee,
            edge.fan_out,
            edge.latency_p50_ms,
            edge.latency_p99_ms,
            edge.sequential
        );
        assert!(edge.fan_out.unwrap() > 0.0 && edge.latency_p50_ms.unwrap() > 0.0);
    }
    for service in traced.value.services() {
        println!(
            "  {}: {:?} ms ± {:?}",
            service.name, service.capacity.service_time_mean_ms, service.capacity.service_time_cv2
        );
        assert!(service.capacity.service_time_mean_ms.is_some());
    }
    // The traffic equations give back what was counted: requests at each service for those at the frontend.
    let graph = &traced.value;
    let visits = Visits::of(graph).unwrap();
    let mut entering = vec![0.0; graph.len()];
    entering[graph.node(&name("frontend")).unwrap().index()] = 1391.0;
    let rates = visits.rates(&entering);
    let catalogue = rates[graph.node(&name("productcatalogservice")).unwrap().index()];
    let counted = graph
        .service(&name("productcatalogservice"))
        .unwrap()
        .provenance[0]
        .detail
        .clone();
    let counted: f64 = counted
        .rsplit(": ")
        .next()
        .unwrap()
        .trim_end_matches(" requests")
        .parse()
        .unwrap();
    assert!(
        (catalogue / counted - 1.0).abs() < 0.01,
        "{catalogue} {counted}"
    );

    let Some(manifests) = data("manifests/online-boutique/kubernetes-manifests.yaml") else {
        return;
    };
    let manifests = std::fs::read(manifests).unwrap();
    let both: Vec<(&str, &[u8])> = texts
        .iter()
        .copied()
        .chain([("manifests.yaml", manifests.as_slice())])
        .collect();
    let both = parse_graph(&both, None).unwrap();
    assert!(gold.is_subset(&edges(&both.value)));
    let extra: Pairs = edges(&both.value).difference(&gold).cloned().collect();
    assert_eq!(
        extra,
        pairs("cartservice>redis-cart loadgenerator>frontend")
    );
    let edge = both
        .value
        .edge(&name("frontend"), &name("cartservice"))
        .unwrap();
    assert_eq!(edge.provenance.len(), 2);
    assert!(edge.fan_out.is_some());
    // What manifests declare and well observed callers never did is said.
    assert!(
        both.warnings
            .iter()
            .any(|w| w.code == "call_not_in_traces"
                && w.subject == "checkoutservice->currencyservice")
    );
}

#[test]
fn other_shops_from_their_manifests() {
    let Some(folder) = data("manifests") else {
        return;
    };
    for (shop, services, expected) in [
        // Bookinfo's programs know each other's names without being told.
        ("bookinfo", 6, ""),
        (
            "emojivoto",
            4,
            "emojivoto/vote-bot>emojivoto/web-svc emojivoto/web-svc>emojivoto/emoji-svc emojivoto/web-svc>emojivoto/voting-svc",
        ),
        ("sock-shop", 14, "sock-shop/user>sock-shop/user-db"),
        (
            "teastore",
            7,
            "teastore-auth>teastore-registry teastore-image>teastore-registry teastore-persistence>teastore-db \
             teastore-persistence>teastore-registry teastore-recommender>teastore-registry teastore-webui>teastore-registry",
        ),
    ] {
        let observed = read(&folder.join(shop));
        println!(
            "{shop}: {} services, {} edges",
            observed.value.len(),
            observed.value.edges().len()
        );
        assert_eq!(edges(&observed.value), pairs(expected), "{shop}");
        assert_eq!(observed.value.len(), services, "{shop}");
    }
}

#[test]
fn every_small_zipkin_trace() {
    let Some(folder) = data("zipkin-small") else {
        return;
    };
    for (file, expected) in [
        (
            "ascend",
            "mobile-gateway>auth-service mobile-gateway>content-service",
        ),
        ("skew", "servicea>serviceb"),
        ("simple-db-p6", "bootifulmeters>app_db"),
        ("messaging", "frontend>rabbitmq rabbitmq>backend"),
        (
            "messaging-kafka",
            "servicea>kafka kafka>servicea kafka>serviceb",
        ),
        (
            "messaging2",
            "mobile-gateway>auth-service transfer-service>rabbitmq rabbitmq>notification-service",
        ),
        (
            "yelp",
            "routing>unknown unknown>yelp_main/api_proxy yelp_main/api_proxy>yelp-main yelp-main>memcache yelp-main>mysql \
             routing>yelp-main yelp-main>mobile_api mobile_api>blt mobile_api>memcache mobile_api>spectre",
        ),
    ] {
        let observed = read(&folder.join(format!("{file}.json")));
        assert_eq!(edges(&observed.value), pairs(expected), "{file}");
        Visits::of(&observed.value).unwrap();
    }
    // Four queries by one request, one behind the other.
    let database = read(&folder.join("simple-db-p6.json"));
    let edge = database
        .value
        .edge(&name("bootifulmeters"), &name("app_db"))
        .unwrap();
    assert_eq!((edge.fan_out, edge.sequential), (Some(4.0), Some(true)));
    // A proxy that names no service of its own gives nothing, and says so.
    assert!(read_graph(&[folder.join("envoy.json")], None).is_err());
}

#[test]
fn otlp_and_jaeger_samples() {
    let Some(folder) = data("otlp-json") else {
        return;
    };
    let observed = read(&folder.join("traces_basic.json"));
    assert_eq!(edges(&observed.value), pairs("demo-client>demo-server"));
    let edge = &observed.value.edges().next().unwrap().clone();
    assert_eq!(edge.fan_out, Some(1.0));
    // Metrics are recognised and refused with a word.
    let error = read_graph(&[folder.join("workload_metrics.json")], None)
        .unwrap_err()
        .to_string();
    assert!(error.contains("OTLP metrics or logs"), "{error}");
    let Some(folder) = data("jaeger-dependencies") else {
        return;
    };
    let trace = read(&folder.join("testTrace.json"));
    assert_eq!(
        edges(&trace.value),
        pairs("load-generator>ride-sharing-app")
    );
    let single = read(&folder.join("oltp2jaeger-multi-out.json"));
    assert_eq!((single.value.len(), single.value.edges().len()), (1, 0));
}

#[test]
fn a_thousand_services_from_a_dependency_list() {
    let Some(file) = data("jaeger-dependencies/large.json") else {
        return;
    };
    let started = std::time::Instant::now();
    let observed = read(&file);
    println!("large.json in {:?}", started.elapsed());
    assert_eq!(
        (observed.value.len(), observed.value.edges().len()),
        (1238, 4271)
    );
    match Visits::of(&observed.value) {
        Ok(visits) => println!(
            "circles: {:?}",
            visits.circles().map(<[usize]>::len).collect::<Vec<_>>()
        ),
        Err(error) => println!("traffic equations: {error}"),
    }
}
