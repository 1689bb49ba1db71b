//! `foremesh train`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// The seeds of what is held back, which no training may have, begin here.
const HELD_BACK: u64 = u64::MAX - 1;

/// `foremesh train`
#[derive(Debug, Subcommand)]
pub enum Train {
    /// Train the neural forecaster and write it as ONNX, with a card and its learning curve. Broken off, the same command goes on. With --finetune,
    /// train a model further on a history, and write it only where it is better on the last fifth, which it has not seen; else it ends with 2.
    Forecaster(TrainForecaster),
    /// Train the learned policy in regions drawn from a seed and write it as ONNX, with a card and its learning curve. Broken off, the same command
    /// goes on.
    Policy(TrainPolicy),
    /// Train nets that refine settings under simulated faults, and write what they are worth beside others: a card and a learning curve, and of deep
    /// Q-learning the ONNX file that plans refine settings with. Broken off, the same command goes on.
    Refinement(TrainRefinement),
}

/// `foremesh train refinement`
#[derive(Debug, Args)]
pub struct TrainRefinement {
    /// What learns.
    #[arg(long, value_enum, default_value_t = Learns::Dqn)]
    pub learner: Learns,
    /// Updates of the nets in all; without it 300.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub updates: Option<u64>,
    /// What later rewards count in deep Q-learning, 0 … 1; without it 1.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub discount: Option<f64>,
    /// Regions that are drawn to learn on; without it 600.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub regions: Option<u32>,
    /// Hours after which this run ends, with what it has; without it when all updates are done.
    #[arg(long, value_name = "H")]
    pub hours: Option<f64>,
    /// Where it is computed.
    #[arg(long, value_enum, default_value_t = TrainDevice::Cpu)]
    pub device: TrainDevice,
    /// Seed of the first weights, the regions and all that is tried.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(..HELD_BACK))]
    pub seed: u64,
    /// The folder that model, card, curve and checkpoints are written to.
    #[arg(short, long, default_value = "models", value_name = "DIR")]
    pub output: PathBuf,
}

/// A number from 0 to 1.
fn share(word: &str) -> Result<f64, String> {
    let number: f64 = word.parse().map_err(|_| "a number from 0 to 1")?;
    match (0.0..=1.0).contains(&number) {
        true => Ok(number),
        false => Err("a number from 0 to 1".into()),
    }
}

/// What learns to refine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Learns {
    /// Proximal policy optimisation of one actor for all knobs of all services.
    OneActor,
    /// The same of three: where requests go, what is done with those that fail, what there is to work on them.
    ThreeActors,
    /// Deep Q-learning.
    Dqn,
}

/// `foremesh train policy`
#[derive(Debug, Args)]
pub struct TrainPolicy {
    /// Updates of the net in all; without it 8000.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub updates: Option<u64>,
    /// Regions that are drawn to learn on; without it 3000.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub regions: Option<u32>,
    /// Hours after which this run ends, with what it has; without it when all updates are done.
    #[arg(long, value_name = "H")]
    pub hours: Option<f64>,
    /// Where it is computed.
    #[arg(long, value_enum, default_value_t = TrainDevice::Cpu)]
    pub device: TrainDevice,
    /// Seed of the first weights, the regions and all that is tried.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(..HELD_BACK))]
    pub seed: u64,
    /// The folder that model, card, curve and checkpoints are written to.
    #[arg(short, long, default_value = "models", value_name = "DIR")]
    pub output: PathBuf,
}

/// `foremesh train forecaster`
#[derive(Debug, Args)]
pub struct TrainForecaster {
    /// The folder of public data sets that may train (nab, msft-cloud-monitoring, servegen-m-small, nasa-http).
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Train a model further on this history file, CSV or Parquet.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data", "hours"])]
    pub finetune: Option<PathBuf>,
    /// The model to begin with, which `foremesh train forecaster` wrote; without it the one inside the program.
    #[arg(long, value_name = "MODEL", requires = "finetune")]
    pub from: Option<PathBuf>,
    /// Share of windows from the synthetic prior; the rest is real. Without it 0.7, with --finetune 0.3.
    #[arg(long, value_name = "SHARE")]
    pub synthetic: Option<f64>,
    /// Steps of the series.
    #[arg(long, value_enum, default_value_t = Step::Hour)]
    pub step: Step,
    /// Steps of the optimiser in all; without it 8000 of 128 windows, with --finetune 400 of 64.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub steps: Option<u64>,
    /// Hours after which this run ends, with what it has; without it when all steps are done, or it no longer gets better.
    #[arg(long, value_name = "H")]
    pub hours: Option<f64>,
    /// Where it is computed.
    #[arg(long, value_enum, default_value_t = TrainDevice::Cpu)]
    pub device: TrainDevice,
    /// Seed of the first weights and of all windows.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(..HELD_BACK))]
    pub seed: u64,
    /// The folder that model, card, curve and checkpoints are written to.
    #[arg(short, long, default_value = "models", value_name = "DIR")]
    pub output: PathBuf,
}

/// Steps of series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Step {
    /// Hours: eight weeks of history, two weeks ahead.
    #[value(name = "1h")]
    Hour,
    /// Five minutes: two weeks of history, a day ahead.
    #[value(name = "5m")]
    FiveMinutes,
}

/// Where a net is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TrainDevice {
    /// The processor.
    Cpu,
    /// A GPU, in builds with the feature wgpu.
    Gpu,
}
