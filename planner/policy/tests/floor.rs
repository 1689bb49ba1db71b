//! What the floor decides in cases whose answer is known.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use foremesh_model::{
    Capacity, Criticality, Demand, Edge, EdgeName, LoadBalancing, ProfileRequest, Protocol,
    Service, ServiceGraph, Severity, Slo,
};
use foremesh_policy::{PolicyError, PolicyInput, PolicyOutput, Requirements, guards, plan};

fn planned(graph: &ServiceGraph, demand: &Demand, request: &ProfileRequest) -> PolicyOutput {
    let output = plan(&PolicyInput {
        graph,
        demand,
        request,
    })
    .unwrap();
    assert_eq!(guards::check(&output.settings), []);
    output
}

fn has(output: &PolicyOutput, severity: Severity, code: &str, words: &str) {
    assert!(
        output
            .warnings
            .iter()
            .any(|w| w.severity == severity && w.code == code && w.text.contains(words)),
        "{code} with {words:?} is not among {:#?}",
        output.warnings
    );
}

#[test]
fn a_service_with_one_entry_gets_exactly_its_quantile() {
    let graph = ServiceGraph::new(
        vec![service("a/in", 10.0, 8), service("a/out", 10.0, 8)],
        vec![edge("a/in", "a/out", 2.5)],
    )
    .unwrap();
    let demand = demand(vec![("a/in", entry(400.0, 0.3, 24))]);
    let output = planned(&graph, &demand, &request());
    let highest = (0..24)
        .map(|h| demand.entries[&name("a/in")].at_level(h, 0.99) * 1.2)
        .fold(0.0, f64::max);
    for (service, factor) in [("a/in", 1.0), ("a/out", 2.5)] {
        let kpi = &output.kpis.services[&name(service)];
        assert!(
            (kpi.demand_p99_rps / (factor * highest) - 1.0).abs() < 0.005,
            "{service}: {} {}",
            kpi.demand_p99_rps,
            factor * highest
        );
    }
}

#[test]
fn what_entries_share_is_joint_and_not_the_sum_of_their_quantiles() {
    let entries = 6;
    let names: Vec<String> = (0..entries).map(|i| format!("a/e{i}")).collect();
    let mut services: Vec<Service> = names.iter().map(|n| service(n, 5.0, 16)).collect();
    services.push(service("a/shared", 5.0, 16));
    let edges = names.iter().map(|n| edge(n, "a/shared", 1.0)).collect();
    let graph = ServiceGraph::new(services, edges).unwrap();
    let shared = |loading: f64| {
        let demand = demand(
            names
                .iter()
                .map(|n| {
                    let mut entry = entry(200.0, 0.4, 12);
                    entry.common_loading = loading;
                    entry.peak_to_mean = 1.0;
                    (n.as_str(), entry)
                })
                .collect(),
        );
        let rows = Requirements::of(&graph, &demand, &request()).unwrap();
        let sum: f64 = demand.entries.values().map(|e| e.at_level(6, 0.99)).sum();
        rows.service(&name("a/shared"))[6].demand_p99_rps / sum
    };
    assert!((shared(1.0) - 1.0).abs() < 0.01, "{}", shared(1.0));
    // Six independent log-normals of spread 0.4: mean 1.083 and deviation 0.452 each; the sum's 0.99 quantile is about
    // 1.083·6 + 2.5·0.452·√6 = 9.3 of 6·2.53 = 15.2.
    assert!((0.55..0.68).contains(&shared(0.0)), "{}", shared(0.0));
    assert!(shared(0.7) > shared(0.0) && shared(0.7) < shared(1.0));
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let (graph, demand) = layered(60);
    let with = |threads| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(|| serde_json::to_string(&planned(&graph, &demand, &request())).unwrap())
    };
    assert_eq!(with(1), with(5));
}

