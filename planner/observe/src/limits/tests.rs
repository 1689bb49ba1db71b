//! What is read of every kind of manifest, in the words of a table: one line for each value.

use foremesh_model::ServiceName;

use super::*;
use std::fmt::Write;

fn read(texts: &[(&str, &str)]) -> Observed<ExistingLimits> {
    let texts: Vec<(&str, &[u8])> = texts.iter().map(|(f, t)| (*f, t.as_bytes())).collect();
    parse_limits(&texts).unwrap()
}

fn table(observed: &Observed<ExistingLimits>) -> String {
    let mut text = String::new();
    for v in &observed.value.values {
        let caller = v
            .caller
            .as_ref()
            .map_or(String::new(), |c| format!("{c} -> "));
        write!(text, "{caller}{} {} = {}", v.service, v.field, v.value).unwrap();
        for (word, what) in [("subset", &v.subset), ("for", &v.part)] {
            if let Some(what) = what {
                write!(text, " [{word} {what}]").unwrap();
            }
        }
        if let Some(s) = &v.schedule {
            write!(text, " [{} .. {} {}]", s.start, s.end, s.timezone).unwrap();
        }
        writeln!(text, " | {}:{} {} {}", v.file, v.line, v.document, v.path).unwrap();
    }
    for w in &observed.warnings {
        writeln!(
            text,
            "{:?} {} | {} | {}",
            w.severity, w.code, w.subject, w.text
        )
        .unwrap();
    }
    text
}

const SHOP: &str = "apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {selector: {app: cart}, ports: [{port: 7070, name: grpc}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart-v1, namespace: shop}
spec:
  replicas: 6
  template: {metadata: {labels: {app: cart, version: v1}}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web, namespace: shop}
spec:
  template: {metadata: {labels: {app: web}}}
";

#[test]
fn replicas_and_autoscalers_are_read() {
    let scaling = "apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: web}
  minReplicas: 2
  maxReplicas: 12
---
apiVersion: autoscaling/v1
kind: HorizontalPodAutoscaler
metadata: {name: other, namespace: shop}
spec:
  scaleTargetRef: {kind: Deployment, name: elsewhere}
  maxReplicas: many
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: cart, namespace: shop}
spec:
  scaleTargetRef: {name: cart-v1}
  minReplicaCount: 0
  maxReplicaCount: 20
  triggers:
  - type: prometheus
    metadata: {threshold: '5'}
  - type: cron
    name: evening
    metadata:
      timezone: Europe/Paris
      start: 0 18 * * *
      end: 0 22 * * *
      desiredReplicas: \"9\"
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: lost}
spec: {triggers: []}
";
    let found = read(&[("shop.yaml", SHOP), ("scaling.yaml", scaling)]);
    insta::assert_snapshot!(table(&found), @r##"
shop/cart replicas = 6 | shop.yaml:10 Deployment shop/cart-v1 spec.replicas
shop/cart minReplicas = 0 | scaling.yaml:21 ScaledObject shop/cart spec.minReplicaCount
shop/cart maxReplicas = 20 | scaling.yaml:22 ScaledObject shop/cart spec.maxReplicaCount
shop/cart desiredReplicas = 9 [for trigger evening] [0 18 * * * .. 0 22 * * * Europe/Paris] | scaling.yaml:32 ScaledObject shop/cart spec.triggers[1].metadata.desiredReplicas
shop/web minReplicas = 2 | scaling.yaml:6 HorizontalPodAutoscaler shop/web spec.minReplicas
shop/web maxReplicas = 12 | scaling.yaml:7 HorizontalPodAutoscaler shop/web spec.maxReplicas
Caution limit_not_read | HorizontalPodAutoscaler shop/other | scaling.yaml, line 14: spec.maxReplicas is not a number of 0 or more; it is passed over: mend it
Caution limit_without_service | ScaledObject lost | scaling.yaml, line 34: spec.scaleTargetRef names no workload; its limits are passed over: name one
"##);
    let web = ServiceName::new("shop/web").unwrap();
    assert_eq!(found.value.of(&web, LimitField::MaxReplicas).count(), 1);
    assert_eq!(found.value.of(&web, LimitField::Replicas).count(), 0);
    assert!(found.value.services[&web].contains("StatefulSet shop/web"));
}

