//! What a provider answers, and what it answers when things go wrong.

use tfplugin::{Type, Value, proto};

use crate::support::{
    Client, Provider, data_source_type, log_lines, message, plugin_command, value,
};

/// The one diagnostic of an answer, as text.
fn only(diagnostics: &[proto::Diagnostic]) -> String {
    let [diagnostic] = diagnostics else {
        panic!("not one diagnostic: {diagnostics:?}")
    };
    let kind = if diagnostic.severity == i32::from(proto::Severity::Error) {
        "error"
    } else {
        "warning"
    };
    format!("{kind}: {}: {}", diagnostic.summary, diagnostic.detail)
}

#[tokio::test]
async fn a_read_answers_configuration_and_computed_attributes() {
    let (_provider, mut client) = Provider::configured().await;
    let grams = Value::Number("0.1".parse().unwrap());
    let config = Value::object([
        ("name", Value::from("soup")),
        (
            "ingredients",
            Value::object([(
                "leek",
                Value::object([("grams", grams.clone()), ("pieces", 2.into())]),
            )]),
        ),
        ("anything", Value::List(vec![grams.clone(), "x".into()])),
    ]);
    let answer = client.read("kitchen_recipe", config, false).await;
    assert_eq!(answer.diagnostics, []);
    let state = value(&answer.state, &data_source_type("kitchen_recipe"));
    assert!(state.is_wholly_known());
    assert_eq!(state.get("chef").as_str(), Some("Ada"));
    assert_eq!(state.get("echo"), state.get("anything"));
    assert_eq!(state.get("echo").as_list().unwrap()[0], grams);
    assert_eq!(state.get("portions").get("leek").get("grams"), &grams);
    assert_eq!(
        state.get("portions").get("leek").get("share").as_f64(),
        Some(0.5)
    );
}

#[tokio::test]
async fn a_message_of_100_mb_passes_both_ways() {
    let (_provider, mut client) = Provider::configured().await;
    let name = "n".repeat(100 << 20);
    let answer = client
        .read(
            "kitchen_recipe",
            Value::object([("name", name.as_str())]),
            false,
        )
        .await;
    assert_eq!(answer.diagnostics, []);
    let state = value(&answer.state, &data_source_type("kitchen_recipe"));
    assert!(state.get("name").as_str() == Some(&name));
}

#[tokio::test]
async fn unknown_values_are_validated_without_complaint_and_known_ones_with_their_path() {
    let (_provider, mut client) = Provider::plain().await;
    let ty = data_source_type("kitchen_recipe");
    let mut validate = async |ingredients: Value| {
        let config = Value::object([("name", Value::Unknown), ("ingredients", ingredients)]);
        let request = proto::ValidateDataResourceConfigRequest {
            type_name: "kitchen_recipe".into(),
            config: Some(message(&config, &ty)),
        };
        let answer: proto::ValidateDataResourceConfigResponse = client
            .call("tfplugin6.Provider/ValidateDataResourceConfig", request)
            .await
            .unwrap();
        answer.diagnostics
    };
    assert_eq!(validate(Value::Unknown).await, []);
    let leek = |grams: Value| Value::object([("leek", Value::object([("grams", grams)]))]);
    assert_eq!(validate(leek(Value::Unknown)).await, []);
    let wrong = validate(leek((-1).into())).await;
    insta::assert_snapshot!(only(&wrong), @r#"error: No weight: ingredients["leek"].grams: An ingredient weighs more than nothing."#);
    let steps = &wrong[0].attribute.as_ref().unwrap().steps;
    use proto::AttributePathSelector::{AttributeName, ElementKeyString};
    let selectors: Vec<_> = steps
        .iter()
        .map(|step| step.selector.clone().unwrap())
        .collect();
    assert_eq!(
        selectors,
        [
            AttributeName("ingredients".into()),
            ElementKeyString("leek".into())
        ]
    );
}

#[tokio::test]
async fn an_unknown_provider_configuration_defers_or_says_how_to_wait() {
    let (_provider, mut client) = Provider::plain().await;
    assert_eq!(
        client
            .configure(Value::object([("chef", Value::Unknown)]))
            .await,
        []
    );
    let config = Value::object([("name", "soup")]);
    let answer = client.read("kitchen_recipe", config.clone(), false).await;
    insta::assert_snapshot!(only(&answer.diagnostics), @"error: Not known before apply: The provider's chef is known only after apply, and this data source needs it. Make the data source wait: add depends_on = [<the resource that it comes from>] to the data block, or apply that resource first with -target.");
    let answer = client.read("kitchen_recipe", config, true).await;
    assert_eq!(answer.diagnostics, []);
    assert_eq!(
        answer.deferred.unwrap().reason(),
        proto::DeferredReason::ProviderConfigUnknown
    );
    let state = value(&answer.state, &data_source_type("kitchen_recipe"));
    assert_eq!(state.get("name").as_str(), Some("soup"));
    assert!(state.get("portions").is_unknown());
}

#[tokio::test]
async fn a_stop_cancels_what_is_in_flight_and_not_the_server() {
    let (_provider, mut client) = Provider::configured().await;
    for computing in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let config = Value::object([
            ("mark", Value::from(mark.to_str().unwrap())),
            ("computing", computing.into()),
        ]);
        let mut other = client.clone();
        let reading = tokio::spawn(async move { other.read("kitchen_slow", config, false).await });
        while !mark.exists() {
            tokio::task::yield_now().await;
        }
        client.stop().await;
        let answer = reading.await.unwrap();
        assert!(answer.state.is_none());
        insta::allow_duplicates! {
            insta::assert_snapshot!(only(&answer.diagnostics), @"error: Cancelled: Reading kitchen_slow was stopped before it was done.");
        }
    }
    let answer = client
        .read("kitchen_recipe", Value::object([("name", "soup")]), false)
        .await;
    assert_eq!(answer.diagnostics, []);
}

