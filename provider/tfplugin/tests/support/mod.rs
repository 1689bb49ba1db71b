//! Starts the example provider as Terraform does, and talks to it as Terraform does.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::{
    io::{BufRead, BufReader, Read},
    path::PathBuf,
    process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio},
    sync::Arc,
};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tfplugin::{Type, Value, proto};
use tokio::net::UnixStream;
use tokio_rustls::{
    TlsConnector,
    rustls::{
        self, ClientConfig, DigitallySignedStruct, SignatureScheme,
        client::{
            ResolvesClientCert,
            danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        },
        crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
        pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
        sign::CertifiedKey,
    },
};
use tonic::{
    Request, Status,
    client::Grpc,
    codegen::http::uri::PathAndQuery,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;
use tower::service_fn;

pub const MAX_MESSAGE_BYTES: usize = 256 << 20;
const COOKIE: &str = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2";

/// The example `kitchen_sink`, which cargo builds beside the tests.
pub fn provider_binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples/kitchen_sink");
    assert!(
        path.exists(),
        "{} is missing: cargo builds it with `--examples` or with all targets",
        path.display()
    );
    path
}

/// A command that starts the provider as Terraform would, but for the certificate.
pub fn plugin_command() -> Command {
    let mut command = Command::new(provider_binary());
    command
        .env_remove("TF_LOG")
        .env_remove("TF_LOG_PROVIDER")
        .env_remove("PLUGIN_CLIENT_CERT")
        .env("TF_PLUGIN_MAGIC_COOKIE", COOKIE)
        .env("PLUGIN_PROTOCOL_VERSIONS", "5,6")
        .env("RUST_BACKTRACE", "full")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A running provider; it is killed when the test ends, however it ends.
pub struct Provider {
    pub child: Child,
    pub stdout: BufReader<ChildStdout>,
    pub stderr: Option<ChildStderr>,
    pub socket: PathBuf,
    pub certificate: Option<CertificateDer<'static>>,
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // What is killed cannot clean up after itself.
        if let Some(directory) = self.socket.parent() {
            let _ = std::fs::remove_dir_all(directory);
        }
    }
}

impl Provider {
    /// Starts it and reads the handshake.
    pub fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = child.stderr.take();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let fields: Vec<&str> = line.trim_end().split('|').collect();
        let [core, protocol, network, socket, kind, certificate] = fields[..] else {
            panic!("no handshake: {line:?}")
        };
        assert_eq!((core, protocol, network, kind), ("1", "6", "unix", "grpc"));
        let certificate =
            (!certificate.is_empty()).then(|| STANDARD_NO_PAD.decode(certificate).unwrap().into());
        Self {
            child,
            stdout,
            stderr,
            socket: socket.into(),
            certificate,
        }
    }

    /// Starts it without transport security and connects.
    pub async fn plain() -> (Self, Client) {
        let provider = Self::start(plugin_command());
        assert!(provider.certificate.is_none());
        let client = Client::plain(&provider.socket).await;
        (provider, client)
    }

    /// The same, configured with a chef.
    pub async fn configured() -> (Self, Client) {
        let (provider, mut client) = Self::plain().await;
        client.configure(Value::object([("chef", "Ada")])).await;
        (provider, client)
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.child.id().to_string())
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Waits for its end; what it wrote to standard error comes back.
    pub fn ended(mut self) -> (ExitStatus, String) {
        let mut log = String::new();
        self.stderr
            .take()
            .unwrap()
            .read_to_string(&mut log)
            .unwrap();
        (self.child.wait().unwrap(), log)
    }
}

/// A certificate as Terraform makes them: P-521, self-signed, an authority.
pub struct Identity {
    pub pem: String,
    pub certificate: CertificateDer<'static>,
    pub key: PrivateKeyDer<'static>,
}