#[test]
fn traffic_policies_are_read_by_subset_and_port() {
    let rules = "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: cart, namespace: shop}
spec:
  host: cart.shop.svc.cluster.local
  trafficPolicy:
    connectionPool:
      tcp: {maxConnections: 100, connectTimeout: 30ms}
      http: {http2MaxRequests: 1000, http1MaxPendingRequests: 7, maxRequestsPerConnection: 10, maxRetries: 3}
    outlierDetection:
      consecutive5xxErrors: 7
      interval: 5m
      baseEjectionTime: 15m
      maxEjectionPercent: 50
      minHealthPercent: 20
    loadBalancer:
      simple: LEAST_REQUEST
      warmup: {duration: 60s, minimumPercent: 5}
    retryBudget: {percent: {value: 20}, minRetryConcurrency: 3}
    portLevelSettings:
    - port: {number: 7070}
      connectionPool: {http: {http2MaxRequests: 64}}
  subsets:
  - name: v1
    labels: {version: v1}
    trafficPolicy:
      loadBalancer: {consistentHash: {httpHeaderName: x-user}}
      outlierDetection: {consecutiveErrors: 3}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: all, namespace: shop}
spec:
  host: '*.shop.svc.cluster.local'
  trafficPolicy: {connectionPool: {tcp: {maxConnections: 9}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: from-web, namespace: shop}
spec:
  host: payments.example.com
  workloadSelector: {matchLabels: {app: web}}
  trafficPolicy: {connectionPool: {tcp: {maxConnections: lots, connectTimeout: 5}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: nothing, namespace: bank}
spec:
  host: '*.bank.svc.cluster.local'
  trafficPolicy: {connectionPool: {tcp: {maxConnections: 9}}}
";
    let found = read(&[("shop.yaml", SHOP), ("rules.yaml", rules)]);
    insta::assert_snapshot!(table(&found), @r##"
shop/cart replicas = 6 | shop.yaml:10 Deployment shop/cart-v1 spec.replicas
shop/cart maxConnections = 100 | rules.yaml:8 DestinationRule shop/cart spec.trafficPolicy.connectionPool.tcp.maxConnections
shop/cart connectTimeout = 30 | rules.yaml:8 DestinationRule shop/cart spec.trafficPolicy.connectionPool.tcp.connectTimeout
shop/cart http2MaxRequests = 1000 | rules.yaml:9 DestinationRule shop/cart spec.trafficPolicy.connectionPool.http.http2MaxRequests
shop/cart http2MaxRequests = 64 [for port 7070] | rules.yaml:22 DestinationRule shop/cart spec.trafficPolicy.portLevelSettings[0].connectionPool.http.http2MaxRequests
shop/cart http1MaxPendingRequests = 7 | rules.yaml:9 DestinationRule shop/cart spec.trafficPolicy.connectionPool.http.http1MaxPendingRequests
shop/cart maxRequestsPerConnection = 10 | rules.yaml:9 DestinationRule shop/cart spec.trafficPolicy.connectionPool.http.maxRequestsPerConnection
shop/cart maxRetries = 3 | rules.yaml:9 DestinationRule shop/cart spec.trafficPolicy.connectionPool.http.maxRetries
shop/cart retryBudget.percent = 20 | rules.yaml:19 DestinationRule shop/cart spec.trafficPolicy.retryBudget.percent.value
shop/cart retryBudget.minRetryConcurrency = 3 | rules.yaml:19 DestinationRule shop/cart spec.trafficPolicy.retryBudget.minRetryConcurrency
shop/cart consecutive5xxErrors = 7 | rules.yaml:11 DestinationRule shop/cart spec.trafficPolicy.outlierDetection.consecutive5xxErrors
shop/cart consecutive5xxErrors = 3 [subset v1] | rules.yaml:28 DestinationRule shop/cart spec.subsets[0].trafficPolicy.outlierDetection.consecutiveErrors
shop/cart interval = 300000 | rules.yaml:12 DestinationRule shop/cart spec.trafficPolicy.outlierDetection.interval
shop/cart baseEjectionTime = 900000 | rules.yaml:13 DestinationRule shop/cart spec.trafficPolicy.outlierDetection.baseEjectionTime
shop/cart maxEjectionPercent = 50 | rules.yaml:14 DestinationRule shop/cart spec.trafficPolicy.outlierDetection.maxEjectionPercent
shop/cart minHealthPercent = 20 | rules.yaml:15 DestinationRule shop/cart spec.trafficPolicy.outlierDetection.minHealthPercent
shop/cart simple = LEAST_REQUEST | rules.yaml:17 DestinationRule shop/cart spec.trafficPolicy.loadBalancer.simple
shop/cart consistentHash = httpHeaderName x-user [subset v1] | rules.yaml:27 DestinationRule shop/cart spec.subsets[0].trafficPolicy.loadBalancer.consistentHash
shop/cart warmup.duration = 60000 | rules.yaml:18 DestinationRule shop/cart spec.trafficPolicy.loadBalancer.warmup.duration
shop/cart warmup.minimumPercent = 5 | rules.yaml:18 DestinationRule shop/cart spec.trafficPolicy.loadBalancer.warmup.minimumPercent
shop/web maxConnections = 9 | rules.yaml:35 DestinationRule shop/all spec.trafficPolicy.connectionPool.tcp.maxConnections
Caution limit_not_read | DestinationRule shop/from-web | rules.yaml, line 43: spec.trafficPolicy.connectionPool.tcp.maxConnections is not a number of 0 or more; it is passed over: mend it
Caution limit_not_read | DestinationRule shop/from-web | rules.yaml, line 43: spec.trafficPolicy.connectionPool.tcp.connectTimeout is not a duration such as 250ms, 1.5s or 1m30s; it is passed over: mend it
Caution limit_without_service | DestinationRule bank/nothing | rules.yaml, line 49: host "*.bank.svc.cluster.local" means no service that these files show and no other rule binds; its limits are passed over: give that service's manifests
"##);
}

#[test]
fn routes_are_read_with_their_callers_and_weights() {
    let routes = "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: shop}
spec:
  hosts: [cart]
  http:
  - match:
    - uri: {prefix: /items}
      sourceLabels: {app: web}
    timeout: 0.5s
    retries: {attempts: 3, perTryTimeout: 150ms, retryOn: 'connect-failure,503'}
    route:
    - destination: {host: cart, subset: v1}
      weight: 90
    - destination: {host: cart, subset: v2}
      weight: 10
  - name: rest
    timeout: 10s
    route:
    - destination: {host: cart}
  - match: [{sourceLabels: {app: gone}}]
    timeout: 1s
    route: [{destination: {host: cart}}]
  tcp:
  - route: [{destination: {host: ''}}]
";
    let found = read(&[("shop.yaml", SHOP), ("routes.yaml", routes)]);
    insta::assert_snapshot!(table(&found), @r##"
shop/cart replicas = 6 | shop.yaml:10 Deployment shop/cart-v1 spec.replicas
shop/web -> shop/cart timeout = 500 [for uri prefix /items] | routes.yaml:10 VirtualService shop/cart spec.http[0].timeout
shop/cart timeout = 10000 [for route rest] | routes.yaml:18 VirtualService shop/cart spec.http[1].timeout
shop/web -> shop/cart retries.attempts = 3 [for uri prefix /items] | routes.yaml:11 VirtualService shop/cart spec.http[0].retries.attempts
shop/web -> shop/cart retries.perTryTimeout = 150 [for uri prefix /items] | routes.yaml:11 VirtualService shop/cart spec.http[0].retries.perTryTimeout
shop/web -> shop/cart retries.retryOn = connect-failure,503 [for uri prefix /items] | routes.yaml:11 VirtualService shop/cart spec.http[0].retries.retryOn
shop/web -> shop/cart weight = 90 [subset v1] [for uri prefix /items] | routes.yaml:14 VirtualService shop/cart spec.http[0].route[0].weight
shop/web -> shop/cart weight = 10 [subset v2] [for uri prefix /items] | routes.yaml:16 VirtualService shop/cart spec.http[0].route[1].weight
Caution limit_without_service | VirtualService shop/cart | routes.yaml, line 21: its labels select callers that are no workloads of these files; its limits are passed over: give those workloads' manifests
Caution limit_without_service | VirtualService shop/cart | routes.yaml, line 25: host "" of a route means no service that these files show; its limits are passed over: give that service's manifests
"##);
}

#[test]
fn envoy_filters_are_read_inbound_and_outbound() {
    let filters = "apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: cart-limit, namespace: shop}
spec:
  workloadSelector: {labels: {app: cart}}
  configPatches:
  - applyTo: HTTP_FILTER
    match: {context: SIDECAR_INBOUND}
    patch:
      operation: INSERT_BEFORE
      value:
        name: envoy.filters.http.local_ratelimit
        typed_config:
          '@type': type.googleapis.com/udpa.type.v1.TypedStruct
          type_url: type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
          value:
            stat_prefix: http_local_rate_limiter
            token_bucket: {max_tokens: 100, tokens_per_fill: 50, fill_interval: 1s}
            descriptors:
            - entries: [{key: path, value: /pay}]
              token_bucket: {max_tokens: 5, fill_interval: 60s}
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: pool, namespace: shop}
spec:
  workloadSelector: {labels: {app: web}}
  configPatches:
  - applyTo: CLUSTER
    match: {context: SIDECAR_OUTBOUND, cluster: {service: cart.shop.svc.cluster.local}}
    patch: {operation: MERGE, value: {circuit_breakers: {thresholds: [{max_requests: 30}, {priority: HIGH, maxRequests: 40}]}}}
  - applyTo: CLUSTER
    match: {context: SIDECAR_OUTBOUND}
    patch: {operation: MERGE, value: {connect_timeout: 2s}}
  - applyTo: CLUSTER
    match: {context: SIDECAR_OUTBOUND}
    patch: {operation: MERGE, value: {preconnect_policy: {per_upstream_preconnect_ratio: 2}}}
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: nobody, namespace: shop}
spec:
  workloadSelector: {labels: {app: gone}}
  configPatches:
  - applyTo: HTTP_FILTER
    patch: {operation: INSERT_BEFORE, value: {typed_config: {token_bucket: {max_tokens: 1}}}}
";
    let found = read(&[("shop.yaml", SHOP), ("filters.yaml", filters)]);
    insta::assert_snapshot!(table(&found), @r##"
shop/cart replicas = 6 | shop.yaml:10 Deployment shop/cart-v1 spec.replicas
shop/web -> shop/cart http2MaxRequests = 30 | filters.yaml:31 EnvoyFilter shop/pool spec.configPatches[0].patch.value.circuit_breakers.thresholds[0].max_requests
shop/web -> shop/cart http2MaxRequests = 40 [for priority HIGH] | filters.yaml:31 EnvoyFilter shop/pool spec.configPatches[0].patch.value.circuit_breakers.thresholds[1].maxRequests
shop/cart token_bucket.max_tokens = 100 | filters.yaml:18 EnvoyFilter shop/cart-limit spec.configPatches[0].patch.value.typed_config.value.token_bucket.max_tokens
shop/cart token_bucket.max_tokens = 5 [for descriptor path=/pay] | filters.yaml:21 EnvoyFilter shop/cart-limit spec.configPatches[0].patch.value.typed_config.value.descriptors[0].token_bucket.max_tokens
shop/cart token_bucket.tokens_per_fill = 50 | filters.yaml:18 EnvoyFilter shop/cart-limit spec.configPatches[0].patch.value.typed_config.value.token_bucket.tokens_per_fill
shop/cart token_bucket.fill_interval = 1000 | filters.yaml:18 EnvoyFilter shop/cart-limit spec.configPatches[0].patch.value.typed_config.value.token_bucket.fill_interval
shop/cart token_bucket.fill_interval = 60000 [for descriptor path=/pay] | filters.yaml:21 EnvoyFilter shop/cart-limit spec.configPatches[0].patch.value.typed_config.value.descriptors[0].token_bucket.fill_interval
Caution limit_without_service | EnvoyFilter shop/pool | filters.yaml, line 32: the patch limits calls without naming whom they go to (match.cluster.service or match.routeConfiguration.vhost.name); its limits are passed over
Caution limit_without_service | EnvoyFilter shop/nobody | filters.yaml, line 45: workloadSelector fits no workload of these files; its limits are passed over: give that workload's manifest
"##);
}

#[test]
fn the_bootstrap_of_an_envoy_is_read() {
    let bootstrap = r#"{
"node": {"id": "web-1", "cluster": "shop/web"},
"static_resources": {
 "listeners": [
  {"name": "inbound", "filter_chains": [{"filters": [{"name": "hcm", "typed_config": {
   "http_filters": [{"name": "limit", "typed_config": {"token_bucket": {"max_tokens": 10, "tokens_per_fill": 5, "fill_interval": "0.5s"}}}],
   "route_config": {"virtual_hosts": [{"routes": [{"match": {"prefix": "/"}, "route": {"timeout": "3s",
     "weighted_clusters": {"clusters": [{"name": "application", "weight": 30}, {"name": "failover", "weight": 70}]}}}]}]}
  }}]}]},
  {"name": "outbound", "filter_chains": [{"filters": [{"typed_config": {
   "route_config": {"virtual_hosts": [{"routes": [
    {"match": {"path": "/pay"}, "route": {"cluster": "shop/cart", "timeout": "0.25s",
     "retry_policy": {"num_retries": 2, "per_try_timeout": "0.1s", "retry_on": "5xx"}},
     "typed_per_filter_config": {"envoy.filters.http.local_ratelimit": {"token_bucket": {"max_tokens": 4}}}}]}]}
  }}]}]}
 ],
 "clusters": [
  {"name": "application", "connect_timeout": "1s", "load_assignment": {"endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 80}}}}]}]},
   "circuit_breakers": {"thresholds": [{"max_requests": 20, "max_pending_requests": 1}]}},
  {"name": "failover"},
  {"name": "shop/cart", "lb_policy": "LEAST_REQUEST", "leastRequestLbConfig": {"slowStartConfig": {"slowStartWindow": "30s"}},
   "circuitBreakers": {"thresholds": [{"maxRequests": 60, "retry_budget": {"budget_percent": {"value": 20}}}]},
   "outlierDetection": {"consecutive_5xx": 5, "baseEjectionTime": "30s"},
   "typed_extension_protocol_options": {"x": {"common_http_protocol_options": {"max_requests_per_connection": 100}}}}
 ]
}}"#;
    let found = read(&[("web.json", bootstrap)]);
    insta::assert_snapshot!(table(&found), @r##"
shop/web -> shop/cart http2MaxRequests = 60 | web.json:22 Envoy web-1 static_resources.clusters[2].circuitBreakers.thresholds[0].maxRequests
shop/web -> shop/cart maxRequestsPerConnection = 100 | web.json:24 Envoy web-1 static_resources.clusters[2].typed_extension_protocol_options.x.common_http_protocol_options.max_requests_per_connection
shop/web -> shop/cart retryBudget.percent = 20 | web.json:22 Envoy web-1 static_resources.clusters[2].circuitBreakers.thresholds[0].retry_budget.budget_percent.value
shop/web -> shop/cart consecutive5xxErrors = 5 | web.json:23 Envoy web-1 static_resources.clusters[2].outlierDetection.consecutive_5xx
shop/web -> shop/cart baseEjectionTime = 30000 | web.json:23 Envoy web-1 static_resources.clusters[2].outlierDetection.baseEjectionTime
shop/web -> shop/cart simple = LEAST_REQUEST | web.json:21 Envoy web-1 static_resources.clusters[2].lb_policy
shop/web -> shop/cart warmup.duration = 30000 | web.json:21 Envoy web-1 static_resources.clusters[2].leastRequestLbConfig.slowStartConfig.slowStartWindow
shop/web -> shop/cart timeout = 250 [for path /pay] | web.json:12 Envoy web-1 static_resources.listeners[1].filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].routes[0].route.timeout
shop/web -> shop/cart retries.attempts = 2 [for path /pay] | web.json:13 Envoy web-1 static_resources.listeners[1].filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].routes[0].route.retry_policy.num_retries
shop/web -> shop/cart retries.perTryTimeout = 100 [for path /pay] | web.json:13 Envoy web-1 static_resources.listeners[1].filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].routes[0].route.retry_policy.per_try_timeout
shop/web -> shop/cart retries.retryOn = 5xx [for path /pay] | web.json:13 Envoy web-1 static_resources.listeners[1].filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].routes[0].route.retry_policy.retry_on
shop/web -> shop/cart token_bucket.max_tokens = 4 | web.json:14 Envoy web-1 static_resources.listeners[1].filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].routes[0].typed_per_filter_config.envoy.filters.http.local_ratelimit.token_bucket.max_tokens
shop/web connectTimeout = 1000 [subset application] | web.json:18 Envoy web-1 static_resources.clusters[0].connect_timeout
shop/web http2MaxRequests = 20 [subset application] | web.json:19 Envoy web-1 static_resources.clusters[0].circuit_breakers.thresholds[0].max_requests
shop/web http1MaxPendingRequests = 1 [subset application] | web.json:19 Envoy web-1 static_resources.clusters[0].circuit_breakers.thresholds[0].max_pending_requests
shop/web timeout = 3000 | web.json:7 Envoy web-1 static_resources.listeners[0].filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].routes[0].route.timeout
shop/web weight = 30 [subset application] | web.json:8 Envoy web-1 static_resources.listeners[0].filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].routes[0].route.weighted_clusters.clusters[0].weight
shop/web weight = 70 [subset failover] | web.json:8 Envoy web-1 static_resources.listeners[0].filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].routes[0].route.weighted_clusters.clusters[1].weight
shop/web token_bucket.max_tokens = 10 | web.json:6 Envoy web-1 static_resources.listeners[0].filter_chains[0].filters[0].typed_config.http_filters[0].typed_config.token_bucket.max_tokens
shop/web token_bucket.tokens_per_fill = 5 | web.json:6 Envoy web-1 static_resources.listeners[0].filter_chains[0].filters[0].typed_config.http_filters[0].typed_config.token_bucket.tokens_per_fill
shop/web token_bucket.fill_interval = 500 | web.json:6 Envoy web-1 static_resources.listeners[0].filter_chains[0].filters[0].typed_config.http_filters[0].typed_config.token_bucket.fill_interval
"##);
    // The same in YAML, without a name of its own.
    let plain = "static_resources:
  clusters:
  - name: cart
    connect_timeout: 250ms
    load_balancing_policy:
      policies:
      - typed_extension_config:
          name: envoy.load_balancing_policies.round_robin
          typed_config: {slow_start_config: {slow_start_window: 5s}}
  listeners:
  - filter_chains:
    - filters:
      - typed_config:
          http_filters:
          - typed_config: {token_bucket: {max_tokens: 4}}
