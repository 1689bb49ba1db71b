//! Graphs and demands for the tests and the speed example: small ones by hand, large ones from a seed.
#![allow(dead_code)]

use std::collections::BTreeMap;

use foremesh_model::{
    Capacity, Demand, Dependence, Edge, EntryDemand, ProfileRequest, QUANTILE_LEVELS, RegionName,
    Service, ServiceGraph, ServiceName, Timestamp,
};

pub fn name(name: &str) -> ServiceName {
    ServiceName::new(name).unwrap()
}

/// Quantiles around a level that follows the hour of the day, spread by `spread` on each side.
pub fn entry(level_rps: f64, spread: f64, hours: usize) -> EntryDemand {
    let scores = [
        -2.326, -1.645, -1.282, -0.842, -0.524, -0.253, 0.0, 0.253, 0.524, 0.842, 1.282, 1.645,
        2.326, 3.09,
    ];
    EntryDemand {
        quantiles_rps: (0..hours)
            .map(|hour| {
                let day = (hour as f64 / 24.0 * std::f64::consts::TAU).sin();
                let median = level_rps * (1.0 + 0.5 * day);
                scores[..QUANTILE_LEVELS.len()]
                    .iter()
                    .map(|z| median * (spread * z).exp())
                    .collect()
            })
            .collect(),
        peak_to_mean: 1.2,
        dispersion: 1.5,
        common_loading: 0.6,
    }
}

pub fn demand(entries: Vec<(&str, EntryDemand)>) -> Demand {
    Demand {
        region: RegionName::new("eu-west-3").unwrap(),
        timezone: "Europe/Paris".into(),
        as_of: Timestamp::UNIX_EPOCH,
        starts: Timestamp::from_second(864_000).unwrap(),
        step_s: 3600,
        entries: entries.into_iter().map(|(n, e)| (name(n), e)).collect(),
        dependence: Dependence {
            autocorrelation: 0.8,
        },
        seed: 7,
        method: "test".into(),
    }
    .canonical()
}

pub fn service(n: &str, service_time_ms: f64, concurrency: u32) -> Service {
    Service {
        port: Some(8080),
        capacity: Capacity {
            service_time_mean_ms: Some(service_time_ms),
            concurrency: Some(concurrency),
            ..Capacity::default()
        },
        ..Service::named(name(n))
    }
}

pub fn edge(caller: &str, callee: &str, fan_out: f64) -> Edge {
    Edge {
        fan_out: Some(fan_out),
        ..Edge::between(name(caller), name(callee))
    }
}

/// A small shop: two entries, a shared cart, a slow database behind it.
pub fn shop() -> ServiceGraph {
    ServiceGraph::new(
        vec![
            service("shop/web", 8.0, 16),
            service("shop/api", 5.0, 16),
            service("shop/cart", 12.0, 8),
            service("shop/catalogue", 6.0, 8),
            service("shop/db", 4.0, 32),
        ],
        vec![
            edge("shop/web", "shop/cart", 0.5),
            edge("shop/web", "shop/catalogue", 3.0),
            edge("shop/api", "shop/cart", 1.0),
            edge("shop/cart", "shop/db", 2.0),
            edge("shop/catalogue", "shop/db", 0.3),
        ],
    )
    .unwrap()
}

pub fn shop_demand(scale: f64) -> Demand {
    demand(vec![
        ("shop/web", entry(800.0 * scale, 0.2, 72)),
        ("shop/api", entry(300.0 * scale, 0.25, 72)),
    ])
}

/// A layered graph of `n` services of which the first tenth are entries; each calls up to three of later layers.
pub fn layered(n: usize) -> (ServiceGraph, Demand) {
    let mut state = 42u64;
    let mut next = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let names: Vec<String> = (0..n).map(|i| format!("ns/s{i:03}")).collect();
    let services = names
        .iter()
        .map(|n| service(n, 2.0 + (next() % 20) as f64, 4 + (next() % 28) as u32))
        .collect();
    let mut edges = BTreeMap::new();
    for i in 0..n {
        for _ in 0..2 {
            let callee = i + 1 + next() % (n / 5).max(1);
            if callee < n {
                edges.entry((i, callee)).or_insert_with(|| {
                    edge(&names[i], &names[callee], 0.2 + 0.1 * (next() % 5) as f64)
                });
            }
        }
    }
    let graph = ServiceGraph::new(services, edges.into_values().collect()).unwrap();
    let entries = (n / 10).max(1);
    let demand = demand(
        (0..entries)
            .map(|i| {
                (
                    names[i].as_str(),
                    entry(50.0 + (next() % 500) as f64, 0.2, 72),
                )
            })
            .collect(),
    );
    (graph, demand)
}

pub fn request() -> ProfileRequest {
    ProfileRequest::default()
}
