//! The plans that [`PlanResponse`] proposes, as core would judge them.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use serde_json::json;
use tfplugin::{
    Attribute, Block, Cancel, Nested, NestedBlock, PlanRequest, PlanResponse, Schema, Type, Value,
};

fn schema() -> Schema {
    Schema::new()
        .attribute(Attribute::computed("id", Type::String).stable())
        .attribute(Attribute::computed("edition", Type::Number))
        .attribute(Attribute::required("name", Type::String))
        .attribute(Attribute::optional("oven", Type::String).requires_replace())
        .attribute(Attribute::optional_computed("colour", Type::String))
        .attribute(Attribute::optional(
            "garnish",
            Nested::Map(vec![
                Attribute::required("herb", Type::String),
                Attribute::optional_computed("grams", Type::Number),
            ]),
        ))
        .block(NestedBlock::list(
            "course",
            Block::new()
                .attribute(Attribute::required("title", Type::String))
                .attribute(Attribute::computed("rank", Type::Number)),
        ))
}

/// What core proposes is given here, so that the tests read as core's side of the conversation.
fn request(
    prior: serde_json::Value,
    config: serde_json::Value,
    proposed: serde_json::Value,
) -> PlanRequest<()> {
    let schema = schema();
    let value = |json| Value::from_json(&json, &schema.object_type()).unwrap();
    PlanRequest {
        context: Arc::new(()),
        prior: Some(value(prior)).filter(|prior| !prior.is_null()),
        config: value(config),
        proposed: value(proposed),
        private: vec![7],
        deferral_allowed: false,
        schema: Arc::new(schema.clone()),
        cancel: Cancel::never(),
    }
}

fn text(value: &Value) -> String {
    // Unknown would be null in JSON.
    fn show(value: &Value) -> Value {
        match value {
            Value::Unknown => Value::from("(unknown)"),
            Value::List(elements) => Value::List(elements.iter().map(show).collect()),
            Value::Map(elements) => {
                Value::Map(elements.iter().map(|(k, v)| (k.clone(), show(v))).collect())
            }
            other => other.clone(),
        }
    }
    show(value).to_json().to_string()
}

#[test]
fn a_creation_leaves_unknown_what_only_the_provider_knows() {
    let config = json!({"name": "pie", "garnish": {"a": {"herb": "dill"}, "b": {"herb": "mint", "grams": 3}},
        "course": [{"title": "one"}]});
    let plan = PlanResponse::propose(&request(json!(null), config.clone(), config));
    insta::assert_snapshot!(text(&plan.planned), @r#"{"colour":"(unknown)","course":[{"rank":"(unknown)","title":"one"}],"edition":"(unknown)","garnish":{"a":{"grams":"(unknown)","herb":"dill"},"b":{"grams":3,"herb":"mint"}},"id":"(unknown)","name":"pie","oven":null}"#);
    assert_eq!(plan.requires_replace, []);
    assert_eq!(plan.private, [7]);
}

fn prior() -> serde_json::Value {
    json!({"id": "7", "edition": 1, "name": "pie", "oven": "big", "colour": "brown",
        "garnish": {"a": {"herb": "dill", "grams": 1}}, "course": [{"title": "one", "rank": 1}]})
}

#[test]
fn nothing_changed_plans_nothing() {
    let config = json!({"name": "pie", "oven": "big", "garnish": {"a": {"herb": "dill"}}, "course": [{"title": "one"}]});
    let request = request(prior(), config, prior());
    assert_eq!(Some(PlanResponse::propose(&request).planned), request.prior);
}

#[test]
fn an_update_keeps_what_is_stable_and_replaces_what_must_be() {
    let config = json!({"name": "tart", "oven": "small", "garnish": {"a": {"herb": "dill"}}, "course": [{"title": "one"}]});
    let mut proposed = prior();
    proposed["name"] = json!("tart");
    proposed["oven"] = json!("small");
    let plan = PlanResponse::propose(&request(prior(), config, proposed));
    insta::assert_snapshot!(text(&plan.planned), @r#"{"colour":"(unknown)","course":[{"rank":"(unknown)","title":"one"}],"edition":"(unknown)","garnish":{"a":{"grams":"(unknown)","herb":"dill"}},"id":"7","name":"tart","oven":"small"}"#);
    assert_eq!(plan.requires_replace, ["oven".into()]);
}

#[test]
fn keeping_the_prior_state_keeps_all_of_it_where_values_only_moved() {
    let config = json!({"name": "tart", "oven": "small", "colour": "red", "garnish": {"a": {"herb": "mint"}},
        "course": [{"title": "uno"}]});
    let mut proposed = config.clone();
    proposed["id"] = json!("7");
    let request = request(prior(), config, proposed);
    let plan = PlanResponse::keep_prior(&request);
    assert_eq!(Some(plan.planned), request.prior);
    assert_eq!(plan.requires_replace, []);
}

#[test]
fn keeping_the_prior_state_follows_the_configuration_where_core_insists() {
    // The oven is configured no more, and there is a second course: core accepts neither the old oven nor one course.
    let config = json!({"name": "tart", "garnish": {"a": {"herb": "dill"}}, "course": [{"title": "one"}, {"title": "two"}]});
    let proposed = json!({"id": "7", "edition": 1, "name": "tart", "colour": "brown",
        "garnish": {"a": {"herb": "dill", "grams": 1}}, "course": [{"title": "one", "rank": 1}, {"title": "two"}]});
    let plan = PlanResponse::keep_prior(&request(prior(), config, proposed));
    insta::assert_snapshot!(text(&plan.planned), @r#"{"colour":"brown","course":[{"rank":"(unknown)","title":"one"},{"rank":"(unknown)","title":"two"}],"edition":1,"garnish":{"a":{"grams":1,"herb":"dill"}},"id":"7","name":"pie","oven":null}"#);
}

#[test]
fn there_is_no_prior_state_to_keep_at_a_creation() {
    let config = json!({"name": "pie"});
    let request = request(json!(null), config.clone(), config);
    assert_eq!(
        PlanResponse::keep_prior(&request).planned,
        PlanResponse::propose(&request).planned
    );
}
