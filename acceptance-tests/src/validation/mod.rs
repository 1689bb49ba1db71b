//! The simulator beside a real Envoy: each scenario runs Envoy in front of backends that do what they are told, sends requests at the times of
//! a seeded Poisson process, and gives the simulator the same scenario, the times at which requests were truly sent and the times
//! for which backends truly worked. What is left to differ is the mechanism under test.
//!
//! Numbers of one run of Envoy are chance; the simulator runs many times and says by how much one run strays.

mod breakers;
mod ejection;
mod gain;
mod latency;
mod rate_limit;
mod retries;
mod retry_choice;
mod slow_start;
mod spill;
mod table;
mod timeouts;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use foremesh_model::random::mix;
use foremesh_simulate::{Arrivals, Mesh, Run, RunOptions, Times, simulate};
use serde_json::Value;
use tokio::time::Instant;

use crate::{Backend, Envoy, Sent, open_loop, poisson};

pub use rate_limit::Limit;
pub use retries::Budget;
pub use table::{Goal, Row, Section, Unit};

/// Runs of the simulator with seeds of their own.
const RUNS: u64 = 20;
/// Seconds that the simulator goes on after the last request, so that all are answered.
const REST_S: f64 = 10.0;

/// A scenario, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// Token bucket.
    RateLimit,
    /// Circuit breakers.
    Breakers,
    /// Retries under a budget.
    Retries,
    /// When and where requests are tried again.
    RetryChoice,
    /// Timeouts with retries.
    Timeouts,
    /// Outlier ejection.
    Ejection,
    /// A new instance's share.
    SlowStart,
    /// What leaves a locality.
    Spill,
    /// Latency at moderate load.
    Latency,
    /// A plan against Istio's defaults.
    Gain,
}

impl Scenario {
    /// All of them, in order.
    pub const ALL: [Self; 10] = [
        Self::RateLimit,
        Self::Breakers,
        Self::Retries,
        Self::RetryChoice,
        Self::Timeouts,
        Self::Ejection,
        Self::SlowStart,
        Self::Spill,
        Self::Latency,
        Self::Gain,
    ];

    /// Its name on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::RateLimit => "rate-limit",
            Self::Breakers => "breakers",
            Self::Retries => "retries",
            Self::RetryChoice => "retry-choice",
            Self::Timeouts => "timeouts",
            Self::Ejection => "ejection",
            Self::SlowStart => "slow-start",
            Self::Spill => "spill",
            Self::Latency => "latency",
            Self::Gain => "gain",
        }
    }

    /// Runs it.
    ///
    /// # Panics
    /// When Envoy does not start, or the simulator refuses the scenario.
    pub async fn run(self, bench: &Bench) -> Section {
        match self {
            Self::RateLimit => rate_limit::run(bench).await,
            Self::Breakers => breakers::run(bench).await,
            Self::Retries => retries::run(bench).await,
            Self::RetryChoice => retry_choice::run(bench).await,
            Self::Timeouts => timeouts::run(bench).await,
            Self::Ejection => ejection::run(bench).await,
            Self::SlowStart => slow_start::run(bench).await,
            Self::Spill => spill::run(bench).await,
            Self::Latency => latency::run(bench).await,
            Self::Gain => gain::run(bench).await,
        }
    }
}

/// What every scenario needs.
#[derive(Debug, Clone)]
pub struct Bench {
    /// The Envoy program.
    pub program: PathBuf,
    /// Seed of arrivals, times, failures and of the simulator.
    pub seed: u64,
}

impl Bench {
    /// The same with a seed of its own for a case.
    fn case(&self, case: u64) -> Self {
        Self {
            program: self.program.clone(),
            seed: mix(self.seed, case),
        }
    }

    async fn envoy(&self, config: Value) -> Envoy {
        Envoy::start(self.program.clone(), config, &BTreeMap::new()).await
    }

