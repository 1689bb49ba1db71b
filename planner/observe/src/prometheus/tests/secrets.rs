//! Who asks is proved to the server and told to nobody else: no error, printed either way, holds a secret.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use rcgen::{CertificateParams, KeyPair};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

use super::*;

const SECRET: &str = "s3cr3t-w0rd";

fn with_secrets(url: &str, host: &str) -> Vec<(Prometheus, String)> {
    let basic = |user: &str| {
        format!(
            "Basic {}",
            BASE64_STANDARD.encode(format!("{user}:{SECRET}"))
        )
    };
    vec![
        (
            Prometheus {
                bearer_token: Some(SECRET.into()),
                ..request(url)
            },
            format!("Bearer {SECRET}"),
        ),
        (
            Prometheus {
                username: Some("reader".into()),
                password: Some(SECRET.into()),
                ..request(url)
            },
            basic("reader"),
        ),
        (
            Prometheus {
                url: format!("http://reader:{SECRET}@{host}?token={SECRET}#{SECRET}"),
                ..request("")
            },
            basic("reader"),
        ),
    ]
}

#[tokio::test]
async fn secrets_reach_the_server_and_no_error() {
    let bodies = [
        (200, "<html>".to_owned()),
        (200, success("matrix", Vec::new())),
        (401, failure("who are you")),
        (500, failure("oops")),
        (302, String::new()),
    ];
    for (status, body) in bodies {
        let server = Server::start(move |_, _| Reply::Answer(status, body.clone())).await;
        let host = format!("127.0.0.1:{}", server.port);
        for (request, header) in with_secrets(&server.url(), &host) {
            let error = ask(&request).await.unwrap_err();
            assert_silent(&error);
            assert_eq!(
                server.asked().pop().unwrap().authorization.as_deref(),
                Some(header.as_str())
            );
        }
    }
    // Servers that cannot be reached, that are silent, and that cut their answers.
    for (request, _) in with_secrets("http://127.0.0.1:1", "127.0.0.1:1") {
        assert_silent(&ask(&request).await.unwrap_err());
    }
    let server = Server::start(|_, before| {
        if before % 2 == 0 {
            Reply::Silence
        } else {
            Reply::Cut("{".into())
        }
    })
    .await;
    let host = format!("127.0.0.1:{}", server.port);
    for (request, _) in with_secrets(&server.url(), &host) {
        for attempts in [1, 2] {
            let patience = Patience {
                attempts,
                timeout: Some(Duration::from_millis(30)),
                ..quick()
            };
            let error = query_with(&request, at(AS_OF), Path::new("/"), patience)
                .await
                .unwrap_err();
            assert_silent(&error);
        }
    }
}

#[tokio::test]
async fn a_server_that_sends_elsewhere_gets_no_secret_there() {
    let other = Server::start(|_, _| Reply::Answer(200, "{}".into())).await;
    let target = format!("location: http://localhost:{}/elsewhere", other.port);
    let target: &'static str = Box::leak(target.into_boxed_str());
    let server = Server::start(move |_, _| Reply::With(302, target, String::new())).await;
    let request = Prometheus {
        bearer_token: Some(SECRET.into()),
        ..request(&server.url())
    };
    assert_silent(&ask(&request).await.unwrap_err());
    assert!(
        other
            .asked()
            .iter()
            .all(|asked| asked.authorization.is_none())
    );
}

fn assert_silent(error: &ObserveError) {
    let encoded = BASE64_STANDARD.encode(format!("reader:{SECRET}"));
    for text in [
        error.to_string(),
        format!("{error:?}"),
        format!("{error:#?}"),
    ] {
        assert!(!text.contains(SECRET) && !text.contains(&encoded), "{text}");
    }
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_before_anything_is_sent() {
    let mut told_all = String::new();
    let sound = || request("http://127.0.0.1:1");
    for request in [
        request("prometheus:9090"),
        request("not an address"),
        request("ftp://prometheus"),
        request(&format!("http://reader:{SECRET}@")),
        Prometheus {
            bearer_token: Some(SECRET.into()),
            username: Some("a".into()),
            ..sound()
        },
        Prometheus {
            password: Some(SECRET.into()),
            ..sound()
        },
        Prometheus {
            timeout_s: Some(0),
            ..sound()
        },
        Prometheus {
            step_s: Some(0),
            ..sound()
        },
        Prometheus {
            days: Some(0),
            ..sound()
        },
        Prometheus {
            days: Some(u32::MAX),
            step_s: Some(1),
            ..sound()
        },
        Prometheus {
            ca_file: Some("nowhere/ca.pem".into()),
            ..sound()
        },
        Prometheus {
            ca_file: Some("etc/hostname".into()),
            ..sound()
        },
    ] {
        let error = ask(&request).await.unwrap_err();
        assert_silent(&error);
        assert!(!error.is_outside());
        writeln!(told_all, "{error}").unwrap();
    }
    insta::assert_snapshot!(told_all, @r##"
prometheus.url: it is neither http nor https; write it as https://prometheus.example:9090
prometheus.url: relative URL without a base; write it as https://prometheus.example:9090
prometheus.url: it is neither http nor https; write it as https://prometheus.example:9090
prometheus.url: empty host; write it as https://prometheus.example:9090
prometheus.bearer_token: bearer_token and username exclude each other: give one
prometheus.password: a password needs a username
prometheus.timeout_s: it must be at least 1
prometheus.step_s: it must be at least 1
prometheus.days: it must be at least 1; two weeks or more give a forecast
prometheus.step_s: days × 86400 / step_s is more than 2,000,000 points a series: raise step_s or lower days
prometheus.ca_file: /nowhere/ca.pem: No such file or directory (os error 2); give the PEM file of the authority that signed the server's certificate
prometheus.ca_file: /etc/hostname: it holds no certificate in PEM form; give the PEM file of the authority that signed the server's certificate
"##);
}

#[tokio::test]
async fn a_private_authority_is_trusted_where_it_is_named() {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate = CertificateParams::new(vec!["localhost".into()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let tls = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    let server = Server::start_with(Some(TlsAcceptor::from(Arc::new(tls))), |asked, _| {
        Reply::Answer(200, matrix(asked, &[(CART, &|_| Some(1.0))]))
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let encoded = BASE64_STANDARD.encode(certificate.der());
    let lines: Vec<&str> = encoded
        .as_bytes()
        .chunks(64)
        .map(|l| std::str::from_utf8(l).unwrap())
        .collect();
    let pem = format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    );
    std::fs::write(folder.path().join("ca.pem"), pem).unwrap();
    let unknown = request(&format!("https://localhost:{}", server.port));
    let error = query_with(&unknown, at(AS_OF), folder.path(), quick())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("prometheus.ca_file"), "{error}");
    assert!(server.asked().is_empty());
    let known = Prometheus {
        ca_file: Some("ca.pem".into()),
        ..unknown
    };
    let observed = query_with(&known, at(AS_OF), folder.path(), quick())
        .await
        .unwrap();
    assert_eq!(values(&observed.value, "eu", "shop/cart"), [1.0; 24]);
}
