//! A small HTTP server that stands for a service. It answers at once; or holds every request until it is told to let go, so that a
//! test sees how many were let through without measuring time; or works like a service whose times are known: a number of workers, one
//! first-in first-out queue, times and failures drawn from a seed, and a note of what truly happened.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Router, extract::State, http::StatusCode};
use foremesh_model::random::{mix, uniform};
use foremesh_simulate::{Quantiles, Times};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::{Semaphore, watch},
    task::JoinHandle,
};

/// How a backend works that stands for a service.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    /// Time that a request holds a worker: spent waiting for a timer, not computing.
    pub times: Times,
    /// Requests that it works on at once; those that find none free stand in line.
    pub workers: usize,
    /// Share of requests that it answers with 503 after their work, 0 … 1.
    pub fails: f64,
    /// Seed of times and failures: the n-th request meets the same ones in every run.
    pub seed: u64,
}

impl Work {
    /// Answers at once and never fails.
    pub fn none() -> Self {
        Self {
            times: Times::Constant { ms: 0.0 },
            workers: Semaphore::MAX_PERMITS,
            fails: 0.0,
            seed: 0,
        }
    }
}

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
    work: Work,
    table: Quantiles,
    workers: Semaphore,
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    arrived: Vec<Instant>,
    worked: Vec<Duration>,
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
        Self::start(ClosedPort::reserve(), status, true, Work::none())
    }

    /// Holds every request until [`Backend::release`], then answers 200.
    pub async fn holding() -> Self {
        Self::start(ClosedPort::reserve(), 200, false, Work::none())
    }

    /// Works like a service.
    pub async fn working(work: Work) -> Self {
        Self::start(ClosedPort::reserve(), 200, true, work)
    }

    fn start(port: ClosedPort, status: u16, open: bool, work: Work) -> Self {
        let address = port.address;
        let listener = port.listen().expect("a reserved port can be opened");
        let shared = Arc::new(Shared {
            status: StatusCode::from_u16(status).expect("a status"),
            open: watch::Sender::new(open),
            counts: watch::Sender::new(Counts::default()),
            table: work.times.table().expect("times that can be"),
            workers: Semaphore::new(work.workers),
            notes: Mutex::default(),
            work,
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

    /// When requests came.
    pub fn arrived(&self) -> Vec<Instant> {
        self.notes(|notes| notes.arrived.clone())
    }

    /// How long requests truly held a worker: what was drawn, and what the machine's timer and scheduler added.
    pub fn worked(&self) -> Vec<Duration> {
        self.notes(|notes| notes.worked.clone())
    }

    fn notes<T>(&self, read: impl FnOnce(&Notes) -> T) -> T {
        read(&self.shared.notes.lock().expect("nobody panics with it"))
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

/// A port that belongs to this process and refuses connections: an instance that is down.
#[derive(Debug)]
pub struct ClosedPort {
    /// Where nobody listens yet.
    pub address: SocketAddr,
    socket: TcpSocket,
}

impl ClosedPort {
    /// Takes a free port without listening on it.
    ///
    /// # Panics
    /// When there is none.
    pub fn reserve() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket can be made");
        socket
            .bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .expect("a port is free");
        let address = socket.local_addr().expect("a bound socket has an address");
        Self { address, socket }
    }

    /// The instance is up: a backend listens here from now on.
    pub fn open(self, work: Work) -> Backend {
        Backend::start(self, 200, true, work)
    }

    fn listen(self) -> io::Result<TcpListener> {
        self.socket.listen(1024)
    }
}

/// A request that is here; it leaves also when its caller hangs up.
struct Here(Arc<Shared>);

impl Drop for Here {
    fn drop(&mut self) {
        self.0.counts.send_modify(|counts| counts.in_flight -= 1);
    }
}

/// What a draw is for: part of its key.
const TIME: u64 = 1;
const FAILURE: u64 = 2;

/// Holds a worker for so long, once there is a free one.
async fn work(shared: Arc<Shared>, takes: Duration) {
    let worker = shared.workers.acquire().await;
    let begins = Instant::now();
    tokio::time::sleep(takes).await;
    if let Ok(mut notes) = shared.notes.lock() {
        notes.worked.push(begins.elapsed());
    }
    drop(worker);
}

async fn answer(State(shared): State<Arc<Shared>>) -> (StatusCode, &'static str) {
    shared.counts.send_modify(|counts| {
        counts.in_flight += 1;
        counts.most_in_flight = counts.most_in_flight.max(counts.in_flight);
    });
    let here = Here(Arc::clone(&shared));
    let number = shared.notes.lock().map_or(0, |mut notes| {
        notes.arrived.push(Instant::now());
        notes.arrived.len() as u64
    });
    let key = mix(shared.work.seed, number);
    let _ = shared.open.subscribe().wait_for(|open| *open).await;
    let takes = Duration::from_nanos(shared.table.draw(mix(key, TIME)) as u64);
    if !takes.is_zero() {
        // A task of its own: a service ends its work also when nobody waits for it any more.
        let _ = tokio::spawn(work(Arc::clone(&shared), takes)).await;
    }
    shared.counts.send_modify(|counts| counts.served += 1);
    drop(here);
    let fails = uniform(mix(key, FAILURE)) < shared.work.fails;
    let status = if fails {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        shared.status
    };
    (status, "backend\n")
}