    /// Sends requests to a listener `in` for so many seconds from `starts` on.
    async fn drive(&self, envoy: &Envoy, starts: Instant, rate_rps: f64, seconds: f64) -> Driven {
        let due = poisson(mix(self.seed, 1), rate_rps, seconds);
        Driven {
            sent: open_loop(&envoy.url("in"), starts, &due).await,
            seconds,
        }
    }
}

/// Requests that were sent.
#[derive(Debug, Clone)]
struct Driven {
    sent: Vec<Sent>,
    seconds: f64,
}

impl Driven {
    fn offered_rps(&self) -> f64 {
        self.sent.len() as f64 / self.seconds
    }

    /// The share of the requests sent from `from` until before `to` seconds that were answered with this status.
    fn share(&self, status: u16, from: f64, to: f64) -> f64 {
        let sent = self.sent.iter();
        let within = sent.filter(|s| (from..to).contains(&s.at.as_secs_f64()));
        let (all, with) = within.fold((0u32, 0u32), |(all, with), s| {
            (all + 1, with + u32::from(s.status == status))
        });
        f64::from(with) / f64::from(all.max(1))
    }

    /// The milliseconds that a share `level` of the answers with status 200 did not exceed.
    fn quantile_ms(&self, level: f64) -> f64 {
        let answered = self.sent.iter().filter(|s| s.status == 200);
        quantile(answered.map(|s| s.took.as_secs_f64() * 1e3), level)
    }

    /// How late the latest hundredth of the requests was sent, in milliseconds: how disturbed the machine was.
    fn late_p99_ms(&self) -> f64 {
        let late = |s: &Sent| s.at.saturating_sub(s.due).as_secs_f64() * 1e3;
        quantile(self.sent.iter().map(late), 0.99)
    }

    /// The times at which requests were truly sent.
    fn arrivals(&self) -> Arrivals {
        let mut at: Vec<u64> = self.sent.iter().map(|s| s.at.as_nanos() as u64).collect();
        at.sort_unstable();
        Arrivals::Replay(at)
    }
}

fn quantile(values: impl Iterator<Item = f64>, level: f64) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let rank = (level * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or(f64::NAN)
}

/// For how long backends truly worked, as a distribution.
fn worked(backends: &[&Backend]) -> Times {
    let all = backends.iter().flat_map(|backend| backend.worked());
    Times::Empirical(all.map(|time| time.as_secs_f64() * 1e3).collect())
}

/// A number of the simulator: its mean over the runs, and by how much one run strays from it (95% of them).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Simulated {
    mean: f64,
    spread: f64,
}

/// What the simulator says of each number that `read` takes from a run that is measured from `from_s` for `measured_s` seconds.
fn simulated<const N: usize>(
    mesh: &Mesh,
    seed: u64,
    (from_s, measured_s): (f64, f64),
    read: impl Fn(&Run) -> [f64; N],
) -> [Simulated; N] {
    let runs: Vec<[f64; N]> = (0..RUNS)
        .map(|run| {
            let options = RunOptions {
                measured_s,
                warm_up_s: from_s,
                seed: mix(seed, 1000 + run),
            };
            read(&simulate(mesh, &options).expect("the scenario can be simulated"))
        })
        .collect();
    std::array::from_fn(|i| {
        let count = runs.len() as f64;
        let mean = runs.iter().map(|run| run[i]).sum::<f64>() / count;
        let squares: f64 = runs.iter().map(|run| (run[i] - mean).powi(2)).sum();
        Simulated {
            mean,
            spread: 1.96 * (squares / (count - 1.0)).sqrt(),
        }
    })
}

/// The share of the requests of the only entry that ended so.
fn ended(run: &Run, outcome: foremesh_simulate::Outcome) -> f64 {
    run.entries.first().map_or(0.0, |entry| {
        entry.outcomes[outcome as usize] as f64 / entry.requests().max(1) as f64
    })
}

/// Soon, so that nothing is due before everybody is ready.
fn soon() -> Instant {
    Instant::now() + Duration::from_millis(50)
}
