//! What the team's own manifests set is named before anything is applied beside it: by the command line and by Terraform.

use std::{collections::BTreeSet, fs};

use foremesh_acceptance_tests::{Workspace, foremesh, need};

use crate::shop::{files, plan, shop, terraform_in};

/// Where the team's limits, routes and autoscalers stand.
const LIMITS: &str = "telemetry/manifests/limits.yaml";

/// Takes out of the team's manifests what the plan sets too.
fn mend(workspace: &Workspace) {
    fs::remove_file(workspace.join(LIMITS)).unwrap();
    for file in files(&workspace.join("telemetry/manifests")).keys() {
        let file = format!("telemetry/manifests/{file}");
        let text = workspace.read(&file);
        workspace.write(&file, text.replace("  replicas: 3\n", ""));
    }
}

fn codes(plan: &serde_json::Value) -> BTreeSet<String> {
    let warnings = plan["warnings"].as_array().unwrap();
    warnings
        .iter()
        .filter_map(|warning| warning["code"].as_str())
        .filter(|code| code.starts_with("clash_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_command_line_names_both_objects_with_their_files() {
    let workspace = shop();
    let planned = plan(&workspace, "plan");
    let texts: Vec<String> = planned["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|warning| warning["code"].as_str().unwrap().starts_with("clash_"))
        .map(|warning| format!("{}: {}", warning["subject"], warning["text"]))
        .collect();
    for ours in ["autoscaling/shop/frontend.yaml:", "istio/shop/cart.yaml:"] {
        assert!(
            texts
                .iter()
                .any(|text| text.contains(ours) && text.contains(LIMITS)),
            "{ours}: {texts:#?}"
        );
    }
    let said = foremesh(workspace.path(), &["plan", "request.yaml", "-o", "plan"]).stderr;
    assert!(
        said.contains("once the plan's is applied") || said.contains("remove replicas"),
        "{said}"
    );

    // The same rules over the same objects: what the plan says, the lint says of the folders.
    let lint = foremesh(
        workspace.path(),
        &[
            "lint",
            "telemetry/manifests",
            "plan/istio",
            "plan/autoscaling",
        ],
    );
    for code in codes(&planned) {
        let rule = code.trim_start_matches("clash_").replace('_', "-");
        assert!(lint.stdout.contains(&format!("[{rule}]")), "{rule}\n{lint}");
    }

    // Mended, nothing is left to say.
    mend(&workspace);
    assert_eq!(codes(&plan(&workspace, "plan")), BTreeSet::new());
}

#[test]
fn terraform_warns_of_what_it_is_about_to_write_beside_it() {
    let program = need!(Terraform);
    let workspace = shop();
    let terraform = terraform_in(program, &workspace);
    let said = |plan: &foremesh_acceptance_tests::Plan| -> String {
        plan.run
            .stdout
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    // Nothing is known of the settings before the first apply; from then on each plan says it.
    terraform.apply(&[]);
    let second = terraform.plan(&[]);
    assert!(!second.changes, "{}", second.run);
    let text = said(&second);
    for part in [
        "clash two autoscalers",
        "HorizontalPodAutoscaler shop/",
        "autoscaling/shop/",
        LIMITS,
    ] {
        assert!(text.contains(part), "{part}\n{}", second.run);
    }
    mend(&workspace);
    let third = terraform.plan(&[]);
    assert!(!said(&third).contains("clash"), "{}", third.run);
}