impl Identity {
    pub fn new() -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
        let mut parameters = CertificateParams::new(["localhost".to_owned()]).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        let certificate = parameters.self_signed(&key).unwrap();
        Self {
            pem: format!(
                "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
                STANDARD.encode(certificate.der())
            ),
            certificate: certificate.der().clone(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        }
    }

    /// What it takes to authenticate: nobody checks here that certificate and key belong together.
    pub fn certified(
        certificate: &CertificateDer<'static>,
        key: &PrivateKeyDer<'static>,
    ) -> Arc<CertifiedKey> {
        let key = aws_lc_rs::sign::any_supported_type(key).unwrap();
        Arc::new(CertifiedKey::new(vec![certificate.clone()], key))
    }
}

#[derive(Debug)]
struct Presents(Option<Arc<CertifiedKey>>);

impl ResolvesClientCert for Presents {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

/// Trusts the certificate of the handshake and no other.
#[derive(Debug)]
struct Expects(CertificateDer<'static>, Arc<CryptoProvider>);

impl ServerCertVerifier for Expects {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        assert_eq!(end_entity.as_ref(), self.0.as_ref());
        // Go checks the name, and so does this.
        rustls::client::verify_server_name(
            &rustls::server::ParsedCertificate::try_from(end_entity)?,
            name,
        )?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.1.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.1.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.1.signature_verification_algorithms.supported_schemes()
    }
}

/// A gRPC client as Terraform is one.
#[derive(Clone)]
pub struct Client(Grpc<Channel>);

impl Client {
    fn over(channel: Channel) -> Self {
        Self(
            Grpc::new(channel)
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
        )
    }

    pub async fn plain(socket: &std::path::Path) -> Self {
        let socket = socket.to_owned();
        let connect = service_fn(move |_| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        Self::over(
            Endpoint::from_static("http://localhost")
                .connect_with_connector(connect)
                .await
                .unwrap(),
        )
    }

    /// Connects with transport security, presenting `certified`. The connection is made lazily, as TLS 1.3 lets a client
    /// believe in success before the server has judged its certificate.
    pub fn tls(provider: &Provider, certified: Option<Arc<CertifiedKey>>) -> Self {
        let crypto = Arc::new(aws_lc_rs::default_provider());
        let expects = Expects(provider.certificate.clone().unwrap(), Arc::clone(&crypto));
        let mut config = ClientConfig::builder_with_provider(crypto)
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(expects))
            .with_client_cert_resolver(Arc::new(Presents(certified)));
        config.alpn_protocols = vec![b"h2".to_vec()];
        let (connector, socket) = (
            TlsConnector::from(Arc::new(config)),
            provider.socket.clone(),
        );
        let connect = service_fn(move |_| {
            let (connector, socket) = (connector.clone(), socket.clone());
            async move {
                let stream = UnixStream::connect(socket).await?;
                let stream = connector
                    .connect(ServerName::try_from("localhost").unwrap(), stream)
                    .await?;
                assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
                Ok::<_, std::io::Error>(TokioIo::new(stream))
            }
        });
        Self::over(Endpoint::from_static("http://localhost").connect_with_connector_lazy(connect))
    }

