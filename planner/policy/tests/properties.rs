//! Whatever the graph, the demand and the objectives: a plan never panics, keeps every guard, explains every value and is the
//! same twice. So it is with an autoscaler, and whatever a learned policy says.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use foremesh_model::{
    Capacity, Criticality, Demand, Edge, EntryDemand, GraphError, PolicyKind, ProfileRequest,
    Protocol, ScalingKind, Schedule, Service, ServiceGraph, Slo,
    random::{mix, uniform},
};
use foremesh_policy::{
    Networks, PolicyError, PolicyInput, PolicyOutput,
    gnn::{ACTIONS, Network, NetworkError, States},
    guards, paths, plan, plan_with,
};
use proptest::prelude::*;

fn capacities() -> impl Strategy<Value = Capacity> {
    (
        proptest::option::of(0.01f64..3000.0),
        proptest::option::of(0.0f64..20.0),
        proptest::option::of(1u32..600),
        proptest::option::of(0.05f64..50_000.0),
        (0.0f64..2000.0, 0.0f64..2000.0),
        proptest::option::of(0u32..5),
        proptest::option::of(5u32..400),
        any::<Option<bool>>(),
    )
        .prop_map(
            |(time, cv2, concurrency, rps, (startup, warm), min, max, affinity)| Capacity {
                service_time_mean_ms: time,
                service_time_cv2: cv2,
                concurrency,
                capacity_rps: rps,
                startup_s: Some(startup),
                warm_up_s: Some(warm),
                instance_cost_per_hour: Some(startup / 1000.0),
                min_instances: min,
                max_instances: max,
                cache_affinity: affinity,
                max_connections: max,
                response_bytes: None,
            },
        )
}

fn services(n: usize) -> impl Strategy<Value = Vec<Service>> {
    let state = (any::<Option<bool>>(), proptest::option::of(0u32..9));
    proptest::collection::vec((capacities(), 0u8..4, 0u8..3, any::<bool>(), state), n).prop_map(
        |all| {
            all.into_iter()
                .enumerate()
                .map(
                    |(i, (capacity, protocol, criticality, port, (stateful, instances)))| Service {
                        capacity,
                        // Most keep none, so that most of a graph is planned.
                        stateful: stateful.or((i % 2 == 0).then_some(false)),
                        instances,
                        protocol: [
                            Protocol::Http,
                            Protocol::Http2,
                            Protocol::Grpc,
                            Protocol::Tcp,
                        ][protocol as usize],
                        criticality: [
                            Criticality::Deferrable,
                            Criticality::Standard,
                            Criticality::Critical,
                        ][criticality as usize],
                        port: port.then_some(9000),
                        ..Service::named(name(&format!("ns/s{i}")))
                    },
                )
                .collect()
        },
    )
}

fn edges(n: usize) -> impl Strategy<Value = Vec<Edge>> {
    proptest::collection::btree_map(
        (0..n, 0..n),
        (
            proptest::option::of(0.0f64..2.5),
            proptest::option::of(0.0f64..400.0),
            proptest::option::of(0.0f64..900.0),
            proptest::option::of(0.0f64..0.6),
            any::<Option<bool>>(),
        ),
        0..3 * n,
    )
    .prop_map(|all| {
        all.into_iter()
            .map(|((a, b), (fan_out, p50, p99, errors, sequential))| Edge {
                // Calls back are rare enough for most circles to settle.
                fan_out: if b <= a {
                    Some(fan_out.unwrap_or(0.5) * 0.2)
                } else {
                    fan_out
                },
                latency_p50_ms: p50,
                latency_p99_ms: p99,
                error_rate: errors,
                sequential,
                ..Edge::between(name(&format!("ns/s{a}")), name(&format!("ns/s{b}")))
            })
            .collect()
    })
}

