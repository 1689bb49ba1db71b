//! `foremesh simulate` on the plan of the quickstart: it holds where the plan says so, breaks where too much goes wrong, and says why.

use foremesh_acceptance_tests::{Finished, Workspace, foremesh};
use serde_json::Value;

use crate::shop::{plan, shop};

fn simulate(workspace: &Workspace, more: &[&str]) -> Finished {
    let start = [
        "--format",
        "json",
        "simulate",
        "plan",
        "--minutes",
        "3",
        "--replications",
        "2",
    ];
    foremesh(workspace.path(), &[&start, more].concat())
}

fn read(run: &Finished) -> Value {
    serde_json::from_str(&run.stdout).unwrap()
}

fn of(simulation: &Value, entry: &str, field: &str) -> f64 {
    simulation["report"]["entries"][entry][field]["mean"]
        .as_f64()
        .unwrap()
}

#[test]
fn the_plan_holds_as_it_says_and_better_than_nothing_when_clients_ask_again() {
    let workspace = shop();
    let planned = plan(&workspace, "plan");
    let run = simulate(&workspace, &[]).expect_code(0);
    let simulation = read(&run);
    for entry in ["shop/api", "shop/frontend"] {
        let expected = planned["kpis"]["entries"][entry]["latency_ms"]
            .as_f64()
            .unwrap();
        let found = of(&simulation, entry, "latency_objective_percentile_ms");
        assert!(
            (found / expected - 1.0).abs() < 0.2,
            "{entry}: {found} ms, {expected} expected"
        );
    }
    assert_eq!(simulation["overloaded"], Value::Array(Vec::new()));
    assert_eq!(run.stdout, simulate(&workspace, &[]).stdout);

    // Twice the requests: limits keep what the instances can do, and without them nobody is served in time.
    let storm = ["--fault", "retry_storm:,factor=2"];
    let limited = read(&simulate(&workspace, &storm).expect_code(2));
    let open = read(
        &simulate(
            &workspace,
            &[&storm[..], &["--policy", "istio-defaults"]].concat(),
        )
        .expect_code(2),
    );
    let good = |simulation: &Value| {
        of(simulation, "shop/api", "good_rps") + of(simulation, "shop/frontend", "good_rps")
    };
    assert!(
        good(&limited) > 5.0 * good(&open),
        "{} {}",
        good(&limited),
        good(&open)
    );
}

#[test]
fn what_cannot_be_simulated_is_named() {
    let workspace = shop();
    plan(&workspace, "plan");
    for (arguments, words) in [
        (
            ["--fault", "crash:shop/nobody,share=1"],
            "there is no \"shop/nobody\"; the services are shop/api",
        ),
        (["--fault", "crash:shop/cart"], "missing field `share`"),
        (
            ["--fault", "crash:shop/cart,share=1,at=9000,for=5"],
            "lies outside the simulated",
        ),
        (["--hour", "100"], "hour: must be below 72"),
        (["--level", "1.5"], "level: must lie above 0 and below 1"),
    ] {
        let run = simulate(&workspace, &arguments).expect_code(1);
        assert!(run.stderr.contains(words), "{run}");
    }
    let unknown = simulate(&workspace, &["--policy", "hope"]).expect_code(1);
    assert!(
        unknown.stderr.contains("one of plan, istio-defaults"),
        "{unknown}"
    );
}

#[test]
fn the_ramp_leaves_elsewhere_what_it_holds_back() {
    let workspace = shop();
    let request = workspace.read("request.yaml");
    let profile = "profile:\n";
    assert!(request.contains(profile), "{request}");
    let with_ramp = format!("{profile}  ramp_percent: [25, 100]\n  ramp_stage_minutes: 120\n");
    workspace.write("request.yaml", request.replace(profile, &with_ramp));
    plan(&workspace, "plan");
    let launch = ["--hour", "0"];
    let all = read(&simulate(&workspace, &launch).expect_code(0));
    let held = read(&simulate(&workspace, &[&launch[..], &["--ramp"]].concat()).expect_code(0));
    let entry = "shop/frontend";
    let (came, offered) = (
        of(&all, entry, "offered_rps"),
        of(&held, entry, "offered_rps"),
    );
    let elsewhere = of(&held, entry, "elsewhere_rps");
    assert!((offered / came - 0.25).abs() < 0.02, "{offered} of {came}");
    assert!(
        (elsewhere / came - 0.75).abs() < 0.02,
        "{elsewhere} of {came}"
    );
}

