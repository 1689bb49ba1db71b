//! The generated Envoy configurations in a real Envoy, in front of a small backend: they are accepted, and what they limit is limited.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use foremesh_acceptance_tests::{Backend, Envoy, Workspace, burst, need, steady};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::shop::{plan, shop};

fn configuration(workspace: &Workspace, plan: &str, service: &str) -> PathBuf {
    workspace.join(&format!("{plan}/envoy/{service}/envoy.yaml"))
}

#[test]
fn every_generated_configuration_is_accepted() {
    let program = need!(Envoy);
    let workspace = shop();
    plan(&workspace, "plan");
    for service in shop_telemetry::shop::SERVICES {
        let file = configuration(&workspace, "plan", &format!("shop.{}", service.name));
        Envoy::validate(&program, &file).expect_code(0);
    }
}

/// Requests a second that the Envoy of a service lets through to `backend` when far more are offered: measured after the bucket
/// is empty.
async fn admitted_rps(program: PathBuf, config: Value, planned_rps: f64, burst: f64) -> f64 {
    let backend = Backend::answering(200).await;
    let places = BTreeMap::from([("application".to_owned(), backend.address)]);
    let envoy = Envoy::start(program, config, &places).await;
    let url = envoy.url("inbound");
    let offered = planned_rps * 2.5;
    // Offered 2.5 times the rate, the bucket loses 1.5 times the rate each second.
    let emptied = Duration::from_secs_f64(burst / (1.5 * planned_rps) + 0.3);
    let (first, _) = steady(&url, offered, emptied).await;
    assert!(first.of(429) > 0, "the bucket is not empty: {first:?}");
    let (answers, lasted) = steady(&url, offered, Duration::from_secs(3)).await;
    assert_eq!(
        answers.of(200) + answers.of(429),
        answers.total(),
        "{answers:?}"
    );
    assert_eq!(backend.served(), first.of(200) + answers.of(200));
    answers.of(200) as f64 / lasted.as_secs_f64()
}

fn limit_of(plan: &Value, service: &str) -> (f64, f64) {
    let limit = &plan["settings"]["services"][service]["rate_limit"];
    (
        limit["requests_per_second"].as_f64().unwrap(),
        limit["burst"].as_f64().unwrap(),
    )
}

#[tokio::test]
async fn doubling_the_capacity_in_the_catalogue_doubles_the_limit_at_the_running_envoy() {
    let program = need!(Envoy);
    let workspace = shop();
    let before = plan(&workspace, "before");
    let catalogue = workspace.read("telemetry/catalogue.yaml");
    let (head, payment) = catalogue.split_once("  shop/payment:").unwrap();
    assert!(payment.contains("concurrency: 12"));
    let doubled = payment.replace("concurrency: 12", "concurrency: 24");
    workspace.write(
        "telemetry/catalogue.yaml",
        format!("{head}  shop/payment:{doubled}"),
    );
    let after = plan(&workspace, "after");

    let mut measured = Vec::new();
    for (name, plan) in [("before", &before), ("after", &after)] {
        let (rps, burst) = limit_of(plan, "shop/payment");
        let config = Envoy::read(&configuration(&workspace, name, "shop.payment"));
        let admitted = admitted_rps(program.clone(), config, rps, burst).await;
        // The bucket is refilled in whole tokens; Envoy's own clock adds its part.
        assert!(
            (admitted / rps - 1.0).abs() < 0.1,
            "{name}: planned {rps}, measured {admitted}"
        );
        measured.push(admitted);
    }
    let ratio = measured[1] / measured[0];
    assert!((1.8..2.2).contains(&ratio), "{measured:?}");
}

#[tokio::test]
async fn a_burst_within_the_bucket_passes_whole() {
    let program = need!(Envoy);
    let workspace = shop();
    let plan = plan(&workspace, "plan");
    let (_, tokens) = limit_of(&plan, "shop/payment");
    let backend = Backend::answering(200).await;
    let places = BTreeMap::from([("application".to_owned(), backend.address)]);
    let config = Envoy::read(&configuration(&workspace, "plan", "shop.payment"));
    let envoy = Envoy::start(program, config, &places).await;
    let service = &plan["settings"]["services"]["shop/payment"];
    let room = service["max_concurrent_requests"].as_u64().unwrap();
    let within = (tokens as u64).min(room).max(1) as usize;
    let answers = burst(&envoy.url("inbound"), within).await;
    assert_eq!(answers.of(200), within, "{answers:?}");
}

#[tokio::test]
async fn the_circuit_breaker_of_an_edge_holds_at_its_planned_limit() {
    let program = need!(Envoy);
    let workspace = shop();
    let plan = plan(&workspace, "plan");
    let limits = &plan["settings"]["edges"]["shop/checkout->shop/payment"]["caller_limits"];
    let number = |name: &str| usize::try_from(limits[name].as_u64().unwrap()).unwrap();
    let in_flight = number("max_connections").min(number("max_concurrent_requests"));
    let pending = number("max_pending_requests");

    let mut config = Envoy::read(&configuration(&workspace, "plan", "shop.checkout"));
    let clusters = config["static_resources"]["clusters"].as_array().unwrap();
    let payment = clusters
        .iter()
        .filter_map(|cluster| cluster["name"].as_str())
        .find(|name| name.contains("payment"))
        .expect("checkout's Envoy has a cluster for payment")
        .to_owned();
    // Requests are held until the test lets go: the timeout would end them on a slow machine.
    without_timeout(&mut config);
    let backend = Backend::holding().await;
    let places = BTreeMap::from([(payment, backend.address)]);
    let envoy = Envoy::start(program, config, &places).await;
    let listener = envoy
        .listeners()
        .into_iter()
        .find(|name| name.contains("payment"))
        .expect("checkout's Envoy listens for calls to payment")
        .to_owned();
    let url = envoy.url(&listener);

    // While connections are opened their requests are pending: so many at once, until every place is taken.
    let mut held = JoinSet::new();
    while held.len() < in_flight {
        let wave = pending.min(in_flight - held.len());
        for _ in 0..wave {
            let url = url.clone();
            held.spawn(async move { burst(&url, 1).await });
        }
        tokio::select! {
            () = backend.until_in_flight(held.len()) => {}
            early = held.join_next() => panic!("not held: {early:?}"),
        }
    }
    // Of those that follow as many wait as may; what finds no room to wait is refused at once.
    let refused = 2 * pending;
    let mut following = JoinSet::new();
    for _ in 0..pending + refused {
        let url = url.clone();
        following.spawn(async move { burst(&url, 1).await });
    }
    for _ in 0..refused {
        let answer = following.join_next().await.unwrap().unwrap();
        assert_eq!(answer.of(503), 1, "{answer:?}");
    }
    assert_eq!(
        envoy.stat("upstream_rq_pending_overflow").await,
        refused as u64
    );
    backend.release();
    for answer in held
        .join_all()
        .await
        .into_iter()
        .chain(following.join_all().await)
    {
        assert_eq!(answer.of(200), 1, "{answer:?}");
    }
    assert_eq!(backend.most_in_flight(), in_flight);
    assert_eq!(backend.served(), in_flight + pending);
}

fn without_timeout(config: &mut Value) {
    match config {
        Value::Object(fields) => {
            if fields.contains_key("cluster") && fields.contains_key("timeout") {
                fields.insert("timeout".into(), "0s".into());
                fields.remove("retry_policy");
            }
            fields.values_mut().for_each(without_timeout);
        }
        Value::Array(elements) => elements.iter_mut().for_each(without_timeout),
        _ => {}
    }
}