fn entries(n: usize) -> impl Strategy<Value = Vec<(usize, EntryDemand)>> {
    proptest::collection::vec(
        (
            0..n,
            0.0f64..20_000.0,
            0.0f64..1.5,
            1.0f64..5.0,
            0.5f64..60.0,
            -1.0f64..1.0,
        ),
        1..4,
    )
    .prop_map(|all| {
        all.into_iter()
            .map(|(i, level, spread, peak, dispersion, loading)| {
                let mut entry = entry(level, spread, 30);
                entry.peak_to_mean = peak;
                entry.dispersion = dispersion;
                entry.common_loading = loading;
                (i, entry)
            })
            .collect()
    })
}

fn requests() -> impl Strategy<Value = ProfileRequest> {
    (
        0.01f64..5000.0,
        50.0f64..99.99,
        0.0f64..0.99999,
        proptest::collection::btree_map("[a-c]/z[0-9]", 0u32..100, 0..5),
        proptest::collection::vec(0u32..200, 0..4),
        proptest::option::of(0u32..50),
        prop_oneof![
            2 => Just((PolicyKind::Analytic, ScalingKind::Scheduled)),
            2 => Just((PolicyKind::Search, ScalingKind::Scheduled)),
            1 => Just((PolicyKind::Analytic, ScalingKind::TargetTracking)),
            1 => Just((PolicyKind::Search, ScalingKind::TargetTracking)),
            2 => Just((PolicyKind::Gnn, ScalingKind::TargetTracking)),
        ],
    )
        .prop_map(
            |(
                latency_ms,
                percentile,
                availability,
                localities,
                ramp_percent,
                gateway_proxies,
                (policy, scaling),
            )| {
                ProfileRequest {
                    policy,
                    scaling,
                    search_windows: Some(0),
                    prove_faults: Some(0),
                    slo: Slo {
                        latency_ms,
                        percentile,
                        availability,
                    },
                    localities,
                    ramp_percent,
                    gateway_proxies,
                    ..ProfileRequest::default()
                }
            },
        )
}

#[derive(Debug, Clone)]
struct Case {
    graph: ServiceGraph,
    demand: Demand,
    request: ProfileRequest,
    says: Says,
}

/// Says anything of each service, bold and timid.
#[derive(Debug, Clone, Copy)]
struct Says {
    seed: u64,
    most: f64,
}

impl Network for Says {
    fn answer(&self, states: &States) -> Result<Vec<f32>, NetworkError> {
        let places = 0..(states.services * ACTIONS) as u64;
        let drawn = places.map(|place| uniform(mix(self.seed, place)) - 0.5);
        Ok(drawn.map(|drawn| (self.most * drawn) as f32).collect())
    }
}

fn says() -> impl Strategy<Value = Says> {
    let most = prop_oneof![Just(0.0), Just(2.0), Just(10.0), Just(1e30)];
    (any::<u64>(), most).prop_map(|(seed, most)| Says { seed, most })
}

fn cases() -> impl Strategy<Value = Case> {
    (1usize..10)
        .prop_flat_map(|n| (services(n), edges(n), entries(n), requests(), says()))
        .prop_map(|(services, edges, entries, request, says)| {
            let names: Vec<String> = services.iter().map(|s| s.name.to_string()).collect();
            let entries = entries
                .into_iter()
                .map(|(i, entry)| (names[i].as_str(), entry))
                .collect();
            Case {
                demand: demand(entries),
                graph: ServiceGraph::new(services, edges).unwrap(),
                request,
                says,
            }
        })
}

