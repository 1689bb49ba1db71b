//! Each rule of the lint finds what it stands for, and nothing in what is right.

use std::{collections::BTreeMap, fs};

use crate::common::shared;
use foremesh_render::{Finding, Level, RenderOptions, Target, clashes, lint, render};
use serde_json::Value;

fn findings(text: &str) -> Vec<Finding> {
    lint(&BTreeMap::from([("mesh.yaml".to_owned(), text.to_owned())]))
}

/// The rules that are broken, with their lines.
fn rules(text: &str) -> Vec<(String, usize)> {
    findings(text)
        .into_iter()
        .map(|finding| (finding.rule, finding.line.unwrap_or_default()))
        .collect()
}

fn rule(text: &str, rule: &str, line: usize) {
    assert_eq!(rules(text), [(rule.to_owned(), line)], "{text}");
}

fn destination_rule(policy: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: cart, namespace: shop}}\nspec:\n  host: cart\n  trafficPolicy:\n{policy}"
    )
}

const EJECTS: &str = "    outlierDetection: {consecutive5xxErrors: 5, maxEjectionPercent: 50}\n";

#[test]
fn destination_rules() {
    let locality = |locality: &str| {
        destination_rule(&format!(
            "{EJECTS}    loadBalancer:\n      localityLbSetting:\n{locality}"
        ))
    };
    let failover = "        failover: [{from: a, to: b}]\n";
    let distribute = |share: u32| {
        format!("        distribute: [{{from: 'a/*', to: {{'a/*': {share}, 'b/*': 20}}}}]\n")
    };
    assert_eq!(rules(&locality(failover)), []);
    assert_eq!(rules(&locality(&distribute(80))), []);
    rule(&locality(&distribute(70)), "distribute-sum", 10);
    rule(
        &locality(&(distribute(80) + failover)),
        "distribute-and-failover",
        9,
    );
    rule(
        &locality(failover).replace(EJECTS, ""),
        "failover-without-ejection",
        8,
    );
    for (balancer, broken) in [
        ("simple: LEAST_REQUEST", false),
        ("simple: RANDOM", true),
        ("consistentHash: {httpHeaderName: x-session}", true),
    ] {
        let text = destination_rule(&format!(
            "    loadBalancer:\n      {balancer}\n      warmup: {{duration: 60s}}\n"
        ));
        if broken {
            rule(&text, "warmup-balancer", 9);
        } else {
            assert_eq!(rules(&text), []);
        }
    }
    let source = destination_rule("    loadBalancer:\n      consistentHash: {useSourceIp: true}\n");
    rule(&source, "hash-source-address", 8);
    assert_eq!(findings(&source)[0].level, Level::Warning);
    for in_mesh in ["cart.shop.svc.cluster.local", "'*.local'", "cart.shop.svc"] {
        let text = source.replace("host: cart", &format!("host: {in_mesh}"));
        rule(&text, "hash-source-address", 8);
    }
    assert_eq!(
        rules(&source.replace("host: cart", "host: api.example.com")),
        []
    );
    assert_eq!(rules(&source.replace("true", "false")), []);
    rule(
        &destination_rule("    loadBalancer: {simple: ROUND_ROBIN, warmupDurationSecs: 60s}\n"),
        "warmup-deprecated",
        7,
    );
    rule(
        &destination_rule("    outlierDetection: {maxEjectionPercent: 150}\n"),
        "ejection-percent",
        7,
    );
    rule(
        &destination_rule("    outlierDetection: {maxEjectionPercent: 100}\n"),
        "ejection-everything",
        7,
    );
    rule(
        &destination_rule("    outlierDetection: {minHealthPercent: 101}\n"),
        "min-health-percent",
        7,
    );
    rule(
        &destination_rule("    retryBudget: {minRetryConcurrency: 3}\n"),
        "retry-budget-percent",
        7,
    );
    let pool = |limit: &str| {
        destination_rule(&format!(
            "    connectionPool:\n      http:\n        http2MaxRequests: {limit}\n"
        ))
    };
    assert_eq!(rules(&pool("100")), []);
    rule(&pool("0"), "limit-zero", 9);
    rule(&pool("-1"), "limit-negative", 9);
    rule(&pool("2147483647"), "limit-none", 9);
}

