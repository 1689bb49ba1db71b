//! Requests against an address: a burst at once, or a steady stream, and what came back.

use std::{collections::BTreeMap, time::Duration};

use reqwest::Client;
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
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
