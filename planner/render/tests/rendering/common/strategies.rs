//! Settings drawn at random, within what the renderer accepts: odd names, every protocol, balancer and proxy mode, callers in other
//! namespaces, entries with and without zones, failover and ramp.

use std::collections::BTreeMap;

use foremesh_model::{
    CallerLimits, ConnectionSettings, Criticality, EdgeName, EdgeSettings, EntrySettings,
    LoadBalancing, LocalityWeight, OutlierEjection, Protocol, ProxyMode, RampStage, RateLimit,
    Retries, Schedule, ServiceNeeds, ServiceSettings, Settings, Slo, StatefulSettings, WarmUp,
    quantise,
};
use proptest::prelude::*;

const NAMES: [&str; 6] = [
    "shop/cart",
    "shop/frontend",
    "ads/ranker",
    "search",
    "a/b-c-9",
    "shop/no",
];
const ZONES: [&str; 4] = ["UTC", "Europe/Paris", "Asia/Kolkata", "America/St_Johns"];
const CONDITIONS: [&str; 4] = ["connect-failure", "refused-stream", "unavailable", "503"];

fn limits() -> impl Strategy<Value = CallerLimits> {
    (1u32..5000, 0u32..500, 1u32..5000, 0u32..50, 1u32..9).prop_map(
        |(
            max_connections,
            max_pending_requests,
            max_concurrent_requests,
            max_concurrent_retries,
            callers,
        )| CallerLimits {
            max_connections,
            max_pending_requests,
            max_concurrent_requests,
            max_concurrent_retries,
            fewest_caller_proxies: callers,
            most_caller_proxies: callers * 3,
            needed_concurrent_requests: max_concurrent_requests / 2 + 1,
        },
    )
}

fn schedule() -> impl Strategy<Value = Schedule> {
    prop::collection::vec(0u32..40, 1..30).prop_map(|hours| Schedule::from_hours(&hours))
}

fn balancing() -> impl Strategy<Value = LoadBalancing> {
    prop::sample::select(vec![
        LoadBalancing::LeastRequest,
        LoadBalancing::RoundRobin,
        LoadBalancing::Random,
        LoadBalancing::RingHash,
        LoadBalancing::Maglev,
    ])
}

fn service(modes: Vec<ProxyMode>) -> impl Strategy<Value = ServiceSettings> {
    let traffic = (
        prop::sample::select(vec![
            Protocol::Http,
            Protocol::Http2,
            Protocol::Grpc,
            Protocol::Tcp,
        ]),
        prop::sample::select(vec![
            Criticality::Deferrable,
            Criticality::Standard,
            Criticality::Critical,
        ]),
        prop::sample::select(modes),
        balancing(),
        1u16..9000,
    );
    let sizes = (
        schedule(),
        0u32..5,
        0.01f64..1e5,
        0u32..5000,
        1u32..500,
        0u32..500,
    );
    let ejection = (1u32..30, 1u32..60, 1u32..600, 0u32..=99, 0u32..=100);
    let warm_up = (0u32..900, 0u32..=100, 1.0f64..5.0, 1.0f64..=3.0);
    (traffic, sizes, ejection, warm_up).prop_map(|(traffic, sizes, ejection, warm_up)| {
        ServiceSettings {
            protocol: traffic.0,
            port: traffic.4,
            criticality: traffic.1,
            needs: ServiceNeeds {
                demand_rps: sizes.2,
                concurrent_requests: sizes.4,
                instances: sizes.0.clone(),
            },
            instances: sizes.0,
            standby_instances: sizes.1,
            autoscaling: None,
            rate_limit: RateLimit {
                requests_per_second: quantise(sizes.2),
                burst: sizes.3,
            },
            max_concurrent_requests: sizes.4,
            max_pending_requests: sizes.5,
            outlier_ejection: OutlierEjection {
                consecutive_errors: ejection.0,
                interval_s: ejection.1,
                base_ejection_s: ejection.2,
                max_ejection_percent: ejection.3,
                min_health_percent: ejection.4,
            },
            load_balancing: traffic.3,
            warm_up: WarmUp {
                duration_s: warm_up.0,
                minimum_percent: warm_up.1,
                aggression: warm_up.2,
            },
            preconnect_ratio: (warm_up.3 * 10.0).round() / 10.0,
            proxy_mode: traffic.2,
        }
    })
}

fn edge() -> impl Strategy<Value = EdgeSettings> {
    let retries = (
        0u32..4,
        prop::sample::subsequence(CONDITIONS.to_vec(), 0..=CONDITIONS.len()),
        0.0f64..=100.0,
        0u32..10,
        0u32..100,
    );
    (1u32..10_000, 0.0f64..=1.0, retries, limits()).prop_map(
        |(timeout_ms, share, retries, caller_limits)| EdgeSettings {
            timeout_ms,
            per_try_timeout_ms: ((f64::from(timeout_ms) * share) as u32).max(1),
            retries: Retries {
                attempts: retries.0,
                retry_on: retries.1.into_iter().map(str::to_owned).collect(),
                budget_percent: retries.2,
                budget_min_concurrent: retries.3,
                base_backoff_ms: retries.4,
            },
            caller_limits,
        },
    )
}