    /// Calls any method: `tfplugin6.Provider/GetMetadata`.
    pub async fn call<Q, A>(&mut self, method: &'static str, request: Q) -> Result<A, Status>
    where
        Q: prost::Message + 'static,
        A: prost::Message + Default + 'static,
    {
        self.0
            .ready()
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        let path = PathAndQuery::from_maybe_shared(format!("/{method}")).unwrap();
        let answer = self
            .0
            .unary(Request::new(request), path, ProstCodec::<Q, A>::default())
            .await?;
        Ok(answer.into_inner())
    }

    pub async fn configure(&mut self, config: Value) -> Vec<proto::Diagnostic> {
        let request = proto::ConfigureProviderRequest {
            terraform_version: "1.11.4".into(),
            config: Some(message(&config, &provider_type())),
            client_capabilities: None,
        };
        let answer: proto::ConfigureProviderResponse = self
            .call("tfplugin6.Provider/ConfigureProvider", request)
            .await
            .unwrap();
        answer.diagnostics
    }

    /// Reads a data source whose configuration is given without its unset attributes.
    pub async fn read(
        &mut self,
        type_name: &str,
        config: Value,
        deferral_allowed: bool,
    ) -> proto::ReadDataSourceResponse {
        let ty = data_source_type(type_name);
        let request = proto::ReadDataSourceRequest {
            type_name: type_name.into(),
            config: Some(message(&config, &ty)),
            provider_meta: None,
            client_capabilities: Some(proto::ClientCapabilities {
                deferral_allowed,
                ..Default::default()
            }),
        };
        self.call("tfplugin6.Provider/ReadDataSource", request)
            .await
            .unwrap()
    }

    pub async fn function(
        &mut self,
        name: &str,
        arguments: Vec<proto::DynamicValue>,
    ) -> proto::CallFunctionResponse {
        let request = proto::CallFunctionRequest {
            name: name.into(),
            arguments,
        };
        self.call("tfplugin6.Provider/CallFunction", request)
            .await
            .unwrap()
    }

    pub async fn stop(&mut self) {
        let answer: proto::StopProviderResponse = self
            .call(
                "tfplugin6.Provider/StopProvider",
                proto::StopProviderRequest {},
            )
            .await
            .unwrap();
        assert_eq!(answer.error, "");
    }

    pub async fn shutdown(&mut self) {
        let _: proto::plugin::Empty = self
            .call("plugin.GRPCController/Shutdown", proto::plugin::Empty {})
            .await
            .unwrap();
    }
}

pub fn message(value: &Value, ty: &Type) -> proto::DynamicValue {
    proto::DynamicValue {
        msgpack: value.to_msgpack(ty).unwrap(),
        json: Vec::new(),
    }
}

pub fn value(message: &Option<proto::DynamicValue>, ty: &Type) -> Value {
    Value::from_msgpack(
        &message.as_ref().expect("an answer without a value").msgpack,
        ty,
    )
    .unwrap()
}

pub fn provider_type() -> Type {
    Type::object([("pantry", Type::String), ("chef", Type::String)])
}

pub fn data_source_type(name: &str) -> Type {
    match name {
        "kitchen_slow" => Type::object([("mark", Type::String), ("computing", Type::Bool)]),
        "kitchen_broken" => Type::object([("message", Type::String)]),
        "kitchen_recipe" => {
            let number = || Type::Number;
            let ingredient = Type::object([
                ("grams", number()),
                ("pieces", number()),
                ("tags", Type::set(Type::String)),
            ]);
            Type::object([
                ("name", Type::String),
                ("ingredients", Type::map(ingredient)),
                (
                    "seasons",
                    Type::list(Type::object([
                        ("from", Type::String),
                        ("until", Type::String),
                    ])),
                ),
                ("anything", Type::Dynamic),
                ("payload_bytes", number()),
                ("old_name", Type::String),
                (
                    "portions",
                    Type::map(Type::object([("grams", number()), ("share", number())])),
                ),
                ("steps_known", number()),
                ("echo", Type::Dynamic),
                ("chef", Type::String),
                ("blob", Type::String),
                (
                    "step",
                    Type::list(Type::object([
                        ("text", Type::String),
                        ("minutes", number()),
                    ])),
                ),
                ("oven", Type::object([("degrees", number())])),
            ])
        }
        other => panic!("no type is written down for {other}"),
    }
}

/// Every line must be hclog's JSON: Terraform shows anything else to its user in pieces.
pub fn log_lines(log: &str) -> Vec<serde_json::Value> {
    log.lines()
        .map(|line| {
            let object: serde_json::Value =
                serde_json::from_str(line).unwrap_or_else(|_| panic!("not a log line: {line}"));
            for field in ["@level", "@message", "@module", "@timestamp"] {
                assert!(object[field].is_string(), "{field} is missing: {line}");
            }
            object
        })
        .collect()
}
