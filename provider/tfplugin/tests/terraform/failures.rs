//! What a user sees when something is wrong, and Ctrl-C.

use std::{
    os::unix::process::CommandExt,
    process::{Command, Stdio},
};

use crate::workspace::{Said, Workspace};

#[test]
fn a_wrong_value_is_shown_with_its_place() {
    let Some(workspace) = Workspace::new("") else {
        return;
    };
    workspace
        .configure(
            r#"
            data "kitchen_recipe" "r" {
              name        = "soup"
              old_name    = "potage"
              ingredients = { leek = { grams = -1 } }
            }
            "#,
        )
        .run(&["plan"])
        .assert_says("Error: No weight")
        .assert_says("on main.tf line 5")
        .assert_says(r#"ingredients["leek"].grams: An ingredient weighs more than nothing."#)
        .assert_says("Warning: Deprecated attribute");

    workspace
        .configure(
            r#"data "kitchen_recipe" "r" {
            name        = "soup"
            ingredients = { leek = { grams = 1, pieces = 300 } }
        }"#,
        )
        .run(&["plan"])
        .assert_says("Error: Invalid value")
        .assert_says("ingredients[\"leek\"].pieces: invalid value: integer `300`, expected u8");
}

#[test]
fn a_wrong_provider_configuration_is_shown_with_its_place() {
    let Some(workspace) = Workspace::new(r#"chef = """#) else {
        return;
    };
    workspace
        .configure(r#"data "kitchen_recipe" "r" { name = "soup" }"#)
        .run(&["plan"])
        .assert_says("Error: No chef")
        .assert_says(r#"on provider.tf line 8"#);
}

#[test]
fn a_panic_shows_its_message_and_no_backtrace() {
    let Some(workspace) = Workspace::new("") else {
        return;
    };
    let said = workspace
        .configure(r#"data "kitchen_broken" "b" { message = "hot" }"#)
        .run(&["plan"]);
    said.assert_says("Error: The provider failed")
        .assert_says("Reading kitchen_broken panicked: the soup boiled over: hot");
    assert!(!said.success);
    for trace in [
        "stack backtrace",
        "rust_begin_unwind",
        "panicked at",
        "src/",
    ] {
        assert!(!said.text.contains(trace), "{}", said.text);
    }
}

#[test]
fn a_function_points_at_its_argument() {
    let Some(workspace) = Workspace::new("") else {
        return;
    };
    workspace
        .configure(r#"output "x" { value = provider::kitchen::positive(1, -1) }"#)
        .run(&["plan"])
        .assert_says("Error: Invalid function argument")
        .assert_says(r#"Invalid value for "b" parameter: must be positive."#);
    let said = workspace
        .configure(r#"output "x" { value = provider::kitchen::explode() }"#)
        .run(&["plan"]);
    said.assert_says("The function explode panicked: the oven exploded");
}

/// A terminal sends the interrupt to the whole process group: to Terraform and to its providers.
#[test]
fn ctrl_c_ends_a_read_at_once_and_leaves_nothing_behind() {
    let Some(workspace) = Workspace::new("") else {
        return;
    };
    for computing in ["false", "true"] {
        let mark = workspace.path(&format!("mark-{computing}"));
        workspace.configure(&format!(
            "data \"kitchen_slow\" \"s\" {{\n  mark      = {mark:?}\n  computing = {computing}\n}}\n"
        ));
        let terraform = workspace
            .command(&["plan"])
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        while !mark.exists() {
            std::thread::yield_now();
        }
        let group = format!("-{}", terraform.id());
        assert!(
            Command::new("kill")
                .args(["-INT", "--", &group])
                .status()
                .unwrap()
                .success()
        );
        let said = Said::of(terraform.wait_with_output().unwrap());
        assert!(!said.success);
        said.assert_says("Interrupt received.");
        // A read that computes looks for the cancellation, and may answer before the server ends it.
        if computing == "false" || !said.flat().contains("It was cancelled.") {
            said.assert_says("Reading kitchen_slow was stopped before it was done.");
        }
        assert_eq!(workspace.leftovers(), [] as [&str; 0]);
    }
}
