//! AutoMTLS: Terraform and the provider trust exactly one certificate of each other.
//!
//! Terraform hands over its certificate in PLUGIN_CLIENT_CERT and learns ours in the handshake. Its certificate is
//! self-signed, marked as an authority and used as an end entity, which a verifier that builds chains rightly refuses;
//! there is no chain here, so the verifier compares the certificate byte by byte and then checks the signature.
//!
//! Two libraries share the work. The signature is ECDSA P-521 with SHA-512, which ring cannot verify and aws-lc can. All
//! that needs randomness is done by ring, because aws-lc spends some 45 ms of every new process on gathering entropy
//! from CPU jitter (aws/aws-lc-rs#1140), and Terraform starts a provider three times for one plan.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    PublicKeyData, SignatureAlgorithm, SigningKey,
};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        CertificateError, DigitallySignedStruct, DistinguishedName, Error as TlsError,
        ServerConfig, SignatureScheme,
        client::danger::HandshakeSignatureValid,
        crypto::{
            CryptoProvider, aws_lc_rs, ring as ring_crypto, verify_tls12_signature,
            verify_tls13_signature,
        },
        pki_types::{CertificateDer, PrivatePkcs8KeyDer, UnixTime, pem::PemObject},
        server::danger::{ClientCertVerified, ClientCertVerifier},
    },
};

use super::ServeError;

/// Our side of the transport security.
pub(super) struct Tls {
    pub(super) acceptor: TlsAcceptor,
    certificate: String,
}

impl Tls {
    /// A server that only the owner of the certificate in `client_pem` can talk to.
    pub(super) fn pinned_to(client_pem: &str) -> Result<Self, ServeError> {
        let client = CertificateDer::from_pem_slice(client_pem.as_bytes())
            .map_err(|error| ServeError::ClientCertificate(error.to_string()))?;
        let crypto = Arc::new(CryptoProvider {
            signature_verification_algorithms: aws_lc_rs::default_provider()
                .signature_verification_algorithms,
            ..ring_crypto::default_provider()
        });

        let key = Key::generate().map_err(|_| ServeError::OwnKey)?;
        // Terraform dials the server name `localhost`, and puts the certificate into its pool of authorities.
        let mut parameters = CertificateParams::new(["localhost".to_owned()])?;
        parameters
            .distinguished_name
            .push(DnType::CommonName, "localhost");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyCertSign,
        ];
        parameters.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let certificate = parameters.self_signed(&key)?;

        let mut config = ServerConfig::builder_with_provider(Arc::clone(&crypto))
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(Arc::new(Pinned { client, crypto }))
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivatePkcs8KeyDer::from(key.pkcs8).into(),
            )?;
        // gRPC in Go has insisted on ALPN since 1.67.
        config.alpn_protocols = vec![b"h2".to_vec()];
        // A resumed session would skip the pinning; a process this short-lived has nothing to resume.
        config.session_storage = Arc::new(tokio_rustls::rustls::server::NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            certificate: STANDARD_NO_PAD.encode(certificate.der()),
        })
    }

    /// Our certificate as the handshake wants it: DER in base64 without padding.
    pub(super) fn certificate(&self) -> &str {
        &self.certificate
    }
}

/// A P-256 key of ring's, for rcgen to sign the certificate with.
struct Key {
    pkcs8: Vec<u8>,
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl Key {
    fn generate() -> Result<Self, ring::error::Unspecified> {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random)?
            .as_ref()
            .to_vec();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8, &random)
            .map_err(|_| ring::error::Unspecified)?;
        Ok(Self {
            pkcs8,
            pair,
            random,
        })
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature = self
            .pair
            .sign(&self.random, message)
            .map_err(|_| rcgen::Error::RingUnspecified)?;
        Ok(signature.as_ref().to_vec())
    }
}

#[derive(Debug)]
struct Pinned {
    client: CertificateDer<'static>,
    crypto: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, TlsError> {
        if end_entity.as_ref() == self.client.as_ref() {
            Ok(ClientCertVerified::assertion())
        } else {
            Err(TlsError::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            ))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.crypto.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.crypto.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.crypto
            .signature_verification_algorithms
            .supported_schemes()
    }
}
