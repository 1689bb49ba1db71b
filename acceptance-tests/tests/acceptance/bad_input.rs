//! Input that cannot be used, or only in part: what the command line and `terraform plan` say of it, word for word.
//!
//! Each case spoils the quickstart in one way. A refusal must say what is wrong, where, and how to mend it; where a part can be used it is
//! used, and the plan says what is missing.

use std::{
    io::Read,
    net::{TcpListener, TcpStream},
    thread,
};

use foremesh_acceptance_tests::{Finished, Workspace, foremesh, need};
use insta::assert_snapshot;

use crate::shop::{rewrite_history, shop, terraform_in};

/// Lines that a person reads, without what differs from run to run.
fn said(text: &str, workspace: &Workspace, replacements: &[(&str, &str)]) -> String {
    let mut text = text.replace(&workspace.path().display().to_string(), "FOLDER");
    for (from, to) in replacements {
        text = text.replace(from, to);
    }
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim().to_owned()
}

/// `foremesh plan` on the spoiled quickstart.
fn planned(workspace: &Workspace) -> Finished {
    let run = foremesh(workspace.path(), &["plan", "request.yaml", "-o", "plan"]);
    assert!(
        !run.stderr.contains("panicked"),
        "bad input must not panic\n{run}"
    );
    run
}

/// Checks that a spoiled quickstart is refused with exit code `code`, and that a plan written before stays as it was.
fn refused(name: &str, code: i32, spoil: impl Fn(&Workspace), replacements: &[(&str, &str)]) {
    let terraform = need!(Terraform);
    let workspace = shop();
    workspace.write("plan/plan.json", "written before\n");
    spoil(&workspace);
    let run = planned(&workspace).expect_code(code);
    assert_eq!(workspace.read("plan/plan.json"), "written before\n");
    assert_snapshot!(
        format!("{name}-command-line"),
        said(&run.stderr, &workspace, replacements)
    );
    let terraform = terraform_in(terraform, &workspace);
    let text = terraform.refused(&[]);
    assert!(!text.contains("panicked"), "{text}");
    assert!(!(run.stderr + &text).contains("secret-word"));
    assert_snapshot!(
        format!("{name}-terraform"),
        said(&text, &workspace, replacements)
    );
}

/// Checks that the rest of a spoiled quickstart is planned, and what is said of the spoiled part.
fn used_in_part(name: &str, spoil: impl Fn(&Workspace), about: &str) {
    let terraform = need!(Terraform);
    let workspace = shop();
    spoil(&workspace);
    let run = planned(&workspace);
    assert!(matches!(run.code, Some(0 | 2)), "{run}");
    let lines: Vec<&str> = run.stderr.lines().filter(|l| l.contains(about)).collect();
    assert_snapshot!(
        format!("{name}-command-line"),
        said(&lines.join("\n"), &workspace, &[])
    );
    let terraform = terraform_in(terraform, &workspace);
    let plan = terraform.plan(&[]);
    // Terraform breaks lines where its window ends.
    let words: Vec<&str> = plan.run.stdout.split_whitespace().collect();
    assert!(
        words.join(" ").contains(about),
        "terraform does not say {about:?}\n{}",
        plan.run
    );
}

/// The line with this number, counted from 1, becomes `text`.
fn replace_line(workspace: &Workspace, file: &str, number: usize, text: &str) {
    let content = workspace.read(file);
    let mut lines: Vec<&str> = content.lines().collect();
    lines[number - 1] = text;
    workspace.write(file, lines.join("\n") + "\n");
}

#[test]
fn a_cell_that_is_no_number() {
    let spoil = |workspace: &Workspace| {
        replace_line(
            workspace,
            "telemetry/history.csv",
            4,
            "2026-10-05T00:45:00Z,eu-west-1,shop/frontend,about 40,0,80",
        );
    };
    refused("malformed-cell", 1, spoil, &[]);
}

#[test]
fn a_row_with_too_few_cells() {
    let spoil =
        |workspace: &Workspace| replace_line(workspace, "telemetry/history.csv", 9, "2026-10-05");
    refused("malformed-row", 1, spoil, &[]);
}

#[test]
fn one_instant_twice() {
    let spoil = |workspace: &Workspace| {
        let history = workspace.read("telemetry/history.csv");
        let row = history.lines().nth(1).unwrap();
        let mut cells: Vec<&str> = row.split(',').collect();
        cells[3] = "1234.5";
        workspace.write(
            "telemetry/history.csv",
            format!("{history}{}\n", cells.join(",")),
        );
    };
    refused("duplicate-timestamp", 1, spoil, &[]);
}

#[test]
fn a_history_without_rows() {
    let spoil = |workspace: &Workspace| {
        let history = workspace.read("telemetry/history.csv");
        let header = history.lines().next().unwrap();
        workspace.write("telemetry/history.csv", format!("{header}\n"));
    };
    refused("empty-history", 1, spoil, &[]);
}

#[test]
fn a_gap_of_three_days() {
    let spoil = |workspace: &Workspace| {
        rewrite_history(workspace, |at, rate| {
            (!("2026-11-03".."2026-11-06").contains(&at)).then_some(rate)
        });
    };
    used_in_part("gap", spoil, "missing");
}

