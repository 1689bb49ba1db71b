//! `make validate-closed-forms`: queues at 95% utilisation against what is known of them. Means within 1%, 99th percentiles within 2%, the known
//! value inside the 95% interval over replications. Takes minutes: an M/M/1 queue needs 60 million customers for 1%. Prints a table for
//! `bench/results`, and ends with code 1 where something is off.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::{process::ExitCode, time::Instant};

use common::{Known, queues};

const UTILISATION: f64 = 0.95;

fn main() -> ExitCode {
    let started = Instant::now();
    let all = [
        queues::m_m_c(1, UTILISATION),
        queues::m_m_c(4, UTILISATION),
        queues::m_m_c(16, UTILISATION),
        queues::m_g_1(0.25, UTILISATION),
        queues::m_g_1(2.0, UTILISATION),
        queues::m_d_1(UTILISATION),
        queues::tandem(95.0, &[100.0, 105.0, 100.0], queues::enough(UTILISATION)),
    ];
    let mut known = Known::default();
    all.iter().for_each(|queue| queue.hold(&mut known));
    println!("| queue | known, ms | simulated, ms | off by | inside |");
    println!("|---|---:|---:|---:|---|");
    known.lines().iter().for_each(|line| println!("{line}"));
    let (within, inside, compared) = known.verdict();
    let customers: f64 = all.iter().map(|queue| queue.enough).sum();
    println!(
        "\n{:.0} million customers in {:.0} s; {inside} of {compared} known values inside the 95% interval; all means within 1% and 99th percentiles within 2%: {}.",
        customers / 1e6,
        started.elapsed().as_secs_f64(),
        if within { "yes" } else { "no" }
    );
    if within {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
