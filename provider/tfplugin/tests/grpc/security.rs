//! AutoMTLS: one client gets in, and no other.

use tonic::Code;

use crate::support::{Client, Identity, Provider, plugin_command};
use tfplugin::proto;

fn secured(identity: &Identity) -> Provider {
    let mut command = plugin_command();
    command
        .env("PLUGIN_CLIENT_CERT", &identity.pem)
        .env("TF_LOG", "WARN");
    Provider::start(command)
}

async fn metadata(client: &mut Client) -> Result<proto::GetMetadataResponse, tonic::Status> {
    client
        .call(
            "tfplugin6.Provider/GetMetadata",
            proto::GetMetadataRequest {},
        )
        .await
}

#[tokio::test]
async fn the_owner_of_the_certificate_gets_in_and_nobody_else() {
    let (terraform, other) = (Identity::new(), Identity::new());
    let provider = secured(&terraform);

    let strangers = [
        ("no certificate", None),
        (
            "another certificate",
            Some(Identity::certified(&other.certificate, &other.key)),
        ),
        // The certificate is no secret: it stands in the environment of a process. Only its key proves anything.
        (
            "the certificate without its key",
            Some(Identity::certified(&terraform.certificate, &other.key)),
        ),
    ];
    for (stranger, certified) in strangers {
        let refused = metadata(&mut Client::tls(&provider, certified)).await;
        let status = refused.expect_err(stranger);
        assert_ne!(status.code(), Code::Unimplemented, "{stranger}: {status}");
    }

    let certified = Identity::certified(&terraform.certificate, &terraform.key);
    let mut client = Client::tls(&provider, Some(certified));
    let metadata = metadata(&mut client).await.unwrap();
    assert!(
        metadata
            .resources
            .iter()
            .any(|resource| resource.type_name == "kitchen_dish")
    );

    client.shutdown().await;
    let (status, log) = provider.ended();
    assert!(status.success(), "{log}");
    assert_eq!(
        log.lines()
            .filter(|line| line.contains("a client was refused"))
            .count(),
        3,
        "{log}"
    );
}

#[tokio::test]
async fn a_client_without_transport_security_is_refused() {
    let provider = secured(&Identity::new());
    let refused = metadata(&mut Client::plain(&provider.socket).await).await;
    assert!(refused.is_err());
}

#[test]
fn the_socket_can_be_reached_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let provider = Provider::start(plugin_command());
    let directory = provider.socket.parent().unwrap().metadata().unwrap();
    assert_eq!(directory.permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_certificate_that_cannot_be_read_is_said_so() {
    let output = plugin_command()
        .env("PLUGIN_CLIENT_CERT", "nonsense")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(
        log.contains("the certificate in PLUGIN_CLIENT_CERT cannot be read"),
        "{log}"
    );
}
