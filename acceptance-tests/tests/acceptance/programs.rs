//! The harness itself: each real program starts, acts and stops. When one of these fails, the fault is not in Foremesh.

use std::{collections::BTreeMap, time::Duration};

use foremesh_acceptance_tests::{
    Ansible, Backend, Bootstrap, Envoy, Prometheus, Workspace, burst, need, openmetrics, steady,
};
use serde_json::{Value, json};

/// A token bucket in front of a connection limit.
fn bootstrap(burst: u32, per_second: u32, connections: u32) -> Value {
    Bootstrap::of(&[])
        .rate_limit(burst, per_second / 10, "0.1s")
        .limits(json!({
            "max_connections": connections,
            "max_pending_requests": connections,
            "max_requests": 1000,
        }))
        .build()
}

#[tokio::test]
async fn envoy_limits_the_rate_of_requests() {
    let envoy = need!(Envoy);
    let backend = Backend::answering(200).await;
    let places = BTreeMap::from([("out".to_owned(), backend.address)]);
    let envoy = Envoy::start(envoy, bootstrap(20, 100, 1000), &places).await;
    let (answers, lasted) = steady(&envoy.url("in"), 400.0, Duration::from_secs(2)).await;
    let (passed, refused) = (answers.of(200), answers.of(429));
    assert_eq!(passed + refused, answers.total(), "{answers:?}");
    // What a bucket of 20 that is filled by 10 every 0.1 s can have given out, and no token more.
    let most = 20.0 + 100.0 * (lasted.as_secs_f64() + 0.1);
    assert!(passed as f64 <= most, "{passed} of at most {most}");
    assert!(passed >= 150, "{answers:?}");
    assert_eq!(passed, backend.served());
}

#[tokio::test]
async fn envoy_breaks_the_circuit_and_says_so() {
    let program = need!(Envoy);
    let backend = Backend::holding().await;
    let places = BTreeMap::from([("out".to_owned(), backend.address)]);
    let envoy = Envoy::start(program, bootstrap(1000, 1000, 4), &places).await;
    let url = envoy.url("in");
    let waiting = tokio::spawn(async move { burst(&url, 40).await });
    backend.until_in_flight(4).await;
    backend.release();
    let answers = waiting.await.unwrap();
    assert!(backend.most_in_flight() <= 4);
    assert!(answers.of(503) > 0, "{answers:?}");
    assert_eq!(
        envoy.stat("upstream_rq_pending_overflow").await,
        answers.of(503) as u64
    );
}

#[test]
fn envoy_names_the_field_that_it_refuses() {
    let program = need!(Envoy);
    let workspace = Workspace::new();
    let mut config = bootstrap(1, 10, 1);
    config["static_resources"]["clusters"][0]["lb_polcy"] = "RANDOM".into();
    let file = workspace.write("envoy.json", config.to_string());
    let refused = Envoy::validate(&program, &file);
    assert_ne!(refused.code, Some(0));
    assert!(refused.text().contains("lb_polcy"), "{refused}");
}

#[tokio::test]
async fn prometheus_answers_what_was_loaded() {
    let (prometheus, promtool) = (need!(Prometheus), need!(Promtool));
    let series = [(
        vec![("region", "eu-west-1".to_owned())],
        (0..200)
            .map(|i| (1_790_000_000 + i * 900, i as f64))
            .collect(),
    )];
    let prometheus = Prometheus::serve(prometheus, &promtool, &openmetrics("shop_rps", series));
    let url = format!(
        "{}/api/v1/query_range?query=shop_rps&start=1790000000&end=1790003600&step=900",
        prometheus.url
    );
    let answer = reqwest::get(url).await.unwrap().text().await.unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let result = &answer["data"]["result"][0];
    assert_eq!(result["metric"]["region"], "eu-west-1");
    assert_eq!(result["values"].as_array().unwrap().len(), 5);
    assert_eq!(result["values"][4], json!([1_790_003_600, "4"]));
}

#[test]
fn ansible_runs_a_playbook_here() {
    let program = need!(Ansible);
    let workspace = Workspace::new();
    workspace.write(
        "play.yml",
        "- hosts: localhost\n  connection: local\n  gather_facts: false\n  tasks:\n    - ansible.builtin.copy:\n        content: \"{{ word }}\"\n        dest: \"{{ playbook_dir }}/out\"\n",
    );
    let ansible = Ansible::new(program, &workspace.join("home"));
    let played = ansible
        .play(workspace.path(), &["play.yml", "-e", "word=done"], None)
        .expect_code(0);
    assert!(played.stdout.contains("changed=1"), "{played}");
    assert_eq!(workspace.read("out"), "done");
}
