//! Holds the simulator against a real Envoy and prints both columns side by side, for `make validate-simulator`.

#![allow(clippy::print_stdout, clippy::expect_used)]

use std::{fs, path::PathBuf, process::ExitCode, thread::available_parallelism, time::Instant};

use clap::Parser;
use foremesh_acceptance_tests::{
    Envoy, Program, find, skip,
    validation::{Bench, Scenario},
};

/// Hold the simulator against a real Envoy, scenario by scenario.
#[derive(Debug, Parser)]
struct Options {
    /// Scenarios to run, by name; all where none is named.
    scenarios: Vec<String>,
    /// Seed of arrivals, times and failures.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write what was found to this file.
    #[arg(long)]
    write: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let Some(program) = find(Program::Envoy) else {
        skip(Program::Envoy);
        return ExitCode::from(3);
    };
    let mut scenarios = Vec::new();
    for name in &options.scenarios {
        let known = Scenario::ALL.into_iter().find(|s| s.word() == name);
        let Some(scenario) = known else {
            let known: Vec<_> = Scenario::ALL.iter().map(|s| s.word()).collect();
            eprintln!("no scenario {name:?}: there are {}", known.join(", "));
            return ExitCode::from(1);
        };
        scenarios.push(scenario);
    }
    if scenarios.is_empty() {
        scenarios.extend(Scenario::ALL);
    }
    let mut text = format!(
        "# The simulator beside a real Envoy\n\n\
         `make validate-simulator`, seed {}. Envoy {} with one worker thread; {} cores.\n\
         \"One run ±\": how far 95% of single runs of the simulator stray from its mean; Envoy's column is a single run.\n\n",
        options.seed,
        Envoy::version(&program),
        available_parallelism().map_or(1, usize::from),
    );
    print!("{text}");
    let bench = Bench {
        program,
        seed: options.seed,
    };
    let (mut held, mut all) = (0, 0);
    for scenario in scenarios {
        let begins = Instant::now();
        let section = scenario.run(&bench).await;
        held += section.held();
        all += section.rows.len();
        let part = section.markdown();
        println!("{part}");
        eprintln!("{}: {:.0?}", scenario.word(), begins.elapsed());
        text += &part;
        text += "\n";
    }
    let verdict = format!("**{held} of {all} numbers are within their goal.**\n");
    println!("{verdict}");
    text += &verdict;
    if let Some(file) = options.write {
        fs::write(&file, text).expect("the results can be written");
    }
    if held == all {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    }
}
