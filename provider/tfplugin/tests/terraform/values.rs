//! Values on their way through Terraform: exact, typed, null, unknown.

use serde_json::{Value as Json, json};

use crate::workspace::{Workspace, change};

#[test]
fn numbers_keep_every_digit_through_functions_data_sources_and_resources() {
    let Some(workspace) = Workspace::new("") else {
        return;
    };
    let digits = [
        "0.1",
        "12345678901234567890",
        "123456789012345678901234567890.123456789",
        "-7",
        "1e-7",
        "2.5",
    ];
    let numbers = digits.join(", ");
    workspace.configure(&format!(
        r#"
        locals {{ numbers = [{numbers}] }}
        output "function" {{ value = [for n in local.numbers : provider::kitchen::echo(n)] }}
        data "kitchen_recipe" "r" {{
          name     = "soup"
          anything = local.numbers
        }}
        output "data" {{ value = data.kitchen_recipe.r.echo }}
        resource "kitchen_adopted" "a" {{
          proposed  = {{ for n in local.numbers : tostring(n) => n }}
          tolerance = 0
        }}
        output "resource" {{ value = [for n in local.numbers : kitchen_adopted.a.adopted[tostring(n)]] }}
        output "same" {{
          value = [for n in local.numbers : provider::kitchen::echo(n) == n && kitchen_adopted.a.adopted[tostring(n)] == n]
        }}
        "#
    ));
    workspace.apply();
    let expected =
        "[0.1,12345678901234567890,123456789012345678901234567890.123456789,-7,0.0000001,2.5]";
    for output in ["function", "data", "resource"] {
        assert_eq!(workspace.output(output), expected, "{output}");
    }
    assert_eq!(workspace.output("same"), "[true,true,true,true,true,true]");
    // The state, read back, means the same numbers.
    assert_eq!(workspace.plan(&[]), None);
}

#[test]
fn types_survive_dynamic_places() {
    let Some(workspace) = Workspace::new("") else {
        return;
    };
    workspace.configure(
        r#"
        locals {
          list   = tolist(["a"])
          object = { a = [1, "x", true], b = null, c = tomap({ k = toset([1]) }) }
        }
        output "types" {
          value = [
            provider::kitchen::echo(local.list) == local.list,
            provider::kitchen::echo(local.object) == local.object,
            provider::kitchen::echo(null) == null,
          ]
        }
        data "kitchen_recipe" "r" {
          name     = "soup"
          anything = local.object
        }
        output "same" { value = data.kitchen_recipe.r.echo == local.object }
        "#,
    );
    workspace.apply();
    assert_eq!(workspace.output("types"), "[true,true,true]");
    assert_eq!(workspace.output("same"), "true");
    assert_eq!(workspace.plan(&[]), None);
}

#[test]
fn what_is_not_set_is_null_and_blocks_are_lists() {
    let Some(workspace) = Workspace::new("") else {
        return;
    };
    workspace.configure(
        r#"
        data "kitchen_recipe" "bare" { name = "bare" }
        data "kitchen_recipe" "full" {
          name        = "full"
          seasons     = [{ from = "May" }]
          ingredients = { leek = { grams = 2, tags = ["b", "a", "b"] } }
          step { text = "cut" }
          step {
            text    = "cook"
            minutes = 20
          }
          oven { degrees = 200 }
        }
        output "bare" { value = data.kitchen_recipe.bare }
        output "full" { value = data.kitchen_recipe.full }
        "#,
    );
    workspace.apply();
    let bare: Json = serde_json::from_str(&workspace.output("bare")).unwrap();
    assert_eq!(bare["ingredients"], Json::Null);
    assert_eq!(bare["step"], json!([]));
    assert_eq!(bare["oven"], Json::Null);
    assert_eq!(bare["portions"], json!({}));
    let full: Json = serde_json::from_str(&workspace.output("full")).unwrap();
    assert_eq!(full["seasons"], json!([{"from": "May", "until": null}]));
    assert_eq!(
        full["ingredients"]["leek"],
        json!({"grams": 2, "pieces": null, "tags": ["a", "b"]})
    );
    assert_eq!(
        full["step"],
        json!([{"text": "cut", "minutes": null}, {"text": "cook", "minutes": 20}])
    );
    assert_eq!(full["oven"], json!({"degrees": 200}));
    assert_eq!(full["steps_known"], 2);
}

#[test]
fn a_read_waits_for_what_is_not_known() {
    let Some(workspace) = Workspace::new("") else {
        return;
    };
    workspace.configure(
        r#"
        resource "terraform_data" "name" { input = "soup" }
        data "kitchen_recipe" "r" { name = terraform_data.name.output }
        output "name" { value = data.kitchen_recipe.r.name }
        "#,
    );
    let plan = workspace.plan(&[]).unwrap();
    assert_eq!(
        change(&plan, "data.kitchen_recipe.r")["actions"],
        json!(["read"])
    );
    workspace.apply();
    assert_eq!(workspace.output("name"), r#""soup""#);
}

#[test]
fn a_provider_that_is_not_configured_yet_says_how_to_wait() {
    let Some(workspace) = Workspace::new("chef = terraform_data.chef.output") else {
        return;
    };
    let configuration = r#"
        resource "terraform_data" "chef" { input = "Ada" }
        data "kitchen_recipe" "r" {
          name = "soup"
          # wait
        }
        output "chef" {
          value     = data.kitchen_recipe.r.chef
          sensitive = true
        }
    "#;
    workspace
        .configure(configuration)
        .run(&["plan"])
        .assert_says("Error: Not known before apply")
        .assert_says("The provider's chef is known only after apply")
        .assert_says("add depends_on = [");
    workspace
        .configure(&configuration.replace("# wait", "depends_on = [terraform_data.chef]"))
        .apply();
    assert_eq!(workspace.output("chef"), r#""Ada""#);
}

#[test]
fn the_schema_reaches_terraform_as_it_was_declared() {
    let Some(workspace) = Workspace::new("") else {
        return;
    };
    let output = workspace
        .command(&["providers", "schema", "-json"])
        .output()
        .unwrap();
    let schemas: Json = serde_json::from_slice(&output.stdout).unwrap();
    let kitchen = &schemas["provider_schemas"]["registry.terraform.io/acme/kitchen"];
    assert_eq!(
        kitchen["provider"]["block"]["attributes"]["chef"]["sensitive"],
        true
    );
    let dish = &kitchen["resource_schemas"]["kitchen_dish"];
    assert_eq!(dish["version"], 1);
    assert_eq!(
        dish["block"]["attributes"]["colour"],
        json!({
            "type": "string", "optional": true, "computed": true, "description_kind": "markdown"
        })
    );
    assert_eq!(
        dish["block"]["attributes"]["garnish"]["nested_type"]["nesting_mode"],
        "single"
    );
    assert_eq!(
        dish["block"]["block_types"]["course"]["nesting_mode"],
        "list"
    );
    let recipe = &kitchen["data_source_schemas"]["kitchen_recipe"]["block"];
    assert_eq!(recipe["description"], "A recipe, **computed**.");
    assert_eq!(recipe["attributes"]["old_name"]["deprecated"], true);
    assert_eq!(recipe["block_types"]["step"]["max_items"], 9);
    assert_eq!(recipe["block_types"]["oven"]["nesting_mode"], "single");
    let add = &kitchen["functions"]["add"];
    assert_eq!(
        add["variadic_parameter"],
        json!({"name": "others", "type": "number"})
    );
    assert_eq!(kitchen["functions"]["echo"]["return_type"], "dynamic");
}