";
    insta::assert_snapshot!(table(&read(&[("envoy.yaml", plain)])), @r##"
cart connectTimeout = 250 | envoy.yaml:4 Envoy without node.id static_resources.clusters[0].connect_timeout
cart simple = ROUND_ROBIN | envoy.yaml:8 Envoy without node.id static_resources.clusters[0].load_balancing_policy.policies[0].typed_extension_config
cart warmup.duration = 5000 | envoy.yaml:9 Envoy without node.id static_resources.clusters[0].load_balancing_policy.policies[0].typed_extension_config.typed_config.slow_start_config.slow_start_window
Caution limit_without_service | Envoy without node.id | envoy.yaml, line 15: token buckets of a listener whose routes and node.cluster name no service; they are passed over
"##);
}

#[test]
fn what_cannot_be_read_is_an_error_where_it_was_named() {
    let refuse = |file: &str, text: &str| parse_limits(&[(file, text.as_bytes())]).unwrap_err();
    let mut errors = String::new();
    for (file, text) in [
        (
            "deploy.yaml",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {{ .Release.Name }}\n",
        ),
        ("notes.yaml", "a: 1\n"),
        ("empty.yaml", ""),
        ("broken.yaml", "kind: Deployment\nmetadata: [\n"),
        ("envoy.yaml", "static_resources:\n  clusters: [\n"),
        ("traces.json", "[[{\"traceId\": \"1\"}]]"),
    ] {
        writeln!(errors, "{}", refuse(file, text)).unwrap();
    }
    insta::assert_snapshot!(errors, @r##"
deploy.yaml, line 4: this is Helm template text (name: {{ .Release.Name }}), not YAML; render it first: `helm template RELEASE CHART > manifests.yaml`, and give that file
notes.yaml: no manifest and no Envoy bootstrap was recognised; give rendered Kubernetes, Istio or KEDA manifests (YAML or JSON) or the bootstrap of an Envoy
empty.yaml: no manifest and no Envoy bootstrap was recognised; give rendered Kubernetes, Istio or KEDA manifests (YAML or JSON) or the bootstrap of an Envoy
broken.yaml, line 2, column 11: not YAML: unclosed bracket '['; mend the document
envoy.yaml, line 2, column 13: not YAML: unclosed bracket '['; mend the document
traces.json: no manifest and no Envoy bootstrap was recognised; give rendered Kubernetes, Istio or KEDA manifests (YAML or JSON) or the bootstrap of an Envoy
"##);
    let found = read(&[("shop.yaml", "kind: Service\nmetadata: {name: a}\n")]);
    insta::assert_snapshot!(table(&found), @"Note limits_none_set | shop.yaml | the manifests set none of the limits that are read: the mesh's own defaults apply");
    assert_eq!(found.value.services.len(), 1);
}

#[test]
fn folders_are_read_and_what_is_no_manifest_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("shop.yaml"), SHOP).unwrap();
    std::fs::write(
        folder.path().join("chart.yaml"),
        "kind: Deployment\nmetadata:\n  name: {{ .x }}\n",
    )
    .unwrap();
    std::fs::write(folder.path().join("traces.json"), "[{\"traceId\": \"1\"}]").unwrap();
    std::fs::write(folder.path().join("README.md"), "kind: Deployment").unwrap();
    let found = read_limits(&[folder.path().into()]).unwrap();
    assert_eq!(found.value.values.len(), 1);
    assert_eq!(found.value.values[0].number(), Some(6.0));
    let codes: Vec<&str> = found.warnings.iter().map(|w| w.code.as_str()).collect();
    assert_eq!(codes, ["limits_source_skipped"]);
    assert!(read_limits(&["/nowhere".into()]).is_err());
}
