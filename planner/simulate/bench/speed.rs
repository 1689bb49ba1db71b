//! One run of the simulation, timed: `simulate_speed mesh SECONDS` (twenty services, every feature, 1000 requests/s) or
//! `simulate_speed queue SECONDS` (M/M/4 at 80%). Prints a line of JSON for `bench.py`, which runs it.

#![allow(clippy::print_stdout)]

mod every_feature;

use std::{process::ExitCode, time::Instant};

use every_feature::{every_feature, m_m_4};
use foremesh_simulate::{RunOptions, simulate};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (Some(which), Some(Ok(measured_s))) = (
        arguments.first(),
        arguments.get(1).map(|seconds| seconds.parse::<f64>()),
    ) else {
        eprintln!("simulate_speed mesh|queue SECONDS [SEED]");
        return ExitCode::FAILURE;
    };
    let mesh = match which.as_str() {
        "mesh" => every_feature(1000.0),
        _ => m_m_4(),
    };
    let options = RunOptions {
        measured_s,
        warm_up_s: 1.0,
        seed: arguments
            .get(2)
            .and_then(|seed| seed.parse().ok())
            .unwrap_or(7),
    };
    let started = Instant::now();
    let run = match simulate(&mesh, &options) {
        Ok(run) => run,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let seconds = started.elapsed().as_secs_f64();
    let entry = &run.entries[0];
    println!(
        "{{\"seconds\":{seconds},\"customers\":{},\"events\":{},\"mean_ms\":{},\"p99_ms\":{},\"availability\":{},\"most_open_calls\":{}}}",
        run.roots,
        run.events,
        entry.latency.mean_ms(),
        entry.latency.quantile_ms(0.99),
        entry.availability(),
        run.most_open_calls
    );
    ExitCode::SUCCESS
}
