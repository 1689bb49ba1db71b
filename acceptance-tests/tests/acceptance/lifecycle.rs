//! `terraform init`, `plan`, `apply`, `output`, `plan` again, drift, `destroy`, on the quickstart as it stands.

use std::fs;

use foremesh_acceptance_tests::need;

use crate::shop::{differing, files, plan, shop, terraform_in};

const TARGETS: [&str; 4] = ["ansible", "autoscaling", "envoy", "istio"];

#[test]
fn the_quickstart_is_planned_applied_read_and_destroyed() {
    let program = need!(Terraform);
    let workspace = shop();
    let terraform = terraform_in(program, &workspace);

    let first = terraform.plan(&[]);
    assert!(first.changes);
    assert_eq!(first.resources.len(), 1 + TARGETS.len(), "{}", first.run);
    terraform.apply(&["acceptance.tfplan"]);

    // What outputs say is what lies on disk.
    let outputs = terraform.outputs();
    for target in TARGETS {
        let written = files(&workspace.join(&format!("stacks/eu-west-3/{target}")));
        let written: Vec<_> = written
            .keys()
            .filter(|name| !name.starts_with('.'))
            .collect();
        let said = outputs["files"][target].as_array().unwrap();
        assert!(!said.is_empty(), "{target} has no file");
        assert_eq!(
            written,
            said.iter().map(|v| v.as_str().unwrap()).collect::<Vec<_>>()
        );
    }
    let instances = outputs["instances"].as_object().unwrap();
    assert_eq!(instances.len(), shop_telemetry::shop::SERVICES.len());
    for (service, schedule) in instances {
        assert!(
            schedule.as_str().unwrap().starts_with("0:"),
            "{service}: {schedule}"
        );
        assert!(outputs["rate_limits"][service].as_f64().unwrap() > 0.0);
    }

    // Nothing to do, as the same instant gives the same bytes; so also where the files were never written.
    assert!(!terraform.plan(&[]).changes);
    let stacks = workspace.join("stacks");
    fs::rename(&stacks, workspace.join("elsewhere")).unwrap();
    let elsewhere = terraform.plan(&[]);
    assert!(!elsewhere.changes, "{}", elsewhere.run);
    fs::rename(workspace.join("elsewhere"), &stacks).unwrap();

    // An altered file is seen and mended; a file of somebody else is left alone, also by destroy.
    let cart = "stacks/eu-west-3/envoy/shop.cart/envoy.yaml";
    let before = workspace.read(cart);
    workspace.write(cart, "altered: true\n");
    workspace.write("stacks/eu-west-3/envoy/OURS.md", "not of Foremesh\n");
    let drift = terraform.plan(&[]);
    assert_eq!(
        drift.resources.keys().collect::<Vec<_>>(),
        ["foremesh_bundle.paris[\"envoy\"]"],
        "{}",
        drift.run
    );
    terraform.apply(&[]);
    assert_eq!(workspace.read(cart), before);

    terraform.destroy();
    let left = files(&stacks);
    assert_eq!(left.keys().collect::<Vec<_>>(), ["eu-west-3/envoy/OURS.md"]);
}

#[test]
fn the_command_line_and_terraform_give_the_same_answer() {
    let program = need!(Terraform);
    let workspace = shop();
    let terraform = terraform_in(program, &workspace);
    terraform.apply(&[]);
    let plan = plan(&workspace, "plan");
    let outputs = terraform.outputs();
    for (service, schedule) in outputs["instances"].as_object().unwrap() {
        let settings = &plan["settings"]["services"][service];
        assert_eq!(*schedule, settings["instances"]);
        assert_eq!(
            outputs["rate_limits"][service].as_f64(),
            settings["rate_limit"]["requests_per_second"].as_f64()
        );
    }
    for target in TARGETS {
        let (ours, theirs) = (
            files(&workspace.join(&format!("plan/{target}"))),
            files(&workspace.join(&format!("stacks/eu-west-3/{target}"))),
        );
        for (name, content) in ours {
            assert!(
                theirs.get(&name) == Some(&content),
                "{target}/{name} differs"
            );
        }
    }
}

#[test]
fn a_region_is_planned_together_with_a_stack_that_does_not_exist_yet() {
    let program = need!(Terraform);
    let workspace = shop();
    let config = workspace.read("main.tf").replace(
        "region        = \"eu-west-3\"",
        "region        = terraform_data.stack.output",
    );
    let stack = "\nresource \"terraform_data\" \"stack\" {\n  input = \"eu-west-3\"\n}\n";
    workspace.write("main.tf", config + stack);
    let terraform = terraform_in(program, &workspace);
    let first = terraform.plan(&[]);
    assert_eq!(first.resources.len(), 2 + TARGETS.len(), "{}", first.run);
    terraform.apply(&["acceptance.tfplan"]);
    let again = terraform.plan(&[]);
    assert!(!again.changes, "{}", again.run);
    assert!(
        !terraform.outputs()["instances"]
            .as_object()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn the_same_request_gives_byte_identical_folders() {
    let workspace = shop();
    let (first, again) = (plan(&workspace, "first"), plan(&workspace, "again"));
    assert_eq!(differing(&first, &again), [""; 0]);
    let (first, again) = (
        files(&workspace.join("first")),
        files(&workspace.join("again")),
    );
    assert_eq!(
        first.keys().collect::<Vec<_>>(),
        again.keys().collect::<Vec<_>>()
    );
    for (name, content) in &first {
        assert!(again[name] == *content, "{name} differs");
    }
}