#[test]
fn traces_are_written_and_read_back_and_faults_become_experiments() {
    let workspace = shop();
    let planned = plan(&workspace, "plan");
    let traced = ["--trace", "out/traces.json", "--trace-requests", "500"];
    simulate(&workspace, &traced).expect_code(0);
    let lines = workspace.read("out/traces.json");
    assert_eq!(lines.lines().count(), 500);
    let observed = foremesh(
        workspace.path(),
        &["--format", "json", "observe", "out/traces.json"],
    )
    .expect_code(0);
    let ends = |graph: &Value| -> Vec<String> {
        let edges = graph["edges"].as_array().unwrap().iter();
        edges
            .map(|edge| format!("{} {}", edge["caller"], edge["callee"]))
            .collect()
    };
    assert_eq!(ends(&read(&observed)), ends(&planned["graph"]));

    let render = |target: &str, fault: &[&str]| {
        let start = ["render", "plan", "--target", target, "-o", "chaos"];
        foremesh(workspace.path(), &[&start, fault].concat())
    };
    let crash = ["--fault", "crash:shop/cart,share=0.5,at=60,for=120"];
    render("chaos-mesh", &crash).expect_code(0);
    let workflow = workspace.read("chaos/workflow.yaml");
    assert!(
        workflow.contains("action: pod-failure") && workflow.contains("deadline: 60s"),
        "{workflow}"
    );
    for (target, fault, words) in [
        ("chaos-mesh", &[][..], "none is given"),
        ("istio", &crash[..], "use one of chaos-mesh, litmus"),
        (
            "litmus",
            &["--fault", "retry_storm:,factor=2"][..],
            "load generator",
        ),
    ] {
        let run = render(target, fault).expect_code(1);
        assert!(run.stderr.contains(words), "{run}");
    }
}

#[test]
fn the_whole_horizon_is_judged_by_windows() {
    let workspace = shop();
    plan(&workspace, "plan");
    let day = ["--day", "--events=20", "--level=0.9"];
    let arguments = [
        &["--format", "json", "simulate", "plan", "--replications=2"],
        &day[..],
    ]
    .concat();
    let run = foremesh(workspace.path(), &arguments).expect_code(0);
    let simulation = read(&run);
    assert_eq!(simulation["hours"], 72.0);
    assert!(
        simulation["simulated_share"].as_f64().unwrap() < 0.05,
        "{run}"
    );
    let reasons: Vec<&str> = simulation["first_windows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|window| window["reason"].as_str().unwrap())
        .collect();
    for reason in ["launch", "change", "risk", "random"] {
        assert!(reasons.contains(&reason), "{reasons:?}");
    }
    let text = foremesh(
        workspace.path(),
        &[&["simulate", "plan", "--replications=2"], &day[..]].concat(),
    );
    assert!(
        text.stdout.starts_with("72 hours at the 0.9 quantile"),
        "{text}"
    );
    let both = foremesh(
        workspace.path(),
        &["simulate", "plan", "--day", "--hour", "3"],
    );
    both.expect_code(1);
}

#[test]
fn whatever_stands_in_the_plans_place_runs_and_costs_what_it_should() {
    let workspace = shop();
    plan(&workspace, "plan");
    let of_policy = |policy: &str| {
        let storm = ["--fault", "retry_storm:,factor=2,at=60"];
        let run = simulate(&workspace, &[&storm[..], &["--policy", policy]].concat());
        assert!(matches!(run.code, Some(0 | 2)), "{policy}: {run}");
        let simulation = read(&run);
        let good =
            of(&simulation, "shop/api", "good_rps") + of(&simulation, "shop/frontend", "good_rps");
        let cost = simulation["report"]["cost_per_hour"]["mean"]
            .as_f64()
            .unwrap();
        (good, cost)
    };
    let (open, planned_cost) = of_policy("istio-defaults");
    // What refuses keeps more than what does not, with the same instances.
    for policy in ["vegas", "gradient2", "dagor", "breakwater", "topfull"] {
        let (good, cost) = of_policy(policy);
        assert!(good > 1.5 * open, "{policy}: {good}, {open} without limits");
        assert!((cost - planned_cost).abs() < 1e-6, "{policy}: {cost}");
    }
    // What takes more processors pays for them; a trigger beside an autoscaler never asks for less.
    let (hpa, keda) = (of_policy("hpa"), of_policy("keda-cron"));
    assert!(keda.1 >= hpa.1 - 1e-6, "{keda:?} {hpa:?}");
    let (good, cost) = of_policy("autothrottle");
    assert!(good > 1.5 * open && cost > planned_cost, "{good} at {cost}");
    assert!(of_policy("hpa-tuned").1 > planned_cost);
    assert!(of_policy("static-headroom").1 < planned_cost);
}