#[test]
fn doubling_a_capacity_doubles_its_limit() {
    let limit = |capacity: Capacity| {
        let graph = ServiceGraph::new(
            vec![Service {
                capacity,
                ..Service::named(name("a/in"))
            }],
            vec![],
        )
        .unwrap();
        let demand = demand(vec![("a/in", entry(500.0, 0.2, 24))]);
        let output = planned(&graph, &demand, &request());
        output.settings.services[&name("a/in")]
            .rate_limit
            .requests_per_second
    };
    for rps in [50.0, 120.0, 333.0] {
        let of = |rps| {
            limit(Capacity {
                capacity_rps: Some(rps),
                ..Capacity::default()
            })
        };
        let ratio = of(2.0 * rps) / of(rps);
        assert!((1.8..2.2).contains(&ratio), "{rps}: {ratio}");
    }
    let of = |concurrency| {
        limit(Capacity {
            concurrency: Some(concurrency),
            ..Capacity::default()
        })
    };
    assert!((1.8..2.2).contains(&(of(16) / of(8))));
}

#[test]
fn an_objective_below_the_service_time_is_said_with_its_bound() {
    let (graph, demand) = (shop(), shop_demand(1.0));
    let request = ProfileRequest {
        slo: Slo {
            latency_ms: 20.0,
            ..Slo::default()
        },
        ..request()
    };
    let output = planned(&graph, &demand, &request);
    has(
        &output,
        Severity::Severe,
        "objective_below_service_time",
        "with no wait at all",
    );
    assert!(!output.kpis.holds);
    // Best effort, not all the instances there are.
    assert!(
        output
            .settings
            .services
            .values()
            .all(|s| s.most_instances() < 40)
    );
}

#[test]
fn a_tight_objective_buys_instances_and_is_kept() {
    let graph = ServiceGraph::new(
        vec![service("a/in", 20.0, 1), service("a/out", 20.0, 1)],
        vec![edge("a/in", "a/out", 1.0)],
    )
    .unwrap();
    let demand = demand(vec![("a/in", entry(300.0, 0.2, 24))]);
    let with = |latency_ms| {
        let request = ProfileRequest {
            slo: Slo {
                latency_ms,
                ..Slo::default()
            },
            ..request()
        };
        planned(&graph, &demand, &request)
    };
    let (loose, tight) = (with(2000.0), with(170.0));
    assert!(loose.kpis.holds && tight.kpis.holds);
    assert!(tight.kpis.instance_cost > 1.1 * loose.kpis.instance_cost);
    assert!(tight.kpis.entries[&name("a/in")].latency_ms <= 170.0);
}

#[test]
fn a_maximum_that_does_not_suffice_is_severe() {
    let mut small = service("a/in", 100.0, 2);
    small.capacity.max_instances = Some(5);
    let graph = ServiceGraph::new(vec![small], vec![]).unwrap();
    let demand = demand(vec![("a/in", entry(500.0, 0.2, 24))]);
    let output = planned(&graph, &demand, &request());
    has(
        &output,
        Severity::Severe,
        "max_instances_reached",
        "max_instances is 5",
    );
    assert!(!output.kpis.holds);
    assert_eq!(output.settings.services[&name("a/in")].most_instances(), 5);
}

#[test]
fn entries_are_found_by_their_short_name_and_missing_ones_named() {
    let graph = shop();
    let short = demand(vec![
        ("web", entry(100.0, 0.2, 24)),
        ("nowhere", entry(100.0, 0.2, 24)),
    ]);
    let output = planned(&graph, &short, &request());
    assert!(output.settings.entries.contains_key(&name("shop/web")));
    has(&output, Severity::Severe, "entry_unknown", "shop/api");
    let lost = demand(vec![("nowhere", entry(100.0, 0.2, 24))]);
    let error = plan(&PolicyInput {
        graph: &graph,
        demand: &lost,
        request: &request(),
    })
    .unwrap_err();
    assert!(
        matches!(&error, PolicyError::NoEntry { entries, .. } if entries == "nowhere"),
        "{error}"
    );
}

