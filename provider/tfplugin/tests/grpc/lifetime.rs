//! How a provider begins and ends.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
};

use tfplugin::{Value, proto};

use crate::support::{Client, Provider, log_lines, plugin_command, provider_binary};

#[test]
fn a_human_is_told_what_it_is() {
    let output = Command::new(provider_binary())
        .env_remove("TF_PLUGIN_MAGIC_COOKIE")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"");
    let hint = String::from_utf8(output.stderr).unwrap();
    assert!(
        hint.contains("It is not run by hand: Terraform starts it."),
        "{hint}"
    );
    assert!(
        hint.contains(r#"kitchen = { source = "registry.terraform.io/acme/kitchen" }"#),
        "{hint}"
    );
}

#[test]
fn it_says_its_version() {
    let output = Command::new(provider_binary())
        .arg("-version")
        .output()
        .unwrap();
    assert_eq!(output.stdout, b"kitchen 1.0.0\n");
}

#[test]
fn a_terraform_without_protocol_six_is_told_so() {
    let output = plugin_command()
        .env("PLUGIN_PROTOCOL_VERSIONS", "4,5")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("Terraform speaks the plugin protocols 4,5, this provider speaks 6"),
        "{error}"
    );
}

#[tokio::test]
async fn a_shutdown_ends_it_and_leaves_nothing_behind() {
    let (provider, mut client) = Provider::plain().await;
    let directory = provider.socket.parent().unwrap().to_owned();
    assert!(directory.exists());
    client.shutdown().await;
    let (status, log) = provider.ended();
    assert!(status.success());
    assert_eq!(log, "");
    assert!(!directory.exists());
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_what_is_in_flight() {
    let (provider, mut client) = Provider::configured().await;
    let mut other = client.clone();
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let config = Value::object([
        ("mark", Value::from(mark.to_str().unwrap())),
        ("computing", true.into()),
    ]);
    let reading = tokio::spawn(async move { other.read("kitchen_slow", config, false).await });
    while !mark.exists() {
        tokio::task::yield_now().await;
    }
    client.shutdown().await;
    assert!(provider.ended().0.success());
    // Answered with a diagnostic, or cut off; never left hanging.
    let _ = reading.await;
}

#[tokio::test]
async fn an_interrupt_is_terraforms_affair_and_a_termination_ends_it() {
    let (provider, mut client) = Provider::configured().await;
    provider.signal("INT");
    let answer = client
        .read("kitchen_recipe", Value::object([("name", "soup")]), false)
        .await;
    assert_eq!(answer.diagnostics, []);
    let directory = provider.socket.parent().unwrap().to_owned();
    provider.signal("TERM");
    assert!(provider.ended().0.success());
    assert!(!directory.exists());
}

#[test]
fn an_orphan_ends_itself() {
    // A shell stands for Terraform. It is killed, and the provider is left behind with the pipes of this test.
    let plugin = plugin_command();
    let mut shell = Command::new("sh");
    for (name, value) in plugin.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let mut terraform = shell
        .arg("-c")
        .arg("\"$0\" & wait")
        .arg(provider_binary())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(terraform.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let socket = std::path::PathBuf::from(line.split('|').nth(3).unwrap());
    assert!(socket.exists());
    terraform.kill().unwrap();
    terraform.wait().unwrap();
    // The pipe closes when the provider has ended.
    let mut log = String::new();
    terraform
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut log)
        .unwrap();
    assert!(log.contains("Terraform is gone"), "{log}");
    assert!(!socket.exists());
}

#[tokio::test]
async fn in_debug_mode_terraform_comes_to_it() {
    let mut command = Command::new(provider_binary());
    command
        .arg("-debug")
        .env_remove("TF_PLUGIN_MAGIC_COOKIE")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains("Ctrl-C ends it.") {
        assert_ne!(stdout.read_line(&mut text).unwrap(), 0, "{text}");
    }
    let json = text
        .split_once("TF_REATTACH_PROVIDERS='")
        .unwrap()
        .1
        .split_once('\'')
        .unwrap()
        .0;
    let json: serde_json::Value = serde_json::from_str(json).unwrap();
    let reattach = &json["registry.terraform.io/acme/kitchen"];
    assert_eq!(reattach["Protocol"], "grpc");
    assert_eq!(reattach["ProtocolVersion"], 6);
    assert_eq!(reattach["Pid"], child.id());
    assert_eq!(reattach["Addr"]["Network"], "unix");
    let socket = std::path::PathBuf::from(reattach["Addr"]["String"].as_str().unwrap());

    let mut client = Client::plain(&socket).await;
    assert_eq!(client.configure(Value::object([("chef", "Ada")])).await, []);
    let provider = Provider {
        stderr: child.stderr.take(),
        child,
        stdout,
        socket: socket.clone(),
        certificate: None,
    };
    provider.signal("INT");
    let (status, log) = provider.ended();
    assert!(status.success());
    assert!(!socket.exists());
    // Info is the default there, as a developer is watching.
    assert!(
        log_lines(&log)
            .iter()
            .any(|line| line["@message"] == "configured"),
        "{log}"
    );
}

#[tokio::test]
async fn logs_are_terraforms_and_honour_its_variables() {
    async fn log_with(variable: &str, level: &str) -> Vec<String> {
        let mut command = plugin_command();
        command.env(variable, level);
        let provider = Provider::start(command);
        let mut client = Client::plain(&provider.socket).await;
        client.configure(Value::object([("chef", "Ada")])).await;
        client.shutdown().await;
        let (_, log) = provider.ended();
        let own = |line: &serde_json::Value| {
            line["@module"]
                .as_str()
                .unwrap()
                .starts_with("kitchen.kitchen_sink")
        };
        let lines = log_lines(&log);
        // Of the transport's frames nothing is said even at level trace.
        assert!(!log.contains("kitchen.h2"), "{log}");
        lines
            .iter()
            .filter(|line| own(line))
            .map(|line| {
                format!(
                    "{} {} {}",
                    line["@level"], line["@message"], line["terraform"]
                )
            })
            .collect()
    }
    let logged = [r#""info" "configured" "1.11.4""#.to_owned()];
    assert_eq!(log_with("TF_LOG", "DEBUG").await, logged);
    assert_eq!(log_with("TF_LOG_PROVIDER", "json").await, logged);
    assert_eq!(log_with("TF_LOG_PROVIDER_KITCHEN", "info").await, logged);
    assert_eq!(log_with("TF_LOG", "TRACE").await, logged);
    assert_eq!(log_with("TF_LOG", "ERROR").await, [] as [String; 0]);
    assert_eq!(log_with("TF_LOG", "").await, [] as [String; 0]);
}

#[tokio::test]
async fn the_services_of_go_plugin_are_there() {
    let (_provider, mut client) = Provider::plain().await;
    let health: proto::plugin::HealthCheckResponse = client
        .call(
            "grpc.health.v1.Health/Check",
            proto::plugin::HealthCheckRequest {
                service: "plugin".into(),
            },
        )
        .await
        .unwrap();
    assert_eq!(health.status, 1);
    for method in [
        "tfplugin6.Provider/OpenEphemeralResource",
        "tfplugin6.Provider/PlanAction",
        "plugin.GRPCStdio/Other",
    ] {
        let answer = client
            .call::<_, proto::plugin::Empty>(method, proto::plugin::Empty {})
            .await;
        assert_eq!(
            answer.unwrap_err().code(),
            tonic::Code::Unimplemented,
            "{method}"
        );
    }
}