fn plan_of(case: &Case) -> Result<PolicyOutput, PolicyError> {
    let input = PolicyInput {
        graph: &case.graph,
        demand: &case.demand,
        request: &case.request,
    };
    let networks = Networks {
        policy: Some(&case.says),
        refinement: None,
    };
    plan_with(&input, networks)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_global_rejects: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn any_plan_is_safe_explained_and_the_same_twice(case in cases()) {
        let output = match plan_of(&case) {
            Err(PolicyError::Graph(GraphError::Explosive { .. })) => return Err(TestCaseError::reject("calls feed on themselves")),
            other => other.unwrap(),
        };
        prop_assert_eq!(guards::check(&output.settings), []);
        let explained: Vec<&String> = output.reasons.keys().collect();
        let mut set = paths(&output.settings);
        set.sort();
        prop_assert_eq!(explained, set.iter().collect::<Vec<_>>());
        for (path, reason) in &output.reasons {
            prop_assert!(!reason.text.is_empty() && !reason.text.contains("NaN") && !reason.text.contains("inf"), "{}: {}", path, reason.text);
            prop_assert!(reason.inputs.values().all(|v| v.is_finite()), "{}: {:?}", path, reason.inputs);
        }
        let json = serde_json::to_string(&output).unwrap();
        prop_assert!(!json.contains("null"), "a number is not finite");
        prop_assert_eq!(&serde_json::to_string(&plan_of(&case).unwrap()).unwrap(), &json);
        for (name, service) in &output.settings.services {
            let capacity = &case.graph.service(name).unwrap().capacity;
            prop_assert!(service.instances.fewest() >= capacity.min_instances().max(1));
            prop_assert!(service.most_instances() <= capacity.max_instances().max(capacity.min_instances()));
            let kpi = &output.kpis.services[name];
            let bounded = output.warnings.iter().any(|w| w.code == "max_instances_reached" && w.subject == name.as_str());
            // The limit lets the demand of the highest hour through, unless the maximum forbids it, which is said.
            let most = match service.autoscaling {
                Some(_) => service.most_instances(),
                None => service.instances.most(),
            };
            let admitted = service.rate_limit.requests_per_second * f64::from(most);
            prop_assert!(bounded || admitted >= kpi.demand_p99_rps * (1.0 - 1e-9), "{}: {} {}", name, admitted, kpi.demand_p99_rps);
            prop_assert!(!bounded || !output.kpis.holds);
        }
        for (name, entry) in &output.kpis.entries {
            prop_assert!(entry.holds || output.warnings.iter().any(|w| w.subject == name.as_str() && w.code.ends_with("missed") || w.code == "objective_below_service_time"), "{name}");
        }
    }

    #[test]
    fn every_hour_of_a_schedule_passes_its_own_demand(mut case in cases()) {
        // What a schedule beside an autoscaler leaves to it is not in the hour's needs.
        case.request.scaling = ScalingKind::Scheduled;
        if case.request.policy == PolicyKind::Gnn {
            case.request.policy = PolicyKind::Analytic;
        }
        let Ok(output) = plan_of(&case) else { return Err(TestCaseError::reject("calls feed on themselves")) };
        let requirements = foremesh_policy::Requirements::of(&case.graph, &case.demand, &case.request).unwrap();
        for (name, service) in &output.settings.services {
            if output.warnings.iter().any(|w| w.code == "max_instances_reached" && w.subject == name.as_str()) {
                continue;
            }
            for row in requirements.service(name) {
                let needed = service.needs.instances.at(row.hour);
                let admitted = f64::from(needed) * service.rate_limit.requests_per_second;
                prop_assert!(admitted >= row.demand_p99_rps * (1.0 - 1e-9), "{} hour {}: {} admitted, {} asked", name, row.hour, admitted, row.demand_p99_rps);
                if case.request.policy == PolicyKind::Analytic {
                    prop_assert_eq!(needed, row.instances);
                }
            }
        }
        for (edge, connection) in &output.settings.connections {
            let callee = case.graph.service(edge.callee()).unwrap();
            prop_assert!(callee.is_stateful());
            prop_assert_eq!(connection.max_connections.is_some(), callee.capacity.max_connections.is_some());
        }
        for (edge, settings) in &output.settings.edges {
            prop_assert!(!case.graph.service(edge.callee()).unwrap().is_stateful());
            let Some(caller) = output.settings.services.get(edge.caller()) else { continue };
            for row in &requirements.edges[edge] {
                // All proxies of the hour, and one of them lost.
                let all = caller.instances.at(row.hour) + caller.standby_instances;
                for proxies in [all, all - 1] {
                    let asked = row.concurrent_of_one(proxies);
                    prop_assert!(settings.caller_limits.max_concurrent_requests >= asked, "{} hour {}: {:?} < {}", edge, row.hour, settings.caller_limits, asked);
                }
            }
        }
    }
}