#[tokio::test]
async fn a_panic_is_a_diagnostic_and_not_the_end() {
    let mut command = plugin_command();
    command.env("TF_LOG", "ERROR");
    let provider = Provider::start(command);
    let mut client = Client::plain(&provider.socket).await;
    client.configure(Value::object([("chef", "Ada")])).await;

    let answer = client
        .read("kitchen_broken", Value::object([("message", "hot")]), false)
        .await;
    insta::assert_snapshot!(only(&answer.diagnostics), @r"
    error: The provider failed: Reading kitchen_broken panicked: the soup boiled over: hot

    This is a bug in the provider; please report it.
    ");
    let answer = client.function("explode", vec![]).await;
    insta::assert_snapshot!(answer.error.unwrap().text, @r"
    The function explode panicked: the oven exploded

    This is a bug in the provider; please report it.
    ");
    let answer = client
        .read("kitchen_recipe", Value::object([("name", "soup")]), false)
        .await;
    assert_eq!(answer.diagnostics, []);

    client.shutdown().await;
    let (status, log) = provider.ended();
    assert!(status.success());
    // RUST_BACKTRACE is set, and yet every line is a log line.
    let lines = log_lines(&log);
    assert_eq!(lines[0]["@message"], "panic: the soup boiled over: hot");
    assert!(lines[0]["location"].as_str().unwrap().contains("data.rs"));
    assert_eq!(lines.len(), 2, "{log}");
}

#[tokio::test]
async fn functions_take_anything_and_point_at_the_wrong_argument() {
    let (_provider, mut client) = Provider::plain().await;
    let number = |text: &str| message(&Value::Number(text.parse().unwrap()), &Type::Number);
    let sum = client
        .function("add", vec![number("1"), number("2.5"), number("3")])
        .await;
    assert_eq!(value(&sum.result, &Type::Number).as_f64(), Some(6.5));

    for digits in [
        "0.1",
        "12345678901234567890123456789",
        "-1e-300",
        "18446744073709551615",
    ] {
        let argument = message(&Value::Number(digits.parse().unwrap()), &Type::Dynamic);
        let echo = client.function("echo", vec![argument.clone()]).await;
        assert_eq!(echo.result, Some(argument), "{digits}");
    }
    let wrong = client
        .function("positive", vec![number("1"), number("-1")])
        .await;
    assert!(wrong.result.is_none());
    let error = wrong.error.unwrap();
    assert_eq!(
        (error.text.as_str(), error.function_argument),
        ("must be positive", Some(1))
    );
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_and_say_why() {
    let (_provider, mut client) = Provider::plain().await;
    let answer = client
        .read("kitchen_recipe", Value::object([("name", "soup")]), false)
        .await;
    insta::assert_snapshot!(only(&answer.diagnostics), @"error: The provider is not configured: Terraform asked for data before it configured the provider, or configuring failed.");

    let diagnostics = client.configure(Value::object([("chef", "Ada")])).await;
    assert_eq!(diagnostics, []);
    let mut read = async |type_name: &str, msgpack: Vec<u8>| {
        let config = Some(proto::DynamicValue {
            msgpack,
            json: Vec::new(),
        });
        let request = proto::ReadDataSourceRequest {
            type_name: type_name.into(),
            config,
            ..Default::default()
        };
        let answer = client
            .call::<_, proto::ReadDataSourceResponse>("tfplugin6.Provider/ReadDataSource", request)
            .await;
        answer.unwrap_err().message().to_owned()
    };
    insta::assert_snapshot!(read("kitchen_other", vec![0xc0]).await, @r#"this provider has no data source "kitchen_other""#);
    insta::assert_snapshot!(read("kitchen_recipe", vec![0x81, 0xa4, b'n', b'a', b'm', b'e', 0x07]).await, @"a value of the request does not fit its schema: name: malformed MessagePack: the type decoded isn't match with the expected one");
}

fn dish_type() -> Type {
    Type::object([
        ("id", Type::String),
        ("name", Type::String),
        ("sauce", Type::String),
        ("lazy", Type::Bool),
        ("oven", Type::String),
        ("price", Type::Number),
        ("colour", Type::String),
        ("edition", Type::Number),
        (
            "garnish",
            Type::object([("herb", Type::String), ("grams", Type::Number)]),
        ),
        (
            "course",
            Type::list(Type::object([
                ("title", Type::String),
                ("rank", Type::Number),
            ])),
        ),
    ])
}

async fn upgrade(
    client: &mut Client,
    version: i64,
    json: &str,
) -> proto::UpgradeResourceStateResponse {
    let raw_state = Some(proto::RawState {
        json: json.into(),
        ..Default::default()
    });
    let request = proto::UpgradeResourceStateRequest {
        type_name: "kitchen_dish".into(),
        version,
        raw_state,
    };
    client
        .call("tfplugin6.Provider/UpgradeResourceState", request)
        .await
        .unwrap()
}

#[tokio::test]
async fn stored_states_are_upgraded_passed_through_or_refused() {
    let (_provider, mut client) = Provider::plain().await;
    let answer = upgrade(
        &mut client,
        0,
        r#"{"id": "7", "title": "pie", "price": 1234567890123456789012.5}"#,
    )
    .await;
    let state = value(&answer.upgraded_state, &dish_type());
    assert_eq!(state.get("name").as_str(), Some("pie"));
    assert_eq!(
        state.get("price").as_number().unwrap().to_string(),
        "1234567890123456789012.5"
    );

    let answer = upgrade(&mut client, 1, r#"{"id": "7", "name": "tart"}"#).await;
    assert_eq!(
        value(&answer.upgraded_state, &dish_type())
            .get("name")
            .as_str(),
        Some("tart")
    );

    let answer = upgrade(&mut client, 2, "{}").await;
    insta::assert_snapshot!(only(&answer.diagnostics), @"error: The stored state is newer than the provider: The state of kitchen_dish has schema version 2, and this provider knows versions up to 1. Use the version of the provider that stored it, or a newer one.");
    let answer = upgrade(&mut client, 1, r#"{"course": [{"rank": "first"}]}"#).await;
    insta::assert_snapshot!(only(&answer.diagnostics), @r#"error: The stored state is damaged: The stored state of kitchen_dish does not fit its schema: course[0].rank: "first" is not a number"#);
    let answer = upgrade(&mut client, 1, "").await;
    insta::assert_snapshot!(only(&answer.diagnostics), @"error: The stored state is too old: The state of kitchen_dish was stored by Terraform 0.11 or earlier; apply it once with 0.12.");
}

#[tokio::test]
async fn a_configuration_is_made_from_a_state() {
    let (_provider, mut client) = Provider::plain().await;
    let course = Value::object([("title", Value::from("one")), ("rank", 1.into())]);
    let state = Value::object([
        ("id", Value::from("7")),
        ("name", "pie".into()),
        ("colour", "brown".into()),
        ("edition", 3.into()),
        ("course", Value::List(vec![course])),
    ]);
    let request = proto::GenerateResourceConfigRequest {
        type_name: "kitchen_dish".into(),
        state: Some(message(&state, &dish_type())),
    };
    let answer: proto::GenerateResourceConfigResponse = client
        .call("tfplugin6.Provider/GenerateResourceConfig", request)
        .await
        .unwrap();
    insta::assert_snapshot!(value(&answer.config, &dish_type()).to_json(), @r#"{"colour":"brown","course":[{"rank":null,"title":"one"}],"edition":null,"garnish":null,"id":null,"lazy":null,"name":"pie","oven":null,"price":null,"sauce":null}"#);
}

#[tokio::test]
async fn a_move_from_a_foreign_type_is_refused_where_it_is_not_provided_for() {
    let (_provider, mut client) = Provider::plain().await;
    let request = proto::MoveResourceStateRequest {
        source_type_name: "null_resource".into(),
        target_type_name: "kitchen_dish".into(),
        ..Default::default()
    };
    let answer: proto::MoveResourceStateResponse = client
        .call("tfplugin6.Provider/MoveResourceState", request)
        .await
        .unwrap();
    insta::assert_snapshot!(only(&answer.diagnostics), @"error: Move is not supported: A null_resource cannot become a kitchen_dish.");
}
