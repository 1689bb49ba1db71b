//! The command `shop-telemetry`: writes the made-up shop's telemetry, or that of many entries for the speed benchmark.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;

/// Writes the telemetry of a made-up shop: generated, the same bytes for the same seed.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Seed of everything that is drawn.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Folder to write into; it is made where it does not exist.
    #[arg(long)]
    out: PathBuf,
    /// Write the rates as OpenMetrics text as well (samples.txt), for promtool.
    #[arg(long, conflicts_with = "entries")]
    openmetrics: bool,
    /// Write the hourly history of this many entry services and their graph instead (for the speed benchmark).
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    entries: Option<u32>,
    /// Days of that history.
    #[arg(long, default_value_t = 90, requires = "entries", value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.entries {
        Some(entries) => shop_telemetry::generate_many(
            arguments.seed,
            entries as usize,
            arguments.days,
            &arguments.out,
        ),
        None => shop_telemetry::generate(arguments.seed, &arguments.out).and_then(|()| {
            let folder = &arguments.out;
            match arguments.openmetrics {
                true => shop_telemetry::openmetrics(
                    &folder.join("history.csv"),
                    &folder.join("samples.txt"),
                ),
                false => Ok(()),
            }
        }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("shop-telemetry: {error}");
            ExitCode::from(3)
        }
    }
}