#[test]
fn subsets_and_ports_are_looked_into() {
    let text = "kind: DestinationRule\nspec:\n  host: a\n  trafficPolicy:\n    portLevelSettings:\n    - outlierDetection: {maxEjectionPercent: 100}\n  \
                subsets:\n  - name: v1\n    trafficPolicy: {connectionPool: {tcp: {maxConnections: 0}}}\n";
    assert_eq!(
        rules(text),
        [("ejection-everything".into(), 6), ("limit-zero".into(), 9)]
    );
}

fn virtual_service(http: &str) -> String {
    format!(
        "kind: VirtualService\nmetadata: {{name: cart, namespace: shop}}\nspec:\n  hosts: [cart]\n  http:\n{http}"
    )
}

#[test]
fn virtual_services() {
    let route = "  - route: [{destination: {host: cart}}]\n";
    assert_eq!(rules(&virtual_service(route)), []);
    let with = |fields: &str| virtual_service(&format!("{route}    {fields}\n"));
    assert_eq!(
        rules(&with(
            "retries: {attempts: 2, retryOn: 'connect-failure,503'}"
        )),
        []
    );
    rule(
        &with("retries: {attempts: 2, retryOn: 'connect-failure,on-tuesdays'}"),
        "retry-on",
        7,
    );
    assert_eq!(
        rules(&with(
            "timeout: 2s\n    retries: {attempts: 2, perTryTimeout: 600ms}"
        )),
        []
    );
    rule(
        &with("timeout: 500ms\n    retries: {attempts: 2, perTryTimeout: 600ms}"),
        "per-try-timeout",
        8,
    );
    let split = |a: u32, b: u32| {
        virtual_service(&format!(
            "  - route:\n    - {{destination: {{host: cart}}, weight: {a}}}\n    - {{destination: {{host: other}}, weight: {b}}}\n"
        ))
    };
    assert_eq!(rules(&split(10, 90)), []);
    rule(&split(10, 80), "weights-sum", 7);
    rule(&split(0, 0), "weights-zero", 6);
    let matched =
        "  - match: [{sourceLabels: {app: a}}]\n    route: [{destination: {host: cart}}]\n";
    rule(&virtual_service(matched), "no-default-route", 5);
    assert_eq!(rules(&virtual_service(&format!("{matched}{route}"))), []);
    rule(
        &virtual_service(&format!("{route}{matched}{route}")),
        "unreachable-route",
        5,
    );
    assert_eq!(
        rules(&virtual_service(
            "  - match: [{uri: {prefix: /}}]\n    route: [{destination: {host: cart}}]\n"
        )),
        []
    );
}

fn filter(config: &str) -> String {
    format!(
        "kind: EnvoyFilter\nmetadata: {{name: a}}\nspec:\n  configPatches:\n  - applyTo: HTTP_FILTER\n    patch:\n      operation: INSERT_BEFORE\n      value:\n        \
         name: envoy.filters.http.local_ratelimit\n        typed_config:\n          \
         '@type': type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit\n          stat_prefix: a\n{config}"
    )
}

#[test]
fn envoy_filters() {
    let acts = "          filter_enabled: {default_value: {numerator: 100}}\n          filter_enforced: {default_value: {numerator: 100}}\n";
    let bucket = |bucket: &str| filter(&format!("{acts}          token_bucket: {{{bucket}}}\n"));
    let right = "max_tokens: 10, tokens_per_fill: 10, fill_interval: 1s";
    assert_eq!(rules(&bucket(right)), []);
    rule(&bucket(&right.replace("1s", "0.01s")), "fill-interval", 15);
    rule(
        &bucket(&right.replace("max_tokens: 10", "max_tokens: 5")),
        "token-bucket-small",
        15,
    );
    rule(
        &bucket(&right.replace("max_tokens: 10", "max_tokens: 0")),
        "token-bucket-empty",
        15,
    );
    rule(&bucket(&format!("{right}, tokens: 1")), "unknown-field", 15);
    rule(
        &filter(&format!("{acts}          bogus: 1\n")),
        "unknown-field",
        10,
    );
    let found = rules(&filter(&format!("          token_bucket: {{{right}}}\n")));
    assert_eq!(
        found,
        [
            ("rate-limit-never-acts".into(), 10),
            ("rate-limit-never-acts".into(), 10)
        ]
    );
    let preconnect = |policy: &str| {
        format!(
            "kind: EnvoyFilter\nspec:\n  configPatches:\n  - applyTo: CLUSTER\n    patch:\n      value:\n        lb_policy: LEAST_REQUEST\n        preconnect_policy: {policy}\n"
        )
    };
    assert_eq!(rules(&preconnect("{per_upstream_preconnect_ratio: 2}")), []);
    rule(
        &preconnect("{per_upstream_preconnect_ratio: 4}"),
        "preconnect-ratio",
        8,
    );
    rule(
        &preconnect("{predictive_preconnect_ratio: 2}"),
        "preconnect-balancer",
        8,
    );
}