#[test]
fn rates_below_zero() {
    let spoil = |workspace: &Workspace| {
        rewrite_history(workspace, |at, rate| {
            Some(if at.starts_with("2026-11-03T1") {
                -rate
            } else {
                rate
            })
        });
    };
    used_in_part("negative-rate", spoil, "below 0");
}

/// The same replacement in the request of the command line and in Terraform's configuration.
fn rewrite_request(workspace: &Workspace, yaml: (&str, &str), terraform: (&str, &str)) {
    for (file, (from, to)) in [("request.yaml", yaml), ("main.tf", terraform)] {
        let text = workspace.read(file);
        assert!(text.contains(from), "{file} has no {from:?}");
        workspace.write(file, text.replace(from, to));
    }
}

#[test]
fn a_region_that_nothing_is_known_of() {
    let spoil = |workspace: &Workspace| {
        rewrite_request(
            workspace,
            (
                "  donors: { eu-west-1: 0.6, eu-central-1: 0.9 }\n  donor_timezones: { eu-west-1: Europe/Dublin, eu-central-1: Europe/Berlin }\n",
                "",
            ),
            (
                "  donors          = { \"eu-west-1\" = 0.6, \"eu-central-1\" = 0.9 }\n  donor_timezones = { \"eu-west-1\" = \"Europe/Dublin\", \"eu-central-1\" = \"Europe/Berlin\" }\n",
                "",
            ),
        );
    };
    refused("unknown-region", 1, spoil, &[]);
}

#[test]
fn a_donor_that_nothing_is_known_of() {
    let spoil = |workspace: &Workspace| {
        rewrite_request(
            workspace,
            ("eu-west-1", "eu-west-9"),
            ("\"eu-west-1\"", "\"eu-west-9\""),
        );
    };
    refused("unknown-donor", 1, spoil, &[]);
}

#[test]
fn a_circle_of_calls_that_never_ends() {
    let spoil = |workspace: &Workspace| {
        workspace.write(
            "telemetry/circle.json",
            r#"{
  "services": [{ "name": "shop/frontend" }, { "name": "shop/cart" }],
  "edges": [
    { "caller": "shop/frontend", "callee": "shop/cart", "fan_out": 1.2 },
    { "caller": "shop/cart", "callee": "shop/frontend", "fan_out": 1 }
  ]
}
"#,
        );
        rewrite_request(
            workspace,
            (
                "[telemetry/manifests, telemetry/traces]",
                "[telemetry/circle.json]",
            ),
            (
                "[\"${var.telemetry}/manifests\", \"${var.telemetry}/traces\"]",
                "[\"${var.telemetry}/circle.json\"]",
            ),
        );
    };
    refused("circle", 1, spoil, &[]);
}

#[test]
fn a_manifest_that_is_a_template() {
    let spoil = |workspace: &Workspace| {
        workspace.write(
            "telemetry/manifests/search.yaml",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {{ include \"search.fullname\" . }}\nspec:\n  replicas: {{ .Values.replicas }}\n",
        );
    };
    used_in_part("helm-template", spoil, "Helm template text");
}

#[test]
fn a_trace_file_that_is_cut_short() {
    let spoil = |workspace: &Workspace| {
        let folder = workspace.join("telemetry/traces");
        let file = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap();
        let name = format!("telemetry/traces/{}", file.file_name().display());
        let text = workspace.read(&name);
        workspace.write(&name, &text[..text.len() / 2]);
    };
    used_in_part("cut-trace", spoil, "cut short");
}

#[test]
fn a_catalogue_with_no_capacity() {
    let spoil = |workspace: &Workspace| {
        let catalogue = workspace.read("telemetry/catalogue.yaml");
        assert!(catalogue.contains("concurrency: 12"));
        workspace.write(
            "telemetry/catalogue.yaml",
            catalogue.replace("concurrency: 12", "concurrency: 0"),
        );
    };
    refused("zero-capacity", 1, spoil, &[]);
}

/// The quickstart asks a Prometheus at `address` for its history.
fn ask_prometheus(workspace: &Workspace, address: &str) {
    rewrite_request(
        workspace,
        (
            "  history: telemetry/history.csv\n",
            &format!(
                "  prometheus: {{ url: \"http://reader:secret-word@{address}\", timeout_s: 1 }}\n"
            ),
        ),
        (
            "  history   = \"${var.telemetry}/history.csv\"\n",
            "  prometheus {\n    url       = var.url\n    timeout_s = 1\n  }\n",
        ),
    );
    let config = workspace.read("main.tf");
    let url = format!(
        "\nvariable \"url\" {{\n  default   = \"http://reader:secret-word@{address}\"\n  sensitive = true\n}}\n"
    );
    workspace.write("main.tf", config + &url);
}

#[test]
fn a_prometheus_that_is_down() {
    // A port that was free a moment ago.
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let spoil = |workspace: &Workspace| ask_prometheus(workspace, &address);
    refused("prometheus-down", 3, spoil, &[(&address, "ADDRESS")]);
}

#[test]
fn a_prometheus_that_never_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // Takes every request and holds it until the other side gives up.
    thread::spawn(move || {
        let hold = |mut stream: TcpStream| {
            let mut taken = [0; 1024];
            while stream.read(&mut taken).is_ok_and(|count| count > 0) {}
        };
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || hold(stream));
        }
    });
    let spoil = |workspace: &Workspace| ask_prometheus(workspace, &address);
    refused("prometheus-slow", 3, spoil, &[(&address, "ADDRESS")]);
}
