//! The socket and what comes in over it.

use std::{
    fs::Permissions,
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{UnixListener, UnixStream},
    sync::mpsc,
};
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

use super::tls::Tls;

/// A client that does not get through its TLS handshake in this time is dropped.
const TLS_HANDSHAKE: Duration = Duration::from_secs(10);

/// A socket in a directory that only this user can enter; both go when this is dropped.
pub(super) struct Listener {
    listener: UnixListener,
    path: PathBuf,
    directory: TempDir,
}

impl Listener {
    /// Binds in `parent`, or where temporary files go.
    pub(super) fn bind(parent: Option<&Path>) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder
            .prefix("tfplugin-")
            .permissions(Permissions::from_mode(0o700));
        let in_parent = match parent {
            Some(parent) => builder.tempdir_in(parent),
            None => builder.tempdir(),
        };
        let bind = |directory: TempDir| {
            let path = directory.path().join("grpc.sock");
            Ok(Self {
                listener: UnixListener::bind(&path)?,
                path,
                directory,
            })
        };
        // The path of a socket has room for about 100 bytes, and TMPDIR may use them up.
        in_parent
            .and_then(bind)
            .or_else(|error: io::Error| match parent {
                None => builder.tempdir_in("/tmp").and_then(bind).map_err(|_| error),
                Some(_) => Err(error),
            })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Accepts connections until the stream is dropped. The directory goes with the returned guard.
    pub(super) fn accept(
        self,
        tls: Option<Tls>,
    ) -> (ReceiverStream<io::Result<Connection>>, TempDir) {
        let Self {
            listener,
            directory,
            ..
        } = self;
        let (sender, receiver) = mpsc::channel(4);
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = sender.closed() => return,
                };
                match accepted {
                    Err(error) => {
                        // Out of file descriptors, say: others may be closed meanwhile.
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    Ok((stream, _)) => {
                        // One client that dawdles over its handshake does not keep the others out.
                        let (sender, acceptor) =
                            (sender.clone(), tls.as_ref().map(|tls| tls.acceptor.clone()));
                        tokio::spawn(async move {
                            let connection = match acceptor {
                                None => Connection::Plain(stream),
                                Some(acceptor) => {
                                    match tokio::time::timeout(
                                        TLS_HANDSHAKE,
                                        acceptor.accept(stream),
                                    )
                                    .await
                                    {
                                        Ok(Ok(stream)) => Connection::Tls(Box::new(stream)),
                                        Ok(Err(error)) => {
                                            return tracing::warn!(%error, "a client was refused");
                                        }
                                        Err(_) => {
                                            return tracing::warn!(
                                                "a client did not finish its TLS handshake"
                                            );
                                        }
                                    }
                                }
                            };
                            // The receiver is gone only when the server is.
                            let _ = sender.send(Ok(connection)).await;
                        });
                    }
                }
            }
        });
        (ReceiverStream::new(receiver), directory)
    }
}

/// A connection, with transport security or without.
pub(super) enum Connection {
    Plain(UnixStream),
    Tls(Box<TlsStream<UnixStream>>),
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, into),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
