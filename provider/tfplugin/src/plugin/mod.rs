//! Being a plugin of Terraform: what go-plugin does in Go. Handshake, transport security, lifetime, logs.

mod connection;
mod handshake;
mod lifetime;
mod logging;
mod services;
mod tls;

use std::{
    ffi::OsStr,
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use connection::Listener;
use handshake::Mode;
use services::{Broker, Controller, Health, Stdio};
use tls::Tls;
use tonic::{service::Routes, transport::Server as Transport};

use crate::{
    Provider,
    cancel::CancelSource,
    server::{ProviderService, Server},
};

/// The same limit as Terraform's own.
pub(crate) const MAX_MESSAGE_BYTES: usize = 256 << 20;
/// After a shutdown, answers in flight get this long. go-plugin kills a plugin two seconds after asking.
const DRAIN: Duration = Duration::from_millis(1500);

/// Who the provider is.
#[derive(Debug, Clone)]
pub struct Options {
    /// The type of the provider, `shop`; also the module name in logs and in the variable `TF_LOG_PROVIDER_SHOP`.
    pub name: String,
    /// Its version, `1.2.0`.
    pub version: String,
    /// Its address, `registry.terraform.io/acme/shop`.
    pub address: String,
}

/// Why serving ended early.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error(
        "Terraform speaks the plugin protocols {offered}, this provider speaks 6: use Terraform 1.0 or newer"
    )]
    Protocol { offered: String },
    #[error("the certificate in PLUGIN_CLIENT_CERT cannot be read: {0}")]
    ClientCertificate(String),
    #[error("no key for this process: the system has no random numbers to give")]
    OwnKey,
    #[error("no certificate for this process: {0}")]
    OwnCertificate(#[from] rcgen::Error),
    #[error("TLS: {0}")]
    Tls(#[from] tokio_rustls::rustls::Error),
    #[error("no socket: {0}")]
    Socket(io::Error),
    #[error("the first line to Terraform cannot be written: {0}")]
    Handshake(io::Error),
    #[error("no async runtime: {0}")]
    Runtime(io::Error),
    #[error("the gRPC server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// Serves a provider until Terraform ends it; the whole of a provider's `main`.
///
/// Started by Terraform, it shakes hands and serves. Started with `-debug`, it prints the variable
/// `TF_REATTACH_PROVIDERS` with which Terraform uses this very process (under a debugger, say) and serves until Ctrl-C.
/// Started with `-version`, it prints name and version. Started by a human, it says what it is.
///
/// It installs a panic hook and, unless the program has done so, a `tracing` subscriber that writes Terraform's log
/// format.
pub fn serve<P: Provider>(provider: P, options: Options) -> ExitCode {
    let mode = match Mode::of_process() {
        Ok(mode) => mode,
        Err(handshake::NotAPlugin) => {
            let _ = writeln!(io::stderr(), "{}", handshake::hint(&options));
            return ExitCode::FAILURE;
        }
    };
    if mode == Mode::Version {
        let _ = writeln!(io::stdout(), "{} {}", options.name, options.version);
        return ExitCode::SUCCESS;
    }
    logging::init(&options.name, mode == Mode::Debug);
    // Two threads carry the transport; handlers run on threads of their own.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let served = runtime.map_err(ServeError::Runtime).and_then(|runtime| {
        let served = runtime.block_on(serve_in(mode, provider, &options));
        // A handler that still computes is not waited for.
        runtime.shutdown_background();
        served
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{}: {error}", options.name);
            ExitCode::FAILURE
        }
    }
}

async fn serve_in<P: Provider>(
    mode: Mode,
    provider: P,
    options: &Options,
) -> Result<(), ServeError> {
    let debug = mode == Mode::Debug;
    let offered = std::env::var("PLUGIN_PROTOCOL_VERSIONS")
        .ok()
        .filter(|_| !debug);
    if let Some(offered) = handshake::refused_versions(offered.as_deref()) {
        return Err(ServeError::Protocol { offered });
    }
    let tls = match std::env::var("PLUGIN_CLIENT_CERT") {
        Ok(pem) if !debug && !pem.is_empty() => Some(Tls::pinned_to(&pem)?),
        _ => None,
    };
    let directory =
        std::env::var_os("PLUGIN_UNIX_SOCKET_DIR").filter(|directory| !directory.is_empty());
    let listener =
        Listener::bind(directory.as_deref().map(OsStr::as_ref)).map_err(ServeError::Socket)?;
    let (shutdown, stop) = (CancelSource::default(), CancelSource::default());
    lifetime::watch(shutdown.clone(), debug);

    let ends = shutdown.token();
    let server = Arc::new(Server::new(provider, stop.clone()));
    let routes = Routes::new(ProviderService(server.clone()))
        .add_service(Controller {
            shutdown: shutdown.clone(),
        })
        .add_service(Stdio {
            shutdown: shutdown.token(),
        })
        .add_service(Broker {
            shutdown: shutdown.token(),
        })
        .add_service(Health);
    let line = if debug {
        handshake::reattach(options, listener.path())
    } else {
        handshake::line(listener.path(), tls.as_ref().map(Tls::certificate))
    };
    let (incoming, _socket) = listener.accept(tls);
    {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{line}")
            .and_then(|()| stdout.flush())
            .map_err(ServeError::Handshake)?;
    }
    tokio::task::spawn_blocking(move || server.prepare());
    tracing::debug!(version = options.version, "serving");

    let serving = Transport::builder()
        .initial_stream_window_size(8 << 20)
        .initial_connection_window_size(16 << 20)
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, {
            let ends = ends.clone();
            async move { ends.cancelled().await }
        });
    let drained = async {
        ends.cancelled().await;
        stop.cancel();
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        served = serving => served?,
        () = drained => tracing::debug!("ended with requests in flight"),
    }
    Ok(())
}
