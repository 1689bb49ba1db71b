//! A plan that stays quiet although the configuration moved: what core accepts, and what it refuses.
//!
//! The configured attribute keeps its prior value in the plan, and so does the computed one beside it. Core permits
//! that for a configured attribute as long as it is the prior value wholly.

use serde_json::json;

use crate::workspace::{Workspace, actions, change};

fn adopted(proposed: &str, tolerance: &str) -> String {
    format!(
        "resource \"kitchen_adopted\" \"a\" {{\n  proposed  = {proposed}\n  tolerance = {tolerance}\n}}\n\
         output \"adopted\" {{ value = kitchen_adopted.a.adopted }}\n"
    )
}

#[test]
fn small_moves_change_nothing_and_add_up_to_a_change() {
    let Some(workspace) = Workspace::new("") else {
        return;
    };
    workspace
        .configure(&adopted("{ cart = 100, checkout = 0.1 }", "0.1"))
        .apply();
    assert_eq!(workspace.plan(&[]), None);

    for cart in ["105", "109", "91"] {
        workspace.configure(&adopted(
            &format!("{{ cart = {cart}, checkout = 0.1 }}"),
            "0.1",
        ));
        assert_eq!(workspace.plan(&[]), None, "{cart}");
        workspace.apply();
    }
    // The state still holds where the last change began, so 105 and then 112 is not two small steps.
    let state = workspace.state("kitchen_adopted.a");
    assert_eq!(state["proposed"], json!({"cart": 100, "checkout": 0.1}));
    assert_eq!(state["adopted"], json!({"cart": 100, "checkout": 0.1}));

    workspace.configure(&adopted("{ cart = 112, checkout = 0.1 }", "0.1"));
    let plan = workspace.plan(&[]).unwrap();
    assert_eq!(actions(&plan, "kitchen_adopted.a"), ["update"]);
    let update = change(&plan, "kitchen_adopted.a");
    assert_eq!(update["before"]["adopted"]["cart"], 100);
    assert_eq!(update["after"]["adopted"]["cart"], 112);
    workspace.apply();
    assert_eq!(workspace.plan(&[]), None);
    assert_eq!(
        workspace.output("adopted"),
        r#"{"cart":112,"checkout":0.1}"#
    );
}

#[test]
fn new_keys_and_a_new_tolerance_are_changes() {
    let Some(workspace) = Workspace::new("") else {
        return;
    };
    workspace
        .configure(&adopted("{ cart = 100 }", "0.1"))
        .apply();
    workspace.configure(&adopted("{ cart = 100, checkout = 1 }", "0.1"));
    assert_eq!(
        actions(&workspace.plan(&[]).unwrap(), "kitchen_adopted.a"),
        ["update"]
    );
    workspace.configure(&adopted("{ cart = 101 }", "0"));
    let plan = workspace.plan(&[]).unwrap();
    assert_eq!(
        change(&plan, "kitchen_adopted.a")["after"]["adopted"],
        json!({"cart": 101})
    );
}

#[test]
fn a_proposal_that_is_not_known_yet_is_planned_as_unknown() {
    let Some(workspace) = Workspace::new("") else {
        return;
    };
    let configuration = format!(
        "resource \"terraform_data\" \"size\" {{\n  input = 100\n}}\n{}",
        adopted("{ cart = terraform_data.size.output }", "0.1")
    );
    let plan = workspace.configure(&configuration).plan(&[]).unwrap();
    assert_eq!(
        change(&plan, "kitchen_adopted.a")["after_unknown"]["adopted"],
        json!({"cart": true})
    );
    workspace.apply();
    assert_eq!(workspace.plan(&[]), None);

    // The input moves a little. Its output is unknown while planning, and known to be a small move while applying.
    workspace.configure(&configuration.replace("100", "101"));
    workspace.apply();
    assert_eq!(workspace.plan(&[]), None);
}

#[test]
fn nested_attributes_and_blocks_are_kept_as_far_as_core_permits() {
    let Some(workspace) = Workspace::new("") else {
        return;
    };
    let dish = |name: &str, price: &str, herb: &str, courses: &[&str]| {
        let courses: String = courses
            .iter()
            .map(|title| format!("course {{ title = {title:?} }}\n"))
            .collect();
        format!(
            "resource \"kitchen_dish\" \"d\" {{\nlazy = true\noven = \"big\"\nname = {name:?}\n{price}\n\
             garnish = {{ herb = {herb:?} }}\n{courses}}}\n"
        )
    };
    workspace
        .configure(&dish("pie", "price = 1", "dill", &["one", "two"]))
        .apply();
    assert_eq!(workspace.plan(&[]), None);

    workspace.configure(&dish("tart", "price = 2", "mint", &["uno", "due"]));
    assert_eq!(workspace.plan(&[]), None);

    // A price that is configured no more and a third course cannot be ignored; everything else is.
    workspace.configure(&dish("tart", "", "mint", &["uno", "due", "tre"]));
    let plan = workspace.plan(&[]).unwrap();
    assert_eq!(actions(&plan, "kitchen_dish.d"), ["update"]);
    let after = &change(&plan, "kitchen_dish.d")["after"];
    assert_eq!(after["price"], json!(null));
    assert_eq!(after["name"], "pie");
    assert_eq!(after["garnish"], json!({"herb": "dill", "grams": 0.1}));
    assert_eq!(after["course"][2]["title"], "tre");
    workspace.apply();
    assert_eq!(workspace.plan(&[]), None);
}