#[test]
fn guards_find_what_is_broken() {
    let (graph, demand, request) = (shop(), shop_demand(1.0), request());
    let settings = plan(&PolicyInput {
        graph: &graph,
        demand: &demand,
        request: &request,
    })
    .unwrap()
    .settings;
    let cart = name("shop/cart");
    type Break<'a> = (&'a str, Box<dyn Fn(&mut foremesh_model::Settings) + 'a>);
    let breaks: Vec<Break<'_>> = vec![
        (
            "instances_meet_needs",
            Box::new(|s| s.services.get_mut(&cart).unwrap().instances = Schedule::from_hours(&[1])),
        ),
        (
            "rate_limit_passes_demand",
            Box::new(|s| {
                s.services
                    .get_mut(&cart)
                    .unwrap()
                    .rate_limit
                    .requests_per_second = 100.0
            }),
        ),
        (
            "burst_passes_a_second",
            Box::new(|s| s.services.get_mut(&cart).unwrap().rate_limit.burst = 10),
        ),
        (
            "concurrency_passes_demand",
            Box::new(|s| s.services.get_mut(&cart).unwrap().max_concurrent_requests = 2),
        ),
        (
            "ejection_leaves_some",
            Box::new(|s| {
                s.services
                    .get_mut(&cart)
                    .unwrap()
                    .outlier_ejection
                    .max_ejection_percent = 100
            }),
        ),
        (
            "attempt_inside_timeout",
            Box::new(|s| s.edges.values_mut().next().unwrap().per_try_timeout_ms = 60_000),
        ),
        (
            "callee_inside_caller",
            Box::new(|s| s.edges.values_mut().for_each(|e| e.timeout_ms = 60_000)),
        ),
        (
            "attempts_inside_timeout",
            Box::new(|s| s.edges.values_mut().for_each(|e| e.retries.attempts = 3)),
        ),
        (
            "amplification_bounded",
            Box::new(|s| {
                s.edges.values_mut().for_each(|e| {
                    e.retries.attempts = 3;
                    e.retries.budget_percent = 50.0;
                })
            }),
        ),
        (
            "retries_have_conditions",
            Box::new(|s| s.edges.values_mut().for_each(|e| e.retries.attempts = 1)),
        ),
        (
            "caller_limit_passes_demand",
            Box::new(|s| {
                s.edges
                    .values_mut()
                    .for_each(|e| e.caller_limits.max_concurrent_requests = 1)
            }),
        ),
        (
            "limits_of_the_fewest_callers",
            Box::new(|s| {
                s.edges
                    .values_mut()
                    .for_each(|e| e.caller_limits.fewest_caller_proxies = 1000)
            }),
        ),
        (
            "limits_of_the_most_callers",
            Box::new(|s| {
                s.edges
                    .values_mut()
                    .for_each(|e| e.caller_limits.most_caller_proxies = 1)
            }),
        ),
        (
            "weights_sum_to_100",
            Box::new(|s| {
                s.entries.values_mut().for_each(|e| {
                    e.localities = vec![foremesh_model::LocalityWeight {
                        locality: "a/b".into(),
                        percent: 90,
                    }]
                })
            }),
        ),
        (
            "ramp_rises_to_100",
            Box::new(|s| {
                s.ramp.pop();
            }),
        ),
    ];
    for (invariant, damage) in breaks {
        let mut settings = settings.clone();
        damage(&mut settings);
        let found = guards::check(&settings);
        assert!(
            found.iter().any(|v| v.invariant == invariant),
            "{invariant}: {found:?}"
        );
    }
    // Retries around a circle multiply without end, however small the budget.
    let mut settings = settings;
    let back = foremesh_model::EdgeName::new(name("shop/db"), name("shop/cart"));
    let mut edge = settings.edges.values().next().unwrap().clone();
    edge.timeout_ms = 1;
    edge.per_try_timeout_ms = 1;
    settings.edges.insert(back, edge);
    settings.edges.values_mut().for_each(|e| {
        e.retries.attempts = 1;
        e.retries.budget_percent = 1.0;
    });
    assert!(
        guards::check(&settings)
            .iter()
            .any(|v| v.invariant == "no_retries_in_a_circle")
    );
}