#[test]
fn envoy_bootstraps() {
    let bootstrap = "static_resources:\n  listeners:\n  - route:\n      timeout: 1s\n      retry_policy:\n        per_try_timeout: 2s\n        \
                     retry_on: never\n  clusters:\n  - name: a\n    outlier_detection: {max_ejection_percent: 100}\n";
    assert_eq!(
        rules(bootstrap),
        [
            ("per-try-timeout".into(), 6),
            ("retry-on".into(), 7),
            ("ejection-everything".into(), 10)
        ]
    );
    let json =
        r#"{"static_resources":{"clusters":[{"outlier_detection":{"max_ejection_percent":100}}]}}"#;
    assert_eq!(rules(json), [("ejection-everything".into(), 1)]);
}

fn scaled(spec: &str) -> String {
    format!(
        "kind: ScaledObject\nmetadata: {{name: cart, namespace: shop}}\nspec:\n  scaleTargetRef: {{name: cart}}\n{spec}"
    )
}

fn cron(metadata: &str) -> String {
    scaled(&format!(
        "  triggers:\n  - type: cron\n    metadata: {{{metadata}}}\n"
    ))
}

#[test]
fn scaled_objects() {
    let right = "timezone: Europe/Paris, start: 0 7 * * *, end: 0 23 * * *, desiredReplicas: '12'";
    assert_eq!(rules(&cron(right)), []);
    rule(
        &cron(&right.replace("Europe/Paris", "Mars/Olympus")),
        "cron-timezone",
        7,
    );
    rule(
        &cron(&right.replace("0 7 * * *", "0 25 * * *")),
        "cron-expression",
        7,
    );
    rule(
        &cron(&right.replace("0 23 * * *", "0 7 * * *")),
        "cron-empty-window",
        7,
    );
    rule(
        &cron(&right.replace("'12'", "many")),
        "cron-desired-replicas",
        7,
    );
    rule(&cron(&right.replace("'12'", "'120'")), "cron-over-most", 7);
    rule(
        &scaled("  triggers: [{type: prometeus, metadata: {}}]\n"),
        "trigger-type",
        5,
    );
    rule(
        &scaled(
            "  triggers: [{type: cpu, name: a, metadata: {}}, {type: memory, name: a, metadata: {}}]\n",
        ),
        "trigger-name",
        2,
    );
    rule(
        &scaled(
            "  fallback: {failureThreshold: 3, replicas: 3}\n  triggers: [{type: cpu, metadata: {}}]\n",
        ),
        "fallback-without-metric",
        5,
    );
    let two = cron(right)
        + &format!(
            "  - type: cron\n    metadata: {{{}}}\n",
            right.replace("12", "9")
        );
    rule(&two, "cron-same-window", 7);
}

