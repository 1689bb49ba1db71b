//! Every file that is rendered for the shop, word for word: a field that is lost or moved shows here.

use crate::common::shop;
use foremesh_render::{Autoscaler, RenderOptions, Target, render};

fn snapshot(name: &str, target: Target, options: &RenderOptions) {
    let files = render(&shop(), target, options).unwrap();
    let text: String = files
        .iter()
        .map(|(path, text)| format!("===== {path}\n{text}"))
        .collect();
    insta::assert_snapshot!(name, text);
}

#[test]
fn istio() {
    snapshot("istio", Target::Istio, &RenderOptions::default());
}

#[test]
fn istio_lets_in_a_tenth_within_one_mesh() {
    let options = RenderOptions {
        stage: Some(1),
        ..RenderOptions::default()
    };
    let files = render(&shop(), Target::Istio, &options).unwrap();
    insta::assert_snapshot!("istio_stage_1_frontend", files["shop/frontend.yaml"]);
}

#[test]
fn istio_lets_in_a_half_and_sends_the_rest_to_another_mesh() {
    let options = serde_json::from_str(
        r#"{"stage":2,"gateways":["istio-system/public"],"entry_hosts":{"shop/frontend":["shop.example"]},
            "failover_addresses":{"eu-west-1":{"shop/frontend":{"host":"shop.eu-west-1.example","port":443}}}}"#,
    )
    .unwrap();
    let files = render(&shop(), Target::Istio, &options).unwrap();
    insta::assert_snapshot!("istio_stage_2_frontend", files["shop/frontend.yaml"]);
}

#[test]
fn envoy() {
    snapshot("envoy", Target::Envoy, &RenderOptions::default());
}

/// The source address would tie each caller to one instance, so it is never hashed.
#[test]
fn hashing_needs_a_header_or_gives_way_to_the_fewest_requests() {
    let with_header = RenderOptions {
        hash_header: Some("x-session".into()),
        ..RenderOptions::default()
    };
    let text = |target, options: &RenderOptions, file: &str| {
        render(&shop(), target, options).unwrap()[file].clone()
    };
    for (target, file, falls_back, hashes) in [
        (
            Target::Istio,
            "ads/ranker.yaml",
            "simple: LEAST_REQUEST\n      warmup:",
            "httpHeaderName: x-session\n        ringHash: {}",
        ),
        (
            Target::Envoy,
            "shop.frontend/envoy.yaml",
            "least_request.v3.LeastRequest",
            "ring_hash.v3.RingHash",
        ),
    ] {
        let without = text(target, &RenderOptions::default(), file);
        assert!(without.contains(falls_back), "{without}");
        assert!(without.contains("# Note: the plan balances"), "{without}");
        for word in [
            "useSourceIp",
            "ringHash",
            "RingHash",
            "Maglev",
            "hash_policy",
        ] {
            assert!(!without.contains(word), "{word}: {without}");
        }
        let with = text(target, &with_header, file);
        assert!(with.contains(hashes), "{with}");
        assert!(!with.contains("names no request header"), "{with}");
    }
    // Opaque TCP has no header, whatever the option says.
    let redis = text(Target::Istio, &with_header, "shop/redis.yaml");
    assert!(redis.contains("simple: LEAST_REQUEST"), "{redis}");
    assert!(
        redis.contains("opaque TCP has no request header"),
        "{redis}"
    );
}

#[test]
fn what_another_region_serves_is_balanced_as_planned_too() {
    let mut settings = shop();
    for service in settings.services.values_mut() {
        service.load_balancing = foremesh_model::LoadBalancing::Maglev;
    }
    let mut options: RenderOptions = serde_json::from_str(
        r#"{"stage":1,"hash_header":"x-session","failover_addresses":{"eu-west-1":{"shop/frontend":{"host":"shop.eu-west-1.example","port":443}}}}"#,
    )
    .unwrap();
    let routes = |text: &str| text.matches("hash_policy:").count();
    // The split of what comes in, and the calls to cart, ranker and mail.
    let file = "shop.frontend/envoy.yaml";
    let with = render(&settings, Target::Envoy, &options).unwrap()[file].clone();
    assert_eq!(
        (routes(&with), with.matches("v3.Maglev").count()),
        (4, 4),
        "{with}"
    );
    options.hash_header = None;
    let without = render(&settings, Target::Envoy, &options).unwrap()[file].clone();
    assert_eq!(
        (routes(&without), without.matches("v3.Maglev").count()),
        (0, 0),
        "{without}"
    );
    assert!(
        without.contains("# Note: the plan balances shop/frontend by hash"),
        "{without}"
    );
}

#[test]
fn envoy_sends_what_is_not_let_in_to_another_region() {
    let options = serde_json::from_str(
        r#"{"stage":1,"hash_header":"x-session","failover_addresses":{"eu-west-1":{"shop/frontend":{"host":"shop.eu-west-1.example","port":443}}}}"#,
    )
    .unwrap();
    let files = render(&shop(), Target::Envoy, &options).unwrap();
    insta::assert_snapshot!("envoy_stage_1_frontend", files["shop.frontend/envoy.yaml"]);
}

#[test]
fn keda() {
    snapshot("keda", Target::Autoscaling, &RenderOptions::default());
}

#[test]
fn keda_with_measured_requests() {
    let options = RenderOptions {
        prometheus_address: Some("http://prometheus.monitoring:9090".into()),
        ..RenderOptions::default()
    };
    let files = render(&shop(), Target::Autoscaling, &options).unwrap();
    insta::assert_snapshot!("keda_prometheus_cart", files["shop/cart.yaml"]);
}

#[test]
fn hpa() {
    let options = RenderOptions {
        autoscaler: Autoscaler::Hpa,
        ..RenderOptions::default()
    };
    let files = render(&shop(), Target::Autoscaling, &options).unwrap();
    insta::assert_snapshot!("hpa_frontend", files["shop/frontend.yaml"]);
}

#[test]
fn hcl() {
    let options = RenderOptions {
        module_source: Some("../../modules/istio-region".into()),
        ..RenderOptions::default()
    };
    snapshot("hcl", Target::Hcl, &options);
}

#[test]
fn ansible() {
    let files = render(&shop(), Target::Ansible, &RenderOptions::default()).unwrap();
    assert_eq!(
        files.keys().collect::<Vec<_>>(),
        [
            "envoy/ads.ranker/envoy.yaml",
            "envoy/shop.cart/envoy.yaml",
            "envoy/shop.frontend/envoy.yaml",
            "envoy/shop.redis/envoy.yaml",
            "group_vars/foremesh.yml"
        ]
    );
    insta::assert_snapshot!("ansible", files["group_vars/foremesh.yml"]);
}
