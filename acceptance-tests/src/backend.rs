//! A small HTTP server that stands for a service: it answers at once, or holds every request until it is told to let go, so that
//! a test sees how many were let through without measuring time.

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, extract::State, http::StatusCode};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// A running backend; it stops when dropped.
#[derive(Debug)]
pub struct Backend {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    status: StatusCode,
    open: watch::Sender<bool>,
    counts: watch::Sender<Counts>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    served: usize,
    in_flight: usize,
    most_in_flight: usize,
}

impl Backend {
    /// Answers every request at once with `status`.
    pub async fn answering(status: u16) -> Self {
        Self::start(status, true).await
    }

    /// Holds every request until [`Backend::release`], then answers 200.
    pub async fn holding() -> Self {
        Self::start(200, false).await
    }

    async fn start(status: u16, open: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Shared {
            status: StatusCode::from_u16(status).expect("a status"),
            open: watch::Sender::new(open),
            counts: watch::Sender::new(Counts::default()),
        });
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self {
            address,
            shared,
            server,
        }
    }

    /// Lets every held request go, and all that follow.
    pub fn release(&self) {
        self.shared.open.send_replace(true);
    }

    /// Requests answered so far.
    pub fn served(&self) -> usize {
        self.shared.counts.borrow().served
    }

    /// The most requests that were here at once.
    pub fn most_in_flight(&self) -> usize {
        self.shared.counts.borrow().most_in_flight
    }

    /// Waits until so many requests are here at once.
    pub async fn until_in_flight(&self, requests: usize) {
        let mut counts = self.shared.counts.subscribe();
        let _ = counts.wait_for(|counts| counts.in_flight >= requests).await;
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A request that is here; it leaves also when its caller hangs up.
struct Here(Arc<Shared>);

impl Drop for Here {
    fn drop(&mut self) {
        self.0.counts.send_modify(|counts| counts.in_flight -= 1);
    }
}

async fn answer(State(shared): State<Arc<Shared>>) -> (StatusCode, &'static str) {
    shared.counts.send_modify(|counts| {
        counts.in_flight += 1;
        counts.most_in_flight = counts.most_in_flight.max(counts.in_flight);
    });
    let here = Here(Arc::clone(&shared));
    let _ = shared.open.subscribe().wait_for(|open| *open).await;
    shared.counts.send_modify(|counts| counts.served += 1);
    drop(here);
    (shared.status, "backend\n")
}
