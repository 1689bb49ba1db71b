//! A server inside the test process: it notes what it is asked and answers what the test says, also what no sound server would.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use reqwest::Url;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// A request.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    pub method: String,
    pub path: String,
    /// Of the query and of a form.
    pub parameters: BTreeMap<String, String>,
    pub authorization: Option<String>,
}

impl Asked {
    /// A parameter in milliseconds.
    pub fn ms(&self, name: &str) -> i64 {
        (self.parameters[name].parse::<f64>().unwrap() * 1000.0).round() as i64
    }

    /// The instants of a range query in milliseconds.
    pub fn instants(&self) -> Vec<i64> {
        let step = self.ms("step");
        (self.ms("start")..=self.ms("end"))
            .step_by(step as usize)
            .collect()
    }
}

/// What the server does.
pub enum Reply {
    Answer(u16, String),
    /// With one more header, `name: value`.
    With(u16, &'static str, String),
    /// Less than was promised, and the connection is closed.
    Cut(String),
    /// Nothing, while the connection stays open.
    Silence,
}

/// A running server; it ends with the test's runtime.
pub struct Server {
    pub port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    pub async fn start(reply: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(None, reply).await
    }

    pub async fn start_with(
        tls: Option<TlsAcceptor>,
        reply: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (notes, reply) = (asked.clone(), Arc::new(reply));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (notes, reply, tls) = (notes.clone(), reply.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, notes, &*reply).await,
                        // A client that does not trust the certificate ends the handshake.
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serve(stream, notes, &*reply).await,
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        Self { port, asked }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    notes: Arc<Mutex<Vec<Asked>>>,
    reply: &(impl Fn(&Asked, usize) -> Reply + ?Sized),
) -> Option<()> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let mut lines = text.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let header = |name: &str| {
        text.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    };
    let length: usize = header("content-length").map_or(0, |l| l.parse().unwrap());
    while bytes.len() < head + 4 + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let form = String::from_utf8_lossy(&bytes[head + 4..]).into_owned();
    let address = Url::parse(&format!("http://server{target}")).unwrap();
    let posted = Url::parse(&format!("http://server/?{form}")).unwrap();
    let asked = Asked {
        method,
        path: address.path().into(),
        parameters: address
            .query_pairs()
            .chain(posted.query_pairs())
            .map(|(k, v)| (k.into_owned(), v.into_owned()))
            .collect(),
        authorization: header("authorization"),
    };
    let before = {
        let mut notes = notes.lock().unwrap();
        notes.push(asked.clone());
        notes.len() - 1
    };
    let (status, header, body, promised) = match reply(&asked, before) {
        Reply::Answer(status, body) => (status, "x: y", body.clone(), body.len()),
        Reply::With(status, header, body) => (status, header, body.clone(), body.len()),
        Reply::Cut(body) => (200, "x: y", body.clone(), body.len() + 100),
        Reply::Silence => {
            // Until the client gives up and closes.
            let _ = stream.read(&mut [0; 1]).await;
            return None;
        }
    };
    let head = format!(
        "HTTP/1.1 {status} Status\r\n{header}\r\ncontent-length: {promised}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(body.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}