#[test]
fn errors_earn_retries_until_the_path_is_full() {
    let names = ["a/a", "a/b", "a/c", "a/d", "a/e"];
    let graph = ServiceGraph::new(
        names.iter().map(|n| service(n, 2.0, 16)).collect(),
        names
            .windows(2)
            .zip([0.001, 0.03, 0.01, 0.2])
            .map(|(pair, errors)| Edge {
                error_rate: Some(errors),
                ..edge(pair[0], pair[1], 1.0)
            })
            .collect(),
    )
    .unwrap();
    let demand = demand(vec![("a/a", entry(100.0, 0.2, 24))]);
    let output = planned(&graph, &demand, &request());
    let attempts = |a: &str, b: &str| {
        output.settings.edges[&EdgeName::new(name(a), name(b))]
            .retries
            .attempts
    };
    // 1.2 · 1.2 = 1.44; a third would make 1.73. The worst two that are accidents get them.
    assert_eq!(attempts("a/b", "a/c"), 1);
    assert_eq!(attempts("a/c", "a/d"), 1);
    assert_eq!(attempts("a/a", "a/b"), 0);
    assert_eq!(attempts("a/d", "a/e"), 0);
    assert!(!output.kpis.holds);
    has(&output, Severity::Severe, "availability_missed", "99.9");
}

#[test]
fn balancers_follow_affinity_and_protocol() {
    let with = |affinity, protocol, max| {
        let mut s = service("a/in", 5.0, 16);
        s.capacity.cache_affinity = affinity;
        s.stateful = Some(false);
        s.capacity.max_instances = max;
        s.protocol = protocol;
        s.criticality = Criticality::Critical;
        let graph = ServiceGraph::new(vec![s], vec![]).unwrap();
        let demand = demand(vec![("a/in", entry(500.0, 0.2, 24))]);
        let output = planned(&graph, &demand, &request());
        let settings = &output.settings.services[&name("a/in")];
        (
            settings.load_balancing,
            settings.preconnect_ratio,
            settings.warm_up.duration_s,
        )
    };
    assert_eq!(
        with(None, Protocol::Http, None),
        (LoadBalancing::LeastRequest, 1.0, 30)
    );
    assert_eq!(
        with(Some(true), Protocol::Grpc, None),
        (LoadBalancing::Maglev, 1.0, 0)
    );
    assert_eq!(
        with(Some(true), Protocol::Grpc, Some(8)).0,
        LoadBalancing::RingHash
    );
    let tcp = with(None, Protocol::Tcp, None);
    assert_eq!(tcp.0, LoadBalancing::RoundRobin);
    assert!(tcp.1 > 1.0 && tcp.1 <= 3.0);
}

#[test]
fn a_circle_keeps_one_budget_and_no_retries() {
    let graph = ServiceGraph::new(
        vec![
            service("a/a", 5.0, 16),
            service("a/b", 5.0, 16),
            service("a/c", 5.0, 16),
        ],
        vec![
            Edge {
                error_rate: Some(0.01),
                ..edge("a/a", "a/b", 1.0)
            },
            Edge {
                error_rate: Some(0.01),
                ..edge("a/b", "a/c", 0.5)
            },
            Edge {
                error_rate: Some(0.01),
                ..edge("a/c", "a/b", 0.5)
            },
        ],
    )
    .unwrap();
    let demand = demand(vec![("a/a", entry(100.0, 0.2, 24))]);
    let output = planned(&graph, &demand, &request());
    let of = |a: &str, b: &str| &output.settings.edges[&EdgeName::new(name(a), name(b))];
    assert_eq!(of("a/b", "a/c").retries.attempts, 0);
    assert_eq!(of("a/b", "a/c").timeout_ms, of("a/c", "a/b").timeout_ms);
    assert!(of("a/b", "a/c").timeout_ms <= of("a/a", "a/b").per_try_timeout_ms);
}