#[test]
fn objects_side_by_side() {
    let scaled = "kind: ScaledObject\nmetadata: {name: a, namespace: shop}\nspec: {scaleTargetRef: {name: cart}, triggers: [{type: cpu}]}\n";
    let deployment =
        "kind: Deployment\nmetadata: {name: cart, namespace: shop}\nspec:\n  replicas: 3\n";
    rule(
        &format!("{scaled}---\n{deployment}"),
        "replicas-beside-autoscaler",
        8,
    );
    assert_eq!(
        rules(&format!(
            "{scaled}---\n{}",
            deployment.replace("shop", "other")
        )),
        []
    );
    let hpa = "kind: HorizontalPodAutoscaler\nmetadata: {name: b, namespace: shop}\nspec:\n  scaleTargetRef: {kind: Deployment, name: cart}\n";
    rule(&format!("{scaled}---\n{hpa}"), "two-autoscalers", 8);

    let selecting = "kind: DestinationRule\nmetadata: {name: a, namespace: ads}\nspec:\n  host: cart.shop.svc.cluster.local\n  workloadSelector: {matchLabels: {app: a}}\n";
    rule(selecting, "selector-without-rest", 5);
    let rest = "kind: DestinationRule\nmetadata: {name: b, namespace: ads}\nspec: {host: cart.shop.svc.cluster.local}\n";
    assert_eq!(rules(&format!("{selecting}---\n{rest}")), []);

    let service =
        "kind: VirtualService\nmetadata: {name: a, namespace: shop}\nspec:\n  hosts: [cart]\n";
    let other = service
        .replace("name: a", "name: b")
        .replace("[cart]", "[cart.shop.svc.cluster.local]");
    rule(&format!("{service}---\n{other}"), "two-virtual-services", 9);

    let policy = "kind: DestinationRule\nmetadata: {name: a, namespace: shop}\nspec:\n  host: cart\n  trafficPolicy: {}\n";
    let second = policy
        .replace("name: a", "name: b")
        .replace("cart", "cart.shop.svc.cluster.local");
    rule(
        &format!("{policy}---\n{second}"),
        "two-destination-rules",
        10,
    );
    // Subsets alone are merged, other workloads and other namespaces are others.
    for other in [
        second.replace("trafficPolicy: {}", "subsets: []"),
        second.replace(
            "trafficPolicy: {}",
            "trafficPolicy: {}\n  workloadSelector: {matchLabels: {app: x}}",
        ),
        second.replace("namespace: shop", "namespace: ads"),
        second.replace("name: b", "name: a"),
    ] {
        assert_eq!(rules(&format!("{policy}---\n{other}")), [], "{other}");
    }

    let sidecar = |name: &str, spec: &str| {
        format!("kind: Sidecar\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n{spec}")
    };
    let all = sidecar("default", "  egress: [{hosts: [./*]}]\n");
    let one = sidecar("cart", "  workloadSelector: {labels: {app: cart}}\n");
    rule(&format!("{all}---\n{one}"), "sidecar-scope", 9);
    rule(&format!("{one}---\n{all}"), "sidecar-scope", 4);
    let alike = format!("{one}  egress: [{{hosts: [./*]}}]\n");
    assert_eq!(rules(&format!("{all}---\n{alike}")), []);
    let same = one.replace("name: cart,", "name: other,");
    rule(&format!("{one}---\n{same}"), "two-sidecars", 9);
    assert_eq!(
        rules(&format!(
            "{one}---\n{}",
            same.replace("app: cart", "app: other")
        )),
        []
    );

    let filter = |name: &str, selector: &str, value: &str| {
        format!(
            "kind: EnvoyFilter\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n{selector}  configPatches:\n  - applyTo: HTTP_FILTER\n    \
             match: {{context: SIDECAR_INBOUND}}\n    patch: {{operation: INSERT_BEFORE, value: {{name: {value}}}}}\n"
        )
    };
    let (cart, stock) = (
        "  workloadSelector: {labels: {app: cart}}\n",
        "  workloadSelector: {labels: {app: stock}}\n",
    );
    let limit = "envoy.filters.http.local_ratelimit";
    let first = filter("a", cart, limit);
    rule(
        &format!("{first}---\n{}", filter("b", "", limit)),
        "two-filters",
        13,
    );
    for other in [
        filter("b", stock, limit),
        filter("b", cart, "envoy.filters.http.lua"),
        filter("b", cart, limit).replace("SIDECAR_INBOUND", "GATEWAY"),
        filter("b", cart, limit).replace("namespace: shop", "namespace: ads"),
    ] {
        assert_eq!(rules(&format!("{first}---\n{other}")), [], "{other}");
    }
    let root = filter("b", "", limit).replace("namespace: shop", "namespace: istio-system");
    rule(&format!("{first}---\n{root}"), "two-filters", 13);
}

