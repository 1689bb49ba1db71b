//! Round trip: a plan is simulated, its traces are written as OTLP JSON, read back as anybody's traces are, and show the graph that was
//! simulated: on the plan of the quickstart, and on graphs drawn at random.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, fs, path::Path};

use foremesh_model::{
    Edge, GraphFile, Protocol, RegionPlan, Service, ServiceGraph, SourceRequest,
    random::{mix, uniform},
};
use foremesh_pipeline::{
    PlanRequest, RequestFormat, SimulateRequest, Simulation, Sources, parse_fault, plan,
    simulate_traced,
};

fn planned(request: &str, folder: &Path) -> RegionPlan {
    let request = PlanRequest::parse(request, RequestFormat::Yaml, Path::new("request.yaml"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .unwrap()
        .block_on(plan(&request.unwrap(), folder))
        .unwrap()
}

fn read_back(folder: &Path, lines: &str) -> ServiceGraph {
    fs::write(folder.join("simulated.json"), lines).unwrap();
    let request = SourceRequest {
        graph: vec!["simulated.json".into()],
        ..SourceRequest::default()
    };
    let observed = Sources::load_graph(&request, None, folder).unwrap();
    let unexpected: Vec<_> = observed
        .warnings
        .iter()
        .filter(|warning| warning.code.starts_with("trace_"))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
    observed.value
}

/// Simulates a plan and answers what was counted and the graph that its traces show.
fn round_trip(
    plan: &RegionPlan,
    folder: &Path,
    request: &SimulateRequest,
    requests: usize,
) -> (Simulation, ServiceGraph, String) {
    let (simulation, traces) =
        simulate_traced(plan, request, Some(requests), &Default::default()).unwrap();
    let traces = traces.unwrap();
    assert!(traces.len() <= requests);
    let lines = traces.otlp_lines();
    (simulation, read_back(folder, &lines), lines)
}

/// Server spans of each service: how many requests each measure stands on.
fn visits(graph: &ServiceGraph, lines: &str) -> BTreeMap<String, f64> {
    let mut visits: BTreeMap<String, f64> = BTreeMap::new();
    for line in lines.lines() {
        let document: serde_json::Value = serde_json::from_str(line).unwrap();
        for group in document["resourceSpans"].as_array().unwrap() {
            let text = |i: usize| {
                let value = &group["resource"]["attributes"][i]["value"]["stringValue"];
                value.as_str().unwrap()
            };
            let spans = group["scopeSpans"][0]["spans"].as_array().unwrap();
            let served = spans.iter().filter(|span| span["kind"] == 2).count();
            *visits
                .entry(format!("{}/{}", text(1), text(0)))
                .or_default() += served as f64;
        }
    }
    for service in graph.services() {
        visits.entry(service.name.to_string()).or_insert(0.0);
    }
    visits
}

/// Asserts that two graphs agree within what a sample can tell: four standard deviations, and for what failures leave out, `slack`.
fn agree(
    plan: &RegionPlan,
    simulation: &Simulation,
    found: &ServiceGraph,
    lines: &str,
    slack: f64,
) {
    let wanted = &plan.graph;
    let names = |graph: &ServiceGraph| -> Vec<_> {
        graph
            .services()
            .map(|s| (s.name.clone(), s.protocol))
            .collect()
    };
    assert_eq!(names(found), names(wanted));
    let ends = |graph: &ServiceGraph| -> Vec<_> {
        graph
            .edges()
            .map(|e| (e.caller.clone(), e.callee.clone()))
            .collect()
    };
    assert_eq!(ends(found), ends(wanted));
    let visits = visits(found, lines);
    let near = |what: String, found: f64, wanted: f64, tolerance: f64| {
        assert!(
            (found - wanted).abs() <= tolerance,
            "{what}: {found} found, {wanted} ± {tolerance} wanted"
        );
    };
    for (found, wanted) in found.services().zip(wanted.services()) {
        let n = visits[wanted.name.as_str()];
        if wanted.is_stateful() {
            assert_eq!((n, found.stateful), (0.0, Some(true)), "{}", wanted.name);
            continue;
        }
        assert!(n > 100.0, "{}: {n}", wanted.name);
        let (mean, cv2) = (
            wanted.capacity.service_time_mean_ms.unwrap(),
            wanted.capacity.service_time_cv2.unwrap(),
        );
        let name = &wanted.name;
        near(
            format!("own time of {name}"),
            found.capacity.service_time_mean_ms.unwrap(),
            mean,
            mean * 4.0 * (cv2 / n).sqrt(),
        );
        near(
            format!("its variation, {name}"),
            found.capacity.service_time_cv2.unwrap(),
            cv2,
            cv2 * (0.1 + 12.0 / n.sqrt()),
        );
    }
    for (found, wanted) in found.edges().zip(wanted.edges()) {
        let name = format!("{}->{}", wanted.caller, wanted.callee);
        let n = visits[wanted.caller.as_str()];
        let part = wanted.fan_out().fract();
        near(
            format!("fan-out of {name}"),
            found.fan_out(),
            wanted.fan_out(),
            wanted.fan_out() * slack + 4.0 * (part * (1.0 - part) / n).sqrt() + 1e-5,
        );
        let report = &simulation.report.edges[&name];
        let calls = n * wanted.fan_out();
        let failed: f64 = report.failures.values().map(|share| share.mean).sum();
        near(
            format!("errors of {name}"),
            found.error_rate.unwrap(),
            failed,
            4.0 * ((failed + 1.0 / calls) / calls).sqrt() + slack,
        );
        if calls > 400.0 {
            let p99 = report.latency_p99_ms.mean;
            near(
                format!("99th percentile of {name}"),
                found.latency_p99_ms.unwrap(),
                p99,
                p99 * 0.35,
            );
        }
    }
}

#[test]
fn the_quickstarts_plan_comes_back_from_its_traces() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    shop_telemetry::generate(7, &folder.join("telemetry")).unwrap();
    let quickstart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/quickstart");
    let request = fs::read_to_string(quickstart.join("request.yaml")).unwrap();
    let plan = planned(&request, folder);
    let request = SimulateRequest {
        minutes: 4,
        replications: 1,
        ..SimulateRequest::default()
    };
    let (simulation, graph, lines) = round_trip(&plan, folder, &request, 4000);
    assert_eq!(lines.lines().count(), 4000);
    agree(&plan, &simulation, &graph, &lines, 0.01);
    for edge in graph.edges() {
        // Where a caller makes several calls, each waits for the one before.
        assert_ne!(
            edge.sequential,
            Some(false),
            "{} -> {}",
            edge.caller,
            edge.callee
        );
    }
    // Time stamps lie in the hour that was simulated.
    let hour = i64::from(simulation.hour);
    let starts = plan.settings.starts.as_second() + hour * 3600;
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    let span = &first["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    let at: i64 = span["startTimeUnixNano"].as_str().unwrap().parse().unwrap();
    assert!((0..240).contains(&(at / 1_000_000_000 - starts)), "{at}");
    // The same bytes again.
    let again = simulate_traced(&plan, &request, Some(4000), &Default::default())
        .unwrap()
        .1
        .unwrap();
    assert!(lines == again.otlp_lines());
}

#[test]
fn what_goes_wrong_shows_in_the_traces() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let plan = planned(REQUEST, draw(11, folder));
    let request = SimulateRequest {
        minutes: 2,
        replications: 1,
        faults: vec![parse_fault("errors:net/s4,rate=0.3", 120.0).unwrap()],
        ..SimulateRequest::default()
    };
    let (_, graph, lines) = round_trip(&plan, folder, &request, 2000);
    let into: Vec<&Edge> = graph
        .edges()
        .filter(|edge| edge.callee.as_str() == "net/s4")
        .collect();
    assert!(!into.is_empty());
    for edge in into {
        let errors = edge.error_rate.unwrap();
        assert!((errors - 0.3).abs() < 0.06, "{}: {errors}", edge.caller);
    }
    assert!(lines.contains(r#""key":"error.type","value":{"stringValue":"error"}"#));
}

const REQUEST: &str = "
provider: { history: history.csv, graph: [graph.json] }
predictive_region:
  region: here
  timezone: UTC
  as_of: 2026-01-29T00:00:00Z
  go_live: 2026-01-29T00:00:00Z
  horizon_hours: 24
mesh_profile:
  slo: { latency_ms: 5000, percentile: 99, availability: 0.9 }
";

/// Draws a graph of twelve services in which calls lead from lower to higher numbers, with demand for the first, and writes both.
fn draw(seed: u64, folder: &Path) -> &Path {
    let mut count = 0u64;
    let mut draw = |from: f64, to: f64| {
        count += 1;
        from + (to - from) * uniform(mix(seed, count))
    };
    let name = |i: usize| format!("net/s{i}").parse().unwrap();
    let services: Vec<Service> = (0..12)
        .map(|i| {
            let mut service = Service::named(name(i));
            service.protocol = [Protocol::Http, Protocol::Http2, Protocol::Grpc][i % 3];
            service.capacity.service_time_mean_ms = Some(draw(2.0, 30.0));
            service.capacity.service_time_cv2 = Some(draw(0.3, 1.2));
            service.capacity.concurrency = Some(4);
            service
        })
        .collect();
    let mut edges = Vec::new();
    for caller in 0..11usize {
        // Either all calls of a service are made at once, or each waits for the one before.
        let sequential = caller % 2 == 0;
        let most = if caller < 4 { 3 } else { 1 };
        let mut callees: Vec<usize> = (0..most)
            .map(|_| draw((caller + 1) as f64, 12.0) as usize)
            .collect();
        callees.push(caller + 1);
        callees.sort_unstable();
        callees.dedup();
        // Chains that keep all of their length would make one request hundreds of calls.
        for callee in callees {
            let mut edge = Edge::between(name(caller), name(callee));
            edge.fan_out = Some(if caller < 3 {
                draw(0.6, 1.4)
            } else {
                draw(0.3, 0.9)
            });
            edge.sequential = Some(sequential);
            edge.error_rate = Some(0.002);
            edges.push(edge);
        }
    }
    let file = GraphFile { services, edges };
    fs::write(
        folder.join("graph.json"),
        serde_json::to_string(&file).unwrap(),
    )
    .unwrap();
    let mut history = "timestamp,region,service,requests_per_second\n".to_owned();
    for hour in 0..28 * 24 {
        let at = jiff::Timestamp::from_second(1_767_225_600 + hour * 3600).unwrap();
        let rps = 60.0 + 20.0 * (hour as f64 / 24.0 * std::f64::consts::TAU).sin();
        history += &format!("{at},here,net/s0,{rps:.1}\n");
    }
    fs::write(folder.join("history.csv"), history).unwrap();
    folder
}

#[test]
fn graphs_drawn_at_random_come_back_from_their_traces() {
    for seed in 1..=2 {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let plan = planned(REQUEST, draw(seed, folder));
        let request = SimulateRequest {
            minutes: 3,
            replications: 1,
            seed,
            ..SimulateRequest::default()
        };
        let (simulation, graph, lines) = round_trip(&plan, folder, &request, 4000);
        agree(&plan, &simulation, &graph, &lines, 0.02);
        for (found, wanted) in graph.edges().zip(plan.graph.edges()) {
            // One call alone overlaps none; two that are often made together tell.
            let beside = plan
                .graph
                .edges()
                .filter(|e| e.caller == wanted.caller)
                .count();
            let often = wanted.fan_out() > 0.6 && beside > 1;
            if wanted.sequential == Some(true) || often {
                let said = found.sequential.unwrap_or(true);
                assert_eq!(
                    said,
                    wanted.sequential.unwrap(),
                    "{seed}: {} -> {}",
                    found.caller,
                    found.callee
                );
            }
        }
        let parallel = graph.edges().filter(|e| e.sequential == Some(false));
        assert!(parallel.count() > 3, "{seed}");
    }
}