#[test]
fn steps_other_than_an_hour_become_hours() {
    let graph = shop();
    for (step_s, steps, hours) in [(900, 96, 24), (7200, 12, 24), (3600, 24, 24), (1800, 5, 3)] {
        let mut demand = demand(vec![("shop/web", entry(100.0, 0.2, steps))]);
        demand.step_s = step_s;
        let output = planned(&graph, &demand, &request());
        assert_eq!(output.settings.horizon_hours, hours, "{step_s}");
    }
}

#[test]
fn demand_that_is_no_number_is_none() {
    let graph = shop();
    let mut demand = demand(vec![("shop/web", entry(100.0, 0.2, 6))]);
    let entry = demand.entries.get_mut(&name("shop/web")).unwrap();
    entry.quantiles_rps[2] = vec![f64::NAN; 14];
    entry.quantiles_rps[3] = vec![-5.0; 3];
    entry.quantiles_rps[4] = vec![];
    entry.peak_to_mean = f64::NAN;
    entry.dispersion = f64::INFINITY;
    entry.common_loading = 7.0;
    let output = planned(&graph, &demand, &request());
    assert!(output.kpis.instance_cost.is_finite());
}

#[test]
fn services_without_demand_keep_their_fewest() {
    let mut graph: foremesh_model::GraphFile = shop().into();
    graph.services.push(service("shop/idle", 5.0, 8));
    let graph = ServiceGraph::try_from(graph).unwrap();
    let output = planned(&graph, &shop_demand(1.0), &request());
    let idle = &output.settings.services[&name("shop/idle")];
    assert_eq!(
        (idle.instances.to_string().as_str(), idle.standby_instances),
        ("0:2", 0)
    );
    has(&output, Severity::Note, "no_demand", "fewest instances (2)");
}

#[test]
fn what_was_assumed_is_said() {
    let graph = ServiceGraph::new(
        vec![Service::named(name("a/in")), Service::named(name("a/out"))],
        vec![Edge {
            latency_p50_ms: Some(8.0),
            latency_p99_ms: Some(60.0),
            ..Edge::between(name("a/in"), name("a/out"))
        }],
    )
    .unwrap();
    let output = planned(
        &graph,
        &demand(vec![("in", entry(50.0, 0.2, 24))]),
        &request(),
    );
    has(
        &output,
        Severity::Caution,
        "capacity_assumed",
        "service_time_mean_ms 20",
    );
    has(
        &output,
        Severity::Caution,
        "capacity_assumed",
        "derived from the latency of calls",
    );
    has(&output, Severity::Caution, "fan_out_assumed", "a/in->a/out");
}

#[test]
fn a_slow_callee_does_not_starve_the_quick_ones_of_their_caller() {
    let graph = ServiceGraph::new(
        vec![
            service("a/web", 2.0, 32),
            service("a/slow", 120.0, 32),
            service("a/quick", 3.0, 32),
            service("a/other", 4.0, 32),
        ],
        ["a/slow", "a/quick", "a/other"]
            .map(|callee| edge("a/web", callee, 1.0))
            .to_vec(),
    )
    .unwrap();
    let demand = demand(vec![("a/web", entry(50.0, 0.2, 24))]);
    let output = planned(&graph, &demand, &request());
    let timeout = |callee: &str| {
        let edge = EdgeName::new(name("a/web"), name(callee));
        let wanted = output.reasons[&format!("edges[\"{edge}\"].timeout_ms")].inputs["wanted_ms"];
        (f64::from(output.settings.edges[&edge].timeout_ms), wanted)
    };
    let (slow, wanted) = timeout("a/slow");
    assert!(
        slow < wanted,
        "the test has no slow callee: {slow} {wanted}"
    );
    for quick in ["a/quick", "a/other"] {
        let (timeout, wanted) = timeout(quick);
        assert!(timeout >= wanted, "{quick}: {timeout} of {wanted}");
    }
}