/// What the shop's team has beside what is rendered for it.
#[test]
fn what_is_rendered_beside_what_is_there() {
    let options = RenderOptions::default();
    let mut rendered = BTreeMap::new();
    for target in [Target::Istio, Target::Autoscaling] {
        for (file, text) in render(&crate::common::shop(), target, &options).unwrap() {
            rendered.insert(format!("{target}/{file}"), text);
        }
    }
    let beside = |text: &str| -> Vec<String> {
        let existing = BTreeMap::from([("team/mesh.yaml".to_owned(), text.to_owned())]);
        clashes(&rendered, &existing, &options)
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    // No line is asserted of the rendered file: each names the object and the file.
    let only = |text: &str, parts: &[&str]| {
        let found = beside(text);
        assert_eq!(found.len(), 1, "{found:#?}");
        for part in parts {
            assert!(found[0].contains(part), "{part}: {}", found[0]);
        }
    };
    only(
        "kind: HorizontalPodAutoscaler\nmetadata: {name: cart-cpu, namespace: shop}\nspec:\n  scaleTargetRef: {kind: Deployment, name: cart}\n",
        &[
            "team/mesh.yaml:4: error: HorizontalPodAutoscaler shop/cart-cpu: Deployment cart is scaled by ScaledObject shop/cart (autoscaling/shop/cart.yaml:",
            "delete HorizontalPodAutoscaler shop/cart-cpu once the plan's is applied",
            "[two-autoscalers]",
        ],
    );
    only(
        "kind: Deployment\nmetadata: {name: cart, namespace: shop}\nspec: {replicas: 3}\n",
        &[
            "ScaledObject shop/cart (autoscaling/shop/cart.yaml:",
            "[replicas-beside-autoscaler]",
        ],
    );
    only(
        "kind: VirtualService\nmetadata: {name: routes, namespace: shop}\nspec:\n  hosts: [cart]\n  http: [{route: [{destination: {host: cart}}]}]\n",
        &[
            "VirtualService shop/cart (istio/shop/cart.yaml:",
            "[two-virtual-services]",
        ],
    );
    only(
        "kind: DestinationRule\nmetadata: {name: limits, namespace: shop}\nspec:\n  host: cart\n  trafficPolicy: {}\n",
        &[
            "DestinationRule shop/cart (istio/shop/cart.yaml:",
            "[two-destination-rules]",
        ],
    );
    only(
        "kind: DestinationRule\nmetadata: {name: cart, namespace: shop}\nspec:\n  host: cart\n  trafficPolicy: {}\n",
        &[
            "DestinationRule shop/cart (istio/shop/cart.yaml:",
            "take it out of team/mesh.yaml",
            "do not delete it in the cluster",
            "[one-object-twice]",
        ],
    );
    only(
        "kind: DestinationRule\nmetadata: {name: cart, namespace: web}\nspec:\n  host: cart.shop.svc.cluster.local\n  trafficPolicy: {}\n",
        &["callers in namespace web", "[hidden-destination-rule]"],
    );
    only(
        "kind: EnvoyFilter\nmetadata: {name: limit, namespace: shop}\nspec:\n  workloadSelector: {labels: {app: cart}}\n  configPatches:\n  - applyTo: HTTP_FILTER\n    \
         match: {context: SIDECAR_INBOUND}\n    patch: {operation: INSERT_BEFORE, value: {name: envoy.filters.http.local_ratelimit}}\n",
        &[
            "EnvoyFilter shop/cart.rate-limit (istio/shop/cart.yaml:",
            "[two-filters]",
        ],
    );
    // What stands alone is no clash, however odd it is for itself, nor is what Foremesh wrote before, nor what does not meet.
    let earlier = rendered.values().cloned().collect::<Vec<_>>().join("---\n");
    assert_eq!(beside(&earlier), [""; 0]);
    for text in [
        "kind: Sidecar\nmetadata: {name: default, namespace: shop}\nspec: {egress: [{hosts: [./*]}]}\n",
        "kind: HorizontalPodAutoscaler\nmetadata: {name: a, namespace: other}\nspec: {scaleTargetRef: {kind: Deployment, name: cart}}\n",
        "kind: Deployment\nmetadata: {name: cart, namespace: shop}\nspec: {template: {}}\n",
        "kind: DestinationRule\nmetadata: {name: a, namespace: lone}\nspec:\n  host: x\n  trafficPolicy: {outlierDetection: {maxEjectionPercent: 150}}\n",
        "kind: [HorizontalPodAutoscaler\n",
    ] {
        assert_eq!(beside(text), [""; 0], "{text}");
    }
    // With Sidecars rendered, a namespace's own of another scope is named.
    let options = RenderOptions {
        namespace_sidecars: BTreeMap::from([("shop".to_owned(), String::new())]),
        ..options
    };
    let rendered = render(&crate::common::shop(), Target::Istio, &options).unwrap();
    let existing = BTreeMap::from([(
        "scope.yaml".to_owned(),
        crate::common::NAMESPACE_SIDECAR.to_owned(),
    )]);
    let found = clashes(&rendered, &existing, &options);
    assert!(!found.is_empty());
    for finding in found {
        assert_eq!(finding.rule, "sidecar-scope");
        assert!(
            finding.text.contains("Sidecar shop/default (scope.yaml:3)"),
            "{finding}"
        );
    }
}

/// Objects without a namespace get one from whoever applies them: the one that services without one are rendered into.
#[test]
fn objects_without_a_namespace_meet_those_of_the_options() {
    let options = RenderOptions {
        namespace: Some("shop".into()),
        ..RenderOptions::default()
    };
    let rendered = render(&crate::common::shop(), Target::Autoscaling, &options).unwrap();
    let hpa = "kind: HorizontalPodAutoscaler\nmetadata: {name: a}\nspec: {scaleTargetRef: {kind: Deployment, name: cart}}\n";
    let existing = BTreeMap::from([("hpa.yaml".to_owned(), hpa.to_owned())]);
    assert_eq!(clashes(&rendered, &existing, &options).len(), 1);
    assert_eq!(
        clashes(&rendered, &existing, &RenderOptions::default()).len(),
        0
    );
}

#[test]
fn files_that_cannot_be_read_are_findings_and_others_are_passed_over() {
    let helm = findings(
        "kind: Deployment\nmetadata:\n  name: {{ .Values.name }}\n  labels: {{- include \"x\" . }}\n",
    );
    assert_eq!(helm[0].rule, "unreadable");
    assert!(helm[0].text.contains("helm template"), "{}", helm[0]);
    assert_eq!(findings("a: [1\n")[0].line, Some(1));
    assert_eq!(findings("# nothing\n---\n---\n# still nothing\n"), []);
    assert_eq!(findings("name: a chart\nversion: 1\n"), []);
    assert_eq!(findings("[1, 2, 3]"), []);
    let list = "kind: List\nitems:\n- kind: DestinationRule\n  metadata: {name: a}\n  spec: {host: a, trafficPolicy: {outlierDetection: {maxEjectionPercent: 150}}}\n";
    assert_eq!(
        findings(list)[0].to_string(),
        "mesh.yaml:5: error: DestinationRule default/a: maxEjectionPercent is 150: write 0 … 99 [ejection-percent]"
    );
}

/// What an API server accepted although it is wrong, by the sample's name.
#[test]
fn what_an_api_server_let_through_is_found_and_what_is_right_is_not() {
    let Some(samples) = shared("spikes/samples/apiserver-verdicts.json") else {
        return;
    };
    let samples: Vec<Value> = serde_json::from_str(&fs::read_to_string(samples).unwrap()).unwrap();
    let wrong = [
        "DR distribute+failover",
        "DR distribute sum 90",
        "DR warmup + RANDOM",
        "DR failover w/o outlierDetection",
        "DR maxEjectionPercent 150",
        "VS weights sum 90",
        "VS perTry>timeout",
        "VS bogus retryOn",
        "EnvoyFilter bogus envoy field",
        "KEDA cron bad tz/start",
        "KEDA trigger type typo",
    ];
    let (mut found, mut right) = (0, 0);
    for sample in &samples {
        let name = sample["name"].as_str().unwrap();
        let findings = lint(&BTreeMap::from([(
            name.to_owned(),
            sample["obj"].to_string(),
        )]));
        if wrong.contains(&name) {
            assert!(!findings.is_empty(), "{name} was not found");
            found += 1;
        } else if name.starts_with("POS ") {
            assert!(
                findings
                    .iter()
                    .all(|finding| finding.level == Level::Warning),
                "{findings:#?}"
            );
            right += 1;
        }
    }
    assert_eq!(found, wrong.len());
    assert!(right >= 15, "{right}");
}
