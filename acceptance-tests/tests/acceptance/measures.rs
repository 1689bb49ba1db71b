//! What a history measured beside demand moves the plan where nothing surer is known, and only then.

use foremesh_acceptance_tests::Workspace;
use serde_json::Value;

use crate::shop::{differing, files, plan, shop};

const AS_OF: &str = "2026-11-20T00:00:00Z";

/// The quickstart without traces, so that only its history tells errors and latencies.
fn without_traces() -> Workspace {
    let workspace = shop();
    let request = workspace.read("request.yaml");
    let manifests = request.replace(", telemetry/traces]", "]");
    assert_ne!(request, manifests);
    workspace.write("request.yaml", manifests);
    workspace
}

/// Gives every row a new error rate, by its instant and its service.
fn rewrite_errors(workspace: &Workspace, rate: impl Fn(&str, &str) -> Option<f64>) {
    let history = workspace.read("telemetry/history.csv");
    let mut out = String::new();
    for row in history.lines() {
        let mut cells: Vec<String> = row.split(',').map(str::to_owned).collect();
        if let Some(rate) = rate(&cells[0], &cells[2]) {
            cells[5] = rate.to_string();
        }
        out += &(cells.join(",") + "\n");
    }
    workspace.write("telemetry/history.csv", out);
}

fn errors_in_a_row(plan: &Value, service: &str) -> u64 {
    let service = &plan["settings"]["services"][service];
    service["outlier_ejection"]["consecutive_errors"]
        .as_u64()
        .unwrap()
}

#[test]
fn error_rates_of_the_history_stand_where_no_trace_shows_any() {
    let workspace = without_traces();
    let few = plan(&workspace, "few");
    let rate = |plan: &Value| {
        let path = "services[\"shop/cart\"].outlier_ejection.consecutive_errors";
        plan["reasons"][path]["inputs"]["error_rate"].as_f64()
    };
    rewrite_errors(&workspace, |_, service| {
        (service == "shop/cart").then_some(0.2)
    });
    let many = plan(&workspace, "many");
    let many_fail = rate(&many).unwrap();
    assert!((many_fail - 0.2).abs() < 1e-9, "{many_fail}");
    assert!(rate(&few).unwrap() < 0.01);
    assert!(errors_in_a_row(&many, "shop/cart") > errors_in_a_row(&few, "shop/cart"));
    let noted = |plan: &Value| {
        let warnings = plan["warnings"].as_array().unwrap();
        warnings
            .iter()
            .any(|w| w["code"] == "history_measures_used")
    };
    assert!(noted(&many));

    // With traces, which show single calls, the same rows move nothing of the call.
    let traced = shop();
    let before = plan(&traced, "before");
    rewrite_errors(&traced, |_, service| {
        (service == "shop/cart").then_some(0.2)
    });
    let after = plan(&traced, "after");
    assert_eq!(differing(&before["settings"], &after["settings"]), [""; 0]);
}

#[test]
fn nothing_measured_after_as_of_moves_a_byte() {
    let known = without_traces();
    plan(&known, "plan");
    let altered = without_traces();
    rewrite_errors(&altered, |at, _| {
        (AS_OF.."2027").contains(&at).then_some(0.9)
    });
    plan(&altered, "plan");
    assert_eq!(files(&known.join("plan")), files(&altered.join("plan")));
    // The test can fail: the rows before the instant do move it.
    rewrite_errors(&altered, |at, _| (at < AS_OF).then_some(0.2));
    plan(&altered, "plan");
    assert_ne!(files(&known.join("plan")), files(&altered.join("plan")));
}