#[test]
fn what_timeouts_cut_is_counted_and_said() {
    // A slow callee with a long tail behind a caller whose entry has little time.
    let graph = ServiceGraph::new(
        vec![service("a/in", 5.0, 64), service("a/mid", 10.0, 64), {
            let mut slow = service("a/slow", 100.0, 64);
            slow.capacity.service_time_cv2 = Some(2.0);
            slow
        }],
        // Seen to take longer than the catalogue says.
        [("a/in", "a/mid", 1600.0), ("a/mid", "a/slow", 1500.0)]
            .map(|(caller, callee, p99)| {
                let mut call = edge(caller, callee, 1.0);
                call.latency_p99_ms = Some(p99);
                call
            })
            .into(),
    )
    .unwrap();
    let demand = demand(vec![("a/in", entry(50.0, 0.1, 24))]);
    let with = |latency_ms: f64, availability: f64| {
        let mut request = request();
        request.slo.latency_ms = latency_ms;
        request.slo.availability = availability;
        planned(&graph, &demand, &request)
    };
    // Time enough: the margin keeps what is cut far below the budget.
    let roomy = with(9000.0, 0.999);
    let kpi = &roomy.kpis.entries[&name("a/in")];
    assert!(
        kpi.cut_by_timeouts < 1e-4 && kpi.availability > 0.9999,
        "{kpi:?}"
    );
    assert!(
        !roomy
            .warnings
            .iter()
            .any(|w| w.code == "timeout_cuts_calls")
    );
    // Little: what is cut is said with the edge, and counted against the objective.
    let tight = with(400.0, 0.9999);
    let kpi = &tight.kpis.entries[&name("a/in")];
    let edge = EdgeName::new(name("a/mid"), name("a/slow"));
    let cut = tight.kpis.edges[&edge].cut_by_timeout;
    assert!(
        cut > 1e-4 && kpi.cut_by_timeouts >= cut * 0.99,
        "{cut} {kpi:?}"
    );
    assert!((kpi.availability - (1.0 - kpi.cut_by_timeouts)).abs() < 1e-9);
    assert!(!kpi.holds && !tight.kpis.holds);
    has(
        &tight,
        Severity::Caution,
        "timeout_cuts_calls",
        "a/mid->a/slow",
    );
    has(
        &tight,
        Severity::Severe,
        "availability_missed",
        "timeouts cut",
    );
}

#[test]
fn a_call_keeps_its_ordinary_tail_where_its_caller_has_the_time() {
    // Two slow calls one after the other: both at their longest would not fit, either alone does.
    let graph = ServiceGraph::new(
        vec![
            service("a/in", 5.0, 64),
            service("a/left", 90.0, 64),
            service("a/right", 90.0, 64),
        ],
        vec![edge("a/in", "a/left", 1.0), edge("a/in", "a/right", 1.0)],
    )
    .unwrap();
    let demand = demand(vec![("a/in", entry(50.0, 0.1, 24))]);
    let mut request = request();
    request.slo.latency_ms = 700.0;
    request.slo.availability = 0.999;
    let output = planned(&graph, &demand, &request);
    for callee in ["a/left", "a/right"] {
        let edge = EdgeName::new(name("a/in"), name(callee));
        let (timeout, p99) = (
            f64::from(output.settings.edges[&edge].timeout_ms),
            output.kpis.edges[&edge].latency_p99_ms,
        );
        assert!(timeout >= 1.5 * p99, "{callee}: {timeout} ms for {p99} ms");
        assert!(output.kpis.edges[&edge].cut_by_timeout < 1e-4);
    }
    assert!(
        !output
            .warnings
            .iter()
            .any(|w| w.code == "timeout_cuts_calls")
    );
}
