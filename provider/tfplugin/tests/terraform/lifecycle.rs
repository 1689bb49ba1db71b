//! A managed resource from its creation to its end.

use serde_json::json;

use crate::workspace::{Workspace, actions, change};

const PIE: &str = r#"
resource "kitchen_dish" "pie" {
  name  = "pie"
  oven  = "big"
  price = 0.1
  garnish = { herb = "dill" }
  course { title = "one" }
  course { title = "two" }
}
"#;

#[test]
fn created_updated_replaced_and_destroyed() {
    let Some(workspace) = Workspace::new("") else {
        return;
    };
    let plan = workspace.configure(PIE).plan(&[]).unwrap();
    assert_eq!(actions(&plan, "kitchen_dish.pie"), ["create"]);
    let unknown = &change(&plan, "kitchen_dish.pie")["after_unknown"];
    assert_eq!(unknown["id"], true);
    assert_eq!(unknown["garnish"], json!({"grams": true}));
    assert_eq!(unknown["course"], json!([{"rank": true}, {"rank": true}]));

    workspace.apply();
    let state = workspace.state("kitchen_dish.pie");
    assert_eq!(state["id"], "dish-pie");
    assert_eq!(state["edition"], 1);
    assert_eq!(state["colour"], "brown");
    assert_eq!(state["garnish"], json!({"herb": "dill", "grams": 0.1}));
    assert_eq!(
        state["course"],
        json!([{"title": "one", "rank": 1}, {"title": "two", "rank": 2}])
    );
    assert_eq!(workspace.pantry(), ["dish-pie.json"]);
    assert_eq!(workspace.plan(&[]), None);

    // The stable id stays known; the edition, counted in private bytes, is not.
    workspace.configure(&PIE.replace("0.1", "0.2"));
    let plan = workspace.plan(&[]).unwrap();
    assert_eq!(actions(&plan, "kitchen_dish.pie"), ["update"]);
    let update = change(&plan, "kitchen_dish.pie");
    assert_eq!(update["after"]["id"], "dish-pie");
    assert_eq!(update["after_unknown"]["edition"], true);
    workspace.apply();
    assert_eq!(workspace.state("kitchen_dish.pie")["edition"], 2);
    assert_eq!(workspace.plan(&[]), None);

    workspace.configure(&PIE.replace("big", "small"));
    let plan = workspace.plan(&[]).unwrap();
    assert_eq!(actions(&plan, "kitchen_dish.pie"), ["delete", "create"]);
    assert_eq!(
        change(&plan, "kitchen_dish.pie")["replace_paths"],
        json!([["oven"]])
    );
    workspace.apply();
    assert_eq!(workspace.state("kitchen_dish.pie")["edition"], 1);
    assert_eq!(workspace.plan(&[]), None);

    let said = workspace.run(&["destroy", "-auto-approve"]);
    assert!(said.success, "{}", said.text);
    assert_eq!(workspace.pantry(), [] as [&str; 0]);
    assert_eq!(workspace.leftovers(), [] as [&str; 0]);
}

#[test]
fn what_changed_behind_terraforms_back_is_seen() {
    let Some(workspace) = Workspace::new("") else {
        return;
    };
    workspace.configure(PIE).apply();
    let file = workspace.path("pantry/dish-pie.json");
    let stored = std::fs::read_to_string(&file).unwrap();

    std::fs::write(&file, stored.replace("0.1", "9")).unwrap();
    let plan = workspace.plan(&[]).unwrap();
    assert_eq!(actions(&plan, "kitchen_dish.pie"), ["update"]);
    assert_eq!(change(&plan, "kitchen_dish.pie")["before"]["price"], 9);

    std::fs::remove_file(&file).unwrap();
    let plan = workspace.plan(&[]).unwrap();
    assert_eq!(actions(&plan, "kitchen_dish.pie"), ["create"]);
}