fn entry() -> impl Strategy<Value = EntrySettings> {
    let localities = prop_oneof![
        Just(Vec::new()),
        (1u32..100).prop_map(|first| vec![("eu-west-3/a", first), ("eu-west-3/b", 100 - first)]),
        Just(vec![
            ("eu-west-3/a", 34),
            ("eu-west-3/b", 33),
            ("eu-west-3/c", 33)
        ]),
    ];
    let failover = prop::sample::subsequence(vec!["eu-west-1", "eu-central-1"], 0..=2);
    (1u32..10_000, limits(), localities, failover).prop_map(
        |(timeout_ms, gateway_limits, localities, failover)| EntrySettings {
            slo: Slo::default(),
            timeout_ms,
            gateway_limits,
            localities: localities
                .into_iter()
                .map(|(locality, percent)| LocalityWeight {
                    locality: locality.into(),
                    percent,
                })
                .collect(),
            failover: failover
                .into_iter()
                .map(|region| region.parse().unwrap())
                .collect(),
        },
    )
}

/// Services that keep state, by an index into their names.
const STATEFUL_NAMES: [&str; 3] = ["shop/orders-db", "queue", "b/search"];

fn stateful() -> impl Strategy<Value = StatefulSettings> {
    (
        prop::sample::select(vec![Protocol::Tcp, Protocol::Http, Protocol::Grpc]),
        1u16..9000,
        prop::option::of(0u32..9),
        prop::option::of(1u32..5000),
    )
        .prop_map(
            |(protocol, port, instances, max_connections)| StatefulSettings {
                protocol,
                port,
                criticality: Criticality::Critical,
                instances,
                max_connections,
                proxy_mode: ProxyMode::Sidecar,
            },
        )
}

fn connection() -> impl Strategy<Value = ConnectionSettings> {
    (1u32..10_000, 1u32..100_000, prop::option::of(1u32..5000)).prop_map(
        |(connect_timeout_ms, idle_timeout_s, max_connections)| ConnectionSettings {
            connect_timeout_ms,
            idle_timeout_s,
            max_connections,
            most_caller_proxies: 3,
        },
    )
}

/// Settings with proxies of the given modes.
pub fn settings(modes: Vec<ProxyMode>) -> impl Strategy<Value = Settings> {
    let services = prop::collection::btree_map(
        prop::sample::select(NAMES.to_vec()),
        service(modes),
        1..=NAMES.len(),
    );
    let pairs = prop::collection::btree_map((0usize..6, 0usize..6), edge(), 0..8);
    let entries = prop::collection::btree_map(0usize..6, entry(), 0..3);
    let ramp = prop::sample::subsequence(vec![0u32, 10, 50, 100], 0..=4);
    let stateful = (
        prop::collection::btree_map(0usize..3, stateful(), 0..3),
        prop::collection::btree_map((0usize..6, 0usize..3), connection(), 0..5),
    );
    (
        stateful,
        services,
        pairs,
        entries,
        ramp,
        prop::sample::select(ZONES.to_vec()),
        0i64..400,
    )
        .prop_map(
            |(stateful, services, pairs, entries, ramp, timezone, days)| {
                let stateful_services: BTreeMap<usize, StatefulSettings> = stateful.0;
                let services: BTreeMap<_, _> = services
                    .into_iter()
                    .map(|(name, service)| (name.parse().unwrap(), service))
                    .collect();
                let name = |index: usize| {
                    services
                        .keys()
                        .nth(index % services.len())
                        .cloned()
                        .unwrap()
                };
                Settings {
                    format_version: 1,
                    region: "eu-west-3".parse().unwrap(),
                    timezone: timezone.into(),
                    starts: jiff::Timestamp::from_second(1_790_000_000 + days * 86_400).unwrap(),
                    horizon_hours: 30,
                    edges: pairs
                        .into_iter()
                        .map(|((caller, callee), edge)| {
                            (EdgeName::new(name(caller), name(callee)), edge)
                        })
                        .collect(),
                    connections: stateful
                        .1
                        .into_iter()
                        .filter(|((_, callee), _)| stateful_services.contains_key(callee))
                        .map(|((caller, callee), connection)| {
                            let callee = STATEFUL_NAMES[callee].parse().unwrap();
                            (EdgeName::new(name(caller), callee), connection)
                        })
                        .collect(),
                    stateful_services: stateful_services
                        .into_iter()
                        .map(|(index, service)| (STATEFUL_NAMES[index].parse().unwrap(), service))
                        .collect(),
                    entries: entries
                        .into_iter()
                        .map(|(index, entry)| (name(index), entry))
                        .collect(),
                    ramp: ramp
                        .into_iter()
                        .zip(1..)
                        .map(|(percent, stage)| RampStage {
                            stage,
                            percent,
                            starts_minute: stage * 30,
                        })
                        .collect(),
                    services,
                }
            },
        )
}
