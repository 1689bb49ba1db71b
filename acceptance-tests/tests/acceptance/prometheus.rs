//! A history in a real Prometheus gives the plan that the same history in a file gives.

use std::fs;

use foremesh_acceptance_tests::{Prometheus, Workspace, foremesh, need};

use crate::shop::{differing, files, plan, rewrite_history, shop, terraform_in};

const AS_OF: &str = "2026-11-20T00:00:00Z";
const QUERY: &str = "sum by (region, service) (last_over_time(shop_requests_per_second[$step]))";

fn serve(
    workspace: &Workspace,
    prometheus: std::path::PathBuf,
    promtool: &std::path::Path,
) -> Prometheus {
    let samples = workspace.join("samples.txt");
    shop_telemetry::openmetrics(&workspace.join("telemetry/history.csv"), &samples).unwrap();
    Prometheus::serve(prometheus, promtool, &fs::read_to_string(samples).unwrap())
}

/// The quickstart's request with `prometheus` in place of the file.
fn ask(workspace: &Workspace, url: &str) {
    let request = workspace.read("request.yaml").replace(
        "  history: telemetry/history.csv\n",
        &format!("  prometheus: {{ url: {url:?}, query: {QUERY:?}, days: 46, step_s: 900 }}\n"),
    );
    workspace.write("request.yaml", request);
}

#[test]
fn prometheus_and_the_file_give_the_same_settings_and_later_samples_move_none() {
    let (prometheus, promtool) = (need!(Prometheus), need!(Promtool));
    let workspace = shop();
    let from_file = plan(&workspace, "file");

    let server = serve(&workspace, prometheus.clone(), &promtool);
    ask(&workspace, &server.url);
    let from_server = plan(&workspace, "server");
    assert_eq!(
        differing(&from_file["settings"], &from_server["settings"]),
        [""; 0]
    );
    drop(server);

    let altered = shop();
    rewrite_history(&altered, |at, rate| {
        Some(if at >= AS_OF { rate * 10.0 } else { rate })
    });
    let server = serve(&altered, prometheus, &promtool);
    ask(&altered, &server.url);
    assert_eq!(differing(&from_server, &plan(&altered, "server")), [""; 0]);
    let expected = files(&workspace.join("server"));
    for (name, content) in files(&altered.join("server")) {
        assert!(expected[&name] == content, "{name} differs");
    }
}

#[test]
fn the_example_is_applied_and_is_quiet() {
    let (terraform, prometheus, promtool) = (need!(Terraform), need!(Prometheus), need!(Promtool));
    let workspace = shop();
    workspace.copy("examples/from-prometheus", ".");
    let server = serve(&workspace, prometheus, &promtool);
    let variable = format!("prometheus_url={}", server.url);
    let terraform = terraform_in(terraform, &workspace);
    terraform.apply(&["-var", &variable]);
    assert!(!terraform.plan(&["-var", &variable]).changes);
    assert!(!files(&workspace.join("stacks/eu-west-3/istio")).is_empty());
}

#[test]
fn a_server_that_is_down_is_an_outside_failure_that_names_its_address() {
    let workspace = shop();
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    ask(&workspace, &url);
    let run = foremesh(workspace.path(), &["plan", "request.yaml", "-o", "plan"]).expect_code(3);
    assert!(run.stderr.contains(&url), "{run}");
}