#[test]
fn imported() {
    let Some(workspace) = Workspace::new("") else {
        return;
    };
    workspace.configure(PIE).apply();
    std::fs::remove_file(workspace.path("work/terraform.tfstate")).unwrap();

    let said = workspace.run(&["import", "kitchen_dish.pie", "dish-pie"]);
    assert!(said.success, "{}", said.text);
    assert_eq!(
        workspace.state("kitchen_dish.pie")["course"][1]["title"],
        "two"
    );
    assert_eq!(workspace.plan(&[]), None);

    workspace.configure(
        r#"
        resource "kitchen_adopted" "a" {
          proposed  = {}
          tolerance = 0
        }
    "#,
    );
    workspace
        .run(&["import", "kitchen_adopted.a", "x"])
        .assert_says("kitchen_adopted cannot be imported.");
}

#[test]
fn a_creation_that_got_half_way_is_kept_and_made_anew() {
    let Some(workspace) = Workspace::new("") else {
        return;
    };
    workspace.configure(
        &PIE.replace(r#""pie""#, r#""half-baked""#)
            .replace(r#"" "half-baked" {"#, r#"" "pie" {"#),
    );
    workspace
        .run(&["apply", "-auto-approve"])
        .assert_says("Error: Half baked")
        .assert_says("The oven went out.");
    assert_eq!(workspace.state("kitchen_dish.pie")["id"], "dish-half-baked");
    assert_eq!(
        actions(&workspace.plan(&[]).unwrap(), "kitchen_dish.pie"),
        ["delete", "create"]
    );
}

#[test]
fn a_state_of_an_older_schema_is_upgraded() {
    let Some(workspace) = Workspace::new("") else {
        return;
    };
    workspace.configure(PIE).apply();
    let path = workspace.path("work/terraform.tfstate");
    let state = std::fs::read_to_string(&path).unwrap();
    let old = state
        .replace(r#""schema_version": 1"#, r#""schema_version": 0"#)
        .replace(r#""name": "pie","#, r#""title": "pie","#);
    // The resource's own name stands above its instances and must stay.
    let old = old.replacen(r#""title": "pie","#, r#""name": "pie","#, 1);
    assert_ne!(state, old);
    std::fs::write(&path, old).unwrap();
    assert_eq!(workspace.plan(&[]), None);
}

#[test]
fn a_write_only_value_reaches_the_provider_and_no_state() {
    let Some(workspace) = Workspace::new("") else {
        return;
    };
    let configuration = PIE.replace("price = 0.1", r#"sauce = "crimson""#);
    workspace.configure(&configuration).apply();
    let state = workspace.state("kitchen_dish.pie");
    assert_eq!(state["colour"], "crimson");
    assert_eq!(state["sauce"], json!(null));
    assert_eq!(workspace.plan(&[]), None);
}

#[test]
fn terraform_uses_a_provider_that_a_developer_started() {
    use std::{
        io::{BufRead, BufReader},
        process::{Command, Stdio},
    };
    let Some(workspace) = Workspace::new("") else {
        return;
    };
    // Without its mirror, Terraform has no other provider to start.
    std::fs::remove_dir_all(workspace.path("mirror")).unwrap();
    std::fs::remove_dir_all(workspace.path("work/.terraform")).unwrap();
    std::fs::remove_file(workspace.path("work/.terraform.lock.hcl")).unwrap();
    let mut provider = Command::new(crate::support::provider_binary())
        .arg("-debug")
        .env("TMPDIR", workspace.path("tmp"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(provider.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains("Ctrl-C ends it.") {
        assert_ne!(stdout.read_line(&mut text).unwrap(), 0, "{text}");
    }
    let reattach = text
        .split_once("TF_REATTACH_PROVIDERS='")
        .unwrap()
        .1
        .split_once('\'')
        .unwrap()
        .0;

    workspace.configure(r#"output "sum" { value = provider::kitchen::add(1, 2) }"#);
    for arguments in [&["init"][..], &["apply", "-auto-approve"]] {
        let said = workspace
            .command(arguments)
            .env("TF_REATTACH_PROVIDERS", reattach)
            .output()
            .unwrap();
        assert!(
            said.status.success(),
            "{}",
            String::from_utf8_lossy(&said.stderr)
        );
    }
    assert_eq!(workspace.output("sum"), "3");
    // Terraform has left it running for the next command.
    assert!(provider.try_wait().unwrap().is_none());
    provider.kill().unwrap();
    provider.wait().unwrap();
}
