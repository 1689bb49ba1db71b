//! Plans are quiet when nothing of weight happened, and honest when something did.

use std::collections::BTreeSet;

use foremesh_acceptance_tests::{Terraform, Workspace, need};
use serde_json::Value;

use crate::shop::{differing, files, plan, rewrite_history, shop, terraform_in};

const ADOPTED: &str = "foremesh_adopted_profile.paris";
const AS_OF: &str = "2026-11-20T00:00:00Z";
const NEXT_DAY: &str = "as_of=2026-11-21T00:00:00Z";

/// What a row becomes, by its timestamp and its requests a second.
type Alteration = fn(&str, f64) -> Option<f64>;

fn applied(program: std::path::PathBuf, variables: &[&str]) -> (Workspace, Terraform) {
    let workspace = shop();
    let terraform = terraform_in(program, &workspace);
    terraform.apply(variables);
    (workspace, terraform)
}

#[test]
fn the_same_instant_and_a_quiet_day_later_change_nothing() {
    let (_workspace, terraform) = applied(need!(Terraform), &[]);
    assert!(!terraform.plan(&[]).changes);
    let later = terraform.plan(&["-var", NEXT_DAY]);
    assert!(!later.changes, "{}", later.run);
}

#[test]
fn without_tolerance_a_quiet_day_shows_what_was_held_back() {
    let (_workspace, terraform) = applied(need!(Terraform), &["-var", "tolerance=0"]);
    assert!(!terraform.plan(&["-var", "tolerance=0"]).changes);
    let later = terraform.plan(&["-var", "tolerance=0", "-var", NEXT_DAY]);
    let change = later
        .resources
        .get(ADOPTED)
        .unwrap_or_else(|| panic!("{}", later.run));
    assert!(!differing(&change["before"]["adopted"], &change["after"]["adopted"]).is_empty());
}

/// The last part of a path, or the last two where the last alone says little.
fn field(path: &str) -> String {
    let parts: Vec<&str> = path.split('.').collect();
    match parts.as_slice() {
        [
            ..,
            group @ ("caller_limits" | "gateway_limits" | "rate_limit"),
            name,
        ] => format!("{group}.{name}"),
        // Connections to a store are shared among the callers that there are.
        [group @ "connections", .., name] => format!("{group}.{name}"),
        [.., name] => (*name).into(),
        [] => String::new(),
    }
}

#[test]
fn a_third_more_demand_moves_what_follows_from_demand_and_nothing_else() {
    let (workspace, terraform) = applied(need!(Terraform), &[]);
    rewrite_history(&workspace, |_, rate| Some(rate * 1.3));
    let more = terraform.plan(&[]);
    assert!(more.resources.contains_key(ADOPTED), "{}", more.run);
    let change = &more.resources[ADOPTED];
    let (before, after) = (&change["before"]["adopted"], &change["after"]["adopted"]);
    let moved = differing(before, after);
    let fields: BTreeSet<String> = moved.iter().map(|path| field(path)).collect();
    // What one instance can do, how long a call may take and what counts as broken do not depend on demand.
    let allowed: BTreeSet<String> = ["instances", "standby_instances"].map(str::to_owned).into();
    let others: Vec<_> = fields
        .iter()
        .filter(|field| !allowed.contains(*field))
        .filter(|field| {
            !["caller_limits.", "gateway_limits.", "connections."]
                .iter()
                .any(|group| field.starts_with(group))
        })
        .collect();
    assert!(others.is_empty(), "{others:?} moved as well: {moved:#?}");

    // And what follows moved by as much as it must.
    let hours = |value: &Value| -> u64 {
        let services = value["services"].as_object().unwrap();
        services
            .values()
            .map(|service| instance_hours(service["instances"].as_str().unwrap()))
            .sum()
    };
    let ratio = hours(after) as f64 / hours(before) as f64;
    assert!(
        (1.1..1.4).contains(&ratio),
        "instance hours moved by {ratio}"
    );

    // Once it is taken over, all is quiet again.
    terraform.apply(&[]);
    assert!(!terraform.plan(&[]).changes);
}

/// Instance hours of a schedule `hour:instances,…` over the quickstart's 72 hours.
fn instance_hours(schedule: &str) -> u64 {
    let steps: Vec<(u64, u64)> = schedule
        .split(',')
        .map(|step| step.split_once(':').unwrap())
        .map(|(hour, instances)| (hour.parse().unwrap(), instances.parse().unwrap()))
        .collect();
    let ends = steps.iter().skip(1).map(|(hour, _)| *hour).chain([72]);
    steps
        .iter()
        .zip(ends)
        .map(|((hour, instances), end)| instances * (end - hour))
        .sum()
}

#[test]
fn nothing_after_as_of_moves_a_byte() {
    let workspace = shop();
    let known = plan(&workspace, "known");
    let alterations: [(&str, Alteration); 3] = [
        ("ten times as much", |at, rate| {
            Some(if at >= AS_OF { rate * 10.0 } else { rate })
        }),
        ("nothing at all", |at, rate| (at < AS_OF).then_some(rate)),
        ("zeros", |at, rate| {
            Some(if at >= AS_OF { 0.0 } else { rate })
        }),
    ];
    let expected = files(&workspace.join("known"));
    for (name, alteration) in alterations {
        let altered = shop();
        rewrite_history(&altered, alteration);
        assert_eq!(
            differing(&known, &plan(&altered, "plan")),
            [""; 0],
            "{name}"
        );
        for (file, content) in files(&altered.join("plan")) {
            assert!(expected[&file] == content, "{name}: {file} differs");
        }
    }
    // The test can fail: the row before the instant does move the plan.
    rewrite_history(&workspace, |at, rate| {
        Some(if at >= "2026-11-19" { rate * 3.0 } else { rate })
    });
    assert!(!differing(&known, &plan(&workspace, "moved")).is_empty());
}

#[test]
fn nothing_after_as_of_moves_terraform_even_without_tolerance() {
    let (workspace, terraform) = applied(need!(Terraform), &["-var", "tolerance=0"]);
    rewrite_history(&workspace, |at, rate| {
        Some(if at >= AS_OF { rate * 10.0 } else { rate })
    });
    let again = terraform.plan(&["-var", "tolerance=0"]);
    assert!(!again.changes, "{}", again.run);
}
