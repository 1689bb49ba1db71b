//! Every policy through Terraform and on the command line: the same answer, reasons that say what one instance less would break, quiet when nothing happened.

use foremesh_acceptance_tests::{foremesh, need};
use serde_json::Value;

use crate::shop::{plan, shop, terraform_in};

const NEXT_DAY: &str = "as_of=2026-11-21T00:00:00Z";
/// What the first candidate of each is called.
const WAYS: [(&str, &str, &[&str]); 4] = [
    ("analytic", "target_tracking", &["schedule and autoscaler"]),
    ("search", "scheduled", &["search with"]),
    (
        "search",
        "target_tracking",
        &["schedule and autoscaler", "learned policy"],
    ),
    // Where what was learned is worth less than the rule or the floor, these are taken.
    (
        "gnn",
        "target_tracking",
        &["learned policy", "rule and autoscaler", "schedule at"],
    ),
];

#[test]
fn every_policy_is_planned_applied_and_quiet_and_the_command_line_says_the_same() {
    let program = need!(Terraform);
    for (policy, scaling, taken) in WAYS {
        let workspace = shop();
        let objective = "slo      = { latency_ms = 800, percentile = 99, availability = 0.995 }";
        let config = workspace.read("main.tf");
        assert!(config.contains(objective));
        // One fault in place of four, for the test's time.
        let learns = policy != "analytic";
        let faults = if learns { "\n  prove_faults = 1" } else { "" };
        let asked = format!(
            "{objective}\n  policy   = \"{policy}\"\n  scaling  = \"{scaling}\"{faults}\n  explain  = [\"shop/frontend\"]"
        );
        let outputs = ["settings", "candidates", "faults", "warnings", "why"].map(|name| {
            let from = match name {
                "settings" => "foremesh_adopted_profile.paris.adopted".into(),
                _ => format!("data.foremesh_mesh_profile.paris.{name}"),
            };
            format!("output \"{name}\" {{ value = {from} }}\n")
        });
        workspace.write(
            "main.tf",
            config.replace(objective, &asked) + &outputs.concat(),
        );
        let request = workspace.read("request.yaml");
        let faults = if learns { "  prove_faults: 1\n" } else { "" };
        let request = request + &format!("  policy: {policy}\n  scaling: {scaling}\n{faults}");
        workspace.write("request.yaml", request);

        let terraform = terraform_in(program.clone(), &workspace);
        terraform.apply(&[]);
        assert!(!terraform.plan(&[]).changes, "{policy} {scaling}");
        let said = terraform.outputs();
        let planned = plan(&workspace, "plan");

        let first = said["candidates"][0]["name"].as_str().unwrap();
        assert!(
            taken.iter().any(|name| first.starts_with(name)),
            "{policy} {scaling}: {first}"
        );
        assert_eq!(planned["candidates"][0]["name"], first);
        // Terraform's states know no differences between 1 and 1.0.
        let instances = |settings: &Value| -> Vec<(String, Value)> {
            let services = settings["services"].as_object().unwrap();
            let each = services.iter();
            each.map(|(name, service)| (name.clone(), service["instances"].clone()))
                .collect()
        };
        assert_eq!(
            instances(&said["settings"]),
            instances(&planned["settings"])
        );
        let targets = |settings: &Value| -> Vec<Option<f64>> {
            let services = settings["services"].as_object().unwrap();
            let target = |service: &Value| service["autoscaling"]["requests_per_second"].as_f64();
            services.values().map(target).collect()
        };
        let targets_said = targets(&said["settings"]);
        assert_eq!(targets_said, targets(&planned["settings"]));
        let tracks = scaling == "target_tracking" && !first.starts_with("schedule at");
        assert!(targets_said.iter().all(|target| target.is_some() == tracks));

        // What was learned or searched is proved under faults.
        let faults = said["faults"].as_array().unwrap().len();
        assert_eq!(faults, usize::from(learns), "{policy} {scaling}");
        let why = &said["why"]["shop/frontend"];
        let of_instances = why.as_object().unwrap().iter();
        let mut why_instances = of_instances.filter(|(path, _)| path.ends_with("].instances"));
        let (_, text) = why_instances.next().unwrap();
        let text = text.as_str().unwrap();
        assert!(
            text.contains("one less") || text.contains("fewest that"),
            "{text}"
        );

        // A quiet day later nothing changes without an autoscaler. With one a target may only fall, and what follows from it is moved with it: where the
        // proposal gives instances less to do, that is taken over. Room for recovery from a fault, which the next day's simulations may not ask for, is given up too.
        let later = terraform.plan(&["-var", NEXT_DAY]);
        let Some(change) = later.resources.get("foremesh_adopted_profile.paris") else {
            continue;
        };
        assert!(tracks, "{policy} {scaling}: {}", later.run);
        let [before, after] = ["before", "after"].map(|when| targets(&change[when]["adopted"]));
        assert!(
            before
                .iter()
                .zip(&after)
                .all(|(before, after)| after <= before),
            "{policy} {scaling}: {before:?} to {after:?}"
        );
        // Where no target moved, only services with room for recovery have other instances.
        let room: Vec<&str> = said["warnings"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|warning| warning["code"] == "room_for_recovery")
            .map(|warning| warning["text"].as_str().unwrap())
            .collect();
        let [then, now] = ["before", "after"].map(|when| instances(&change[when]["adopted"]));
        let moved = then.iter().zip(&now).filter(|(then, now)| then != now);
        let mut moved = moved.map(|((name, _), _)| name);
        let recovers = |name: &String| room.iter().any(|text| text.contains(name.as_str()));
        assert!(
            before != after || moved.all(recovers) && !room.is_empty(),
            "{policy} {scaling}: {}",
            later.run
        );
    }
}

/// A region that is to be planned without anything learned: the search goes on with its rules, and what asks for the net alone is refused before anything is written.
#[test]
fn a_plan_can_do_without_the_learned_policy() {
    let workspace = shop();
    let request = workspace.read("request.yaml");
    let inference = "provider:\n  inference: { policy_model: none, refinement_model: none, forecaster: none }\n";
    let without = request.replacen("provider:\n", inference, 1);
    let asked = |policy: &str| {
        let text =
            format!("{without}  policy: {policy}\n  scaling: target_tracking\n  prove_faults: 0\n");
        workspace.write("request.yaml", text);
    };
    asked("search");
    let searched = plan(&workspace, "searched");
    let weighed = searched["candidates"].as_array().unwrap();
    let learned = |row: &Value| row["name"].as_str().unwrap().contains("learned policy");
    assert!(!weighed.iter().any(learned), "{weighed:?}");
    let services = searched["settings"]["services"].as_object().unwrap();
    assert!(services.values().any(|s| s["autoscaling"].is_object()));

    asked("gnn");
    let arguments = ["plan", "request.yaml", "-o", "refused"];
    let refused = foremesh(workspace.path(), &arguments).expect_code(1);
    assert!(
        refused.stderr.contains("inference.policy_model"),
        "{refused}"
    );
    assert!(!workspace.join("refused").exists());
}
