//! Requests against an address: a burst at once, a steady stream, or each at its own time, and what came back.

use std::{collections::BTreeMap, time::Duration};

use foremesh_model::random::{mix, uniform};
use reqwest::Client;
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

/// How many answers came back with each status; 0 stands for a connection that gave none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers {
    /// By status.
    pub by_status: BTreeMap<u16, usize>,
}

impl Answers {
    /// Answers with this status.
    pub fn of(&self, status: u16) -> usize {
        self.by_status.get(&status).copied().unwrap_or(0)
    }

    /// All answers.
    pub fn total(&self) -> usize {
        self.by_status.values().sum()
    }

    fn add(&mut self, status: u16) {
        *self.by_status.entry(status).or_default() += 1;
    }
}

fn client() -> Client {
    Client::builder()
        .no_proxy()
        .build()
        .expect("a client can be built")
}

async fn get(client: Client, url: String) -> u16 {
    match client.get(url).send().await {
        Ok(answer) => {
            let status = answer.status().as_u16();
            // The connection is free again only when the body was read.
            let _ = answer.bytes().await;
            status
        }
        Err(_) => 0,
    }
}

/// Sends `requests` at once, each on a connection of its own where none is free, and waits for all answers.
pub async fn burst(url: &str, requests: usize) -> Answers {
    let client = client();
    let mut open = JoinSet::new();
    for _ in 0..requests {
        open.spawn(get(client.clone(), url.into()));
    }
    let mut answers = Answers::default();
    while let Some(status) = open.join_next().await {
        answers.add(status.expect("a request does not panic"));
    }
    answers
}

/// Sends `rate_rps` requests a second for `duration`, in ticks of 20 ms, whatever comes back; answers how long it truly took.
pub async fn steady(url: &str, rate_rps: f64, duration: Duration) -> (Answers, Duration) {
    const TICK: Duration = Duration::from_millis(20);
    let client = client();
    let mut open = JoinSet::new();
    let starts = Instant::now();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sent = 0.0;
    while starts.elapsed() < duration {
        tick.tick().await;
        // What is due by now, so that a late tick is made up for.
        let due = (starts.elapsed() + TICK).as_secs_f64() * rate_rps;
        while sent < due {
            open.spawn(get(client.clone(), url.into()));
            sent += 1.0;
        }
    }
    let mut answers = Answers::default();
    while let Some(status) = open.join_next().await {
        answers.add(status.expect("a request does not panic"));
    }
    (answers, starts.elapsed())
}

/// A request that was sent at its own time, and what came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// When it was due, after the start.
    pub due: Duration,
    /// When it was sent, after the start.
    pub at: Duration,
    /// How long until the whole answer was here.
    pub took: Duration,
    /// The answer's status; 0: a connection that gave none.
    pub status: u16,
}

/// The times of a Poisson process of `rate_rps` over so many seconds, after its start; the same for the same seed.
pub fn poisson(seed: u64, rate_rps: f64, seconds: f64) -> Vec<Duration> {
    let gaps = (0u64..).map(|number| -uniform(mix(seed, number)).ln() / rate_rps);
    gaps.scan(0.0, |at, gap| {
        *at += gap;
        Some(*at)
    })
    .take_while(|at| *at < seconds)
    .map(Duration::from_secs_f64)
    .collect()
}

/// Sends a request at each of these times after `starts`, whatever has come back by then (open loop), and waits for all answers.
/// In the order in which they were due.
pub async fn open_loop(url: &str, starts: Instant, due: &[Duration]) -> Vec<Sent> {
    let client = client();
    let mut open = JoinSet::new();
    for due in due.iter().copied() {
        sleep_until(starts + due).await;
        let (client, url) = (client.clone(), url.to_owned());
        open.spawn(async move {
            let sent = Instant::now();
            let status = get(client, url).await;
            Sent {
                due,
                at: sent - starts,
                took: sent.elapsed(),
                status,
            }
        });
    }
    let mut sent = open.join_all().await;
    sent.sort_by_key(|sent| sent.due);
    sent
}
